"""Flatten: shut the door to opens, close what is open, settle what is in doubt, and prove that nothing is left.

Whatever else goes wrong, what can be closed is closed, and what could not is named. No failure of one close, list or
strategy ends another's; what a later list still shows is closed again; only a fresh list proves that nothing is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.abc import TaskGroup

from .._account.calls import Call, CloseCall, unseen
from .._account.guards import Guard
from .._account.watch import Watch
from .._api.endpoints import STRATEGIES
from .._api.trading import ClosedPosition, ClosePosition, Nothing, Strategy
from .._clock import instant, loop_time
from .._journal.entries import DoorOpened, DoorShut
from .._wire.rate_limit import Lane
from ..errors import AnswerUnreadable, Conflict, MizarError, NotFlat, OutcomeUnknown, RateLimited, Unavailable
from ..results import FlattenReport
from .closes import Closing
from .signals import ending_on_signals
from .view import View

log = logging.getLogger("mizar_async")

_GLANCE: Final = 0.05
_AT_ONCE: Final = 64
GUARD_PATIENCE: Final = 60.0


class Flatten:
    """Closes positions of one strategy until none is left: all of them, or those that a guard has collected."""

    def __init__(self, view: View, watch: Watch, until: float, guard: Guard | None = None) -> None:
        self._view = view
        self._watch = watch
        self._until = until
        self._guard = guard
        self._under_way: set[int] = set()
        self._at_once = anyio.CapacityLimiter(_AT_ONCE)
        self._closed: dict[int, ClosedPosition] = {}
        self._closed_elsewhere: set[int] = set()
        self._failed: set[int] = set()
        """What could not be closed since the last list: the next one decides whether it is tried again."""
        self._listed: list[int] = []
        self._suspected: tuple[int, ...] = ()
        self.is_flat = False
        self._is_over = False

    @property
    def report(self) -> FlattenReport:
        """What became of every position that it saw."""
        elsewhere = sorted(self._closed_elsewhere - self._closed.keys())
        return FlattenReport((self._watch.strategy_id,), list(self._closed.values()), elsewhere)

    async def run(self) -> None:
        """Close and list until the server shows nothing open and nothing is in doubt, or the deadline passes."""
        async with anyio.create_task_group() as closes:
            while not (self._is_over or self._view.channel.closed) and loop_time() < self._until:
                self._close(closes, [pid for pid in self._known() if pid not in self._failed])
                if self._under_way or self._opening():
                    self._watch.doubt_the_lost(loop_time())
                    self._view.follow_up.go_on()
                    await anyio.sleep(_GLANCE)
                else:
                    await self._look(closes)
            closes.cancel_scope.cancel()

    async def _look(self, closes: TaskGroup) -> None:
        lag = self._view.options.listing_lag
        listed = await self._view.listings.since(self._watch, loop_time(), self._until, lag)
        if listed is None:
            return
        self._failed.clear()
        shown = [position.position_id for position in listed]
        self._listed = self._ours(shown)
        self._suspected = self._suspects(shown)
        if self._listed:
            self._close(closes, self._listed)
        elif not self._known() and not self._opening():
            # Nobody can tell whose the suspected are, and no further list will.
            self.is_flat, self._is_over = not self._suspected, True

    def _ours(self, position_ids: Iterable[int]) -> list[int]:
        if self._guard is None:
            return list(position_ids)
        guarded = self._guard.positions()
        return [position_id for position_id in position_ids if position_id in guarded]

    def _known(self) -> list[int]:
        return self._ours(self._watch.known_open())

    def _opening(self) -> list[Call]:
        return [*self._watch.opening(self._guard)]

    def _suspects(self, shown: list[int]) -> tuple[int, ...]:
        """What of a list may have been opened in a guard's block by a call that no list can tell about."""
        if self._guard is None:
            return ()
        candidates = {number for call in self._unknown() for number in self._watch.candidates(call)}
        return tuple(number for number in shown if number in candidates)

    def _unknown(self) -> list[Call]:
        return [] if self._guard is None else self._guard.unknown()

    def _close(self, closes: TaskGroup, position_ids: Iterable[int]) -> None:
        for position_id in position_ids:
            if position_id not in self._under_way:
                self._under_way.add(position_id)
                closes.start_soon(self._close_one, position_id)

    async def _close_one(self, position_id: int) -> None:
        closing = None
        found = self._view.account.watch_of(position_id)
        try:
            async with self._at_once:
                view = self._view.within(self._until - loop_time())
                closing = Closing(view, ClosePosition(position_id))
                self._closed[position_id] = await closing.run()
        except Conflict:
            self._closed_elsewhere.add(position_id)
        except AnswerUnreadable:
            if found is not None:
                self._closed[position_id] = unseen(found[1])
        except Exception as failure:  # noqa: BLE001
            # Whatever it was, it ends no other close; this one is tried again while it is known or listed.
            log.log(logging.DEBUG if isinstance(failure, MizarError) else logging.ERROR, "not closed: %r", failure)
            self._failed.add(position_id)
            await anyio.sleep(_GLANCE)
        except asyncio.CancelledError:
            if closing is not None:
                closing.leave()
            raise
        finally:
            self._under_way.discard(position_id)

    def left(self) -> tuple[tuple[int, ...], tuple[OutcomeUnknown, ...]]:
        """What is open, and what is in doubt, as far as is known."""
        still_open = {*self._known(), *self._listed, *self._suspected}
        calls = {call.number: call for call in (*self._opening(), *self._closing(still_open), *self._unknown())}
        doubts = tuple(
            call.unknown("in doubt when the flatten ended", self._watch.candidates(call)) for call in calls.values()
        )
        return tuple(sorted(still_open)), doubts

    def _closing(self, still_open: set[int]) -> list[Call]:
        doubts = [call for call in self._watch.in_doubt() if isinstance(call, CloseCall)]
        return [call for call in doubts if self._guard is None or still_open & set(self._watch.candidates(call))]


