"""What the generated client stands on: an async client for this process, and the runtime that its calls go through."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, Self, TypeVar

from ._runtime import Runtime

A = TypeVar("A")


class Facade(Generic[A]):
    """Holds an async client, and makes it anew in a forked child, where locks and connections of the parent are no good."""

    _runtime: Runtime
    _make: Callable[[], A]
    _made: tuple[int, A]

    def _begin(self, make: Callable[[], A], runtime: Runtime | None = None) -> None:
        self._runtime = Runtime() if runtime is None else runtime
        self._make = make
        self._made = (os.getpid(), make())

    @classmethod
    def _over(cls, make: Callable[[], A], runtime: Runtime | None = None) -> Self:
        """A client over an async one made elsewhere; a view shares the runtime of its origin."""
        facade = cls.__new__(cls)
        facade._begin(make, runtime)
        return facade

    @property
    def _async(self) -> A:
        pid, client = self._made
        if pid == os.getpid():
            return client
        self._made = (os.getpid(), self._make())
        return self._made[1]

    def __repr__(self) -> str:
        return repr(self._async).removeprefix("Async")
