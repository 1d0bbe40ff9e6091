"""What scripts of these tests trade with: one strategy at the venue of the environment, and lines that say how far."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import httpx

from mizar_async import AsyncMizar, NotFlat, NotSent
from mizar_async._writes import flatten, signals
from mizar_async._writes.signals import ending_on_signals
from mizar_sync import Mizar, OpenPosition

__all__ = [
    "ASK",
    "REQUESTS",
    "STRATEGY",
    "AsyncMizar",
    "Mizar",
    "NotFlat",
    "NotSent",
    "OpenPosition",
    "SlowToClose",
    "ending_on_signals",
    "patient",
    "ready",
    "signalled",
]

STRATEGY = 1
ASK = {"strategy_id": STRATEGY, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}
REQUESTS = [OpenPosition(**ASK) for _ in range(10)]  # type: ignore[arg-type]

logging.basicConfig(format="%(levelname)s %(message)s")


class SlowToClose(httpx.AsyncBaseTransport):
    """Lets everything through at once, and a close after what it awaits; says when the first one has come."""

    def __init__(self, awaits: Callable[[], Awaitable[object]]) -> None:
        self._awaits = awaits
        self.begun = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "close" in request.url.path:
            if not self.begun:
                self.begun = True
                ready("closing")
            await self._awaits()
        async with httpx.AsyncHTTPTransport() as transport:
            response = await transport.handle_async_request(request)
            await response.aread()
            return response


def ready(word: str = "ready") -> None:
    print(word, flush=True)


async def signalled() -> None:
    """Wait until a signal that ends the guards has come."""
    while signals._signals.ending is None:
        await asyncio.sleep(0.01)


def patient() -> None:
    """Let guards and the code around them have an hour: what ends then has ended by itself, or by a signal."""
    signals._CHANCE = flatten.GUARD_PATIENCE = 3600.0  # type: ignore[misc]
