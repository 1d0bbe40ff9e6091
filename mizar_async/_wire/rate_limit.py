"""When a request may leave: the budget of a key, the pauses that the server asks for, and a lane for closes.

`RateLimit` is pure: it is told the time, and says how long to wait. Budgets are windows that slide: of
`requests_per_second` at most so many leave in any one second. Opens and ordinary reads share nine tenths of
each budget; closes, and the lists they need, may use all of it, so they never wait behind opens.

It decides when, never what: a call that could not have its turn was not sent, and nothing else.
"""

from __future__ import annotations

import asyncio
import enum
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio

from ..errors import InvalidInput, NotSent

# How many exchanges a loop has under way in each lane. A process may open 1,024 files unless told otherwise.
_UNDER_WAY: Final = 480

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
# Closes go first after a pause: opens follow this much later.
_HEAD_START: Final = 0.1


class Lane(enum.Enum):
    """Whose turn comes first: closes, with the lists they need, or everything else."""

    CLOSES = "closes"
    OTHERS = "others"


class Window:
    """At most `limit` turns in any `span` seconds."""

    def __init__(self, limit: int, span: float) -> None:
        self._span = span
        self._turns: deque[float] = deque(maxlen=limit)

    def free_at(self) -> float:
        """The earliest time of the next turn."""
        full = len(self._turns) == self._turns.maxlen
        return self._turns[0] + self._span if full else 0.0

    def take(self, at: float) -> None:
        self._turns.append(at)


class RateLimit:
    """The turns of one key at one host. Times are seconds on any one clock."""

    def __init__(self, per_second: int | None = None, per_minute: int | None = None) -> None:
        for name, limit in (("requests_per_second", per_second), ("requests_per_minute", per_minute)):
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
                raise InvalidInput(f"{name}={limit!r} is refused: it must be a whole number, 1 or more, or None")
        budgets = [(limit, span) for limit, span in ((per_second, 1.0), (per_minute, 60.0)) if limit is not None]
        self._all = [Window(limit, span) for limit, span in budgets]
        # A tenth is kept for closes, but never so much that nothing else could leave.
        self._others = [Window(max(1, limit - max(1, limit // 10)), span) for limit, span in budgets]
        self._paused_until = 0.0
        self._pauses = 0

    def reserve(self, lane: Lane, now: float) -> float:
        """Book the next turn of a lane, and say how long it is until then; closes need no booking."""
        if lane is Lane.CLOSES or not self._others:
            return 0.0
        turn = max(now, *(window.free_at() for window in self._others))
        for window in self._others:
            window.take(turn)
        return turn - now

    def enter(self, lane: Lane, now: float) -> float:
        """Take the turn if it may be taken now (0.0), or say how long to wait before asking again."""
        opens_at = self._paused_until + (0.0 if lane is Lane.CLOSES else _HEAD_START * (self._paused_until > 0))
        free = max([opens_at, *(window.free_at() for window in self._all)])
        if free > now:
            return free - now
        for window in self._all:
            window.take(now)
        return 0.0

    def pause(self, seconds: float | None, now: float) -> None:
        """Let nothing leave for a while, after a 429: as long as the server asked for, or longer each time."""
        if now >= self._paused_until:
            self._pauses += 1
        if seconds is None:
            seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (min(self._pauses, 16) - 1))
        self._paused_until = max(self._paused_until, now + seconds)

    def answered(self) -> None:
        """The server answered something else than 429."""
        self._pauses = 0

    @property
    def idle(self) -> bool:
        """True while nothing has to wait."""
        return not self._all and self._paused_until == 0.0


class Turns:
    """Makes calls wait for their turn: the shell around `RateLimit`, for all loops and threads."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start without budgets and pauses."""
        self._limit = RateLimit()
        self._lock = threading.Lock()
        self._under_way: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Lane, asyncio.Semaphore]]
        self._under_way = weakref.WeakKeyDictionary()

    def limit(self, per_second: int | None, per_minute: int | None) -> None:
        """Set the budgets; None and None leave them as they are."""
        if per_second is not None or per_minute is not None:
            self._limit = RateLimit(per_second, per_minute)

    @asynccontextmanager
    async def turn(self, lane: Lane, until: float) -> AsyncGenerator[None]:
        """Wait for a turn, and hold it while the exchange is under way. Raises NotSent if none comes `until` then."""
        loop = asyncio.get_running_loop()
        lanes = self._under_way.get(loop)
        if lanes is None:
            lanes = self._under_way[loop] = {lane: asyncio.Semaphore(_UNDER_WAY) for lane in Lane}
        place = lanes[lane]
        if place.locked():
            await self._wait_for(place, until - loop.time())
        else:
            await place.acquire()
        try:
            if not self._limit.idle:
                await self._wait(lane, until)
            yield
        finally:
            place.release()

    async def _wait_for(self, place: asyncio.Semaphore, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                await place.acquire()
                return
        except TimeoutError:
            pass
        raise NotSent(
            f"not sent: no turn came within {max(0.0, patience):.3g} s, since {_UNDER_WAY} calls were under way"
        )

    async def _wait(self, lane: Lane, until: float) -> None:
        now = asyncio.get_running_loop().time
        with self._lock:
            pause = self._limit.reserve(lane, now())
        while True:
            if pause <= 0:
                with self._lock:
                    pause = self._limit.enter(lane, now())
                if pause <= 0:
                    return
            if now() + pause > until:
                raise NotSent(f"not sent: the rate limit gives no turn for another {pause:.3g} s, beyond the deadline")
            await anyio.sleep(pause)
            pause = 0.0

    def pause(self, seconds: float | None) -> None:
        """The server answered 429: everything of this key waits."""
        with self._lock:
            self._limit.pause(seconds, asyncio.get_running_loop().time())

    def answered(self) -> None:
        self._limit.answered()
