"""Plain iterators and context managers over async ones. Each is one errand, that is, one task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Final, Generic, ParamSpec, TypeVar, cast

from mizar_async._writes.signals import ending_blocking_code

from ._runtime import NOTHING, Errand, Runtime

P = ParamSpec("P")
T = TypeVar("T")

_CLOSE: Final = object()


class BlockingIterator(Iterator[T], Generic[T]):
    """An iterator whose items are made by the client's loop, each when it is asked for.

        with mizar.stream_close_positions(ids) as outcomes:
            for outcome in outcomes:
                print(outcome)

    Leaving the loop early ends the work behind it: with `with`, before the next line runs; without, as soon as
    the iterator is garbage.
    """

    def __init__(
        self, runtime: Runtime, function: Callable[P, AsyncIterator[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        # Nothing in the coroutine refers to this iterator: while it did, it would never become garbage.
        async def work(errand: Errand) -> object:
            items = function(*args, **kwargs)
            try:
                async for item in items:
                    if await errand.hand_over(item) is _CLOSE:
                        break
            finally:
                if isinstance(items, AsyncGenerator):
                    await items.aclose()
            return NOTHING

        self._runtime = runtime  # which keeps the loop's thread alive
        self._function = function
        self._work = work
        self._errand: Errand | None = None
        self._over = False
        self._stepping = threading.Lock()

    def __iter__(self) -> BlockingIterator[T]:
        return self

    def __next__(self) -> T:
        if not self._stepping.acquire(blocking=False):
            raise ValueError("this iterator is being read by another thread: give each thread its own, or a lock")
        errand = self._errand
        if errand is not None:
            errand.value = NOTHING
        try:
            try:
                return self._step()
            finally:
                self._stepping.release()
        except BaseException:  # an interrupt may come in the release: the item was made, and reaches nobody
            self._over = True
            if self._errand is not None:
                self._errand.abandon()
            raise

    def _step(self) -> T:
        if self._over:
            raise StopIteration
        errand = self._errand
        if errand is None:
            errand = self._errand = Errand(self._runtime.thread_for(self._function), self._function, self._work)
        errand.step()
        if errand.value is not NOTHING:
            return errand.value  # type: ignore[return-value]
        if self._over:  # closed by another thread meanwhile
            raise StopIteration
        errand.raise_failure()
        raise StopIteration

    def close(self) -> None:
        """End the work behind the iterator, and wait for that. It may be called twice."""
        if self._errand is not None and not self._over:
            self._over = True
            if not self._stepping.acquire(blocking=False):  # another thread waits for an item: its wait ends, too
                self._errand.cancel()
                return
            try:
                self._errand.step(_CLOSE)
            finally:
                self._stepping.release()
            if not isinstance(self._errand.error, asyncio.CancelledError):  # which tells that the client was closed
                self._errand.raise_failure()
        self._over = True

    def __enter__(self) -> BlockingIterator[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        errand = self.__dict__.get("_errand")
        if errand is not None and not self._over:
            errand.drop(_CLOSE)


class BlockingContextManager(AbstractContextManager[T], Generic[T]):
    """A context manager that is entered and left in one task of the client's loop, whatever signal ends its block."""

    def __init__(
        self,
        runtime: Runtime,
        function: Callable[P, AbstractAsyncContextManager[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        async def work(errand: Errand) -> bool:
            raised = None
            try:
                async with function(*args, **kwargs) as value:
                    raised = await errand.hand_over(value)
                    if isinstance(raised, BaseException):
                        raise raised
            except BaseException as error:
                if error is raised:  # it may be a StopIteration, which can't leave a coroutine
                    return False
                raise
            return True

        self._runtime = runtime
        self._function = function
        self._work = work
        self._errand: Errand | None = None

    def __enter__(self) -> T:
        if self._errand is not None:
            raise RuntimeError("this context manager was entered already: make a new one for each `with`")
        self._errand = Errand(self._runtime.thread_for(self._function), self._function, self._work)
        self._signals = ending_blocking_code()
        try:
            self._signals.__enter__()
            self._errand.step()
            self._errand.raise_failure()
        except BaseException:
            self._signals.__exit__(None, None, None)
            raise
        return cast("T", self._errand.value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._errand is not None
        if self._errand.is_the_parents():  # a child that was forked in the block leaves it, and ends nothing of it
            return None
        try:
            self._errand.finish(error)
            # Cancelled by a signal, or since the client was closed, it has cleaned up, and has nothing else to tell.
            if not isinstance(self._errand.error, asyncio.CancelledError):
                self._errand.raise_failure()
        finally:
            self._signals.__exit__(None, None, None)
            if error is not None:  # to raise it inside has put frames of ours on it
                error.__traceback__ = traceback
        return error is not None and self._errand.value is True

    def __del__(self) -> None:
        errand = self.__dict__.get("_errand")
        if errand is not None:
            errand.drop(None)
