"""Real sockets: what is certain, what is doubt, and where the key may go."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import os
import socket
import ssl
import subprocess
import sys
import traceback
from pathlib import Path

import httpx
import pytest
import trustme

from mizar_async import (
    AnswerUnreadable,
    AsyncMizar,
    InvalidInput,
    MizarError,
    NotSent,
    OutcomeUnknown,
    Unavailable,
)
from mizar_async._wire.address import Address
from mizar_async._wire.surroundings import proxy_for

from .. import raw_server as raw
from ..conftest import KEY
from ..raw_server import RawServer, Received, Writer, raw_server

PUBLISH = {"name": "n", "description": "", "exchanges": ["binance"], "symbols": ["BTCUSDT"], "market": "SPOT"}
PATIENT = {"max_retries": 3, "timeout": 30.0, "deadline": 60.0}


async def until_received(server: RawServer, number: int) -> None:
    """Wait until it has read so many requests: its client may have gone before."""
    while len(server.received) < number:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "behaviour",
    [raw.closing, raw.resetting, raw.silent, raw.saying(b"garbage\r\n\r\n"), raw.saying(raw.answer(status=503))],
    ids=["closes", "resets", "says nothing", "answers garbage", "fails"],
)
async def test_a_write_that_was_read_and_not_answered_is_unknown_and_is_sent_once(behaviour: raw.Behaviour) -> None:
    calls = {"ping": raw.saying(raw.answer()), "publish-self-hosted-strategy": behaviour}
    async with raw_server(calls) as server, AsyncMizar(KEY, api_url=server.url, **PATIENT) as mizar:
        await mizar.ping()  # connected, so that the time-out is that of the answer, however slow this machine is
        patience = 0.4 if behaviour is raw.silent else None
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.with_options(timeout=patience).create_self_hosted_strategy(**PUBLISH)
        await until_received(server, 2)
        assert server.paths() == ["ping", "publish-self-hosted-strategy"]
        assert unknown.value.attempts == 1
        assert KEY not in "".join(traceback.format_exception(unknown.value)) + repr(vars(unknown.value))


async def test_an_answer_that_is_cut_off_leaves_a_write_unknown() -> None:
    async def cut(_: Received, writer: Writer) -> None:
        writer.write(raw.answer(b'{"position_id": "1"')[:-5])
        writer.close()

    async with raw_server(cut) as server, AsyncMizar(KEY, api_url=server.url, **PATIENT) as mizar:
        with pytest.raises(OutcomeUnknown):
            await mizar.create_self_hosted_strategy(**PUBLISH)


async def test_a_refused_connection_means_not_sent_and_is_tried_again() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with AsyncMizar(KEY, api_url=url, max_retries=2, deadline=60) as mizar:
            with pytest.raises(NotSent) as unsent:
                await mizar.create_self_hosted_strategy(**PUBLISH)
            assert unsent.value.attempts == 3
            with pytest.raises(Unavailable):
                await mizar.ping()


async def test_a_lost_kept_connection_does_not_repeat_a_get_behind_our_back() -> None:
    async with raw_server(raw.saying(raw.answer())) as server:
        async with AsyncMizar(KEY, api_url=server.url, max_retries=0) as mizar:
            await mizar.ping()
        async with raw_server(raw.closing) as other, AsyncMizar(KEY, api_url=other.url, max_retries=0) as mizar:
            with pytest.raises(Unavailable):
                await mizar.ping()
            assert other.paths() == ["ping"]


async def test_a_redirect_is_not_followed_and_the_key_stays_here() -> None:
    async with raw_server(raw.saying(raw.answer())) as thief:
        header = f"Location: {thief.url}/api/v1/ping\r\n"
        async with raw_server(raw.saying(raw.answer(status=302, headers=header))) as server:
            async with AsyncMizar(KEY, api_url=server.url, max_retries=0) as mizar:
                with pytest.raises(Unavailable, match="302"):
                    await mizar.ping()
        assert not thief.received


async def test_cookies_are_not_kept() -> None:
    async with raw_server(raw.saying(raw.answer(headers="Set-Cookie: a=b; Path=/\r\n"))) as server:
        async with AsyncMizar(KEY, api_url=server.url) as mizar:
            await mizar.ping()
            await mizar.ping()
        assert all("cookie" not in request.headers for request in server.received)


async def test_compressed_answers_are_read() -> None:
    packed = gzip.compress(b'{"server_time": 5}')
    async with raw_server(raw.saying(raw.answer(packed, headers="Content-Encoding: gzip\r\n"))) as server:
        async with AsyncMizar(KEY, api_url=server.url) as mizar:
            assert await mizar.server_time() == 5


async def test_a_compressed_bomb_ends_in_an_error() -> None:
    bomb = gzip.compress(b" " * (100 * 2**20))
    async with raw_server(raw.saying(raw.answer(bomb, headers="Content-Encoding: gzip\r\n"))) as server:
        async with AsyncMizar(KEY, api_url=server.url, max_retries=0) as mizar:
            with pytest.raises(Unavailable):
                await mizar.server_time()


async def test_an_answer_that_is_packed_more_than_once_is_refused() -> None:
    packed = gzip.compress(gzip.compress(b'{"server_time": 5}'))
    async with raw_server(raw.saying(raw.answer(packed, headers="Content-Encoding: gzip, gzip\r\n"))) as server:
        async with AsyncMizar(KEY, api_url=server.url, max_retries=0) as mizar:
            with pytest.raises(Unavailable, match="packed more than once"):
                await mizar.server_time()


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 500_000,
    ],
    ids=["100 Continue", "chunks of a byte"],
)
async def test_a_flood_of_tiny_pieces_is_refused_before_it_holds_up_other_calls(flood: bytes) -> None:
    async with raw_server(raw.saying(flood)) as server:
        async with AsyncMizar(KEY, api_url=server.url, max_retries=0, timeout=60, deadline=60) as mizar:
            with pytest.raises(Unavailable, match="more pieces than any real one"):
                await mizar.server_time()


ECHOES = {
    "401": raw.answer(f'{{"detail": "unknown key {KEY}"}}'.encode(), status=401),
    "500": raw.answer(f'{{"detail": {{"mizar-api-key": "{KEY}"}}}}'.encode(), status=500),
    "a page": raw.answer(f"<html>{KEY}".encode(), content_type="text/html"),
    "a content type": raw.answer(b"{}", content_type=f"text/{KEY}"),
    "no JSON": raw.answer(f'{{"server_time": "{KEY}"}}'.encode()),
    "no HTTP": f"POST {KEY}\r\n\r\n".encode(),
    "no field": f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode(),
}


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_key_that_a_server_repeats_is_in_no_error(echo: str) -> None:
    async with raw_server(raw.saying(ECHOES[echo])) as server:
        async with AsyncMizar(KEY, api_url=server.url, max_retries=0) as mizar:
            for call in (mizar.server_time(), mizar.create_self_hosted_strategy(**PUBLISH)):
                with pytest.raises(MizarError) as failure:
                    await call
                assert KEY not in "".join(traceback.format_exception(failure.value)) + repr(vars(failure.value))


async def test_the_timeout_is_for_the_whole_answer_not_for_each_piece() -> None:
    async def drip(_: Received, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():  # never whole, and always more within any time-out of a piece
            writer.write(b"1\r\n \r\n")
            await asyncio.sleep(0.01)

    calls = {"ping": raw.saying(raw.answer()), "server-time": drip}
    async with raw_server(calls) as server, AsyncMizar(KEY, api_url=server.url, max_retries=0) as mizar:
        await mizar.ping()
        with pytest.raises(Unavailable, match=r"no answer within 0\.3 s"):
            await mizar.with_options(timeout=0.3).server_time()


async def test_the_log_holds_neither_the_key_nor_a_line_for_each_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with raw_server(raw.saying(raw.answer())) as server, AsyncMizar(KEY, api_url=server.url) as mizar:
        for _ in range(20):
            await mizar.ping()
    assert KEY not in caplog.text
    assert len([record for record in caplog.records if record.levelno >= logging.INFO]) <= 3


@pytest.mark.parametrize(
    "url",
    [
        "http://api.mizar.com",
        "http://10.0.0.1:8000",
        "ftp://localhost",
        "https://",
        "x",
        "https://a:b@c",
        "https://c?k=1",
    ],
)
def test_an_address_that_would_show_the_key_or_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="refused"):
        AsyncMizar(KEY, api_url=url)


@pytest.mark.parametrize(
    ("url", "base", "environment"),
    [
        ("https://api.mizar.com", "https://api.mizar.com/api/v1/", "live"),
        ("https://api.mizar.com/api/v1/", "https://api.mizar.com/api/v1/", "live"),
        ("http://127.0.0.1:8000/api/v1", "http://127.0.0.1:8000/api/v1/", "local"),
        ("http://[::1]:8000", "http://[::1]:8000/api/v1/", "local"),
        ("http://localhost:8000/", "http://localhost:8000/api/v1/", "local"),
    ],
)
def test_an_address_stands_with_or_without_its_prefix(url: str, base: str, environment: str) -> None:
    address = Address.find(url)
    assert (address.url, address.environment) == (base, environment)


@pytest.mark.parametrize("key", [None, "", "  ", "a b", "a\nb", "kéy", 7])
def test_a_key_that_is_none_is_refused_without_showing_it(key: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        AsyncMizar(key)  # type: ignore[arg-type]
    assert "kéy" not in str(refused.value)


def test_the_key_is_in_nothing_that_can_be_printed_or_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    mizar = AsyncMizar(KEY, api_url="http://localhost:9")
    assert repr(mizar) == "<AsyncMizar local localhost:9>"
    assert KEY not in repr(vars(mizar))
    assert KEY.encode() not in pickle.dumps(mizar)
    with pytest.raises(InvalidInput, match="MIZAR_API_KEY"):
        pickle.loads(pickle.dumps(mizar))
    monkeypatch.setenv("MIZAR_API_KEY", KEY)
    assert repr(pickle.loads(pickle.dumps(mizar))) == repr(mizar)


def test_loopback_never_goes_through_a_proxy_and_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = {"https": "http://proxy:3128", "http": "http://proxy:3128"}
    assert proxy_for("http://127.0.0.1:1/", proxies) is None
    assert proxy_for("https://localhost/", proxies) is None
    assert proxy_for("https://api.mizar.com/", proxies) == "http://proxy:3128"
    monkeypatch.setenv("NO_PROXY", "mizar.com")
    assert proxy_for("https://api.mizar.com/", proxies) is None
    with pytest.raises(InvalidInput, match="socks5"):
        proxy_for("https://elsewhere.example/", {"all": "socks5://proxy:1"})


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for venue.test, and the file of the authority that signed it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("venue.test").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    return context, tmp_path / "authority.pem"


class Proxy:
    """Answers CONNECT, and speaks for the host behind it itself."""

    def __init__(self, tls: ssl.SSLContext, status: int = 200) -> None:
        self.tls, self.status = tls, status
        self.heads: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(f"HTTP/1.1 {self.status} X\r\n\r\n".encode())
        await writer.drain()
        if self.status == 200:
            await writer.start_tls(self.tls)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw.answer(b'{"server_time": 7}'))
            await writer.drain()
        writer.close()


@pytest.mark.parametrize("how", ["SSL_CERT_FILE", "verify=file", "verify=context"])
async def test_https_goes_through_the_proxy_of_the_environment_with_a_certificate_of_ones_own(
    how: str, certificates: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, authority = certificates
    proxy = Proxy(tls)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}")
    verify: ssl.SSLContext | str | None = None
    if how == "SSL_CERT_FILE":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    else:
        verify = str(authority) if how == "verify=file" else ssl.create_default_context(cafile=authority)
    async with server, AsyncMizar(KEY, api_url="https://venue.test", verify=verify, max_retries=0) as mizar:
        assert await mizar.server_time() == 7
    assert proxy.heads[0].startswith("CONNECT venue.test:443")
    assert KEY not in proxy.heads[0]


async def test_a_proxy_that_refuses_is_named_without_its_password(
    certificates: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(certificates[0], status=407)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, AsyncMizar(KEY, api_url="https://venue.test", max_retries=0) as mizar:
        with pytest.raises(NotSent, match=r"the proxy 127\.0\.0\.1 gave no connection \(status 407\)") as unsent:
            await mizar.create_self_hosted_strategy(**PUBLISH)
    assert "secret" not in str(unsent.value)


async def test_what_comes_behind_an_answer_through_a_proxy_is_given_to_no_other_call(
    certificates: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, authority = certificates
    answers = iter(
        [raw.answer(b'{"server_time": 7}') + raw.answer(b'{"server_time": 0}'), raw.answer(b'{"server_time": 8}')]
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 X\r\n\r\n")
            await writer.drain()
            await writer.start_tls(tls)
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(next(answers))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, AsyncMizar(KEY, api_url="https://venue.test", verify=str(authority), max_retries=0) as mizar:
        assert [await mizar.server_time(), await mizar.server_time()] == [7, 8]


def test_verification_is_not_switched_off() -> None:
    with pytest.raises(InvalidInput, match="verify"):
        AsyncMizar(KEY, verify=False)  # type: ignore[arg-type]


LOOPS = """
import asyncio, sys, threading
from mizar_async import AsyncMizar
mizar = AsyncMizar({key!r}, api_url={url!r})
async def twice():
    asyncio.get_running_loop().slow_callback_duration = 60  # how fast this machine is does not matter here
    await asyncio.gather(mizar.ping(), mizar.ping())
