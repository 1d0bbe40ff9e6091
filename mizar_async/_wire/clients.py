"""Which httpx.AsyncClient sends the requests of a loop: one of ours, or the user's."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import threading
import urllib.request
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, Protocol

import httpx

from ..errors import InvalidInput, NotSent
from .pool import HostTransport
from .proxy import ProxyTransport
from .surroundings import Verify, proxy_for, tls_context

log = logging.getLogger("mizar_async")

HttpClient = httpx.AsyncClient | Callable[[], httpx.AsyncClient]
"""One of the user's, for one loop, or a function that makes one."""

_Held = weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, "tuple[AsyncGenerator[httpx.AsyncClient], httpx.AsyncClient]"
]
_inherited: Final[list[_Held]] = []


class LeanClient(httpx.AsyncClient):
    """A client that does what this API needs, and no more: no cookies, no redirects, no log line with the URL."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(transport=transport, trust_env=False)
        self._handle = transport.handle_async_request
        self.is_direct = isinstance(transport, HostTransport)
        """Whether its connections are ours: they keep the time, and give an answer that is complete."""
        self.asks_departure = isinstance(transport, HostTransport | ProxyTransport)
        """Whether the departure of a request is asked in the step that would write its first byte."""

    def send(self, request: httpx.Request, **_: Any) -> Any:
        """Send a request as it is. The body of its answer may not be read yet."""
        return self._handle(request)


class Clients(Protocol):
    """Where the client of a loop is found."""

    def here(self) -> httpx.AsyncClient | None:
        """The client of the running loop, if there is one."""
        ...

    def works_here(self) -> bool:
        """Whether calls can be made in the running loop, as far as is known."""
        ...

    async def of_this_loop(self) -> httpx.AsyncClient:
        """The client of the running loop. Raises `InvalidInput` or `NotSent` if there can be none."""
        ...

    async def aclose(self) -> None:
        """Close what is ours."""
        ...


def clients_for(
    url: str, verify: Verify, transport: httpx.AsyncBaseTransport | None, given: HttpClient | None
) -> Clients:
    """The clients for an address: the user's if one is given, over a transport of the user's, or our own.

    Raises `InvalidInput` for a proxy of the environment that can't be used.
    """
    if isinstance(given, httpx.AsyncClient):
        return OfTheUsers(given)
    if given is not None:
        return ByLoop(functools.partial(_made, given))
    if transport is not None:
        return Everywhere(transport)
    proxy = proxy_for(url, urllib.request.getproxies())
    tls = functools.cache(functools.partial(tls_context, url, verify))
    if proxy is None:
        return ByLoop(lambda: LeanClient(HostTransport(httpx.URL(url), tls())))
    return ByLoop(lambda: LeanClient(ProxyTransport(proxy, tls())))


class ByLoop:
    """A client for each running loop, made when it is first needed; it goes with its loop."""

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        # The generator is what closes a client: asyncio ends the generators of a loop with the loop.
        self._of: _Held = weakref.WeakKeyDictionary()
        self._pid = os.getpid()
        # Loops of several threads come and go. Reentrant, since a lifetime may be collected in the middle of a step.
        self._lock = threading.RLock()

    def here(self) -> httpx.AsyncClient | None:
        if self._pid != os.getpid():
            self._leave_the_parent()
        held = self._of.get(asyncio.get_running_loop())
        return None if held is None else held[1]

    def works_here(self) -> bool:
        client = self.here()
        return client is None or not client.is_closed

    async def of_this_loop(self) -> httpx.AsyncClient:
        """The client of the running loop, made if there is none."""
        if (client := self.here()) is not None:
            return client
        loop, client = asyncio.get_running_loop(), self._make()
        lifetime = _lifetime(client, weakref.ref(self), loop)
        await anext(lifetime)
        with self._lock:
            for ended in [other for other in list(self._of) if other.is_closed()]:
                self._of.pop(ended, None)
            self._of[loop] = lifetime, client
        return client

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """The client of a loop is closed."""
        with self._lock:
            self._of.pop(loop, None)

    def _leave_the_parent(self) -> None:
        # A forked child shares the sockets of its parent's loops: it neither uses nor closes them.
        _inherited.append(self._of)
        self._of, self._pid = weakref.WeakKeyDictionary(), os.getpid()
        self._lock = threading.RLock()  # another thread of the parent may have held it

    async def aclose(self) -> None:
        """Close the clients of every loop."""
        here = asyncio.get_running_loop()
        if self._pid != os.getpid():
            self._leave_the_parent()
        with self._lock:
            held = list(self._of.items())
        for loop, (lifetime, _) in held:
            if loop is here:
                await lifetime.aclose()
            elif loop.is_running():
                closing = _closing(lifetime)
                try:
                    asyncio.run_coroutine_threadsafe(closing, loop)
                except RuntimeError:  # it has been closed just now, and its connections with it
                    closing.close()


async def _lifetime(
    client: httpx.AsyncClient, owner: weakref.ref[ByLoop], loop: asyncio.AbstractEventLoop
) -> AsyncGenerator[httpx.AsyncClient]:
    # It knows its owner only weakly, so that one that is dropped goes at once, and its connections are closed.
    try:
        yield client
    finally:
        if (held := owner()) is not None:
            held.forget(loop)
        try:
            await client.aclose()
        except Exception as failure:  # noqa: BLE001 - one of the user's may raise anything
            log.warning("a client of httpx could not be closed: %s", type(failure).__name__)


async def _closing(lifetime: AsyncGenerator[httpx.AsyncClient]) -> None:
    await lifetime.aclose()


class Everywhere:
    """One client of ours in every loop, over a transport of the user's, which is the user's to close."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._client = LeanClient(transport)

    def here(self) -> httpx.AsyncClient:
        return self._client

    def works_here(self) -> bool:
        return True

    async def of_this_loop(self) -> httpx.AsyncClient:
        return self._client

    async def aclose(self) -> None:
        """Close nothing."""


