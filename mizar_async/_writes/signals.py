"""Signals that end the process: held back until every guard has closed its positions, then raised again.

    the first signal      cancels every task inside a guard, in whichever loop; a main thread in blocking code gets
                          `Ended` raised there. A clean-up that has begun is left to its end
    the last guard left   the code around the guards has its chance: until its tasks and a blocking main thread are
                          done, at most 5 s. Then the signal is raised again, with the handlers put back
    a second signal       does at once what it would have done without a guard

A handler is the process's own, and only the main thread can set one. So the handlers stand while the main thread is
inside a guard, and replace none of the program's own. All state is changed by single steps that no thread and no
handler can come between: a lock could be held by the very code that the handler has interrupted.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator
from types import FrameType
from typing import Any, Final

import attrs

from .._account.registry import name_what_is_in_doubt

log = logging.getLogger("mizar_async")

# How long the code around the guards may take.
_CHANCE: Final = 5.0

# How often and for how long the end of a client, or of the interpreter, looks whether its guards have ended. They
# give up before that.
_LOOKS: Final = 1400
_GLANCE: Final = 0.05

_HANDLED: Final = (signal.SIGTERM, signal.SIGINT)


class Ended(SystemExit):
    """A signal ends the process: raised in blocking code of the main thread, and printed by nobody."""


@attrs.define(eq=False)
class Guarded:
    """A task inside one guard or several."""

    task: asyncio.Task[Any]
    loop: asyncio.AbstractEventLoop
    cleaning: bool = False
    cancelled: bool = False
    clients: list[object] = attrs.field(factory=list)
    """Whose guards they are."""
    works: list[Callable[[], Awaitable[object]]] = attrs.field(factory=list)
    """What closes behind each of the blocks, the innermost last."""
    closing: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Cancel the task once, unless it cleans up; then it is cancelled when it leaves the guard."""
        if not self.cancelled and not self.cleaning:
            self.cancelled = True
            self.task.cancel()
            self.loop.call_later(_CHANCE, self._insist)

    def _insist(self) -> None:
        """Close behind a block that has swallowed its cancellation, though it goes on."""
        if self.works and not self.cleaning:
            self.closing = self.loop.create_task(self._close_behind())

    async def _close_behind(self) -> None:
        for work in reversed(self.works):
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the other blocks are closed behind all the same
                _signals.tell(error)
        _signals.give_up(self)

    def end_from_anywhere(self) -> None:
        with contextlib.suppress(RuntimeError):  # its loop has ended
            self.loop.call_soon_threadsafe(self.end)

    async def clean_up(self) -> None:
        """Close behind the innermost block, to the end: again if somebody cancels it, which no signal does.

        `asyncio.run` cancels every task once the first one has ended. The cancellation leaves afterwards.
        """
        work = self.works.pop()
        before, self.cleaning = self.cleaning, True
        cancelled: asyncio.CancelledError | None = None
        try:
            while await _is_cut_short(work):
                cancelled = cancelled or asyncio.CancelledError()
        finally:
            self.cleaning = before
        if cancelled is not None:
            raise cancelled

    def afterwards(self, reopen: Callable[[], object]) -> None:
        """Call this now, or if the process is ending, only if the program survives that.

        What a block has shut stays shut then: other code of the block may go on until the process has ended.
        """
        if _signals.ending is None and not _signals.exiting:
            reopen()
        else:
            _signals.shut.append(reopen)


async def _is_cut_short(work: Callable[[], Awaitable[object]]) -> bool:
    try:
        await work()
    except asyncio.CancelledError:
        return True
    return False


