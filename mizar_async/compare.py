"""How far paper was from live: the same trades on both sides, what differs, and what would have made them alike.

    found = compare.of(paper_positions, live_positions, spread=0.02)
    print(found.medians.entry, found.spread, found.slippage, found.delay)

Pure: positions in, differences out. A trade of one side is the trade of the other that has the same pair, side and
size, and was opened at nearly the same time. Prices differ in basis points (hundredths of a percent) of the price on
paper, *against the trader*: positive where live was worse.

What can't be told from prices: whether live paid a wider spread or slipped, since both are paid on each fill; and
whether the price had moved in the time that live was late, since that looks like either. So `spread` stays what it was
unless live was cheaper, what is dearer is `slippage`, and that contains such a drift.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import attrs

from ._api import checks
from ._api.checks import Size
from ._api.trading import Position
from ._fold import HUNDRED, ZERO, Fold, Trade, multiply, subtract, text, tidy

WINDOW: Final = 60.0
"""Seconds between the openings of one trade on both sides, at most."""

_SHOWN: Final = Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, traps=[])
_BASIS_POINTS: Final = Decimal(10_000)
_TWO: Final = Decimal(2)


def of(
    paper: Iterable[Position],
    live: Iterable[Position],
    *,
    window: float = WINDOW,
    spread: Size | None = Decimal("0.02"),
    slippage: Size | None = 0,
    delay: Size | None = 0,
) -> Comparison:
    """Compare what was traded on paper with what was traded live; each may hold open and closed positions.

        compare.of(venue.positions(), recorded, spread=venue.spread).to_dict()

    Of the trades with the same pair, side and size the two that were opened nearest to each other are matched first, if
    that is within `window` seconds, then the nearest of those that are left. No trade is matched twice, and of what is
    left no two are within the window. Of a burst of equal trades the first is matched with the first, where live is
    later by about the same time for all of them.

    `spread`, `slippage` (percent) and `delay` (seconds) are those under which paper was traded, by default those of the
    venue; None where nobody knows, and then there is nothing to suggest. Raises `InvalidInput` for an item that is no
    position, and for a setting that can't be.
    """
    checked = _checked_number("window", window, None)
    settings = Settings(
        None if spread is None else _checked_number("spread", spread, HUNDRED),
        None if slippage is None else _checked_number("slippage", slippage, HUNDRED),
        None if delay is None else _checked_number("delay", delay, None),
    )
    ours, theirs = _trades("paper", paper), _trades("live", live)
    pairs = list(_matches(ours, theirs, int(_SHOWN.multiply(checked, Decimal(1000)))))
    taken = {id(trade) for pair in pairs for trade in pair}
    return Comparison(
        tuple(_match(*pair) for pair in sorted(pairs, key=lambda pair: pair[0].opened or 0)),
        tuple(trade.position for trade in ours if id(trade) not in taken),
        tuple(trade.position for trade in theirs if id(trade) not in taken),
        settings,
    )


@attrs.frozen
class Settings:
    """What a paper venue was told: percent between buying and selling, percent of each fill, and seconds."""

    spread: Decimal | None
    slippage: Decimal | None
    delay: Decimal | None


@attrs.frozen
class Match:
    """One trade on both sides. What needs a price or a time that is unknown, or a close that is not there, is None."""

    paper: Position
    live: Position
    entry: Decimal | None
    """Basis points by which live opened at a worse price."""
    exit: Decimal | None
    """Basis points by which live closed at a worse price."""
    open_delay: Decimal | None
    """Seconds by which live opened later; negative if it was earlier."""
    close_delay: Decimal | None
    gain: Decimal | None
    """The gain of live less that of paper, before fees, in units: negative where live was worse."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values: the ids, and exact numbers as text."""
        ids = {"paper": str(self.paper.position_id), "live": str(self.live.position_id)}
        return {"pair": self.paper.symbol, **ids, **{name: text(getattr(self, name)) for name in _DIFFERENCES}}


_DIFFERENCES: Final = ("entry", "exit", "open_delay", "close_delay", "gain")


@attrs.frozen
class Medians:
    """The medians over all matches that have such a difference; None where none has."""

    entry: Decimal | None
    exit: Decimal | None
    open_delay: Decimal | None
    close_delay: Decimal | None
    gain: Decimal | None


