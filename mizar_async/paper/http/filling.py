"""Waiting for a fill: the only place of the venue where a call takes time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from ..._clock import BREATH
from ..venue import ORDERS, Venue

Perform = Callable[[Venue, Any, Any], object]

_LOOKS: Final = 0.5
"""Seconds after which an order that waits looks whether it was dropped, since the server ends."""


async def performed(perform: Perform, venue: Venue, owner: Any, ask: object) -> object:
    """What the venue says to a call; to an order, once the venue's clock has come to its fill."""
    if not venue.model.delay or not isinstance(ask, ORDERS):
        return perform(venue, owner, ask)
    order = venue.accept(owner, ask)
    while not order.answer.done():
        await asyncio.sleep(max(BREATH, min(venue.clock.seconds_until(order.at), _LOOKS)))
        venue.settle()
    return order.answer.result()
