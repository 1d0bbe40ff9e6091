"""Bars as they come: each soon after it is over, by the server's clock, however fast that runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

import anyio

from .._api.market import Bar
from .._clock import loop_time
from .walking import Walk

# Bars without a width are asked for this often, and so is one that is over and not there yet, ever more seldom.
_PAUSE: Final = 1.0
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 10.0
_LONGEST_SLEEP: Final = 60.0
# Who wakes just before a bar is over has asked for nothing.
_MARGIN: Final = 0.02


async def follow(walk: Walk, end: int | None, server_time: Callable[[], Awaitable[int]]) -> AsyncGenerator[list[Bar]]:
    """Give the bars that are over, then each that comes, until all that begin before `end` have."""
    pace, missed = _Pace(), 0
    while True:
        now = await server_time()
        pace.saw(now)
        over = None if walk.width is None else _least(end, now - walk.width + 1)
        before = walk.mark
        async with aclosing(walk.until(end if over is None else over, over)) as pages:
            async for bars in pages:
                yield bars
        if end is not None and (walk.known_until if over is None else over) >= end:
            return
        missed = missed + 1 if walk.mark == before else 0
        await anyio.sleep(min(_until_next(walk, now, missed, pace.rate), pace.longest_sleep))


def _least(end: int | None, other: int) -> int:
    return other if end is None else min(end, other)


def _until_next(walk: Walk, now: int, missed: int, rate: float) -> float:
    """Seconds until the next bar may be there."""
    if walk.width is None:
        return _PAUSE
    due = (now // walk.width + 1) * walk.width
    left = (due - now) / 1000 / rate + _MARGIN
    if walk.mark.time < due - 2 * walk.width:  # the one before is over, and not there: it may come, or there is none
        left = min(left, _LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(missed, 8))
    return left


class _Pace:
    """How fast the server's clock runs: a venue that replays a recording may be far ahead of ours."""

    def __init__(self) -> None:
        self.rate = 1.0
        self.longest_sleep = _FIRST_PAUSE
        """Until its rate is known, and however long a bar lasts: a machine may have slept."""
        self._last: tuple[float, int] | None = None

    def saw(self, now: int) -> None:
        """The server's clock says so at this moment."""
        here = loop_time()
        if self._last is not None and here > self._last[0] and now > self._last[1]:
            self.longest_sleep = _LONGEST_SLEEP
            self.rate = max(1.0, (now - self._last[1]) / 1000 / (here - self._last[0]))
        self._last = (here, now)
