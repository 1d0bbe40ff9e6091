"""The way from one client to its server, and the one frame of every attempt.

    turn       the limiter lets it go
    time left  an attempt without any is not sent
    leaving    the call notes it, before the first byte
    exchange   request, answer, what it means; a write in flight has a grace when its caller is cancelled
    ended      the call notes that, also after its caller has gone

What has to be imported and connected is, before a call's time begins.
"""

from __future__ import annotations

import asyncio
import logging
import random
import urllib.request
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio
import attrs

from .._api.codec import decode, encode
from .._api.endpoints import Endpoint, Repeat
from .._api.exchange import Answer, NoAnswer, Request
from .._api.meaning import unanswered
from .._clock import Clock, loop_time, unstepped
from .._options import Options
from ..errors import MizarError, NotSent, OutcomeUnknown, RateLimited, Unavailable
from .address import Address, ApiKey
from .heart import heart
from .loading import STOCK, load
from .rate_limit import Lane
from .retries import is_harmless, repeated
from .turns import Turns

if TYPE_CHECKING:
    import ssl

    import httpx

    from .clients import HttpClient
    from .wire import Wire

T = TypeVar("T")

log = logging.getLogger("mizar_async")


class Attempt(Protocol[T]):
    """What a call notes of its attempts. What it returns is waited for; no method waits by itself."""

    is_prompt: bool
    """Whether it does not leave any more once half of its time is gone, though it might be answered still."""

    def leaving(self, attempts: int, at: float, timeout: float) -> Awaitable[NotSent | None] | None:
        """The request is about to leave, the `attempts`-th of its call. May raise NotSent: then it does not.

        What it returns has to be done before the first byte, and may tell that it does not leave.
        """
        ...

    def ended(self, result: T | MizarError, at: float) -> T | MizarError:
        """It was answered, or failed; returns what that is to the caller, who may have gone."""
        ...

    def told(self) -> Awaitable[MizarError | None] | None:
        """What has to be done before the caller is told. It may give an error that takes the result's place."""
        ...


class Readiness(Protocol):
    """What a call has to wait for before it begins."""

    @property
    def is_ready(self) -> bool:
        """Whether there is nothing."""
        ...

    async def get_ready(self, patience: float) -> None:
        """Wait for it, for so many seconds at most."""


@attrs.define(eq=False)
class Channel:
    """Address, key, turns, connections, clock and chance of one client."""

    name: str
    address: Address
    key: ApiKey
    turns: Turns
    clock: Clock
    rng: random.Random
    patience: float
    """Seconds that a question may take which the client asks by itself."""
    verify: ssl.SSLContext | str | None = None
    transport: httpx.AsyncBaseTransport | None = attrs.field(default=None, repr=False)
    http_client: HttpClient | None = attrs.field(default=None, repr=False)
    readiness: Readiness | None = attrs.field(default=None, repr=False)
    closed: bool = False
    prices: str | None = attrs.field(default=None, init=False)
    """Which prices a paper venue has said that it has."""
    _wire: Wire | None = attrs.field(default=None, init=False, repr=False)

    async def begin(self, deadline: float) -> float:
        """Make ready what the calls of this loop need, and give the time until which a call has then.

        Raises NotSent or InvalidInput if there can be no connections.
        """
        self.check_open()
        if heart.is_guarded:
            heart.beat_in(asyncio.get_running_loop())
        if self.readiness is not None and not self.readiness.is_ready:
            await self.readiness.get_ready(deadline)
        if self._wire is not None and self._wire.is_ready:
            return loop_time() + deadline
        try:
            await (await self._made()).get_ready()
        except MizarError:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever a machine can't do for a connection, nothing left it
            reason = f"{type(failure).__name__}: {failure}"
        else:
            return loop_time() + deadline
        raise NotSent(f"not sent: no connection can be made ready ({reason})")

    def works_here(self) -> bool:
        """Whether calls can be made in the running loop, as far as is known."""
        if self._wire is None:
            return self.http_client is None or callable(self.http_client)
        return self._wire.works_here

    def check_open(self) -> None:
        """Raise NotSent if the client was closed."""
        if self.closed:
            raise NotSent("not sent: this client is closed; make a new one")

    async def _made(self) -> Wire:
        if self._wire is None:
            await load(*(STOCK if self.http_client is not None or urllib.request.getproxies() else ()))
            from .wire import Wire

            if self._wire is None:
                log.info("calls go to %s", self.name)
                self._wire = Wire(
                    self.address,
                    self.key,
                    verify=self.verify,
                    transport=self.transport,
                    http_client=self.http_client,
                )
        return self._wire

    async def attempt(
        self,
        endpoint: Endpoint[T],
        request: Request,
        *,
        lane: Lane,
        attempts: int,
        options: Options,
        until: float,
        notes: Attempt[T],
    ) -> T:
        """Make one attempt of a call, the `attempts`-th. It ends by its time-out, or by `until`."""
        self.check_open()
        wire = self._wire or await self._made()
        async with self.turns.turn(lane, until):
            now = loop_time()
            timeout = min(options.timeout, until - now)
            if timeout <= 0:
                raise NotSent(f"{endpoint.path} was not sent: its deadline passed while it waited for its turn")
            before = notes.leaving(attempts, now, timeout)
            loop = asyncio.get_running_loop()
            exchange = _Exchange(self, wire, endpoint, request, timeout, attempts, notes, loop, before)
            return await (exchange.run() if endpoint.repeat is Repeat.HARMLESS else exchange.in_grace(options.grace))

    async def perform(self, endpoint: Endpoint[T], ask: object, options: Options, lane: Lane = Lane.OTHERS) -> T:
        """Make a call that needs no follow-up, again where that is certain to be harmless, within the deadline."""
        return await self.ask(endpoint, encode(endpoint, ask), options, lane)

    async def ask(self, endpoint: Endpoint[T], request: Request, options: Options, lane: Lane = Lane.OTHERS) -> T:
        """The same of a request that has been written already."""
        until = await self.begin(options.deadline)
        notes = _Alone[T]()

        async def attempt(attempts: int) -> T:
            try:
                return await self.attempt(
                    endpoint, request, lane=lane, attempts=attempts, options=options, until=until, notes=notes
                )
            except NotSent as failure:
                unsent = failure
            if endpoint.repeat is not Repeat.HARMLESS or self.closed:
                raise unsent
            raise Unavailable(
                f"{endpoint.path}: {unsent}", method=endpoint.method, path=endpoint.path, attempts=unsent.attempts
            )

        try:
            return await repeated(attempt, again=is_harmless, options=options, until=until, rng=self.rng)
        except asyncio.CancelledError:
            if isinstance(notes.last, OutcomeUnknown):  # which nobody is told otherwise
                log.warning("a call was cancelled, and its outcome is unknown: %s", notes.last)
            raise

    async def aclose(self) -> None:
        self.closed = True
        if self._wire is not None:
            await self._wire.aclose()


