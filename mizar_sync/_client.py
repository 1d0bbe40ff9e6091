"""The blocking client. Generated from mizar_async/_client.py by `nox -s generate`: do not edit it by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from mizar_async import (
    AsyncDca,
    AsyncHosted,
    AsyncMarket,
    AsyncMizar,
    AsyncTradingView,
    Bar,
    BarType,
    BulkResult,
    Clock,
    ClosedPosition,
    DcaOrder,
    DcaPosition,
    DcaSettings,
    Exchange,
    FlattenReport,
    OpenPosition,
    Outcome,
    OutcomeUnknown,
    Position,
    Publication,
    Ratio,
    Reconciliation,
    Recovery,
    Strategy,
    Submitted,
    Symbol,
)
from mizar_async._api.checks import Moment, Size
from mizar_async._api.dca import Side
from mizar_async._api.market import LARGEST_PAGE
from mizar_async._groups.frames import Backend
from mizar_async._wire.address import check_maker

from ._blocking import BlockingContextManager, BlockingIterator
from ._runtime import Runtime

if TYPE_CHECKING:
    import os
    import ssl

    import httpx

Progress = Callable[[int, int | None], None]


class Market:
    """Prices of the exchanges, as `mizar.market`.

        price = mizar.market.price(base_asset="BTC", quote_asset="USDT")

    Bars are of a `bar_type`: "time", of a `bar_subclass` from "1min" to "D" (1min, 3min, 5min, 15min, 30min, 1H, 4H,
    12H, D); "tick", "volume" or "dollar", of the subclass "dynamic". Times are milliseconds since the epoch, UTC, or
    datetimes with a zone. Raises `InvalidInput` for a value that can't be right.
    """

    def __init__(self, group: AsyncMarket, runtime: Runtime) -> None:
        self._async, self._runtime = group, runtime

    def bar_types(
        self,
        *,
        exchange: str = "binance",
        base_asset: str | None = None,
        quote_asset: str | None = None,
        bar_type: str | None = None,
        bar_subclass: str | None = None,
    ) -> list[BarType]:
        """The kinds of bars that there are, of all pairs or of those that are named."""
        return self._runtime.call(
            self._async.bar_types,
            exchange=exchange,
            base_asset=base_asset,
            quote_asset=quote_asset,
            bar_type=bar_type,
            bar_subclass=bar_subclass,
        )

    def bars(
        self,
        *,
        base_asset: str,
        quote_asset: str,
        start: Moment | None = None,
        limit: int = LARGEST_PAGE,
        bar_type: str = "time",
        bar_subclass: str = "D",
        exchange: str = "binance",
    ) -> list[Bar]:
        """One page of bars: the first that begin at `start` or later, oldest first, 1 to 500 of them.

        Without `start` they are the oldest that there are. The newest may be unfinished where the server shows such.
        """
        return self._runtime.call(
            self._async.bars,
            base_asset=base_asset,
            quote_asset=quote_asset,
            start=start,
            limit=limit,
            bar_type=bar_type,
            bar_subclass=bar_subclass,
            exchange=exchange,
        )

    def iter_bars(
        self,
        *,
        base_asset: str,
        quote_asset: str,
        start: Moment | None = None,
        end: Moment | None = None,
        follow: bool = False,
        bar_type: str = "time",
        bar_subclass: str = "D",
        exchange: str = "binance",
    ) -> BlockingIterator[Bar]:
        """All bars that begin from `start` on and before `end`, oldest first: each once, and none left out.

            for bar in mizar.market.iter_bars(base_asset="BTC", quote_asset="USDT", bar_subclass="1H"):
                print(bar.opened_at, bar.close)

        Without `follow` the newest may be unfinished where the server shows such. With it, it goes on with each bar
        soon after it is over, and gives none before it is by the server's clock (for bars of ticks, volume or dollars,
        and of subclasses that are not named above: none before the server shows it). A read that fails is made again as
        any is; if it goes on failing beyond the deadline, `Unavailable` is raised. Then begin anew at the `time` of the
        last bar that you have, which comes once more.
        """
        return BlockingIterator(
            self._runtime,
            self._async.iter_bars,
            base_asset=base_asset,
            quote_asset=quote_asset,
            start=start,
            end=end,
            follow=follow,
            bar_type=bar_type,
            bar_subclass=bar_subclass,
            exchange=exchange,
        )

    def price(self, *, base_asset: str, quote_asset: str, exchange: str = "binance", max_age: float = 300) -> Decimal:
        """The last price that is known: the close of the last minute that is over, exact, in the quote asset.

        Raises `Unavailable`, which names the time, if that minute ended more than `max_age` seconds ago by the
        server's clock, or if there is none.
        """
        return self._runtime.call(
            self._async.price, base_asset=base_asset, quote_asset=quote_asset, exchange=exchange, max_age=max_age
        )

    def bars_frame(
        self,
        *,
        base_asset: str,
        quote_asset: str,
        start: Moment | None = None,
        end: Moment | None = None,
        bar_type: str = "time",
        bar_subclass: str = "D",
        exchange: str = "binance",
        cache: str | os.PathLike[str] | None = None,
        backend: Backend = "pandas",
    ) -> Any:
        """The bars that begin from `start` on and before `end`, and are over, as a pandas or polars data frame.

            frame = mizar.market.bars_frame(base_asset="BTC", quote_asset="USDT", cache="prices")

        It has the fields of `Bar` as columns; `time` is the index (pandas) or the first column (polars), zoned, UTC.
        Prices and volumes are floats there. `cache` is a folder, made if there is none, that keeps what was read: then
        only what is missing is asked for. Several processes may use it; each server has its own part of it, a paper
        venue one for each recording or seed. Needs the extra `frames` (polars by itself for "polars").
        """
        return self._runtime.call(
            self._async.bars_frame,
            base_asset=base_asset,
            quote_asset=quote_asset,
            start=start,
            end=end,
            bar_type=bar_type,
            bar_subclass=bar_subclass,
            exchange=exchange,
            cache=cache,
            backend=backend,
        )


class Dca:
    """The DCA bots of this key, as `mizar.dca`.

        position = mizar.dca.get_position(bot_id=1, base_asset="BTC", quote_asset="USDT")

    Assets are named as in "BTC" and "USDT"; `side` is "long" or "short", for bots that trade both sides of a pair. A
    command is passed on to the bot's subscriptions and answered before anything is done. It is sent once: after
    `OutcomeUnknown` do not repeat it, but look at what `get_position` says. Raises `InvalidInput` for a value that
    can't be right, before anything is sent.
    """

    def __init__(self, group: AsyncDca, runtime: Runtime) -> None:
        self._async, self._runtime = group, runtime

    def get_position(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> DcaPosition | None:
        """The open position of a pair with its orders, None where the server shows none.

        A server may also answer that there is none by 404: then it raises `NotFound`.
        """
        return self._runtime.call(
            self._async.get_position, bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side
        )

    def safety_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> list[DcaOrder]:
        """All safety orders of a pair, the filled ones too, whose status is "closed"."""
        return self._runtime.call(
            self._async.safety_orders, bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side
        )

    def active_safety_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> list[DcaOrder]:
        """The safety orders of a pair that rest at the exchange."""
        return self._runtime.call(
            self._async.active_safety_orders, bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side
        )

    def inactive_safety_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> list[DcaOrder]:
        """The safety orders of a pair that rest no more."""
        return self._runtime.call(
            self._async.inactive_safety_orders, bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side
        )

    def take_profit_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> list[DcaOrder]:
        """The take profit orders of the open position: the current one first, then those that it replaced."""
        return self._runtime.call(
            self._async.take_profit_orders, bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side
        )

    def settings(self) -> list[DcaSettings]:
        """The settings of every bot of this key."""
        return self._runtime.call(self._async.settings)

    def subscription_positions(self, *, subscription_id: int, bot_id: int) -> list[DcaPosition]:
        """The open positions of one subscription to a bot."""
        return self._runtime.call(self._async.subscription_positions, subscription_id=subscription_id, bot_id=bot_id)

    def open_position(
        self,
        *,
        bot_id: int,
        base_asset: str,
        quote_asset: str,
        side: Side | None = None,
        take_profit: Ratio | None = None,
        stop_loss: Ratio | None = None,
        position_size: Size | None = None,
        open_order_price: Size | None = None,
        open_position_expiration: int | None = None,
        delay: int | None = None,
    ) -> Submitted:
        """Have a bot open a position.

            mizar.dca.open_position(
                bot_id=1, base_asset="BTC", quote_asset="USDT", take_profit=Ratio.percent("1.5")
            )

        `take_profit` and `stop_loss` (below 100 percent) take the place of the bot's own. `position_size` is a share of
        the bot's, more than 0 and at most 1. With `open_order_price`, in the quote asset, it rests at that price, for
        `open_position_expiration` seconds (by default of the server 300). `delay` is in seconds.
        """
        return self._runtime.call(
            self._async.open_position,
            bot_id=bot_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            side=side,
            take_profit=take_profit,
            stop_loss=stop_loss,
            position_size=position_size,
            open_order_price=open_order_price,
            open_position_expiration=open_position_expiration,
            delay=delay,
        )

    def close_position(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None, delay: int | None = None
    ) -> Submitted:
        """Have a bot close the position of a pair at market, after `delay` seconds."""
        return self._runtime.call(
            self._async.close_position,
            bot_id=bot_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            side=side,
            delay=delay,
        )

    def close_all_positions(self, *, bot_id: int) -> Submitted:
        """Have a bot close all its positions; it goes on opening new ones."""
        return self._runtime.call(self._async.close_all_positions, bot_id=bot_id)

    def stop_and_close_all(self, *, bot_id: int) -> Submitted:
        """Stop a bot, and have it close all its positions."""
        return self._runtime.call(self._async.stop_and_close_all, bot_id=bot_id)

    def shift_safety_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, start_price: Size, side: Side | None = None
    ) -> Submitted:
        """Have the safety orders of a pair begin at another price, in the quote asset."""
        return self._runtime.call(
            self._async.shift_safety_orders,
            bot_id=bot_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            start_price=start_price,
            side=side,
        )

    def edit_take_profit(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None, take_profit: Ratio
    ) -> Submitted:
        """Give an open position another take profit; `side` may be None for a bot of one side."""
        return self._runtime.call(
            self._async.edit_take_profit,
            bot_id=bot_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            side=side,
            take_profit=take_profit,
        )

    def add_funds(
        self,
        *,
        bot_id: int,
        base_asset: str,
        quote_asset: str,
        size: Size,
        side: Side | None = None,
        delay: int | None = None,
    ) -> Submitted:
        """Have a bot buy more for an open position, after `delay` seconds.

        `size` is more than 0, in the server's own measure, which is not documented: try it with little.
        """
        return self._runtime.call(
            self._async.add_funds,
            bot_id=bot_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            size=size,
            side=side,
            delay=delay,
        )


class TradingView:
    """The commands that alerts of TradingView send, as `mizar.tradingview`.

        text = mizar.tradingview.alert_text(
            action="open-position", strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True
        )

    Parameters and results of the commands are those of the calls of the same names. A command is sent once, and the
    client does not look for what became of it: after `OutcomeUnknown` do not repeat it, but look. What it opens belongs
    to no call: it is reported as unclaimed, and an open of the same pair, side and size that is in doubt may take it
    for its own; the door that `flatten` shuts does not hold it back. Raises `InvalidInput` before anything is sent.
    """

    def __init__(self, group: AsyncTradingView, runtime: Runtime) -> None:
        self._async, self._runtime = group, runtime

    def alert_text(
        self,
        *,
        action: str,
        strategy_id: int | None = None,
        bot_id: int | None = None,
        position_id: int | None = None,
        base_asset: str | None = None,
        quote_asset: str | None = None,
        size: Size | None = None,
        is_long: bool | None = None,
        side: Side | None = None,
        take_profit: Ratio | None = None,
        stop_loss: Ratio | None = None,
        position_size: Size | None = None,
        open_order_price: Size | None = None,
        open_position_expiration: int | None = None,
    ) -> str:
        """The JSON for the message box of an alert at TradingView, with `<API KEY>` where the key goes.

        `action` is "open-position", "close-position" or "close-all-positions", for a bot also
        "stop-bot-and-close-all-positions". With `bot_id` it is a command to a DCA bot, whose alert goes to
        `dca-bots/trading-view/execute-command`, otherwise to a strategy, and to `trading-view/execute-command`. The
        other parameters are those of the command.
        """
        return self._async.alert_text(
            action=action,
            strategy_id=strategy_id,
            bot_id=bot_id,
            position_id=position_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            size=size,
            is_long=is_long,
            side=side,
            take_profit=take_profit,
            stop_loss=stop_loss,
            position_size=position_size,
            open_order_price=open_order_price,
            open_position_expiration=open_position_expiration,
        )

    def open_position(
        self, *, strategy_id: int, base_asset: str, quote_asset: str, size: Size = 1, is_long: bool
    ) -> Position:
        """Open one position by a command, and return it as the server recorded it."""
        return self._runtime.call(
            self._async.open_position,
            strategy_id=strategy_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            size=size,
            is_long=is_long,
        )

    def close_position(self, *, position_id: int) -> ClosedPosition:
        """Close one position by a command, and return it as the server recorded it."""
        return self._runtime.call(self._async.close_position, position_id=position_id)

    def close_all_positions(
        self, *, strategy_id: int, base_asset: str | None = None, quote_asset: str | None = None
    ) -> list[ClosedPosition]:
        """Close all open positions of a strategy, or those of one pair, by a command."""
        return self._runtime.call(
            self._async.close_all_positions, strategy_id=strategy_id, base_asset=base_asset, quote_asset=quote_asset
        )

    def dca_open_position(
        self,
        *,
        bot_id: int,
        base_asset: str,
        quote_asset: str,
        side: Side | None = None,
        take_profit: Ratio | None = None,
        stop_loss: Ratio | None = None,
        position_size: Size | None = None,
        open_order_price: Size | None = None,
        open_position_expiration: int | None = None,
    ) -> Submitted:
        """Have a bot open a position, by a command; the parameters are those of `dca.open_position`."""
        return self._runtime.call(
            self._async.dca_open_position,
            bot_id=bot_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            side=side,
            take_profit=take_profit,
            stop_loss=stop_loss,
            position_size=position_size,
            open_order_price=open_order_price,
            open_position_expiration=open_position_expiration,
        )

    def dca_close_position(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> Submitted:
        """Have a bot close the position of a pair, by a command."""
        return self._runtime.call(
            self._async.dca_close_position, bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side
        )

    def dca_close_all_positions(self, *, bot_id: int) -> Submitted:
        """Have a bot close all its positions, by a command; it goes on opening new ones."""
        return self._runtime.call(self._async.dca_close_all_positions, bot_id=bot_id)

    def dca_stop_and_close_all(self, *, bot_id: int) -> Submitted:
        """Stop a bot, and have it close all its positions, by a command."""
        return self._runtime.call(self._async.dca_stop_and_close_all, bot_id=bot_id)


class Hosted:
    """Strategies that Mizar runs, as `mizar.hosted`."""

    def __init__(self, group: AsyncHosted, runtime: Runtime) -> None:
        self._async, self._runtime = group, runtime

    def save_strategy(self, strategy: bytes, *, info: Mapping[str, Any], source: str = "") -> Publication:
        """Publish a strategy: the bytes of a pickle, which nothing here makes or reads.

            mizar.hosted.save_strategy(dill.dumps(strategy), info={"strategy_signal_name": "Momentum"})

        `info` is what JSON can hold, `source` the text of the strategy's source. The pickle may have 200 MB as base64
        text, the source 2 MB of UTF-8, a MB being 1,000,000 bytes; time-out and deadline are longer by a second for
        each. It is sent once: after `OutcomeUnknown` look at your strategies at Mizar before you publish it again.
        Raises `InvalidInput` before anything is sent.
        """
        return self._runtime.call(self._async.save_strategy, strategy, info=info, source=source)


class Mizar:
    """Trading through Mizar with self-hosted strategies, from blocking code.

        with Mizar() as mizar: position = mizar.open_position( strategy_id=1, base_asset="BTC", quote_asset="USDT",
        size=0.3, is_long=True ) closed = mizar.close_position(position_id=position.position_id)

    Further calls stand in groups: `mizar.market` has prices, `mizar.dca` DCA bots, `mizar.tradingview` the commands of
    TradingView alerts, `mizar.hosted` strategies that Mizar runs.

    `api_key` and `api_url` default to the environment variables MIZAR_API_KEY and MIZAR_API_URL, the address then to
    the real venue's; it may stand with or without `/api/v1`. Plain http is for this machine only.

    `timeout` (seconds for one attempt in all), `deadline` (seconds for a call in all), `max_retries`, `settle_time`,
    `listing_lag`, `others_close`, `resend_absent` and `grace` are described in `Options`; `with_options` changes them
    for some calls. `requests_per_second` and `requests_per_minute` bound what leaves for this key and host in this
    process (None: unbounded); a tenth is kept for closes. `on_unclaimed` is called once with each position that no call
    of this process owns. `journal` is the path of a file, made if there is none, that keeps what was opened and closed
    over a crash: with it, a `client_order_id` never opens twice, also in the next run (default: the environment's
    MIZAR_JOURNAL; without, nothing is on disk). It keeps what is over for `journal_days`, and an id for `order_id_days`
    after its position was closed or its call ended; nothing that is open or in doubt is forgotten. `verify` is an
    `ssl.SSLContext` or a file of certificates to trust. With `http_client`, calls go through what a function makes (a
    new one of httpx for each loop, closed with it): its proxies, event hooks, instrumentation and mocks work there,
    `verify` and the environment's proxy are its own. A `transport` of your own (of httpx), in its place, is used as it
    is, in every loop, and is yours to close.

    One client works in several loops and threads, one after the other and at once; connections are made when they are
    first needed and go with their loop. Making a client does no I/O. Raises `InvalidInput` for a value that can't be
    right. Every call may raise any `MizarError` but no exception of another library.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        api_url: str | None = None,
        timeout: float = 10.0,
        deadline: float = 30.0,
        max_retries: int = 3,
        settle_time: float = 15.0,
        listing_lag: float = 1.0,
        others_close: bool = False,
        resend_absent: bool = False,
        grace: float = 2.0,
        requests_per_second: int | None = None,
        requests_per_minute: int | None = None,
        on_unclaimed: Callable[[Position], object] | None = None,
        verify: ssl.SSLContext | str | None = None,
        http_client: Callable[[], httpx.AsyncClient] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        journal: str | os.PathLike[str] | None = None,
        journal_days: float = 7.0,
        order_id_days: float = 30.0,
    ) -> None:
        check_maker(http_client)
        self._use(
            AsyncMizar(
                api_key,
                api_url=api_url,
                timeout=timeout,
                deadline=deadline,
                max_retries=max_retries,
                settle_time=settle_time,
                listing_lag=listing_lag,
                others_close=others_close,
                resend_absent=resend_absent,
                grace=grace,
                requests_per_second=requests_per_second,
                requests_per_minute=requests_per_minute,
                on_unclaimed=on_unclaimed,
                verify=verify,
                http_client=http_client,
                transport=transport,
                clock=clock,
                rng=rng,
                journal=journal,
                journal_days=journal_days,
                order_id_days=order_id_days,
            ),
            Runtime(),
        )

    @classmethod
    def paper(
        cls,
        *,
        prices: str | os.PathLike[str] | None = None,
        pair: str | None = None,
        speed: float = 1.0,
        seed: int = 0,
        spread: float = 0.02,
        slippage: float = 0,
        fee: float = 0.1,
        delay: float = 0,
        volume_in: Literal["base", "quote"] = "base",
        tick_bars: int | None = None,
        volume_bars: Size | None = None,
        dollar_bars: Size | None = None,
    ) -> Self:
        """A client of a paper venue of its own inside this process: nothing to start, no port, no account.

            with Mizar.paper(seed=7) as mizar:
                mizar.get_symbols(exchange="binance")

        Prices are simulated from `seed`, or replayed from the CSV file `prices` (of `pair`, by default taken from the
        file's name) `speed` times as fast as they were. `spread` is in percent of the price; fills are worse by half
        of it, and by all of `slippage`. `fee` is in percent of each fill, and no part of its price. A fill comes
        `delay` seconds of the venue's clock after its order, more or less by up to half of it. `volume_in` says what
        the volume of the file's candles is counted in. Of a file of trades there are bars of `tick_bars` trades, of
        `volume_bars` in base and of `dollar_bars` in quote asset. Needs the extra `paper`.
        Raises `InvalidInput` for a file that can't be replayed, and for settings that can't be.
        """
        return cls._around(
            AsyncMizar.paper(
                prices=prices,
                pair=pair,
                speed=speed,
                seed=seed,
                spread=spread,
                slippage=slippage,
                fee=fee,
                delay=delay,
                volume_in=volume_in,
                tick_bars=tick_bars,
                volume_bars=volume_bars,
                dollar_bars=dollar_bars,
            ),
            Runtime(),
        )

    def with_options(
        self,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        settle_time: float | None = None,
        listing_lag: float | None = None,
        others_close: bool | None = None,
        resend_absent: bool | None = None,
        grace: float | None = None,
    ) -> Self:
        """A view of this client with some options changed; it shares everything else.

            mizar.with_options(timeout=5, deadline=10).close_position(position_id=17)

        None leaves an option as it is. Raises `InvalidInput` for a value that can't be right.
        """
        return self._around(
            self._async.with_options(
                timeout=timeout,
                deadline=deadline,
                max_retries=max_retries,
                settle_time=settle_time,
                listing_lag=listing_lag,
                others_close=others_close,
                resend_absent=resend_absent,
                grace=grace,
            ),
            self._runtime,
        )

    def account_id(self) -> str:
        """A digest of key and address: tells accounts apart, and holds neither."""
        return self._async.account_id()

    def ping(self) -> None:
        """Ask whether the server is there; returns if so. The key is not checked: this call needs none."""
        return self._runtime.call(self._async.ping)

    def server_time(self) -> int:
        """The server's clock, in milliseconds since the epoch, UTC."""
        return self._runtime.call(self._async.server_time)

    def get_exchanges(self) -> list[Exchange]:
        """The exchanges that strategies can trade on, with their markets."""
        return self._runtime.call(self._async.get_exchanges)

    def get_symbols(self, *, exchange: str, market: str | None = None) -> list[Symbol]:
        """The pairs of an exchange such as "binance", all of them or those of one `market`, SPOT or FUTURES."""
        return self._runtime.call(self._async.get_symbols, exchange=exchange, market=market)

    def create_self_hosted_strategy(
        self, *, name: str, description: str, exchanges: Iterable[str], symbols: Iterable[str], market: str
    ) -> Strategy:
        """Publish a new strategy that this program hosts; its `strategy_id` opens positions.

            strategy = mizar.create_self_hosted_strategy(
                name="Momentum", description="Buys strength", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
            )

        `market` is SPOT (long only) or FUTURES. It is sent once: after `OutcomeUnknown`, look at
        `get_all_self_hosted_strategies_info` before you publish again.
        """
        return self._runtime.call(
            self._async.create_self_hosted_strategy,
            name=name,
            description=description,
            exchanges=exchanges,
            symbols=symbols,
            market=market,
        )

    def get_all_self_hosted_strategies_info(self) -> list[Strategy]:
        """All strategies of this key, oldest first."""
        return self._runtime.call(self._async.get_all_self_hosted_strategies_info)

    def open_position(
        self,
        *,
        strategy_id: int,
        base_asset: str,
        quote_asset: str,
        size: Size = 1,
        is_long: bool,
        client_order_id: str | None = None,
    ) -> Position:
        """Open one position, and return it as the server recorded it.

            position = mizar.open_position(
                strategy_id=1, base_asset="BTC", quote_asset="USDT", size=0.3, is_long=True
            )

        `size` is the share of what each follower allows: more than 0, at most 1. `client_order_id` is a name of your
        own for this open: asked for again, it opens nothing, and gives what became of it, the position as it is known,
        which is a `ClosedPosition` if it is closed by now.

        An open that gets no answer is looked up, never sent again while it is in doubt. Raises `Refused` if the server
        said no, `NotSent` if nothing left, `NotOpened` if it was in doubt and is proven absent, and `OutcomeUnknown` if
        nobody can say whether it opened: do not call again then, the client goes on looking, and `resolve` gives the
        answer.
        """
        return self._runtime.call(
            self._async.open_position,
            strategy_id=strategy_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            size=size,
            is_long=is_long,
            client_order_id=client_order_id,
        )

    def close_position(self, *, position_id: int) -> ClosedPosition:
        """Close one position, and return it as the server recorded it.

        A close that gets no answer is repeated within the deadline, since a position closes only once; its price and
        time are None where the answer was lost. Raises `Conflict` if the position was closed before, `NotFound` if
        there is none, and `OutcomeUnknown` if nobody can say: the client goes on looking then.
        """
        return self._runtime.call(self._async.close_position, position_id=position_id)

    def get_all_open_positions(self, *, strategy_id: int) -> list[Position]:
        """All open positions of a strategy, oldest first: the whole list, or an error."""
        return self._runtime.call(self._async.get_all_open_positions, strategy_id=strategy_id)

    def close_all_positions(
        self, *, strategy_id: int, base_asset: str | None = None, quote_asset: str | None = None, verify: bool = False
    ) -> list[ClosedPosition]:
        """Close all open positions of a strategy, or those of one pair, with one request.

        Where the answer is lost, what is still listed is closed by id, but nothing that was opened since. With
        `verify=True` it returns only when the server shows that nothing is open, and raises `NotFlat` otherwise. Raises
        `OutcomeUnknown` with the positions that it can't tell about. Opens go on meanwhile: `flatten` stops them first.
        """
        return self._runtime.call(
            self._async.close_all_positions,
            strategy_id=strategy_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            verify=verify,
        )

    def open_positions(
        self,
        requests: Iterable[OpenPosition],
        *,
        max_concurrency: int = 64,
        stop_on_error: bool = False,
        deadline: float | None = None,
        on_progress: Progress | None = None,
        into: BulkResult[OpenPosition, Position] | None = None,
    ) -> BulkResult[OpenPosition, Position]:
        """Open many positions concurrently, and return one outcome for each request, in their order.

            result = mizar.open_positions([OpenPosition(strategy_id=1, base_asset="BTC", ...), ...])
            result.succeeded, result.failed, result.not_done

        One failure never hides the others; `stop_on_error` starts no more after the first. `deadline` is in seconds for
        all of it (None: no bound): what it does not reach comes back as not done. `on_progress(finished, total)` is
        called after each. Cancelled, the exception carries what there is (`partial_result`), and `into` keeps it in any
        case. A collection is checked whole before anything is sent: raises `InvalidInput`.
        """
        return self._runtime.call(
            self._async.open_positions,
            requests,
            max_concurrency=max_concurrency,
            stop_on_error=stop_on_error,
            deadline=deadline,
            on_progress=on_progress,
            into=into,
        )

    def close_positions(
        self,
        position_ids: Iterable[int],
        *,
        max_concurrency: int = 64,
        stop_on_error: bool = False,
        deadline: float | None = None,
        on_progress: Progress | None = None,
        into: BulkResult[int, ClosedPosition] | None = None,
    ) -> BulkResult[int, ClosedPosition]:
        """Close many positions concurrently, and return one outcome for each id, in their order.

        Parameters and errors are those of `open_positions`.
        """
        return self._runtime.call(
            self._async.close_positions,
            position_ids,
            max_concurrency=max_concurrency,
            stop_on_error=stop_on_error,
            deadline=deadline,
            on_progress=on_progress,
            into=into,
        )

    def stream_open_positions(
        self, requests: Iterable[OpenPosition], *, max_concurrency: int = 64
    ) -> BlockingIterator[Outcome[OpenPosition, Position]]:
        """Open positions as they come, and give the outcomes as they finish; the input may be endless.

        A slow consumer slows the sending. What opened and was not taken from the iterator is reported as unclaimed.
        """
        return BlockingIterator(
            self._runtime, self._async.stream_open_positions, requests, max_concurrency=max_concurrency
        )

    def stream_close_positions(
        self, position_ids: Iterable[int], *, max_concurrency: int = 64
    ) -> BlockingIterator[Outcome[int, ClosedPosition]]:
        """Close positions as their ids come, and give the outcomes as they finish; the input may be endless."""
        return BlockingIterator(
            self._runtime, self._async.stream_close_positions, position_ids, max_concurrency=max_concurrency
        )

    def closing_positions(self, strategy_id: int) -> BlockingContextManager[None]:
        """A guard: whatever this client opens for the strategy inside the block is closed when the block ends.

            with mizar.closing_positions(1):
                ...

        However it ends: by an exception, a cancellation, Ctrl-C, SIGTERM. What is in doubt is settled first. Raises
        `NotFlat` if that takes longer than 60 s.

        A signal ends the process once the last guard has closed its positions and the code around it is done, which
        has 5 s; a `NotFlat` is logged then. A second signal ends it at once. A handler of the program's own is left
        alone. Only the main thread can set handlers: guards of other threads are ended by a signal as long as the
        main thread is inside a guard too.
        """
        return BlockingContextManager(self._runtime, self._async.closing_positions, strategy_id)

    def unresolved(self) -> list[OutcomeUnknown]:
        """The calls whose outcome is unknown, oldest first, of all clients of this key and host in this process.

        With a journal those of earlier runs are among them; before the first call, which opens it, `InvalidInput` is
        raised.
        """
        return self._async.unresolved()

    def resolve(
        self, error: OutcomeUnknown, *, timeout: float | None = None
    ) -> Position | ClosedPosition | list[ClosedPosition]:
        """Wait for what became of a call that ended as `OutcomeUnknown`, for `timeout` seconds (None: the deadline).

        Returns the position that it opened or closed (a list for a close-all), raises `NotOpened` if it opened nothing,
        or `OutcomeUnknown` again if nobody can tell yet.
        """
        return self._runtime.call(self._async.resolve, error, timeout=timeout)

    def acknowledge(self, error: OutcomeUnknown, position_id: int | None = None) -> None:
        """Say what became of a call in doubt, where you know it and no list can tell: it leaves `unresolved()`.

            mizar.acknowledge(error)                  # it did nothing, as you have seen for yourself
            mizar.acknowledge(error, position_id=17)  # this is what it opened

        Raises `InvalidInput` for anything but an `OutcomeUnknown`, and for a position that another call has opened.
        """
        return self._async.acknowledge(error, position_id)

    def unclaimed_positions(self, strategy_id: int) -> list[Position]:
        """Positions that no call of this process owns, and that were not there at its start, as far as lists showed
        them.

        Among them are those whose call was cancelled or ended as `OutcomeUnknown`, until `resolve` hands them over.
        With a journal so are those of earlier runs; before the first call, which opens it, `InvalidInput` is raised.
        """
        return self._async.unclaimed_positions(strategy_id)

    def recover(self, strategy_id: int | None = None, *, timeout: float | None = None) -> Recovery:
        """Find out what became of the calls of earlier runs, of a strategy or of all that the journal knows.

            recovery = mizar.recover()
            recovery.open, recovery.not_opened, recovery.unknown

        It waits for what they left in doubt, for `timeout` seconds (None: the deadline), and never writes. A bot that
        names each open needs it not: it simply opens again. Raises `InvalidInput` without a journal, `JournalInUse` or
        `JournalDamaged` where that can't be read.
        """
        return self._runtime.call(self._async.recover, strategy_id, timeout=timeout)

    def reconcile(self, strategy_id: int, believed: Iterable[Position | int]) -> Reconciliation:
        """Compare what the bot believes to be open, positions or ids, with what the server holds. It never writes.

        With a journal it waits first for what earlier runs left in doubt, within the deadline; raises `JournalInUse` or
        `JournalDamaged` where that can't be read.
        """
        return self._runtime.call(self._async.reconcile, strategy_id, believed)

    def flatten(self, strategy_id: int, *, deadline: float = 60.0) -> FlattenReport:
        """Stop a strategy: shut its door to opens, close everything, settle what is in doubt, prove that nothing is
        left.

        Opens of the strategy, queued ones too and those of every client of this key and host in this process, end as
        `NotSent` until `resume`. Returns what became of every position; raises `NotFlat` at the deadline, in seconds.
        """
        return self._runtime.call(self._async.flatten, strategy_id, deadline=deadline)

    def flatten_all(self, *, deadline: float = 60.0) -> FlattenReport:
        """Flatten every strategy of this key."""
        return self._runtime.call(self._async.flatten_all, deadline=deadline)

    def resume(self, strategy_id: int) -> None:
        """Let a strategy that was flattened open positions again."""
        return self._async.resume(strategy_id)

    @classmethod
    def _around(cls, client: AsyncMizar, runtime: Runtime) -> Self:
        mizar = cls.__new__(cls)
        mizar._use(client, runtime)
        return mizar

    def _use(self, client: AsyncMizar, runtime: Runtime) -> None:
        self._async, self._runtime = client, runtime
        self.market = Market(client.market, runtime)
        self.dca = Dca(client.dca, runtime)
        self.tradingview = TradingView(client.tradingview, runtime)
        self.hosted = Hosted(client.hosted, runtime)

    def close(self) -> None:
        """Close the connections; every call after it ends as `NotSent`. To forget it is harmless.

        Guards of other tasks are ended first, and close their positions. A write under way that is left in doubt ends
        as `OutcomeUnknown`, a question as `Unavailable`. If something is in doubt it waits for the grace, and then
        names it in one warning.
        """
        self._runtime.close(self._async.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._async).replace("AsyncMizar", type(self).__name__, 1)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings, without the key: it is read from the environment where the client is made again."""
        return _again, (type(self), self._async)


def _again(cls: type[Mizar], client: AsyncMizar) -> Mizar:
    return cls._around(client, Runtime())
