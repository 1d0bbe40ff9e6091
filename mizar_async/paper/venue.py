"""The venue itself: decides by the rules, fills at the feed's price, stores, and only then answers."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
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
from .fills import FEE, SPREAD, FillModel
from .market import Market, thresholds
from .pending import Order, Pending
from .store import Recorded, Store

ORDERS: Final = (OpenPosition, ClosePosition, CloseAll)
"""What is filled: the calls that the delay is for."""

HIGHEST_SPEED: Final = 1_000_000_000
"""How many times as fast as real time a venue's clock may run: the year 9999 is four minutes away then."""


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

        venue = Venue("paper.db", Simulated(seed=7), slippage="0.05")
        key = venue.create_key()

    `store` is where all is kept, or the path of its file; None is memory. What `spread`, `slippage`, `fee` and `delay`
    do is said by `FillModel`; delays are drawn from `rng`. The methods of the calls fill at once: whoever lets others
    in makes them wait, by `accept` and `settle`.
    A `clock` of another speed makes the venue's time, and with it a replay, run faster than real time; by default a
    replay begins with its first row, when the venue is first asked. Of a recording of trades there are bars of so many
    trades (`tick_bars`), of so much of the base asset (`volume_bars`) or of the quote asset (`dollar_bars`). Raises
    `InvalidInput` for what can't be, and for a file that can't be opened; a file is made after all else was checked.
    """

    def __init__(
        self,
        store: Store | str | PathLike[str] | None = None,
        feed: Feed | None = None,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        spread: Decimal | float | str = SPREAD,
        slippage: Decimal | float | str = 0,
        fee: Decimal | float | str = FEE,
        delay: Decimal | float | str = 0,
        tick_bars: int | None = None,
        volume_bars: Size | None = None,
        dollar_bars: Size | None = None,
    ) -> None:
        self.model = FillModel(spread=spread, slippage=slippage, fee=fee, delay=delay)
        feed = Simulated() if feed is None else feed
        clock = Clock(start=feed.starts) if clock is None else clock
        super().__init__(feed, clock, thresholds(tick_bars, volume_bars, dollar_bars, of_trades=feed.has_trades))
        self._rng = random.Random(0) if rng is None else rng
        self.pending = Pending()
        self.store = store if isinstance(store, Store) else Store(store)

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
        slippage: Decimal | float | str = 0,
        fee: Decimal | float | str = FEE,
        delay: Decimal | float | str = 0,
        volume_in: VolumeIn = "base",
        tick_bars: int | None = None,
        volume_bars: Size | None = None,
        dollar_bars: Size | None = None,
    ) -> Venue:
        """A venue from what a user says: in memory unless `db` names a file, simulated unless `prices` names one.

        `seed` is that of simulated prices and of delays. `volume_in` says what the volume of the file's candles is
        counted in. `speed` is more than 0 and at most `HIGHEST_SPEED`.
        """
        if isinstance(speed, bool) or not 0 < speed <= HIGHEST_SPEED:
            raise InvalidInput(
                f"speed={speed!r} is refused: it must be more than 0, and at most {HIGHEST_SPEED:,}, at which a minute "
                "is 1,900 years"
            )
        if pair is not None and prices is None:
            raise InvalidInput(f"pair={pair!r} is refused: it names the pair of a file of prices, and there is none")
        if volume_in != "base" and prices is None:
            raise InvalidInput(f"volume_in={volume_in!r} is refused: it is about a file of candles, and there is none")
        feed: Feed = Simulated(seed) if prices is None else Replay(prices, pair, volume_in)
        return cls(
            db,
            feed,
            clock=Clock(speed=speed, start=feed.starts),
            rng=random.Random(seed),
            spread=spread,
            slippage=slippage,
            fee=fee,
            delay=delay,
            tick_bars=tick_bars,
            volume_bars=volume_bars,
            dollar_bars=dollar_bars,
        )

    def __repr__(self) -> str:
        place = "in memory" if self.store.path is None else self.store.path.name
        return f"<Venue {place}, {self.feed!r}, {self.model.settings}, {self.clock.speed:g} x real time>"

    def close(self) -> None:
        """Give the store back; all that was acknowledged is stored already."""
        self.pending.drop(rules.ends())
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
        self.settle()
        return self.store.positions()

    def recorded(self) -> list[Recorded]:
        """The same, each with its fee and its strategy."""
        self.settle()
        return self.store.recorded()

    # -- orders that wait ----------------------------------------------------------------------------

    def accept(self, owner: int, ask: OpenPosition | ClosePosition | CloseAll) -> Order:
        """Take an order that is filled after the delay; what can be refused now is."""
        fill: Callable[[int], object]
        match ask:
            case OpenPosition():
                self._check_open(owner, ask)
                fill = functools.partial(self.open_position, owner, ask)
            case ClosePosition():
                self._to_close(owner, ask)
                fill = functools.partial(self.close_position, owner, ask)
            case CloseAll():
                self._check_close_all(owner, ask)
                fill = functools.partial(self.close_all_positions, owner, ask)
        return self.pending.add(self.clock.now() + self.model.drawn_delay(self._rng), fill)

    def settle(self) -> None:
        """Fill all orders that are due by the venue's clock."""
        if self.pending:  # a replay has begun, then
            self.pending.carry_out(self.clock.now())

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

    def open_position(self, owner: int, ask: OpenPosition, at: int | None = None) -> Position:
        """Fill and store a position."""
        self._check_open(owner, ask)
        at = self.clock.now() if at is None else at
        return self.store.open(
            ask.strategy_id,
            base_asset=ask.base_asset,
            quote_asset=ask.quote_asset,
            size=ask.size,
            is_long=ask.is_long,
            price=self._fill(ask.base_asset + ask.quote_asset, at, buys=ask.is_long),
            at=at,
            fee=self.model.fee,
        )

    def close_position(self, owner: int, ask: ClosePosition, at: int | None = None) -> ClosedPosition:
        """Fill and store the close of a position that is open."""
        position = self._to_close(owner, ask)
        closed = self._closed(position, self.clock.now() if at is None else at)
        if not self.store.close_open([closed]):  # another process on the same file was faster
            raise rules.already_closed()
        return closed

    def close_all_positions(self, owner: int, ask: CloseAll, at: int | None = None) -> list[ClosedPosition]:
        """Close what is open, of the strategy or of one pair of it, at one time and all together."""
        self._check_close_all(owner, ask)
        while True:
            now = self.clock.now() if at is None else at
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
        self.strategy(owner, ask.strategy_id)
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

    def strategy(self, owner: int, strategy_id: int) -> Strategy:
        """A strategy of this key; raises the refusal of one that it has not."""
        found = self.store.strategy(strategy_id)
        if found is None or found.owner != owner:
            raise rules.no_strategy()
        return found.strategy

    def _check_open(self, owner: int, ask: OpenPosition) -> None:
        rules.check_open(ask, self.strategy(owner, ask.strategy_id))

    def _to_close(self, owner: int, ask: ClosePosition) -> Position:
        found = self.store.position(ask.position_id)
        if found is None or found.owner != owner:
            raise rules.no_position()
        if isinstance(found.position, ClosedPosition):
            raise rules.already_closed()
        return found.position

    def _check_close_all(self, owner: int, ask: CloseAll) -> None:
        strategy = self.strategy(owner, ask.strategy_id)
        if ask.base_asset is not None and ask.quote_asset is not None:
            rules.check_pair(ask.base_asset, ask.quote_asset, strategy)

    def _fill(self, symbol: str, at: int, *, buys: bool) -> Decimal:
        return self.model.price(self.feed.price(symbol, at), buys=buys)

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
