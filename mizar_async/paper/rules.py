"""What the venue refuses, and at which price it fills. Pure: facts in, a price or a `Refusal` out.

| what                                                       | status |
| ---                                                        | ---    |
| a key that is missing or unknown                           | 401    |
| a strategy or position that is unknown, or another key's   | 404    |
| a call that the venue does not carry out                   | 404    |
| a position that is closed already                          | 409    |
| a source or a strategy that is too large                   | 413    |
| an order that waits for its fill when the server ends      | 503    |
| an unknown exchange, market, symbol, kind of bars; a pair not of the strategy; a short on SPOT | 422 |

A refusal never repeats what was sent: a body may hold an API key, and error bodies are logged.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal
from typing import TYPE_CHECKING, Final

import attrs

from .._api.market import WIDTHS

if TYPE_CHECKING:
    from .._api.market import OfKinds
    from .._api.trading import Exchange, OfMarket, OpenPosition, PublishStrategy, Strategy, Symbol

MARKETS: Final = ("SPOT", "FUTURES")
BAR_TYPES: Final = ("time", "tick", "volume", "dollar")
BAR_SUBCLASSES: Final = (*WIDTHS, "dynamic")

_NONE: Final = Decimal(0)
_TWELVE_DECIMALS: Final = Decimal("1e-12")
_ROUNDED_UP: Final = Context(prec=80, rounding=ROUND_UP, Emin=-999999, Emax=999999, traps=[])
_ROUNDED_DOWN: Final = Context(prec=80, rounding=ROUND_DOWN, Emin=-999999, Emax=999999, traps=[])


@attrs.frozen
class Complaint:
    """One entry of a 422: where, what, and a word for programs."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class Refusal(Exception):
    """The venue says no: the HTTP status, and FastAPI's `detail`."""

    def __init__(self, status: int, detail: str | list[Complaint]) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


def wrong_key() -> Refusal:
    return Refusal(401, "Invalid API key")


def no_strategy() -> Refusal:
    return Refusal(404, "Strategy not found")


def no_position() -> Refusal:
    return Refusal(404, "Position not found")


def already_closed() -> Refusal:
    return Refusal(409, "Position is already closed")


def ends() -> Refusal:
    return Refusal(503, "The venue ends: this order was not filled")


def not_carried_out() -> Refusal:
    return Refusal(404, "The paper venue has no DCA bots yet: this call is not carried out here")


def too_large(what: str, limit: int) -> Refusal:
    return Refusal(413, f"The {what} is larger than {limit:,} bytes")


def invalid(loc: tuple[str | int, ...], msg: str, kind: str) -> Refusal:
    return Refusal(422, [Complaint(loc, msg, kind)])


def check_publication(ask: PublishStrategy, exchanges: Collection[Exchange], symbols: Collection[Symbol]) -> None:
    """Refuse a strategy on exchanges, markets or symbols that are not traded here."""
    known = {exchange.name: exchange for exchange in exchanges}
    for place, name in enumerate(ask.exchanges):
        if name not in known:
            raise invalid(("body", "exchanges", place), "Unknown exchange", "unknown_exchange")
        if ask.market not in known[name].markets:
            raise invalid(("body", "market"), "Unknown market of this exchange", "unknown_market")
    tradable = {symbol.symbol for symbol in symbols if ask.market in symbol.markets}
    for place, name in enumerate(ask.symbols):
        if name not in tradable:
            raise invalid(("body", "symbols", place), "Unknown symbol of this market", "unknown_symbol")


def check_market(ask: OfMarket, exchanges: Collection[Exchange]) -> None:
    """Refuse a question about an exchange or a market that is not there."""
    known = {exchange.name: exchange for exchange in exchanges}
    if ask.exchange not in known:
        raise invalid(("query", "exchange"), "Unknown exchange", "unknown_exchange")
    if ask.market is not None and ask.market not in known[ask.exchange].markets:
        raise invalid(("query", "market"), "Unknown market of this exchange", "unknown_market")


def check_kinds(ask: OfKinds, exchanges: Collection[Exchange], symbols: Collection[Symbol]) -> None:
    """Refuse a question about bars of an exchange, an asset, a type or a subclass that can't be."""
    if ask.exchange is not None and ask.exchange not in {exchange.name for exchange in exchanges}:
        raise invalid(("query", "exchange"), "Unknown exchange", "unknown_exchange")
    if ask.base_asset is not None and ask.base_asset not in {symbol.base_asset for symbol in symbols}:
        raise invalid(("query", "base_asset"), "No pair has this base asset", "unknown_pair")
    if ask.quote_asset is not None and ask.quote_asset not in {symbol.quote_asset for symbol in symbols}:
        raise invalid(("query", "quote_asset"), "No pair has this quote asset", "unknown_pair")
    if ask.bar_type is not None and ask.bar_type not in BAR_TYPES:
        raise invalid(("query", "bar_type"), f"It must be one of {', '.join(BAR_TYPES)}", "unknown_bar_type")
    if ask.bar_subclass is not None and ask.bar_subclass not in BAR_SUBCLASSES:
        known = ", ".join(BAR_SUBCLASSES)
        raise invalid(("query", "bar_subclass"), f"It must be one of {known}", "unknown_bar_subclass")


def no_pair() -> Refusal:
    return invalid(("query", "base_asset"), "This pair is not traded here", "unknown_pair")


def no_bars() -> Refusal:
    return invalid(("query", "bar_subclass"), "There are no bars of this type and subclass", "unknown_bars")


def published_name(info: object) -> str:
    """The name in what is told of a hosted strategy; refuses one without."""
    found = info.get("strategy_signal_name") or info.get("name") if isinstance(info, dict) else None
    if not isinstance(found, str) or not found.isprintable() or not 0 < len(found.strip()) <= 1_000:
        raise invalid(
            ("body", "strategy-info"), "It should be a JSON object with a strategy_signal_name or a name", "no_name"
        )
    return found


def check_pair(base_asset: str, quote_asset: str, strategy: Strategy) -> None:
    """Refuse a pair that the strategy does not trade."""
    if not any(symbol.base_asset == base_asset and symbol.quote_asset == quote_asset for symbol in strategy.symbols):
        raise invalid(("body", "base_asset"), "The strategy does not trade this pair", "unknown_pair")


def check_open(ask: OpenPosition, strategy: Strategy) -> None:
    """Refuse a pair that the strategy does not trade, and a short on SPOT."""
    check_pair(ask.base_asset, ask.quote_asset, strategy)
    if strategy.market == "SPOT" and not ask.is_long:
        raise invalid(("body", "is_long"), "A strategy on the SPOT market can only be long", "short_on_spot")


def fill(price: Decimal, *, buys: bool, spread: Decimal, slippage: Decimal = _NONE) -> Decimal:
    """The price of a fill: worse than the feed's by half of the spread and by the slippage, both in percent.

    It has twelve decimals; what does not fit into them is rounded against the trader.
    """
    context = _ROUNDED_UP if buys else _ROUNDED_DOWN
    worse = context.add(context.divide(spread, Decimal(200)), context.divide(slippage, Decimal(100)))
    factor = context.add(Decimal(1), worse if buys else context.minus(worse))
    return context.quantize(context.multiply(price, factor), _TWELVE_DECIMALS)
