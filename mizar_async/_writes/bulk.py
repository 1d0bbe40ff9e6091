"""Many at once: bounded, in order, with nothing forgotten.

It is written once, over the single calls. A number of workers take the requests one after another. A worker whose
call is in doubt is replaced: what waits for a list of positions takes nobody's place.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Collection, Iterable
from typing import Any, Final, Generic, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup

from .._clock import loop_time
from ..errors import InvalidInput, MizarError, NotSent
from ..results import BulkResult, Outcome, Request, Result
from .view import Place

T = TypeVar("T")
Requests = Iterable[Request] | AsyncIterable[Request]
Progress = Callable[[int, int | None], Awaitable[None] | None]

# How many requests are looked at together before the first of them is taken.
_AHEAD: Final = 256

# Sending pauses while more than this many times the concurrency is in doubt.
_DOUBTS_PER_PLACE: Final = 10


class Work(Protocol):
    """One call of a bulk."""

    @property
    def repeated(self) -> bool:
        """Whether its client order id was there before, and it has sent nothing."""
        ...

    async def run(self) -> Any:
        """Do it, or raise what became of it."""

    def leave(self) -> Any:
        """Go without waiting any longer, and say what is known: the result or an error."""

    def abandon(self) -> None:
        """Go without the outcome, which nobody will be given."""


Ended = Callable[[Outcome[Request, Result], Work | None], Awaitable[None]]
Start = Callable[[Any, float, Place], Work]
"""Begins the work for a request, which has so many seconds, at the place of a worker."""

LookAhead = Callable[[list[Any]], Awaitable[None]]
"""Finds out for many requests at once what each would have to find out by itself."""


class Bulk(Generic[Request, Result]):
    """The workers of one bulk call."""

    def __init__(
        self,
        requests: Requests[Request],
        check: Callable[[Any], object],
        start: Start,
        *,
        max_concurrency: int,
        deadline: float | None = None,
        stop_on_error: bool = False,
        look_ahead: LookAhead | None = None,
    ) -> None:
        if isinstance(max_concurrency, bool) or not isinstance(max_concurrency, int) or max_concurrency < 1:
            raise InvalidInput(f"max_concurrency={max_concurrency!r} is refused: it must be a whole number, 1 or more")
        if isinstance(requests, (str, bytes)) or not isinstance(requests, (Iterable, AsyncIterable)):
            raise InvalidInput(
                f"{type(requests).__name__} is refused: requests must be an iterable or an async iterable"
            )
        self.sized = list(requests) if isinstance(requests, Collection) else None
        if self.sized is not None:
            _check_all(self.sized, check)
        self._requests = requests if self.sized is None else self.sized
        self._check = check
        self._start = start
        self.max_concurrency = max_concurrency
        self._until = float("inf") if deadline is None else loop_time() + deadline
        self._stop_on_error = stop_on_error
        self._stopped = False
        self._in_doubt = 0
        self._doubt_ended = anyio.Event()
        self._group: TaskGroup
        # Workers take the requests one after another: an iterator can't be stepped by two of them at once.
        self._source = _numbered(self._requests, look_ahead)
        self._taking = asyncio.Lock()
        # What is there already, and need not be looked at together, is taken in one step.
        self._at_hand = enumerate(self.sized) if self.sized is not None and look_ahead is None else None
        self._ended: Ended[Request, Result]
        self._left: Callable[[Outcome[Request, Result], Work], None]

    async def run(
        self,
        ended: Ended[Request, Result],
        left: Callable[[Outcome[Request, Result], Work], None],
    ) -> None:
        """Do it all: `ended` is told of each outcome, `left` of those whose call was cut short."""
        self._ended, self._left = ended, left
        workers = self.max_concurrency if self.sized is None else min(self.max_concurrency, len(self.sized))
        alone: BaseException | None = None
        try:
            async with anyio.create_task_group() as self._group:
                for _ in range(workers):
                    self._group.start_soon(self._work)
        except BaseExceptionGroup as group:
            alone, *others = group.exceptions
            if others:
                raise
        finally:
            await self._source.aclose()
        if alone is not None:
            raise alone  # what the source or a callback raised, as it was raised

    async def _work(self) -> None:
        place = _Place(self)
        while not place.given_back and not self._stopped and self._seconds_left() > 0:
            item = await self._next()
            if item is None:
                break
            await self._one(*item, place)
        if place.given_back:
            self._in_doubt -= 1
            self._doubt_ended.set()
            self._doubt_ended = anyio.Event()

    def _seconds_left(self) -> float:
        return math.inf if self._until == math.inf else self._until - loop_time()

    async def _next(self) -> tuple[int, Request] | None:
        """The next request, when it may be sent; None if there is none by the deadline."""
        if self._until == math.inf:
            return await self._taken()
        waiting = asyncio.timeout_at(self._until)
        try:
            async with waiting:
                return await self._taken()
        except TimeoutError:
            if not waiting.expired():
                raise  # the source's own
            return None

    async def _taken(self) -> tuple[int, Request] | None:
        while self._in_doubt > _DOUBTS_PER_PLACE * self.max_concurrency:
            await self._doubt_ended.wait()
        if self._at_hand is not None:
            return next(self._at_hand, None)
        async with self._taking:
            return await anext(self._source, None)

    async def _one(self, index: int, request: Request, place: Place) -> None:
        try:
            if self.sized is None:
                self._check(request)
            work = self._start(request, self._seconds_left(), place)
        except MizarError as refused:
            await self._tell(Outcome(index, request, error=refused), None)
            return
        try:
            position = await work.run()
        except MizarError as failure:
            outcome: Outcome[Request, Result] = Outcome(index, request, error=failure, repeated=work.repeated)
        except BaseException:
            self._left(_outcome(index, request, work.leave()), work)
            raise
        else:
            outcome = Outcome(index, request, position, repeated=work.repeated)
        await self._tell(outcome, work)

    async def _tell(self, outcome: Outcome[Request, Result], work: Work | None) -> None:
        if outcome.error is not None and self._stop_on_error:
            self._stopped = True
        await self._ended(outcome, work)

    def replace(self) -> None:
        """A worker's call is in doubt: another worker takes its place."""
        self._in_doubt += 1
        self._group.start_soon(self._work)


