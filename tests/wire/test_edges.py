"""The edges of the wire, settings and headers that can't be right: only MizarErrors leave, and none is in doubt that
never left."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import AsyncMizar, InvalidInput, MizarError, NotSent, Unavailable, _version
from mizar_async._api.exchange import NoAnswer, Request
from mizar_async._wire.address import Address, ApiKey
from mizar_async._wire.clients import LeanClient
from mizar_async._wire.surroundings import proxy_for
from mizar_async._wire.wire import Wire

from .. import raw_server as raw
from ..conftest import KEY
from ..raw_server import raw_server

HTTPS = "https://venue.invalid"
OPEN = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}
WRITES: list[tuple[str, dict[str, Any]]] = [
    ("open_position", OPEN),
    ("close_position", {"position_id": 4}),
    ("close_all_positions", {"strategy_id": 1}),
    (
        "create_self_hosted_strategy",
        {"name": "n", "description": "", "exchanges": ["e"], "symbols": ["s"], "market": "SPOT"},
    ),
]


async def assert_never_left(mizar: AsyncMizar, kind: type[MizarError], match: str) -> None:
    for name, arguments in WRITES:
        with pytest.raises(kind, match=match) as failure:
            await getattr(mizar, name)(**arguments)
        assert failure.value.happened == "no"
        assert failure.value.__context__ is None
    with pytest.raises((Unavailable, kind), match=match):
        await mizar.ping()
    assert mizar.unresolved() == []


class AtOnce:
    """The departure of a request that may leave."""

    sending = False

    def may_leave(self) -> bool:
        self.sending = True
        return True


async def test_certificates_that_are_missing_are_named_and_nothing_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such.pem")
    async with AsyncMizar(KEY, api_url=HTTPS) as mizar:
        await assert_never_left(mizar, NotSent, "SSL_CERT_FILE='/no/such.pem'")


async def test_a_file_that_holds_no_certificates_is_named_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    async with AsyncMizar(KEY, api_url=HTTPS) as mizar:
        await assert_never_left(mizar, NotSent, "empty.pem")


async def test_a_file_to_verify_by_that_cannot_be_read_is_refused_before_anything_is_recorded() -> None:
    async with AsyncMizar(KEY, api_url=HTTPS, verify="/no/such.pem") as mizar:
        await assert_never_left(mizar, InvalidInput, "verify='/no/such.pem' is refused")


async def test_the_wire_raises_nothing_even_if_nobody_prepared_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such.pem")
    wire = Wire(Address.find(HTTPS), ApiKey(KEY))
    answer = await wire.send(Request("GET", "ping", None), 1.0, AtOnce())
    assert isinstance(answer, NoAnswer)
    assert not answer.sent
    await wire.aclose()


async def test_a_copy_that_was_never_installed_works_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_version, "version", missing)
    async with raw_server(raw.saying(raw.answer())) as server, AsyncMizar(KEY, api_url=server.url) as mizar:
        await mizar.ping()
        assert server.received[0].headers["user-agent"] == "mizar-python/unknown"


@pytest.mark.parametrize(
    "proxy",
    ["http://[::1", "http://u:secret@host:port", "http://u:secret@", "http://u:sécret€@h:1", "http://u%3Asecret:x@h:1"],
)
async def test_a_proxy_of_the_environment_that_can_be_none_is_refused_and_not_shown(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    async with AsyncMizar(KEY, api_url=HTTPS) as mizar:
        await assert_never_left(mizar, InvalidInput, "the proxy that the environment names for https:// is refused")
        with pytest.raises(InvalidInput) as refused:
            await mizar.ping()
        assert "secret" not in str(refused.value)


@given(st.text(max_size=20), st.sampled_from(["http://{}:1", "http://u:{}@h:1", "{}", "https://{}"]))
def test_a_proxy_is_used_or_refused_whatever_the_environment_holds(text: str, form: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert "://" in (proxy_for(HTTPS, {"https": form.format(text)}) or "://")


async def test_a_write_whose_proxy_hangs_up_before_there_is_a_connection_was_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, AsyncMizar(KEY, api_url=HTTPS, max_retries=0) as mizar:
        await assert_never_left(mizar, NotSent, r"the proxy 127\.0\.0\.1 gave no connection")


async def test_a_write_to_a_name_that_cannot_be_looked_up_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UnicodeError("label too long")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    async with AsyncMizar(KEY, api_url=HTTPS, max_retries=0) as mizar:
        await assert_never_left(mizar, NotSent, "label too long")


@given(
    st.text(max_size=70),
    st.sampled_from(["https://{}", "https://api.mizar.com/{}", "https://api.{}.com:{}", "{}", "http://127.0.0.{}"]),
)
def test_an_address_is_one_that_requests_can_be_made_for_or_is_refused(text: str, form: str) -> None:
    try:
        address = Address.find(form.format(text, text))
    except InvalidInput:
        return
    wire = Wire(address, ApiKey(KEY))
    client = LeanClient(httpx.MockTransport(lambda _: httpx.Response(200)))
    assert str(wire._built(Request("GET", "ping", None), 1.0, client).url).endswith("/api/v1/ping")


@pytest.mark.parametrize(
    "url",
    [
        f"https://{'a' * 64}.com",
        "https://a..com",
        "https://1.2.3.999",
        "https://exa mple.com",
        "https://evil.com\\.mizar.com",
        "https://[fe80::1%25eth0]",
        "https://api.mizar.com/a\x7fb",
        "https://api.mizar.com/" + "a" * 2000,
    ],
)
def test_an_address_that_no_connection_can_be_made_to_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="refused"):
        AsyncMizar(KEY, api_url=url)


ODD_HEADERS = [
    "Retry-After: Mon, 01 Jan 2024 00:00:00 +99999999999999",
    "Retry-After: 1e308",
    "Retry-After: é",
    "Content-Type: ;;;charset=\xff\xfe",
    "Content-Type: application/json; charset=no-such",
    "Content-Encoding: br",
    "Content-Encoding: gzip",
    "Content-Encoding: deflate",
    "Content-Encoding: zstd",
    "Content-Encoding: no-such",
    "Transfer-Encoding: gzip",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999999999",
    "Set-Cookie: =;=;\x00",
    "Location: http://[::1",
    "X: " + "a" * 100_000,
]


@pytest.mark.parametrize("status", [200, 302, 401, 429, 503])
async def test_no_header_of_an_answer_lets_anything_but_our_own_errors_out(status: int) -> None:
    for header in ODD_HEADERS:
        answer = raw.answer(b'{"server_time": 1}', status=status, headers=f"{header}\r\n")
        async with raw_server(raw.saying(answer)) as server:
            async with AsyncMizar(KEY, api_url=server.url, max_retries=0, timeout=0.5, deadline=0.6) as mizar:
                for name, arguments in [("server_time", {}), ("create_self_hosted_strategy", WRITES[-1][1])]:
                    (ended,) = await asyncio.gather(getattr(mizar, name)(**arguments), return_exceptions=True)
                    assert isinstance(ended, MizarError) or not isinstance(ended, BaseException), header
