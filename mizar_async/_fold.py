"""Running sums of what was traded, kept up to date by each position: what `performance` reads its figures from.

A position that opens or closes after all that came before costs the same however many those are. One that comes out of
order is only noted: the next reading then takes everything anew, sorted. Both ways go through the same functions, so
that they can't differ.

A quotient is rounded once, where it is made, to 50 digits. Whatever is multiplied and summed up after that is exact,
and so the same in any order.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import attrs

from ._api import checks
from ._api.trading import BEYOND_PRICES, LEAST_PRICE, ClosedPosition, Position

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
HUNDRED: Final = Decimal(100)
DAY: Final = 86_400_000

# Contexts of our own: the caller's global one is neither used nor changed.
EXACT: Final = Context(prec=1200, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, traps=[])
"""For sums and products, none of which has as many digits. It never divides."""
add, subtract, multiply = EXACT.add, EXACT.subtract, EXACT.multiply
_DECIMALS: Final = Decimal("1E-28")
_UNDER_TEN, _TEN = Decimal(-10), Decimal(10)
_TWO: Final = Decimal(2)
_divide: Final = Context(prec=50, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, traps=[]).divide

# Within these the sign of a rate is that of its rounded value.
_CLEAR: Final = Decimal("1E-20")
_UNDER: Final = Decimal("-1E-20")
_FAR: Final = Decimal("1E+15")

END_OF_TIME: Final = 253_402_300_800_000
"""The end of the year 9999 in milliseconds: what lies beyond is no time."""

Key = tuple[int | None, int]


def usable_time(time: int | None) -> int | None:
    """A time that is one, or None."""
    if type(time) is not int:
        try:
            time = operator.index(time)  # type: ignore[arg-type]
        except TypeError:
            return None
    return time if 0 <= time < END_OF_TIME else None


def usable_size(size: Decimal) -> Decimal | None:
    """A size that can be reckoned with, or None."""
    exact = size if type(size) is Decimal else checks.number(size)
    if not exact.is_finite():
        return None
    return exact if LEAST_PRICE <= exact < BEYOND_PRICES or not exact else None


def tidy(number: Decimal) -> Decimal:
    """A number to 28 decimals, without zeros at its end, and without an exponent where it is whole."""
    short = EXACT.quantize(number, _DECIMALS).normalize(EXACT)
    if _UNDER_TEN < short < _TEN:
        return short or ZERO
    return EXACT.quantize(short, ONE) if short == short.to_integral_value(context=EXACT) else short


def text(number: Decimal | None) -> str | None:
    """A number in full, for JSON."""
    return None if number is None else format(number, "f")


@attrs.define(eq=False)
class Trade:
    """A position, and what is known of it. `fee` is a fraction of each fill."""

    key: Key
    """What makes it the same position."""
    position: Position
    fee: Decimal
    size: Decimal | None
    opened: int | None
    is_long: bool
    is_closed: bool
    is_timed: bool
    """Whether it can be told when it was open."""
    closed: int | None = None
    """Not before `opened`: of two clocks that contradict each other, the one of the opening is believed."""
    gain: Decimal | None = None
    """After fees, in units; None where it is not known, as long as it is open."""
    fees: Decimal = ZERO
    rate: Decimal = ZERO
    """The return of the price, as a fraction."""
    sign: int = 0
    """That of the exact gain: 0 where it is none, which rounding may hide."""

    @classmethod
    def of(cls, position: Position, fee: Decimal) -> Trade:
        """What can be told of a position, which may be closed."""
        key = position.strategy_id, position.position_id
        size, opened = usable_size(position.size), usable_time(position.open_timestamp)
        is_known = size is not None and opened is not None
        if not isinstance(position, ClosedPosition):
            return cls(key, position, fee, size, opened, position.is_long, False, is_known)
        closed = usable_time(position.close_timestamp)
        is_timed = is_known and closed is not None
        trade = cls(key, position, fee, size, opened, position.is_long, True, is_timed, closed)
        if opened is not None and closed is not None:
            if closed < opened:
                trade.closed = opened
            if position.close_price is not None:
                trade._settle(position.close_price)
        return trade

    def at(self, price: Decimal) -> Decimal | None:
        """What it would give if it were closed at a price, after fees."""
        if not self.is_timed:
            return None
        copy = Trade(self.key, self.position, self.fee, self.size, self.opened, self.is_long, True, True)
        copy._settle(price)
        return copy.gain

    def _settle(self, price: Decimal) -> None:
        """Reckon the gain of a close at a price, if that of the opening is known."""
        before, size, fee = self.position.open_price, self.size, self.fee
        if before is None or size is None:
            return
        ratio = _divide(subtract(price, before), before)
        rate = net = self.rate = ratio if self.is_long else ratio.copy_negate()
        if fee:
            paid = multiply(fee, add(ratio, _TWO))
            self.fees = multiply(size, paid)
            net = subtract(rate, paid)
        self.gain = multiply(size, net)
        if not size:
            self.sign = 0
        elif (net > _CLEAR or net < _UNDER) and ratio < _FAR:
            self.sign = -1 if net.is_signed() else 1
        else:
            self.sign = self._exact_sign(before, price)

    def _exact_sign(self, before: Decimal, price: Decimal) -> int:
        change = subtract(price, before)
        paid = multiply(self.fee, add(before, price))
        net = subtract(change if self.is_long else change.copy_negate(), paid)
        return 0 if not net else -1 if net.is_signed() else 1

    @property
    def side(self) -> str:
        """`long` or `short`."""
        return "long" if self.is_long else "short"

    @property
    def is_priced(self) -> bool:
        """Whether all is known that its gain needs, but for the close of one that is open."""
        if self.is_closed:
            return self.gain is not None
        return self.is_timed and self.position.open_price is not None

    @property
    def opening(self) -> tuple[object, ...]:
        """What was known when it was opened."""
        one = self.position
        return one.base_asset, one.quote_asset, one.is_long, self.size, one.open_price, self.opened, self.fee

    def is_better_than(self, other: Trade) -> bool:
        """Whether it says more of the same position; where two differ, one is taken in any order of coming."""
        return self._rank > other._rank

    @property
    def _rank(self) -> tuple[object, ...]:
        one = self.position
        prices = (one.open_price or ZERO, getattr(one, "close_price", None) or ZERO)
        times = (-1 if self.opened is None else self.opened, -1 if self.closed is None else self.closed)
        known = sum(price > 0 for price in prices) + sum(time >= 0 for time in times)
        size = -ONE if self.size is None else self.size
        return self.is_closed, known, *times, *prices, size, self.fee, self.side, one.base_asset, one.quote_asset


_BLOCK: Final = 512


class Levels:
    """The sum of what is open, by time.

    At one millisecond closes come before opens, but what is opened and closed in the same one counts in it.
    """

    def __init__(self) -> None:
        self.last = -1
        self.moments: list[int] = []
        self.levels: list[Decimal] = []
        self.rests: list[Decimal] = []
        """The same without what was opened and closed in that millisecond: what remains after it."""
        self._blocks: list[Decimal] = []  # the highest of each so many moments
        self._highest = self._block = ZERO  # of the blocks, and after them but for the last moment

    def open(self, time: int, size: Decimal) -> None:
        if time != self.last:
            self._go_to(time)
        level, rest = self.levels[-1], self.rests[-1]
        self.rests[-1] = now = add(rest, size)
        self.levels[-1] = now if level is rest else add(level, size)

    def close(self, time: int, size: Decimal, *, at_once: bool) -> None:
        if time != self.last:
            self._go_to(time)
        level, rest = self.levels[-1], self.rests[-1]
        self.rests[-1] = now = subtract(rest, size)
        if not at_once:
            self.levels[-1] = now if level is rest else subtract(level, size)

    def _go_to(self, time: int) -> None:
        rest = ZERO
        if self.moments:
            rest, level = self.rests[-1], self.levels[-1]
            self._block = max(self._block, level)
            if len(self.moments) % _BLOCK == 0:
                self._blocks.append(self._block)
                self._highest, self._block = max(self._highest, self._block), ZERO
        self.last = time
        self.moments.append(time)
        self.levels.append(rest)
        self.rests.append(rest)

    @property
    def highest(self) -> Decimal:
        return max(self._highest, self._block, self.levels[-1]) if self.levels else ZERO

    def highest_in(self, start: int, end: int) -> Decimal:
        """The largest sum in [start, end), with what was open as it began."""
        first, behind = bisect_left(self.moments, start), bisect_left(self.moments, end)
        if start >= end:
            return ZERO
        before = self.rests[first - 1] if first else ZERO
        from_block, to_block = -(-first // _BLOCK), min(behind // _BLOCK, len(self._blocks))
        if from_block >= to_block:
            return max([before, *self.levels[first:behind]])
        whole = self._blocks[from_block:to_block]
        edges = self.levels[first : from_block * _BLOCK] + self.levels[to_block * _BLOCK : behind]
        return max([before, *whole, *edges])


class Curve:
    """Gains as they are closed: one point for each millisecond with a close."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.units: list[Decimal] = []
        """The sum of gains up to each time."""
        self.counts: list[int] = []
        """How many gains that are."""
        self.total = ZERO
        self._high = self._drop = ZERO  # before the last point
        self._day, self._before_day = -1, ZERO
        self._squares = ZERO  # of the days before the last

    def close(self, time: int, gain: Decimal) -> None:
        before = self.total
        if time // DAY != self._day:
            self._squares, self._day, self._before_day = self.squares, time // DAY, before
        self.total = total = add(before, gain)
        if self.times and self.times[-1] == time:
            self.units[-1] = total
            self.counts[-1] += 1
            return
        if before >= self._high:
            self._high = before
        else:
            self._drop = max(self._drop, subtract(self._high, before))
        self.times.append(time)
        self.units.append(total)
        self.counts.append(self.counts[-1] + 1 if self.counts else 1)

    @property
    def drop(self) -> Decimal:
        """The largest fall from the highest point so far, where 0 at the start counts as one."""
        return max(self._drop, subtract(self._high, self.total))

    @property
    def squares(self) -> Decimal:
        """The sum of the squares of the gains of the days."""
        of_day = subtract(self.total, self._before_day)
        return add(self._squares, multiply(of_day, of_day))

    def between(self, start: int, end: int) -> tuple[Decimal, int]:
        """The gains closed in [start, end), and how many."""
        first, behind = bisect_left(self.times, start), bisect_left(self.times, end)
        if first >= behind:
            return ZERO, 0
        units, count = (self.units[first - 1], self.counts[first - 1]) if first else (ZERO, 0)
        return subtract(self.units[behind - 1], units), self.counts[behind - 1] - count


