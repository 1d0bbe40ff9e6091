"""What scripts of these tests run through a blocking client's runtime: coroutines that wait, and tell what they did."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

from mizar_sync import NotSent, OutcomeUnknown, _runtime
from mizar_sync._blocking import BlockingContextManager, BlockingIterator
from mizar_sync._runtime import LoopThreadError, Runtime

__all__ = [
    "BlockingContextManager",
    "BlockingIterator",
    "LoopThreadError",
    "NotSent",
    "OutcomeUnknown",
    "Runtime",
    "ask",
    "caller",
    "clean_up_for",
    "count",
    "fail",
    "guard",
    "interrupted_when",
    "log",
    "logged",
    "nothing",
    "patient",
    "until",
    "wait_for_ever",
]

log: list[str] = []
caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")


async def nothing() -> None:
    """End at once."""


async def ask(seconds: float = 0.0, answer: str = "answer") -> str:
    await asyncio.sleep(seconds)
    return answer


async def fail(error: BaseException) -> None:
    raise error


async def wait_for_ever() -> None:
    log.append("begun")
    try:
        await asyncio.Event().wait()
    finally:
        log.append("ended")


async def clean_up_for(seconds: float) -> None:
    """Wait for ever, and when cancelled take some time to end."""
    log.append("begun")
    try:
        await asyncio.Event().wait()
    finally:
        log.append("cleaning up")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        log.append("cleaned up")


async def count(limit: int = 1_000_000) -> AsyncGenerator[int]:
    log.append("begun")
    try:
        for number in range(limit):
            log.append(f"made {number}")
            yield number
    finally:
        await asyncio.sleep(0)
        log.append("ended")


@contextlib.asynccontextmanager
async def guard(*, swallow: bool = False) -> AsyncIterator[str]:
    task = asyncio.current_task()
    try:
        yield "inside"
    except BaseException as error:
        log.append(f"saw {type(error).__name__}")
        if not swallow:
            raise
    finally:
        log.append("one task" if asyncio.current_task() is task else "two tasks")


def patient(*, at_exit: bool = True) -> None:
    """Let the runtime wait for an hour where it gives up after seconds: what ends then has ended by itself."""
    _runtime._CLEAN_UP_LIMIT = 3600.0  # type: ignore[misc]
    if at_exit:
        _runtime._EXIT_LIMIT = 3600.0  # type: ignore[misc]


def until(condition: Callable[[], object]) -> None:
    """Wait until this is so: for ever if it never is, which ends the script with its test."""
    while not condition():
        time.sleep(0.01)


def logged(word: str) -> Callable[[], bool]:
    return lambda: word in log


@contextlib.contextmanager
def interrupted_when(*conditions: Callable[[], object]) -> Iterator[None]:
    """Press Ctrl-C as soon as the first of these is so, then again for each of the others."""

    def press() -> None:
        for condition in conditions:
            until(lambda condition=condition: left.is_set() or condition())  # type: ignore[misc]
            if not left.is_set():
                os.kill(os.getpid(), signal.SIGINT)

    left = threading.Event()
    threading.Thread(target=press, daemon=True).start()
    try:
        yield
    finally:
        left.set()
