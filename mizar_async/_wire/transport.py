"""One HTTP exchange, and the connections of each loop. The only module that imports httpx and aiohttp.

Requests are handed to an httpx transport as they are, without `AsyncClient.send` around it: that would
keep cookies, write a log line with the URL for each call, and take as long as the rest of the call.

What is certain: only `httpx.ConnectError` says that nothing was sent. Our own transport raises it for whatever
went wrong before there was a connection, and for nothing else; a connection that was lost later is doubt.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import urllib.request
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from .._api.exchange import Answer, NoAnswer, Request
from .._version import installed_version
from ..errors import InvalidInput, MizarError, NotSent
from .address import Address, ApiKey, is_host, is_loopback

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

LARGEST_ANSWER: Final = 64 * 2**20

# Servers of this kind close an idle connection after 5 s; one that is dropped before can't be lost in use.
_IDLE_SECONDS: Final = 3.5

# The share of an attempt's time that may pass before there is a connection. It is less than all of it, so that a
# host that can't be reached is known as such: when the attempt itself runs out, something may have been sent.
_CONNECT_SHARE: Final = 0.9

Verify = ssl.SSLContext | str | None


class Wire:
    """Sends requests, and says what came of each: an answer, or that there is none. It raises nothing of its own."""

    def __init__(
        self, address: Address, key: ApiKey, *, verify: Verify, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        base = httpx.URL(address.url)
        standing = (
            (b"Host", base.netloc),
            (b"Accept", b"application/json"),
            (b"User-Agent", f"mizar-python/{installed_version()}".encode()),
            (b"mizar-api-key", key.reveal().encode("ascii")),
        )
        self._connections = None if transport else Connections(address.url, verify)
        self._transport = transport
        # A bulk of ten thousand closes has one address and three lengths of body: what is ready is not built again.
        self._url = functools.lru_cache(maxsize=1024)(base.join)
        self._headers = functools.lru_cache(maxsize=1024)(functools.partial(_headers, standing))

    async def ready(self) -> None:
        """Prepare the connections of the running loop, before anybody is told that something leaves.

        Raises `InvalidInput` or `NotSent` if there can be none: certificates or a proxy that can't be used.
        """
        if self._connections is not None:
            await self._connections.of_this_loop()

    async def send(
        self, request: Request, timeout: float, may_leave: Callable[[], bool] | None = None
    ) -> Answer | NoAnswer:
        """Make one exchange; it ends within `timeout` seconds, whatever the server does.

        `may_leave` is asked in the step that would write the first byte: nothing does if it says no.
        """
        reason, sent = "", True
        try:
            transport = self._transport or await self._connections.of_this_loop()  # type: ignore[union-attr]
        except MizarError as refused:
            return NoAnswer(sent=False, reason=str(refused))
        try:
            async with asyncio.timeout(timeout):
                built = self._built(request, timeout)
                if may_leave is not None:
                    _check_leave(may_leave)
                    built.extensions[MAY_LEAVE] = may_leave
                response = await transport.handle_async_request(built)
                return await _complete(response)
        except TimeoutError:
            reason = f"no answer within {timeout:g} s"
        except httpx.ConnectError as failure:
            reason, sent = f"no connection: {failure}", False
        except httpx.HTTPError as failure:
            reason = f"the connection failed: {str(failure) or type(failure).__name__}"
        except Exception as failure:  # noqa: BLE001 - a transport of the user's may raise anything, and it is doubt
            reason = f"the transport failed: {type(failure).__name__}"
        return NoAnswer(sent, reason)

    def _built(self, request: Request, timeout: float) -> httpx.Request:
        extensions = {
            "timeout": {"connect": timeout * _CONNECT_SHARE, "read": timeout, "write": timeout, "pool": timeout}
        }
        length = None if request.body is None else len(request.body)
        return httpx.Request(
            request.method,
            self._url(request.path),
            headers=self._headers(length),
            stream=httpx.ByteStream(request.body or b""),
            extensions=extensions,
        )

    async def aclose(self) -> None:
        """Close the connections of every loop; a transport that the user passed is the user's to close."""
        if self._connections is not None:
            await self._connections.aclose()


def _headers(standing: tuple[tuple[bytes, bytes], ...], length: int | None) -> httpx.Headers:
    body = () if length is None else ((b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % length))
    return httpx.Headers([*standing, *body])