for _ in range(3):
    asyncio.run(twice())
threads = [threading.Thread(target=asyncio.run, args=(twice(),)) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("done")
"""


async def test_one_client_works_in_several_loops_and_threads_and_is_forgotten_in_silence() -> None:
    async with raw_server(raw.saying(raw.answer())) as server:
        program = LOOPS.format(key=KEY, url=server.url)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-W", "error", "-c", program),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 240)
    assert (out.decode().strip(), err.decode(), process.returncode) == ("done", "", 0)


DROPPED = """
import asyncio, gc
from mizar_async import AsyncMizar
async def drop():
    asyncio.get_running_loop().slow_callback_duration = 60
    for _ in range(5):
        await AsyncMizar({key!r}, api_url={url!r}).ping()
        gc.collect()
    print("done")
asyncio.run(drop())
"""


async def test_a_client_that_is_dropped_while_its_loop_runs_closes_its_connections_in_silence() -> None:
    async with raw_server(raw.saying(raw.answer())) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-W", "error", "-c", DROPPED.format(key=KEY, url=server.url)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 240)
    assert (out.decode().strip(), err.decode(), process.returncode) == ("done", "", 0)


def test_making_a_client_imports_no_httpx_and_starts_no_thread() -> None:
    program = (
        "import sys, threading, mizar_async, mizar_sync, mizar;"
        f"mizar_async.AsyncMizar({KEY!r}); mizar_sync.Mizar({KEY!r}); mizar.Mizar({KEY!r});"
        "heavy = {'httpx', 'h11', 'cattrs', 'tenacity', 'uvloop', 'fastapi'};"
        "print(sorted(heavy & set(sys.modules)), threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[] 1"


async def test_a_transport_of_the_users_is_used_in_every_loop_and_is_not_closed() -> None:
    class Own(httpx.AsyncBaseTransport):
        closed = False

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={})

        async def aclose(self) -> None:
            self.closed = True

    own = Own()
    async with AsyncMizar(KEY, api_url="http://localhost", transport=own) as mizar:
        await mizar.ping()
    assert not own.closed


async def test_a_closed_client_says_so_and_closing_twice_is_harmless() -> None:
    async with raw_server(raw.saying(raw.answer())) as server:
        mizar = AsyncMizar(KEY, api_url=server.url)
        await mizar.ping()
        await mizar.aclose()
        await mizar.aclose()
        with pytest.raises(MizarError, match="closed"):
            await mizar.ping()


async def test_an_unreadable_answer_to_a_read_is_not_repeated() -> None:
    async with raw_server(raw.saying(raw.answer(b"{"))) as server, AsyncMizar(KEY, api_url=server.url) as mizar:
        with pytest.raises(AnswerUnreadable):
            await mizar.server_time()
        assert len(server.received) == 1
