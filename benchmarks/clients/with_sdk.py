"""The SDK, through its public calls, with all its layers and defaults.

Where positions are closed, the client has seen them open before: so the ledger has something to look after.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from pathlib import Path

from commands import Stopwatch, answer, timed_threads

import mizar_async
import mizar_sync
from mizar_async._api.codec import read
from mizar_async._api.endpoints import BARS, OPEN_POSITIONS
from mizar_async._clock import instant
from mizar_async._journal.entries import Entry, OrderData, Row, State, entry_bytes, order_key, plain_bytes
from mizar_async._journal.store import Store
from mizar_async._journal.tables import TICKS, Batch
from mizar_async._ledger import events
from mizar_async._ledger.ledger import Ledger
from mizar_async._wire.address import Address, ApiKey

_strategies = itertools.count(1)


def _async_client(port: int) -> mizar_async.AsyncMizar:
    return mizar_async.AsyncMizar("key", api_url=f"http://127.0.0.1:{port}")


def _sync_client(port: int) -> mizar_sync.Mizar:
    return mizar_sync.Mizar("key", api_url=f"http://127.0.0.1:{port}")


async def _close(port: int, count: int, concurrency: int) -> dict[str, float]:
    async with _async_client(port) as mizar:
        ids = [position.position_id for position in await mizar.get_all_open_positions(strategy_id=count)]
        watch = Stopwatch()
        result = await mizar.close_positions(ids, max_concurrency=concurrency)
        taken = watch.taken()
    result.raise_for_failures()
    return taken


def close(port: int, count: int, concurrency: int) -> dict[str, float]:
    """What a bulk close takes."""
    return asyncio.run(_close(port, count, concurrency))


def close_blocking(port: int, count: int, concurrency: int) -> dict[str, float]:
    """The same, through the blocking client."""
    with _sync_client(port) as mizar:
        ids = [position.position_id for position in mizar.get_all_open_positions(strategy_id=count)]
        watch = Stopwatch()
        result = mizar.close_positions(ids, max_concurrency=concurrency)
        taken = watch.taken()
    result.raise_for_failures()
    return taken


def close_one_by_one(port: int, count: int, threads: int) -> dict[str, float]:
    """What so many blocking calls take, from threads that share one client, each of them one after another."""
    with _sync_client(port) as mizar:
        ids = [position.position_id for position in mizar.get_all_open_positions(strategy_id=count)]

        def work(some: Iterable[int]) -> None:
            for position_id in some:
                mizar.close_position(position_id=position_id)

        return timed_threads(work, ids, threads)


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


def decode_bars(body: str) -> float:
    """The seconds that it takes to read bars into models."""
    raw = body.encode()
    read(BARS, b'{"bars":[]}')
    began = time.perf_counter()
    bars = read(BARS, raw)
    took = time.perf_counter() - began
    assert bars[-1].first_trade_id - bars[0].first_trade_id == len(bars) - 1
    return took


async def _bar_frame(port: int, key: str, count: int, cache: str | None) -> dict[str, float]:
    import narwhals  # noqa: F401 - the client of 2021 has imported what it needs, too
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    async with mizar_async.AsyncMizar(key, api_url=f"http://127.0.0.1:{port}") as mizar:
        await mizar.ping()
        watch = Stopwatch()
        frame = await mizar.market.bars_frame(base_asset="BTC", quote_asset="USDT", bar_subclass="1min", cache=cache)
        taken = watch.taken()
    assert len(frame) == count
    return taken


def bar_frame(port: int, key: str, count: int, cache: str | None = None) -> dict[str, float]:
    """What it takes to have so many bars of a minute as a frame, from its cache if there is one."""
    return asyncio.run(_bar_frame(port, key, count, cache))


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


async def _lateness(late: list[float]) -> None:
    """Wake every two milliseconds, and note by how much too late."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + 0.002
        await asyncio.sleep(0.002)
        late.append(loop.time() - due)


