"""Servers that answer what no server should: a MizarError, and never a second open.

How fast this machine is decides nothing here: connections are made before the short time-outs begin, and where the
time of a call may be over before it has left, the call is made again, and must not have left before.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from mizar_async import AsyncMizar, MizarError, NotOpened, NotSent, OutcomeUnknown, Unavailable

from ..conftest import KEY
from ..raw_server import Behaviour, Received, Writer, answer, closing, raw_server, resetting, saying, silent
from .conftest import failed, until

ROW: Final = {
    "position_id": "7",
    "strategy_id": "1",
    "base_asset": "BTC",
    "quote_asset": "USDT",
    "size": 0.1,
    "is_long": True,
    "open_price": "100.000000000000",
    "open_timestamp": 1_700_000_000_000,
}
OPEN: Final[dict[str, Any]] = {
    "strategy_id": 1,
    "base_asset": "BTC",
    "quote_asset": "USDT",
    "size": 0.1,
    "is_long": True,
}
NONE_OPEN: Final = saying(answer(b'{"open_positions": []}'))
NOW: Final = saying(answer(b'{"server_time": 1700000000000}'))
MEGABYTE: Final = b" " * 2**20


async def endless(_: Received, writer: Writer) -> None:
    """An answer whose body never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + MEGABYTE[: 2**16] + b"\r\n")
        await writer.drain()


async def dripping(_: Received, writer: Writer) -> None:
    """An answer that comes a byte at a time, each of them within the time-out."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_headers(_: Received, writer: Writer) -> None:
    """A head that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


