"""Where the server's clock stands against ours."""

from __future__ import annotations

import math


class ServerClock:
    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self._lo, self._hi, self._at = -math.inf, math.inf, 0.0
        self.on = False

    def sample(self, sent: float, got: float, ms: int) -> None:
        lo, hi = ms / 1000 - got, (ms + 1) / 1000 - sent
        w = 2e-4 * max(0.0, got - self._at)
        if self._first is None:
            self._first = (got, got)
            self._lo, self._hi = lo, hi
        else:
            nlo, nhi = max(self._lo - w, lo), min(self._hi + w, hi)
            if nlo > nhi:
                self.on = False
                self._lo, self._hi, self._first = lo, hi, (got, got)
            else:
                self._lo, self._hi = nlo, nhi
                self.on = got - self._first[0] >= 1.0
        self._at = got

    def when(self, ms: int, now: float) -> tuple[float, float]:
        if not self.on:
            return -math.inf, math.inf
        w = 2e-4 * max(now - self._at, abs(now - (ms / 1000 - self._lo)))
        return ms / 1000 - self._hi - w, (ms + 1) / 1000 - self._lo + w
