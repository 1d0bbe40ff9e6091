"""What a strategy has gained, at what risk: figures of positions, as Mizar defines them where it does.

    figures = performance.of(positions, fee=0.1)
    print(figures.returns(), figures.max_drawdown, figures.hit_rate)

Pure: positions in, figures out. Sizes are shares of what each follower allows for one position. That amount cancels, so
gains and what they need are in *units* of it, and nothing compounds. Percentages are of what was needed at most at one
instant, as in "How are returns calculated in the marketplace" of Mizar's manual:
https://docs.mizar.com/c-mizar-manual/faq/how-are-returns-calculated-in-the-marketplace. docs/figures.md has the formula
of each figure, and says which are Mizar's.

Numbers are exact to 28 decimals. What is unknown is None and never 0. A position with an unknown price or time is in no
gain: `unpriced` lists it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final, Literal

import attrs

from ._api import checks
from ._api.checks import Moment, Size
from ._api.trading import Position, usable_price, utc
from ._fold import DAY, END_OF_TIME, EXACT, HUNDRED, ONE, ZERO, Fold, Trade, add, multiply, subtract, text, tidy

Fee = Size | Callable[[Position], Size]
"""Percent of each fill, or what gives it for a position."""

_SHOWN: Final = Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, traps=[])
_WIDE: Final = Context(prec=60, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, traps=[])
# Of days that are all the same, no more than this is left by rounding, against the sum of their squares.
_ROUNDING: Final = Decimal("1E-40")
_THIRTY_DAYS: Final = 30 * DAY
_YEAR: Final = 365
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def of(
    positions: Iterable[Position],
    *,
    fee: Fee = 0,
    until: Moment | None = None,
    prices: Mapping[str, Size | None] | None = None,
) -> Performance:
    """The figures of positions, open ones and `ClosedPosition`s, in any order; each position counts once.

        performance.of(venue.positions(), fee=0.1, prices={"BTCUSDT": 40_000}).to_dict()

    `fee` is in percent of each fill, the same for all or what a function gives for each. The other parameters are those
    of `Performance`. Raises `InvalidInput` for an item that is no position, and for a fee, a time or a price that can't
    be.
    """
    figures = Performance(fee=fee, until=until, prices=prices)
    figures.extend(positions)
    return figures


@attrs.frozen
class Point:
    """A point of the curve of realised gains."""

    time: int
    """Milliseconds since the epoch, UTC."""
    units: Decimal
    """The gains up to then."""
    percent: Decimal | None
    """The same in percent of what all of it required."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values; exact numbers are text."""
        return {"time": self.time, "units": text(self.units), "percent": text(self.percent)}


@attrs.frozen
class Month:
    """A calendar month, UTC."""

    month: str
    """Such as 2026-01."""
    start: int
    end: int
    """The first millisecond of it and of the next one."""
    gain: Decimal
    """What was closed in it, in units, after fees."""
    required: Decimal
    returns: Decimal | None
    """Percent of `required`; None where that is 0."""
    closed: int
    """How many gains that are."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values; exact numbers are text."""
        return {name: _plain(value) for name, value in attrs.asdict(self).items()}


