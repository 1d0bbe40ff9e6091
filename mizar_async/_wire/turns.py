"""Makes calls wait for their turn: the shell around `RateLimit`, for all loops and threads of a key."""

from __future__ import annotations

import asyncio
import threading
import weakref
from types import TracebackType
from typing import Final

import anyio

from .._clock import BREATH
from ..errors import NotSent
from .rate_limit import Lane, RateLimit

# How many exchanges a loop has under way in each lane. A process may open 1,024 files unless told otherwise.
_UNDER_WAY: Final = 480


class Turns:
    """The turns of one key at one host, in every loop."""

    def __init__(self) -> None:
        self._limit = RateLimit()
        self.forget()

    def forget(self) -> None:
        """Keep the budgets, and start without pauses or anything under way: for a forked child."""
        self._limit = RateLimit(*self._limit.budgets)
        # Reentrant, since a call that is forgotten may be collected, and end, in the middle of another's step.
        self._lock = threading.RLock()
        self._under_way: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Lane, asyncio.Semaphore]]
        self._under_way = weakref.WeakKeyDictionary()

    def limit(self, per_second: int | None, per_minute: int | None) -> None:
        """Set the budgets; None and None leave them as they are. Raises InvalidInput."""
        if per_second is not None or per_minute is not None:
            with self._lock:
                self._limit.set_budgets(per_second, per_minute)

    def turn(self, lane: Lane, until: float) -> Turn:
        """Wait for a turn, and hold it while the exchange is under way. Raises NotSent if none comes `until` then."""
        return Turn(self, lane, until)

    def _place(self, lane: Lane) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        lanes = self._under_way.get(loop)
        if lanes is None:
            lanes = self._under_way[loop] = {lane: asyncio.Semaphore(_UNDER_WAY) for lane in Lane}
        return lanes[lane]

    async def enter(self, lane: Lane, until: float) -> tuple[asyncio.Semaphore, object]:
        """Wait for a place in the loop, and for the limit; gives the place, and who the limit knows, if anybody."""
        place = self._place(lane)
        if place.locked():
            await _wait_for(place, until)
        else:
            await place.acquire()
        if self._limit.idle:
            return place, None
        who = object()
        try:
            await self._wait(lane, until, who)
        except BaseException:
            self.leave(place, who)
            raise
        return place, who

    def leave(self, place: asyncio.Semaphore, who: object) -> None:
        """Give the place back."""
        place.release()
        if who is not None:
            with self._lock:
                self._limit.left(who, asyncio.get_running_loop().time())

    async def _wait(self, lane: Lane, until: float, who: object) -> None:
        now = asyncio.get_running_loop().time
        begun = now()
        with self._lock:
            pause = self._limit.reserve(lane, begun, until)
        booked = begun + pause
        try:
            await self._until_entered(lane, until, who, pause)
        except BaseException:
            if booked <= until:
                with self._lock:
                    self._limit.give_back(lane, booked)
            raise

    async def _until_entered(self, lane: Lane, until: float, who: object, pause: float) -> None:
        now = asyncio.get_running_loop().time
        while True:
            if pause <= 0:
                with self._lock:
                    pause = self._limit.enter(lane, now(), who, until)
                if pause <= 0:
                    return
            if now() + pause > until:
                raise NotSent(f"not sent: the rate limit gives no turn for another {pause:.3g} s, beyond the deadline")
            await anyio.sleep(max(pause, BREATH))
            pause = 0.0

    def pause(self, seconds: float | None) -> None:
        """The server answered 429: everything of this key waits."""
        with self._lock:
            self._limit.pause(seconds, asyncio.get_running_loop().time())

    def answered(self) -> None:
        """The server answered something else than 429."""
        if not self._limit.idle:
            with self._lock:
                self._limit.answered()


class Turn:
    """One turn, for the time of an `async with`. Not a generator, which would cost a call as much as its ledger."""

    __slots__ = ("_held", "_lane", "_turns", "_until")

    def __init__(self, turns: Turns, lane: Lane, until: float) -> None:
        self._turns, self._lane, self._until = turns, lane, until

    async def __aenter__(self) -> None:
        self._held = await self._turns.enter(self._lane, self._until)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._turns.leave(*self._held)


async def _wait_for(place: asyncio.Semaphore, until: float) -> None:
    patience = until - asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(patience):
            await place.acquire()
            return
    except TimeoutError:
        pass
    raise NotSent(f"not sent: no turn came within {max(0.0, patience):.3g} s, since {_UNDER_WAY} calls were under way")
