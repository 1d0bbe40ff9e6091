"""Waiting for what another loop or thread finds out, and waking whoever waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

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


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
