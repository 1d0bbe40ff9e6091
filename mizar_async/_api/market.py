"""Bars: what is asked of them, and what one is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import attrs

from ..errors import InvalidInput
from . import checks
from .documented import FURTHER, Documented, as_number, written
from .trading import usable_price, utc

LARGEST_PAGE: Final = 500

# What no subclass names has no width: bars of ticks, of volume, of dollars.
WIDTHS: Final = {
    "1min": 60_000,
    "3min": 180_000,
    "5min": 300_000,
    "15min": 900_000,
    "30min": 1_800_000,
    "1H": 3_600_000,
    "4H": 14_400_000,
    "12H": 43_200_000,
    "D": 86_400_000,
}
"""How long a time bar of each subclass lasts, in milliseconds."""


def width_of(bar_type: str, bar_subclass: str) -> int | None:
    """How long bars of a kind last, in milliseconds; None where that is not known."""
    return WIDTHS.get(bar_subclass) if bar_type == "time" else None


def _start(value: object) -> int:
    return checks.milliseconds("start", value)


def _limit(value: object) -> int:
    try:
        limit = checks.whole_number("limit", value)
    except InvalidInput:
        limit = 0
    if not 1 <= limit <= LARGEST_PAGE:
        raise checks.refuse("limit", value, f"it must be a whole number from 1 to {LARGEST_PAGE}")
    return limit


@attrs.frozen(kw_only=True)
class OfKinds:
    """The kinds of bars that there are: of an exchange, and of whatever else is named."""

    exchange: str | None = attrs.field(converter=checks.plain, validator=checks.is_optional_text)
    base_asset: str | None = attrs.field(default=None, converter=checks.plain, validator=checks.is_optional_text)
    quote_asset: str | None = attrs.field(default=None, converter=checks.plain, validator=checks.is_optional_text)
    bar_type: str | None = attrs.field(default=None, converter=checks.plain, validator=checks.is_optional_text)
    bar_subclass: str | None = attrs.field(default=None, converter=checks.plain, validator=checks.is_optional_text)
    further: Mapping[str, object] = attrs.field(factory=dict, metadata=FURTHER)


@attrs.frozen(kw_only=True)
class OfBars:
    """One page of bars: those that begin at a time or later, oldest first."""

    base_asset: str = attrs.field(converter=checks.plain, validator=checks.is_text)
    quote_asset: str = attrs.field(converter=checks.plain, validator=checks.is_text)
    start_timestamp: int = attrs.field(default=0, converter=_start)
    limit: int = attrs.field(default=LARGEST_PAGE, converter=_limit)
    bar_type: str = attrs.field(default="time", converter=checks.plain, validator=checks.is_text)
    bar_subclass: str = attrs.field(default="D", converter=checks.plain, validator=checks.is_text)
    exchange: str = attrs.field(default="binance", converter=checks.plain, validator=checks.is_text)
    further: Mapping[str, object] = attrs.field(factory=dict, metadata=FURTHER)


@attrs.frozen
class BarType(Documented):
    """A kind of bars of one pair: `bar_type` is time, tick, volume or dollar, `bar_subclass` 1min ... D, or dynamic."""

    bar_type: str
    bar_subclass: str
    base_asset: str
    quote_asset: str
    exchange: str


_NUMBER: Final = written(as_number)


@attrs.frozen
class Bar(Documented):
    """What was traded in one interval, or until a number of trades or an amount was reached.

    `time` is when a time bar's interval opened, for others the time of the first trade; all times are in milliseconds
    since the epoch, UTC. Prices are in the quote asset, volumes in base and in quote asset; what was bought and sold is
    seen from the taker. Numbers are exact, and None where the server gave none that can be used.
    """

    _in_order = True

    time: int
    open: Decimal | None = attrs.field(default=None, converter=usable_price, metadata=_NUMBER)
    high: Decimal | None = attrs.field(default=None, converter=usable_price, metadata=_NUMBER)
    low: Decimal | None = attrs.field(default=None, converter=usable_price, metadata=_NUMBER)
    close: Decimal | None = attrs.field(default=None, converter=usable_price, metadata=_NUMBER)
    base_asset_volume: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    base_asset_buy_volume: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    base_asset_sell_volume: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    quote_asset_volume: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    quote_asset_buy_volume: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    quote_asset_sell_volume: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    first_timestamp: int | None = None
    last_timestamp: int | None = None
    first_trade_id: int | None = None
    last_trade_id: int | None = None
    num_ticks: int | None = None
    num_buy_ticks: int | None = None
    num_sell_ticks: int | None = None

    @property
    def opened_at(self) -> datetime | None:
        """When it began, UTC, timezone-aware."""
        return utc(self.time)


def is_whole(name: str) -> bool:
    """Whether a field of a bar is a whole number: a time, an id, a count."""
    return name.endswith(("time", "_timestamp", "_id", "_ticks"))


def _of_float(name: str) -> Any:
    kind: Any = int | None if is_whole(name) else float | None
    return attrs.field(type=int) if name == "time" else attrs.field(type=kind, default=None)


FloatBar: Any = attrs.make_class(
    "FloatBar", {field.name: _of_float(field.name) for field in attrs.fields(Bar)}, frozen=True
)
"""A bar for a data frame: its numbers are floats, as a frame has them, and it is read in half of the time.

What can't be used is not told apart yet. It stands nowhere else.
"""