async def _open(port: int, count: int, concurrency: int, journal: str | None) -> dict[str, float]:
    # A key has one journal in a process, so that each of them gets a key of its own.
    key = "key" if journal is None else _key_of(journal)
    strategy_id, late = next(_strategies), list[float]()
    requests = [
        mizar_async.OpenPosition(
            strategy_id=strategy_id,
            base_asset="BTC",
            quote_asset="USDT",
            size=0.3,
            is_long=True,
            client_order_id=f"open-{strategy_id}-{number}" if journal else None,
        )
        for number in range(count)
    ]
    async with mizar_async.AsyncMizar(key, api_url=f"http://127.0.0.1:{port}", journal=journal) as mizar:
        await mizar.open_positions(requests[:concurrency], max_concurrency=concurrency)
        beside = asyncio.create_task(_lateness(late))
        watch = Stopwatch()
        result = await mizar.open_positions(requests[concurrency:], max_concurrency=concurrency)
        taken = watch.taken()
        beside.cancel()
    result.raise_for_failures()
    return {**taken, "late": sorted(late)[len(late) * 99 // 100]}


def open(port: int, count: int, concurrency: int, journal: str | None) -> dict[str, float]:  # noqa: A001 - the command
    """The seconds that a bulk open takes, those of the processor, and how late a loop beside it is."""
    return asyncio.run(_open(port, count, concurrency, journal))


async def _open_journal(port: int, path: str) -> float:
    async with mizar_async.AsyncMizar(_key_of(path), api_url=f"http://127.0.0.1:{port}", journal=path) as mizar:
        began = time.perf_counter()
        await mizar.server_time()
        return time.perf_counter() - began


def _key_of(path: str) -> str:
    return f"key-of-{Path(path).name}"


def open_journal(port: int, path: str) -> float:
    """The seconds of a first call, which opens the journal."""
    return asyncio.run(_open_journal(port, path))


def fill_journal(port: int, path: str, count: int) -> None:
    """Write a journal of so many positions that were opened under a name, and closed, as the SDK would have."""
    address = Address.find(f"http://127.0.0.1:{port}").url
    store = Store(Path(path), ApiKey(_key_of(path)).fingerprint(), address, version="bench")
    run, now = store.begin_run(instant(), 0.0), int(time.time() * TICKS)
    number = 0
    for first in range(0, count, 5000):
        batch = Batch()
        for one in range(first, min(first + 5000, count)):
            attempt, position = (run << 40) + one + 1, _settled(one)
            for entry in _story(attempt, position):
                number += 1
                data = entry_bytes(entry)
                batch.rows.append(Row(number, 1, number - 1, run, now, entry.name, *entry.subject, data))
            ask = _ask(one)
            order = OrderData(1, ask, attempt, closed=position)
            batch.orders[order_key(1, ask.client_order_id or "")] = now, plain_bytes(order)
        store.commit(batch, instant())
    state = State(Ledger().carried(), (), (), (), (), ())
    store.commit(Batch(states={1: (number, plain_bytes(state))}), instant(), ended=True)
    store.close()


def _ask(number: int) -> mizar_async.OpenPosition:
    return mizar_async.OpenPosition(
        strategy_id=1, base_asset="BTC", quote_asset="USDT", size=0.3, is_long=True, client_order_id=f"old-{number}"
    )


def _settled(number: int) -> mizar_async.ClosedPosition:
    size, price = Decimal("0.3"), Decimal("34012.12")
    return mizar_async.ClosedPosition(number + 1, 1, "BTC", "USDT", size, True, price, 1, price, 2)


def _story(attempt: int, position: mizar_async.ClosedPosition) -> list[Entry]:
    kind = events.Kind("BTC", "USDT", position.size, True)
    number, ask = position.position_id, _ask(position.position_id - 1)
    return [
        Entry(events.Sending(attempt, kind, 1.0, 10.0, 15.0, 1.0, False), ask),
        Entry(events.Answered(attempt, number, 1.1, position.size)),
        Entry(events.Told(attempt, "opened", number, by=1)),
        Entry(events.Closing(number, 2.0, 10.0, 15.0, 1.0)),
        Entry(events.Closed(number, 2.1), closed=position),
    ]


answer(
    {
        "close": close,
        "close_blocking": close_blocking,
        "close_one_by_one": close_one_by_one,
        "stream": stream,
        "decode": decode,
        "decode_bars": decode_bars,
        "bar_frame": bar_frame,
        "decode_plainly": decode_plainly,
        "resolve": resolve,
        "open": open,
        "open_journal": open_journal,
        "fill_journal": fill_journal,
    }
)
