"""What the watches over all strategies of a key share. Read and changed under `lock`, by its owners' methods."""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

import attrs

from .._journal.journal import Journal
from .._ledger.ledger import Ledger
from .._ledger.server_clock import ServerClock
from .agenda import Agenda
from .calls import Call
from .door import Door
from .left_behind import LeftBehind
from .positions import Positions


class Watched(Protocol):
    """What a watch tells the others."""

    ledger: Ledger


@attrs.define(eq=False)
class Shared:
    """The lock can be taken again by the thread that holds it: a signal handler may ask what is in doubt."""

    left_behind: LeftBehind
    lock: threading.RLock
    door: Door
    journal: Journal | None = None
    positions: Positions = attrs.field(factory=Positions)
    clock: ServerClock = attrs.field(factory=ServerClock)
    agenda: Agenda = attrs.field(factory=Agenda)
    markets: dict[int, str] = attrs.field(factory=dict)
    """By strategy: on SPOT, lists were seen with the wrong side."""
    calls: weakref.WeakValueDictionary[int, Call] = attrs.field(factory=weakref.WeakValueDictionary)
    """By number: those that came into doubt or were abandoned, as long as anybody has them."""
    watches: dict[int, Watched] = attrs.field(factory=dict)
    """The watches so far, by strategy."""
    loops: Counter[asyncio.AbstractEventLoop] = attrs.field(factory=Counter)
    """How many opens each loop has in flight or in doubt: those of a loop that is closed will never report."""

    numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))
    """Of the calls: unique, and growing."""

    def start_over(self, numbers: Iterator[int]) -> None:
        """Know of no position and no call yet. The doors and the clock stay as they are."""
        self.positions.clear()
        self.left_behind.clear()
        self.calls.clear()
        self.loops.clear()
        self.agenda.clear()
        self.numbers = numbers

    def had_elsewhere(self, position_id: int, strategy_id: int) -> bool:
        """Whether another strategy than this one has, or had, the position, as far as is known."""
        position = self.positions.get(position_id)
        if position is not None and position.strategy_id != strategy_id:
            return True
        return any(watch.ledger.is_closed(position_id) for other, watch in self.watches.items() if other != strategy_id)

    def is_closed(self, position_id: int) -> bool:
        """Whether the position was seen, and is closed as far as is known."""
        with self.lock:
            return any(watch.ledger.is_closed(position_id) for watch in self.watches.values())
