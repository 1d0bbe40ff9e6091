"""The thread that a blocking client works in, and how calls get there and back.

A blocking client owns one event loop in a daemon thread of its own, started by the first call. Each call sends
an *errand* there: a coroutine that the calling thread waits for. An errand may hand something over on its way and
be told to go on, which is all that blocking iterators and context managers need: each of them is one errand, so
that all its steps run in one task, with one set of context variables and cancel scopes.

Rules that the code below keeps:

- Whoever interrupts a waiting call (Ctrl-C, an exception from any signal handler) cancels its errand and waits for
  the clean-up. To raise at once while a position goes on being closed would tell the user a lie. A second Ctrl-C
  leaves at once.
- Nothing that the garbage collector may run waits: it can run in the loop's own thread, with any lock held.
- At the interpreter's exit every loop is told to stop and gets a limited time. Threads that still wait are left
  asleep: they are daemons, and an exception raised in them now could only be printed.
- A forked child starts afresh. The parent's loop is kept there and never touched: the two share its epoll and its
  self-pipe, so that closing it in the child would hang the parent.
- No exception object is kept after it was raised, nor any of its frames: it is freed without the garbage collector.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 - uvloop imports it, which fails once the main thread has ended
import contextlib
import importlib.util
import os
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import ClassVar, Final, ParamSpec, TypeVar

import anyio

from mizar_async.errors import Happened, MizarError

P = ParamSpec("P")
T = TypeVar("T")

# How long an interrupted call may go on with its clean-up before its caller stops waiting. A write in flight takes
# the client's `grace`; this is the bound for a clean-up that never ends.
_CLEAN_UP_LIMIT: Final = 10.0

# How long the interpreter's exit may wait for all clients together. The async core may wait a second more after
# that, if a write is in doubt; two seconds in all.
_EXIT_LIMIT: Final = 0.8
_EXIT_WAITS: Final = 40  # in as many steps: this module reads no clock

# A wait for a lock wakes this often: to see that the loop has died, and for Ctrl-C on Windows, where no lock is
# interrupted by it.
_POLL: Final = 0.05 if sys.platform == "win32" else 1.0

# Whose frames are left out of a traceback, as long as what remains explains the error.
_MACHINERY: Final = frozenset({"mizar_sync", "mizar_async", "anyio", "asyncio", "tenacity", "contextlib", "concurrent"})


class ClosedError(MizarError, RuntimeError):
    """The client was closed before the call: nothing was sent."""

    happened: ClassVar[Happened] = "no"


class ClosedDuringCall(ClosedError):
    """The client was closed while the call was under way: what it asked for may have happened."""

    happened = "perhaps"


class LoopThreadError(RuntimeError):
    """A blocking method was called in the client's own loop thread, where it would wait for itself."""


