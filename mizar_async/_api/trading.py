"""What is asked and what is answered: plain frozen classes with the field names of the wire.

Requests check themselves when they are made, so nothing unsound can be on its way. Answers are lenient
where the server has been seen to be odd: a price that is no price is None, and never fails a call.
This module knows nothing of JSON; the codec does.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import attrs

from . import checks
from .documented import LEFT_OUT_IF_EMPTY, OFF_THE_WIRE, Documented, id_text, twelve_decimals, written

# Sums of prices use a context of their own, spelled out whole: the caller's global one is neither used nor changed.
_ARITHMETIC = Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, capitals=1, clamp=0, traps=[])

# What lies outside is no price, though it is finite: "1E+999999999" would fill the memory when it is written out.
LEAST_PRICE, BEYOND_PRICES = Decimal("1E-40"), Decimal("1E+40")


@attrs.frozen(kw_only=True)
class PublishStrategy:
    """A new self-hosted strategy."""

    name: str = attrs.field(converter=checks.plain, validator=checks.is_text)
    description: str = attrs.field(converter=checks.plain, validator=checks.is_any_text)
    exchanges: tuple[str, ...] = attrs.field(converter=checks.exchange_names)
    symbols: tuple[str, ...] = attrs.field(converter=checks.symbol_names)
    market: str = attrs.field(converter=checks.plain, validator=checks.is_text)


@attrs.frozen(kw_only=True)
class OpenPosition:
    """One position to be opened, for `open_positions` and `stream_open_positions`.

    `size` is the share of what each follower allows: more than 0, at most 1. `client_order_id` names the open: text of
    1 to 64 printable characters, unique within its strategy. The same id never opens twice; the server is not told it.
    Raises `InvalidInput` when a value can't be right.
    """

    strategy_id: int = attrs.field(converter=checks.strategy_id)
    base_asset: str = attrs.field(converter=checks.plain, validator=checks.is_text)
    quote_asset: str = attrs.field(converter=checks.plain, validator=checks.is_text)
    size: Decimal = attrs.field(default=Decimal(1), converter=checks.size)
    is_long: bool = attrs.field(validator=checks.is_side)
    client_order_id: str | None = attrs.field(
        default=None, converter=checks.plain, validator=checks.is_client_order_id, metadata=OFF_THE_WIRE
    )


def check_open(request: object) -> OpenPosition:
    """Return a request that came from outside, or raise InvalidInput: it checked its values when it was made."""
    if not isinstance(request, OpenPosition):
        raise checks.refuse("request", request, "it must be an OpenPosition(strategy_id=..., base_asset=..., ...)")
    return request


@attrs.frozen
class ClosePosition:
    """One position to be closed, by its id."""

    position_id: int = attrs.field(converter=checks.position_id)


@attrs.frozen
class OfStrategy:
    """What belongs to one strategy."""

    strategy_id: int = attrs.field(converter=checks.strategy_id)


@attrs.frozen(kw_only=True)
class CloseAll:
    """All open positions of one strategy, or of one pair of it."""

    strategy_id: int = attrs.field(converter=checks.strategy_id)
    base_asset: str | None = attrs.field(default=None, converter=checks.plain, validator=checks.is_optional_text)
    quote_asset: str | None = attrs.field(default=None, converter=checks.plain, validator=checks.is_optional_text)

    def __attrs_post_init__(self) -> None:
        if (self.base_asset is None) != (self.quote_asset is None):
            missing = "base_asset" if self.base_asset is None else "quote_asset"
            raise checks.refuse(missing, None, "a pair is named by both its assets, or by neither to close every pair")


@attrs.frozen
class OfMarket:
    """The symbols of an exchange, all of them or those of one market."""

    exchange: str = attrs.field(converter=checks.plain, validator=checks.is_text)
    market: str | None = attrs.field(default=None, converter=checks.plain, validator=checks.is_optional_text)


@attrs.frozen
class Nothing:
    """A request without parameters."""


@attrs.frozen
class Exchange(Documented):
    """An exchange that Mizar trades on, and its markets, such as SPOT and FUTURES."""

    _in_order = True

    name: str
    markets: tuple[str, ...] = ()


@attrs.frozen
class Symbol(Documented):
    """A tradable pair; `markets` is filled where symbols of an exchange are listed."""

    symbol: str
    base_asset: str
    quote_asset: str
    markets: tuple[str, ...] = attrs.field(default=(), metadata=LEFT_OUT_IF_EMPTY)

    @classmethod
    def of(cls, pair: str) -> Symbol:
        """The pair that a text names: "BTC/USDT", or "BTCUSDT" where it ends with a quote asset that is well known.

        Raises `InvalidInput` for text that does not say which pair it is.
        """
        base, slash, quote = pair.strip().upper().partition("/") if isinstance(pair, str) else ("", "", "")
        if not slash:
            quote = next((known for known in _QUOTES if base.endswith(known) and base != known), "")
            base = base.removesuffix(quote)
        if not (_ASSET.fullmatch(base) and _ASSET.fullmatch(quote)):
            raise checks.refuse(
                "pair", pair, "it must be such as BTC/USDT, or BTCUSDT where the quote asset is well known"
            )
        return cls(base + quote, base, quote)


_ASSET: Final = re.compile("[A-Z0-9]{1,20}")
# Those that are parts of others come behind them.
# fmt: off
_QUOTES: Final = (
    "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "DAI", "EUR", "GBP", "TRY", "BRL", "BTC", "ETH", "BNB",
)
# fmt: on


@attrs.frozen
class Strategy(Documented):
    """A self-hosted strategy. `creation_timestamp` is in milliseconds since the epoch, UTC."""

    strategy_id: int
    name: str
    exchange: str
    market: str
    symbols: tuple[Symbol, ...]
    creation_timestamp: int | None = None

    @property
    def created_at(self) -> datetime | None:
        """When it was published, UTC, timezone-aware."""
        return utc(self.creation_timestamp)


def usable_price(price: Decimal | None) -> Decimal | None:
    """The price, or None where the server gave none that can be used: 0, NaN, infinite."""
    return price if price is not None and price.is_finite() and LEAST_PRICE <= price < BEYOND_PRICES else None


def utc(timestamp: int | None) -> datetime | None:
    if timestamp is None:
        return None
    try:  # through whole milliseconds: a float of seconds would not be exact
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp)
    except OverflowError:
        return None


@attrs.frozen
class Position(Documented):
    """An open position, as the server recorded it.

    `open_price` is in the quote asset, exact, and None where the server gave no usable price.
    `open_timestamp` is in milliseconds since the epoch, UTC. `strategy_id` is None where the server's
    was unreadable.
    """

    position_id: int = attrs.field(metadata=written(id_text))
    strategy_id: int | None = attrs.field(metadata=written(id_text))
    base_asset: str
    quote_asset: str
    size: Decimal = attrs.field(metadata=written(float))
    is_long: bool
    # msgspec runs no converters: the codec applies the same check to what it has read.
    open_price: Decimal | None = attrs.field(default=None, converter=usable_price, metadata=written(twelve_decimals))
    open_timestamp: int | None = None

    @property
    def symbol(self) -> str:
        """Base and quote asset in one word, such as BTCUSDT."""
        return self.base_asset + self.quote_asset

    @property
    def opened_at(self) -> datetime | None:
        """When it was opened, UTC, timezone-aware."""
        return utc(self.open_timestamp)


@attrs.frozen
class ClosedPosition(Position):
    """A position that is closed. `close_price` and `close_timestamp` are None where nobody could say."""

    close_price: Decimal | None = attrs.field(default=None, converter=usable_price, metadata=written(twelve_decimals))
    close_timestamp: int | None = None

    @property
    def closed_at(self) -> datetime | None:
        """When it was closed, UTC, timezone-aware."""
        return utc(self.close_timestamp)

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
