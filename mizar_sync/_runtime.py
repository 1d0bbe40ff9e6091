"""The thread that a blocking client works in, and how calls get there and back.

A blocking client owns one event loop in a daemon thread of its own, started by the first call. Each call sends
an *errand* there: a coroutine that the calling thread waits for. An errand may hand something over on its way and
be told to go on, which is all that blocking iterators and context managers need: each of them is one errand, so
that all its steps run in one task, with one set of context variables and cancel scopes.

Rules that the code below keeps:

- Whoever interrupts a waiting call (Ctrl-C, an exception from any signal handler) cancels its errand and waits for
  the clean-up. To raise at once while a position goes on being closed would tell the user a lie. A second Ctrl-C
  leaves at once.
- A result is the caller's once its call has returned. What an interrupt has kept from being handed over goes back
  to the async client, for which its position is unclaimed; the result of a bulk call travels on the interrupt.
- Nothing that the garbage collector may run waits: it can run in the loop's own thread, with any lock held.
- At the interpreter's exit every loop is told to stop and gets a limited time. Threads that still wait are left
  asleep: they are daemons, and an exception raised in them now could only be printed.
- A forked child starts afresh. The parent's loop is kept there and never touched: the two share its epoll and its
  self-pipe, so that closing it in the child would hang the parent. A fork waits while a loop is being started.
- No exception object is kept after it was raised, nor any of its frames: it is freed without the garbage collector.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 - uvloop imports it, which fails once the main thread has ended
import contextlib
import ctypes
import functools
import importlib.util
import math
import os
import socket
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar

import anyio

from mizar_async._wire.heart import heart
from mizar_async._writes import signals
from mizar_async.errors import MizarError, NotSent, OutcomeUnknown, Unavailable
from mizar_async.results import BulkResult

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


# The calls that only ask, by name: one that is cut short has changed nothing.
READS: Final = frozenset(
    {
        "active_safety_orders",
        "bar_types",
        "bars",
        "bars_frame",
        "get_all_open_positions",
        "get_all_self_hosted_strategies_info",
        "get_exchanges",
        "get_position",
        "get_symbols",
        "inactive_safety_orders",
        "iter_bars",
        "ping",
        "price",
        "reconcile",
        "recover",
        "resolve",
        "safety_orders",
        "server_time",
        "settings",
        "subscription_positions",
        "take_profit_orders",
    }
)

NOTHING: Final = object()
"""The value of an errand that has none to hand over."""


def _closed() -> NotSent:
    return NotSent("not sent: this client is closed; make a new one")


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
        try:
            # The debug mode of asyncio is for the user's loops: here it would report each first call, which imports.
            anyio.run(self._main, backend_options={"loop_factory": _loop_factory(), "debug": False})
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

    def post(self, function: Callable[..., object], *args: object) -> bool:
        """Have a function called in the loop's thread, with the caller's context variables; False if it has ended."""
        try:
            self.loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            return False
        return True

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
                closing = Errand(self, aclose, lambda this: self._end_errands(this, aclose))
                closing.step()
                closing.raise_failure()
        finally:
            if first:
                self.stop()
            self.join(_CLEAN_UP_LIMIT)

    async def _end_errands(self, closing: Errand, aclose: Callable[[], Awaitable[object]]) -> None:
        # Calls go before the connections: a write in flight still has its grace to be answered.
        tasks = [errand.task for errand in self.errands if errand is not closing and errand.task is not None]
        guards = [guard for guard in map(signals.guarded_task, tasks) if guard is not None]
        for guard in guards:
            guard.end()
        for task in set(tasks) - {guard.task for guard in guards}:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLEAN_UP_LIMIT)
        if guards:  # which have a limit of their own
            await asyncio.wait([guard.task for guard in guards])
        await aclose()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the loop: uvloop if it is installed, or asyncio's, with look-ups of names of our own.

    uvloop does them in threads of libuv: when a forked child ends, libuv waits for those, which are its parent's, and
    crashes. And once the main thread has ended no executor takes work any more, while a thread of the program may
    still have positions to close: then a name is looked up here, which holds up the loop and nothing else.
    """
    base: Any = getattr(asyncio, "ProactorEventLoop", asyncio.SelectorEventLoop)  # on Windows, and elsewhere
    if importlib.util.find_spec("uvloop") is not None:
        base = importlib.import_module("uvloop").Loop

    class Loop(base):  # type: ignore[misc]
        async def getaddrinfo(self, host: Any, port: Any, *, flags: int = 0, **kind: Any) -> Any:
            look_up = functools.partial(socket.getaddrinfo, host, port, **kind)
            with contextlib.suppress(socket.gaierror):  # a name, which takes time
                return look_up(flags=flags | socket.AI_NUMERICHOST)
            try:
                looking = self.run_in_executor(None, functools.partial(look_up, flags=flags))
            except RuntimeError:
                return look_up(flags=flags)
            return await looking

    return Loop


