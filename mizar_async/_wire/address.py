"""Where calls go and who asks: the API's address, checked, and the key, hidden."""

from __future__ import annotations

import hashlib
import inspect
import ipaddress
import json
import os
import re
import ssl
import sys
from typing import Final, Literal
from urllib.parse import urlsplit

import attrs

from .._api.endpoints import API_PREFIX
from .._api.exchange import Answer, NoAnswer
from ..errors import InvalidInput

DEFAULT_URL: Final = "https://api.mizar.com"

IN_PROCESS: Final = "http://in-process.localhost"
"""The address of a paper venue inside this process, which no connection leads to."""

_LABEL: Final = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?", re.IGNORECASE)
_LONGEST_NAME: Final = 253
_NUMBERS: Final = re.compile(r"[0-9.]+")
_PATH: Final = re.compile(r"[!-~]{0,1000}")

_HIDDEN: Final = "(the API key)"
# A key that is shorter is one of a test, and may stand anywhere.
_LEAST_KEY: Final = 8

Environment = Literal["paper", "local", "live"]


class ApiKey:
    """An API key that nothing prints. `reveal()` is for the one place that writes the header."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        # The value is in none of these messages: they end up in logs.
        if not isinstance(value, str) or not value.strip():
            raise InvalidInput(
                "no API key: pass api_key=... or set the environment variable MIZAR_API_KEY (`mizar paper` prints one)"
            )
        if not value.isascii() or not value.isprintable() or " " in value:
            raise InvalidInput("the API key is refused: it must be printable ASCII without spaces or line ends")
        self._value = value

    @classmethod
    def find(cls, given: str | None) -> ApiKey:
        """The key that was given, or that of the environment."""
        return cls(os.environ.get("MIZAR_API_KEY") if given is None else given)

    def reveal(self) -> str:
        return self._value

    def fingerprint(self) -> str:
        """A digest that tells keys apart without holding them."""
        return hashlib.sha256(self._value.encode()).hexdigest()

    def hidden_in(self, result: Answer | NoAnswer) -> Answer | NoAnswer:
        """The same without the key, which servers repeat in what they say of it, and errors in what they quote."""
        if len(self._value) < _LEAST_KEY:
            return result
        if isinstance(result, NoAnswer):
            told = result.reason.replace(self._value, _HIDDEN)
            return result if told == result.reason else attrs.evolve(result, reason=told)
        body = self._hidden_in_json(result.body.replace(self._value.encode(), _HIDDEN.encode()))
        kind = result.content_type.replace(self._value, _HIDDEN)
        if (body, kind) == (result.body, result.content_type):
            return result
        return attrs.evolve(result, body=body, content_type=kind)

    def _hidden_in_json(self, body: bytes) -> bytes:
        # JSON may spell it in other ways: with escapes, or in UTF-16.
        try:
            said = json.loads(body)
            hidden = self._hidden_in_value(said)
            return body if hidden == said else json.dumps(hidden).encode()
        except (ValueError, RecursionError):
            return body

    def _hidden_in_value(self, value: object) -> object:
        if isinstance(value, str):
            return value.replace(self._value, _HIDDEN)
        if isinstance(value, list):
            return [self._hidden_in_value(item) for item in value]
        if isinstance(value, dict):
            return {str(self._hidden_in_value(name)): self._hidden_in_value(item) for name, item in value.items()}
        return value

    def __repr__(self) -> str:
        return "ApiKey(hidden)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an API key is not pickled: set MIZAR_API_KEY where the client is to be used")


@attrs.frozen
class Address:
    """The address of the API, with its prefix and a closing slash."""

    url: str
    host: str
    environment: Environment

    @classmethod
    def find(cls, given: str | None) -> Address:
        """The address that was given, that of MIZAR_API_URL, or that of the real venue.

        It may stand with or without `/api/v1`. Plain http is for loopback only, since it shows the key
        to everyone on the way. Raises InvalidInput.
        """
        text = given if given is not None else os.environ.get("MIZAR_API_URL") or DEFAULT_URL
        if not isinstance(text, str):
            raise InvalidInput(f"api_url={text!r} is refused: it must be text such as {DEFAULT_URL!r}")
        try:
            parts = urlsplit(text.strip())
            port, host = parts.port, _ascii(parts.hostname or "")
        except ValueError:  # its text may hold a password
            raise InvalidInput(
                f"api_url is refused: it can't be read; an example that works is {DEFAULT_URL!r}"
            ) from None
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise InvalidInput("api_url is refused: it may hold no user name, password, query or fragment")
        if parts.scheme not in {"https", "http"} or not host:
            raise InvalidInput(
                f"api_url={text!r} is refused: it must begin with https:// (http:// for this machine) and name a host"
            )
        if not (is_host(host) and _PATH.fullmatch(parts.path)):
            raise InvalidInput(
                f"api_url={text!r} is refused: its host or path is none; use {DEFAULT_URL!r} or the like"
            )
        if parts.scheme == "http" and not is_loopback(host):
            raise InvalidInput(
                f"api_url={text!r} is refused: plain http would show the API key to everyone on the way; use https"
            )
        shown = f"[{host}]" if ":" in host else host
        place = shown if port is None else f"{shown}:{port}"
        path = parts.path.rstrip("/").removesuffix(API_PREFIX) + API_PREFIX
        if host == urlsplit(IN_PROCESS).hostname:
            return cls(f"{IN_PROCESS}{API_PREFIX}/", "in-process", "paper")
        environment: Environment = "local" if is_loopback(host) else "live"
        return cls(f"{parts.scheme}://{place}{path}/", place, environment)


def check_trust(verify: object) -> None:
    """Raise InvalidInput for anything that is no set of certificates: an unverified host would be told the key."""
    if verify is not None and not isinstance(verify, (str, ssl.SSLContext)):
        raise InvalidInput(
            f"verify={verify!r} is refused: it must be an ssl.SSLContext or the path of a file of certificates; "
            "verification is not switched off, since whoever answers is told the API key"
        )


def check_http_client(given: object, transport: object) -> None:
    """Raise InvalidInput for anything that is neither a client of httpx nor a function, or for one too many."""
    if given is None:
        return
    if transport is not None:
        raise InvalidInput("http_client and transport exclude each other: a client of httpx has a transport of its own")
    httpx = sys.modules.get("httpx")  # whoever has made a client has imported it
    is_client = httpx is not None and isinstance(given, httpx.AsyncClient)
    if not is_client and (not callable(given) or inspect.iscoroutinefunction(given)):
        raise InvalidInput(
            f"http_client, of {type(given).__name__}, is refused: it must be an httpx.AsyncClient, or a plain "
            "function that makes a new one"
        )


def check_maker(given: object) -> None:
    """Raise InvalidInput for a client of httpx where only a function that makes one can be used."""
    if given is not None and not callable(given):
        raise InvalidInput(
            f"http_client, of {type(given).__name__}, is refused: blocking calls run in an event loop of their own, so "
            "pass a function that makes a new httpx.AsyncClient there"
        )


def is_host(name: str) -> bool:
    """Whether this is the name or the address of a host, as connections take it: ASCII, and without a zone."""
    if ":" in name or _NUMBERS.fullmatch(name):
        return "%" not in name and _address(name) is not None
    return len(name) <= _LONGEST_NAME and bool(_NAME.fullmatch(name))


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode("ascii")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
