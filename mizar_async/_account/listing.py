"""Whether a list of a strategy is under way, and whether the first one was read. Under the account's lock."""

from __future__ import annotations

import asyncio
import math
import threading

from .._waiting import Waiters, wake_all


class Listing:
    """One list at a time, over all loops; and a baseline before the first open."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._under_way_until = 0.0
        self._reading_since = -math.inf
        self._awaiting_baseline: Waiters = []
        self.has_begun = False
        """True once the baseline was read, or was given up."""

    def begin(self, now: float, limit: float) -> bool:
        """Take the place of whoever asks; False if another list is under way. It is free again after `limit` seconds,
        if the loop of whoever asked has ended."""
        with self._lock:
            if self._under_way_until > now:
                return False
            self._under_way_until = now + limit
            return True

    def end(self) -> None:
        with self._lock:
            self._under_way_until = 0.0

    def await_baseline(self, woken: asyncio.Future[None], now: float, limit: float) -> float:
        """Have a future woken by the baseline, and give the time since when it is being read.

        That is `now` for the first, who is to read it, and for the next where it has not been read for `limit` seconds,
        since the loop of the first has ended.
        """
        with self._lock:
            self._awaiting_baseline.append(woken)
            if now - self._reading_since > limit:
                self._reading_since = now
            return self._reading_since

    def begun(self) -> None:
        """The baseline was read, or could not be: whoever waited for it goes on."""
        with self._lock:
            self.has_begun = True
            wake_all(self._awaiting_baseline)
            self._awaiting_baseline.clear()
