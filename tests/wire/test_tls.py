"""TLS of our own connections: whom they trust, what they speak, and that nothing leaves before that is settled."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trustme
import uvloop

from mizar_async import AsyncMizar, NotSent, OutcomeUnknown

from .. import raw_server as raw
from ..conftest import KEY

LOOPS: Final = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PUBLISH = {"name": "n", "description": "", "exchanges": ["binance"], "symbols": ["BTCUSDT"], "market": "SPOT"}
TIME: Final = raw.answer(b'{"server_time": 5}')
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Any:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as one:
        yield one


@attrs.frozen
class Authority:
    """One that signs certificates, and the file by which it is trusted."""

    ca: trustme.CA
    file: str

    def context(self, *names: str, alpn: tuple[str, ...] = (), **times: datetime.datetime) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("localhost",)), **times).configure_cert(context)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "authority.pem")
    return Authority(ca, str(tmp_path / "authority.pem"))


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(TIME)
    writer.close()


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext | None, serve: Serve = answering) -> AsyncIterator[str]:
    writers: list[asyncio.StreamWriter] = []

    async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await serve(reader, writer)

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of the server, whose clients go as they like
    server = await asyncio.start_server(kept, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)


async def asked(url: str, verify: Any) -> int:
    async with AsyncMizar(KEY, api_url=url, verify=verify, max_retries=0) as mizar:
        assert [await mizar.server_time() for _ in range(3)] == [5, 5, 5]
        return await mizar.server_time()


async def refused(url: str, verify: Any) -> str:
    async with AsyncMizar(KEY, api_url=url, verify=verify, max_retries=0) as mizar:
        with pytest.raises(NotSent) as unsent:
            await mizar.create_self_hosted_strategy(**PUBLISH)
    return str(unsent.value)


@pytest.mark.parametrize("how", ["verify=file", "verify=context", "SSL_CERT_FILE"])
def test_a_certificate_of_an_authority_that_is_trusted_is_taken(
    runner: asyncio.Runner, authority: Authority, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify: Any = authority.file
    if how == "SSL_CERT_FILE":
        monkeypatch.setenv("SSL_CERT_FILE", authority.file)
        verify = None
    elif how == "verify=context":
        verify = ssl.create_default_context(cafile=authority.file)

    async def call() -> int:
        async with serving(authority.context()) as url:
            return await asked(url, verify)

    assert runner.run(call()) == 5


def test_a_loop_that_is_busy_gets_its_connections_all_the_same(runner: asyncio.Runner, authority: Authority) -> None:
    """What TLS 1.3 sends after its handshake is there before the loop has read it, and is no answer."""

    async def be_busy() -> None:
        while True:
            time.sleep(0.003)  # noqa: ASYNC251
            await asyncio.sleep(0)

    async def call() -> list[int]:
        async with serving(authority.context()) as url:
            busy = asyncio.create_task(be_busy())
            async with AsyncMizar(
                KEY, api_url=url, verify=authority.file, max_retries=0, timeout=60, deadline=90
            ) as mizar:
                found = await asyncio.gather(*(mizar.server_time() for _ in range(10)))
                found += [await mizar.server_time() for _ in range(3)]
            busy.cancel()
            return found

    assert runner.run(call()) == [5] * 13


YESTERDAY: Final = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)
WRONG: Final[dict[str, tuple[Callable[[Authority], ssl.SSLContext], str]]] = {
    "of an authority that is not trusted": (
        lambda _: Authority(trustme.CA(), "").context(),
        "CERTIFICATE_VERIFY_FAILED",
    ),
    "of another host": (lambda authority: authority.context("elsewhere.test"), "Hostname mismatch|not valid for"),
    "that is over": (
        lambda authority: authority.context(
            not_before=datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC), not_after=YESTERDAY
        ),
        "expired",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_nothing_is_sent_to_a_host_with_a_certificate(runner: asyncio.Runner, authority: Authority, wrong: str) -> None:
    context, says = WRONG[wrong]

    async def call() -> str:
        async with serving(context(authority)) as url:
            return await refused(url, authority.file)

    assert re.search(says, runner.run(call()))


def test_nothing_is_sent_to_a_port_that_speaks_plain_text(runner: asyncio.Runner, authority: Authority) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(TIME)

    async def call() -> str:
        async with serving(None, plain) as url:
            return await refused(url, authority.file)

    assert "WRONG_VERSION_NUMBER" in runner.run(call())


@pytest.mark.parametrize("offered", [("h2", "http/1.1"), ("http/1.1",), ()])
def test_http_1_is_agreed_on_whatever_the_server_offers(
    runner: asyncio.Runner, authority: Authority, offered: tuple[str, ...]
) -> None:
    async def call() -> int:
        async with serving(authority.context(alpn=offered)) as url:
            return await asked(url, authority.file)

    assert runner.run(call()) == 5


def test_nothing_is_sent_where_a_context_of_the_users_agreed_on_something_else(
    runner: asyncio.Runner, authority: Authority
) -> None:
    own = ssl.create_default_context(cafile=authority.file)
    own.set_alpn_protocols(["h2"])

    async def call() -> str:
        async with serving(authority.context(alpn=("h2", "http/1.1"))) as url:
            return await refused(url, own)

    assert "something else than HTTP/1.1" in runner.run(call())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_goes_without_a_goodbye_leaves_doubt_only_in_the_middle_of_an_answer(
    runner: asyncio.Runner, authority: Authority, version: ssl.TLSVersion
) -> None:
    async def goes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(TIME if b"GET" in head else TIME[:-3])
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async def call() -> None:
        context = authority.context()
        context.maximum_version = version
        async with serving(context, goes) as url:
            async with AsyncMizar(KEY, api_url=url, verify=authority.file, max_retries=0) as mizar:
                assert await mizar.server_time() == 5
                await asyncio.sleep(0.2)
                assert await mizar.server_time() == 5
                with pytest.raises(OutcomeUnknown):
                    await mizar.create_self_hosted_strategy(**PUBLISH)

    runner.run(call())
