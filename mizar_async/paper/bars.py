"""Bars, made of rows. Pure: rows in, bars out, and none before it is over.

A row is a candle or a trade. A time bar holds the rows that begin in its interval; where there is none, there is no
bar. It is over when its interval is, and not before the last of its rows: of a candle that lasts longer than the bar
nobody knows the high, low and close any sooner. Other bars hold whole trades, added in their order until the sum
reaches the threshold: that trade is the bar's last, whatever is above, and the next bar begins at nothing with the next
trade.
"""

from __future__ import annotations

import bisect
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from decimal import Context, Decimal, localcontext
from typing import Final, Literal, NamedTuple, Protocol

import attrs

from .._api.codec import as_text
from .._api.market import WIDTHS, Bar

EXACT: Final = Context(prec=200, Emin=-999999, Emax=999999, traps=[])
"""Sums and products of what any file can hold are exact in it."""

_ZERO: Final = Decimal(0)


class Row(NamedTuple):
    """A candle, or a trade: then its four prices are one. Amounts in base and quote asset; 0 is one that is unknown."""

    time: int
    id: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    base: Decimal = _ZERO
    quote: Decimal = _ZERO
    side: Literal["buy", "sell"] | None = None
    """Of the taker of a trade, where it is known."""


Rows = Callable[[int], Iterator[Row]]
"""The rows that begin at a time or later, in their order."""


_NAMES: Final = tuple(field.name for field in attrs.fields(Bar))
_SHAPE: Final = "{" + ",".join(f'"{name}":%s' for name in _NAMES) + "}"
_values_of: Final = operator.attrgetter(*_NAMES)


class Finished:
    """A bar, and when it was over."""

    __slots__ = ("_written", "bar", "over_at")

    def __init__(self, bar: Bar, over_at: int) -> None:
        self.bar = bar
        self.over_at = over_at
        self._written: bytes | None = None

    @property
    def written(self) -> bytes:
        """Its JSON, written once: numbers only, exactly."""
        if self._written is None:
            self._written = (_SHAPE % tuple([_number(value) for value in _values_of(self.bar)])).encode()
        return self._written


def _number(value: int | Decimal) -> int | str:
    if type(value) is int:
        return value
    return as_text(value) if value else "0"


class Series(Protocol):
    """The bars of one pair and kind."""

    def page(self, start: int, limit: int, now: int) -> list[Finished]:
        """The first bars that begin at a time or later and are over now, so many at most."""
        ...


class TimeBars:
    """Bars of a width on the grid of UTC, of rows that last so long; each is made when it is first asked for."""

    def __init__(self, rows: Rows, width: int, lasts: int = 0) -> None:
        self._rows = rows
        self._width = width
        self._lasts = lasts
        self._made: dict[int, Finished] = {}

    def page(self, start: int, limit: int, now: int) -> list[Finished]:
        """The first bars that begin at a time or later and are over now, so many at most."""
        found: list[Finished] = []
        place = -(-start // self._width)
        while len(found) < limit and (place + 1) * self._width <= now:
            following = self._made.get(place) or self._first_from(place)
            if following is None or following.over_at > now:
                break
            found.append(following)
            place = following.bar.time // self._width + 1
        return found

    def _first_from(self, place: int) -> Finished | None:
        rows = self._rows(place * self._width)
        first = next(rows, None)
        if first is None:
            return None
        place = first.time // self._width
        if place not in self._made:
            end = (place + 1) * self._width
            inside = itertools.takewhile(lambda row: row.time < end, rows)
            bar = bar_of(place * self._width, itertools.chain([first], inside))
            self._made[place] = Finished(bar, max(end, (bar.last_timestamp or 0) + self._lasts))
        return self._made[place]


class ThresholdBars:
    """Bars of whole trades whose sum reaches a threshold."""

    def __init__(self, rows: Rows, measure: Callable[[Row], Decimal], threshold: Decimal) -> None:
        self._coming = _cut(rows(0), measure, threshold)
        self._made: list[Finished] = []
        self._times: list[int] = []

    def page(self, start: int, limit: int, now: int) -> list[Finished]:
        """The first bars that begin at a time or later and are over now, so many at most."""
        self._make_until(now)
        first = bisect.bisect_left(self._times, start)
        page = self._made[first : first + limit]
        return [finished for finished in page if finished.over_at <= now]

    def _make_until(self, now: int) -> None:
        while not self._made or self._made[-1].over_at <= now:
            finished = next(self._coming, None)
            if finished is None:
                return
            self._made.append(finished)
            self._times.append(finished.bar.time)


def _cut(rows: Iterator[Row], measure: Callable[[Row], Decimal], threshold: Decimal) -> Iterator[Finished]:
    inside: list[Row] = []
    total = _ZERO
    for row in rows:
        inside.append(row)
        total = EXACT.add(total, measure(row))
        if total >= threshold:
            yield Finished(bar_of(inside[0].time, inside), row.time)
            inside, total = [], _ZERO


def bar_of(time: int, rows: Iterable[Row]) -> Bar:
    """The bar that holds these rows, of which there is one at least."""
    times, ids, opens, highs, lows, closes, bases, quotes, sides = zip(*rows, strict=True)
    bought, sold = [side == "buy" for side in sides], [side == "sell" for side in sides]
    with localcontext(EXACT):
        return Bar(
            time=time,
            open=opens[0],
            high=max(highs),
            low=min(lows),
            close=closes[-1],
            base_asset_volume=sum(bases, _ZERO),
            base_asset_buy_volume=sum(itertools.compress(bases, bought), _ZERO),
            base_asset_sell_volume=sum(itertools.compress(bases, sold), _ZERO),
            quote_asset_volume=sum(quotes, _ZERO),
            quote_asset_buy_volume=sum(itertools.compress(quotes, bought), _ZERO),
            quote_asset_sell_volume=sum(itertools.compress(quotes, sold), _ZERO),
            first_timestamp=times[0],
            last_timestamp=times[-1],
            first_trade_id=ids[0],
            last_trade_id=ids[-1],
            num_ticks=len(times),
            num_buy_ticks=sum(bought),
            num_sell_ticks=sum(sold),
        )


Measure = Literal["tick", "volume", "dollar"]

MEASURES: Final[dict[Measure, Callable[[Row], Decimal]]] = {
    "tick": lambda _: Decimal(1),
    "volume": lambda row: row.base,
    "dollar": lambda row: row.quote,
}
"""What a trade counts for, by the type of the bars."""


def series_of(rows: Rows, lasts: int, thresholds: dict[Measure, Decimal]) -> dict[tuple[str, str], Series]:
    """Every kind of bars that these rows have, by type and subclass; each row lasts so many milliseconds."""
    made: dict[tuple[str, str], Series] = {
        ("time", name): TimeBars(rows, width, lasts) for name, width in WIDTHS.items()
    }
    for measure, threshold in thresholds.items():
        made[measure, "dynamic"] = ThresholdBars(rows, MEASURES[measure], threshold)
    return made
