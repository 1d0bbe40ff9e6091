"""One HTTP exchange, through a client of httpx: what leaves, what came back, and whether the server may have acted.

What is certain: nothing was sent before the departure was asked, and nothing where httpx says `ConnectError` of this
request, or `ProxyError`, which comes before there is a tunnel. Every other failure is doubt.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine
from typing import Any, Final, Protocol

import anyio
import httpx

from .._api.codec import with_key
from .._api.exchange import PRICES, Answer, NoAnswer, Request
from .._version import installed_version
from ..errors import MizarError
from .address import Address, ApiKey
from .clients import HttpClient, LeanClient, clients_for
from .http1 import Answered
from .leaving import Leaving
from .messages import Ready
from .pool import MAY_LEAVE
from .surroundings import Verify
from .unpacking import Broken, check_size, unpacked

# The share of an attempt's time that may pass before there is a connection. It is less than all of it, so that a
# host that can't be reached is known as such: when the attempt itself runs out, something may have been sent.
_CONNECT_SHARE: Final = 0.9

# What a transport of the user's may take to let go of an answer.
_CLOSING_SECONDS: Final = 1.0


class Departure(Protocol):
    """Asked in the step that would write the first byte of a request, or before, where that step is another's."""

    sending: bool
    """Whether it has left: what comes of it then is doubt until it is answered."""

    def may_leave(self) -> bool:
        """Whether it may leave; it does then, and `sending` says so."""
        ...


class Wire:
    """Sends requests, and says what came of each: an answer, or that there is none. It raises nothing of its own."""

    def __init__(
        self,
        address: Address,
        key: ApiKey,
        *,
        verify: Verify = None,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: HttpClient | None = None,
    ) -> None:
        base = httpx.URL(address.url)
        self._standing = (
            (b"Host", base.netloc),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"gzip, deflate"),
            (b"User-Agent", f"mizar-python/{installed_version()}".encode()),
        )
        self._key = key
        self._clients = clients_for(address.url, verify, transport, http_client)
        # A bulk of ten thousand closes has one address and three lengths of body: what is ready is not built again.
        self._url = functools.lru_cache(maxsize=1024)(base.join)
        self._headers = functools.lru_cache(maxsize=1024)(self._headers_of)
        self._ready = functools.lru_cache(maxsize=1024)(self._ready_for)

    @property
    def is_ready(self) -> bool:
        """Whether there is a client for the running loop."""
        return self._clients.here() is not None

    @property
    def works_here(self) -> bool:
        """Whether calls can be made in the running loop, as far as is known."""
        return self._clients.works_here()

    async def get_ready(self) -> None:
        """Prepare the client of the running loop, before anybody is told that something leaves.

        Raises `InvalidInput` or `NotSent` if there can be none: certificates or a proxy that can't be used.
        """
        await self._clients.of_this_loop()

    async def send(self, request: Request, timeout: float, departure: Departure) -> Answer | NoAnswer:
        """Make one exchange; it ends within `timeout` seconds, whatever the server does."""
        unsent = False
        try:
            client = self._clients.here() or await self._clients.of_this_loop()
            if isinstance(client, LeanClient) and client.is_direct:
                body = self._body(request)
                length = None if body is None else len(body)
                ready = self._ready(request.method, request.path, length, request.content_type, request.key_in_body)
                extensions = _extensions(timeout)
                extensions[MAY_LEAVE] = departure.may_leave
                response = await client.send(ready.filled(body or b"", extensions))
                return _read(response.answered)
            return await self._exchanged(client, self._built(request, timeout, client), timeout, departure)
        except MizarError as refused:
            reason = str(refused)
        except (TimeoutError, httpx.ReadTimeout):
            reason = f"no answer within {timeout:g} s"
        except httpx.ConnectError as failure:
            reason, unsent = f"no connection: {failure}", True
        except (httpx.HTTPError, Broken) as failure:
            reason = f"the connection failed: {str(failure) or type(failure).__name__}"
        except asyncio.CancelledError as failure:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            reason = f"the transport failed: {type(failure).__name__}"  # it was something in it that was cancelled
        except Exception as failure:  # noqa: BLE001 - what is the user's may raise anything, and it is doubt
            reason = f"the transport failed: {type(failure).__name__}"
        return NoAnswer(departure.sending and not unsent, reason)

    async def _exchanged(
        self, client: httpx.AsyncClient, request: httpx.Request, timeout: float, departure: Departure
    ) -> Answer:
        if isinstance(client, LeanClient) and client.asks_departure:
            request.extensions[MAY_LEAVE] = departure.may_leave
            async with asyncio.timeout(timeout):
                return await _complete(await client.send(request))
        if client.is_closed or not departure.may_leave():
            raise httpx.ConnectError("the client was closed" if client.is_closed else "it was too late to leave")
        leaving = request.extensions["trace"] = Leaving()
        try:
            if isinstance(client, LeanClient):
                async with asyncio.timeout(timeout):
                    return await _complete(await client.send(request))
            return await _within(timeout, _through(client, request))
        except (httpx.ConnectError, httpx.ProxyError) as failure:
            reason = str(failure)
            if leaving.has_left or not _is_about(request, failure, without=isinstance(client, LeanClient)):
                raise httpx.ReadError(reason) from None
        raise httpx.ConnectError(reason)

    def _built(self, request: Request, timeout: float, client: httpx.AsyncClient) -> httpx.Request:
        body = self._body(request)
        headers = self._headers(None if body is None else len(body), request.content_type, request.key_in_body)
        if not isinstance(client, LeanClient):
            own = [pair for pair in client.headers.raw if pair[0].decode("latin-1") not in headers]
            headers = httpx.Headers([*headers.raw, *own])
        url, extensions = self._url(request.path), _extensions(timeout)
        stream = httpx.ByteStream(body or b"")
        built = httpx.Request(request.method, url, headers=headers, stream=stream, extensions=extensions)
        built.read()  # so that hooks can
        return built

    def _body(self, request: Request) -> bytes | None:
        if request.key_in_body and request.body is not None:
            return with_key(request.body, self._key.reveal())
        return request.body

    def _ready_for(self, method: str, path: str, length: int | None, content_type: str, key_in_body: bool) -> Ready:
        return Ready.made(method, self._url(path), self._headers(length, content_type, key_in_body))

    def _headers_of(self, length: int | None, content_type: str, key_in_body: bool) -> httpx.Headers:
        key = () if key_in_body else ((b"mizar-api-key", self._key.reveal().encode("ascii")),)
        kind = (b"Content-Type", content_type.encode("ascii"))
        body = () if length is None else (kind, (b"Content-Length", b"%d" % length))
        return httpx.Headers([*self._standing, *key, *body])

    async def aclose(self) -> None:
        """Close the clients of every loop; what the user passed is the user's to close."""
        await self._clients.aclose()