async def flattened(flatten: Flatten) -> FlattenReport:
    """Run a flatten; raises NotFlat if it did not end flat."""
    began = loop_time()
    await flatten.run()
    return _reported([flatten], loop_time() - began)


def _reported(flattens: list[Flatten], elapsed: float, not_asked: str = "") -> FlattenReport:
    reports = [one.report for one in flattens]
    report = FlattenReport(
        strategy_ids=tuple(sid for one in reports for sid in one.strategy_ids),
        closed=[closed for one in reports for closed in one.closed],
        closed_elsewhere=[pid for one in reports for pid in one.closed_elsewhere],
        elapsed=elapsed,
    )
    left = [one.left() for one in flattens if not one.is_flat]
    if not left and not not_asked:
        return report
    still_open = tuple(pid for open_now, _ in left for pid in open_now)
    in_doubt = tuple(doubt for _, doubts in left for doubt in doubts)
    raise NotFlat(
        f"not flat after {elapsed:.3g} s: {len(still_open)} position(s) are open as far as is known, "
        f"{list(still_open[:10])}, {len(in_doubt)} call(s) are in doubt, {len(report.closed)} were closed{not_asked}. "
        "The door stays shut: flatten again, or look at the server",
        report=report,
        still_open=still_open,
        in_doubt=in_doubt,
    )


FLATTENED: Final = "flattened"


class Flattener:
    """Makes flattens for one view: of a strategy, of all, and of what a block has opened."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._account = view.account

    def of(self, watch: Watch, until: float, guard: Guard | None = None) -> Flatten:
        return Flatten(self._view, watch, until, guard)

    async def one(self, strategy_id: int, patience: float) -> FlattenReport:
        """Flatten a strategy; its door stays shut until `resume`."""
        self._view.channel.check_open()
        watch = self._account.watch(strategy_id)
        _shut(watch)
        return await flattened(self.of(watch, loop_time() + patience))

    async def every(self, patience: float) -> FlattenReport:
        """Flatten every strategy of the key. New ones may open again once it is known which there are."""
        self._view.channel.check_open()
        began = loop_time()
        until = began + patience
        strategies: list[Strategy] | MizarError = []
        self._account.shared.door.shut(FLATTENED)
        try:
            started = self._of_all(self._account.watches(), until)
            async with anyio.create_task_group() as group:
                for one in started:
                    group.start_soon(one.run)
                await anyio.sleep(_GLANCE)  # what is known to be open is closed before anything is asked
                strategies = await self._strategies(until)
                if not isinstance(strategies, MizarError):
                    self._account.learn(strategies)
                    known = {strategy_id for one in started for strategy_id in one.report.strategy_ids}
                    others = {strategy.strategy_id for strategy in strategies} - known
                    for one in self._of_all({sid: self._account.watch(sid) for sid in others}, until):
                        started.append(one)
                        group.start_soon(one.run)
        finally:
            self._account.shared.door.open(FLATTENED)
        return _reported(started, loop_time() - began, _not_asked(strategies))

    def _of_all(self, watches: dict[int, Watch], until: float) -> list[Flatten]:
        for watch in watches.values():
            _shut(watch)
        return [self.of(watches[strategy_id], until) for strategy_id in sorted(watches)]

    async def _strategies(self, until: float) -> list[Strategy] | MizarError:
        """The strategies of the key, or why they can't be known; no failure of this ends what is being closed."""
        while True:
            options = self._view.options.within(until - loop_time())
            try:
                return await self._view.channel.perform(STRATEGIES, Nothing(), options, Lane.CLOSES)
            except MizarError as failure:
                if loop_time() >= until or not isinstance(failure, (Unavailable, RateLimited)):
                    return failure
            await anyio.sleep(_GLANCE)

    @asynccontextmanager
    async def guarding(self, strategy_id: int) -> AsyncGenerator[None]:
        """Close, when the block ends, what this client has opened for the strategy since it began."""
        self._view.channel.check_open()
        watch = self._account.watch(strategy_id)
        guard = watch.guards.begin(self._view.channel, next(self._account.shared.numbers))
        with ending_on_signals(self._view.channel, _ClosingBehind(self, watch, guard)) as guarded:
            try:
                yield
            finally:
                try:
                    await guarded.clean_up()
                finally:
                    watch.guards.end(guard)
                    guarded.afterwards(lambda: watch.door.open(guard))

    def resume(self, strategy_id: int) -> None:
        """Open the door again."""
        watch = self._account.watch(strategy_id)
        watch.door.open(FLATTENED)
        if watch.record is not None:
            watch.record.door(DoorOpened(instant().monotonic))


def _shut(watch: Watch) -> None:
    watch.door.shut(FLATTENED)
    if watch.record is not None:
        watch.record.door(DoorShut(instant().monotonic))


class _ClosingBehind:
    """Closes what a block has opened, within a time that begins with the first try."""

    def __init__(self, flattener: Flattener, watch: Watch, guard: Guard) -> None:
        self._flattener, self._watch, self._guard = flattener, watch, guard
        self._until = 0.0

    async def __call__(self) -> None:
        self._watch.door.shut(self._guard)
        self._until = self._until or loop_time() + GUARD_PATIENCE
        with anyio.CancelScope(shield=True):
            await flattened(self._flattener.of(self._watch, self._until, self._guard))


def _not_asked(strategies: list[Strategy] | MizarError) -> str:
    if not isinstance(strategies, MizarError):
        return ""
    return f"; the list of strategies could not be read ({strategies}), so that others were not looked at"
