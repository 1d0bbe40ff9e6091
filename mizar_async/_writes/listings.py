"""Asks for lists of open positions, one at a time for each strategy, and tells its watch; and for the server's time."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from .._account.account import Account
from .._account.watch import Watch
from .._api.endpoints import OPEN_POSITIONS, SERVER_TIME, STRATEGIES
from .._api.trading import Nothing, OfStrategy, Position
from .._clock import BREATH, loop_time
from .._options import Options
from .._wire.channel import Channel
from .._wire.rate_limit import Lane
from ..errors import MizarError, RateLimited, Refused

log = logging.getLogger("mizar_async")

_PAUSE: Final = 0.25
# What the client asks by itself may take this long, however impatient its own calls are.
_LEAST_PATIENCE: Final = 1.0
_SHORTEST: Final = 0.01

# Opens wait so long for the two reads before the first of them. The reads are tried for longer, and opens that come
# meanwhile wait a moment each: without a baseline, what an open came to may stay unknown.
_FIRST_OPENS_WAIT: Final = 2.0
_LATER_OPENS_WAIT: Final = 0.5
_READ_FOR: Final = 12.0
_READ_AGAIN_AFTER: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class Listings:
    """The lists that a client asks for by itself, with its own patience, whatever a view of it has."""

    def __init__(self, channel: Channel, account: Account) -> None:
        self._channel = channel
        self._account = account
        self._patience = max(channel.patience, _LEAST_PATIENCE)

    async def once(self, watch: Watch, left: float = math.inf) -> tuple[float, list[Position]] | None:
        """Ask for a list, and tell the watch: when it was asked for, and what it shows. None if there is none now."""
        try:
            return await self._listed(watch, left)
        except MizarError as failure:
            log.debug("no list of strategy %d: %s", watch.strategy_id, failure)
            return None

    def _once(self, left: float = math.inf) -> Options:
        patience = max(min(self._patience, left), _SHORTEST)
        return Options(timeout=patience, deadline=patience, max_retries=0)

    async def _listed(self, watch: Watch, left: float = math.inf) -> tuple[float, list[Position]] | None:
        once, asked_at = self._once(left), loop_time()
        if not watch.listing.begin(asked_at, once.timeout + 1.0):
            return None
        try:
            watch.doubt_the_lost(asked_at)
            ask = OfStrategy(watch.strategy_id)
            positions = await self._channel.perform(OPEN_POSITIONS, ask, once, Lane.CLOSES)
            if watch.is_ambiguous(positions):
                rest = self._once(asked_at + once.deadline - loop_time())
                strategies = await self._channel.perform(STRATEGIES, Nothing(), rest, Lane.CLOSES)
                self._account.learn(strategies, watch.strategy_id)
            watch.listed(positions, asked_at, loop_time())
        finally:
            watch.listing.end()
        return asked_at, positions

    async def since(self, watch: Watch, since: float, until: float, lag: float) -> list[Position] | None:
        """A fresh list that shows what was open at some time after `since`; None if there is none by the deadline.

        Lists may be behind by `lag`, or by more if an open was sent with a larger one.
        """
        while (left := until - loop_time()) > 0:
            listed = await self.once(watch, left)
            if listed is not None and watch.proves(listed[0], since, lag):
                return listed[1]
            await anyio.sleep(min(max(left, BREATH), _PAUSE))
        return None

    async def sample_the_clock(self) -> None:
        """Ask for the server's time."""
        try:
            await self._sampled()
        except MizarError as failure:
            log.debug("no server time: %s", failure)

    async def _sampled(self) -> bool:
        asked_at = loop_time()
        answer = await self._channel.perform(SERVER_TIME, Nothing(), self._once(), Lane.CLOSES)
        self._account.sample(asked_at, loop_time(), answer.server_time)
        return True

    async def baseline(self, watch: Watch, until: float) -> None:
        """Before the first open of a strategy: have the server's time and what is open read, and wait for them."""
        loop, now = asyncio.get_running_loop(), loop_time()
        woken = loop.create_future()
        since = watch.listing.await_baseline(woken, now, _READ_FOR + self._patience)
        if since == now:
            # A task of its own, since it serves others too: it does not end with this caller.
            task = loop.create_task(self._read_baseline(watch), context=contextvars.Context())
            _reading.add(task)
            task.add_done_callback(_reading.discard)
        patience = max(since + _FIRST_OPENS_WAIT - now, _LATER_OPENS_WAIT)
        await asyncio.wait([woken], timeout=max(0.0, min(patience, (until - now) / 2)))

    async def _read_baseline(self, watch: Watch) -> None:
        try:
            async with anyio.create_task_group() as both:
                both.start_soon(_again_and_again, self._listed, watch)
                both.start_soon(_again_and_again, self._sampled)
        finally:
            watch.listing.begun()


_reading: set[asyncio.Task[None]] = set()


async def _again_and_again(read: Callable[..., Awaitable[object]], *args: object) -> None:
    """Read until there is an answer, be it a refusal, for a limited time."""
    pause = _READ_AGAIN_AFTER
    with anyio.move_on_after(_READ_FOR):
        while True:
            try:
                if await read(*args) is not None:
                    return
            except MizarError as failure:
                if isinstance(failure, Refused) and not isinstance(failure, RateLimited):
                    return
                log.debug("before the first open: %s", failure)
            await anyio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 1.5 * pause)