class Counts:
    """What does not depend on the order."""

    def __init__(self) -> None:
        self.closed = self.wins = self.losses = 0
        self.longs = self.shorts = 0
        self.fees = ZERO
        self.held = self.timed = 0
        """Milliseconds, and of how many that are closed."""
        self.best: Decimal | None = None
        self.worst: Decimal | None = None
        self.first, self.last = END_OF_TIME, -1
        """The first opening, and the last event of any kind."""
        self.open: dict[Key, Trade] = {}
        self.unpriced: dict[Key, Position] = {}

    def enter(self, trade: Trade) -> None:
        """Count one that was not counted yet."""
        if trade.is_long:
            self.longs += 1
        else:
            self.shorts += 1
        opened = trade.opened
        if opened is not None:
            self.first = min(self.first, opened)
            self.last = max(self.last, opened)
        if trade.is_closed:
            self._close(trade)
        else:
            self.open[trade.key] = trade
            if not trade.is_priced:
                self.unpriced[trade.key] = trade.position

    def leave(self, trade: Trade) -> None:
        """Count one as closed that was counted as open."""
        del self.open[trade.key]
        self._close(trade)

    def _close(self, trade: Trade) -> None:
        self.closed += 1
        closed = trade.closed
        if closed is not None:
            self.last = max(self.last, closed)
            if trade.opened is not None:
                self.held += closed - trade.opened
                self.timed += 1
        if trade.gain is None:
            self.unpriced[trade.key] = trade.position
            return
        if trade.sign > 0:
            self.wins += 1
        elif trade.sign:
            self.losses += 1
        if trade.fees:
            self.fees = add(self.fees, trade.fees)
        rate = trade.rate
        if self.best is None or rate > self.best:
            self.best = rate
        if self.worst is None or rate < self.worst:
            self.worst = rate


