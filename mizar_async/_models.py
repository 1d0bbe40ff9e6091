"""What is asked and what is answered: plain frozen classes with the field names of the wire.

Requests check themselves when they are made, so nothing unsound can be on its way. Answers are lenient
where the server has been seen to be odd: a price that is no price is None, and never fails a call.
This module knows nothing of JSON; the codec does.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any

import attrs

from .errors import InvalidInput

if TYPE_CHECKING:
    from attrs import Attribute

Size = int | float | Decimal

# Sums of prices use a context of their own, spelled out whole: the caller's global one is neither used nor changed.
_ARITHMETIC = Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, capitals=1, clamp=0, traps=[])

# What lies outside is no price, though it is finite: "1E+999999999" would fill the memory when it is written out.
LEAST_PRICE, BEYOND_PRICES = Decimal("1E-40"), Decimal("1E+40")


def _refuse(name: str, value: object, allowed: str) -> InvalidInput:
    shown = repr(value)
    if len(shown) > 80:
        shown = f"{shown[:77]}..."
    return InvalidInput(f"{name}={shown} is refused: {allowed}")


def whole_number(name: str, value: object) -> int:
    """Return `value` as an int, or raise InvalidInput: booleans, floats and text are no ids."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if isinstance(value, bool) or number < 0:
        raise _refuse(name, value, "it must be a whole number, 0 or more, such as 17")
    return number


def _exact_size(name: str, value: object) -> Decimal:
    if type(value) is Decimal:
        size = value
    elif isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        # A float means the shortest decimal that reads back as it: 0.3, not 0.299999999999999988...
        # float(...) first, since subclasses such as numpy's have another repr.
        size = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    else:
        size = Decimal("NaN")
    if not (size.is_finite() and 0 < size <= 1):
        raise _refuse(name, value, "it must be a finite number, more than 0 and at most 1")
    return size


def _strategy_id(value: object) -> int:
    return whole_number("strategy_id", value)


def _position_id(value: object) -> int:
    return whole_number("position_id", value)


