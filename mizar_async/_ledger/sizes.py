"""Which opens are alike, and which nearly so: pairs without regard to case, sides, and sizes as numbers.

Sizes within a hundred millionth are the same. What differs by at most 1 % is *near*, for a server that echoes sizes
rounded: the scale is logarithmic, in steps of an eighth of a percent, so that thousands of sizes that lie close
together fall on a few steps, and whatever is within 1 % lies at most eight steps away.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import attrs

from .records import Alike, Near

if TYPE_CHECKING:
    from .events import Kind

SAME_SIZE = 1e-8
NEAR = 0.01
STEPS = 8
STEP = -math.log(1 - NEAR) / (STEPS - 0.01)
NO_SIZE = -(10**9)
ENOUGH = 256
ASKED = 16  # neighbours in size that are looked at: of more, none is the nearest beyond doubt


@attrs.define(eq=False)
class Market:
    """The sizes of one pair and side."""

    pair_and_side: tuple[str, str, bool]
    nears: dict[int, Near] = attrs.field(factory=dict)
    sizes: list[tuple[float, int, Alike]] = attrs.field(factory=list)  # in their order

    def near(self, step: int) -> Near:
        """The step on the scale, made if there is none."""
        if found := self.nears.get(step):
            return found
        near = self.nears[step] = Near((*self.pair_and_side, step))
        near.around = [self.nears[one] for one in _around(step) if one in self.nears]
        for other in near.around:
            if other is not near:
                other.around.append(near)
        return near

    def forget(self, alikes: Collection[Alike]) -> None:
        """Keep only those kinds, and the steps that something stands on."""
        kept = set(alikes)
        self.sizes = [one for one in self.sizes if one[-1] in kept]
        used = {alike.near for alike in kept}
        self.nears = {step: near for step, near in self.nears.items() if near in used or not near.idle()}
        still = set(self.nears.values())
        for near in still:
            near.around = [other for other in near.around if other in still]


class Sizes:
    """The kinds of opens of one strategy. `exact` is False once the server has echoed another size than asked for."""

    def __init__(self) -> None:
        self.exact = True
        self._alikes: dict[tuple[str, str, bool, float], Alike] = {}
        self._last: Alike | None = None  # a bulk asks for one kind again and again
        self._markets: dict[tuple[str, str, bool], Market] = {}
        self._enough = ENOUGH

    @staticmethod
    def same(one: float, other: float) -> bool:
        """Whether two sizes differ by no more than a hundred millionth."""
        return abs(one - other) <= SAME_SIZE * 1.000001  # floats: 0.30000001 - 0.3 is a little more

    def alike(self, kind: Kind) -> Alike:
        """The attempts of a kind."""
        if self._last and self._last.kind == kind:
            return self._last
        found = self._find(kind)
        if found is None:
            self._forget_idle()
            found = self._add(kind)
        self._last = found
        return found

    def near(self, kind: Kind) -> Near | None:
        """The place of a position on the scale of sizes; None if no attempt is anywhere near."""
        if alike := self._find(kind):
            return alike.near
        market = self._markets.get(_market_of(kind))
        step = _step_of(float(kind.size))
        if market is None or not any(one in market.nears for one in _around(step)):
            return None
        return market.near(step)

    def at(self, place: tuple[str, str, bool, int]) -> Near:
        """The step at a place, made if there is none."""
        base, quote, is_long, step = place
        return self._market((base, quote, is_long)).near(step)

    def kinds(self) -> Iterator[Alike]:
        """The attempts of each kind."""
        return iter(self._alikes.values())

    def steps(self) -> Iterator[Near]:
        """Every step that was made."""
        return (near for market in self._markets.values() for near in market.nears.values())

    def _market(self, pair_and_side: tuple[str, str, bool]) -> Market:
        found = self._markets.get(pair_and_side)
        if found is None:
            found = self._markets[pair_and_side] = Market(pair_and_side)
        return found

    def asked_for(self, kind: Kind) -> Alike | None:
        """The undecided attempts that asked for it: of its kind, else of the nearest size if sizes are rounded."""
        alike = self._find(kind)
        if alike and alike.undecided:
            return alike
        return None if self.exact else self._nearest(kind)

    def _nearest(self, kind: Kind) -> Alike | None:
        market, size = self._markets[_market_of(kind)], float(kind.size)
        at = bisect_left(market.sizes, (size,))
        beside = [one for _, _, one in market.sizes[max(0, at - ASKED) : at + ASKED] if one.undecided]
        nearest = min(beside, key=lambda one: abs(one.size - size), default=None)
        return nearest if nearest and abs(nearest.size - size) <= NEAR * nearest.size else None

    def _find(self, kind: Kind) -> Alike | None:
        """Sizes that are the same may be rounded to neighbours, and to the next but one from a half on."""
        for step in (0, -1, 1, -2, 2):
            found = self._alikes.get(_key(kind, step))
            if found and self.same(found.size, float(kind.size)):
                return found
        return None

    def _add(self, kind: Kind) -> Alike:
        market = self._market(_market_of(kind))
        alike = self._alikes[_key(kind, 0)] = Alike(kind, market.near(_step_of(float(kind.size))))
        insort(market.sizes, (alike.size, id(alike), alike))
        return alike

    def _forget_idle(self) -> None:
        if len(self._alikes) < self._enough:
            return
        self._alikes = {key: alike for key, alike in self._alikes.items() if not alike.idle()}
        for market in self._markets.values():
            market.forget(self._alikes.values())
        self._markets = {key: market for key, market in self._markets.items() if market.nears}
        self._enough = max(ENOUGH, 2 * len(self._alikes))


def _market_of(kind: Kind) -> tuple[str, str, bool]:
    return kind.base_asset.upper(), kind.quote_asset.upper(), kind.is_long


def _key(kind: Kind, step: int) -> tuple[str, str, bool, float]:
    grains = float(kind.size) / SAME_SIZE
    rounded = round(grains) if math.isfinite(grains) else grains
    return *_market_of(kind), rounded + step


def _around(step: int) -> range:
    return range(step - STEPS, step + STEPS + 1)


def _step_of(size: float) -> int:
    return math.floor(math.log(size) / STEP) if 0 < size < math.inf else NO_SIZE
