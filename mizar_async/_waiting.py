"""Waiting for what another loop or thread finds out, and waking whoever waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from ._clock import loop_time

T = TypeVar("T")

Waiters = list[asyncio.Future[None]]


@contextlib.contextmanager
def waiting_among(waiters: Waiters) -> Iterator[asyncio.Future[None]]:
    """A future of the running loop, among those that are woken together."""
    future = asyncio.get_running_loop().create_future()
    waiters.append(future)
    try:
        yield future
    finally:
        waiters.remove(future)


def wake_all(waiters: Waiters) -> None:
    """Wake whoever waits, in whichever loop, from any thread."""
    for future in list(waiters):
        with contextlib.suppress(RuntimeError):  # its loop has ended, and its caller with it
            future.get_loop().call_soon_threadsafe(_set, future)


class Patience(Generic[T]):
    """Ends what waits for longer than it may, by one timer for all that wait in a loop."""

    def __init__(self, otherwise: Callable[[], T]) -> None:
        self._otherwise = otherwise
        self._here: dict[asyncio.AbstractEventLoop, _Patient[T]] = {}

    def end(self, future: asyncio.Future[T], seconds: float) -> None:
        """Give a future of the running loop its result by then, if it has none by then."""
        loop = future.get_loop()
        here = self._here.get(loop)
        if here is None:
            self._here = {one: known for one, known in self._here.items() if not one.is_closed()}
            here = self._here[loop] = _Patient(loop, self._otherwise)
        here.add(future, loop.time() + max(0.0, seconds))


class _Patient(Generic[T]):
    """What waits in one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, otherwise: Callable[[], T]) -> None:
        self._loop = loop
        self._otherwise = otherwise
        self._waiting: deque[tuple[float, asyncio.Future[T]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, future: asyncio.Future[T], until: float) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        self._waiting.append((until, future))
        if self._timer is None or until < self._timer.when():
            self._start(until)

    def _start(self, until: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(until, self._look)

    def _look(self) -> None:
        now, self._timer = loop_time(), None
        for until, future in self._waiting:
            if until <= now and not future.done():
                future.set_result(self._otherwise())
        self._waiting = deque(one for one in self._waiting if not one[1].done())
        if self._waiting:
            self._start(min(until for until, _ in self._waiting))


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
