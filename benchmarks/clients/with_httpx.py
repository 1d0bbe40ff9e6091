"""A stock AsyncClient of httpx or httpx2, named by the first argument.

As it comes, but for its time-out: the default of 5 s for a place in its pool would fail some calls.
"""

from __future__ import annotations

import asyncio
import importlib
import sys

from commands import CLOSE, answer, body, timed_workers

httpx = importlib.import_module(sys.argv[1])


async def _close(port: int, count: int, concurrency: int, by_its_pool: bool) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}{CLOSE}"
    limits = {"limits": httpx.Limits(max_connections=concurrency)} if by_its_pool else {}
    async with httpx.AsyncClient(headers={"mizar-api-key": "key"}, timeout=300, **limits) as client:

        async def close(position_id: int) -> object:
            response = await client.post(url, json=body(CLOSE, position_id))
            response.raise_for_status()
            return response.json()

        return await timed_workers(close, count, count if by_its_pool else concurrency)


def close(port: int, count: int, concurrency: int) -> dict[str, float]:
    """What it takes to close so many positions, by so many tasks."""
    return asyncio.run(_close(port, count, concurrency, by_its_pool=False))


def close_by_its_pool(port: int, count: int, concurrency: int) -> dict[str, float]:
    """The same, all of them begun at once, and as many connections in the client's own pool."""
    return asyncio.run(_close(port, count, concurrency, by_its_pool=True))


answer({"close": close, "close_by_its_pool": close_by_its_pool})
