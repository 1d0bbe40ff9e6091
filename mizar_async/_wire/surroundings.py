"""What the environment says of the way to a host: which certificates to trust, and which proxy to go through."""

from __future__ import annotations

import os
import ssl
import urllib.request
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from ..errors import InvalidInput, NotSent
from .address import is_host, is_loopback

Verify = ssl.SSLContext | str | None

_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def tls_context(url: str, verify: Verify) -> ssl.SSLContext | None:
    """The certificates to trust at an address: those that were given, those of the environment, or the bundled ones.

    Raises `InvalidInput` for a file that was given and can't be read, `NotSent` for one of the environment.
    """
    if not url.startswith("https:"):
        return None
    if isinstance(verify, ssl.SSLContext):
        return verify
    try:
        context = httpx.create_ssl_context() if verify is None else ssl.create_default_context(cafile=verify)
        context.set_alpn_protocols(["http/1.1"])
        return context
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
        parts = urlsplit(proxy)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        (user + password).encode("latin-1")
        httpx.Proxy(proxy)
        return is_host(parts.hostname or "") and parts.port != 0 and ":" not in user
    except (ValueError, httpx.InvalidURL):
        return False
