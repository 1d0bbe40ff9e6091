"""What became of each open of one strategy: pure, events in and verdicts out.

The server knows no idempotency keys, so an open without a usable answer is never sent again: it is *in doubt*, and
listings of the open positions tell what became of it. An attempt ends as `Opened`; as `Absent`, which guarantees that
it opened nothing; or as `Undecidable`. Attempts of one kind are alike, so who gets which position does not matter.

What the proof rests on

    A1  the server acts on an attempt before its window ends: max(doubted at, sent + timeout) + settle_time
    A2  a listing asked for at t shows everything that was opened before t - listing_lag and is still open
    A3  nobody else closes our positions (`others_close`: somebody may, and Undecidable takes the place of Absent)
    A4  nobody else opens a position of the same kind in a window of doubt

What is only believed while nothing speaks against it, and never proves absence

    ids grow                    until an answer names an id that is not above all that were known at the sending
    a size is echoed exactly    until an answer echoes another than was asked for
    the server's clock          while it can be read on our timeline

Who may own a listed position. *Perhaps* each attempt of the same pair and side, of a size within 1 %, that was sent
before the listing which first showed the position *ended* (both have a sequence number) and before the first that
could have shown what the attempt opened had ended. It *fits* an attempt if nothing above speaks against it: the kind
is the same, no id as large was known at the sending (the attempt's floor), and the time of opening meets the window,
from sending to window end. A position is given only to an attempt that it fits. While it has no owner, no attempt
that it perhaps belongs to is Absent: clock, ids and exact size may prefer an owner, and never exclude the only one.

Why nothing is given twice or lost. An attempt sent after a listing ended can't own what that listing showed. So a
position waits only for older attempts in flight, which end within one timeout; the oldest of them decides, since
floors and times of sending grow with the sequence. After that, positions in the order of their ids (of their times,
where ids don't grow) against windows of attempts are a convex bipartite graph: giving each to the attempt in doubt
whose window ends first finds a perfect matching if there is one, and the truth is one. What was seen once is
remembered though it vanishes, or is closed.

What fits nobody shows that clock, ids or sizes mislead, or is a stranger's. An attempt whose it perhaps is comes last
when another position is given. If it is given one all the same, whoever opened that one may be left with the stray: it
is passed on, perhaps theirs from now on, for as long as one window lasts.

Why nothing is called unknown in haste. A position that fits nobody waits for everyone to whom it perhaps belongs, and
an attempt whose absence is otherwise proven waits for those positions of which another, in flight or with an open
window, may prove to be the owner. Only what was sent before they were seen is waited for, so that this ends within
one window. Then the attempts end as Undecidable with the positions as candidates, and the positions are `Unclaimed`,
each reported once.

Why absence is certain. Only a fresh listing proves it, asked for after window end + lag. A listing is stale if it
lacks a position that is known to be open, or shows one that was closed before: it proves presence only. Missing for 4
lags + 2 s, a position has `Vanished`: somebody else closed it; shown for as long, what was called closed is open.
What was not certainly closed (a 409) is open as soon as a listing shows it, though a close of ours may act yet. A
listing of ten rows or more that shows nothing newer than what it lacks is *cut*: it shows the oldest only, and
nothing vanishes by it.

What a close-all may have closed unseen is *swept*: what it meets in flight or in doubt, and what is sent before it
can act no more. Absent becomes Undecidable for the attempt, and for its equals once it takes a position that may have
been theirs. So it does for all that was sent before something was reported, once an answer has named what was another's
for certain: whoever opened that may have been told another's, too.

Why alike attempts trade. A position adopted by inference may prove to be another's, by a late answer, or because an
attempt that heard "yes" finds none left. Its holder keeps it, and the other waits on in the holder's place: the two
change names. Where only an answer says so, the other waits for what either may have opened: it may be a proxy's
answer.

An attempt sent before any listing is *unanchored*: its position can't be told from those that were there at the
start, except by the time of opening. An undated position is only perhaps its own: never adopted, never Absent.

What is closed, gone or ended is remembered for `REMEMBERED` seconds, so that a replica that lags can't bring it back.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, assert_never

import attrs

from .carried import Carried, KnownData, PlacingData, ProofData
from .events import (
    Absent,
    Answered,
    Closed,
    Closing,
    Doubted,
    Event,
    GaveUp,
    Listed,
    Prolonged,
    Refused,
    Row,
    RunEnded,
    Sending,
    Sweeping,
    Swept,
    Told,
    Unclaimed,
    Undecidable,
    Verdict,
    run_of,
)
from .known import Known
from .placing import NAMED, Placing
from .proof import Proof, Sweeps
from .records import Attempt, Sighting

if TYPE_CHECKING:
    from collections.abc import Collection

    from .records import Near

REMEMBERED = 600.0


class Ledger:
    """The opens of one strategy.

        ledger.take(Sending(1, kind, at=0.0, timeout=10.0, settle_time=15.0, listing_lag=1.0, others_close=False))
        ledger.take(Doubted(1, at=10.0))
        ledger.take(Listed(asked_at=27.0, at=27.1, rows=()))  # [Absent(attempt=1, waited_for=True)]

    It takes every event once, as they happened, and gives the verdicts to act on.
    """

    def __init__(self) -> None:
        self._now = -math.inf
        self._began = math.inf  # when the first attempt was sent
        self._sequence = 0
        self._largest_id = -1
        self._clock_on = True
        self._answers_err = False  # one named what was another's for certain
        self._known = Known()
        self._sweeps = Sweeps()
        self._proof = Proof(self._known, self._sweeps)
        self._placing = Placing(self._known, self._sweeps)
        self._ended: deque[Attempt] = deque()
        self._ended_runs: dict[int, float] = {}
        self._forget_at = -math.inf

    @classmethod
    def of(cls, carried: Carried) -> Ledger:
        """One that goes on as the one which gave this would have."""
        ledger = cls()
        ledger._now, ledger._began, ledger._sequence = carried.now, carried.began, carried.sequence
        ledger._largest_id, ledger._clock_on = carried.largest_id, carried.clock_on
        ledger._answers_err, ledger._ended_runs = carried.answers_err, dict(carried.ended_runs)
        carried.known.into(ledger._known)
        carried.proof.into(ledger._proof, ledger._sweeps)
        ledger._ended.extend(carried.placing.into(ledger._placing))
        for attempt in ledger._placing.in_doubt.values():
            if attempt.proven < math.inf:
                ledger._held_up(attempt)
        return ledger

    def carried(self) -> Carried:
        """All that it knows, as plain data."""
        return Carried(
            now=self._now,
            began=self._began,
            sequence=self._sequence,
            largest_id=self._largest_id,
            clock_on=self._clock_on,
            answers_err=self._answers_err,
            ended_runs=dict(self._ended_runs),
            placing=PlacingData.of(
                self._placing, [one for one in self._ended if one.alike.near.ended.get(one.number) is one]
            ),
            known=KnownData.of(self._known),
            proof=ProofData.of(self._proof, self._sweeps),
        )

    def __repr__(self) -> str:
        attempts = f"{len(self.in_flight)} in flight, {len(self.in_doubt)} in doubt"
        positions = f"{len(self._known.open)} open, {len(self._placing.unowned)} unowned"
        return f"<Ledger: {attempts}, {positions}, proven until {self.proven_until:g}>"

    @property
    def in_flight(self) -> Collection[int]:
        """The attempts that have neither an answer nor a time-out yet."""
        return self._placing.in_flight.keys()

    @property
    def in_doubt(self) -> Collection[int]:
        """The attempts that are looked for."""
        return self._placing.in_doubt.keys()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is undecided, and no close-all may act."""
        placing = self._placing
        return not (placing.in_flight or placing.in_doubt or placing.unowned or self._sweeps.under_way)

    @property
    def ended_runs(self) -> Collection[int]:
        """The runs that have ended, as far as that matters still."""
        return self._ended_runs.keys()

    @property
    def has_baseline(self) -> bool:
        """Whether a listing was taken before."""
        return self._placing.baseline is not None

    @property
    def waits(self) -> bool:
        """Whether a listing would help: something is in doubt, or listed and not decided."""
        return bool(self._placing.in_doubt or self._placing.unowned)

    @property
    def open_positions(self) -> Collection[int]:
        """The positions that have an owner and are known to be open."""
        return self._known.open.keys()

    @property
    def proven_until(self) -> float:
        """The time up to which fresh listings have shown everything that was opened and was still open."""
        return self._proof.until

    def proves(self, asked_at: float) -> bool:
        """Whether the last listing taken was asked for then and was fresh, so that what it lacks is gone."""
        return self._proof.is_of(asked_at)

    def owner(self, position_id: int) -> int | None:
        """The attempt that owns the position, unless it is closed."""
        return self._known.holders.get(position_id)

    def holder(self, position_id: int) -> int | None:
        """The attempt that owns the position, or owned it until it was closed."""
        return self._known.holder(position_id)

    def is_closed(self, position_id: int) -> bool:
        """Whether the position was open once, and is closed or gone as far as is known."""
        return position_id in self._known.past

    def candidates(self, attempt: int) -> tuple[int, ...]:
        """The unowned positions that may be the attempt's, if only perhaps."""
        found = self._placing.attempts.get(attempt)
        return self._placing.candidates(found) if found and found.position is None else ()

    def take(self, event: Event) -> list[Verdict]:
        """Note what happened, and give what follows from it."""
        verdicts: list[Verdict] = []
        match event:
            case Sending():
                self._send(event)
            case Answered():
                verdicts = self._answer(event)
            case Refused():
                verdicts = self._refuse(event)
            case Doubted():
                self._doubt(event)
            case GaveUp():
                self._give_up(event)
            case Closing():
                self._known.leave(event.position_id)
            case Closed():
                self._close(event)
            case Sweeping():
                self._begin_sweep(event)
            case Swept():
                self._end_sweep(event)
            case Listed():
                verdicts = self._list(event)
            case _:
                verdicts = self._take_over(event)
        return verdicts + self._settle() if self._placing.to_place or self._placing.stirred else verdicts

    def _take_over(self, event: Told | RunEnded | Prolonged) -> list[Verdict]:
        """Note what only tells whoever goes on from what others have recorded."""
        match event:
            case Told():
                return self._tell(event)
            case RunEnded():
                self._end_run(event)
            case Prolonged():
                self._prolong(event)
            case _:
                assert_never(event)
        return []

    def _send(self, event: Sending) -> None:
        if run_of(event.attempt) in self._ended_runs:
            return  # whoever took over may have sent it again
        self._sequence += 1
        self._began = min(self._began, event.at)
        self._proof.lag = max(self._proof.lag, event.listing_lag)
        self._placing.longest = max(self._placing.longest, event.timeout + event.settle_time + event.listing_lag)
        attempt = Attempt(
            number=event.attempt,
            alike=self._placing.sizes.alike(event.kind),
            sequence=self._sequence,
            floor=self._largest_id,
            anchored=self.has_baseline,
            sent=event.at,
            timeout=event.timeout,
            settle_time=event.settle_time,
            lag=event.listing_lag,
            others_close=event.others_close,
        )
        self._placing.add(attempt)

    def _answer(self, event: Answered) -> list[Verdict]:
        attempt = self._placing.attempts.get(event.attempt)
        if attempt is None:
            return []
        if not self._believes(attempt, event.position_id):
            self._dispute(attempt, event)
            return []
        self._learn(attempt, event)
        if attempt.position is None:
            del self._placing.attempts[attempt.number]
            return [self._placing.give(attempt, self._claimed(event))]
        self._replace(attempt, attempt.position, event)
        return []

    def _believes(self, attempt: Attempt, position_id: int) -> bool:
        if self._known.holder(position_id) is not None:
            return False
        past = self._known.past.get(position_id)
        if past and past.at <= attempt.sent:
            return False
        seen = self._placing.unowned.get(position_id) or self._known.others.get(position_id)
        first_seen = seen.sequence if seen else self._known.first_seen.get(position_id, math.inf)
        return first_seen > attempt.sequence

    def _learn(self, attempt: Attempt, event: Answered) -> None:
        """What an answer tells of ids and sizes; what no attempt fitted may fit one if they are no longer relied on."""
        self._largest_id = max(self._largest_id, event.position_id)
        grows = event.position_id > attempt.floor
        exact = event.size is None or self._placing.sizes.same(attempt.alike.size, float(event.size))
        if (self._placing.ids_grow and not grows) or (self._placing.sizes.exact and not exact):
            self._placing.ids_grow = self._placing.ids_grow and grows
            self._placing.sizes.exact = self._placing.sizes.exact and exact
            for position in self._placing.unowned.values():
                self._placing.look_for_an_heir(position)

    def _claimed(self, event: Answered) -> Sighting:
        return self._placing.take_out(event.position_id) or Sighting(
            event.position_id, None, event.position_id, self._sequence, -math.inf, math.inf, event.at
        )

    def _replace(self, attempt: Attempt, taken: Sighting, event: Answered) -> None:
        """The attempt was given another's position: what it really opened goes to who may have opened either."""
        if event.position_id in self._known.past or not attempt.alike.holders.pop(taken.position_id, None):
            return
        del self._placing.attempts[attempt.number]
        own = self._placing.take_out(event.position_id) or self._known.others.pop(event.position_id, None)
        position = attrs.evolve(own or taken, position_id=event.position_id, kind=attempt.alike.kind)
        position.or_else(taken)
        self._placing.wait(position, attempt.alike.near)

    def _dispute(self, attempt: Attempt, event: Answered) -> None:
        """The position was given away by inference: a trade. Otherwise the answer is not what was asked."""
        holder = attempt.alike.holders.get(event.position_id)
        if holder is attempt:
            del attempt.alike.holders[event.position_id], self._placing.attempts[attempt.number]  # confirmed
        elif attempt.undecided and holder and holder.position and holder.position.sequence > attempt.sequence:
            self._placing.trade(attempt, holder)
            holder.or_else(attempt)
            holder.window_end = max(holder.window_end, self._window_end(attempt, event.at))
            self._placing.join_doubt(holder)
            self._placing.count_as_undecided(holder)
        elif attempt.in_flight:
            self._answers_err = True
            self._put_in_doubt(attempt, event.at, said_yes=False)

    def _refuse(self, event: Refused) -> list[Verdict]:
        attempt = self._placing.attempts.get(event.attempt)
        if attempt is None or attempt.position is not None:
            return []
        late: list[Verdict] = [Absent(attempt.number, attempt.waited_for)] if attempt.in_doubt else []
        self._placing.leave(attempt)
        del self._placing.attempts[attempt.number]
        return late

    def _doubt(self, event: Doubted) -> None:
        if attempt := self._placing.in_flight.get(event.attempt):
            self._put_in_doubt(attempt, event.at, said_yes=event.said_yes)

    def _put_in_doubt(self, attempt: Attempt, at: float, *, said_yes: bool) -> None:
        self._placing.leave(attempt)
        attempt.said_yes = said_yes
        attempt.window_end = self._window_end(attempt, at)
        self._placing.join_doubt(attempt)

    def _window_end(self, attempt: Attempt, at: float) -> float:
        # What said yes has acted before it said so.
        return at if attempt.said_yes else max(at, attempt.sent + attempt.timeout) + attempt.settle_time

    def _give_up(self, event: GaveUp) -> None:
        if attempt := self._placing.attempts.get(event.attempt):
            attempt.waited_for = False

    def _tell(self, event: Told) -> list[Verdict]:
        """What a caller was told stands, though less may be known here than where it was found out."""
        attempt = self._placing.attempts.get(event.attempt)
        if attempt is None or not attempt.undecided or event.by in self._ended_runs:
            return []
        if event.outcome == "opened":
            assert event.position_id is not None
            return self._answer(Answered(event.attempt, event.position_id, self._now))
        waited_for = attempt.waited_for
        self._put_to_rest(attempt)
        if event.outcome == "absent":
            return [Absent(event.attempt, waited_for)]
        return [Undecidable(event.attempt, waited_for, event.candidates)]

    def _end_run(self, event: RunEnded) -> None:
        if event.run in self._ended_runs:
            return
        self._now = max(self._now, event.at)
        self._ended_runs[event.run] = self._now
        theirs = [one for one in self._placing.attempts.values() if one.undecided and run_of(one.number) == event.run]
        for attempt in theirs:
            self._doubt(Doubted(attempt.number, event.at))
            self._give_up(GaveUp(attempt.number))
        for swept in self._sweeps.of_run(event.run, event.at):
            self._end_sweep(swept)

    def _prolong(self, event: Prolonged) -> None:
        for attempt in list(self._placing.in_doubt.values()):
            self._placing.leave(attempt)
            attempt.sent = -math.inf  # nor can it be compared with what the server dates
            attempt.window_end = max(attempt.window_end, event.at + attempt.timeout + attempt.settle_time)
            self._placing.join_doubt(attempt)
        self._sweeps.prolong(event.at + self._placing.longest)

    def _close(self, event: Closed) -> None:
        # An unowned one waits on for its owner: whoever opened it must not be told that nothing was opened.
        self._now = max(self._now, event.at)
        self._known.put_away(event.position_id, event.at, certain=event.certain)
        self._forget()

    def _begin_sweep(self, event: Sweeping) -> None:
        self._sweeps.begin(event)
        self._known.sweep()

    def _end_sweep(self, event: Swept) -> None:
        if self._sweeps.end(event):
            self._known.sweep()

    def _list(self, event: Listed) -> list[Verdict]:
        self._sequence += 1
        self._now = max(self._now, event.at)
        self._clock_on = event.clock_on
        self._placing.baseline = self._placing.baseline or self._sequence
        here = {row.position_id: row for row in event.rows}
        self._largest_id = max(self._largest_id, max(here, default=-1))
        self._date_again(here)
        verdicts = self._see_new(here, event.at) + self._weigh(here, event.asked_at) + self._settle()
        verdicts += self._conclude_all()
        self._forget()
        return verdicts

    def _see_new(self, here: dict[int, Row], at: float) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for position_id in sorted(p for p in here if p not in self._placing.unowned and not self._known.has(p)):
            row = here[position_id]
            position = Sighting(position_id, row.kind, position_id, self._sequence, row.earliest, row.latest, at)
            near = self._placing.sizes.near(row.kind)
            if near and near.first_undecided() < self._sequence:
                self._placing.wait(position, near)
            else:
                verdicts += self._disown(position, self._perhaps_theirs(position, near))
        return verdicts

    def _date_again(self, here: dict[int, Row]) -> None:
        """What could not be dated before may be dated now."""
        for position_id in self._placing.unowned.keys() & here.keys():
            position, row = self._placing.unowned[position_id], here[position_id]
            if not position.dated:
                position.earliest, position.latest = row.earliest, row.latest
                if position.dated:
                    self._placing.look_for_an_heir(position)

    def _weigh(self, here: dict[int, Row], asked_at: float) -> list[Verdict]:
        """Find out whether the list is fresh, and what is open after all."""
        back, stale = self._proof.contradicted(here, asked_at)
        verdicts: list[Verdict] = []
        for position_id in back:
            verdicts += self._bring_back(here[position_id], asked_at - self._proof.lag)
        return verdicts + self._proof.weigh(here, asked_at, stale=stale, ids_grow=self._placing.ids_grow)

    def _bring_back(self, row: Row, as_of: float) -> list[Verdict]:
        known = self._known
        first_seen, untold = known.first_seen.pop(row.position_id, None), known.untold.pop(row.position_id, None)
        known.bring_back(row.position_id, as_of)
        if row.position_id in known.holders or row.position_id in self._placing.unowned:
            return []
        known.others[row.position_id] = Sighting(
            row.position_id, row.kind, row.position_id, first_seen or self._sequence, -math.inf, math.inf, as_of
        )
        return [] if untold is None else [Unclaimed(row.position_id, untold)]

    def _settle(self) -> list[Verdict]:
        """Decide, as far as that is possible now, about what may have changed."""
        verdicts: list[Verdict] = []
        stirred: dict[Near, None] = {}
        while self._placing.to_place or self._placing.stirred:
            if self._placing.to_place:
                verdicts += self._placing.place_waiting(self._placing.to_place.popitem()[0])
            else:
                near, _ = self._placing.stirred.popitem()
                stirred[near] = None
                verdicts += self._conclude_held_up(near)
        for near in stirred:
            verdicts += self._release(near)
        return verdicts

    def _release(self, near: Near) -> list[Verdict]:
        """Report what nobody is left to own."""
        first = near.first_undecided() if near.unowned else 0
        positions = [p for (_, sequence), group in near.unowned.items() if sequence <= first for p in group.values()]
        verdicts: list[Verdict] = []
        for position in sorted(positions, key=lambda position: position.position_id):
            self._placing.take_out(position.position_id)
            verdicts += self._disown(position, self._perhaps_theirs(position, near))
        self._placing.stirred.clear()  # nobody waited for them
        return verdicts

    def _perhaps_theirs(self, position: Sighting, near: Near | None) -> tuple[int, ...]:
        """The attempts that ended without a position and were sent before it was seen; of many, the last."""
        ended = (attempt for one in near.around for attempt in reversed(one.ended.values())) if near else iter(())
        named = (attempt.number for attempt in ended if attempt.sequence < position.sequence)
        return tuple(sorted(islice(named, NAMED)))

    def _disown(self, position: Sighting, attempts: tuple[int, ...]) -> list[Verdict]:
        """Report it, unless it is closed, or was there at the start as far as anybody can tell."""
        new = position.sequence != self._placing.baseline or attempts or position.earliest > self._began
        if position.near:
            position.near.reported = max(position.near.reported, position.sequence)
            if new and self._answers_err:
                position.near.unsure_below = self._sequence + 1
        if position.position_id in self._known.past:
            self._known.first_seen[position.position_id] = position.sequence
            if new:
                self._known.untold[position.position_id] = attempts
            return []
        self._known.others[position.position_id] = position
        return [Unclaimed(position.position_id, attempts)] if new else []

    def _conclude_all(self) -> list[Verdict]:
        """End the attempts whose absence the list has proven."""
        verdicts: list[Verdict] = []
        while proven := [attempt for attempt in self._placing.in_doubt.values() if self._is_proven(attempt)]:
            for attempt in proven:
                attempt.proven = self._sequence
                self._placing.stir(attempt)
            verdicts += self._settle()  # those that waited for them come first
            for attempt in sorted(proven, key=lambda attempt: attempt.place):
                verdicts += self._conclude(attempt)
            verdicts += self._settle()
        return verdicts

    def _is_proven(self, attempt: Attempt) -> bool:
        return attempt.proven == math.inf and attempt.window_end + attempt.lag < self._proof.asked_at

    def _conclude(self, attempt: Attempt) -> list[Verdict]:
        if not attempt.in_doubt or attempt.proven == math.inf:
            return []
        if self._held_up(attempt):
            return []
        if holder := self._placing.holder_to_trade_with(attempt):
            self._placing.trade(attempt, holder)
            self._placing.join_doubt(holder)
            self._placing.count_as_undecided(holder)
            return []
        return [self._end(attempt)]

    def _held_up(self, attempt: Attempt) -> bool:
        """Whether it may own a position which may prove to be another's; it is asked about again once that is told."""
        for near in attempt.alike.near.around:
            after = max(attempt.sequence, near.first_open()) if near.unowned else 0
            for seen in near.unowned:
                if after < seen[1] and seen[0] <= attempt.proven:
                    near.held_up.setdefault(seen, []).append(attempt)
                    return True
        return False

    def _conclude_held_up(self, near: Near) -> list[Verdict]:
        verdicts: list[Verdict] = []
        first = near.first_open() if near.held_up else 0
        for seen in [seen for seen in near.held_up if seen[1] <= first or seen not in near.unowned]:
            for attempt in near.held_up.pop(seen):
                verdicts += self._conclude(attempt)
        return verdicts

    def _end(self, attempt: Attempt) -> Absent | Undecidable:
        candidates = self._placing.candidates(attempt)
        number, waited_for = attempt.number, attempt.waited_for
        self._put_to_rest(attempt)
        if candidates or self._undecidable(attempt):
            return Undecidable(number, waited_for, candidates)
        return Absent(number, waited_for)

    def _put_to_rest(self, attempt: Attempt) -> None:
        self._placing.leave(attempt)
        attempt.waited_for = False
        attempt.ended_at = self._now
        attempt.alike.near.ended[attempt.number] = attempt
        self._ended.append(attempt)

    def _undecidable(self, attempt: Attempt) -> bool:
        if attempt.said_yes or attempt.others_close or self._placing.perhaps_unseen(attempt):
            return True
        # Who took another's place in a trade may own what was reported while that other was content.
        reported = any(near.reported > attempt.sequence for near in attempt.alike.near.around)
        return reported or not (attempt.anchored or self._clock_on)

    def _forget(self) -> None:
        if self._now < self._forget_at:
            return
        self._forget_at = self._now + REMEMBERED / 100
        before = self._now - REMEMBERED
        self._ended_runs = {run: at for run, at in self._ended_runs.items() if at >= before}
        for position_id, number in self._known.forget_past(before):
            if holder := self._placing.attempts.pop(number, None):  # by inference
                holder.alike.holders.pop(position_id, None)
        while self._ended and self._ended[0].ended_at < before:
            ended = self._ended.popleft()
            if ended.alike.near.ended.pop(ended.number, None):
                self._placing.attempts.pop(ended.number, None)
