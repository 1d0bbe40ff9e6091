"""What the ledger remembers of attempts, and of positions that nobody owns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush

import attrs

from .events import Kind


@attrs.define(eq=False)
class Sighting:
    """A position as it was seen first. `rank` is the id that dates it: its own, or that of the one it stands for.

    `sequence` is that of the list that first showed what it stands for, `first` that of its own.
    """

    position_id: int
    kind: Kind | None
    rank: int
    sequence: int
    earliest: float
    latest: float
    seen_at: float
    near: Near | None = None
    alike: Alike | None = None
    first: int = attrs.field(init=False, default=attrs.Factory(lambda self: self.sequence, takes_self=True))

    @property
    def dated(self) -> bool:
        return self.earliest > -math.inf and self.latest < math.inf

    @property
    def seen(self) -> tuple[int, int]:
        return self.first, self.sequence

    def or_else(self, other: Sighting) -> None:
        """From now on it stands for what was opened as itself, or as the other."""
        self.rank = max(self.rank, other.rank)
        self.sequence = max(self.sequence, other.sequence)
        self.earliest = min(self.earliest, other.earliest)
        self.latest = max(self.latest, other.latest)


@attrs.define(eq=False)
class Attempt:
    """One open that was sent. `proven` is the first list that could have shown what it opened, as a sequence number.

    `serial` tells it from all others, also where two have traded their names, or stand for each other.
    """

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
    serial: int = attrs.field(default=attrs.Factory(lambda self: self.sequence, takes_self=True))
    in_flight: bool = True
    in_doubt: bool = False
    waited_for: bool = True
    said_yes: bool = False
    window_end: float = math.inf
    proven: float = math.inf
    ended_at: float = math.inf
    position: Sighting | None = None

    @property
    def place(self) -> tuple[float, int, int, Attempt]:
        """Its place in the order of window ends."""
        return self.window_end, self.sequence, self.serial, self

    @property
    def undecided(self) -> bool:
        return self.in_flight or self.in_doubt

    @property
    def open(self) -> bool:
        """Whether what it opened may still be to come."""
        return self.in_flight or (self.in_doubt and self.proven == math.inf)

    def or_else(self, other: Attempt) -> None:
        """From now on it stands for what itself may have opened, or the other."""
        self.sequence = min(self.sequence, other.sequence)
        self.floor = min(self.floor, other.floor)
        self.anchored = self.anchored and other.anchored
        self.sent = min(self.sent, other.sent)
        self.others_close = self.others_close or other.others_close


@attrs.define(eq=False)
class Oldest:
    """The attempts for which something still holds, by their sequence. Those for which it does not are dropped late."""

    holds: Callable[[Attempt], bool]
    queue: list[tuple[int, int, Attempt]] = attrs.field(factory=list)
    enough: int = 64

    def add(self, attempt: Attempt) -> None:
        if len(self.queue) >= self.enough:  # one that stays long must not keep all that came after it
            self.queue = [one for one in self.queue if self.holds(one[2])]
            heapify(self.queue)
            self.enough = max(64, 2 * len(self.queue))
        heappush(self.queue, (attempt.sequence, attempt.serial, attempt))

    def first(self) -> Attempt | None:
        while self.queue and not self.holds(self.queue[0][2]):
            heappop(self.queue)
        return self.queue[0][2] if self.queue else None

    def sequence(self) -> float:
        return self.queue[0][0] if self.first() else math.inf


@attrs.define(eq=False)
class Alike:
    """All attempts of one kind, and the unowned positions that are to be given to them, in the order of their ranks."""

    kind: Kind
    near: Near
    in_flight: Oldest = attrs.field(factory=lambda: Oldest(lambda attempt: attempt.in_flight))
    in_doubt: list[tuple[float, int, int, Attempt]] = attrs.field(factory=list)
    doubted: Oldest = attrs.field(factory=lambda: Oldest(lambda attempt: attempt.in_doubt))
    holders: dict[int, Attempt] = attrs.field(factory=dict)  # by the position that they were given by inference
    waiting: dict[int, Sighting] = attrs.field(factory=dict)
    order: list[tuple[float, int, int]] = attrs.field(factory=list)
    unsure_below: int = 0  # of what was sent before, one may have opened what was given to another of them
    size: float = attrs.field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self.size = float(self.kind.size)

    @property
    def undecided(self) -> bool:
        return bool(self.in_doubt or self.in_flight.first())

    def wait(self, position: Sighting, *, ids_grow: bool) -> None:
        position.alike = self
        self.waiting[position.position_id] = position
        rank = position.rank if ids_grow else position.latest
        heappush(self.order, (rank, position.sequence, position.position_id))

    def first_waiting(self) -> Sighting | None:
        while self.order and self.order[0][-1] not in self.waiting:
            heappop(self.order)
        return self.waiting[self.order[0][-1]] if self.order else None

    def idle(self) -> bool:
        return not (self.undecided or self.holders or self.waiting)


class Seen(dict[tuple[int, int], dict[int, Sighting]]):
    """Positions by when they were seen: few lists show many of them."""

    def add(self, position: Sighting) -> None:
        self.setdefault(position.seen, {})[position.position_id] = position

    def drop(self, position: Sighting) -> None:
        group = self.get(position.seen, {})
        group.pop(position.position_id, None)
        if not group:
            self.pop(position.seen, None)

    def perhaps_of(self, attempt: Attempt) -> Iterator[tuple[int, int]]:
        """When something was first seen while the attempt may have opened it."""
        return (seen for seen in self if attempt.sequence < seen[1] and seen[0] <= attempt.proven)


@attrs.define(eq=False)
class Near:
    """One step on the scale of sizes of a pair and side; `around` are the steps within 1 %, itself among them."""

    place: tuple[str, str, bool, int]
    """Pair, side and step."""
    around: list[Near] = attrs.field(factory=list)
    undecided: Oldest = attrs.field(factory=lambda: Oldest(lambda attempt: attempt.undecided))
    open: Oldest = attrs.field(factory=lambda: Oldest(lambda attempt: attempt.open))
    unowned: Seen = attrs.field(factory=Seen)
    strays: Seen = attrs.field(factory=Seen)  # of the unowned those that fit nobody
    held_up: dict[tuple[int, int], list[Attempt]] = attrs.field(factory=dict)  # by when what may be theirs was seen
    ended: dict[int, Attempt] = attrs.field(factory=dict)
    reported: int = 0
    unsure_below: int = 0  # of what was sent before, one may have opened what another was told

    def first_undecided(self) -> float:
        """The sequence of the oldest attempt, in flight or in doubt, that may own what is seen here."""
        return min(near.undecided.sequence() for near in self.around)

    def first_open(self) -> float:
        """The same of those whose windows are open."""
        return min(near.open.sequence() for near in self.around)

    def add(self, position: Sighting) -> None:
        position.near = self
        self.unowned.add(position)

    def drop(self, position: Sighting) -> None:
        self.unowned.drop(position)
        self.strays.drop(position)

    def perhaps_of(self, attempt: Attempt) -> Iterator[Sighting]:
        """What was first seen here while the attempt may have opened it."""
        return (position for seen in self.unowned.perhaps_of(attempt) for position in self.unowned[seen].values())

    def idle(self) -> bool:
        return not (self.unowned or self.ended or self.undecided.first())
