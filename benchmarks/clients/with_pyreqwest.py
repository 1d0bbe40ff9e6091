"""pyreqwest by hand: the connections and HTTP are Rust's."""

from __future__ import annotations

import asyncio

from commands import CLOSE, answer, body, timed_workers
from pyreqwest.client import ClientBuilder


async def _close(port: int, count: int, concurrency: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}{CLOSE}"
    builder = ClientBuilder().error_for_status(True).default_headers({"mizar-api-key": "key"})
    async with builder.build() as client:

        async def close(number: int) -> object:
            response = await client.post(url).body_json(body(CLOSE, number)).build().send()
            return await response.json()

        return await timed_workers(close, count, concurrency)


def close(port: int, count: int, concurrency: int) -> dict[str, float]:
    """What it takes to close so many positions."""
    return asyncio.run(_close(port, count, concurrency))


answer({"close": close})
