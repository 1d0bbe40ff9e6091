"""What the venue says of prices: pairs, bars, the time. It stands on the feed and the clock alone."""

from __future__ import annotations

import hashlib
import threading
from decimal import Decimal
from typing import Final

from .._api import endpoints
from .._api.checks import exact_amount, refuse, whole_number
from .._api.market import BarType, OfBars, OfKinds
from .._api.trading import Exchange, Nothing, OfMarket, Symbol
from .._clock import Clock
from ..errors import InvalidInput
from . import rules
from .bars import Finished, Measure, Series, series_of
from .feeds import Feed

_DAY: Final = 86_400_000


class Market:
    """The pairs of a feed, and the bars of its prices."""

    def __init__(self, feed: Feed, clock: Clock, thresholds: dict[Measure, Decimal]) -> None:
        self.feed = feed
        self.clock = clock
        self._exchanges = feed.exchanges()
        self._symbols = {symbol.symbol: symbol for symbol in feed.symbols()}
        # Of prices without a beginning there are bars of the last two days.
        history = (clock.now() // _DAY - 2) * _DAY if feed.starts is None else 0
        self._series = {name: _series(feed, name, history, thresholds) for name in self._symbols}
        # Bars are made when they are asked for, maybe from the loops of several threads.
        self._making = threading.Lock()
        self.prices = hashlib.sha256(f"{feed.identity} {history} {thresholds}".encode()).hexdigest()[:16]
        """What tells its prices from those of any other venue."""

    def price(self, symbol: str) -> Decimal:
        """The feed's price of a pair now, before any spread; KeyError for a pair that is not traded here."""
        return self.feed.price(self._symbols[symbol].symbol, self.clock.now())

    def server_time(self, _owner: None, _: Nothing) -> endpoints.ServerTime:
        """The venue's clock."""
        return endpoints.ServerTime(self.clock.now())

    def exchanges(self, _owner: None, _: Nothing) -> tuple[Exchange, ...]:
        """The feed's exchanges."""
        return self._exchanges

    def symbols(self, _owner: None, ask: OfMarket) -> list[Symbol]:
        """The feed's pairs."""
        rules.check_market(ask, self._exchanges)
        return [symbol for symbol in self._symbols.values() if ask.market is None or ask.market in symbol.markets]

    def bar_types(self, _owner: int, ask: OfKinds) -> list[BarType]:
        """The kinds of bars that there are of the feed's pairs."""
        rules.check_kinds(ask, self._exchanges, self._symbols.values())
        every = (
            BarType(bar_type, bar_subclass, symbol.base_asset, symbol.quote_asset, exchange.name)
            for exchange in self._exchanges
            for symbol in self._symbols.values()
            for bar_type, bar_subclass in self._series[symbol.symbol]
        )
        return [kind for kind in every if _is_asked(kind, ask)]

    def bars(self, _owner: int, ask: OfBars) -> list[Finished]:
        """The bars of the feed's prices that are over by the venue's clock."""
        kinds = OfKinds(exchange=ask.exchange, bar_type=ask.bar_type, bar_subclass=ask.bar_subclass)
        rules.check_kinds(kinds, self._exchanges, self._symbols.values())
        symbol = self._symbols.get(ask.base_asset + ask.quote_asset)
        if symbol is None or symbol.base_asset != ask.base_asset:
            raise rules.no_pair()
        series = self._series[symbol.symbol].get((ask.bar_type, ask.bar_subclass))
        if series is None:
            raise rules.no_bars()
        with self._making:
            return series.page(ask.start_timestamp, ask.limit, self.clock.now())


def _series(feed: Feed, name: str, history: int, thresholds: dict[Measure, Decimal]) -> dict[tuple[str, str], Series]:
    return series_of(lambda start: feed.rows(name, max(start, history)), feed.lasts, thresholds)


def _is_asked(kind: BarType, ask: OfKinds) -> bool:
    names = ("exchange", "base_asset", "quote_asset", "bar_type", "bar_subclass")
    return all(getattr(ask, name) in (None, getattr(kind, name)) for name in names)


def thresholds(
    tick_bars: object, volume_bars: object, dollar_bars: object, *, of_trades: bool
) -> dict[Measure, Decimal]:
    """What bars of trades are to reach; raises InvalidInput for what they can't."""
    wanted: dict[Measure, Decimal] = {}
    if tick_bars is not None:
        ticks = whole_number("tick_bars", tick_bars)
        if ticks == 0:
            raise refuse("tick_bars", tick_bars, "it must be a number of trades, 1 or more")
        wanted["tick"] = Decimal(ticks)
    if volume_bars is not None:
        wanted["volume"] = exact_amount("volume_bars", volume_bars)
    if dollar_bars is not None:
        wanted["dollar"] = exact_amount("dollar_bars", dollar_bars)
    if wanted and not of_trades:
        name = f"{next(iter(wanted))}_bars"
        raise InvalidInput(
            f"{name} is refused: it needs a recording of trades; neither candles nor simulated prices do"
        )
    return wanted
