"""An httpx transport of our own: the connections of one loop to one host.

It bounds their number nowhere, since its callers do, and sends nothing again. What is certain: `httpx.ConnectError`
says that nothing was sent. It is raised for whatever goes wrong before the first byte, and for nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from typing import Any, Final

import aiohappyeyeballs
import httpx

from .http1 import Connection
from .messages import Complete, Ready
from .unpacking import Broken

MAY_LEAVE: Final = "mizar_may_leave"
"""The extension of a request that is asked in the step which would write its first byte: it is not if that says no."""


class HostTransport(httpx.AsyncBaseTransport):
    """GET and POST to one host, whatever host a request names. It belongs to the loop it is made in.

    Of the time-outs of a request, `connect` is for all until there is a connection, and `read` for the whole of it.
    """

    def __init__(self, url: httpx.URL, tls: ssl.SSLContext | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._host, self._port, self._tls = url.host, url.port or (443 if tls else 80), tls
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._lookup: asyncio.Task[list[Any]] | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(request, Ready):
            request = Ready.made(request.method, request.url, request.headers).filled(
                await request.aread(), request.extensions
            )
        timeouts = request.extensions["timeout"]
        due = self._loop.time() + timeouts["read"]
        connection = await self._taken() or await self._connected(timeouts["connect"])
        error: httpx.TransportError
        try:
            may_leave = request.extensions.get(MAY_LEAVE)
            if may_leave is None or may_leave():
                return Complete.of(await connection.ask(request.head, request.body, due))
            error = httpx.ConnectError("it took too long until it could leave")
        except TimeoutError:
            error = httpx.ReadTimeout("no answer came in time")
        except Broken as broken:
            error = httpx.ReadError(str(broken))
        finally:
            if connection.rest() and not self._closed:
                self._idle.append(connection)
            else:
                connection.drop()
        # Outside of the handlers, so that no exception that knows the request and its headers hangs on it.
        raise error

    async def _taken(self) -> Connection | None:
        """The connection that has been idle for the longest time, so that whatever else it had to say may have come."""
        while self._idle:
            connection = self._idle.popleft()
            if await self._is_fit(connection):
                return connection
            connection.drop()
        return None

    async def _is_fit(self, connection: Connection) -> bool:
        # Under TLS what has come may be of TLS itself, such as tickets for its sessions: the loop takes that first.
        turns = 10 if self._tls else 0
        while turns and connection.is_readable():
            await asyncio.sleep(0)
            turns -= 1
        return connection.is_fit() and not self._closed

    async def _connected(self, seconds: float) -> Connection:
        if self._closed:
            raise httpx.ConnectError("the connections were closed")
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connection()
        except TimeoutError:
            reason = f"there was none within {seconds:.3g} s"
        except Exception as failure:  # noqa: BLE001 - names, addresses and TLS fail in many ways
            reason = str(failure) or type(failure).__name__
        else:
            self._open.add(connection)
            connection.gone.add_done_callback(lambda _: self._open.discard(connection))
            if await self._is_fit(connection):
                return connection
            connection.drop()
            reason = "the server closed it at once, or speaks something else than HTTP/1.1"
        raise httpx.ConnectError(reason)

    async def _connection(self) -> Connection:
        # Beside an address that does not answer, the next is tried after as long as RFC 8305 recommends.
        made = await aiohappyeyeballs.start_connection(await self._addresses(), happy_eyeballs_delay=0.25)
        name = self._host.rstrip(".") if self._tls else None  # whose certificate it is, and that has no closing dot
        _, connection = await self._loop.create_connection(
            lambda: Connection(self._loop), sock=made, ssl=self._tls, server_hostname=name
        )
        return connection

    async def _addresses(self) -> list[Any]:
        """Where the host is. One look-up serves all that wait for it, and goes on when one of them leaves."""
        with contextlib.suppress(OSError):  # it is a name
            return socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        if self._lookup is None or self._lookup.done():
            looked_up = self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._lookup = asyncio.ensure_future(looked_up)
            self._lookup.add_done_callback(lambda done: done.cancelled() or done.exception())  # also if all have left
        return await asyncio.shield(self._lookup)

    async def aclose(self) -> None:
        """Close every connection at once, and wait until the loop has let them go."""
        self._closed = True
        for connection in list(self._open):
            connection.drop()
        if self._open:
            await asyncio.wait([connection.gone for connection in self._open])
