"""aiohttp by hand: no checks, no types, no certainty, just parsed JSON."""

from __future__ import annotations

import asyncio

import aiohttp
from commands import answer, timed_workers


async def _close(port: int, count: int, concurrency: int) -> float:
    url = f"http://127.0.0.1:{port}/api/v1/close-position"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"mizar-api-key": "key"}) as session:

        async def close(position_id: int) -> object:
            async with session.post(url, json={"position_id": position_id}) as response:
                response.raise_for_status()
                return await response.json()

        await close(0)
        return await timed_workers(close, range(1, count + 1), concurrency)


def close(port: int, count: int, concurrency: int) -> float:
    """The seconds that it takes to close so many positions."""
    return asyncio.run(_close(port, count, concurrency))


answer({"close": close})
