"""curl_cffi by hand: the connections and HTTP are libcurl's."""

from __future__ import annotations

import asyncio

from commands import CLOSE, answer, body, timed_workers
from curl_cffi.requests import AsyncSession


async def _close(port: int, count: int, concurrency: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}{CLOSE}"
    async with AsyncSession(headers={"mizar-api-key": "key"}, max_clients=concurrency) as session:

        async def close(number: int) -> object:
            response = await session.post(url, json=body(CLOSE, number))
            response.raise_for_status()
            return response.json()

        return await timed_workers(close, count, concurrency)


def close(port: int, count: int, concurrency: int) -> dict[str, float]:
    """What it takes to close so many positions."""
    return asyncio.run(_close(port, count, concurrency))


answer({"close": close})