# Over starting and closing, of all clients. A fork waits for it: a child inherits no loop that is half started, and
# no lock of an import that another thread has begun. Whoever holds it may fork.
_lock = threading.RLock()
_running: set[LoopThread] = set()
_exiting = False


def _begin_child() -> None:
    global _running
    for thread in _running:
        # Never freed, not even when the child's interpreter ends: uvloop's loop would then close what is its
        # parent's, or crash.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thread))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thread.loop))
    _running = set()
    _lock.release()


def _at_exit() -> None:
    global _exiting
    signals.end_guards()
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
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_begin_child)
# Not threading's own hook, which runs before other threads have ended: their calls are to complete.
atexit.register(_at_exit)


class Errand:
    """A coroutine in a loop's thread that a calling thread waits for, to its end or to the next thing it hands over.

    `function` is the call of the async client that it does: its name tells whether it only asks, and its client
    takes back what nobody was given.
    """

    __slots__ = (
        "_abandoned",
        "_forsaken",
        "_function",
        "_inbox",
        "_returned",
        "_thread",
        "_turn",
        "_work",
        "ended",
        "error",
        "task",
        "value",
    )

    def __init__(
        self, thread: LoopThread, function: Callable[..., object], work: Callable[[Errand], Awaitable[object]]
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self.ended = False
        self.value: object = NOTHING
        """What was handed over by the last step, or at the end."""
        self.error: BaseException | None = None
        self._function = function
        self._thread = thread
        self._work = work
        self._inbox: asyncio.Future[object] | None = None
        self._abandoned = False
        """True once its caller was interrupted: it gets no value."""
        self._forsaken = False
        """True once its caller does not even wait for its end."""
        self._returned = False
        self._turn = threading.Lock()  # held while the calling thread waits; the loop's thread releases it
        self._turn.acquire()

    # In the calling thread.

    def step(self, message: object = None) -> None:
        """Start the coroutine or let it go on, and wait until it hands over a value or ends.

        An interrupt cancels it.
        """
        self._post_and_wait(message, self._abandon, _CLEAN_UP_LIMIT)

    def is_the_parents(self) -> bool:
        """Whether this process is a child that was forked while the errand was under way."""
        return self._thread.pid != os.getpid()

    def finish(self, message: object) -> None:
        """Let the coroutine go on to its end, and wait for that: an interrupt leaves afterwards, a second one now."""
        self._post_and_wait(message, functools.partial(self._go_on, message), math.inf)

    def _post_and_wait(self, message: object, when_interrupted: Callable[[], object], limit: float) -> None:
        if heart.is_guarded:
            heart.waits(self._thread.loop)
            try:
                self._exchange(message, when_interrupted, limit)
            finally:
                heart.goes_on()
        else:
            self._exchange(message, when_interrupted, limit)

    def _exchange(self, message: object, when_interrupted: Callable[[], object], limit: float) -> None:
        self._thread.refuse_foreign_callers()
        self.value = NOTHING
        try:
            self._wait_for_a_value(self._thread.post(self._go_on, message))
        except BaseException as interrupt:
            # Not in a function of its own: another interrupt could come on the way there, and the task run on.
            while True:
                try:
                    reached = self._thread.post(when_interrupted)
                except BaseException:  # noqa: BLE001, S112 - the first one is raised below
                    continue
                break
            if not reached:
                self._give_back()
                raise interrupt from None
            self._wait_for_the_clean_up(interrupt, limit)
            raise

    def _wait_for_a_value(self, reached: bool) -> None:
        while reached and not self._turn.acquire(timeout=_POLL):
            reached = self._thread.is_alive()
        if reached or self._turn.acquire(blocking=False):
            return
        if _exiting:
            self._turn.acquire()  # for ever, also if its errand was cut short by the exit
        if self.ended:
            return
        raise self._cut_short() if self.task is not None else _closed()

    def cancel(self) -> None:
        """End the coroutine while another thread waits for its next value, which that does not get."""
        self._thread.post(self._abandon)

    def abandon(self) -> None:
        """Have the client take back what was handed over and reaches nobody; the coroutine ends."""
        if self.value is not NOTHING and not self._thread.post(self._abandon):
            self._give_back()

    def raise_failure(self) -> None:
        """Raise the exception that the coroutine ended with, if there is one."""
        if self.error is not None:
            raise self.take_error()

    def take_error(self) -> BaseException:
        """Give away the exception that the coroutine ended with, as the caller should see it."""
        error, self.error = self.error, None
        assert error is not None
        if isinstance(error, asyncio.CancelledError):
            closed = self._cut_short()
            _carry_over(error, closed)
            return closed
        return error.with_traceback(_explaining(error))

    def _cut_short(self) -> MizarError:
        name = getattr(self._function, "__name__", "a call")
        if name in READS:
            return Unavailable(f"{name}: the client's event loop ended before an answer came")
        return OutcomeUnknown(f"{name}: the client's event loop ended during this call, which may have done its work")

    def drop(self, message: object) -> None:
        """Let a coroutine go on that nobody waits for any more. Never waits itself: the garbage collector calls it."""
        if self.task is not None and not self.ended and self._thread.pid == os.getpid():
            self._thread.post(self._go_on, message)

    def _wait_for_the_clean_up(self, interrupt: BaseException, limit: float) -> None:
        waited = 0.0
        try:
            while waited < limit and self._thread.is_alive():
                if self._turn.acquire(timeout=_POLL):
                    self._tell(interrupt)
                    return
                waited += _POLL
        except BaseException:  # a second one leaves now
            self._thread.post(self._forsake)
            raise
        self._thread.post(self._forsake)

    def _tell(self, interrupt: BaseException) -> None:
        """Say with an interrupt what the call has done before it ended."""
        error, self.error = self.error, None
        if error is not None and error is not interrupt:
            _carry_over(error, interrupt)
        if isinstance(self.value, BulkResult):
            _carry(self.value, interrupt)
        elif self.value is not NOTHING and self.value is not None:  # the end of a call, or an item that nobody has seen
            interrupt.add_note(f"the call that was interrupted had its result: {_shortened(repr(self.value))}")
        elif error is not None and error is not interrupt and not isinstance(error, asyncio.CancelledError):
            interrupt.add_note(f"the call that was interrupted ended with {type(error).__name__}: {error}")

    # In the loop's thread.

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
            self.error = error

    def _end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before its first step
            self.error = asyncio.CancelledError()
        # The task dies here: asyncio's weak reference to it calls back, and an interrupt that came in the calling
        # thread at that moment would be swallowed.
        self.task = self._inbox = None
        self.ended = True
        self._thread.errands.discard(self)
        if self._abandoned or self._forsaken:
            self._give_back()
        self._release()

    def _abandon(self) -> None:
        if self.task is None:  # the interrupt came before the start, or after the end
            self._give_back()
            self._release()
        elif not self._abandoned:
            self.task.cancel()
        self._abandoned = True

    def _forsake(self) -> None:
        self._forsaken = True
        if self.ended:
            self._give_back()

    def _give_back(self) -> None:
        """What nobody was given is the client's again; a bulk's result leaves with its caller, if there is one."""
        lost = getattr(self.error, "bulk_result", self.value)
        if self._returned or lost is NOTHING or (isinstance(lost, BulkResult) and not self._forsaken):
            return
        self._returned = True
        take_back = getattr(getattr(self._function, "__self__", None), "_take_back", None)
        if take_back is not None:
            take_back(lost)

    def _release(self) -> None:
        if self._turn.locked() and not _exiting:
            self._turn.release()


def _carry_over(cancelled: BaseException, seen: BaseException) -> None:
    """Put what a cancelled call left behind on the exception that its caller sees: a bulk call's partial result."""
    partial = getattr(cancelled, "bulk_result", None)
    if partial is not None:
        _carry(partial, seen)
    for note in getattr(cancelled, "__notes__", ()):
        seen.add_note(note)


def _carry(result: object, seen: BaseException) -> None:
    seen.bulk_result = result  # type: ignore[attr-defined]
    seen.add_note(f"what was done until then, as `bulk_result`: {_shortened(repr(result))}")


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
        errand = Errand(self.thread_for(function), function, lambda _: function(*args, **kwargs))
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
            raise _closed() if self._closed else NotSent("not sent: the interpreter is exiting")
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
