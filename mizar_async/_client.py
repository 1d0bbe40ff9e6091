"""The client: a method per call. Each makes a checked request and hands it on."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import attrs

from ._account.account import Listener
from ._account.registry import account_name, account_of
from ._api import endpoints
from ._api.checks import Size, whole_number
from ._api.trading import (
    CloseAll,
    ClosedPosition,
    ClosePosition,
    Exchange,
    Nothing,
    OfMarket,
    OfStrategy,
    OpenPosition,
    Position,
    PublishStrategy,
    Strategy,
    Symbol,
    check_open,
)
from ._clock import Clock
from ._groups.dca import AsyncDca
from ._groups.hosted import AsyncHosted
from ._groups.market import AsyncMarket
from ._groups.tradingview import AsyncTradingView
from ._journal.journal import Keeping
from ._options import Options, seconds
from ._wire.address import IN_PROCESS, Address, ApiKey, check_http_client, check_trust
from ._wire.channel import Channel
from ._writes import doubts
from ._writes.bulk import Bulk, Progress, Requests, gather, stream
from ._writes.close_all import ClosingAll
from ._writes.closes import Closing, close_alone
from ._writes.flatten import Flattener
from ._writes.opens import Opening, look_ahead, open_alone
from ._writes.recovering import recover, settle_earlier_runs
from ._writes.signals import end_guards_of
from ._writes.view import Place, View
from .errors import OutcomeUnknown
from .results import BulkResult, FlattenReport, Outcome, Reconciliation, Recovery, believed_ids, compare

if TYPE_CHECKING:
    import os
    import ssl

    import httpx


class AsyncMizar:
    """Trading through Mizar with self-hosted strategies, from asyncio.

        async with AsyncMizar() as mizar:
            position = await mizar.open_position(
                strategy_id=1, base_asset="BTC", quote_asset="USDT", size=0.3, is_long=True
            )
            closed = await mizar.close_position(position_id=position.position_id)

    Further calls stand in groups: `mizar.market` has prices, `mizar.dca` DCA bots, `mizar.tradingview` the commands of
    TradingView alerts, `mizar.hosted` strategies that Mizar runs.

    `api_key` and `api_url` default to the environment variables MIZAR_API_KEY and MIZAR_API_URL, the address then to
    the real venue's; it may stand with or without `/api/v1`. Plain http is for this machine only.

    `timeout` (seconds for one attempt in all), `deadline` (seconds for a call in all), `max_retries`, `settle_time`,
    `listing_lag`, `others_close`, `resend_absent` and `grace` are described in `Options`; `with_options` changes them
    for some calls. `requests_per_second` and `requests_per_minute` bound what leaves for this key and host in this
    process (None: unbounded); a tenth is kept for closes. `on_unclaimed` is called once with each position that no
    call of this process owns. `journal` is the path of a file, made if there is none, that keeps what was opened and
    closed over a crash: with it, a `client_order_id` never opens twice, also in the next run (default: the
    environment's MIZAR_JOURNAL; without, nothing is on disk). It keeps what is over for `journal_days`, and an id for
    `order_id_days` after its position was closed or its call ended; nothing that is open or in doubt is forgotten.
    `verify` is an `ssl.SSLContext` or a file of certificates to trust. With `http_client`, calls go through an
    `httpx.AsyncClient` of your own (for one event loop, and yours to close), or what a function makes (a new one of
    httpx for each loop, closed with it): its proxies, event hooks, instrumentation and mocks work there, `verify` and
    the environment's proxy are its own. A `transport` of your own (of httpx), in its place, is used as it is, in every
    loop, and is yours to close.

    One client works in several loops and threads, one after the other and at once; connections are made when they are
    first needed and go with their loop. Making a client does no I/O. Raises `InvalidInput` for a value that can't be
    right. Every call may raise any `MizarError` but no exception of another library.
    """

    market: AsyncMarket
    dca: AsyncDca
    tradingview: AsyncTradingView
    hosted: AsyncHosted

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
        http_client: httpx.AsyncClient | Callable[[], httpx.AsyncClient] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        journal: str | os.PathLike[str] | None = None,
        journal_days: float = 7.0,
        order_id_days: float = 30.0,
    ) -> None:
        key, address = ApiKey.find(api_key), Address.find(api_url)
        check_trust(verify)
        check_http_client(http_client, transport)
        keeping = Keeping(journal_days, order_id_days)
        account = account_of(key, address, journal, keeping, own=transport is not None)
        account.turns.limit(requests_per_second, requests_per_minute)
        self._listener = Listener(on_unclaimed)
        account.listeners.add(self._listener)
        options = Options(
            timeout=timeout,
            deadline=deadline,
            max_retries=max_retries,
            settle_time=settle_time,
            listing_lag=listing_lag,
            others_close=others_close,
            resend_absent=resend_absent,
            grace=grace,
        )
        channel = Channel(
            account.name,
            address,
            key,
            account.turns,
            clock or Clock(),
            rng or random.Random(),
            options.timeout,
            verify=verify,
            transport=transport,
            http_client=http_client,
            readiness=account.journaling,
        )
        account.channels.add(channel)
        self._use(View(channel, account, options))

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

            async with AsyncMizar.paper(seed=7) as mizar:
                await mizar.get_symbols(exchange="binance")

        Prices are simulated from `seed`, or replayed from the CSV file `prices` (of `pair`, by default taken from the
        file's name) `speed` times as fast as they were. `spread` is in percent of the price; fills are worse by half
        of it, and by all of `slippage`. `fee` is in percent of each fill, and no part of its price. A fill comes
        `delay` seconds of the venue's clock after its order, more or less by up to half of it. `volume_in` says what
        the volume of the file's candles is counted in. Of a file of trades there are bars of `tick_bars` trades, of
        `volume_bars` in base and of `dollar_bars` in quote asset. Needs the extra `paper`.
        Raises `InvalidInput` for a file that can't be replayed, and for settings that can't be.
        """
        from .paper import in_process

        transport, key = in_process(
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
        )
        return cls(key, api_url=IN_PROCESS, transport=transport)

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

            await mizar.with_options(timeout=5, deadline=10).close_position(position_id=17)

        None leaves an option as it is. Raises `InvalidInput` for a value that can't be right.
        """
        view = object.__new__(type(self))
        view._listener = self._listener
        view._use(
            self._view.but(
                timeout=timeout,
                deadline=deadline,
                max_retries=max_retries,
                settle_time=settle_time,
                listing_lag=listing_lag,
                others_close=others_close,
                resend_absent=resend_absent,
                grace=grace,
            )
        )
        return view

    def _use(self, view: View) -> None:
        self._view = view
        self.market = AsyncMarket(view.channel, view.options)
        self.dca = AsyncDca(view.channel, view.options)
        self.tradingview = AsyncTradingView(view.channel, view.options)
        self.hosted = AsyncHosted(view.channel, view.options)

    def account_id(self) -> str:
        """A digest of key and address: tells accounts apart, and holds neither."""
        channel = self._view.channel
        return account_name(channel.key, channel.address)

    # the calls of the API

    async def ping(self) -> None:
        """Ask whether the server is there; returns if so. The key is not checked: this call needs none."""
        await self._view.perform(endpoints.PING, Nothing())

    async def server_time(self) -> int:
        """The server's clock, in milliseconds since the epoch, UTC."""
        answer = await self._view.perform(endpoints.SERVER_TIME, Nothing())
        return answer.server_time

    async def get_exchanges(self) -> list[Exchange]:
        """The exchanges that strategies can trade on, with their markets."""
        return await self._view.perform(endpoints.EXCHANGES, Nothing())

    async def get_symbols(self, *, exchange: str, market: str | None = None) -> list[Symbol]:
        """The pairs of an exchange such as "binance", all of them or those of one `market`, SPOT or FUTURES."""
        return await self._view.perform(endpoints.SYMBOLS, OfMarket(exchange, market))

    async def create_self_hosted_strategy(
        self, *, name: str, description: str, exchanges: Iterable[str], symbols: Iterable[str], market: str
    ) -> Strategy:
        """Publish a new strategy that this program hosts; its `strategy_id` opens positions.

            strategy = await mizar.create_self_hosted_strategy(
                name="Momentum", description="Buys strength", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
            )

        `market` is SPOT (long only) or FUTURES. It is sent once: after `OutcomeUnknown`, look at
        `get_all_self_hosted_strategies_info` before you publish again.
        """
        ask = PublishStrategy(name=name, description=description, exchanges=exchanges, symbols=symbols, market=market)
        strategy = await self._view.perform(endpoints.PUBLISH_STRATEGY, ask)
        self._view.account.learn([strategy])
        return strategy

    async def get_all_self_hosted_strategies_info(self) -> list[Strategy]:
        """All strategies of this key, oldest first."""
        strategies = await self._view.perform(endpoints.STRATEGIES, Nothing())
        self._view.account.learn(strategies)
        return strategies

    async def open_position(
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

            position = await mizar.open_position(
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
        ask = OpenPosition(
            strategy_id=strategy_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            size=size,
            is_long=is_long,
            client_order_id=client_order_id,
        )
        return await open_alone(Opening(self._view, ask))

    async def close_position(self, *, position_id: int) -> ClosedPosition:
        """Close one position, and return it as the server recorded it.

        A close that gets no answer is repeated within the deadline, since a position closes only once; its price and
        time are None where the answer was lost. Raises `Conflict` if the position was closed before, `NotFound` if
        there is none, and `OutcomeUnknown` if nobody can say: the client goes on looking then.
        """
        return await close_alone(Closing(self._view, ClosePosition(position_id)))

    async def get_all_open_positions(self, *, strategy_id: int) -> list[Position]:
        """All open positions of a strategy, oldest first: the whole list, or an error."""
        return await doubts.open_positions(self._view, OfStrategy(strategy_id))

    async def close_all_positions(
        self, *, strategy_id: int, base_asset: str | None = None, quote_asset: str | None = None, verify: bool = False
    ) -> list[ClosedPosition]:
        """Close all open positions of a strategy, or those of one pair, with one request.

        Where the answer is lost, what is still listed is closed by id, but nothing that was opened since. With
        `verify=True` it returns only when the server shows that nothing is open, and raises `NotFlat` otherwise. Raises
        `OutcomeUnknown` with the positions that it can't tell about. Opens go on meanwhile: `flatten` stops them first.
        """
        ask = CloseAll(strategy_id=strategy_id, base_asset=base_asset, quote_asset=quote_asset)
        return await ClosingAll(self._view, ask).run(verify=verify)

    # many at once

    async def open_positions(
        self,
        requests: Requests[OpenPosition],
        *,
        max_concurrency: int = 64,
        stop_on_error: bool = False,
        deadline: float | None = None,
        on_progress: Progress | None = None,
        into: BulkResult[OpenPosition, Position] | None = None,
    ) -> BulkResult[OpenPosition, Position]:
        """Open many positions concurrently, and return one outcome for each request, in their order.

            result = await mizar.open_positions([OpenPosition(strategy_id=1, base_asset="BTC", ...), ...])
            result.succeeded, result.failed, result.not_done

        One failure never hides the others; `stop_on_error` starts no more after the first. `deadline` is in seconds for
        all of it (None: no bound): what it does not reach comes back as not done. `on_progress(finished, total)` is
        called after each. Cancelled, the exception carries what there is (`partial_result`), and `into` keeps it in any
        case. A collection is checked whole before anything is sent: raises `InvalidInput`.
        """
        bulk: Bulk[OpenPosition, Position] = Bulk(
            requests,
            check_open,
            self._start_open,
            max_concurrency=max_concurrency,
            deadline=deadline,
            stop_on_error=stop_on_error,
            look_ahead=self._look_ahead,
        )
        return await gather(bulk, on_progress, into)

    async def close_positions(
        self,
        position_ids: Requests[int],
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
        bulk: Bulk[int, ClosedPosition] = Bulk(
            position_ids,
            ClosePosition,
            self._start_close,
            max_concurrency=max_concurrency,
            deadline=deadline,
            stop_on_error=stop_on_error,
        )
        return await gather(bulk, on_progress, into)

    def stream_open_positions(
        self, requests: Requests[OpenPosition], *, max_concurrency: int = 64
    ) -> AsyncIterator[Outcome[OpenPosition, Position]]:
        """Open positions as they come, and give the outcomes as they finish; the input may be endless.

        A slow consumer slows the sending. What opened and was not taken from the iterator is reported as unclaimed.
        """
        bulk: Bulk[OpenPosition, Position] = Bulk(
            requests, check_open, self._start_open, max_concurrency=max_concurrency, look_ahead=self._look_ahead
        )
        return stream(bulk)

    def stream_close_positions(
        self, position_ids: Requests[int], *, max_concurrency: int = 64
    ) -> AsyncIterator[Outcome[int, ClosedPosition]]:
        """Close positions as their ids come, and give the outcomes as they finish; the input may be endless."""
        return stream(Bulk(position_ids, ClosePosition, self._start_close, max_concurrency=max_concurrency))

    def closing_positions(self, strategy_id: int) -> AbstractAsyncContextManager[None]:
        """A guard: whatever this client opens for the strategy inside the block is closed when the block ends.

            async with mizar.closing_positions(1):
                ...

        However it ends: by an exception, a cancellation, Ctrl-C, SIGTERM. What is in doubt is settled first. Raises
        `NotFlat` if that takes longer than 60 s.

        A signal ends the process once the last guard has closed its positions and the code around it is done, which
        has 5 s; a `NotFlat` is logged then. A second signal ends it at once. A handler of the program's own is left
        alone. Only the main thread can set handlers: guards of other threads are ended by a signal as long as the
        main thread is inside a guard too.
        """
        return Flattener(self._view).guarding(whole_number("strategy_id", strategy_id))

    # never silently unknown

    def unresolved(self) -> list[OutcomeUnknown]:
        """The calls whose outcome is unknown, oldest first, of all clients of this key and host in this process.

        With a journal those of earlier runs are among them; before the first call, which opens it, `InvalidInput` is
        raised.
        """
        self._view.account.journaling.check_taken_over("unresolved()")
        return doubts.unresolved(self._view)

    async def resolve(
        self, error: OutcomeUnknown, *, timeout: float | None = None
    ) -> Position | ClosedPosition | list[ClosedPosition]:
        """Wait for what became of a call that ended as `OutcomeUnknown`, for `timeout` seconds (None: the deadline).

        Returns the position that it opened or closed (a list for a close-all), raises `NotOpened` if it opened nothing,
        or `OutcomeUnknown` again if nobody can tell yet.
        """
        patience = self._view.options.deadline if timeout is None else seconds("timeout", timeout)
        return await doubts.resolve(self._view, error, patience)

    def acknowledge(self, error: OutcomeUnknown, position_id: int | None = None) -> None:
        """Say what became of a call in doubt, where you know it and no list can tell: it leaves `unresolved()`.

            mizar.acknowledge(error)                  # it did nothing, as you have seen for yourself
            mizar.acknowledge(error, position_id=17)  # this is what it opened

        Raises `InvalidInput` for anything but an `OutcomeUnknown`, and for a position that another call has opened.
        """
        doubts.acknowledge(self._view, error, position_id)

    def unclaimed_positions(self, strategy_id: int) -> list[Position]:
        """Positions that no call of this process owns, and that were not there at its start, as far as lists showed
        them.

        Among them are those whose call was cancelled or ended as `OutcomeUnknown`, until `resolve` hands them over.
        With a journal so are those of earlier runs; before the first call, which opens it, `InvalidInput` is raised.
        """
        self._view.account.journaling.check_taken_over("unclaimed_positions()")
        return self._view.account.unclaimed(whole_number("strategy_id", strategy_id))

    async def recover(self, strategy_id: int | None = None, *, timeout: float | None = None) -> Recovery:
        """Find out what became of the calls of earlier runs, of a strategy or of all that the journal knows.

            recovery = await mizar.recover()
            recovery.open, recovery.not_opened, recovery.unknown

        It waits for what they left in doubt, for `timeout` seconds (None: the deadline), and never writes. A bot that
        names each open needs it not: it simply opens again. Raises `InvalidInput` without a journal, `JournalInUse` or
        `JournalDamaged` where that can't be read.
        """
        patience = self._view.options.deadline if timeout is None else seconds("timeout", timeout)
        only = None if strategy_id is None else whole_number("strategy_id", strategy_id)
        return await recover(self._view, only, patience)

    async def reconcile(self, strategy_id: int, believed: Iterable[Position | int]) -> Reconciliation:
        """Compare what the bot believes to be open, positions or ids, with what the server holds. It never writes.

        With a journal it waits first for what earlier runs left in doubt, within the deadline; raises `JournalInUse` or
        `JournalDamaged` where that can't be read.
        """
        ids = believed_ids(believed)
        until = await self._view.channel.begin(self._view.options.deadline)
        watch = self._view.account.watch(whole_number("strategy_id", strategy_id))
        self._view.account.journaling.check_taken_over("reconcile()")
        await settle_earlier_runs(self._view, watch, until)
        held = await self.get_all_open_positions(strategy_id=strategy_id)
        return compare(ids, held, doubts.unresolved(self._view, strategy_id))

    async def flatten(self, strategy_id: int, *, deadline: float = 60.0) -> FlattenReport:
        """Stop a strategy: shut its door to opens, close everything, settle what is in doubt, prove that nothing is
        left.

        Opens of the strategy, queued ones too and those of every client of this key and host in this process, end as
        `NotSent` until `resume`. Returns what became of every position; raises `NotFlat` at the deadline, in seconds.
        """
        patience = seconds("deadline", deadline)
        return await Flattener(self._view).one(whole_number("strategy_id", strategy_id), patience)

    async def flatten_all(self, *, deadline: float = 60.0) -> FlattenReport:
        """Flatten every strategy of this key."""
        return await Flattener(self._view).every(seconds("deadline", deadline))

    def resume(self, strategy_id: int) -> None:
        """Let a strategy that was flattened open positions again."""
        Flattener(self._view).resume(whole_number("strategy_id", strategy_id))

    # beginning and end

    async def aclose(self) -> None:
        """Close the connections; every call after it ends as `NotSent`. To forget it is harmless.

        Guards of other tasks are ended first, and close their positions. A write under way that is left in doubt ends
        as `OutcomeUnknown`, a question as `Unavailable`. If something is in doubt it waits for the grace, and then
        names it in one warning.
        """
        view = self._view
        await end_guards_of(view.channel)
        await view.follow_up.finish(view.channel, view.options.grace)
        await view.channel.aclose()
        if view.account.open_channel() is None:
            await view.account.journaling.leave(view.options.timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        address = self._view.channel.address
        return f"<{type(self).__name__} {address.environment} {address.host}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings, without the key: it is read from the environment where the client is made again."""
        channel = self._view.channel
        if channel.transport or channel.http_client or self._listener.on_unclaimed:
            raise TypeError(f"{self!r} can't be pickled: it holds a client, a transport or a callback of your own")
        return _with, (type(self), self._view.channel.address.url, attrs.asdict(self._view.options))

    def _take_back(self, value: object) -> None:
        """What a call has opened reached nobody: it is unclaimed. The blocking client says so after an interrupt."""
        outcomes = value.outcomes if isinstance(value, BulkResult) else [value]
        for one in outcomes:
            position = one.position if isinstance(one, Outcome) else one
            if isinstance(position, Position) and not isinstance(position, ClosedPosition):
                self._view.account.take_back(position)

    # what bulk calls are made of

    def _start_open(self, ask: OpenPosition, left: float, place: Place) -> Opening:
        return Opening(self._view.within(left), ask, place)

    async def _look_ahead(self, asks: list[OpenPosition]) -> None:
        await look_ahead(self._view, asks)

    def _start_close(self, position_id: int, left: float, place: Place) -> Closing:
        return Closing(self._view.within(left), ClosePosition(position_id), place)


def _with(client: type[AsyncMizar], api_url: str, options: dict[str, Any]) -> AsyncMizar:
    return client(api_url=api_url, **options)


AsyncMizar.__module__ = "mizar_async"  # the name that a user imports
