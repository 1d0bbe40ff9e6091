"""Connections through the proxy of the environment: httpx's own transport, told apart by what had left when it failed.

It is slower than ours, and what counts here is that it is well kept.
"""

from __future__ import annotations

import ssl
from typing import Final

import httpx

from .leaving import Leaving, TooLate
from .pool import MAY_LEAVE

# A connection is not used twice: what comes behind an answer would be taken for the answer to the next call.
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=0)


class ProxyTransport(httpx.AsyncBaseTransport):
    """An httpx transport through a proxy. `httpx.ConnectError` says that nothing went through the tunnel."""

    def __init__(self, proxy: str, tls: ssl.SSLContext | None) -> None:
        through = httpx.Proxy(proxy, ssl_context=tls if proxy.startswith("https:") else None)
        self._name = through.url.host
        self._stock = httpx.AsyncHTTPTransport(verify=tls or True, trust_env=False, limits=_LIMITS, proxy=through)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        departure = request.extensions["trace"] = Leaving(request.extensions.get(MAY_LEAVE))
        try:
            return await self._stock.handle_async_request(request)
        except TooLate:
            error: httpx.TransportError = httpx.ConnectError("it took too long until it could leave")
        except Exception as failure:  # noqa: BLE001 - names, addresses, TLS and proxies fail in many ways
            reason = str(failure) or type(failure).__name__
            error = httpx.ReadError(reason) if departure.has_left else httpx.ConnectError(self._explained(failure))
        raise error

    def _explained(self, failure: Exception) -> str:
        status = f" (status {str(failure)[:3]})" if isinstance(failure, httpx.ProxyError) else ""
        return f"the proxy {self._name} gave no connection{status}: {type(failure).__name__}"

    async def aclose(self) -> None:
        await self._stock.aclose()