def _extensions(timeout: float) -> dict[str, Any]:
    connect = timeout * _CONNECT_SHARE
    return {"timeout": {"connect": connect, "read": timeout, "write": timeout, "pool": connect}}


def _read(answered: Answered) -> Answer:
    """An answer of our own connections, which have read it to its end."""
    fields: dict[bytes, bytes] = {}
    for name, value in answered.headers:
        key = name.lower()
        fields[key] = b"%b, %b" % (fields[key], value) if key in fields else value
    body, packed = answered.body, fields.get(b"content-encoding")
    after, prices = (None if (field := fields.get(name)) is None else field.decode("latin-1") for name in _SAID)
    return Answer(
        answered.status,
        fields.get(b"content-type", b"").decode("latin-1"),
        body if packed is None else unpacked(body, packed.decode("latin-1")),
        after,
        prices,
    )


_SAID: Final = (b"retry-after", PRICES.encode())


async def _within(seconds: float, doing: Coroutine[Any, Any, Answer]) -> Answer:
    """What a client of the user's does, which may not end when it is cancelled, or be cancelled by itself."""
    task = asyncio.ensure_future(doing)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        task.cancel()
    if not task.done():
        raise TimeoutError
    return task.result()


async def _through(client: httpx.AsyncClient, request: httpx.Request) -> Answer:
    try:
        response = await client.send(request, stream=True, follow_redirects=False)
    except httpx.HTTPStatusError as raised:  # by a hook of the user's, which may have asked for something else
        if raised.request is not request:
            raise
        response = raised.response
    return await _complete(response)


def _is_about(request: httpx.Request, failure: httpx.RequestError, *, without: bool) -> bool:
    """Whether a failure is that of this request, not of one that a hook has made; `without` if it names none."""
    try:
        return failure.request is request
    except RuntimeError:
        return without


async def _complete(response: httpx.Response) -> Answer:
    """Read an answer to its end, up to the largest that is read."""
    headers = response.headers
    if response.is_stream_consumed or response.is_closed:
        body = _content(response)
    else:
        body = unpacked(await _collected(response), headers.get("content-encoding", ""))
    after, prices = headers.get("retry-after"), headers.get(PRICES)
    return Answer(int(response.status_code), headers.get("content-type", ""), body, after, prices)


def _content(response: httpx.Response) -> bytes:
    try:
        check_size(len(response.content))
    except httpx.ResponseNotRead:  # a hook has closed it, and its status is all there is
        return b""
    return response.content


async def _collected(response: httpx.Response) -> bytes:
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            check_size(len(body))
    finally:
        with anyio.move_on_after(_CLOSING_SECONDS, shield=True):
            await response.aclose()
    return bytes(body)
