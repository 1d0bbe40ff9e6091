"""A write on its way: it goes on for a while when its caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import anyio

T = TypeVar("T")


class Place(Protocol):
    """The place of a call among those of a bulk."""

    def give_back(self) -> None:
        """The call is in doubt: it sends nothing for now, and another may have its place."""


async def in_grace(work: Coroutine[Any, Any, T], grace: float) -> T:
    """Do something that ends even when its caller is cancelled, unless it takes longer than the grace.

    A second cancellation leaves at once.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            # Scopes of anyio cancel again and again; only the first counts here.
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task], timeout=grace)
        finally:
            task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        raise