@attrs.frozen(repr=False)
class Comparison:
    """What differs between paper and live."""

    matched: tuple[Match, ...]
    """In the order of the openings on paper."""
    only_paper: tuple[Position, ...]
    only_live: tuple[Position, ...]
    """What has no match, among it whatever has no known time of opening."""
    settings: Settings
    """Those under which paper was traded."""

    @property
    def medians(self) -> Medians:
        """The median of each difference."""
        return Medians(*(_median(getattr(match, name) for match in self.matched) for name in _DIFFERENCES))

    @property
    def fill_cost(self) -> Decimal | None:
        """Basis points by which each fill was dearer live: the mean of the medians of entry and exit.

        A price level that differs between the two, as between two exchanges, makes one of them better by what it makes
        the other worse, and so is not in the mean. None without both.
        """
        medians = self.medians
        if medians.entry is None or medians.exit is None:
            return None
        return _divide(_SHOWN.add(medians.entry, medians.exit), _TWO)

    @property
    def spread(self) -> Decimal | None:
        """The spread in percent that would have made paper like live, together with `slippage`."""
        cost, paid = self._cost, self.settings.spread
        if cost is None or paid is None:
            return None
        return max(ZERO, min(paid, _SHOWN.multiply(cost, _TWO)))

    @property
    def slippage(self) -> Decimal | None:
        """The slippage in percent of each fill that would have: what half the spread does not explain."""
        cost, paid = self._cost, self.settings.spread
        if cost is None or paid is None:
            return None
        return max(ZERO, _SHOWN.subtract(cost, _divide(paid, _TWO)))

    @property
    def delay(self) -> Decimal | None:
        """The delay in seconds that would have: paper's own, and the median by which live opened later.

        Closes are left out, since programs also close for reasons of their own.

        It has the difference of the two clocks in it. Where equal trades are opened more often than live is late, the
        nearest one is another one, and this is too small.
        """
        late = self.medians.open_delay
        if late is None or self.settings.delay is None:
            return None
        return max(ZERO, _SHOWN.add(self.settings.delay, late))

    @property
    def _cost(self) -> Decimal | None:
        """What a fill would have to cost on paper, in percent: half the spread and the slippage."""
        dearer, spread, slippage = self.fill_cost, self.settings.spread, self.settings.slippage
        if dearer is None or spread is None or slippage is None:
            return None
        before = _SHOWN.add(_divide(spread, _TWO), slippage)
        return _SHOWN.add(before, _divide(dearer, HUNDRED))

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values: exact numbers are text, and what has no match is named by its ids."""
        return {
            "matched": [match.to_dict() for match in self.matched],
            "only_paper": [_ids(position) for position in self.only_paper],
            "only_live": [_ids(position) for position in self.only_live],
            "medians": {name: text(getattr(self.medians, name)) for name in _DIFFERENCES},
            "fill_cost": text(self.fill_cost),
            "settings": {name: text(value) for name, value in attrs.asdict(self.settings).items()},
            "suggested": {name: text(getattr(self, name)) for name in ("spread", "slippage", "delay")},
        }

    def __repr__(self) -> str:
        alone = f"{len(self.only_paper)} on paper only, {len(self.only_live)} live only"
        return f"<Comparison {len(self.matched)} matched, {alone}>"


def _trades(name: str, positions: Iterable[Position]) -> list[Trade]:
    """Each position once."""
    if isinstance(positions, (str, bytes, Position)) or not isinstance(positions, Iterable):
        raise checks.refuse(name, positions, "it must be a list of Position and ClosedPosition")
    fold = Fold()
    for position in positions:
        if not isinstance(position, Position):
            raise checks.refuse(name, position, "each must be a Position or a ClosedPosition")
        fold.note(Trade.of(position, ZERO))
    return list(fold.trades.values())


def _matches(paper: list[Trade], live: list[Trade], window: int) -> Iterator[tuple[Trade, Trade]]:
    groups: dict[object, tuple[list[Trade], list[Trade]]] = {}
    for side, trades in enumerate((paper, live)):
        for trade in trades:
            one = trade.position
            if trade.opened is not None and trade.size is not None:
                kind = one.base_asset, one.quote_asset, one.is_long, trade.size
                groups.setdefault(kind, ([], []))[side].append(trade)
    for ours, theirs in groups.values():
        ours.sort(key=_opened)
        theirs.sort(key=_opened)
        pairs = _nearest([_opened(one) for one in ours], [_opened(one) for one in theirs], window)
        for alike in _bursts([(ours[first], theirs[second]) for first, second in pairs]):
            # The first with the first: no other pairing of these has a smaller largest distance.
            yield from zip(*(sorted(side, key=_opened) for side in zip(*alike, strict=True)), strict=True)


def _nearest(ours: list[int], theirs: list[int], window: int) -> list[tuple[int, int]]:
    """Pairs of places whose times are the nearest to each other, then of those that are left.

    The nearest two of both sides that are left are always neighbours among what is left.
    """
    line = sorted((time, side, place) for side, times in enumerate((ours, theirs)) for place, time in enumerate(times))
    before, after = list(range(-1, len(line) - 1)), list(range(1, len(line) + 1))
    near: list[tuple[int, int, int]] = []

    def offer(left: int, right: int) -> None:
        if left >= 0 and right < len(line) and line[left][1] != line[right][1]:
            distance = line[right][0] - line[left][0]
            if distance <= window:
                heapq.heappush(near, (distance, left, right))

    for left in range(len(line) - 1):
        offer(left, left + 1)
    taken: set[int] = set()
    pairs: list[tuple[int, int]] = []
    while near:
        _, left, right = heapq.heappop(near)
        if left in taken or right in taken:
            continue
        taken |= {left, right}
        one, other = sorted((left, right), key=lambda at: line[at][1])
        pairs.append((line[one][2], line[other][2]))
        outer, further = before[left], after[right]
        if outer >= 0:
            after[outer] = further
        if further < len(line):
            before[further] = outer
        offer(outer, further)
    return pairs


def _bursts(pairs: list[tuple[Trade, Trade]]) -> Iterator[list[tuple[Trade, Trade]]]:
    """Those pairs together in which live is later, or earlier, by about the same time: by less than twice as much."""
    late = {pair: _opened(pair[1]) - _opened(pair[0]) for pair in pairs}
    burst: list[tuple[Trade, Trade]] = []
    for pair in sorted(pairs, key=lambda pair: (late[pair] < 0, abs(late[pair]))):
        if burst and ((late[pair] < 0) != (late[burst[0]] < 0) or abs(late[pair]) > 2 * abs(late[burst[0]])):
            yield burst
            burst = []
        burst.append(pair)
    if burst:
        yield burst


def _opened(trade: Trade) -> int:
    return trade.opened or 0


def _match(paper: Trade, live: Trade) -> Match:
    ours, theirs = paper.position, live.position
    entry = _worse(ours.open_price, theirs.open_price, buys=ours.is_long)
    leave = _worse(_close_price(ours), _close_price(theirs), buys=not ours.is_long)
    gain = None if paper.gain is None or live.gain is None else subtract(live.gain, paper.gain)
    return Match(
        ours,
        theirs,
        entry,
        leave,
        _later(paper.opened, live.opened),
        _later(paper.closed, live.closed),
        None if gain is None else tidy(gain),
    )


def _worse(paper: Decimal | None, live: Decimal | None, *, buys: bool) -> Decimal | None:
    """Basis points by which a fill was worse live."""
    if paper is None or live is None:
        return None
    dearer = subtract(live, paper) if buys else subtract(paper, live)
    return _divide(multiply(dearer, _BASIS_POINTS), paper)


def _divide(part: Decimal, whole: Decimal) -> Decimal:
    return tidy(_SHOWN.divide(part, whole))


def _later(paper: int | None, live: int | None) -> Decimal | None:
    return None if paper is None or live is None else _divide(Decimal(live - paper), Decimal(1000))


def _close_price(position: Position) -> Decimal | None:
    return getattr(position, "close_price", None)


def _median(values: Iterable[Decimal | None]) -> Decimal | None:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    middle = len(known) // 2
    return known[middle] if len(known) % 2 else _divide(_SHOWN.add(known[middle - 1], known[middle]), _TWO)


def _checked_number(name: str, value: object, below: Decimal | None) -> Decimal:
    number = checks.number(value)
    if not (number.is_finite() and number >= 0 and (below is None or number < below)):
        allowed = "0 or more" if below is None else f"from 0 up to less than {below}"
        raise checks.refuse(name, value, f"it must be a finite number, {allowed}")
    return number


def _ids(position: Position) -> dict[str, str | None]:
    strategy = position.strategy_id
    return {"strategy_id": None if strategy is None else str(strategy), "position_id": str(position.position_id)}