@attrs.define(eq=False)
class _Exchange(Generic[T]):
    """One request on its way, noted exactly once."""

    channel: Channel
    wire: Wire
    endpoint: Endpoint[T]
    request: Request
    timeout: float
    attempts: int
    notes: Attempt[T]
    loop: asyncio.AbstractEventLoop
    before: Awaitable[NotSent | None] | None
    began: float = attrs.field(factory=unstepped)
    """When it began, by a clock that counts what the machine slept."""
    noted: bool = False
    sending: bool = False
    left: bool = False
    """True once its caller has gone."""
    task: asyncio.Task[T] | None = None
    done: asyncio.Future[None] = attrs.field(init=False)

    def may_leave(self) -> bool:
        """Whether the first byte may be written: its caller is there, and it is not too late. It is, then."""
        is_late = self.notes.is_prompt and unstepped() - self.began > self.timeout / 2
        self.sending = not (self.left or is_late)
        return self.sending

    async def run(self) -> T:
        """Do it, and wake the caller in the last step of that: a callback of its task would do so a step later."""
        try:
            result = self._note(await self._exchanged())
            if (told := self.notes.told()) is not None and (failure := await told) is not None:
                result = failure
        finally:
            self._lose()
            if self.task is not None and not self.done.done() and not self.loop.is_closed():
                self.done.set_result(None)
                self.task.remove_done_callback(self._end)
        if isinstance(result, MizarError):
            raise result
        return result

    async def _exchanged(self) -> T | MizarError:
        left = self.timeout
        if self.before is not None:
            began = self.loop.time()
            if (refused := await self.before) is not None:
                return refused
            left -= self.loop.time() - began
        if left <= 0:
            return self._read(NoAnswer(sent=False, reason="its time was over before it could leave"))
        return self._read(await self.wire.send(self.request, left, self))

    async def in_grace(self, grace: float) -> T:
        """Go on for a while when the caller is cancelled; a second cancellation leaves at once."""
        self.done = self.loop.create_future()
        self.task = task = self.loop.create_task(self.run())
        task.add_done_callback(self._end)
        try:
            await self.done
        except asyncio.CancelledError:
            self.left = True
            try:
                # Scopes of anyio cancel again and again; only the first counts here.
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([task], timeout=grace if self.sending else 0)
            finally:
                self._lose()  # before the caller leaves, who may leave without waiting any more
                task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])
            self._end(task)
            raise
        return task.result()

    def _end(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # which is known then, also where nobody waits for it any more
        if not self.done.done():
            self.done.set_result(None)  # it was cancelled before its first step

    def _note(self, result: T | MizarError) -> T | MizarError:
        self.noted = True
        return self.notes.ended(result, self.loop.time())  # which may have ended: then this is its garbage's last word

    def _lose(self) -> None:
        if not self.noted:
            lost = NoAnswer(sent=self.sending, reason="its caller left before an answer came")
            self._note(unanswered(self.endpoint, lost, self.attempts))

    def _read(self, answer: Answer | NoAnswer) -> T | MizarError:
        turns, key = self.channel.turns, self.channel.key
        if self.request.key_in_body:  # which a server may repeat also where it has done it
            answer = key.hidden_in(answer)
        if isinstance(answer, Answer) and answer.status != 429:
            turns.answered()
            self.channel.prices = answer.prices or self.channel.prices
        try:
            return decode(self.endpoint, answer, now=self.channel.clock.now(), attempts=self.attempts)
        except MizarError as failed:
            failure = failed
        if (hidden := key.hidden_in(answer)) is not answer:  # not in the handler: its error would hang on the other
            return self._read(hidden)
        if isinstance(failure, RateLimited):
            turns.pause(failure.retry_after)
        return failure


class _Alone(Attempt[T]):
    """Of a call that leaves nothing for the client to find out."""

    is_prompt = False
    last: T | MizarError | None = None

    def leaving(self, attempts: int, at: float, timeout: float) -> None:
        self.last = None

    def ended(self, result: T | MizarError, at: float) -> T | MizarError:
        self.last = result
        return result

    def told(self) -> None:
        pass
