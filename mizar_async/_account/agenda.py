"""What there is to look for: which strategies a list would help, now or later. Plain state under the account's lock.

An open that was proven absent is looked for again: a server that acted later than it should shows itself then.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Final

_AFTER: Final = (1, 4, 20)  # settle times
_LEAST_STEP: Final = 0.1


class Agenda:
    """The strategies, by id, whose list would help somebody."""

    def __init__(self) -> None:
        self._wanted: set[int] = set()
        self._put_off: set[tuple[float, int]] = set()
        self._by_time: list[tuple[float, int]] = []

    def clear(self) -> None:
        """Nothing is to be looked for."""
        self._wanted.clear()
        self._put_off.clear()
        self._by_time.clear()

    def want(self, strategy_id: int, wanted: bool) -> None:
        """A list would help, or would help no more."""
        (self._wanted.add if wanted else self._wanted.discard)(strategy_id)

    def look_again(self, strategy_id: int, now: float, settle_time: float) -> None:
        """Have a strategy looked at after 1, 4 and 20 settle times, with one list for all that fall together."""
        step = max(settle_time, _LEAST_STEP)
        for times in _AFTER:
            due = math.ceil((now + times * step) / step) * step, strategy_id
            if due not in self._put_off:
                self._put_off.add(due)
                heappush(self._by_time, due)

    def due(self, now: float) -> set[int]:
        """The strategies to be looked at now; what was put off and is due leaves the agenda."""
        found = set(self._wanted)
        while self._by_time and self._by_time[0][0] <= now:
            item = heappop(self._by_time)
            self._put_off.discard(item)
            found.add(item[1])
        return found

    def pause(self, now: float) -> float | None:
        """Seconds until something is due: 0.0 if it is now, None if nothing ever will be."""
        if self._wanted:
            return 0.0
        return max(0.0, self._by_time[0][0] - now) if self._by_time else None