async def _complete(response: httpx.Response) -> Answer | NoAnswer:
    """Read an answer to its end, up to the largest that is accepted."""
    stream = response.stream
    if isinstance(stream, _Whole):
        body, too_large = stream.body, False
    elif response.is_stream_consumed:
        body, too_large = response.content, len(response.content) > LARGEST_ANSWER
    else:
        body, too_large = await _collected(response)
    if too_large:
        return NoAnswer(sent=True, reason=f"the answer is larger than {LARGEST_ANSWER // 2**20} MiB")
    headers = response.headers
    return Answer(response.status_code, headers.get("content-type", ""), body, headers.get("retry-after"))


async def _collected(response: httpx.Response) -> tuple[bytes, bool]:
    chunks, size = [], 0
    try:
        async for chunk in response.aiter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER:
                return b"", True
    finally:
        await response.aclose()
    return b"".join(chunks), False


class _Whole(httpx.ByteStream):
    """A body that has been read and decoded."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.body = body


_ByLoop = weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, "tuple[AsyncGenerator[AiohttpTransport], AiohttpTransport]"
]
_inherited: list[_ByLoop] = []


class Connections:
    """A transport for each running loop, made when first needed; it goes with its loop."""

    def __init__(self, url: str, verify: Verify) -> None:
        self._tls = functools.cache(functools.partial(_tls_context, url, verify))
        self._proxy = proxy_for(url, urllib.request.getproxies())
        # The generator is what closes the connections: asyncio ends the generators of a loop with the loop.
        self._of: _ByLoop = weakref.WeakKeyDictionary()
        self._pid = os.getpid()

    async def of_this_loop(self) -> AiohttpTransport:
        loop = asyncio.get_running_loop()
        self._leave_the_parent()
        held = self._of.get(loop)
        if held is None:
            for ended in [other for other in list(self._of) if other.is_closed()]:
                self._of.pop(ended, None)
            lifetime = _lifetime(AiohttpTransport(self._tls(), self._proxy), weakref.ref(self._of), loop)
            held = self._of[loop] = (lifetime, await anext(lifetime))
        return held[1]

    def _leave_the_parent(self) -> None:
        # A forked child shares the sockets of its parent's loops: it neither uses nor closes them.
        if self._pid != os.getpid():
            _inherited.append(self._of)
            self._of, self._pid = weakref.WeakKeyDictionary(), os.getpid()

    async def aclose(self) -> None:
        here = asyncio.get_running_loop()
        self._leave_the_parent()
        for loop, (lifetime, _) in list(self._of.items()):
            if loop is here:
                await lifetime.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(_closing(lifetime), loop)


async def _lifetime(
    transport: AiohttpTransport, of: weakref.ref[_ByLoop], loop: asyncio.AbstractEventLoop
) -> AsyncGenerator[AiohttpTransport]:
    # It knows its client only weakly, so that a client that is dropped goes at once, and its connections are closed.
    try:
        yield transport
    finally:
        held = of()
        if held is not None:
            held.pop(loop, None)
        await transport.aclose()


async def _closing(lifetime: AsyncGenerator[AiohttpTransport]) -> None:
    await lifetime.aclose()


class _NoConnection(Exception):
    """There is no connection to send anything over."""


MAY_LEAVE: Final = "mizar_may_leave"


def _check_leave(may_leave: Callable[[], bool]) -> None:
    if not may_leave():
        raise httpx.ConnectError("it took too long until it could leave")


class _LeavingBody(aiohttp.BytesPayload):
    """A body that is written, the head of its request with it, only if that may leave still."""

    def __init__(self, body: bytes, may_leave: Callable[[], bool]) -> None:
        super().__init__(body)
        self._may_leave = may_leave
        self.has_left = True

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self.has_left = self._may_leave()
        if not self.has_left:
            raise _NoConnection
        await super().write_with_length(writer, content_length)


class _Connector(aiohttp.TCPConnector):
    """A connector that tells what went wrong before there was a connection from all that comes later."""

    def __init__(self, *, proxy_name: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self._proxy_name = proxy_name

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        try:
            return await super().connect(req, traces, timeout)
        except TimeoutError:
            raise  # aiohttp has a class of its own for it
        except Exception as failure:  # noqa: BLE001 - names, addresses, TLS and proxies fail in many ways
            explained = self._explained(failure)
        raise _NoConnection(explained)

    def _explained(self, failure: Exception) -> str:
        if self._proxy_name is None:
            return str(failure) or type(failure).__name__
        status = f" (status {failure.status})" if isinstance(failure, aiohttp.ClientHttpProxyError) else ""
        return f"the proxy {self._proxy_name} gave no connection{status}: {type(failure).__name__}"


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport over aiohttp: no cookies, no redirects, no repeats, no log lines.

    It belongs to the loop it is made in. Raises `httpx.ConnectError` only where nothing was sent.
    """

    def __init__(self, tls: ssl.SSLContext | None, proxy: str | None) -> None:
        connector = _Connector(
            proxy_name=urlsplit(proxy).hostname if proxy else None,
            limit=0,  # the callers bound their number: a call must not wait here, where its time runs
            keepalive_timeout=_IDLE_SECONDS,
            ssl=tls if tls is not None else True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            trust_env=False,
        )
        # aiohttp sends a GET again by itself when a kept connection was lost; no public name turns that off.
        self._session._retry_connection = False  # noqa: SLF001
        self._multidict = functools.lru_cache(maxsize=64)(_multidict)
        self._proxy = proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._session.closed:
            raise httpx.ConnectError("the connections were closed")
        may_leave, content = request.extensions.get(MAY_LEAVE), request.read()
        body = _LeavingBody(content, may_leave) if may_leave and content else None
        try:
            response = await self._session.request(
                request.method,
                _yarl(str(request.url)),
                data=body or content or None,
                headers=self._multidict(tuple(request.headers.raw)),
                allow_redirects=False,
                proxy=self._proxy,
                timeout=_timeout(request.extensions.get("timeout", {}).get("connect")),
            )
            async with response:
                answer = await _read(response)
            headers = [pair for pair in response.raw_headers if pair[0].lower() not in _DECODED]
            return httpx.Response(response.status, headers=headers, stream=_Whole(answer))
        except (_NoConnection, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as failure:
            error: httpx.TransportError = httpx.ConnectError(str(failure))
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = httpx.ReadError(str(failure) or type(failure).__name__)
        if body is not None and not body.has_left:
            error = httpx.ConnectError("it took too long until it could leave")
        # Outside of the handlers, so that no exception that knows the request and its headers hangs on it.
        raise error

    async def aclose(self) -> None:
        await self._session.close()


_DECODED: Final = {b"content-encoding", b"content-length", b"transfer-encoding"}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    size = response.content_length
    if size is not None and size > LARGEST_ANSWER:
        response.close()
        raise ValueError(f"the answer of {size} bytes is too large")
    if size is not None and "content-encoding" not in response.headers:
        return await response.read()
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST_ANSWER:
            response.close()
            raise ValueError(f"the answer is larger than {LARGEST_ANSWER} bytes")
    return b"".join(chunks)


@functools.lru_cache(maxsize=1024)
def _yarl(url: str) -> URL:
    return URL(url, encoded=True)


def _multidict(headers: tuple[tuple[bytes, bytes], ...]) -> CIMultiDict[str]:
    return CIMultiDict((name.decode("ascii"), value.decode("ascii")) for name, value in headers)


@functools.lru_cache(maxsize=64)
def _timeout(connect: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect)


_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def _tls_context(url: str, verify: Verify) -> ssl.SSLContext | None:
    if not url.startswith("https:"):
        return None
    if isinstance(verify, ssl.SSLContext):
        return verify
    try:
        # SSL_CERT_FILE and SSL_CERT_DIR, else the bundled authorities
        return httpx.create_ssl_context() if verify is None else ssl.create_default_context(cafile=verify)
    except (OSError, ValueError, TypeError) as failure:
        reason = str(failure)
    if verify is not None:
        raise InvalidInput(
            f"verify={verify!r} is refused: it must be an ssl.SSLContext or a file of certificates ({reason})"
        )
    named = ", ".join(f"{name}={os.environ[name]!r}" for name in _CERTIFICATES if name in os.environ)
    raise NotSent(
        f"not sent: the certificates to trust can't be read ({reason}); the environment names {named or 'none'}: "
        "name files that are there, or none"
    )


def proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for an address; never one for loopback, whose key it would see.

    Raises `InvalidInput` for a proxy that can't be used.
    """
    parts = urlsplit(url)
    if is_loopback(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    scheme = proxy.partition("://")[0].lower()
    if scheme not in {"http", "https"}:
        raise InvalidInput(f"the proxy of the environment is refused: {scheme}:// is none of http://, https://")
    if not _is_usable(proxy):
        # It is not shown, since it may hold a password.
        raise InvalidInput(
            f"the proxy that the environment names for {parts.scheme}:// is refused: it must be an address such as "
            "http://user:password@host:3128, with everything unusual in user and password percent-encoded"
        )
    return proxy


def _is_usable(proxy: str) -> bool:
    try:
        parts, user, password = urlsplit(proxy), URL(proxy).user or "", URL(proxy).password or ""
        (user + password).encode("latin-1")
        return is_host(parts.hostname or "") and parts.port != 0 and ":" not in user
    except ValueError:
        return False
