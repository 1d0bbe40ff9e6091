"""Answers with spoiled bytes, cut anywhere: what stock httpx reads too is read as it reads it, and the rest is refused.

Both readers get the same bytes in memory, followed by the end of the connection.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import zlib
from collections.abc import Iterator
from typing import Any, Final

import httpcore
import httpx
import pytest

from mizar_async._wire.http1 import Answered, Connection
from mizar_async._wire.unpacking import Broken, unpacked

ANSWERS: Final = 100_000 if os.environ.get("MIZAR_FAULTS_FULL") else 2_000

BODY: Final = b'{"position_id": "7", "size": 0.1}'
STATUSES: Final = (b"1.1 200 OK", b"1.1 201", b"1.0 200 OK", b"1.1 204 No Content", b"1.1 422 \xe9")
FIELDS: Final = (
    *(b"Content-Type: application/json", b"Date: Sat, 28 Nov 2026 00:00:00 GMT", b"X: a:b\t c", b"Retry-After: 1"),
    *(b"Connection: keep-alive", b"Connection: close", b"Connection: Upgrade", b"content-length: 33", b"X:", b"Y:  "),
    *(b"Content-Length: +33", b"Content-Length: 33, 33", b"Content-Length: 3", b"Content-Length:\t33 ", b" folded"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Content-Encoding: identity", b"A B: x", b"Z: \x00"),
)
SPOILS: Final = (b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\x00", b"\x7f", b"\x80", b"0", b"9", b"HTTP", b";", b",")


def answer(chance: random.Random) -> bytes:
    """Some answer: usual, chunked, packed, after a 100, or with fields that make no sense."""
    body, fields = BODY, [b"Content-Type: application/json"]
    kind = chance.choice(("usual", "usual", "usual", "chunked", "gzip", "deflate", "raw", "endless", "odd"))
    if kind in {"gzip", "deflate", "raw"}:
        raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = {
            "gzip": gzip.compress(body),
            "deflate": zlib.compress(body),
            "raw": raw.compress(body) + raw.flush(),
        }[kind]
        fields.append(b"Content-Encoding: gzip" if kind == "gzip" else b"Content-Encoding: deflate")
    if kind == "chunked":
        fields.append(b"Transfer-Encoding: chunked")
        body = b"5;x=y\r\n%b\r\n1C\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (body[:5], body[5:])
    elif kind != "endless":
        fields.append(b"Content-Length: %d" % len(body))
    if kind == "odd":
        fields += chance.sample(FIELDS, chance.randrange(1, 4))
    chance.shuffle(fields)
    before = b"HTTP/1.1 100 Continue\r\n\r\n" if chance.random() < 0.05 else b""
    behind = chance.choice((b"", b"", b"", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"x"))
    return (
        before
        + b"\r\n".join([b"HTTP/" + chance.choice(STATUSES[:1] * 6 + STATUSES), *fields, b"", b""])
        + body
        + behind
    )


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """The same with some bytes changed, dropped or added, mostly in its head."""
    for _ in range(chance.choice((0, 0, 1, 1, 1, 2, 4))):
        at = chance.randrange(min(len(data), 160) + 1)
        data = data[:at] + chance.choice((b"", *SPOILS)) + data[at + chance.randrange(3) :]
    return data[: chance.randrange(len(data) + 1)] if chance.random() < 0.1 else data


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """The same in pieces."""
    pieces, size = [], chance.choice((1, 3, 20, 100, 10_000))
    while data:
        at = chance.randrange(1, size + 1)
        pieces.append(data[:at])
        data = data[at:]
    return pieces


class Loopback(asyncio.Transport):
    """A connection to nowhere, which only knows whether it was closed."""

    def __init__(self) -> None:
        super().__init__({"socket": open(os.devnull, "rb")})  # noqa: SIM115
        self.closed = False

    def write(self, data: Any) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.closed = True


async def read_by_us(pieces: list[bytes]) -> tuple[Answered, bytes] | None:
    """The answer and its unpacked body, or None if it is refused; it is never kept where something follows it."""
    connection, nowhere = Connection(asyncio.get_running_loop()), Loopback()
    connection.connection_made(nowhere)
    due = connection.ask(b"", b"", asyncio.get_running_loop().time() + 60)
    for piece in pieces:
        if not nowhere.closed:
            connection.data_received(piece)
    if not nowhere.closed:
        connection.eof_received()
    connection.connection_lost(None)
    nowhere.get_extra_info("socket").close()
    try:
        answered = await due
        coding = httpx.Headers(answered.headers).get("content-encoding", "")
        return answered, unpacked(answered.body, coding)
    except Broken:
        return None


async def read_by_httpx(data: bytes) -> httpx.Response | None:
    """What stock httpx makes of it. It gets it in one piece: what deflate it reads depends on how that is cut."""
    transport = httpx.AsyncHTTPTransport()
    transport._pool = httpcore.AsyncConnectionPool(network_backend=httpcore.AsyncMockBackend([data, b""]))
    async with httpx.AsyncClient(transport=transport) as client:
        try:
            return await client.get("http://localhost/")
        except (httpx.HTTPError, ValueError):
            return None


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


@pytest.mark.timeout(3600)
def test_what_both_read_is_the_same_and_the_rest_is_refused(runner: asyncio.Runner) -> None:
    async def compare() -> tuple[int, int]:
        both = ours_alone = 0
        for seed in range(ANSWERS):
            chance = random.Random(seed)
            pieces = cut(spoiled(answer(chance), chance), chance)
            ours, stock = await read_by_us(pieces), await read_by_httpx(b"".join(pieces))
            if ours is None or stock is None:
                ours_alone += ours is not None
                continue
            both += 1
            answered, body = ours
            told = (stock.status_code, stock.headers.get("content-type"), stock.headers.get("retry-after"))
            fields = httpx.Headers(answered.headers)
            assert (answered.status, fields.get("content-type"), fields.get("retry-after")) == told, (seed, pieces)
            assert body == stock.content, (seed, pieces)
        return both, ours_alone

    both, ours_alone = runner.run(compare())
    assert both > ANSWERS / 3
    assert ours_alone == 0
