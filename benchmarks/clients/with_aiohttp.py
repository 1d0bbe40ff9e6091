"""aiohttp by hand: no checks, no types, no certainty, just parsed JSON."""

from __future__ import annotations

import asyncio

import aiohttp
from commands import CLOSE, OPEN, answer, body, timed_workers


async def _call(what: str, port: int, count: int, concurrency: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}{what}"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"mizar-api-key": "key"}) as session:

        async def call(number: int) -> object:
            async with session.post(url, json=body(what, number)) as response:
                response.raise_for_status()
                return await response.json()

        return await timed_workers(call, count, concurrency)


def close(port: int, count: int, concurrency: int) -> dict[str, float]:
    """What it takes to close so many positions."""
    return asyncio.run(_call(CLOSE, port, count, concurrency))


def open_(port: int, count: int, concurrency: int) -> dict[str, float]:
    """What it takes to open so many positions."""
    return asyncio.run(_call(OPEN, port, count, concurrency))


answer({"close": close, "open": open_})
