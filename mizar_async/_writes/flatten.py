"""Flatten: shut the door to opens, close what is open, settle what is in doubt, and prove that nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.abc import TaskGroup

from .._account.watch import CallInDoubt, Guard, OpenCall, Watch, unseen
from .._api.endpoints import STRATEGIES
from .._api.trading import ClosePosition, Nothing, Strategy
from .._clock import loop_time
from .._options import Options, clipped
from .._wire.channel import Channel
from .._wire.rate_limit import Lane
from ..errors import AnswerUnreadable, Conflict, MizarError, NotFlat, OutcomeUnknown, RateLimited, Unavailable
from ..results import FlattenReport
from .closes import Closing
from .follow_up import FollowUp
from .signals import ending_on_sigterm

_GLANCE: Final = 0.05
_AT_ONCE: Final = 64
GUARD_PATIENCE: Final = 60.0


class Flatten:
    """Closes positions of one strategy until none is left: all of them, or those that `mine` names."""

    def __init__(
        self,
        channel: Channel,
        follow_up: FollowUp,
        options: Options,
        watch: Watch,
        until: float,
        guard: Guard | None = None,
    ) -> None:
        self._channel = channel
        self._follow_up = follow_up
        self._options = options
        self._watch = watch
        self._until = until
        self._guard = guard
        self._under_way: set[int] = set()
        self._at_once = anyio.CapacityLimiter(_AT_ONCE)
        self.report = FlattenReport((watch.strategy_id,))
        self._done: set[int] = set()
        self.is_flat = False

    async def run(self) -> None:
        """Close and list until the server shows nothing open and nothing is in doubt, or the deadline passes."""
        async with anyio.create_task_group() as closes:
            self._close(closes, self._known())
            while loop_time() < self._until:
                self._close(closes, self._known())
                if self._under_way or self._opening():
                    self._follow_up.go_on()
                    await anyio.sleep(_GLANCE)
                    continue
                quiet_since = loop_time()
                listed = await self._follow_up.listing(self._watch, quiet_since, self._until)
                if listed is None:
                    break
                # A list that lags may still show what is closed, and lack what a better one has shown meanwhile.
                shown = self._ours(position.position_id for position in listed)
                left = [position_id for position_id in shown if position_id not in self._done]
                if not left and not self._known() and not self._opening():
                    self.is_flat = True
                    break
                self._close(closes, left)
            closes.cancel_scope.cancel()

    def _ours(self, position_ids: Iterable[int]) -> list[int]:
        if self._guard is None:
            return list(position_ids)
        return [position_id for position_id in position_ids if position_id in self._guard.positions]

    def _known(self) -> list[int]:
        return [pid for pid in self._ours(self._watch.known_open()) if pid not in self._done]

    def _opening(self) -> list[OpenCall]:
        calls = self._watch.opening()
        if self._guard is None:
            return calls
        return [call for call in calls if call.client is self._guard.client and call.number > self._guard.since]

    def _close(self, closes: TaskGroup, position_ids: Iterable[int]) -> None:
        for position_id in position_ids:
            if position_id not in self._under_way:
                self._under_way.add(position_id)
                closes.start_soon(self._close_one, position_id)

    async def _close_one(self, position_id: int) -> None:
        closing = None
        known = self._channel.account.seen.get(position_id)
        try:
            async with self._at_once:
                left = self._until - loop_time()
                closing = Closing(
                    self._channel,
                    self._follow_up,
                    clipped(self._options, left),
                    ClosePosition(position_id),
                )
                closed = await closing.run()
        except Conflict:
            self.report.closed_elsewhere.append(position_id)
            self._done.add(position_id)
        except AnswerUnreadable:
            self._done.add(position_id)
            if known is not None:
                self.report.closed.append(unseen(known))
        except MizarError:
            await anyio.sleep(_GLANCE)  # it is tried again while it is listed
        except asyncio.CancelledError:
            if closing is not None:
                closing.leave()
            raise
        else:
            self.report.closed.append(closed)
            self._done.add(position_id)
        finally:
            self._under_way.discard(position_id)

    def left(self) -> tuple[tuple[int, ...], tuple[OutcomeUnknown, ...]]:
        """What is open, and what is in doubt, as far as is known."""
        calls: list[CallInDoubt] = [*self._opening(), *self._watch.closing_in_doubt()]
        doubts = tuple(call.unknown("in doubt when the flatten ended", self._watch.candidates(call)) for call in calls)
        return tuple(self._known()), doubts


async def flatten_all_of(flattens: list[Flatten], patience: float) -> FlattenReport:
    """Run flattens side by side; raises NotFlat if one did not end flat."""
    began = loop_time()
    async with anyio.create_task_group() as group:
        for one in flattens:
            if not one.is_flat:
                group.start_soon(one.run)
    report = FlattenReport(
        strategy_ids=tuple(sid for one in flattens for sid in one.report.strategy_ids),
        closed=[closed for one in flattens for closed in one.report.closed],
        closed_elsewhere=[pid for one in flattens for pid in one.report.closed_elsewhere],
        elapsed=loop_time() - began,
    )
    left = [one.left() for one in flattens if not one.is_flat]
    if not left:
        return report
    still_open = tuple(pid for open_now, _ in left for pid in open_now)
    in_doubt = tuple(doubt for _, doubts in left for doubt in doubts)
    raise NotFlat(
        f"not flat after {patience:g} s: {len(still_open)} position(s) are open as far as is known, "
        f"{list(still_open[:10])}, {len(in_doubt)} call(s) are in doubt, {len(report.closed)} were closed. "
        "The door stays shut: flatten again, or look at the server",
        report=report,
        still_open=still_open,
        in_doubt=in_doubt,
    )


FLATTENED: Final = "flattened"


class Flattener:
    """Makes flattens for one client: of a strategy, of all, and of what a block has opened."""

    def __init__(self, channel: Channel, follow_up: FollowUp, options: Options) -> None:
        self._channel = channel
        self._account = channel.account
        self._follow_up = follow_up
        self._options = options

    def _of(self, watch: Watch, until: float, guard: Guard | None = None) -> Flatten:
        return Flatten(self._channel, self._follow_up, self._options, watch, until, guard)

    async def one(self, strategy_id: int, patience: float) -> FlattenReport:
        """Flatten a strategy; its door stays shut until `resume`."""
        watch = self._account.watch(strategy_id)
        watch.doors.add(FLATTENED)
        return await flatten_all_of([self._of(watch, loop_time() + patience)], patience)

    async def every(self, patience: float) -> FlattenReport:
        """Flatten every strategy of the key. New ones may open again once it is known which there are."""
        until = loop_time() + patience
        self._account.doors.add(FLATTENED)
        for watch in list(self._account.watches.values()):
            watch.doors.add(FLATTENED)
        known = set(self._account.watches)
        started = [self._of(self._account.watch(sid), until) for sid in sorted(known)]
        strategies: list[Strategy] = []
        async with anyio.create_task_group() as first:
            for one in started:
                first.start_soon(one.run)
            await anyio.sleep(_GLANCE)  # what is known to be open is closed before anything is asked
            strategies = await self._strategies(until)
        self._account.learn(strategies)
        others = {strategy.strategy_id for strategy in strategies} - known
        for strategy_id in others:
            self._account.watch(strategy_id).doors.add(FLATTENED)
        self._account.doors.discard(FLATTENED)
        started += [self._of(self._account.watch(sid), until) for sid in sorted(others)]
        return await flatten_all_of(started, patience)

    async def _strategies(self, until: float) -> list[Strategy]:
        while True:
            try:
                return await self._channel.perform(STRATEGIES, Nothing(), self._options, Lane.CLOSES)
            except (Unavailable, RateLimited):
                if loop_time() >= until:
                    raise
            await anyio.sleep(_GLANCE)

    @asynccontextmanager
    async def guarding(self, strategy_id: int) -> AsyncGenerator[None]:
        """Close, when the block ends, what this client has opened for the strategy since it began."""
        watch = self._account.watch(strategy_id)
        guard = Guard(self._channel, next(self._account.numbers))
        watch.guards.append(guard)
        try:
            with ending_on_sigterm():
                yield
        finally:
            watch.doors.add(guard)
            try:
                with anyio.CancelScope(shield=True):
                    until = loop_time() + GUARD_PATIENCE
                    await flatten_all_of([self._of(watch, until, guard)], GUARD_PATIENCE)
            finally:
                watch.guards.remove(guard)
                watch.doors.discard(guard)

    def resume(self, strategy_id: int) -> None:
        """Open the door again."""
        self._account.watch(strategy_id).doors.discard(FLATTENED)