class _Place:
    """A worker's place among those that send."""

    def __init__(self, bulk: Bulk[Any, Any]) -> None:
        self._bulk = bulk
        self.given_back = False

    def give_back(self) -> None:
        if not self.given_back:
            self.given_back = True
            self._bulk.replace()


def _outcome(index: int, request: Any, told: Any) -> Outcome[Any, Any]:
    if isinstance(told, MizarError):
        return Outcome(index, request, error=told)
    return Outcome(index, request, told)


def _check_all(requests: Collection[Any], check: Callable[[Any], object]) -> None:
    for index, request in enumerate(requests):
        try:
            check(request)
        except InvalidInput as refused:
            message = f"request {index}: {refused}"
        else:
            continue
        raise InvalidInput(message)


_END: Final = object()


async def _numbered(requests: Any, look_ahead: LookAhead | None) -> AsyncGenerator[tuple[int, Any]]:
    """The requests and their places. A plain iterator is stepped in a thread, so that it may block."""
    if isinstance(requests, list):
        for first in range(0, len(requests), _AHEAD):
            if look_ahead is not None:
                await look_ahead(requests[first : first + _AHEAD])
            for at in range(first, min(first + _AHEAD, len(requests))):
                yield at, requests[at]
    elif isinstance(requests, AsyncIterable):
        given, places = aiter(requests), itertools.count()
        try:
            async for request in given:
                yield next(places), request
        finally:
            if isinstance(given, AsyncGenerator):
                await given.aclose()
    else:
        stepped, places = iter(requests), itertools.count()
        step = functools.partial(anyio.to_thread.run_sync, next, stepped, _END, abandon_on_cancel=True)
        while (request := await step()) is not _END:
            yield next(places), request


async def gather(
    bulk: Bulk[Request, Result], on_progress: Progress | None, into: BulkResult[Request, Result] | None
) -> BulkResult[Request, Result]:
    """Do it all, and give one outcome for each request; whatever cuts it short carries what there is."""
    result: BulkResult[Request, Result] = BulkResult() if into is None else into
    result.outcomes.clear()
    began = loop_time()
    ended: dict[int, Outcome[Request, Result]] = {}

    async def keep(outcome: Outcome[Request, Result], _: Work | None) -> None:
        ended[outcome.index] = outcome
        if on_progress is not None:
            told = on_progress(len(ended), None if bulk.sized is None else len(bulk.sized))
            if inspect.isawaitable(told):
                await told

    def finish() -> None:
        requests = dict(enumerate(bulk.sized or ()))
        missing = requests.keys() - ended.keys()
        unreached = NotSent("not sent: the bulk call ended before its turn came")
        for index in missing:
            ended[index] = Outcome(index, requests[index], error=unreached)
        result.outcomes[:] = [ended[index] for index in sorted(ended)]
        result.elapsed = loop_time() - began

    try:
        await bulk.run(keep, lambda outcome, _: ended.__setitem__(outcome.index, outcome))
    except BaseException as cut_short:
        finish()
        cut_short.bulk_result = result  # type: ignore[attr-defined]
        raise
    finish()
    return result


async def stream(bulk: Bulk[Request, Result]) -> AsyncGenerator[Outcome[Request, Result]]:
    """Give outcomes as they come; a slow consumer slows the sending."""
    # Not a channel that hands an item to a waiting task: one that is cancelled at that moment would lose it. Here an
    # outcome is taken out in the step that gives it to the consumer.
    ready: deque[tuple[Outcome[Request, Result], Work | None]] = deque()
    room, filled, left = asyncio.Semaphore(bulk.max_concurrency), asyncio.Event(), False

    async def hand(outcome: Outcome[Request, Result], work: Work | None) -> None:
        try:
            await room.acquire()
        except BaseException:
            _abandon(work)
            raise
        if left:
            _abandon(work)
        else:
            ready.append((outcome, work))
            filled.set()

    # A task of its own: a task group can't be left open over a yield.
    task = asyncio.get_running_loop().create_task(bulk.run(hand, lambda _, work: work.abandon()))
    task.add_done_callback(lambda _: filled.set())
    try:
        while ready or not task.done():
            while ready:
                outcome, _ = ready.popleft()
                room.release()
                yield outcome
            filled.clear()
            if not task.done():
                await filled.wait()
        await task
    finally:
        left = True
        for _, work in ready:
            _abandon(work)
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])


def _abandon(work: Work | None) -> None:
    if work is not None:
        work.abandon()
