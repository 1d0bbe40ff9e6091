"""The part that all clients share: it is asked on standard input, and answers on standard output, a line each."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

CLOSE = "/api/v1/close-position"
OPEN = "/api/v1/open-position"


def answer(commands: dict[str, Callable[..., Any]]) -> None:
    """Run what is asked for, until the input ends."""
    for line in sys.stdin:
        what, how = json.loads(line)
        print(json.dumps(commands[what](**how)), flush=True)


class Stopwatch:
    """The seconds that something takes, and those of the processor in this process, all its threads together."""

    def __init__(self) -> None:
        self._began, self._used = time.perf_counter(), time.process_time()

    def taken(self) -> dict[str, float]:
        """What was taken since it was made."""
        return {"took": time.perf_counter() - self._began, "cpu": time.process_time() - self._used}


def body(what: str, number: int) -> dict[str, Any]:
    """What an open or a close asks for."""
    if what == CLOSE:
        return {"position_id": number}
    return {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0.3, "is_long": True}


async def timed_workers(call: Callable[[int], Awaitable[object]], count: int, concurrency: int) -> dict[str, float]:
    """Make calls, so many at a time, in the way that is usual by hand; gives what they took, without a first one."""
    await call(0)
    waiting = iter(range(1, count + 1))

    async def work() -> None:
        for number in waiting:
            await call(number)

    watch = Stopwatch()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return watch.taken()


def timed_threads(close: Callable[[Iterable[int]], object], ids: list[int], threads: int) -> dict[str, float]:
    """Close positions from so many threads, each with its share; gives what that took."""
    workers = [threading.Thread(target=close, args=(ids[first::threads],)) for first in range(threads)]
    watch = Stopwatch()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return watch.taken()
