"""What a ledger knows, as plain data: the one event that stands for all that came before it.

A ledger that takes it goes on as the one that gave it would have: what is open and whose, what is undecided, and what
is remembered of what has ended. What can be found again from that, such as the order of the queues, is not in it.
"""

from __future__ import annotations

from itertools import chain
from typing import Final

import attrs

from .events import Kind
from .known import Known, Past
from .placing import Placing
from .proof import Proof, Sweeps, UnderWay
from .records import Alike, Attempt, Sighting

Place = tuple[str, str, bool, int]


@attrs.frozen
class SightingData:
    """A position that was seen; `near` and `waits_for` say where it waits for its owner, if it does."""

    position_id: int
    kind: Kind | None
    rank: int
    sequence: int
    earliest: float
    latest: float
    seen_at: float
    first: int
    near: Place | None = None
    waits_for: Kind | None = None

    @classmethod
    def of(cls, seen: Sighting) -> SightingData:
        return cls(
            seen.position_id,
            seen.kind,
            seen.rank,
            seen.sequence,
            seen.earliest,
            seen.latest,
            seen.seen_at,
            seen.first,
            None if seen.near is None else seen.near.place,
            None if seen.alike is None else seen.alike.kind,
        )

    def made(self) -> Sighting:
        seen = Sighting(self.position_id, self.kind, self.rank, self.sequence, self.earliest, self.latest, self.seen_at)
        seen.first = self.first
        return seen


@attrs.frozen
class AttemptData:
    """An attempt that is undecided, was given its position by inference, or has ended without one."""

    kind: Kind
    number: int
    serial: int
    sequence: int
    floor: int
    anchored: bool
    sent: float
    timeout: float
    settle_time: float
    lag: float
    others_close: bool
    in_flight: bool
    in_doubt: bool
    waited_for: bool
    said_yes: bool
    window_end: float
    proven: float
    ended_at: float
    position: SightingData | None

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptData:
        values = {name: getattr(attempt, name) for name in _COPIED}
        held = None if attempt.position is None else SightingData.of(attempt.position)
        return cls(kind=attempt.alike.kind, position=held, **values)

    def made(self, alike: Alike) -> Attempt:
        values = {name: getattr(self, name) for name in _COPIED}
        return Attempt(alike=alike, position=None if self.position is None else self.position.made(), **values)


_COPIED: Final = tuple(field.name for field in attrs.fields(AttemptData) if field.name not in {"kind", "position"})


@attrs.frozen
class PlacingData:
    """The attempts, the positions that wait for owners, and what was learned of ids and sizes."""

    baseline: int | None
    ids_grow: bool
    exact: bool
    longest: float
    undecided: tuple[AttemptData, ...]
    holders: tuple[AttemptData, ...]
    ended: tuple[AttemptData, ...]
    unowned: tuple[SightingData, ...]
    unsure_kinds: tuple[tuple[Kind, int], ...]
    marks: tuple[tuple[Place, int, int], ...]
    """Of each step on the scale of sizes, up to which sequence something was reported, or is unsure."""

    @classmethod
    def of(cls, placing: Placing, ended: list[Attempt]) -> PlacingData:
        alikes, nears = list(placing.sizes.kinds()), list(placing.sizes.steps())
        return cls(
            placing.baseline,
            placing.ids_grow,
            placing.sizes.exact,
            placing.longest,
            tuple(AttemptData.of(one) for one in chain(placing.in_flight.values(), placing.in_doubt.values())),
            tuple(AttemptData.of(one) for alike in alikes for one in alike.holders.values()),
            tuple(AttemptData.of(one) for one in ended),
            tuple(SightingData.of(one) for one in placing.unowned.values()),
            tuple((alike.kind, alike.unsure_below) for alike in alikes if alike.unsure_below),
            tuple((n.place, n.reported, n.unsure_below) for n in nears if n.reported or n.unsure_below),
        )

    def into(self, placing: Placing) -> list[Attempt]:
        """Fill one that is empty, and give the attempts that have ended."""
        placing.baseline, placing.ids_grow, placing.longest = self.baseline, self.ids_grow, self.longest
        placing.sizes.exact = self.exact
        for kind, below in self.unsure_kinds:
            placing.sizes.alike(kind).unsure_below = below
        for place, reported, unsure_below in self.marks:
            near = placing.sizes.at(place)
            near.reported, near.unsure_below = reported, unsure_below
        for data in self.undecided:
            placing.undecided_again(_made(data, placing))
        for data in self.holders:
            holder = _made(data, placing)
            assert holder.position is not None
            placing.attempts[holder.number] = holder
            holder.alike.holders[holder.position.position_id] = holder
        ended = [_made(data, placing) for data in self.ended]
        for attempt in ended:
            placing.attempts[attempt.number] = attempt.alike.near.ended[attempt.number] = attempt
        for seen in self.unowned:
            assert seen.near is not None
            alike = None if seen.waits_for is None else placing.sizes.alike(seen.waits_for)
            placing.unowned_again(seen.made(), placing.sizes.at(seen.near), alike)
        return ended


