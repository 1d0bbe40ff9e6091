"""The way from one client to its server: what all views of the client share."""

from __future__ import annotations

import asyncio
import importlib
import logging
import random
import sys
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from .._account.account import Account
from .._api.codec import decode, encode
from .._api.endpoints import Endpoint, Repeat
from .._api.exchange import Answer, Request
from .._clock import Clock, loop_time
from .._options import Options
from ..errors import NotSent, RateLimited, Unavailable
from .address import Address, ApiKey
from .in_flight import in_grace
from .rate_limit import Lane
from .retries import repeated

if TYPE_CHECKING:
    import ssl

    import httpx

    from .transport import Wire

T = TypeVar("T")

log = logging.getLogger("mizar_async")

_TRANSPORT: Final = "mizar_async._wire.transport"


@attrs.define(eq=False)
class Channel:
    """Address, key, connections, clock and chance of one client, and the account that it shares with others."""

    address: Address
    key: ApiKey
    account: Account
    clock: Clock
    rng: random.Random
    verify: ssl.SSLContext | str | None = None
    transport: httpx.AsyncBaseTransport | None = attrs.field(default=None, repr=False)
    closed: bool = False
    _wire: Wire | None = attrs.field(default=None, init=False, repr=False)

    async def wire(self) -> Wire:
        """The connections, made by the first call. Raises NotSent if the client was closed."""
        if self._wire is None:
            if _TRANSPORT not in sys.modules:
                # httpx and aiohttp take a third of a second to import: too long for a loop that has other work.
                await asyncio.to_thread(importlib.import_module, _TRANSPORT)
            from .transport import Wire

            if self._wire is None:
                log.info("calls go to %s", self.account.name)
                self._wire = Wire(self.address, self.key, verify=self.verify, transport=self.transport)
        if self.closed:
            raise NotSent("not sent: this client is closed; make a new one")
        return self._wire

    async def exchange(self, endpoint: Endpoint[T], request: Request, *, timeout: float, attempts: int) -> T:
        """Send one request that has its turn, and give what its answer means."""
        wire = await self.wire()
        result = await wire.send(request, timeout)
        try:
            answer = decode(endpoint, result, now=self.clock.now(), attempts=attempts)
        except RateLimited as limited:
            self.account.turns.pause(limited.retry_after)
            raise
        finally:
            if isinstance(result, Answer) and result.status != 429:
                self.account.turns.answered()
        return answer

    async def perform(self, endpoint: Endpoint[T], ask: object, options: Options, lane: Lane = Lane.OTHERS) -> T:
        """Make a call that needs no follow-up, again where that is certain to be harmless, within the deadline.

        A write that is cancelled in flight has the grace to end.
        """
        request = encode(endpoint, ask)
        until = loop_time() + options.deadline
        reading = endpoint.repeat is Repeat.HARMLESS

        async def attempt(number: int) -> T:
            try:
                async with self.account.turns.turn(lane, until):
                    patience = min(options.timeout, until - loop_time())
                    exchange = self.exchange(endpoint, request, timeout=patience, attempts=number)
                    return await (exchange if reading else in_grace(exchange, options.grace))
            except NotSent as failure:
                unsent = failure
            if not reading:
                raise unsent
            raise Unavailable(
                f"{endpoint.path}: {unsent}", method=endpoint.method, path=endpoint.path, attempts=unsent.attempts
            )

        return await repeated(attempt, options=options, until=until, rng=self.rng)

    async def aclose(self) -> None:
        self.closed = True
        if self._wire is not None:
            await self._wire.aclose()
