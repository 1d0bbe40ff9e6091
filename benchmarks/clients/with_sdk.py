"""The SDK, through its public calls, with all its layers and defaults.

Where positions are closed, the client has seen them open before: so the ledger has something to look after.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

from commands import answer

import mizar_async
import mizar_sync
from mizar_async._api.codec import read
from mizar_async._api.endpoints import OPEN_POSITIONS

_strategies = itertools.count(1)


def _async_client(port: int) -> mizar_async.AsyncMizar:
    return mizar_async.AsyncMizar("key", api_url=f"http://127.0.0.1:{port}")


def _sync_client(port: int) -> mizar_sync.Mizar:
    return mizar_sync.Mizar("key", api_url=f"http://127.0.0.1:{port}")


async def _close(port: int, count: int, concurrency: int) -> float:
    async with _async_client(port) as mizar:
        ids = [position.position_id for position in await mizar.get_all_open_positions(strategy_id=count)]
        began = time.perf_counter()
        result = await mizar.close_positions(ids, max_concurrency=concurrency)
        took = time.perf_counter() - began
    result.raise_for_failures()
    return took


def close(port: int, count: int, concurrency: int) -> float:
    """The seconds that a bulk close takes."""
    return asyncio.run(_close(port, count, concurrency))


def close_blocking(port: int, count: int, concurrency: int) -> float:
    """The same, through the blocking client."""
    with _sync_client(port) as mizar:
        ids = [position.position_id for position in mizar.get_all_open_positions(strategy_id=count)]
        began = time.perf_counter()
        result = mizar.close_positions(ids, max_concurrency=concurrency)
        took = time.perf_counter() - began
    result.raise_for_failures()
    return took


def close_one_by_one(port: int, count: int) -> float:
    """The seconds that so many blocking calls take, one after another."""
    with _sync_client(port) as mizar:
        ids = [position.position_id for position in mizar.get_all_open_positions(strategy_id=count)]
        began = time.perf_counter()
        for position_id in ids:
            mizar.close_position(position_id=position_id)
        return time.perf_counter() - began


async def _stream(port: int, few: int, many: int, concurrency: int) -> dict[str, float]:
    async with _async_client(port) as mizar:

        async def close(count: int) -> float:
            began = time.perf_counter()
            async for outcome in mizar.stream_close_positions(_ids(count), max_concurrency=concurrency):
                assert outcome.status == "done", outcome.error
            return (time.perf_counter() - began) / count

        await close(concurrency)  # the connections are there then, and whatever is imported by the first call
        idle = _memory("VmRSS")
        short = [await close(few) for _ in range(20)]
        long = await close(many)
        return {"few": sorted(short)[len(short) // 2], "many": long, "memory": _memory("VmHWM") - idle}


async def _ids(count: int) -> AsyncIterator[int]:
    for position_id in range(1, count + 1):
        yield position_id


def _memory(name: str) -> float:
    """A figure of this process in MB: VmRSS is what it has now, VmHWM the most that it ever had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"this system does not tell {name}")


def stream(port: int, few: int, many: int, concurrency: int) -> dict[str, float]:
    """The seconds for each position of short streams and of a long one, and the memory that the long one took."""
    return asyncio.run(_stream(port, few, many, concurrency))


def decode(body: str) -> float:
    """The seconds that it takes to read a list of open positions into models."""
    raw = body.encode()
    read(OPEN_POSITIONS, b'{"open_positions":[]}')
    began = time.perf_counter()
    positions = read(OPEN_POSITIONS, raw)
    took = time.perf_counter() - began
    assert positions[-1].position_id - positions[0].position_id == len(positions) - 1
    return took


def decode_plainly(body: str) -> float:
    """The seconds that `json.loads` takes for the same."""
    raw = body.encode()
    began = time.perf_counter()
    positions = json.loads(raw)
    took = time.perf_counter() - began
    assert positions
    return took


async def _resolve(port: int, count: int) -> float:
    requests = [
        mizar_async.OpenPosition(
            strategy_id=next(_strategies), base_asset="BTC", quote_asset="USDT", size=0.3, is_long=True
        )
    ] * count
    async with _async_client(port) as mizar:
        began = time.perf_counter()
        result = await mizar.open_positions(requests, max_concurrency=500)
        took = time.perf_counter() - began
    result.raise_for_failures()
    return took


def resolve(port: int, count: int) -> float:
    """The seconds until so many opens have their positions, when every answer is lost."""
    return asyncio.run(_resolve(port, count))


answer(
    {
        "close": close,
        "close_blocking": close_blocking,
        "close_one_by_one": close_one_by_one,
        "stream": stream,
        "decode": decode,
        "decode_plainly": decode_plainly,
        "resolve": resolve,
    }
)
