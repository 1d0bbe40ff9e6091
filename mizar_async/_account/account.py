"""What all clients of one key and host know together in this process, over loops and threads.

The limiter, the server's clock, the positions that were seen, and a watch over each strategy.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import attrs

from .._api.trading import ClosedPosition, Position, Strategy
from .._wire.channel import Channel
from .._wire.turns import Turns
from .calls import Call, CloseCall
from .door import Door
from .journaling import Journaling
from .left_behind import REMEMBERED, LeftBehind
from .shared import Shared
from .watch import Watch

log = logging.getLogger("mizar_async")


@attrs.frozen(eq=False, slots=False)
class Listener:
    """A client that wants to be told of positions that no call owns."""

    on_unclaimed: Callable[[Position], object] | None


class Follower(Protocol):
    """Who asks the server what became of the calls in doubt."""

    def is_alive(self) -> bool:
        """Whether it goes on by itself."""
        ...


class Account:
    """The shared state of one key at one host. One lock guards all of it but the turns, which have their own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.journaling = Journaling(self.watches, self.watch)
        self.turns = Turns()
        self.listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
        self.channels: weakref.WeakSet[Channel] = weakref.WeakSet()
        """Of the clients: whoever follows up takes one that is not closed."""
        self.forget()

    def forget(self) -> None:
        """Start empty: for a new account, and for a forked child, whose calls are not its parent's."""
        self.journaling.inherit()
        self.turns.forget()
        lock = threading.RLock()
        door = Door("every strategy of the key is being flattened", lock)
        self.shared = self.journaling.shared = Shared(LeftBehind(self._tell), lock, door, self.journaling.journal)
        self.follower: Follower | None = None
        self._watches: dict[int, Watch] = {}
        # Closes in doubt of positions that were never seen: no list can tell, only another close of the same id.
        self._untraced: OrderedDict[int, CloseCall] = OrderedDict()
        self._warned: set[int] = set()

    # strategies

    def watch(self, strategy_id: int) -> Watch:
        """The watch over a strategy, begun by its first call."""
        with self.shared.lock:
            watch = self._watches.get(strategy_id)
            if watch is None:
                watch = self._watches[strategy_id] = Watch(strategy_id, self.shared)
                self.journaling.begin(watch)
                self.shared.watches[strategy_id] = watch
            return watch

    def watches(self) -> dict[int, Watch]:
        """The watches so far, by strategy."""
        with self.shared.lock:
            return dict(self._watches)

    def watch_of(self, position_id: int) -> tuple[Watch, Position] | None:
        """A position that is open as far as is known, and the watch over its strategy; None if it was never seen."""
        with self.shared.lock:
            position = self.shared.positions.get(position_id)
            if position is None or position.strategy_id is None:
                return None
            return self.watch(position.strategy_id), position

    def learn(self, strategies: list[Strategy], asked_about: int | None = None) -> None:
        """Remember the markets of strategies: on SPOT, lists were seen with the wrong side.

        Sides count on every other market, and on that of a strategy which was asked about, and is not named.
        """
        with self.shared.lock:
            self.shared.markets.update({strategy.strategy_id: strategy.market for strategy in strategies})
            if asked_about is not None:
                self.shared.markets.setdefault(asked_about, "unknown")

    # closes

    def closed(self, closed: ClosedPosition, now: float, *, certain: bool) -> None:
        """A position is closed: `certain` if an answer said so, otherwise a list may contradict it."""
        with self.shared.lock:
            self._untraced.pop(closed.position_id, None)
            found = self.watch_of(closed.position_id)
            if found is not None:
                found[0].closed(closed, now, certain=certain)
            elif closed.strategy_id is not None:
                self.watch(closed.strategy_id).closed(closed, now, certain=certain)

    def cannot_trace(self, call: CloseCall, position_id: int) -> None:
        """Remember a close in doubt that no list can tell about, unless its position is known to be closed."""
        with self.shared.lock:
            if self.shared.is_closed(position_id):
                return
            self.shared.calls[call.number] = self._untraced[position_id] = call
            if len(self._untraced) > REMEMBERED:
                self._untraced.popitem(last=False)

    # calls

    def find(self, number: int | None) -> Call | None:
        """The call of that number, unless it was forgotten."""
        with self.shared.lock:
            return None if number is None else self.shared.calls.get(number)

    def in_doubt(self, strategy_id: int | None = None) -> list[Call]:
        """The calls whose outcome is unknown, of a strategy or of all, oldest first."""
        with self.shared.lock:
            watches = [self.watch(strategy_id)] if strategy_id is not None else list(self._watches.values())
            calls = {call.number: call for watch in watches for call in watch.in_doubt()}
            told = [call for call in self.shared.left_behind.undecidable() if call.watch in watches]
            calls |= {call.number: call for call in told}
            if strategy_id is None:
                calls |= {call.number: call for call in self._untraced.values()}
        return [calls[number] for number in sorted(calls)]

    def abandon(self, call: Call) -> None:
        """Its caller goes without the ending."""
        if call.watch is not None:
            call.watch.abandon(call)

    def hand_over(self, call: Call) -> None:
        """The ending of a call whose caller had gone reaches somebody after all, who owns what it has opened."""
        with self.shared.lock:
            self.journaling.tell(call)
            if isinstance(call.ending, Position):
                self.shared.left_behind.claimed(call.ending.position_id)

    def take_back(self, position: Position) -> None:
        """A position could not be handed to the caller of its call: it is unclaimed."""
        with self.shared.lock:
            if self.shared.positions.get(position.position_id) is not None:
                self.shared.left_behind.report(position)

    def acknowledge(self, call: Call, position_id: int | None) -> None:
        """The user's word on a doubt: which position the call opened, or None for none."""
        with self.shared.lock:
            if call.watch is not None:
                call.watch.acknowledge(call, position_id)
            self._untraced = OrderedDict((pid, one) for pid, one in self._untraced.items() if one is not call)

    def unclaimed(self, strategy_id: int) -> list[Position]:
        """The positions of a strategy that no call owns."""
        with self.shared.lock:
            return self.shared.left_behind.unclaimed(strategy_id)

    # looking for them

    def pause(self, now: float) -> float | None:
        """Seconds until something is to be looked for; None if nothing ever will be."""
        with self.shared.lock:
            return 0.0 if self._lost_loops() else self.shared.agenda.pause(now)

    def _lost_loops(self) -> bool:
        return any(loop.is_closed() for loop in self.shared.loops)

    def due(self, now: float) -> list[Watch]:
        """The watches that a list would help now."""
        with self.shared.lock:
            if self._lost_loops():
                for watch in self._watches.values():
                    watch.doubt_the_lost(now)
            return [self.watch(strategy_id) for strategy_id in sorted(self.shared.agenda.due(now))]

    def sample(self, sent: float, got: float, ms: int) -> None:
        """Learn the server's time from an answer."""
        with self.shared.lock:
            self.shared.clock.sample(sent, got, ms)

    @property
    def clock_is_on(self) -> bool:
        """Whether the server's clock can be read on our timeline."""
        return self.shared.clock.on

    def open_channel(self) -> Channel | None:
        """The way of the most patient client that is not closed, of those that work in the running loop if any does."""
        channels = [channel for channel in list(self.channels) if not channel.closed]
        return max(channels, key=lambda channel: (channel.works_here(), channel.patience), default=None)

    # telling

    def _tell(self, position: Position) -> None:
        """Tell those who want to know of a position that no call owns; soon, outside of the lock."""
        for listener in list(self.listeners):
            if listener.on_unclaimed is not None:
                _soon(listener.on_unclaimed, position)

    def warn_once(self, when: str) -> None:
        """Name in one log line what is in doubt and was not named before."""
        with self.shared.lock:
            calls = [call for call in self.in_doubt() if call.number not in self._warned]
            self._warned.update(call.number for call in calls)
        if calls:
            log.warning(
                "%s at %s with %d call(s) in doubt, look at the server: %s",
                when,
                self.name,
                len(calls),
                "; ".join(call.describe() for call in calls[:20]) + (" ..." if len(calls) > 20 else ""),
            )


def _soon(listener: Callable[[Position], object], position: Position) -> None:
    telling = _told(listener, position)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # it was found out where no loop runs: one for this alone
        asyncio.run(telling)
        return
    task = loop.create_task(telling)
    _telling.add(task)
    task.add_done_callback(_telling.discard)


_telling: set[asyncio.Task[None]] = set()


async def _told(listener: Callable[[Position], object], position: Position) -> None:
    try:
        result = listener(position)
        if inspect.isawaitable(result):
            await result
    except Exception:
        log.exception("on_unclaimed failed for position %d", position.position_id)
