"""The server's clock, as far as answers tell: bounds of (its time - our timeline), in seconds. Pure.

Every answer that carries server time was written between sending and getting it, which bounds the offset from both
sides; the bounds of many answers are intersected, and widen as the clocks drift apart. Behind a balancer several
hosts answer, each by a clock of its own: the bounds hold for all that are within `HOSTS_APART` of each other.

It is off, and knows nothing, until two samples at least a second apart show that the server's clock runs at our
rate: a venue that is sped up would date positions wrongly. Samples that contradict each other later switch it off
again, until two new ones agree.
"""

from __future__ import annotations

import math
from typing import Final

DRIFT: Final = 2e-4
"""Seconds that two clocks may drift apart in one second; quartz is ten times better."""

HOSTS_APART: Final = 0.1
"""Seconds between the clocks of the server's hosts that are taken to be one clock."""

APART: Final = 1.0
SLOWEST, FASTEST = 0.5, 2.0  # a rate between these is ours once the offsets agree; others are too far to be noise

_LAST: Final = 2**62
"""Milliseconds beyond which nothing is dated that is dated at all."""

_ANY_TIME: Final = (-math.inf, math.inf)


class ServerClock:
    """When the server did something, on our timeline.

        clock.sample(sent=10.0, got=10.1, ms=1_700_000_000_000)
        clock.sample(sent=12.0, got=12.1, ms=1_700_000_002_010)
        earliest, latest = clock.when(1_700_000_001_500, now=12.5)

    Two samples at least a second apart are needed before it tells anything.
    """

    def __init__(self) -> None:
        self.on = False
        self._lowest, self._highest = _ANY_TIME
        self._first: tuple[float, float, int] | None = None
        self._sampled_at = -math.inf

    def __repr__(self) -> str:
        state = f"offset {self._lowest:.3f} to {self._highest:.3f} s" if self.on else "off"
        return f"<ServerClock: {state}>"

    def sample(self, sent: float, got: float, ms: int) -> None:
        """Learn from an answer that was written at `ms` by the server's clock, a whole number of milliseconds."""
        if abs(ms) > _LAST:
            return
        lowest, highest = _bounds(sent, got, ms)
        widened = DRIFT * max(0.0, got - self._sampled_at) if self._first else math.inf
        lowest, highest = max(lowest, self._lowest - widened), min(highest, self._highest + widened)
        if self._first is None or lowest > highest:
            self._begin(sent, got, ms)
        else:
            self._lowest, self._highest = lowest, highest
            self._sampled_at = max(self._sampled_at, got)
            self.on = self.on or self._runs_at_our_rate(sent, got, ms)

    def when(self, ms: int, now: float) -> tuple[float, float]:
        """The earliest and the latest time, on our timeline, of what the server dated `ms`."""
        if not self.on or abs(ms) > _LAST:
            return _ANY_TIME
        earliest, latest = ms / 1000 - self._highest, (ms + 1) / 1000 - self._lowest
        drifted = DRIFT * max(now - self._sampled_at, abs(now - latest))
        return earliest - drifted, latest + drifted

    def _begin(self, sent: float, got: float, ms: int) -> None:
        self.on = False
        self._first = sent, got, ms
        self._lowest, self._highest = _bounds(sent, got, ms)
        self._sampled_at = got

    def _runs_at_our_rate(self, sent: float, got: float, ms: int) -> bool:
        """Whether even the slowest and the fastest rate that both samples allow are near ours."""
        first_sent, first_got, first_ms = self._first or (sent, got, ms)
        apart, served = sent - first_got, (ms - first_ms) / 1000
        if apart < APART:
            return False
        return (served - 0.001) / (got - first_sent) > SLOWEST and (served + 0.001) / apart < FASTEST


def _bounds(sent: float, got: float, ms: int) -> tuple[float, float]:
    return ms / 1000 - got - HOSTS_APART, (ms + 1) / 1000 - sent + HOSTS_APART