class _Signals:
    """The guards of this process, and the handlers that stand for them."""

    def __init__(self) -> None:
        self.replaced: dict[signal.Signals, Any] = {}
        """The handlers that were there before ours."""
        self.in_main = 0
        """How many guards the main thread is inside of: it alone counts them."""
        self.blocking = 0
        """How many of these are of blocking code."""
        self.guarded: dict[asyncio.Task[Any], Guarded] = {}
        self.timer: threading.Timer | None = None
        self.exiting = False
        self.shut: list[Callable[[], object]] = []
        """Opens again what the ended guards have left shut."""
        self.begin()

    def begin(self) -> None:
        """No signal has come."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None
        self.ending: signal.Signals | None = None
        self.leaving: set[asyncio.Task[Any]] = set()
        """Tasks that have left their guards and are not done."""
        self.unwinding = False
        """True once `Ended` was raised: the main thread is on its way out."""
        self.told: list[BaseException] = []
        for reopen in self.shut:
            reopen()
        self.shut = []

    # In the main thread.

    def install(self, replaceable: Collection[Any]) -> None:
        self.in_main += 1
        for number in _HANDLED:
            handler = signal.getsignal(number)
            if handler in replaceable:
                self.replaced[number] = handler
                signal.signal(number, self.on_signal)

    def uninstall(self) -> None:
        self.in_main -= 1
        if self.in_main <= 0 and self.ending is None:
            self.put_back()

    def put_back(self) -> None:
        for number, handler in self.replaced.items():
            if signal.getsignal(number) == self.on_signal:
                signal.signal(number, handler)
        self.replaced = {}

    def on_signal(self, number: int, _: FrameType | None) -> None:
        if self.ending is not None:
            self.begin()
            self.put_back()
            signal.raise_signal(number)
            return
        self.ending = signal.Signals(number)
        self.end_all()
        if self.blocking > 0:
            self.unwinding = True
            raise Ended(128 + number)

    # In any thread.

    def end_all(self) -> None:
        for guarded in list(self.guarded.values()):
            guarded.end_from_anywhere()

    def enter(self, task: asyncio.Task[Any], client: object, work: Callable[[], Awaitable[object]]) -> Guarded:
        guarded = self.guarded.setdefault(task, Guarded(task, task.get_loop()))
        guarded.clients.append(client)
        guarded.works.append(work)
        if self.ending is not None:
            guarded.end()
        return guarded

    def leave(self, guarded: Guarded) -> None:
        guarded.clients.pop()
        del guarded.works[len(guarded.clients) :]
        if not guarded.clients:
            self.guarded.pop(guarded.task, None)
        if self.ending is None:
            return
        guarded.end()
        if not guarded.clients:
            self.leaving.add(guarded.task)
            guarded.task.add_done_callback(self.done)
            self.raise_again_in_time()

    def give_up(self, guarded: Guarded) -> None:
        """Everything behind the task's blocks is closed: whether it leaves them does not matter any more."""
        self.guarded.pop(guarded.task, None)
        if not self.guarded and not self.leaving and not self.unwinding:
            self.raise_again()

    def done(self, task: asyncio.Task[Any]) -> None:
        self.leaving.discard(task)
        if self.ending is not None and not self.guarded and not self.leaving and not self.unwinding:
            self.raise_again()

    def raise_again_in_time(self) -> None:
        """Give the code around the guards its chance, once no guard is left."""
        if self.ending is None or self.guarded or self.timer is not None:
            return
        self.timer = threading.Timer(_CHANCE, self.raise_again)
        self.timer.daemon = True
        with contextlib.suppress(RuntimeError):  # the interpreter is ending, which raises the signal too
            self.timer.start()

    def raise_again(self) -> None:
        number = self.ending
        if number is None:
            return
        name_what_is_in_doubt()
        if hasattr(signal, "pthread_kill"):  # to the main thread, whose sleep no other thread's signal would end
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:
            signal.raise_signal(number)

    def tell(self, error: BaseException) -> None:
        """Log an error that leaves a guard: the process ends without its traceback."""
        if self.ending is not None and not any(error is told for told in self.told):
            self.told.append(error)
            log.error("%s ends this process; what leaves a guard is %s: %s", self.ending.name, _name(error), error)


def _name(error: BaseException) -> str:
    return type(error).__name__


_signals: Final = _Signals()


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _installed(replaceable: Collection[Any]) -> Iterator[None]:
    if not _is_main():
        yield
        return
    try:
        _signals.install(replaceable)
        yield
    finally:
        _signals.uninstall()


@contextlib.contextmanager
def ending_on_signals(client: object, work: Callable[[], Awaitable[object]]) -> Iterator[Guarded]:
    """Around a guard and its clean-up: SIGTERM and SIGINT end the running task, and the process after the last guard.

    The block ends with the `clean_up` of the value, which does the work and is not cancelled. A block that swallows
    its cancellation has its chance too; then the work is done behind its back, and the process ends. So it may be done
    twice. In the main thread handlers are set where the program has none of its own; in others it is for the main
    thread to have set them.
    """
    task = asyncio.current_task()
    assert task is not None
    guarded = _signals.enter(task, client, work)
    try:
        with _installed((signal.SIG_DFL, signal.default_int_handler)):
            yield guarded
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        _signals.tell(error)
        raise
    finally:
        _signals.leave(guarded)


@contextlib.contextmanager
def ending_blocking_code() -> Iterator[None]:
    """Around a block of blocking code whose guard is in another thread's loop: a signal ends both.

    SIGINT is left to Python where it raises KeyboardInterrupt, which ends the block as well.
    """
    if not _is_main():
        yield
        return
    try:
        _signals.blocking += 1
        with _installed((signal.SIG_DFL,)):
            yield
    finally:
        _signals.blocking -= 1
        _signals.raise_again_in_time()


def guarded_task(task: asyncio.Task[Any]) -> Guarded | None:
    """The entry of a task that is inside a guard."""
    return _signals.guarded.get(task)


async def end_guards_of(client: object) -> None:
    """Before a client is closed: end its guards in other tasks, and wait until their positions are closed."""
    here = asyncio.current_task()
    others = [one for one in list(_signals.guarded.values()) if client in one.clients and one.task is not here]
    for one in others:
        one.end_from_anywhere()
    for _ in range(_LOOKS):
        if not any(client in one.clients and one.loop.is_running() and guarded_task(one.task) for one in others):
            break
        await asyncio.sleep(_GLANCE)


def end_guards() -> None:
    """At the interpreter's exit: end what is still inside a guard, and wait until everything of it is closed."""
    _signals.exiting = True
    _signals.end_all()
    pause = threading.Event()
    for _ in range(_LOOKS):
        if not any(guarded.loop.is_running() for guarded in list(_signals.guarded.values())):
            break
        pause.wait(_GLANCE)


def _at_exit() -> None:
    end_guards()
    _signals.raise_again()


def _begin_child() -> None:
    """A forked child is inside no guard of its parent's."""
    _signals.guarded, _signals.shut = {}, []
    _signals.in_main = _signals.blocking = 0
    _signals.begin()
    _signals.put_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
atexit.register(_at_exit)
