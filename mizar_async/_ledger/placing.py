"""Which attempt is given which position: the owners of what is listed, by the rules that `ledger` gives reasons for."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from itertools import islice
from typing import TYPE_CHECKING

from .events import Opened
from .sizes import Sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .known import Known
    from .proof import Sweeps
    from .records import Alike, Attempt, Near, Sighting

HEIRS = 8  # looked at for one that nothing else may belong to
NAMED = 100  # ids named in one verdict at most: thousands would help nobody, and cost the square of their number


class Placing:
    """The attempts that have no position yet, and the positions that have no owner.

    What may be decided anew stands in `to_place` and `stirred` until the ledger settles it.
    """

    def __init__(self, known: Known, sweeps: Sweeps) -> None:
        self.baseline: int | None = None  # the sequence number of the first listing
        self.ids_grow = True
        self.longest = 0.0  # window, lag included
        self.sizes = Sizes()
        self.attempts: dict[int, Attempt] = {}
        self.in_flight: dict[int, Attempt] = {}
        self.in_doubt: dict[int, Attempt] = {}
        self.unowned: dict[int, Sighting] = {}
        self.to_place: dict[Alike, None] = {}
        self.stirred: dict[Near, None] = {}
        self._known = known
        self._sweeps = sweeps

    def add(self, attempt: Attempt) -> None:
        """Note one that is sent now."""
        self.attempts[attempt.number] = self.in_flight[attempt.number] = attempt
        attempt.alike.in_flight.add(attempt)
        self.count_as_undecided(attempt)

    def undecided_again(self, attempt: Attempt) -> None:
        """Take over one that is in flight or in doubt."""
        self.attempts[attempt.number] = attempt
        if attempt.in_flight:
            self.in_flight[attempt.number] = attempt
            attempt.alike.in_flight.add(attempt)
        else:
            self._look_for(attempt)
        self.count_as_undecided(attempt)

    def unowned_again(self, position: Sighting, near: Near, alike: Alike | None) -> None:
        """Take over a position that waits for an owner: for one of those who asked for it, if there are any."""
        self.unowned[position.position_id] = position
        near.add(position)
        if alike is None:
            near.strays.add(position)
        else:
            alike.wait(position, ids_grow=self.ids_grow)

    def count_as_undecided(self, attempt: Attempt) -> None:
        """Let what is seen near its size wait for it."""
        near = attempt.alike.near
        for oldest in (near.undecided, near.open):
            oldest.add(attempt)

    def wait(self, position: Sighting, near: Near) -> None:
        """Let a position wait for its owner."""
        self.unowned[position.position_id] = position
        near.add(position)
        self.look_for_an_heir(position)

    def look_for_an_heir(self, position: Sighting) -> None:
        """Let it wait for those who asked for its size; what nobody did waits only for whom it perhaps belongs to."""
        assert position.kind is not None
        assert position.near is not None
        if alike := position.alike or self.sizes.asked_for(position.kind):
            position.near.strays.drop(position)
            alike.wait(position, ids_grow=self.ids_grow)
            self.to_place[alike] = None
        else:
            position.near.strays.add(position)
        self.stirred[position.near] = None

    def place_waiting(self, alike: Alike) -> list[Opened]:
        """Give away what waits for attempts of one kind, as far as that is certain now."""
        verdicts: list[Opened] = []
        while (position := alike.first_waiting()) and not self._wanted_in_flight(alike, position):
            if heir := self._heir(alike, position):
                verdicts.append(self._adopt(heir, position))
            else:
                self._fits_nobody(alike, position)
        return verdicts

    def _fits_nobody(self, alike: Alike, position: Sighting) -> None:
        del alike.waiting[position.position_id]
        position.alike = None
        assert position.near is not None
        position.near.strays.add(position)
        self.stirred[position.near] = None

    def _wanted_in_flight(self, alike: Alike, position: Sighting) -> bool:
        oldest = alike.in_flight.first()
        return oldest is not None and self._fits(oldest, position)

    def _heir(self, alike: Alike, position: Sighting) -> Attempt | None:
        """Of the attempts in doubt which may own the position, the one whose window ends first."""
        oldest = alike.doubted.first()
        if oldest is None or not self._was_sent_before(oldest, position):
            return None  # nor was any that came after it
        if position.sequence == self.baseline and not position.dated:
            return None  # nobody was anchored yet
        first = bisect_left(alike.in_doubt, (position.earliest,))
        doubted = (alike.in_doubt[index][-1] for index in range(first, len(alike.in_doubt)))
        heirs = list(islice((attempt for attempt in doubted if self._may_own(attempt, position)), HEIRS))
        return next((heir for heir in heirs if not any(self._strays(heir))), heirs[0] if heirs else None)

    def _strays(self, attempt: Attempt) -> Iterator[tuple[Near, tuple[int, int]]]:
        """Where, and seen when, there is what fits nobody and is perhaps the attempt's."""
        for near in attempt.alike.near.around if self.unowned else ():
            for seen in near.strays.perhaps_of(attempt):
                if seen[0] != self.baseline:
                    yield near, seen

    def _may_own(self, attempt: Attempt, position: Sighting) -> bool:
        return (attempt.anchored or position.dated) and self._fits(attempt, position)

    def _fits(self, attempt: Attempt, position: Sighting) -> bool:
        return position.earliest <= attempt.window_end and self._was_sent_before(attempt, position)

    def _was_sent_before(self, attempt: Attempt, position: Sighting) -> bool:
        return (
            attempt.sequence < position.sequence
            and (position.rank > attempt.floor or not self.ids_grow)
            and attempt.sent <= position.latest
        )

    def _adopt(self, attempt: Attempt, position: Sighting) -> Opened:
        alike = attempt.alike
        self.take_out(position.position_id)
        if self.perhaps_unseen(attempt):
            alike.unsure_below = max(alike.unsure_below, position.sequence)
        alike.holders[position.position_id] = attempt
        for near, seen in list(self._strays(attempt)):
            if seen[1] < position.sequence:
                self._pass_on(near, seen, position)
        return self.give(attempt, position)

    def _pass_on(self, near: Near, seen: tuple[int, int], position: Sighting) -> None:
        """What is perhaps the attempt's is now also of those whose position it was given; but not for ever."""
        for stray in list(near.strays[seen].values()):
            if position.seen_at - stray.seen_at < self.longest:
                near.drop(stray)
                stray.sequence = position.sequence
                near.add(stray)
                near.strays.add(stray)
                self.stirred[near] = None

    def take_out(self, position_id: int) -> Sighting | None:
        """Count it as unowned no more."""
        position = self.unowned.pop(position_id, None)
        if position and position.near:
            position.near.drop(position)
            self.stirred[position.near] = None
        if position and position.alike:
            del position.alike.waiting[position_id]
            position.alike = None
        return position

    def give(self, attempt: Attempt, position: Sighting) -> Opened:
        """Let the attempt own it."""
        self.leave(attempt)
        attempt.position = position
        swept = self._sweeps.may_have_met(attempt)
        self._known.hold(position.position_id, attempt.number, position.seen_at, perhaps_closed=swept)
        return Opened(attempt.number, position.position_id, attempt.waited_for)

    def holder_to_trade_with(self, attempt: Attempt) -> Attempt | None:
        """Who opened nothing for certain, yet was given what an attempt that heard yes may have opened."""
        unseen = attempt.others_close or self.perhaps_unseen(attempt) or self.candidates(attempt)
        if unseen or not attempt.said_yes:
            return None
        holders = (holder for holder in attempt.alike.holders.values() if not holder.said_yes)
        return next((h for h in holders if h.position and self._may_own(attempt, h.position)), None)

    def trade(self, attempt: Attempt, holder: Attempt) -> None:
        """The holder's position is the attempt's: the two change names, and the holder's place is free."""
        position = holder.position
        assert position is not None
        self.leave(attempt)
        attempt.position, holder.position = position, None
        attempt.number, holder.number = holder.number, attempt.number
        attempt.waited_for, holder.waited_for = holder.waited_for, attempt.waited_for
        self.attempts[holder.number] = holder
        del self.attempts[attempt.number], attempt.alike.holders[position.position_id]

    def candidates(self, attempt: Attempt) -> tuple[int, ...]:
        """The unowned positions that may be the attempt's, if only perhaps."""
        perhaps = (position for near in attempt.alike.near.around for position in near.perhaps_of(attempt))
        return tuple(sorted(position.position_id for position in islice(perhaps, NAMED)))

    def join_doubt(self, attempt: Attempt) -> None:
        """Look for it from now on."""
        attempt.in_doubt = True
        attempt.proven = math.inf
        self._look_for(attempt)

    def _look_for(self, attempt: Attempt) -> None:
        self.in_doubt[attempt.number] = attempt
        attempt.alike.doubted.add(attempt)
        insort(attempt.alike.in_doubt, attempt.place)

    def leave(self, attempt: Attempt) -> None:
        """Take it out of what is in flight, in doubt, or has ended."""
        alike = attempt.alike
        if self.in_flight.pop(attempt.number, None):
            attempt.in_flight = False
        elif self.in_doubt.pop(attempt.number, None):
            attempt.in_doubt = False
            del alike.in_doubt[bisect_left(alike.in_doubt, attempt.place)]
        else:
            alike.near.ended.pop(attempt.number, None)
        self.stir(attempt)

    def stir(self, attempt: Attempt) -> None:
        """What waited for the attempt may be decided now."""
        if attempt.alike.waiting:
            self.to_place[attempt.alike] = None
        for near in attempt.alike.near.around:
            if near.unowned or near.held_up:
                self.stirred[near] = None

    def perhaps_unseen(self, attempt: Attempt) -> bool:
        """Whether what it opened may never be seen as its own: it was closed by a close-all, or is another's by now."""
        if self._sweeps.may_have_met(attempt) or attempt.sequence < attempt.alike.unsure_below:
            return True
        return any(attempt.sequence < near.unsure_below for near in attempt.alike.near.around)