# The loop that a client of the user's was first used in: its connections belong there.
_homes: weakref.WeakKeyDictionary[httpx.AsyncClient, weakref.ref[asyncio.AbstractEventLoop]]
_homes = weakref.WeakKeyDictionary()


class OfTheUsers:
    """A client of the user's, in one loop; it is the user's to close."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    def here(self) -> None:
        """It is looked up anew for each call: another may use it in another loop."""

    def works_here(self) -> bool:
        home = _homes.get(self._client)
        return not self._client.is_closed and (home is None or home() is asyncio.get_running_loop())

    async def of_this_loop(self) -> httpx.AsyncClient:
        """The client. Raises `InvalidInput` in a second loop."""
        return at_home(self._client)

    async def aclose(self) -> None:
        """Close nothing."""


def at_home(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same, or InvalidInput if it was used in another loop before."""
    loop = asyncio.get_running_loop()
    if _homes.setdefault(client, weakref.ref(loop))() is not loop:
        raise InvalidInput(
            f"http_client, of {type(client).__name__}, is refused in this event loop: its connections belong to the "
            "loop it was first used in; pass a function that makes a new one for each loop"
        )
    return client


def _made(make: Callable[[], httpx.AsyncClient]) -> httpx.AsyncClient:
    """What a function of the user's makes, if it is a client for this loop."""
    try:
        client: Any = make()
    except Exception as failure:  # noqa: BLE001 - it may raise anything, and nothing was sent
        reason = f"{type(failure).__name__}: {failure}"
    else:
        if isinstance(client, httpx.AsyncClient):
            return at_home(client)
        if inspect.iscoroutine(client):
            client.close()
        raise InvalidInput(
            f"http_client={make!r} is refused: it made {type(client).__name__}, and must make a new httpx.AsyncClient"
        )
    raise NotSent(f"not sent: the function http_client failed ({reason})")