class LoopThread:
    """A daemon thread with an event loop. It knows nothing of the clients whose calls it runs."""

    loop: asyncio.AbstractEventLoop
    _stop: asyncio.Event

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.errands: set[Errand] = set()
        self.stopping = False
        self._winding_up = False
        self._client: object = None
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mizar", daemon=True)

    def start(self) -> None:
        _running.add(self)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        # The debug mode of asyncio is for the user's loops: here it would report each first call, which imports.
        options = {"use_uvloop": importlib.util.find_spec("uvloop") is not None, "debug": False}
        try:
            anyio.run(self._main, backend_options=options)
        except BaseException as failure:  # noqa: BLE001 - a SystemExit in some task ends this loop, and no more than it
            if not self._ready.is_set():
                self._failure = failure
        finally:
            self.stopping = True
            self._client = None
            _running.discard(self)
            self._ready.set()

    async def _main(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        try:
            if not self.stopping:
                await self._stop.wait()  # on return anyio.run cancels every other task, and waits for it
        finally:
            self.stopping = True  # before the callers of those tasks wake: their next calls start another loop

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Have a function called in the loop's thread, with the caller's context variables."""
        try:
            self.loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            raise ClosedError("this client is closed") from None

    def keep(self, client: object) -> None:
        """Hold the async client until the loop has ended, which is what closes its connections.

        Garbage before that, the collector would end connections and their owner in any order, with warnings. One is
        enough: views share the connections, and there may be many.
        """
        if self._client is None:
            self._client = client

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def refuse_foreign_callers(self) -> None:
        if self.pid != os.getpid():
            raise RuntimeError("this iterator or context manager belongs to the parent process: make a new one here")
        if self._thread.ident == threading.get_ident():
            raise LoopThreadError(
                "a blocking method was called in the client's own loop thread (by a callback?), where it would wait "
                "for itself: call it in another thread, or after the call that runs the callback has returned"
            )

    def stop(self) -> None:
        """Tell the loop to end; from any thread, and without waiting."""
        self.stopping = True
        with contextlib.suppress(AttributeError, RuntimeError):  # it has not begun yet, or has ended
            self.loop.call_soon_threadsafe(self._stop.set)

    def join(self, limit: float) -> None:
        self._thread.join(limit)

    def wind_up(self, aclose: Callable[[], Awaitable[object]]) -> None:
        """End every errand, then the async client, then the loop."""
        self.refuse_foreign_callers()
        with _lock:
            first, self._winding_up = not self._winding_up, True
        try:
            if first and not self.stopping:
                closing = Errand(self, lambda this: self._end_errands(this, aclose))
                closing.step()
                closing.raise_failure()
        finally:
            if first:
                self.stop()
            self.join(_CLEAN_UP_LIMIT)

    async def _end_errands(self, closing: Errand, aclose: Callable[[], Awaitable[object]]) -> None:
        # Calls go before the connections: a write in flight still has its grace to be answered.
        tasks = [errand.task for errand in self.errands if errand is not closing and errand.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLEAN_UP_LIMIT)
        await aclose()


_lock = threading.Lock()  # over starting and closing, of all clients
_running: set[LoopThread] = set()
_inherited: list[set[LoopThread]] = []  # what a forked child has of its parent's: kept, and never touched
_exiting = False


def _begin_child() -> None:
    global _lock, _running
    _lock = threading.Lock()  # another thread of the parent may have held the old one
    _inherited.append(_running)
    _running = set()


def _at_exit() -> None:
    global _exiting
    _exiting = True
    threads = list(_running)
    for thread in threads:
        thread.stop()
    for _ in range(_EXIT_WAITS):
        alive = [thread for thread in threads if thread.is_alive()]
        if not alive:
            break
        alive[0].join(_EXIT_LIMIT / _EXIT_WAITS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
# Not threading's own hook, which runs before other threads have ended: their calls are to complete.
atexit.register(_at_exit)


class Errand:
    """A coroutine in a loop's thread that a calling thread waits for, to its end or to the next thing it hands over."""

    __slots__ = ("_inbox", "_thread", "_turn", "_work", "ended", "error", "task", "value")

    def __init__(self, thread: LoopThread, work: Callable[[Errand], Awaitable[object]]) -> None:
        self.task: asyncio.Task[None] | None = None
        self.ended = False
        self.value: object = None
        self.error: BaseException | None = None
        self._thread = thread
        self._work = work
        self._inbox: asyncio.Future[object] | None = None
        self._turn = threading.Lock()  # held while the calling thread waits; the loop's thread releases it
        self._turn.acquire()

    # -- in the calling thread ---------------------------------------------------------------------------

    def step(self, message: object = None) -> None:
        """Start the coroutine or let it go on, and wait until it hands over a value or ends."""
        self._thread.refuse_foreign_callers()
        self.value = None
        try:
            self._thread.post(self._go_on, message)
            while not self._turn.acquire(timeout=_POLL):
                if not self._thread.is_alive():
                    self._wait_for_nothing()
        except BaseException as interrupt:
            # Not in a function of its own: another interrupt could come on the way there, and the task run on.
            while True:
                try:
                    self._thread.post(self._cancel)
                except ClosedError:
                    raise interrupt from None
                except BaseException:  # noqa: BLE001, S112 - the first one is raised below
                    continue
                break
            self._wait_for_the_clean_up(interrupt)
            raise

    def raise_failure(self) -> None:
        """Raise the exception that the coroutine ended with, if there is one."""
        if self.error is not None:
            raise self.take_error()

    def take_error(self) -> BaseException:
        """Give away the exception that the coroutine ended with, as the caller should see it."""
        error, self.error = self.error, None
        assert error is not None
        if isinstance(error, asyncio.CancelledError):
            closed = ClosedDuringCall("the client was closed during this call: what it asked for may have happened")
            _carry_over(error, closed)
            return closed
        return error.with_traceback(_explaining(error))

    def drop(self, message: object) -> None:
        """Let a coroutine go on that nobody waits for any more. Never waits itself: the garbage collector calls it."""
        if self.task is not None and not self.ended and self._thread.pid == os.getpid():
            with contextlib.suppress(ClosedError):
                self._thread.post(self._go_on, message)

    def _wait_for_the_clean_up(self, interrupt: BaseException) -> None:
        for _ in range(int(_CLEAN_UP_LIMIT / _POLL)):
            if self._turn.acquire(timeout=_POLL):  # a second Ctrl-C ends this wait
                self._tell(interrupt)
                return
            if not self._thread.is_alive():
                return

    def _tell(self, interrupt: BaseException) -> None:
        """Say with an interrupt what the call has done before it ended."""
        error, self.error = self.error, None
        if error is not None and error is not interrupt:
            _carry_over(error, interrupt)
        if error is not None and error is not interrupt and not isinstance(error, asyncio.CancelledError):
            interrupt.add_note(f"the call that was interrupted ended with {type(error).__name__}: {error}")
        elif error is None and self.value is not None:  # the end of a call, or an item that nobody has seen
            interrupt.add_note(f"the call that was interrupted had its result: {_shortened(repr(self.value))}")

    def _wait_for_nothing(self) -> None:
        if _exiting:
            self._turn.acquire()
        raise ClosedDuringCall("the client's event loop has ended during this call, which may have done its work")

    # -- in the loop's thread ----------------------------------------------------------------------------

    async def hand_over(self, value: object) -> object:
        """Give the calling thread a value, and return what it says when it wants the coroutine to go on."""
        self._inbox = inbox = self._thread.loop.create_future()
        self.value = value
        self._release()
        return await inbox

    def _go_on(self, message: object) -> None:
        if self.ended:  # meanwhile: the client was closed
            self._release()
        elif self.task is None:
            self.task = self._thread.loop.create_task(self._run())
            self._thread.errands.add(self)
            self.task.add_done_callback(self._end)
        elif self._inbox is not None and not self._inbox.done():
            self._inbox.set_result(message)

    async def _run(self) -> None:
        try:
            self.value = await self._work(self)
        except BaseException as error:  # noqa: BLE001 - also SystemExit and KeyboardInterrupt: they would end the loop
            self.value, self.error = None, error

    def _end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before its first step
            self.error = asyncio.CancelledError()
        # The task dies here: asyncio's weak reference to it calls back, and an interrupt that came in the calling
        # thread at that moment would be swallowed.
        self.task = self._inbox = None
        self.ended = True
        self._thread.errands.discard(self)
        self._release()

    def _cancel(self) -> None:
        if self.task is None:  # the interrupt came before the start, or after the end
            self._release()
        else:
            self.task.cancel()

    def _release(self) -> None:
        if self._turn.locked() and not _exiting:
            self._turn.release()


def _carry_over(cancelled: BaseException, seen: BaseException) -> None:
    """Put what a cancelled call left behind on the exception that its caller sees: a bulk call's partial result."""
    partial = getattr(cancelled, "bulk_result", None)
    if partial is not None:
        seen.bulk_result = partial  # type: ignore[attr-defined]
        seen.add_note(f"what was done until then, as `bulk_result`: {_shortened(repr(partial))}")
    for note in getattr(cancelled, "__notes__", ()):
        seen.add_note(note)


def _shortened(text: str) -> str:
    return text if len(text) <= 500 else f"{text[:497]}..."


def _explaining(error: BaseException) -> TracebackType | None:
    """The traceback of an error without the SDK's own frames, as long as it explains the error that way."""
    frames = []
    entry = error.__traceback__
    while entry is not None:
        frames.append(entry)
        entry = entry.tb_next
    kept = [entry for entry in frames if not _is_machinery(entry)]
    if not kept and not isinstance(error, MizarError):  # a mistake of ours: how it came about is all there is
        kept = frames[1:]
    tail: TracebackType | None = None
    for entry in reversed(kept):
        tail = TracebackType(tail, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return tail


def _is_machinery(entry: TracebackType) -> bool:
    frame = entry.tb_frame
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in _MACHINERY or frame.f_code.co_filename.startswith("<attrs generated")


class Runtime:
    """Starts the loop's thread for the first call, and anew in a forked child. A client and its views share one."""

    def __init__(self) -> None:
        self._thread: LoopThread | None = None
        self._closed = False

    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Await a coroutine function's call in the loop's thread, and return what it returns."""
        errand = Errand(self.thread_for(function), lambda _: function(*args, **kwargs))
        errand.step()
        if errand.error is not None:
            raise errand.take_error()
        return errand.value  # type: ignore[return-value]

    def thread_for(self, function: Callable[..., object]) -> LoopThread:
        """The running loop's thread, started if need be, for a method of the async client."""
        thread = self._thread
        if thread is None or thread.stopping or thread.pid != os.getpid() or self._closed:
            if _exiting and threading.current_thread().daemon:
                threading.Event().wait()  # frozen when the interpreter ends, in silence; not with the lock held
            with _lock:
                thread = self._usable()
        thread.keep(getattr(function, "__self__", None))
        return thread

    def close(self, aclose: Callable[[], Awaitable[object]]) -> None:
        """End all calls, the async client and the loop. What is closed already stays so."""
        thread = self._thread
        if thread is not None and thread.pid == os.getpid() and thread.is_alive():
            thread.refuse_foreign_callers()
            self._closed = True
            thread.wind_up(aclose)
        self._closed = True

    def _usable(self) -> LoopThread:
        if self._closed or _exiting:
            raise ClosedError("this client is closed" if self._closed else "the interpreter is exiting")
        thread = self._thread
        if thread is None or thread.stopping or thread.pid != os.getpid():
            return self._start()
        return thread

    def _start(self) -> LoopThread:
        thread = LoopThread()
        try:
            thread.start()
            self._thread = thread
            weakref.finalize(self, _forgotten, thread).atexit = False
        except BaseException:  # Ctrl-C while it was starting
            thread.stop()
            raise
        return thread


def _forgotten(thread: LoopThread) -> None:
    """The client was collected without being closed."""
    if thread.pid == os.getpid() and not thread.stopping:
        thread.stop()
