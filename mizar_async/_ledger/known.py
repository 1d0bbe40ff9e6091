"""What the ledger knows of each position: who owns it, and whether it is still there."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .events import Row
    from .records import Sighting

ENOUGH_ROWS = 10  # a list of fewer is taken to be whole


@attrs.define(eq=False)
class Past:
    """A position that was open once: since when it no longer is, and the number of its owner."""

    # There are as many of these as closes in ten minutes, so that each byte counts.
    at: float
    holder: int | None


class Known:
    """The positions that somebody owns, and those that are nobody's."""

    def __init__(self) -> None:
        self.holders: dict[int, int] = {}
        self.open: dict[int, float] = {}  # since when
        self.leaving: dict[int, float] = {}  # a close of ours is on its way
        self.perhaps_closed: dict[int, float] = {}
        self.missing_since: dict[int, float] = {}
        self.shown_since: dict[int, float] = {}  # though it is certainly closed
        self.others: dict[int, Sighting] = {}
        self.past: dict[int, Past] = {}
        # Of the past what lists lack, or a 409 calls closed, and whether a close of ours was sent.
        self.uncertain: dict[int, bool] = {}
        self.first_seen: dict[int, int] = {}  # the sequence of what was nobody's, and is closed
        self.untold: dict[int, tuple[int, ...]] = {}  # closed before it was reported, and whose it may be
        self._order: deque[int] = deque()
        self._again: Counter[int] = Counter()  # how often it stands in the order for times that do not count

    def order(self) -> list[int]:
        """What is closed, in the order in which it is forgotten."""
        again, order = Counter(self._again), []
        for position_id in self._order:
            if again[position_id]:
                again[position_id] -= 1
            else:
                order.append(position_id)
        return order

    def remember(self, past: dict[int, Past]) -> None:
        """Take over what was closed, in the order in which it is to be forgotten."""
        self.past, self._order = past, deque(past)

    def holder(self, position_id: int) -> int | None:
        """The number of who owns it, or owned it until it was closed."""
        past = self.past.get(position_id)
        return past.holder if past else self.holders.get(position_id)

    def has(self, position_id: int) -> bool:
        return position_id in self.holders or position_id in self.others or position_id in self.past

    def hold(self, position_id: int, holder: int, since: float, *, perhaps_closed: bool) -> None:
        self.others.pop(position_id, None)
        self.first_seen.pop(position_id, None)
        self.untold.pop(position_id, None)
        if past := self.past.get(position_id):
            past.holder = holder
            return
        self.holders[position_id] = holder
        (self.perhaps_closed if perhaps_closed else self.open)[position_id] = since

    def leave(self, position_id: int) -> None:
        for place in (self.open, self.perhaps_closed):
            if position_id in place:
                self.leaving[position_id] = place.pop(position_id)
        self.missing_since.pop(position_id, None)
        if position_id in self.uncertain:
            self.uncertain[position_id] = True

    def sweep(self) -> None:
        self.perhaps_closed.update(self.open)
        self.open.clear()
        self.missing_since.clear()

    def put_away(self, position_id: int, at: float, *, certain: bool) -> None:
        """It is closed, or (not `certain`) gone as far as lists show. What is certain stays so."""
        past = self.past.get(position_id)
        if past is None:
            self._order.append(position_id)
            self.past[position_id] = Past(at, self.holders.pop(position_id, None))
        elif certain or position_id in self.uncertain:
            past.at = at
        else:
            return
        if certain:
            self.uncertain.pop(position_id, None)
        else:
            self.uncertain.setdefault(position_id, position_id in self.leaving)
        for place in (self.open, self.leaving, self.perhaps_closed, self.missing_since, self.shown_since):
            place.pop(position_id, None)
        if sighting := self.others.pop(position_id, None):
            self.first_seen[position_id] = sighting.sequence

    def contradictions(self, here: dict[int, Row], as_of: float) -> list[int]:
        """What the list shows though it was closed before the time that the list stands for."""
        past = self.past
        return [position_id for position_id in here if position_id in past and past[position_id].at <= as_of]

    def bring_back(self, position_id: int, as_of: float) -> None:
        """It is open after all, and its owner keeps it; a close of ours may act yet."""
        self.shown_since.pop(position_id, None)
        leaving = self.uncertain.pop(position_id, True)
        self._again[position_id] += 1
        holder = self.past.pop(position_id).holder
        if holder is not None:
            self.holders[position_id] = holder
            (self.leaving if leaving else self.perhaps_closed)[position_id] = as_of

    def note_shown(self, here: dict[int, Row]) -> None:
        """What was missing is there again, and what was shown though it is closed is not."""
        for position_id in self.missing_since.keys() & here.keys():
            del self.missing_since[position_id]
        for position_id in self.shown_since.keys() - here.keys():
            del self.shown_since[position_id]

    def still_open(self, here: dict[int, Row]) -> None:
        """A fresh list shows what may have been closed: it is known to be open again."""
        for position_id in self.perhaps_closed.keys() & here.keys():
            self.open[position_id] = self.perhaps_closed.pop(position_id)

    def lacking(self, here: dict[int, Row], as_of: float) -> list[int]:
        """What was open then for certain, and is not in the list."""
        return sorted(gone for gone in self.open.keys() - here.keys() if self.open[gone] <= as_of)

    def is_cut(self, here: dict[int, Row], lacking: list[int], *, ids_grow: bool) -> bool:
        """Whether a list shows nothing newer than what it lacks, so that it may end too early."""
        if not lacking or len(here) < ENOUGH_ROWS:
            return False
        if ids_grow:
            return max(lacking) > max(here)
        return max(self.open[position_id] for position_id in lacking) > max(map(self._since, here))

    def _since(self, position_id: int) -> float:
        """When it was known first; what nobody owns yet is as new as can be, and what is closed tells nothing."""
        for place in (self.open, self.perhaps_closed, self.leaving):
            if position_id in place:
                return place[position_id]
        if stranger := self.others.get(position_id):
            return stranger.seen_at
        return -math.inf if position_id in self.past else math.inf

    def forget_gone(self, here: dict[int, Row], as_of: float) -> None:
        """A fresh list lacks what we have closed ourselves, or what others have."""
        ours = [*self.leaving.items(), *self.perhaps_closed.items()]
        gone = [position_id for position_id, since in ours if since <= as_of and position_id not in here]
        for position_id in (*gone, *(self.others.keys() - here.keys())):
            self.put_away(position_id, as_of, certain=False)

    def forget_past(self, before: float) -> Iterator[tuple[int, int]]:
        """Forget what was closed before that time, and give what somebody held of it."""
        while self._order:
            position_id = self._order[0]
            counts = position_id not in self._again
            if counts and self.past[position_id].at >= before:
                return
            self._order.popleft()
            if counts:
                yield from self._forget(position_id)
            else:
                self._again -= Counter((position_id,))

    def _forget(self, position_id: int) -> Iterator[tuple[int, int]]:
        holder = self.past.pop(position_id).holder
        self.uncertain.pop(position_id, None)
        for place in (self.shown_since, self.first_seen, self.untold):
            place.pop(position_id, None)
        if holder is not None:
            yield position_id, holder
