"""Waiting for a fill: the only place of the venue where a call takes time.

However many orders wait in a loop, one timer does for all of them: it is set for the first that is due, and fills what
is due then. An order that is answered wakes whoever waits for it, in whichever loop that is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from ..._clock import BREATH
from ..pending import Order
from ..venue import ORDERS, Venue

Perform = Callable[[Venue, Any, Any], object]

_LOOKS: Final = 0.5
"""Seconds after which a timer looks again, since a clock may have been moved on."""


class Filling:
    """The calls of a venue, of which orders wait."""

    def __init__(self, venue: Venue) -> None:
        self.venue: Final = venue
        self._timers: dict[asyncio.AbstractEventLoop, _Timer] = {}

    async def performed(self, perform: Perform, owner: Any, ask: object) -> object:
        """What the venue says to a call; to an order, once the venue's clock has come to its fill."""
        if not self.venue.model.delay or not isinstance(ask, ORDERS):
            return perform(self.venue, owner, ask)
        order = self.venue.accept(owner, ask)
        await self._answered(order)
        return order.answer.result()

    async def _answered(self, order: Order) -> None:
        loop, answered = asyncio.get_running_loop(), asyncio.Event()

        def wake(_: object) -> None:  # maybe from another thread
            with contextlib.suppress(RuntimeError):  # whoever waited has gone, and the loop as well
                loop.call_soon_threadsafe(answered.set)

        order.answer.add_done_callback(wake)
        timer = self._timers.setdefault(loop, _Timer(self.venue, loop))
        timer.begin()
        try:
            await answered.wait()
        finally:
            if timer.end():
                del self._timers[loop]


class _Timer:
    """The timer of all who wait in one loop."""

    def __init__(self, venue: Venue, loop: asyncio.AbstractEventLoop) -> None:
        self._venue = venue
        self._loop = loop
        self._waiting = 0
        self._set: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """One more waits."""
        self._waiting += 1
        self._set_for_first()

    def end(self) -> bool:
        """One waits no more. Says whether it was the last."""
        self._waiting -= 1
        if self._waiting == 0 and self._set is not None:
            self._set.cancel()
        return self._waiting == 0

    def _set_for_first(self) -> None:
        first = self._venue.pending.first()
        wait = _LOOKS if first is None else self._venue.clock.seconds_until(first)
        at = self._loop.time() + max(BREATH, min(wait, _LOOKS))
        if self._set is not None:
            if self._set.when() <= at:
                return
            self._set.cancel()
        self._set = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._set = None
        self._venue.settle()
        self._set_for_first()
