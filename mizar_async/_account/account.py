"""What all clients of one key and host share in this process, over loops and threads.

The limiter, the server's clock, the positions that were seen, and a watch over each strategy. Clients with a
transport of their own share nothing: each gets an account of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import logging
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

import attrs

from .._api.trading import ClosedPosition, Position, Strategy
from .._ledger.server_clock import ServerClock
from .._wire.address import Address, ApiKey
from .._wire.rate_limit import Turns
from .watch import REMEMBERED, CallInDoubt, CloseCall, Watch

log = logging.getLogger("mizar_async")

_EXIT_PATIENCE: Final = 1.0


@attrs.frozen(eq=False, slots=False)
class Listener:
    """A client that wants to be told of positions that no call owns."""

    on_unclaimed: Callable[[Position], object] | None


class Account:
    """The shared state of one key at one host. `lock` guards all of it but the turns, which have their own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turns = Turns()
        self.listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
        self.forget()

    def forget(self) -> None:
        """Start empty: for a new account, and for a forked child, whose calls are not its parent's."""
        self.lock = threading.RLock()
        self.turns.forget()
        self.clock = ServerClock()
        self.markets: dict[int, str] = {}
        self.seen: dict[int, Position] = {}
        """Open positions that any call of this process has seen, by id."""
        self.past: OrderedDict[int, Position] = OrderedDict()
        """Positions that are closed: for an open that waits for its answer, and against lists that lag."""
        self.watches: dict[int, Watch] = {}
        self.numbers = itertools.count(1)
        self.waiting: set[Watch] = set()
        """The watches that a list of positions would help."""
        self.followers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]]
        self.followers = weakref.WeakKeyDictionary()
        self.untraced: OrderedDict[int, CloseCall] = OrderedDict()
        """Closes in doubt of positions that were never seen: no list can tell, only another close of the same id."""
        self.doors: set[object] = set()
        """Who keeps the door shut to all opens of the key."""
        self._warned: set[int] = set()

    def watch(self, strategy_id: int) -> Watch:
        """The watch over a strategy, begun by its first call."""
        with self.lock:
            watch = self.watches.get(strategy_id)
            if watch is None:
                watch = self.watches[strategy_id] = Watch(strategy_id, self)
            return watch

    def watch_of(self, position_id: int) -> Watch | None:
        """The watch over the strategy of a position, if the position was ever seen."""
        position = self.seen.get(position_id)
        if position is None or position.strategy_id is None:
            return None
        return self.watch(position.strategy_id)

    def learn(self, strategies: list[Strategy]) -> None:
        """Remember the markets of strategies: on SPOT, listings were seen with the wrong side."""
        for strategy in strategies:
            self.markets[strategy.strategy_id] = strategy.market

    def note_open(self, positions: Collection[Position]) -> None:
        """Remember positions as open, unless they are known to be closed."""
        for position in positions:
            if position.position_id not in self.past:
                self.seen[position.position_id] = position

    def position(self, position_id: int) -> Position:
        """A position that was seen, and may be closed since."""
        return self.seen.get(position_id) or self.past[position_id]

    def closed(self, closed: ClosedPosition, now: float) -> None:
        """A position is certainly closed."""
        with self.lock:
            strategy_id = closed.strategy_id
            watch = self.watch_of(closed.position_id) or (
                None if strategy_id is None else self.watches.get(strategy_id)
            )
            self.past.setdefault(closed.position_id, self.seen.pop(closed.position_id, closed))
            if len(self.past) > REMEMBERED:
                self.past.popitem(last=False)
            self.untraced.pop(closed.position_id, None)
            if watch is not None:
                watch.closed(closed, now)

    def cannot_trace(self, position_id: int, call: CloseCall) -> None:
        """Remember a close in doubt that no list can tell about."""
        with self.lock:
            self.untraced[position_id] = call
            if len(self.untraced) > REMEMBERED:
                self.untraced.popitem(last=False)

    def find(self, number: int | None) -> tuple[Watch | None, CallInDoubt] | None:
        """The call of that number and the watch that follows it, unless it was forgotten."""
        with self.lock:
            for untraced in self.untraced.values():
                if untraced.number == number:
                    return None, untraced
            for watch in self.watches.values():
                call = None if number is None else watch.find(number)
                if call is not None:
                    return watch, call
        return None

    def report(self, position: Position) -> None:
        """Tell those who want to know of a position that no call owns; soon, outside of the lock."""
        for listener in list(self.listeners):
            if listener.on_unclaimed is not None:
                asyncio.get_running_loop().call_soon(listener.on_unclaimed, position)

    def in_doubt(self) -> list[CallInDoubt]:
        """The calls whose outcome is unknown, oldest first."""
        with self.lock:
            calls = [*self.untraced.values(), *(call for watch in self.watches.values() for call in watch.in_doubt())]
        return sorted(calls, key=lambda call: call.number)

    def warn_once(self, when: str) -> None:
        """Name in one log line what is in doubt and was not named before."""
        calls = [call for call in self.in_doubt() if call.number not in self._warned]
        if calls:
            self._warned.update(call.number for call in calls)
            log.warning(
                "%s at %s with %d call(s) in doubt, look at the server: %s",
                when,
                self.name,
                len(calls),
                "; ".join(call.describe() for call in calls[:20]) + (" ..." if len(calls) > 20 else ""),
            )


_accounts: dict[tuple[str, str], Account] = {}
_accounts_lock = threading.Lock()
# Accounts of clients with a transport of their own: they are remembered no longer than their clients.
_unshared: weakref.WeakSet[Account] = weakref.WeakSet()


def shared_account(key: ApiKey, address: Address) -> Account:
    """The account of a key at a host."""
    with _accounts_lock:
        return _accounts.setdefault((key.fingerprint(), address.url), Account(f"{address.environment} {address.host}"))


def own_account(address: Address) -> Account:
    """An account that is shared with nobody."""
    account = Account(f"{address.environment} {address.host}")
    _unshared.add(account)
    return account


def _forget_the_parent() -> None:
    global _accounts_lock
    _accounts_lock = threading.Lock()  # another thread of the parent may have held it
    for account in [*_accounts.values(), *_unshared]:
        account.forget()


def name_what_is_in_doubt() -> None:
    """At the interpreter's exit: wait a moment, then log what is still in doubt. A second call logs nothing new."""
    # Loops of other threads may still be finding out; nothing else can.
    pause = threading.Event()
    for _ in range(20):
        if not any(account.in_doubt() for account in _accounts.values()):
            break
        pause.wait(_EXIT_PATIENCE / 20)
    for account in [*_accounts.values(), *_unshared]:
        account.warn_once("the interpreter ends")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parent)
atexit.register(name_what_is_in_doubt)
