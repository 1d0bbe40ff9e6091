"""Prices: bars, page by page, as a walk, as they come, as a frame; and the last price that is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import attrs

from .._api import endpoints
from .._api.checks import Moment, milliseconds, refuse
from .._api.market import LARGEST_PAGE, WIDTHS, Bar, BarType, OfBars, OfKinds, width_of
from .._api.trading import Nothing, utc
from .._options import Options, seconds
from .._wire.channel import Channel
from .._wire.loading import load
from ..errors import Unavailable
from .bar_cache import Shelf, check_folder, missing
from .following import follow
from .frames import Backend, frame, joined, libraries_of, table
from .walking import Walk

if TYPE_CHECKING:
    import os

    import pyarrow as pa

_MINUTE: Final = WIDTHS["1min"]
_AT_ONCE: Final = (LARGEST_PAGE - 1) * _MINUTE
"""What a page of minutes can span."""


class AsyncMarket:
    """Prices of the exchanges, as `mizar.market`.

        price = await mizar.market.price(base_asset="BTC", quote_asset="USDT")

    Bars are of a `bar_type`: "time", of a `bar_subclass` from "1min" to "D" (1min, 3min, 5min, 15min, 30min, 1H, 4H,
    12H, D); "tick", "volume" or "dollar", of the subclass "dynamic". Times are milliseconds since the epoch, UTC, or
    datetimes with a zone. Raises `InvalidInput` for a value that can't be right.
    """

    def __init__(self, channel: Channel, options: Options) -> None:
        self._channel = channel
        self._options = options

    async def bar_types(
        self,
        *,
        exchange: str = "binance",
        base_asset: str | None = None,
        quote_asset: str | None = None,
        bar_type: str | None = None,
        bar_subclass: str | None = None,
    ) -> list[BarType]:
        """The kinds of bars that there are, of all pairs or of those that are named."""
        ask = OfKinds(
            exchange=exchange,
            base_asset=base_asset,
            quote_asset=quote_asset,
            bar_type=bar_type,
            bar_subclass=bar_subclass,
        )
        return await self._kinds(ask)

    async def bars(
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
        ask = OfBars(
            base_asset=base_asset,
            quote_asset=quote_asset,
            start_timestamp=0 if start is None else start,
            limit=limit,
            bar_type=bar_type,
            bar_subclass=bar_subclass,
            exchange=exchange,
        )
        return await self._page(ask)

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
    ) -> AsyncGenerator[Bar]:
        """All bars that begin from `start` on and before `end`, oldest first: each once, and none left out.

            async for bar in mizar.market.iter_bars(base_asset="BTC", quote_asset="USDT", bar_subclass="1H"):
                print(bar.opened_at, bar.close)

        Without `follow` the newest may be unfinished where the server shows such. With it, it goes on with each bar
        soon after it is over, and gives none before it is by the server's clock (for bars of ticks, volume or dollars,
        and of subclasses that are not named above: none before the server shows it). A read that fails is made again as
        any is; if it goes on failing beyond the deadline, `Unavailable` is raised. Then begin anew at the `time` of the
        last bar that you have, which comes once more.
        """
        ask = OfBars(
            base_asset=base_asset,
            quote_asset=quote_asset,
            start_timestamp=0 if start is None else start,
            bar_type=bar_type,
            bar_subclass=bar_subclass,
            exchange=exchange,
        )
        return self._walked(ask, _end(ask, end), follows=follow)

    async def price(
        self, *, base_asset: str, quote_asset: str, exchange: str = "binance", max_age: float = 300
    ) -> Decimal:
        """The last price that is known: the close of the last minute that is over, exact, in the quote asset.

        Raises `Unavailable`, which names the time, if that minute ended more than `max_age` seconds ago by the
        server's clock, or if there is none.
        """
        oldest = int(seconds("max_age", max_age) * 1000)
        ask = OfBars(base_asset=base_asset, quote_asset=quote_asset, bar_subclass="1min", exchange=exchange)
        now = await self._server_time()
        over = now - _MINUTE + 1
        recent = max(0, now - min(oldest + 2 * _MINUTE, _AT_ONCE))
        last = await self._last_from(ask, recent, over) or await self._last_of_all(ask, over)
        if last is not None and last.close is not None and now - last.time - _MINUTE <= oldest:
            return last.close
        raise Unavailable(
            f"no price of {base_asset}/{quote_asset} within max_age={max_age:g} s: {_said_of(last)}",
            method="GET",
            path=endpoints.BARS.path,
            attempts=1,
        )

    async def bars_frame(
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

            frame = await mizar.market.bars_frame(base_asset="BTC", quote_asset="USDT", cache="prices")

        It has the fields of `Bar` as columns; `time` is the index (pandas) or the first column (polars), zoned, UTC.
        Prices and volumes are floats there. `cache` is a folder, made if there is none, that keeps what was read: then
        only what is missing is asked for. Several processes may use it; each server has its own part of it, a paper
        venue one for each recording or seed. Needs the extra `frames` (polars by itself for "polars").
        """
        libraries = libraries_of(backend)
        ask = OfBars(
            base_asset=base_asset,
            quote_asset=quote_asset,
            start_timestamp=0 if start is None else start,
            bar_type=bar_type,
            bar_subclass=bar_subclass,
            exchange=exchange,
        )
        until = _end(ask, end)
        await load(*libraries)
        bars = await (self._read(ask, until) if cache is None else self._kept(cache, ask, until))
        return await asyncio.to_thread(frame, bars, backend)

    async def _read(self, ask: OfBars, end: int | None) -> pa.Table:
        walk = Walk(self._floats, ask)
        if walk.width is not None:
            end = _over(ask, end, await self._server_time())
        bars = [bar async for page in walk.until(end) for bar in page]
        return await asyncio.to_thread(table, bars)

    async def _kept(self, cache: str | os.PathLike[str], ask: OfBars, end: int | None) -> pa.Table:
        """What is kept of these bars, and what is missing, which is kept from now on."""
        await asyncio.to_thread(check_folder, cache)
        now = None
        if self._channel.address.environment != "live":  # a recording may stand where it has been before
            now = await self._server_time()
            end = _over(ask, end, now)
        shelf = Shelf(cache, self._channel, ask)
        spans = await asyncio.to_thread(shelf.read, ask.start_timestamp, end)
        parts = [(span.start, span.bars) for span in spans]
        for start, gap_end in missing(spans, ask.start_timestamp, end):
            if now is None and width_of(ask.bar_type, ask.bar_subclass) is not None:
                now = await self._server_time()
            until = gap_end if now is None else _over(ask, gap_end, now)
            walk = Walk(self._floats, attrs.evolve(ask, start_timestamp=start))
            over = None if now is None else _over(ask, None, now)
            bars = [bar async for page in walk.until(until, over) for bar in page]
            known = walk.known_until if until is None else min(until, walk.known_until)
            parts.append((start, await asyncio.to_thread(table, bars)))
            if known > start:
                await asyncio.to_thread(shelf.keep, start, known, parts[-1][1])
        return await asyncio.to_thread(joined, [bars for _, bars in sorted(parts, key=lambda part: part[0])], now)

    async def _walked(self, ask: OfBars, end: int | None, *, follows: bool) -> AsyncGenerator[Bar]:
        walk = Walk(self._page, ask)
        async with aclosing(follow(walk, end, self._server_time) if follows else walk.until(end)) as pages:
            async for bars in pages:
                for bar in bars:
                    yield bar

    async def _kinds(self, ask: OfKinds) -> list[BarType]:
        return await self._channel.perform(endpoints.BAR_TYPES, ask, self._options)

    async def _page(self, ask: OfBars) -> list[Bar]:
        return await self._channel.perform(endpoints.BARS, ask, self._options)

    async def _floats(self, ask: OfBars) -> list[Any]:
        return await self._channel.perform(endpoints.BARS_OF_FLOATS, ask, self._options)

    async def _server_time(self) -> int:
        answer = await self._channel.perform(endpoints.SERVER_TIME, Nothing(), self._options)
        return answer.server_time

    async def _last_of_all(self, ask: OfBars, end: int) -> Bar | None:
        """The newest bar that begins before a time, looked for by halves."""
        low, high = 0, end
        while high - low > _AT_ONCE:
            middle = (low + high) // 2
            page = await self._page(attrs.evolve(ask, start_timestamp=middle, limit=1))
            if page and page[0].time < end:
                low = page[0].time
            else:
                high = middle
        return await self._last_from(ask, low, end)

    async def _last_from(self, ask: OfBars, start: int, end: int) -> Bar | None:
        last = None
        async for bars in Walk(self._page, attrs.evolve(ask, start_timestamp=start)).until(end):
            last = bars[-1]
        return last


def _over(ask: OfBars, end: int | None, now: int) -> int:
    """The time before which bars begin that are over: of a known width, or those that have begun."""
    over = max(0, now - (width_of(ask.bar_type, ask.bar_subclass) or 0) + 1)
    return over if end is None else min(end, over)


def _end(ask: OfBars, end: Moment | None) -> int | None:
    if end is None:
        return None
    until = milliseconds("end", end)
    if until < ask.start_timestamp:
        raise refuse("end", end, "it must not be before start")
    return until


def _said_of(last: Bar | None) -> str:
    if last is None:
        return "the server has no bar of it"
    ended = utc(last.time + _MINUTE)
    known = "" if last.close is not None else ", and has no price"
    moment = f"{last.time + _MINUTE} ms" if ended is None else f"{ended:%Y-%m-%d %H:%M} UTC"
    return f"its last minute ended at {moment}{known}"


AsyncMarket.__module__ = "mizar_async"
