"""What the watches over all strategies of a key share. Read and changed under `lock`, by its owners' methods."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import Counter

import attrs

from .._ledger.server_clock import ServerClock
from .agenda import Agenda
from .calls import Call
from .door import Door
from .left_behind import LeftBehind
from .positions import Positions


@attrs.define(eq=False)
class Shared:
    """The lock can be taken again by the thread that holds it: a signal handler may ask what is in doubt."""

    left_behind: LeftBehind
    lock: threading.RLock
    door: Door
    positions: Positions = attrs.field(factory=Positions)
    clock: ServerClock = attrs.field(factory=ServerClock)
    agenda: Agenda = attrs.field(factory=Agenda)
    markets: dict[int, str] = attrs.field(factory=dict)
    """By strategy: on SPOT, lists were seen with the wrong side."""
    calls: weakref.WeakValueDictionary[int, Call] = attrs.field(factory=weakref.WeakValueDictionary)
    """By number: those that came into doubt or were abandoned, as long as anybody has them."""
    loops: Counter[asyncio.AbstractEventLoop] = attrs.field(factory=Counter)
    """How many opens each loop has in flight or in doubt: those of a loop that is closed will never report."""
