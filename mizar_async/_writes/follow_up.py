"""Asks the server what became of the calls in doubt: one follower in each loop, one list at a time.

It runs only while something is in doubt, ends silently with its loop, and is started again by the next call.
It looks, and never writes.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import logging
from typing import Final

import anyio

from .._account.watch import CallInDoubt, Outcome, Watch
from .._api.endpoints import CLOSE_ALL, OPEN_POSITIONS, SERVER_TIME, STRATEGIES
from .._api.trading import ClosedPosition, Nothing, OfStrategy, Position
from .._clock import loop_time
from .._options import Options
from .._wire.channel import Channel
from .._wire.rate_limit import Lane
from ..errors import MizarError, OutcomeUnknown

log = logging.getLogger("mizar_async")

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 1.0
_GLANCE: Final = 0.05
_BASELINE: Final = 2.0
# Who waits for an outcome looks this often whether there still is a follower: another loop's may have ended.
_CHECK: Final = 2.0


class FollowUp:
    """The follower of one client's loops."""

    def __init__(self, channel: Channel, options: Options) -> None:
        self._channel = channel
        self._account = channel.account
        self._once = Options(timeout=options.timeout, deadline=options.timeout, max_retries=0)

    def go_on(self) -> None:
        """See to it that there is a follower in this loop while something is in doubt."""
        if not self._account.waiting or self._channel.closed:
            return
        loop = asyncio.get_running_loop()
        task = self._account.followers.get(loop)
        if task is None or task.done():
            # A context of its own: the caller's variables are none of its business.
            self._account.followers[loop] = loop.create_task(
                self._follow(), name="mizar follow-up", context=contextvars.Context()
            )

    async def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while self._account.waiting and not self._channel.closed:
            async with anyio.create_task_group() as looks:
                for watch in list(self._account.waiting):
                    looks.start_soon(self._look, watch)
                if self._clock_is_needed():
                    looks.start_soon(self._sample, self._once)
            await anyio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _clock_is_needed(self) -> bool:
        # Without a baseline only the time of opening tells what is ours, and it takes two samples a second apart.
        return not self._account.clock.on and not all(watch.has_baseline for watch in self._account.waiting)

    async def _look(self, watch: Watch) -> None:
        try:
            await self.list_once(watch)
        except MizarError as failure:
            log.debug("no list of strategy %d: %s", watch.strategy_id, failure)

    async def list_once(self, watch: Watch) -> list[Position] | None:
        """Ask for a list of open positions and tell the watch; None if it can't be, or another is under way."""
        asked_at = loop_time()
        with self._account.lock:
            if watch.listing_until > asked_at:
                return None
            watch.listing_until = asked_at + self._once.timeout + 1.0
        try:
            watch.doubt_the_overdue(asked_at)
            ask = OfStrategy(watch.strategy_id)
            positions = await self._channel.perform(OPEN_POSITIONS, ask, self._once, Lane.CLOSES)
            if watch.ambiguous(positions):
                self._account.learn(await self._channel.perform(STRATEGIES, Nothing(), self._once, Lane.CLOSES))
                # Sides count on every market but SPOT, and on one that the server does not name.
                self._account.markets.setdefault(watch.strategy_id, "unknown")
            watch.listed(positions, asked_at, loop_time())
        finally:
            watch.listing_until = 0.0
        return positions

    async def listing(self, watch: Watch, since: float, until: float) -> list[Position] | None:
        """A list that shows what was open at some time after `since`; None if there is none by the deadline."""
        while (left := until - loop_time()) > 0:
            try:
                positions = await self.list_once(watch)
            except MizarError as failure:
                log.debug("no list of strategy %d: %s", watch.strategy_id, failure)
            else:
                if positions is not None and watch.shown_until > since:
                    return positions
            await anyio.sleep(min(left, _FIRST_PAUSE))
        return None

    async def outcome(self, call: CallInDoubt, until: float) -> Outcome | None:
        """Wait for what became of a call; None if nobody knows by then."""
        with call.waiting() as woken:
            while call.outcome is None and (left := until - loop_time()) > 0:
                self.go_on()
                await asyncio.wait([woken], timeout=min(left, _CHECK))
        return call.outcome

    async def begin(self, watch: Watch, until: float) -> None:
        """Before the first open of a strategy: read the server's time and what is open, once, for at most 2 s."""
        with self._account.lock:
            if watch.begun:
                return
            woken = asyncio.get_running_loop().create_future()
            watch.awaiting_baseline.append(woken)
            if len(watch.awaiting_baseline) == 1:
                # A task of its own, since it serves others too: it does not end with this caller.
                task = asyncio.get_running_loop().create_task(self._baseline(watch), context=contextvars.Context())
                watch.awaiting_baseline[0].add_done_callback(lambda _: task)  # which keeps the task alive
        await asyncio.wait([woken], timeout=max(0.0, min(_BASELINE + 0.5, until - loop_time())))

    async def _baseline(self, watch: Watch) -> None:
        try:
            with anyio.move_on_after(_BASELINE):
                async with anyio.create_task_group() as both:
                    both.start_soon(self._look, watch)
                    both.start_soon(self._sample, Options(timeout=_BASELINE, deadline=_BASELINE, max_retries=0))
        finally:
            watch.begin()

    async def _sample(self, once: Options) -> None:
        asked_at = loop_time()
        try:
            answer = await self._channel.perform(SERVER_TIME, Nothing(), once, Lane.CLOSES)
        except MizarError as failure:
            log.debug("no server time: %s", failure)
        else:
            self._account.clock.sample(asked_at, loop_time(), answer.server_time)

    async def resolve(self, error: OutcomeUnknown, patience: float) -> Position | ClosedPosition | list[ClosedPosition]:
        """What a call that ended as OutcomeUnknown came to; raises NotOpened, or OutcomeUnknown again."""
        found = self._account.find(error.reference)
        if found is None:
            raise copy.copy(error)
        watch, call = found
        outcome = await self.outcome(call, loop_time() + patience)
        if outcome is None:
            raise call.unknown("still unknown", watch.candidates(call) if watch else error.candidates)
        if watch is not None:
            watch.hand_over(call)
        if isinstance(outcome, MizarError):
            raise copy.copy(outcome)
        if isinstance(outcome, tuple):
            return list(outcome) if call.path == CLOSE_ALL.path else outcome[0]
        return outcome

    def unresolved(self) -> list[OutcomeUnknown]:
        """An error for each call in doubt, oldest first."""
        return [_error_of(call) for call in self._account.in_doubt()]

    def unresolved_of(self, strategy_id: int) -> list[OutcomeUnknown]:
        """An error for each call of one strategy in doubt."""
        return [_error_of(call) for call in self._account.watch(strategy_id).in_doubt()]

    async def open_positions(self, ask: OfStrategy, options: Options) -> list[Position]:
        """List open positions for the caller; what is in doubt learns from it too."""
        self.go_on()
        asked_at = loop_time()
        positions = await self._channel.perform(OPEN_POSITIONS, ask, options)
        watch = self._account.watch(ask.strategy_id)
        if not watch.ambiguous(positions):
            watch.listed(positions, asked_at, loop_time())
        return positions

    async def finish(self, patience: float) -> None:
        """Before the client is closed: give what it has in doubt a moment to be found out, and name what is left."""
        until = loop_time() + patience
        while self._mine() and loop_time() < until:
            self.go_on()
            await anyio.sleep(_GLANCE)
        self._account.warn_once("a client was closed")

    def _mine(self) -> list[CallInDoubt]:
        return [call for call in self._account.in_doubt() if call.client is self._channel and call.outcome is None]


def _error_of(call: CallInDoubt) -> OutcomeUnknown:
    return call.unknown(str(call.failure or "no answer came"), ())
