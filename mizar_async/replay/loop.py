"""A loop that lives in virtual time: when nothing is left to do, its clock jumps to the next timer.

    async def main():
        await asyncio.sleep(3600)

    run(main())  # an hour, over at once

A program that waits does so for one of two reasons: something must happen outside of it, or time must pass. Here
there is no outside. So whenever no callback is ready, the next thing that can ever happen is the earliest timer, and
its moment may as well be now: the selector, which otherwise sleeps until then, moves the clock by as much instead.
Nothing else differs. The loop is asyncio's own, so `asyncio.sleep`, `asyncio.timeout`, anyio's cancel scopes and all
that is built on `loop.time()` work, and a second is a second to all of them: whatever takes long takes no time, and
what a program does in an hour of it does not depend on how fast the machine is.

What a virtual world has not: connections, look-ups of names, servers, other processes, threads. Whoever reaches for
one is refused by `LeftTheReplay`, raised where it was reached for. `asyncio.to_thread` and `loop.run_in_executor`
work, since a function can be called here as well; it gets no time of its own. Only this loop and `VirtualClock` are
virtual: the wall clock and sleeps that block are what they always are.

It repeats: two runs of one program, with the same seeds, take the same steps. Time is counted in whole microseconds
from 0, so that no rounding hangs on the date; tasks and futures are numbered, and their number is their hash, so
that a set of them has one order. Sets of other objects are the program's own business.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import selectors
import sys
import threading
from asyncio.events import _get_running_loop
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from .._clock import Clock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NEW_YEAR: Final = 1_735_689_600_000
"""When virtual time begins if nobody says otherwise: 2025-01-01 00:00 UTC, in milliseconds since the epoch."""

_MOST_TURNS: Final = 1_000_000

# What each audit event of Python is for a reader, and which of its arguments names it. Threads have none that all
# versions know, so their start is one of ours.
_WAYS_OUT: Final = {
    "socket.connect": ("a connection", 1),
    "socket.sendto": ("a datagram", 1),
    "socket.bind": ("a server", 1),
    "socket.getaddrinfo": ("the look-up of a name", 0),
    "socket.gethostbyname": ("the look-up of a name", 0),
    "socket.gethostbyaddr": ("the look-up of an address", 0),
    "subprocess.Popen": ("another process", 0),
    "os.system": ("another process", 0),
    "os.posix_spawn": ("another process", 0),
    "os.fork": ("another process", None),
    "os.forkpty": ("another process", None),
    "threading.Thread.start": ("a thread", 0),
}


class LeftTheReplay(RuntimeError):
    """The program reached for something that virtual time has not, such as a connection or a thread."""


class TimeStandsStill(RuntimeError):
    """Nothing will ever happen again, or so much happens at one instant that time can't go on."""


class VirtualClock(Clock):
    """The time of a virtual world, which moves only when it is told to.

    `start` is when it begins, in milliseconds since the epoch, UTC. A loop moves it; it outlives the loop, so that
    several loops can live through one day, one after another.
    """

    def __init__(self, *, start: int = NEW_YEAR) -> None:
        super().__init__(start=start)
        self.start: Final = start
        self.microseconds = 0
        """How much of its time has passed."""

    def now(self) -> int:
        """The time now, in milliseconds since the epoch."""
        return self.start + self.microseconds // 1000

    def advance(self, seconds: float) -> None:
        """Let time pass: at least a microsecond, so that whoever waits for any time at all gets on."""
        self.microseconds += max(1, round(seconds * 1_000_000))


def run(main: Coroutine[Any, Any, T], *, clock: VirtualClock | None = None) -> T:
    """Run a program in virtual time as `asyncio.run` does in real time, and give what it returns.

    Raises what the program raises, and `TimeStandsStill` if it waits for what will never happen: its tasks are
    cancelled then, and may clean up.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main)


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on a `VirtualClock`: by default on one of its own."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock: Final = VirtualClock() if clock is None else clock
        self._numbers = itertools.count()
        super().__init__(_Jumping(self))
        self._clock_resolution = 1e-6
        _watch_the_ways_out()

    def time(self) -> float:
        """Seconds of virtual time."""
        return self.clock.microseconds / 1_000_000

    def create_future(self) -> asyncio.Future[Any]:
        """A future that sets keep in the order of making."""
        return _Future(next(self._numbers), loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """A task that sets keep in the order of making."""
        return _Task(next(self._numbers), coro, loop=self, **options)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call a function in this thread, in the loop's next turn, whatever the executor."""
        called = self.create_future()
        self.call_soon(_call, called, func, *args)
        return called


class _Jumping(selectors.DefaultSelector):
    """Never sleeps: the clock of its loop goes on by the time that it would have slept."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)  # a signal of this process, such as Ctrl-C, still comes in
        if timeout is None and not ready:
            raise TimeStandsStill(
                f"nothing will ever happen again: {_waiting(self._loop)}. What they wait for is neither time nor done "
                "by any of them: await something that is, or set a time-out"
            )
        self._turns = self._turns + 1 if timeout == 0 else 0
        if self._turns > _MOST_TURNS:
            raise TimeStandsStill(
                f"{_MOST_TURNS:,} turns of the loop without any wait: {_waiting(self._loop)}. One of them goes round "
                "and round without time to pass: let it sleep between two rounds"
            )
        if timeout and not ready:
            self._loop.clock.advance(timeout)
        return ready


class _Future(asyncio.Future[Any]):
    """A future whose hash is its number."""

    def __init__(self, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(**options)

    def __hash__(self) -> int:
        return self._number


class _Task(asyncio.Task[Any]):
    """A task whose hash is its number."""

    def __init__(self, number: int, coro: Any, **options: Any) -> None:
        self._number = number  # first, since asyncio keeps a set of tasks, where it adds this one
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


def _call(called: asyncio.Future[T], func: Callable[[Unpack[Ts]], T], *args: *Ts) -> None:
    if called.cancelled():
        return
    try:
        called.set_result(func(*args))
    except Exception as failure:  # noqa: BLE001 - it is whoever awaits the call that is to get it
        called.set_exception(failure)


def _waiting(loop: VirtualLoop) -> str:
    """The tasks of a loop, oldest first, each with the line where it waits."""
    tasks = sorted(asyncio.all_tasks(loop), key=hash)
    return f"{len(tasks)} task(s) wait" + "".join(f", {task.get_name()}{_place(task)}" for task in tasks)


def _place(task: asyncio.Task[Any]) -> str:
    return "".join(f" at {frame.f_code.co_filename}:{frame.f_lineno}" for frame in task.get_stack(limit=1))


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _WAYS_OUT and isinstance(_get_running_loop(), VirtualLoop):
        what, naming = _WAYS_OUT[event]
        named = "" if naming is None else f" ({arguments[naming]!r:.100})"
        raise LeftTheReplay(
            f"{what}{named} was reached for in virtual time, which has none: put something in its place that needs "
            "none, or run this in real time, by asyncio.run"
        )


_watched = False


def _watch_the_ways_out() -> None:
    """See from now on where this process reaches; it stays so, and all may pass but in the thread of a virtual loop."""
    global _watched
    if _watched:
        return
    _watched = True
    sys.addaudithook(_refuse)
    start = threading.Thread.start

    @functools.wraps(start)
    def watched(thread: threading.Thread) -> None:
        _refuse("threading.Thread.start", (thread,))
        start(thread)

    threading.Thread.start = watched  # type: ignore[method-assign, assignment]
