"""Time and chance: the only module that reads the wall clock.

Everything else is given a `Clock` and a seeded `random.Random`, and measures spans on the running loop,
so that a bot can run through a recorded day in seconds, and again exactly the same from its seed.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

BREATH: Final = 0.001
"""The least that anybody sleeps who waits for a time: a loop runs a timer that is nearer than its clock can tell apart
at once, so that a sleep of less would be slept again and again."""


def loop_time() -> float:
    """Seconds on the clock of the running loop, by which all spans are measured."""
    return asyncio.get_running_loop().time()


class Clock:
    """The wall clock, in milliseconds since the epoch, UTC; `speed` times as fast as the real one.

    `start` is the time at which it begins, by default the real time.
    """

    def __init__(self, *, speed: float = 1.0, start: int | None = None) -> None:
        self.speed = speed
        self._began = time.monotonic()
        self._start = time.time() * 1000 if start is None else float(start)

    def now(self) -> int:
        """The time now, in milliseconds since the epoch."""
        return int(self._start + (time.monotonic() - self._began) * 1000 * self.speed)
