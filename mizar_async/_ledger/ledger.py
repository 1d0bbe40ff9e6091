"""What became of each open of one strategy: pure, events in and verdicts out.

The server knows no idempotency keys, so an open without a usable answer is never sent again: it is *in doubt*, and
listings of the open positions tell what became of it. An attempt ends as `Opened`; as `Absent`, which guarantees that
it opened nothing; or as `Undecidable`. Attempts of one kind are alike, so who gets which position does not matter.

What the proof rests on

    A1  the server acts on an attempt before its window ends: max(doubted at, sent + timeout) + settle_time
    A2  a listing asked for at t shows everything that was opened before t - listing_lag and is still open
    A3  nobody else closes our positions (`others_close`: somebody may, and Undecidable takes the place of Absent)
    A4  nobody else opens a position of the same kind in a window of doubt

Who may have opened a listed position: an attempt of its kind which was sent before the listing that first showed it
*ended* (both have a sequence number), when no id as large was known (its floor), and whose window, from sending to
window end, meets the time of opening. Ids grow; the first answer that breaks this switches the floors off.

Why nothing is given twice or lost. An attempt sent after a listing ended can't own what that listing showed. So a
position waits only for older attempts in flight, which end within one timeout; the oldest of them decides, since
floors and times of sending grow with the sequence. After that, positions in the order of their ids against windows of
attempts are a convex bipartite graph: giving each to the attempt in doubt whose window ends first finds a perfect
matching if there is one, and the truth is one. What was seen once is remembered though it vanishes, or is closed.

Why absence is certain. Only a fresh listing proves it, asked for after window end + lag, while no unowned position may
be the attempt's. A listing is stale if it lacks a position that is known to be open, or shows one that was closed
before: it proves presence only. Missing for 4 lags + 2 s, a position has `Vanished`: somebody else closed it.
A close-all may close unseen what is in flight or in doubt (*swept*): Absent becomes Undecidable, for the attempt and
for its equals once it takes a position that may have been theirs.

Why alike attempts trade. A position adopted by inference may prove to be another's, by a late answer, or because an
attempt that heard "yes" finds none left. Its holder keeps it, and the other waits on in the holder's place: the
two change names. A position which no attempt in doubt may own is `Unclaimed`, reported once.

An attempt sent before any listing is *unanchored*: its position can't be told from those that were there at the
start, except by the time of opening. An undated position is only perhaps its own: never adopted, never Absent.

What is closed, gone or ended is remembered for `REMEMBERED` seconds, so that a replica that lags can't bring it back.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, assert_never

from .events import (
    Absent,
    Answered,
    Closed,
    Closing,
    Cut,
    Doubted,
    Event,
    GaveUp,
    Kind,
    Listed,
    Opened,
    Refused,
    Row,
    Sending,
    Sweeping,
    Swept,
    Unclaimed,
    Undecidable,
    Vanished,
    Verdict,
)
from .records import Alike, Attempt, Known, Sighting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = [
    "Absent",
    "Answered",
    "Closed",
    "Closing",
    "Cut",
    "Doubted",
    "Event",
    "GaveUp",
    "Kind",
    "Ledger",
    "Listed",
    "Opened",
    "Refused",
    "Row",
    "Sending",
    "Sweeping",
    "Swept",
    "Unclaimed",
    "Undecidable",
    "Vanished",
    "Verdict",
]

SAME_SIZE = 1e-8
REMEMBERED = 600.0
NAMED = 100  # ids named in one verdict at most: thousands would help nobody, and cost the square of their number


class Ledger:
    """The opens of one strategy. It takes every event once, as they happened, and gives the verdicts to act on.

    ledger.take(Sending(1, kind, at=0.0, timeout=10.0, settle_time=15.0, listing_lag=1.0, others_close=False))
    ledger.take(Doubted(1, at=10.0))
    ledger.take(Listed(asked_at=27.0, at=27.1, rows=()))  # [Absent(attempt=1, waited_for=True)]
    """

    def __init__(self) -> None:
        self._now = -math.inf
        self._began = math.inf  # when the first attempt was sent
        self._sequence = 0
        self._baseline: int | None = None  # the sequence number of the first listing
        self._largest_id = -1
        self._ids_grow = True
        self._lag = 0.0
        self._clock_on = True
        self._proven_at = -math.inf  # when the last fresh listing was asked for
        self._swept_at = -math.inf
        self._swept_until = 0  # as a sequence number
        self._kinds: dict[tuple[str, str, bool, float], Alike] = {}
        self._enough_kinds = 256
        self._attempts: dict[int, Attempt] = {}
        self._in_flight: dict[int, Attempt] = {}
        self._in_doubt: dict[int, Attempt] = {}
        self._ended: deque[Attempt] = deque()
        self._unowned: dict[int, Alike] = {}
        self._known = Known()
        self._forget_at = -math.inf

    def __repr__(self) -> str:
        counts = f"{len(self._in_flight)} in flight, {len(self._in_doubt)} in doubt, {len(self._known.open)} open"
        return f"<Ledger: {counts}, {len(self._unowned)} unowned, proven until {self.proven_until:g}>"

    @property
    def in_flight(self) -> Collection[int]:
        """The attempts that have neither an answer nor a time-out yet."""
        return self._in_flight.keys()

    @property
    def in_doubt(self) -> Collection[int]:
        """The attempts that are looked for."""
        return self._in_doubt.keys()

    @property
    def has_baseline(self) -> bool:
        """Whether a listing was taken before."""
        return self._baseline is not None

    @property
    def waits(self) -> bool:
        """Whether a listing would help: something is in doubt, or listed and not decided."""
        return bool(self._in_doubt or self._unowned)

    @property
    def open_positions(self) -> Collection[int]:
        """The positions that have an owner and are known to be open."""
        return self._known.open.keys()

    @property
    def proven_until(self) -> float:
        """The time up to which fresh listings have shown everything that was opened and was still open."""
        return self._proven_at - self._lag

    def owner(self, position_id: int) -> int | None:
        """The attempt that owns the position, unless it is closed."""
        holder = self._known.holders.get(position_id)
        return holder.number if holder else None

    def holder(self, position_id: int) -> int | None:
        """The attempt that owns the position, or owned it until it was closed."""
        holder = self._known.holder(position_id)
        return holder.number if holder else None

    def is_closed(self, position_id: int) -> bool:
        """Whether the position is closed, or gone, as far as is known."""
        return position_id in self._known.past

    def proves(self, asked_at: float) -> bool:
        """Whether the last list was asked for then, and fresh."""
        return self._proven_at == asked_at

    def candidates(self, attempt: int) -> tuple[int, ...]:
        """The unowned positions that may be the attempt's."""
        found = self._attempts.get(attempt)
        return tuple(sorted(self._candidates(found))) if found else ()

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
                verdicts = self._doubt(event)
            case GaveUp():
                self._give_up(event)
            case Closing():
                self._known.leave(event.position_id)
            case Closed():
                self._close(event)
            case Sweeping():
                self._sweep(event.at)
            case Swept():
                self._sweep(event.until)
            case Listed():
                verdicts = self._list(event)
            case _:
                assert_never(event)
        return verdicts

    def _send(self, event: Sending) -> None:
        self._sequence += 1
        self._began = min(self._began, event.at)
        self._lag = max(self._lag, event.listing_lag)
        alike = self._alike(event.kind)
        attempt = Attempt(
            number=event.attempt,
            alike=alike,
            sequence=self._sequence,
            floor=self._largest_id,
            anchored=self.has_baseline,
            sent=event.at,
            timeout=event.timeout,
            settle_time=event.settle_time,
            lag=event.listing_lag,
            others_close=event.others_close,
        )
        alike.oldest_in_flight()  # forgets those before it, so that a run without listings needs no more memory
        alike.sent.append(attempt)
        alike.unanchored += not attempt.anchored
        self._attempts[event.attempt] = self._in_flight[event.attempt] = attempt

    def _answer(self, event: Answered) -> list[Verdict]:
        attempt = self._attempts.get(event.attempt)
        self._largest_id = max(self._largest_id, event.position_id)
        if attempt is None:
            return []
        if event.position_id <= attempt.floor:
            self._ids_grow = False
        holder = self._known.holder(event.position_id)
        if holder is None and attempt.position is None:
            verdict = self._give(attempt, self._claimed(event))
            return [verdict, *self._settle(attempt.alike)]
        if holder is None:
            self._replace(attempt, event)
        elif attempt.number in self._in_flight or attempt.number in self._in_doubt:
            self._dispute(attempt, holder, event)
        return self._settle(attempt.alike)

    def _claimed(self, event: Answered) -> Sighting:
        alike = self._unowned.pop(event.position_id, None)
        seen = alike and alike.drop(event.position_id)
        return seen or Sighting(event.position_id, event.position_id, self._sequence, -math.inf, math.inf, event.at)

    def _replace(self, attempt: Attempt, event: Answered) -> None:
        """The attempt was given another's position: what it really opened goes to who may have opened either."""
        taken = attempt.position
        if taken and event.position_id not in self._known.past and attempt.alike.holders.pop(taken.position_id, None):
            self._known.others.discard(event.position_id)
            alike = self._unowned.pop(event.position_id, None)
            own = (alike and alike.drop(event.position_id)) or taken
            self._wait(attempt.alike, taken.or_else(own, event.position_id))

    def _dispute(self, attempt: Attempt, holder: Attempt, event: Answered) -> None:
        """The position was given away by inference: a trade. By an answer: the server can't mean both."""
        if event.position_id in attempt.alike.holders:
            self._trade(attempt, holder)
        elif attempt.in_flight:
            self._put_in_doubt(attempt, event.at, said_yes=True)

    def _refuse(self, event: Refused) -> list[Verdict]:
        attempt = self._in_flight.get(event.attempt) or self._in_doubt.get(event.attempt)
        if attempt is None:
            return []
        late: list[Verdict] = [] if attempt.in_flight else [Absent(attempt.number, attempt.waited_for)]
        self._leave(attempt)
        del self._attempts[attempt.number]
        return late + self._settle(attempt.alike)

    def _doubt(self, event: Doubted) -> list[Verdict]:
        attempt = self._in_flight.get(event.attempt)
        if attempt is None:
            return []
        self._put_in_doubt(attempt, event.at, said_yes=event.said_yes)
        return self._settle(attempt.alike)

    def _put_in_doubt(self, attempt: Attempt, at: float, *, said_yes: bool) -> None:
        self._leave(attempt)
        attempt.said_yes = said_yes
        attempt.window_end = self._window_end(attempt, at)
        self._join_doubt(attempt)

    def _window_end(self, attempt: Attempt, at: float) -> float:
        # What said yes has acted before it said so.
        return at if attempt.said_yes else max(at, attempt.sent + attempt.timeout) + attempt.settle_time

    def _give_up(self, event: GaveUp) -> None:
        if attempt := self._attempts.get(event.attempt):
            attempt.waited_for = False

    def _close(self, event: Closed) -> None:
        # An unowned one waits on for its owner: whoever opened it must not be told that nothing was opened.
        self._now = max(self._now, event.at)
        self._known.put_away(event.position_id, event.at, certain=event.certain)
        self._forget()

    def _sweep(self, at: float) -> None:
        self._swept_until = self._sequence
        self._swept_at = max(self._swept_at, at)
        self._known.sweep()

    def _swept(self, attempt: Attempt) -> bool:
        return attempt.sequence <= self._swept_until or attempt.sequence < attempt.alike.swept_below

    def _list(self, event: Listed) -> list[Verdict]:
        self._sequence += 1
        self._now = max(self._now, event.at)
        self._clock_on = event.clock_on
        self._baseline = self._baseline or self._sequence
        here = {row.position_id: row for row in event.rows}
        self._largest_id = max(self._largest_id, max(here, default=-1))
        self._date_again(here)
        verdicts = self._see_new(here, event.at) + self._weigh(here, event.asked_at)
        for alike in list(self._kinds.values()):
            verdicts += self._settle(alike)
        self._forget()
        return verdicts

    def _see_new(self, here: dict[int, Row], at: float) -> list[Verdict]:
        known = self._known
        verdicts: list[Verdict] = []
        for position_id in sorted(set(here).difference(known.holders, known.others, self._unowned, known.past)):
            row = here[position_id]
            position = Sighting(position_id, position_id, self._sequence, row.earliest, row.latest, at)
            if alike := self._find(row.kind):
                self._wait(alike, position)
            else:
                verdicts += self._disown(position, ())
        return verdicts

    def _date_again(self, here: dict[int, Row]) -> None:
        """What could not be dated before may be dated now."""
        for position_id in self._unowned.keys() & here.keys():
            alike, row = self._unowned[position_id], here[position_id]
            position = alike.waiting.get(position_id) or alike.perhaps[position_id]
            if not position.dated:
                position.earliest, position.latest = row.earliest, row.latest
                if position.dated:
                    alike.wait(position)

    def _weigh(self, here: dict[int, Row], asked_at: float) -> list[Verdict]:
        """Find out whether the list is fresh; only then does it prove absence."""
        as_of = asked_at - self._lag
        self._known.still_open(here, as_of, self._swept_at)
        stale = self._known.contradicts(here, as_of)
        vanished = []
        for position_id in self._known.lacking(here, as_of):
            if self._missing_for_long(position_id, asked_at):
                vanished.append(position_id)
            else:
                stale = True
        for position_id in vanished:
            self._known.put_away(position_id, as_of, certain=False)
        if not stale:
            self._prove(here, asked_at)
        return [Vanished(position_id) for position_id in vanished]

    def _missing_for_long(self, position_id: int, asked_at: float) -> bool:
        return asked_at - self._known.missing_since.setdefault(position_id, asked_at) > 4 * self._lag + 2.0

    def _prove(self, here: dict[int, Row], asked_at: float) -> None:
        self._proven_at = max(self._proven_at, asked_at)
        self._known.forget_gone(here, asked_at - self._lag)

    def _settle(self, alike: Alike) -> list[Verdict]:
        """Decide about attempts and positions of one kind as far as that is possible now."""
        verdicts: list[Verdict] = []
        if not (alike.in_doubt or alike.waiting or alike.perhaps):
            return verdicts
        while (position := alike.first_waiting()) and not self._wanted_in_flight(alike, position):
            verdicts += self._place(alike, position)
        verdicts += self._conclude(alike)
        if not alike.unanchored:
            for position in list(alike.perhaps.values()):
                verdicts += self._unclaimed(alike, position)
        return verdicts

    def _wanted_in_flight(self, alike: Alike, position: Sighting) -> bool:
        oldest = alike.oldest_in_flight()
        return oldest is not None and self._may_have_opened(oldest, position)

    def _place(self, alike: Alike, position: Sighting) -> list[Verdict]:
        if heir := self._heir(alike, position):
            return [self._adopt(heir, position)]
        if alike.unanchored and not position.dated:
            alike.perhaps[position.position_id] = alike.waiting.pop(position.position_id)
            return []
        return self._unclaimed(alike, position)

    def _heir(self, alike: Alike, position: Sighting) -> Attempt | None:
        """Of the attempts in doubt which may own the position, the one whose window ends first."""
        if position.sequence == self._baseline and not position.dated:
            return None  # nobody was anchored yet
        first = bisect_left(alike.in_doubt, (position.earliest,))
        doubted = (alike.in_doubt[index][2] for index in range(first, len(alike.in_doubt)))
        return next((attempt for attempt in doubted if self._may_own(attempt, position)), None)

    def _may_own(self, attempt: Attempt, position: Sighting) -> bool:
        return (attempt.anchored or position.dated) and self._may_have_opened(attempt, position)

    def _may_have_opened(self, attempt: Attempt, position: Sighting) -> bool:
        return position.earliest <= attempt.window_end and self._was_sent_before(attempt, position)

    def _was_sent_before(self, attempt: Attempt, position: Sighting) -> bool:
        return (
            attempt.sequence < position.sequence
            and (position.rank > attempt.floor or not self._ids_grow)
            and attempt.sent <= position.latest
        )

    def _adopt(self, attempt: Attempt, position: Sighting) -> Opened:
        alike = attempt.alike
        self._unowned.pop(position.position_id)
        alike.drop(position.position_id)
        if self._swept(attempt):
            alike.swept_below = max(alike.swept_below, position.sequence)
        alike.holders[position.position_id] = attempt
        return self._give(attempt, position)

    def _give(self, attempt: Attempt, position: Sighting) -> Opened:
        self._leave(attempt)
        attempt.position = position
        self._known.hold(position.position_id, attempt, position.seen_at)
        return Opened(attempt.number, position.position_id, attempt.waited_for)

    def _unclaimed(self, alike: Alike, position: Sighting) -> list[Verdict]:
        self._unowned.pop(position.position_id)
        alike.drop(position.position_id)
        too_late = alike.in_doubt[: bisect_left(alike.in_doubt, (position.earliest,))]
        attempts = [*alike.ended.values(), *(attempt for _, _, attempt in too_late)]
        named = (attempt.number for attempt in reversed(attempts) if self._was_sent_before(attempt, position))
        return self._disown(position, tuple(sorted(islice(named, NAMED))))

    def _disown(self, position: Sighting, attempts: tuple[int, ...]) -> list[Verdict]:
        """Report it, unless it is closed, or was there at the start as far as anybody can tell."""
        if position.position_id in self._known.past:
            return []
        self._known.others.add(position.position_id)
        new = position.sequence != self._baseline or attempts or position.earliest > self._began
        return [Unclaimed(position.position_id, attempts)] if new else []

    def _conclude(self, alike: Alike) -> list[Verdict]:
        """End the attempts whose absence is proven."""
        verdicts: list[Verdict] = []
        traded = False
        for attempt in self._overdue(alike):
            if any(self._may_have_opened(attempt, position) for position in alike.waiting.values()):
                continue
            if holder := self._holder_to_trade_with(attempt):
                self._trade(attempt, holder)
                traded = True
            else:
                verdicts.append(self._end(attempt))
        return verdicts + self._conclude(alike) if traded else verdicts

    def _overdue(self, alike: Alike) -> list[Attempt]:
        passed = alike.in_doubt[: bisect_left(alike.in_doubt, (self._proven_at,))]
        return [attempt for _, _, attempt in passed if attempt.window_end + attempt.lag < self._proven_at]

    def _holder_to_trade_with(self, attempt: Attempt) -> Attempt | None:
        """Who opened nothing for certain, yet was given what an attempt that heard yes may have opened."""
        unseen = attempt.others_close or self._swept(attempt) or any(self._candidates(attempt))
        if unseen or not attempt.said_yes:
            return None
        holders = (holder for holder in attempt.alike.holders.values() if not holder.said_yes)
        return next((h for h in holders if h.position and self._may_own(attempt, h.position)), None)

    def _trade(self, attempt: Attempt, holder: Attempt) -> None:
        """The holder's position is the attempt's: the two change names, and the attempt waits in the holder's place."""
        position = holder.position
        assert position is not None
        self._leave(attempt)
        attempt.position, holder.position = position, None
        attempt.number, holder.number = holder.number, attempt.number
        attempt.waited_for, holder.waited_for = holder.waited_for, attempt.waited_for
        self._attempts[attempt.number], self._attempts[holder.number] = attempt, holder
        self._known.hand_over(position.position_id, attempt)
        del attempt.alike.holders[position.position_id]
        self._join_doubt(holder)

    def _end(self, attempt: Attempt) -> Absent | Undecidable:
        candidates = tuple(sorted(islice(self._candidates(attempt), NAMED)))
        number, waited_for = attempt.number, attempt.waited_for
        self._leave(attempt)
        attempt.waited_for = False
        attempt.ended_at = self._now
        attempt.alike.ended[number] = attempt
        self._ended.append(attempt)
        if candidates or self._undecidable(attempt):
            return Undecidable(number, waited_for, candidates)
        return Absent(number, waited_for)

    def _undecidable(self, attempt: Attempt) -> bool:
        if attempt.said_yes or attempt.others_close or self._swept(attempt):
            return True
        return not (attempt.anchored or self._clock_on)

    def _candidates(self, attempt: Attempt) -> Iterator[int]:
        alike = attempt.alike
        for position in (*alike.waiting.values(), *alike.perhaps.values()):
            if attempt.position is None and self._may_have_opened(attempt, position):
                yield position.position_id

    def _wait(self, alike: Alike, position: Sighting) -> None:
        self._unowned[position.position_id] = alike
        alike.wait(position)

    def _join_doubt(self, attempt: Attempt) -> None:
        self._in_doubt[attempt.number] = attempt
        attempt.alike.unanchored += not attempt.anchored
        insort(attempt.alike.in_doubt, attempt.place)

    def _leave(self, attempt: Attempt) -> None:
        """Take it out of what is in flight, in doubt, or has ended."""
        alike = attempt.alike
        if self._in_flight.pop(attempt.number, None):
            attempt.in_flight = False
            alike.unanchored -= not attempt.anchored
        elif self._in_doubt.pop(attempt.number, None):
            del alike.in_doubt[bisect_left(alike.in_doubt, attempt.place)]
            alike.unanchored -= not attempt.anchored
        else:
            alike.ended.pop(attempt.number, None)

    def _alike(self, kind: Kind) -> Alike:
        found = self._find(kind)
        if found is None:
            self._forget_idle_kinds()
            found = self._kinds[_key(kind, 0)] = Alike(float(kind.size))
        return found

    def _find(self, kind: Kind) -> Alike | None:
        """Sizes that are the same may be rounded to neighbours, and to the next but one from a half on."""
        for step in (0, -1, 1, -2, 2):
            found = self._kinds.get(_key(kind, step))
            if found and _same_size(found.size, float(kind.size)):
                return found
        return None

    def _forget_idle_kinds(self) -> None:
        if len(self._kinds) >= self._enough_kinds:
            self._kinds = {key: alike for key, alike in self._kinds.items() if not alike.idle()}
            self._enough_kinds = max(256, 2 * len(self._kinds))

    def _forget(self) -> None:
        if self._now < self._forget_at:
            return
        self._forget_at = self._now + REMEMBERED / 100
        before = self._now - REMEMBERED
        for position_id, holder in self._known.forget_past(before):
            holder.alike.holders.pop(position_id, None)
            self._attempts.pop(holder.number, None)
        while self._ended and self._ended[0].ended_at < before:
            ended = self._ended.popleft()
            if ended.alike.ended.pop(ended.number, None):
                self._attempts.pop(ended.number, None)


def _key(kind: Kind, step: int) -> tuple[str, str, bool, float]:
    grains = float(kind.size) / SAME_SIZE
    rounded = round(grains) if math.isfinite(grains) else grains
    return kind.base_asset.upper(), kind.quote_asset.upper(), kind.is_long, rounded + step


def _same_size(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_SIZE * 1.000001  # floats: the difference of 0.3 and 0.30000001 is a little more
