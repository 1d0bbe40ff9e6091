"""What the ledger remembers: attempts, sightings of positions, and what is known of each position."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .events import Row


@attrs.define(eq=False)
class Sighting:
    """A position as it was seen first. `rank` is the id that dates it: its own, or that of the one it stands for."""

    position_id: int
    rank: int
    sequence: int
    earliest: float
    latest: float
    seen_at: float

    @property
    def dated(self) -> bool:
        return self.earliest > -math.inf and self.latest < math.inf

    def or_else(self, other: Sighting, position_id: int) -> Sighting:
        """What may have been opened as this one, or as the other."""
        return Sighting(
            position_id,
            max(self.rank, other.rank),
            max(self.sequence, other.sequence),
            min(self.earliest, other.earliest),
            max(self.latest, other.latest),
            other.seen_at,
        )


@attrs.define(eq=False)
class Attempt:
    number: int
    alike: Alike
    sequence: int
    floor: int
    anchored: bool
    sent: float
    timeout: float
    settle_time: float
    lag: float
    others_close: bool
    in_flight: bool = True
    waited_for: bool = True
    said_yes: bool = False
    window_end: float = math.inf
    ended_at: float = math.inf
    position: Sighting | None = None

    @property
    def place(self) -> tuple[float, int, Attempt]:
        """Its place in the order of window ends."""
        return self.window_end, self.sequence, self


@attrs.define(eq=False)
class Alike:
    """All attempts of one kind, and the unowned positions that may be theirs."""

    size: float
    sent: deque[Attempt] = attrs.field(factory=deque)
    in_doubt: list[tuple[float, int, Attempt]] = attrs.field(factory=list)
    ended: dict[int, Attempt] = attrs.field(factory=dict)
    holders: dict[int, Attempt] = attrs.field(factory=dict)  # by the position that they were given by inference
    waiting: dict[int, Sighting] = attrs.field(factory=dict)
    order: list[tuple[int, int]] = attrs.field(factory=list)
    perhaps: dict[int, Sighting] = attrs.field(factory=dict)
    unanchored: int = 0
    swept_below: int = 0

    def oldest_in_flight(self) -> Attempt | None:
        while self.sent and not self.sent[0].in_flight:
            self.sent.popleft()
        return self.sent[0] if self.sent else None

    def wait(self, position: Sighting) -> None:
        self.perhaps.pop(position.position_id, None)
        self.waiting[position.position_id] = position
        heappush(self.order, (position.rank, position.position_id))

    def first_waiting(self) -> Sighting | None:
        while self.order and self.order[0][1] not in self.waiting:
            heappop(self.order)
        return self.waiting[self.order[0][1]] if self.order else None

    def drop(self, position_id: int) -> Sighting | None:
        return self.waiting.pop(position_id, None) or self.perhaps.pop(position_id, None)

    def idle(self) -> bool:
        attempts = self.oldest_in_flight() or self.in_doubt or self.ended or self.holders
        return not (attempts or self.waiting or self.perhaps)


@attrs.define(eq=False)
class Past:
    """A position that was open once. `certain`: known to be closed, not only missing from a listing."""

    at: float
    certain: bool
    holder: Attempt | None


class Known:
    """The positions that somebody owns, and those that are nobody's, and whether they are still there."""

    def __init__(self) -> None:
        self.holders: dict[int, Attempt] = {}
        self.open: dict[int, float] = {}  # since when
        self.leaving: dict[int, float] = {}  # a close of ours is on its way
        self.perhaps_swept: dict[int, float] = {}
        self.missing_since: dict[int, float] = {}
        self.others: set[int] = set()
        self.past: OrderedDict[int, Past] = OrderedDict()

    def holder(self, position_id: int) -> Attempt | None:
        """Who owns it, or owned it until it was closed."""
        past = self.past.get(position_id)
        return past.holder if past else self.holders.get(position_id)

    def hold(self, position_id: int, attempt: Attempt, since: float) -> None:
        self.others.discard(position_id)
        if past := self.past.get(position_id):
            past.holder = attempt
        else:
            self.holders[position_id] = attempt
            self.open[position_id] = since

    def hand_over(self, position_id: int, attempt: Attempt) -> None:
        if position_id in self.holders:
            self.holders[position_id] = attempt
        else:
            self.past[position_id].holder = attempt

    def leave(self, position_id: int) -> None:
        for place in (self.open, self.perhaps_swept):
            if position_id in place:
                self.leaving[position_id] = place.pop(position_id)
        self.missing_since.pop(position_id, None)

    def sweep(self) -> None:
        self.perhaps_swept.update(self.open)
        self.open.clear()
        self.missing_since.clear()

    def put_away(self, position_id: int, at: float, *, certain: bool) -> None:
        """It is closed, or (not `certain`) gone as far as lists show."""
        holder = self.holder(position_id)
        self.holders.pop(position_id, None)
        self.past.pop(position_id, None)
        for place in (self.open, self.leaving, self.perhaps_swept, self.missing_since):
            place.pop(position_id, None)
        self.others.discard(position_id)
        self.past[position_id] = Past(at, certain, holder)

    def contradicts(self, here: dict[int, Row], as_of: float) -> bool:
        """Whether the list shows what was closed before. What was only missing is back."""
        shown = [position_id for position_id in self.past if position_id in here]
        for position_id in shown:
            if not self.past[position_id].certain:
                self._bring_back(position_id, as_of)
        return any(position_id in self.past and self.past[position_id].at <= as_of for position_id in shown)

    def _bring_back(self, position_id: int, as_of: float) -> None:
        holder = self.past.pop(position_id).holder
        if holder is None:
            self.others.add(position_id)
        else:
            self.holders[position_id] = holder
            self.perhaps_swept[position_id] = as_of

    def still_open(self, here: dict[int, Row], as_of: float, swept_at: float) -> None:
        """What a close-all has left alone is known to be open again."""
        for position_id in self.missing_since.keys() & here.keys():
            del self.missing_since[position_id]
        if swept_at < as_of:
            for position_id in self.perhaps_swept.keys() & here.keys():
                self.open[position_id] = self.perhaps_swept.pop(position_id)

    def lacking(self, here: dict[int, Row], as_of: float) -> list[int]:
        """What was open then for certain, and is not in the list."""
        return sorted(gone for gone in self.open.keys() - here.keys() if self.open[gone] <= as_of)

    def forget_gone(self, here: dict[int, Row], as_of: float) -> None:
        """A fresh list lacks what we have closed ourselves, or what others have."""
        ours = [*self.leaving.items(), *self.perhaps_swept.items()]
        gone = [position_id for position_id, since in ours if since <= as_of and position_id not in here]
        for position_id in (*gone, *self.others.difference(here)):
            self.put_away(position_id, as_of, certain=False)

    def forget_past(self, before: float) -> Iterator[tuple[int, Attempt]]:
        """Forget what was closed before that time, and give what attempts held of it."""
        while self.past and next(iter(self.past.values())).at < before:
            position_id, past = self.past.popitem(last=False)
            if past.holder:
                yield position_id, past.holder