async def hundred_megabytes(_: Received, writer: Writer) -> None:
    """100 MB of valid JSON, announced as such."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n[")
    for _ in range(99):
        writer.write(MEGABYTE)
        await writer.drain()
    writer.write(MEGABYTE[:-2] + b"]")


def compressed(encoding: str, body: bytes) -> Behaviour:
    return saying(answer(body, headers=f"Content-Encoding: {encoding}\r\n"))


def chunks() -> Iterator[bytes]:
    packing = zlib.compressobj(9, wbits=31)
    for _ in range(200):
        yield packing.compress(MEGABYTE)
    yield packing.flush()


BOMB: Final = b"".join(chunks())
_NUMBERS: Final = itertools.count()
HOSTILE: Final[dict[str, Behaviour]] = {
    "a_body_that_never_ends": endless,
    "a_body_that_drips": dripping,
    "a_head_that_never_ends": endless_headers,
    "a_hundred_megabytes_of_json": hundred_megabytes,
    "deeply_nested_lists": saying(answer(b"[" * 200_000)),
    "deeply_nested_objects": saying(answer(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)),
    "a_number_of_a_million_digits": saying(answer(b'{"position_id": ' + b"9" * 1_000_000 + b"}")),
    "a_wrong_content_type": saying(answer(b"\x00\x01\x02", content_type="image/png")),
    "no_content_type": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
    "html_with_status_200": saying(answer(b"<html>Welcome to the hotel</html>", content_type="text/html")),
    "invalid_utf_8": saying(answer(b'{"position_id": "\xff\xfe\xc0"}')),
    "json_of_another_kind": saying(answer(b'"yes"')),
    "not_a_number": saying(answer(b'{"position_id": NaN, "size": Infinity}')),
    "an_empty_body": saying(answer(b"")),
    "a_gzip_bomb": compressed("gzip", BOMB),
    "a_bomb_in_a_bomb": compressed("gzip, gzip", gzip.compress(BOMB)),
    "broken_gzip": compressed("gzip", b"this is no gzip"),
    "half_of_a_gzip": compressed("gzip", gzip.compress(json.dumps(ROW).encode())[:-12]),
    "an_unknown_encoding": compressed("snow", b"{}"),
    "a_wrong_length": saying(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n{}"),
    "no_http_at_all": saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "status_999": saying(answer(b"{}", 999)),
    "status_204": saying(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "nothing": silent,
    "the_end_of_the_connection": closing,
    "a_reset": resetting,
}


PONG: Final = saying(answer(b'{"message": "pong"}'))
EAGER: Final[dict[str, Any]] = {"max_retries": 0, "settle_time": 0.1, "listing_lag": 0.1, "grace": 0.0}


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncMizar]:
    """A client that has a connection, and whose calls end soon."""
    # A key of its own: a later server may get the port of an earlier one, and calls in doubt belong to key and host.
    async with AsyncMizar(f"{KEY}-{next(_NUMBERS)}", api_url=url, **EAGER) as patient:
        with contextlib.suppress(MizarError):
            await patient.ping()
        yield patient.with_options(timeout=0.4, deadline=0.6)


@pytest.mark.parametrize("behaviour", HOSTILE.values(), ids=HOSTILE)
async def test_a_read_ends_as_an_error(behaviour: Behaviour) -> None:
    calls = {"ping": PONG, "all-open-positions": behaviour}
    async with raw_server(calls) as server, connected(server.url) as mizar:
        tracemalloc.start()
        error = await failed(lambda: mizar.get_all_open_positions(strategy_id=1))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 300 * 2**20, f"{most / 2**20:.0f} MiB at once"
        assert KEY not in repr(error) + str(error)
        await until(lambda: len(server.received) == 2)
        assert server.paths() == ["ping", "all-open-positions"]


@pytest.mark.parametrize("behaviour", HOSTILE.values(), ids=HOSTILE)
async def test_an_open_is_sent_once_and_ends_in_doubt_or_as_not_opened(behaviour: Behaviour) -> None:
    calls = {"ping": PONG, "open-position": behaviour, "all-open-positions": NONE_OPEN, "server-time": NOW}
    async with raw_server(calls) as server, connected(server.url) as mizar:
        error = await failed(lambda: mizar.open_position(**OPEN))
        assert isinstance(error, (OutcomeUnknown, NotOpened))
        await until(lambda: "open-position" in server.paths())
        assert server.paths().count("open-position") == 1


@pytest.mark.parametrize("behaviour", HOSTILE.values(), ids=HOSTILE)
async def test_an_open_whose_answer_is_lost_is_found_in_the_list(behaviour: Behaviour) -> None:
    async def lists(request: Received, writer: Writer) -> None:
        open_now = [ROW] if "open-position" in server.paths() else []
        await saying(answer(json.dumps({"open_positions": open_now}).encode()))(request, writer)

    calls = {"ping": PONG, "open-position": behaviour, "all-open-positions": lists, "server-time": NOW}
    async with raw_server(calls) as server, connected(server.url) as mizar:
        await mizar.with_options(timeout=30, deadline=30).get_all_open_positions(strategy_id=1)
        position = await mizar.with_options(deadline=60).open_position(**OPEN)
        assert position.position_id == 7
        assert server.paths().count("open-position") == 1
        assert mizar.unresolved() == mizar.unclaimed_positions(1) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_host_is_never_followed(status: int) -> None:
    async with raw_server(saying(answer(b'{"message": "pong"}'))) as elsewhere:
        header = f"Location: {elsewhere.url}/api/v1/ping\r\n"
        async with raw_server(saying(answer(b"", status, headers=header))) as server, connected(server.url) as mizar:
            assert isinstance(await failed(mizar.ping), Unavailable)
            error = await failed(lambda: mizar.open_position(**OPEN))
            assert isinstance(error, (OutcomeUnknown, NotOpened))
            assert isinstance(await failed(lambda: mizar.close_position(position_id=7)), OutcomeUnknown)
            assert server.paths().count("open-position") == server.paths().count("close-position") == 1
        assert elsewhere.received == []


async def test_a_close_whose_connection_ends_each_time_is_unknown_at_its_deadline() -> None:
    calls = {"ping": PONG, "close-position": closing}
    async with raw_server(calls) as server, connected(server.url) as mizar:
        closing_it = mizar.with_options(max_retries=9)
        error = await failed(lambda: closing_it.close_position(position_id=7))
        assert isinstance(error, OutcomeUnknown)
        assert error.candidates == (7,)
        assert server.paths().count("close-position") >= 1


async def test_a_server_that_is_not_there_is_not_sent_to() -> None:
    async with raw_server(closing) as server:
        url = server.url
    async with connected(url) as mizar:
        with pytest.raises(NotSent):
            await mizar.open_position(**OPEN)
        assert mizar.unresolved() == []
