"""SIGTERM ends a block as Ctrl-C does, where nobody else handles it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """In the main thread, cancel the running task on SIGTERM, and end by that signal once the block has cleaned up.

    A handler of the program's own is left alone.
    """
    task = asyncio.current_task()
    mine = threading.current_thread() is threading.main_thread()
    if not mine or task is None or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    loop = asyncio.get_running_loop()
    seen = False

    def end() -> None:
        nonlocal seen
        seen = True
        task.cancel()

    try:
        loop.add_signal_handler(signal.SIGTERM, end)
    except (NotImplementedError, RuntimeError):  # not on this system, or not in this loop
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        if seen:
            # After the clean-up that stands around this block, the process ends as it was asked to.
            loop.call_soon(signal.raise_signal, signal.SIGTERM)