def _size(value: object) -> Decimal:
    return _exact_size("size", value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or value != value.strip():
        raise _refuse(name, value, "it must be text that is not empty and has no spaces around it, such as 'BTC'")
    return value


def _is_text(_: object, field: Attribute[Any], value: object) -> None:
    _text(field.name, value)


def _is_any_text(_: object, field: Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise _refuse(field.name, value, "it must be text")


def _is_optional_text(_: object, field: Attribute[Any], value: object) -> None:
    if value is not None:
        _text(field.name, value)


def _is_bool(_: object, field: Attribute[Any], value: object) -> None:
    if value is not True and value is not False:
        raise _refuse(field.name, value, "it must be True (long) or False (short)")


def _texts(name: str, value: object) -> tuple[str, ...]:
    allowed = "it must be a list of at least one text, such as ['BTCUSDT']"
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise _refuse(name, value, allowed)
    texts = tuple(value)
    if not texts:
        raise _refuse(name, value, allowed)
    for text in texts:
        _text(name, text)
    return texts


def _exchanges(value: object) -> tuple[str, ...]:
    return _texts("exchanges", value)


def _symbols(value: object) -> tuple[str, ...]:
    return _texts("symbols", value)


@attrs.frozen(kw_only=True)
class PublishStrategy:
    """A new self-hosted strategy."""

    name: str = attrs.field(validator=_is_text)
    description: str = attrs.field(validator=_is_any_text)
    exchanges: tuple[str, ...] = attrs.field(converter=_exchanges)
    symbols: tuple[str, ...] = attrs.field(converter=_symbols)
    market: str = attrs.field(validator=_is_text)


@attrs.frozen(kw_only=True)
class OpenPosition:
    """One position to be opened, for `open_positions` and `stream_open_positions`.

    `size` is the share of what each follower allows: more than 0, at most 1. Raises `InvalidInput` when
    a value can't be right.
    """

    strategy_id: int = attrs.field(converter=_strategy_id)
    base_asset: str = attrs.field(validator=_is_text)
    quote_asset: str = attrs.field(validator=_is_text)
    size: Decimal = attrs.field(default=Decimal(1), converter=_size)
    is_long: bool = attrs.field(validator=_is_bool)


def check_open(request: object) -> OpenPosition:
    """Return a request that came from outside, or raise InvalidInput: it checked its values when it was made."""
    if not isinstance(request, OpenPosition):
        raise _refuse("request", request, "it must be an OpenPosition(strategy_id=..., base_asset=..., ...)")
    return request


@attrs.frozen
class ClosePosition:
    """One position to be closed, by its id."""

    position_id: int = attrs.field(converter=_position_id)


@attrs.frozen
class OfStrategy:
    """What belongs to one strategy."""

    strategy_id: int = attrs.field(converter=_strategy_id)


@attrs.frozen(kw_only=True)
class CloseAll:
    """All open positions of one strategy, or of one pair of it."""

    strategy_id: int = attrs.field(converter=_strategy_id)
    base_asset: str | None = attrs.field(default=None, validator=_is_optional_text)
    quote_asset: str | None = attrs.field(default=None, validator=_is_optional_text)

    def __attrs_post_init__(self) -> None:
        if (self.base_asset is None) != (self.quote_asset is None):
            missing = "base_asset" if self.base_asset is None else "quote_asset"
            raise _refuse(missing, None, "a pair is named by both its assets, or by neither to close every pair")


@attrs.frozen
class OfMarket:
    """The symbols of an exchange, all of them or those of one market."""

    exchange: str = attrs.field(validator=_is_text)
    market: str | None = attrs.field(default=None, validator=_is_optional_text)


@attrs.frozen
class Nothing:
    """A request without parameters."""


@attrs.frozen
class Exchange:
    """An exchange that Mizar trades on, and its markets, such as SPOT and FUTURES."""

    name: str
    markets: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the dictionary of the API's documentation."""
        return _to_dict(self)


@attrs.frozen
class Symbol:
    """A tradable pair; `markets` is filled where symbols of an exchange are listed."""

    symbol: str
    base_asset: str
    quote_asset: str
    markets: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the dictionary of the API's documentation."""
        return _to_dict(self)


@attrs.frozen
class Strategy:
    """A self-hosted strategy. `creation_timestamp` is in milliseconds since the epoch, UTC."""

    strategy_id: int
    name: str
    exchange: str
    market: str
    symbols: tuple[Symbol, ...]
    creation_timestamp: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the dictionary of the API's documentation."""
        return _to_dict(self)


def usable_price(price: Decimal | None) -> Decimal | None:
    """The price, or None where the server gave none that can be used: 0, NaN, infinite."""
    return price if price is not None and price.is_finite() and LEAST_PRICE <= price < BEYOND_PRICES else None


def _time(timestamp: int | None) -> datetime | None:
    if timestamp is None:
        return None
    try:  # through whole milliseconds: a float of seconds would not be exact
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp)
    except OverflowError:
        return None


@attrs.frozen
class Position:
    """An open position, as the server recorded it.

    `open_price` is in the quote asset, exact, and None where the server gave no usable price.
    `open_timestamp` is in milliseconds since the epoch, UTC. `strategy_id` is None where the server's
    was unreadable.
    """

    position_id: int
    strategy_id: int | None
    base_asset: str
    quote_asset: str
    size: Decimal
    is_long: bool
    # msgspec runs no converters: the codec applies the same check to what it has read.
    open_price: Decimal | None = attrs.field(default=None, converter=usable_price)
    open_timestamp: int | None = None

    @property
    def symbol(self) -> str:
        """Base and quote asset in one word, such as BTCUSDT."""
        return self.base_asset + self.quote_asset

    @property
    def opened_at(self) -> datetime | None:
        """When it was opened, UTC, timezone-aware."""
        return _time(self.open_timestamp)

    def to_dict(self) -> dict[str, Any]:
        """Give the dictionary of the API's documentation: ids as text, prices as text with twelve decimals."""
        return _to_dict(self)


@attrs.frozen
class ClosedPosition(Position):
    """A position that is closed. `close_price` and `close_timestamp` are None where nobody could say."""

    close_price: Decimal | None = attrs.field(default=None, converter=usable_price)
    close_timestamp: int | None = None

    @property
    def closed_at(self) -> datetime | None:
        """When it was closed, UTC, timezone-aware."""
        return _time(self.close_timestamp)

    @property
    def held_for(self) -> timedelta | None:
        """How long it was open, by the server's clock; None where a time is unknown."""
        if self.open_timestamp is None or self.close_timestamp is None:
            return None
        return timedelta(milliseconds=self.close_timestamp - self.open_timestamp)

    @property
    def return_pct(self) -> Decimal | None:
        """The return of the price in percent, before size and fees; None where a price is unknown.

        100 x (close - open) / open for a long, the negative of it for a short.
        """
        if self.open_price is None or self.close_price is None:
            return None
        gain = _ARITHMETIC.subtract(self.close_price, self.open_price)
        if not self.is_long:
            gain = _ARITHMETIC.minus(gain)
        return _ARITHMETIC.divide(_ARITHMETIC.multiply(gain, Decimal(100)), self.open_price)


def _to_dict(model: object) -> dict[str, Any]:
    from ._codec import documented  # the codec knows the wire, and imports this module

    return documented(model)