def _made(data: AttemptData, placing: Placing) -> Attempt:
    return data.made(placing.sizes.alike(data.kind))


@attrs.frozen
class PastData:
    """A position that is closed: since when, and who owned it."""

    position_id: int
    at: float
    holder: int | None


@attrs.frozen
class KnownData:
    """What is known of each position."""

    holders: dict[int, int]
    open: dict[int, float]
    leaving: dict[int, float]
    perhaps_closed: dict[int, float]
    missing_since: dict[int, float]
    shown_since: dict[int, float]
    others: tuple[SightingData, ...]
    past: tuple[PastData, ...]
    """In the order in which they are forgotten."""
    uncertain: dict[int, bool]
    first_seen: dict[int, int]
    untold: dict[int, tuple[int, ...]]

    @classmethod
    def of(cls, known: Known) -> KnownData:
        past = ((position_id, known.past[position_id]) for position_id in known.order())
        return cls(
            dict(known.holders),
            dict(known.open),
            dict(known.leaving),
            dict(known.perhaps_closed),
            dict(known.missing_since),
            dict(known.shown_since),
            tuple(SightingData.of(one) for one in known.others.values()),
            tuple(PastData(position_id, one.at, one.holder) for position_id, one in past),
            dict(known.uncertain),
            dict(known.first_seen),
            dict(known.untold),
        )

    def into(self, known: Known) -> None:
        """Fill one that is empty."""
        known.holders, known.open, known.leaving = dict(self.holders), dict(self.open), dict(self.leaving)
        known.perhaps_closed, known.missing_since = dict(self.perhaps_closed), dict(self.missing_since)
        known.shown_since, known.uncertain = dict(self.shown_since), dict(self.uncertain)
        known.first_seen, known.untold = dict(self.first_seen), dict(self.untold)
        known.others = {one.position_id: one.made() for one in self.others}
        known.remember({one.position_id: Past(one.at, one.holder) for one in self.past})


@attrs.frozen
class ProofData:
    """What lists have proven, and what close-alls may have closed."""

    lag: float
    asked_at: float
    last: float
    was_cut: bool
    under_way: tuple[UnderWay, ...]
    swept_until: float

    @classmethod
    def of(cls, proof: Proof, sweeps: Sweeps) -> ProofData:
        under_way = tuple(sweeps.under_way.values())
        return cls(proof.lag, proof.asked_at, proof.last, proof.was_cut, under_way, sweeps.until)

    def into(self, proof: Proof, sweeps: Sweeps) -> None:
        """Fill those that are empty."""
        proof.lag, proof.asked_at, proof.last, proof.was_cut = self.lag, self.asked_at, self.last, self.was_cut
        sweeps.under_way = {one.sweep: one for one in self.under_way}
        sweeps.until = self.swept_until


@attrs.frozen
class Carried:
    """All that a ledger knows. The first event that another takes; it goes on from there."""

    now: float
    began: float
    sequence: int
    largest_id: int
    clock_on: bool
    answers_err: bool
    ended_runs: dict[int, float]
    placing: PlacingData
    known: KnownData
    proof: ProofData
