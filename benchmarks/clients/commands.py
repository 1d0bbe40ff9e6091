"""The part that all clients share: it is asked on standard input, and answers on standard output, a line each."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any


def answer(commands: dict[str, Callable[..., Any]]) -> None:
    """Run what is asked for, until the input ends."""
    for line in sys.stdin:
        what, how = json.loads(line)
        print(json.dumps(commands[what](**how)), flush=True)


async def timed_workers(close: Callable[[int], Awaitable[object]], ids: Iterable[int], concurrency: int) -> float:
    """Close positions, so many at a time, in the way that is usual by hand; gives the seconds it took."""
    waiting = iter(ids)

    async def work() -> None:
        for position_id in waiting:
            await close(position_id)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return time.perf_counter() - began
