"""Time and chance: the only module that reads the wall clock.

Everything else is given a `Clock` and a seeded `random.Random`, and measures spans on the running loop,
so that a bot can run through a recorded day in seconds, and again exactly the same from its seed.
"""

from __future__ import annotations

import asyncio
import functools
import time
from pathlib import Path
from typing import Final

import attrs

BREATH: Final = 0.001
"""The least that anybody sleeps who waits for a time: a loop runs a timer that is nearer than its clock can tell apart
at once, so that a sleep of less would be slept again and again."""


def loop_time() -> float:
    """Seconds on the clock of the running loop, by which all spans are measured."""
    return asyncio.get_running_loop().time()


def monotonic() -> float:
    """The same in any thread, as far as its loops have the clock that loops have."""
    return time.monotonic()


@attrs.frozen
class Instant:
    """One moment by several clocks, in seconds."""

    monotonic: float
    wall: float
    """Since the epoch."""
    unstepped: float
    """By a clock that nobody steps, and that goes on while the machine sleeps."""
    boot: str
    """Which start of the machine that clock counts from; empty where that is not known."""


def unstepped() -> float:
    """Seconds by a clock that nobody steps, and that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(_UNSTEPPED)


def instant() -> Instant:
    """This moment."""
    return Instant(time.monotonic(), time.time(), unstepped(), _boot())


_UNSTEPPED: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))


@functools.cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Clock:
    """The wall clock, in milliseconds since the epoch, UTC; `speed` times as fast as the real one.

    `start` is the time at which it begins once it is first asked; without, it begins now, at the real time.
    """

    def __init__(self, *, speed: float = 1.0, start: int | None = None) -> None:
        self.speed = speed
        self._began = time.monotonic() if start is None else None
        self._start = time.time() * 1000 if start is None else float(start)

    def now(self) -> int:
        """The time now, in milliseconds since the epoch."""
        if self._began is None:
            self._began = time.monotonic()
        return int(self._start + (time.monotonic() - self._began) * 1000 * self.speed)

    def seconds_until(self, at: int) -> float:
        """How many real seconds it takes this clock to show a time, as fast as it runs; 0 for one that is over."""
        return max(0, at - self.now()) / 1000 / self.speed
