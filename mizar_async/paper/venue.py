"""The venue itself: decides by the rules, fills at the feed's price, stores, and only then answers."""

from __future__ import annotations

from decimal import Decimal
from os import PathLike
from typing import Final, NoReturn

import attrs

from .._api import endpoints
from .._api.checks import Size
from .._api.hosted import Publication
from .._api.trading import (
    CloseAll,
    ClosedPosition,
    ClosePosition,
    Nothing,
    OfStrategy,
    OpenPosition,
    Position,
    PublishStrategy,
    Strategy,
    Symbol,
)
from .._clock import Clock
from ..errors import InvalidInput
from . import keys, rules
from .feeds import Feed, Replay, Simulated, VolumeIn
from .market import Market, thresholds
from .store import Store

_DAY: Final = 86_400_000

SPREAD: Final = Decimal("0.02")
"""Percent between buying and selling, half of it on each fill."""


@attrs.frozen
class Upload:
    """A hosted strategy as it came."""

    info: str
    told: object
    """What the JSON of `info` says; None if it is none."""
    source: str = attrs.field(repr=False)
    strategy: bytes | bytearray = attrs.field(repr=False)
    """The base64 text of a pickle."""


class Venue(Market):
    """Strategies and positions of several keys, filled at the prices of a feed.

        venue = Venue(Store("paper.db"), Simulated(seed=7))
        key = venue.create_key()

    `spread` is in percent: who buys pays half of it more than the feed's price, who sells gets half of it less.
    A `clock` of another speed makes the venue's time, and with it a replay, run faster than real time; by default a
    replay begins with its first row, when the venue is first asked. Of a recording of trades there are bars of so many
    trades (`tick_bars`), of so much of the base asset (`volume_bars`) or of the quote asset (`dollar_bars`). Raises
    `InvalidInput` for a spread that is not from 0 up to, not including, 100, and for thresholds that can't be.
    """

    def __init__(
        self,
        store: Store | None = None,
        feed: Feed | None = None,
        *,
        clock: Clock | None = None,
        spread: Decimal | float | str = SPREAD,
        tick_bars: int | None = None,
        volume_bars: Size | None = None,
        dollar_bars: Size | None = None,
    ) -> None:
        self.spread = _checked_spread(spread)
        feed = Simulated() if feed is None else feed
        clock = Clock(start=feed.starts) if clock is None else clock
        super().__init__(feed, clock, thresholds(tick_bars, volume_bars, dollar_bars, of_trades=feed.has_trades))
        self.store = Store() if store is None else store

    @classmethod
    def of(
        cls,
        *,
        db: str | PathLike[str] | None = None,
        prices: str | PathLike[str] | None = None,
        pair: str | None = None,
        speed: float = 1.0,
        seed: int = 0,
        spread: Decimal | float | str = SPREAD,
        volume_in: VolumeIn = "base",
        tick_bars: int | None = None,
        volume_bars: Size | None = None,
        dollar_bars: Size | None = None,
    ) -> Venue:
        """A venue from what a user says: in memory unless `db` names a file, simulated unless `prices` names one.

        `volume_in` says what the volume of that file's candles is counted in.
        """
        if isinstance(speed, bool) or not 0 < speed < float("inf"):
            raise InvalidInput(f"speed={speed!r} is refused: it must be a finite number, more than 0")
        if pair is not None and prices is None:
            raise InvalidInput(f"pair={pair!r} is refused: it names the pair of a file of prices, and there is none")
        if volume_in != "base" and prices is None:
            raise InvalidInput(f"volume_in={volume_in!r} is refused: it is about a file of candles, and there is none")
        feed: Feed = Simulated(seed) if prices is None else Replay(prices, pair, volume_in)
        checked = _checked_spread(spread)  # before the file of the store is made
        thresholds(tick_bars, volume_bars, dollar_bars, of_trades=feed.has_trades)
        return cls(
            Store(db),
            feed,
            clock=Clock(speed=speed, start=feed.starts),
            spread=checked,
            tick_bars=tick_bars,
            volume_bars=volume_bars,
            dollar_bars=dollar_bars,
        )

    def __repr__(self) -> str:
        place = "in memory" if self.store.path is None else self.store.path.name
        return f"<Venue {place}, {self.feed!r}, spread {self.spread:f} %, {self.clock.speed:g} x real time>"

    def close(self) -> None:
        """Give the store back; all that was acknowledged is stored already."""
        self.store.close()

    # -- keys ----------------------------------------------------------------------------------------

    def create_key(self) -> str:
        """A fresh API key. It is not kept, only its hash: whoever loses it needs another one."""
        key = keys.new_key()
        self.store.add_key(keys.name_of(key), keys.hashed(key))
        return key

    def knows(self, key: str) -> bool:
        """Whether this key was created here."""
        return self._owner(key) is not None

    @property
    def is_fresh(self) -> bool:
        """True until the first key is created."""
        return self.store.count_keys() == 0

    def owner(self, key: str | None) -> int:
        """Whose key this is; raises the refusal of a wrong key."""
        owner = None if key is None else self._owner(key)
        if owner is None:
            raise rules.wrong_key()
        return owner

    def _owner(self, key: str) -> int | None:
        row = self.store.key(keys.name_of(key))
        return row[0] if keys.same(key, None if row is None else row[1]) and row is not None else None

    # -- the truth -----------------------------------------------------------------------------------

    def positions(self) -> list[Position | ClosedPosition]:
        """Everything that was ever opened here, by any key, oldest first: a `ClosedPosition` if it was closed since."""
        return self.store.positions()

    # -- the calls -----------------------------------------------------------------------------------

    def publish_strategy(self, owner: int, ask: PublishStrategy) -> Strategy:
        """Store a new strategy."""
        rules.check_publication(ask, self._exchanges, self._symbols.values())
        symbols = tuple(_without_markets(self._symbols[name]) for name in dict.fromkeys(ask.symbols))
        return self.store.add_strategy(
            owner,
            name=ask.name,
            description=ask.description,
            exchange=ask.exchanges[0],
            market=ask.market,
            symbols=symbols,
            at=self.clock.now(),
        )

    def open_position(self, owner: int, ask: OpenPosition) -> Position:
        """Fill and store a position."""
        rules.check_open(ask, self._strategy(owner, ask.strategy_id))
        now = self.clock.now()
        return self.store.open(
            ask.strategy_id,
            base_asset=ask.base_asset,
            quote_asset=ask.quote_asset,
            size=ask.size,
            is_long=ask.is_long,
            price=self._fill(ask.base_asset + ask.quote_asset, now, buys=ask.is_long),
            at=now,
        )

    def close_position(self, owner: int, ask: ClosePosition) -> ClosedPosition:
        """Fill and store the close of a position that is open."""
        found = self.store.position(ask.position_id)
        if found is None or found.owner != owner:
            raise rules.no_position()
        if isinstance(found.position, ClosedPosition):
            raise rules.already_closed()
        closed = self._closed(found.position, self.clock.now())
        if not self.store.close_open([closed]):  # another process on the same file was faster
            raise rules.already_closed()
        return closed

    def close_all_positions(self, owner: int, ask: CloseAll) -> list[ClosedPosition]:
        """Close what is open, of the strategy or of one pair of it, at one time and all together."""
        strategy = self._strategy(owner, ask.strategy_id)
        if ask.base_asset is not None and ask.quote_asset is not None:
            rules.check_pair(ask.base_asset, ask.quote_asset, strategy)
        while True:
            now = self.clock.now()
            closed = [
                self._closed(position, now)
                for position in self.store.open_positions(ask.strategy_id)
                if ask.base_asset is None
                or (position.base_asset, position.quote_asset) == (ask.base_asset, ask.quote_asset)
            ]
            if self.store.close_open(closed):
                return closed

    def open_positions(self, owner: int, ask: OfStrategy) -> list[Position]:
        """What is open of a strategy."""
        self._strategy(owner, ask.strategy_id)
        return self.store.open_positions(ask.strategy_id)

    def strategies(self, owner: int, _: Nothing) -> list[Strategy]:
        """The strategies of this key."""
        return self.store.strategies(owner)

    def ping(self, _owner: None, _: Nothing) -> endpoints.Pong:
        """Say that the venue is there."""
        return endpoints.Pong()

    def publish_hosted(self, owner: int, upload: Upload) -> Publication:
        """Store a strategy that Mizar would run. Its pickle stays unopened."""
        name = rules.published_name(upload.told)
        self.store.add_hosted(
            owner,
            name=name,
            info=upload.info,
            source=upload.source,
            strategy=upload.strategy,
            at=self.clock.now(),
        )
        return Publication(f"The strategy {name} has been published in Mizar")

    def dca_bots(self, _owner: int, _: object) -> NoReturn:
        """Say that there are no DCA bots here yet."""
        raise rules.not_carried_out()

    def _strategy(self, owner: int, strategy_id: int) -> Strategy:
        found = self.store.strategy(strategy_id)
        if found is None or found.owner != owner:
            raise rules.no_strategy()
        return found.strategy

    def _fill(self, symbol: str, at: int, *, buys: bool) -> Decimal:
        return rules.fill(self.feed.price(symbol, at), buys=buys, spread=self.spread)

    def _closed(self, position: Position, at: int) -> ClosedPosition:
        return ClosedPosition(
            position.position_id,
            position.strategy_id,
            position.base_asset,
            position.quote_asset,
            position.size,
            position.is_long,
            position.open_price,
            position.open_timestamp,
            self._fill(position.symbol, at, buys=not position.is_long),
            at,
        )


def _without_markets(symbol: Symbol) -> Symbol:
    return Symbol(symbol.symbol, symbol.base_asset, symbol.quote_asset)


def _checked_spread(spread: Decimal | float | str) -> Decimal:
    try:
        percent = Decimal(str(spread))
    except ArithmeticError:
        percent = Decimal("NaN")
    if isinstance(spread, bool) or not (
        percent.is_finite() and 0 <= percent < 100 and len(percent.as_tuple().digits) <= 28
    ):
        raise InvalidInput(f"spread={spread!r} is refused: it must be a percentage, from 0 up to less than 100")
    return percent