KINDS: Final[dict[str, Callable[[Trade], str]]] = {
    "pairs": lambda trade: trade.position.symbol,
    "sides": lambda trade: trade.side,
}


_OPENED: Final = operator.attrgetter("opened")
_CLOSED: Final = operator.attrgetter("closed")


class Fold:
    """All positions, each once, and the sums over them."""

    def __init__(self, trades: Iterable[Trade] = ()) -> None:
        self.trades: dict[Key, Trade] = {}
        self._begin()
        self._in_order = True
        for trade in trades:
            self.note(trade)

    def _begin(self) -> None:
        self.counts, self.levels, self.curve = Counts(), Levels(), Curve()
        self._parts: dict[str, dict[str, Fold]] = {}

    def note(self, trade: Trade) -> None:
        """Take a position that is read later, together with others."""
        known = self.trades.get(trade.key)
        if known is None or trade.is_better_than(known):
            self.trades[trade.key] = trade
            self._in_order = False

    def add(self, trade: Trade) -> None:
        """Take a position, at once if it comes in the order of time."""
        known = self.trades.get(trade.key)
        if not self._in_order or not self._follows(known, trade):
            self.note(trade)
            return
        self.trades[trade.key] = trade
        self._take(known, trade)
        for kind, folds in self._parts.items():
            folds.setdefault(KINDS[kind](trade), Fold()).add(trade)

    def _follows(self, known: Trade | None, trade: Trade) -> bool:
        """Whether it only opens, or closes what is open, after everything else."""
        if known is None:
            return not trade.is_timed or (trade.opened or 0) >= self.levels.last
        if known.is_closed or not trade.is_closed or known.opening != trade.opening:
            return False
        return not known.is_timed or (trade.closed is not None and trade.closed >= self.levels.last)

    def _take(self, known: Trade | None, trade: Trade) -> None:
        if known is None:
            self.counts.enter(trade)
            if trade.is_timed:
                self._open(trade)
        else:
            self.counts.leave(trade)
        if trade.is_timed and trade.is_closed:
            self._close(trade)

    def _open(self, trade: Trade) -> None:
        if trade.opened is not None and trade.size is not None:
            self.levels.open(trade.opened, trade.size)

    def _close(self, trade: Trade) -> None:
        if trade.closed is not None and trade.size is not None:
            self.levels.close(trade.closed, trade.size, at_once=trade.opened == trade.closed)
            if trade.gain is not None:
                self.curve.close(trade.closed, trade.gain)

    def settled(self) -> Fold:
        """Itself, with everything taken that was only noted."""
        if not self._in_order:
            self._begin()
            for trade in self.trades.values():
                self.counts.enter(trade)
            opens = sorted((trade for trade in self.trades.values() if trade.is_timed), key=_OPENED)
            closes = sorted((trade for trade in opens if trade.is_closed), key=_CLOSED)
            following = iter(closes)
            close = next(following, None)
            for trade in opens:
                # At one millisecond the order makes no difference, but that nothing is closed before it is opened.
                while close is not None and close.closed < trade.opened:  # type: ignore[operator]
                    self._close(close)
                    close = next(following, None)
                self._open(trade)
            while close is not None:
                self._close(close)
                close = next(following, None)
            self._in_order = True
        return self

    def parts(self, kind: str) -> dict[str, Fold]:
        """The same for each pair or each side, kept up to date from now on."""
        self.settled()
        if kind not in self._parts:
            sorted_out: dict[str, list[Trade]] = {}
            for trade in self.trades.values():
                sorted_out.setdefault(KINDS[kind](trade), []).append(trade)
            self._parts[kind] = {name: Fold(trades) for name, trades in sorted(sorted_out.items())}
        return self._parts[kind]