class Trades:
    """What can be said of the trades one by one, and of when they were."""

    def __init__(
        self,
        fold: Fold,
        fee: Decimal | Callable[[Position], Size],
        until: int | None,
        prices: Mapping[str, Decimal] | None,
    ) -> None:
        self._unsettled = fold
        self._fee = fee
        self._until = until
        self._prices = prices

    @property
    def _fold(self) -> Fold:
        return self._unsettled.settled()

    @property
    def trades(self) -> int:
        """How many positions, those still open included (Mizar)."""
        return len(self._unsettled.trades)

    @property
    def closed(self) -> int:
        """How many of them are closed."""
        return self._fold.counts.closed

    @property
    def open(self) -> int:
        """How many of them are open (Mizar)."""
        return len(self._fold.counts.open)

    @property
    def wins(self) -> int:
        """How many were closed with a gain, after fees (Mizar)."""
        return self._fold.counts.wins

    @property
    def losses(self) -> int:
        """How many were closed with a loss, after fees (Mizar)."""
        return self._fold.counts.losses

    @property
    def hit_rate(self) -> Decimal | None:
        """Wins in percent of what is closed; None if nothing is."""
        return _percent(Decimal(self.wins), Decimal(self.closed))

    @property
    def holding_time(self) -> timedelta | None:
        """How long a closed position was open on average (Mizar); None without one whose times are known."""
        counts = self._fold.counts
        return timedelta(milliseconds=counts.held) / counts.timed if counts.timed else None

    @property
    def trades_per_week(self) -> Decimal | None:
        """Trades by weeks of 7 of the `days` (Mizar); None where no time of opening is known."""
        return _ratio(Decimal(7 * self.trades), Decimal(self.days))

    @property
    def best(self) -> Decimal | None:
        """The highest return of the price of a closed trade in percent, before size and fees (Mizar)."""
        return _percent(self._fold.counts.best, ONE)

    @property
    def worst(self) -> Decimal | None:
        """The lowest such return (Mizar)."""
        return _percent(self._fold.counts.worst, ONE)

    @property
    def side(self) -> Literal["long", "short", "both"] | None:
        """What was traded (Mizar); None if nothing was."""
        counts = self._fold.counts
        if counts.longs:
            return "both" if counts.shorts else "long"
        return "short" if counts.shorts else None

    @property
    def unpriced(self) -> list[Position]:
        """The positions that are in no gain, since a price or time is unknown, or a size is none.

        With `prices` also those that are open and have no price there.
        """
        counts = self._fold.counts
        found = list(counts.unpriced.values())
        if self._prices is not None:
            missing = (one for one in counts.open.values() if one.is_priced)
            found += [one.position for one in missing if one.position.symbol not in self._prices]
        return found

    @property
    def first_opened(self) -> int | None:
        """When the first position was opened, in milliseconds; None where no such time is known."""
        first = self._fold.counts.first
        return first if first < END_OF_TIME else None

    @property
    def until(self) -> int | None:
        """Up to when the figures go, in milliseconds: what was given, and at least the last event."""
        last = self._fold.counts.last
        return max(self._until or 0, last) if self._until is not None or last >= 0 else None

    @property
    def days(self) -> int:
        """UTC calendar days from the first opening to `until`, both included; 0 without an opening."""
        first, until = self.first_opened, self.until
        return 0 if first is None or until is None else max(0, until // DAY - first // DAY + 1)


class Performance(Trades):
    """The figures of positions, kept up to date as they are added.

        figures = Performance(fee=0.1)
        figures.add(position)         # opened
        figures.add(closed_position)  # the same one closed
        figures.at(now, {"BTCUSDT": price}).floating

    `fee` is in percent of each fill, from 0 up to less than 100, or a function that gives it for a position. `until` is
    the time of the figures, by default that of the last event; one before that event is taken as that. `prices` has the
    price of each symbol for what is floating; one that is missing or unknown makes its open positions `unpriced`.

    What is added in the order of time costs the same however much there is, and so does reading, but for lists. It may
    come in any order: the next reading then takes it all anew. Not to be used by several threads at once. Raises
    `InvalidInput` for a fee, a time or a price that can't be.
    """

    def __init__(
        self, *, fee: Fee = 0, until: Moment | None = None, prices: Mapping[str, Size | None] | None = None
    ) -> None:
        checked = fee if callable(fee) else _checked_fee(fee)
        super().__init__(Fold(), checked, _checked_until(until), _checked_prices(prices))

    def add(self, position: Position) -> None:
        """Take a position that was opened or closed; one that was added before as open becomes closed.

        The same position (by its id and that of its strategy) counts once: the one that says more does. Raises
        `InvalidInput` for anything else, which changes nothing.
        """
        self._unsettled.add(self._trade(position))

    def extend(self, positions: Iterable[Position]) -> None:
        """Take many positions in any order, which are read together; all of them, or none if one is refused."""
        if isinstance(positions, (str, bytes, Position)) or not isinstance(positions, Iterable):
            raise checks.refuse("positions", positions, "it must be a list of Position and ClosedPosition")
        for trade in [self._trade(position) for position in positions]:
            self._unsettled.note(trade)

    def merge(self, other: Performance) -> Performance:
        """Give what one `Performance` of the positions of both would be; neither changes. `a + b` is the same.

        Each position keeps its fee, the later `until` counts, and so do the prices of both, first those of `other`.
        """
        if not isinstance(other, Performance):
            raise checks.refuse("other", other, "it must be a Performance")
        trades = [*self._unsettled.trades.values(), *other._unsettled.trades.values()]
        until = max((time for time in (self._until, other._until) if time is not None), default=None)
        known = [prices for prices in (self._prices, other._prices) if prices is not None]
        prices = {symbol: price for some in known for symbol, price in some.items()} if known else None
        return self._like(Fold(trades), until, prices)

    __add__ = merge

    def at(self, until: Moment | None = None, prices: Mapping[str, Size | None] | None = None) -> Performance:
        """The same positions at another time and at other prices: it costs nothing, and sees what is added later."""
        return self._like(self._unsettled, _checked_until(until), _checked_prices(prices))

    def returns(self, start: Moment | None = None, end: Moment | None = None) -> Decimal | None:
        """The gains closed in [start, end) in percent of what was required in it (Mizar).

        By default of all time. None where nothing was required. Raises `InvalidInput` for a time that is none.
        """
        first, behind = _span(start, end)
        return self._returns(first, behind)

    def required(self, start: Moment | None = None, end: Moment | None = None) -> Decimal:
        """The largest sum of sizes that were open at one instant in [start, end), in units (Mizar).

        What was open as the period began counts. Raises `InvalidInput` for a time that is none.
        """
        if start is None and end is None:
            return tidy(self._fold.levels.highest)
        return tidy(self._fold.levels.highest_in(*_span(start, end)))

    @property
    def gain(self) -> Decimal:
        """The sum of the gains of what is closed, after fees, in units."""
        return tidy(self._fold.curve.total)

    @property
    def gain_before_fees(self) -> Decimal:
        """The same before fees (Mizar)."""
        return tidy(add(self._fold.curve.total, self._fold.counts.fees))

    @property
    def fees(self) -> Decimal:
        """What both fills of each of these have cost, in units."""
        return tidy(self._fold.counts.fees)

    @property
    def floating(self) -> Decimal | None:
        """What the open positions would gain if they were closed at `prices`, after fees, in units; None without."""
        if self._prices is None:
            return None
        total = ZERO
        for trade in self._fold.counts.open.values():
            price = self._prices.get(trade.position.symbol)
            gain = None if price is None else trade.at(price)
            total = total if gain is None else add(total, gain)
        return tidy(total)

    @property
    def equity(self) -> list[Point]:
        """The sum of the gains at each time of closing; with `prices` a last point adds what is floating."""
        curve, required = self._fold.curve, self.required()
        points = [(time, tidy(units)) for time, units in zip(curve.times, curve.units, strict=True)]
        floating, until = self.floating, self.until
        if floating is not None and until is not None:
            points.append((until, tidy(add(curve.total, floating))))
        return [Point(time, units, _percent(units, required)) for time, units in points]

    @property
    def max_drawdown(self) -> Decimal | None:
        """The largest fall of realised gains from their highest point so far, in percent of `required()`.

        0 at the start counts as a point. It is positive, and None where nothing was required.
        """
        return _percent(self._fold.curve.drop, self._fold.levels.highest)

    @property
    def sharpe(self) -> float | None:
        """The Sharpe ratio of a year: mean by sample deviation of the gains closed on each of the `days`, x sqrt(365).

        A day without a close counts as 0, and there is no risk-free rate. None for fewer than two days, and where all
        days are the same.
        """
        # By sums that are kept: sum x sqrt(365 (n - 1) / (n (n squares - sum x sum))), all exact up to the root.
        curve, days = self._fold.curve, Decimal(self.days)
        spread = subtract(multiply(days, curve.squares), multiply(curve.total, curve.total))
        if days < 2 or spread <= multiply(_ROUNDING, multiply(days, curve.squares)):
            return None
        square = _WIDE.divide(multiply(_YEAR * ONE, subtract(days, ONE)), multiply(days, spread))
        return float(_WIDE.multiply(curve.total, _WIDE.sqrt(square)))

    @property
    def last_30_days(self) -> Decimal | None:
        """`returns` of the 30 x 24 hours that end with `until`, which is included (Mizar)."""
        until = self.until
        return None if until is None else self._returns(until + 1 - _THIRTY_DAYS, until + 1)

    @property
    def months(self) -> list[Month]:
        """Each calendar month (UTC) from the first opening to `until`."""
        first, until = self.first_opened, self.until
        if first is None or until is None:
            return []
        levels, curve = self._fold.levels, self._fold.curve
        found = []
        for name, start, end in _months(first, until):
            (gain, closed), required = curve.between(start, end), levels.highest_in(start, end)
            found.append(Month(name, start, end, tidy(gain), tidy(required), _percent(gain, required), closed))
        return found

    @property
    def pairs(self) -> dict[str, Performance]:
        """The figures of each pair by its symbol, such as BTCUSDT, up to the same time."""
        return self._parts("pairs")

    @property
    def sides(self) -> dict[str, Performance]:
        """The figures of `long` and of `short`, where there are any, up to the same time."""
        return self._parts("sides")

    def to_dict(self) -> dict[str, Any]:
        """Give all figures as plain JSON values.

        Exact numbers are text without an exponent, as prices are in the API's dictionaries; counts are numbers, and so
        is `sharpe`. Times are in milliseconds, `holding_time` is in seconds. Unpriced positions are named by their ids.
        """
        told = _summary(self)
        told["last_30_days"] = text(self.last_30_days)
        told["equity"] = [point.to_dict() for point in self.equity]
        told["months"] = [month.to_dict() for month in self.months]
        told["unpriced"] = [
            {"strategy_id": _id(one.strategy_id), "position_id": _id(one.position_id)} for one in self.unpriced
        ]
        told["pairs"] = {name: _summary(part) for name, part in self.pairs.items()}
        told["sides"] = {name: _summary(part) for name, part in self.sides.items()}
        return told

    def __repr__(self) -> str:
        returns = self.returns()
        shown = "no returns" if returns is None else f"returns {returns:.2f} %"
        unpriced = f", {len(self.unpriced)} unpriced" if self.unpriced else ""
        return f"<Performance {self.trades} trades, {self.open} open, {shown}{unpriced}>"

    def _trade(self, position: Position) -> Trade:
        if not isinstance(position, Position):
            raise checks.refuse("position", position, "it must be a Position or a ClosedPosition")
        return Trade.of(position, _checked_fee(self._fee(position)) if callable(self._fee) else self._fee)

    def _like(self, fold: Fold, until: int | None, prices: Mapping[str, Decimal] | None) -> Performance:
        made = Performance.__new__(Performance)
        Trades.__init__(made, fold, self._fee, until, prices)
        return made

    def _parts(self, kind: str) -> dict[str, Performance]:
        until = self.until
        return {name: self._like(fold, until, self._prices) for name, fold in sorted(self._fold.parts(kind).items())}

    def _returns(self, start: int, end: int) -> Decimal | None:
        fold = self._fold
        return _percent(fold.curve.between(start, end)[0], fold.levels.highest_in(start, end))


_SINGLE: Final = (
    *("gain", "gain_before_fees", "fees", "floating", "trades", "closed", "open", "wins", "losses", "hit_rate"),
    *("holding_time", "trades_per_week", "best", "worst", "side", "days", "max_drawdown", "sharpe"),
    *("first_opened", "until"),
)


def _summary(figures: Performance) -> dict[str, Any]:
    told = {name: _plain(getattr(figures, name)) for name in _SINGLE}
    return {"returns": text(figures.returns()), "required": text(figures.required()), **told}


def _ratio(part: Decimal | None, whole: Decimal) -> Decimal | None:
    """A quotient of 28 digits; None where there is none."""
    return None if part is None or not whole else tidy(_SHOWN.divide(part, whole))


def _percent(part: Decimal | None, whole: Decimal) -> Decimal | None:
    return None if part is None else _ratio(multiply(part, HUNDRED), whole)


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return text(value) if isinstance(value, Decimal) else value


def _id(number: object) -> str | None:
    return None if number is None else str(number)


def _checked_fee(fee: object) -> Decimal:
    """A fee in percent as a fraction."""
    percent = checks.number(fee)
    if not (percent.is_finite() and 0 <= percent < HUNDRED):
        raise checks.refuse("fee", fee, "it must be a percentage of each fill, from 0 up to less than 100")
    return EXACT.scaleb(percent, -2)


def _checked_until(until: Moment | None) -> int | None:
    if until is None:
        return None
    time = checks.milliseconds("until", until)
    if time >= END_OF_TIME:
        raise checks.refuse("until", until, "it must not be after the year 9999")
    return time


def _checked_prices(prices: Mapping[str, Size | None] | None) -> dict[str, Decimal] | None:
    """The prices that can be used."""
    if prices is None:
        return None
    if not isinstance(prices, Mapping):
        raise checks.refuse("prices", prices, "it must be a price for each symbol, such as {'BTCUSDT': 40_000}")
    found = {}
    for symbol, price in prices.items():
        if price is not None and (isinstance(price, bool) or not isinstance(price, (int, float, Decimal))):
            raise checks.refuse(f"prices[{symbol!r}]", price, "it must be a number, or None if it is unknown")
        if (usable := usable_price(None if price is None else checks.number(price))) is not None:
            found[symbol] = usable
    return found


def _span(start: Moment | None, end: Moment | None) -> tuple[int, int]:
    first = 0 if start is None else checks.milliseconds("start", start)
    return first, END_OF_TIME + DAY if end is None else checks.milliseconds("end", end)


def _months(first: int, until: int) -> Iterator[tuple[str, int, int]]:
    """The names, begins and ends of the months from one time to another."""
    day = utc(first) or _EPOCH
    year, month = day.year, day.month
    start = _begin(year, month)
    while start <= until:
        year, month, name = year + month // 12, month % 12 + 1, f"{year:04}-{month:02}"
        end = _begin(year, month)
        yield name, start, end
        start = end


def _begin(year: int, month: int) -> int:
    return END_OF_TIME if year > 9999 else int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000
