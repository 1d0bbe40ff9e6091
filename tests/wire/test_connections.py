"""Our own connections against servers that answer oddly, twice, late or never: no call gets the answer to another."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import random
import re
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import httpx
import pytest
import uvloop

from mizar_async import AsyncMizar, OpenPosition
from mizar_async._api.exchange import Answer, Request
from mizar_async._wire.address import Address, ApiKey
from mizar_async._wire.pool import HostTransport
from mizar_async._wire.wire import Wire

from ..conftest import KEY

FULL: Final = bool(os.environ.get("MIZAR_FAULTS_FULL"))
LOOPS: Final = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

Told = tuple[int, bytes] | None
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"


@attrs.frozen
class Odd:
    """An answer, what is to be made of it (None: nothing can be), and whether its connection is used again."""

    parts: tuple[bytes, ...]
    told: Told
    is_kept: bool = False
    ends: bool = False
    """Whether the connection ends with it."""


ODD: Final[dict[str, Odd]] = {
    "usual": Odd((OK,), (200, b"ok"), is_kept=True),
    "no reason": Odd((b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",), (200, b"ok"), is_kept=True),
    "100 first": Odd((b"HTTP/1.1 100 Continue\r\n\r\n" + OK,), (200, b"ok"), is_kept=True),
    "chunked": Odd(
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",),
        (200, b"ok"),
        is_kept=True,
    ),
    "chunked with a trailer": Odd(
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",),
        (200, b"ok"),
        is_kept=True,
    ),
    "to the end": Odd((b"HTTP/1.1 200 OK\r\n\r\nok",), (200, b"ok"), ends=True),
    "HTTP/1.0": Odd((b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",), (200, b"ok")),
    "close": Odd((b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",), (200, b"ok")),
    "204": Odd((b"HTTP/1.1 204 No\r\n\r\n",), (204, b""), is_kept=True),
    "204 with a length": Odd((b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n", b"no"), (204, b"")),
    "two lengths alike": Odd(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",), (200, b"ok"), is_kept=True
    ),
    "two lengths": Odd((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",), None),
    "length and chunked": Odd(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",), (200, b"")
    ),
    "a signed length": Odd((b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",), None),
    "bytes behind": Odd((OK + NO,), (200, b"ok")),
    "bytes later": Odd((OK, NO), (200, b"ok")),
    "folded": Odd((b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",), (200, b"ok"), is_kept=True),
    "a space before a colon": Odd((b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",), None),
    "bare line feeds": Odd((b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",), (200, b"ok"), is_kept=True),
    "cut off": Odd((b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",), None, ends=True),
    "cut off in its head": Odd((b"HTTP/1.1 200 OK\r\nContent-Le",), None, ends=True),
    "cut off in a chunk": Odd((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",), None, ends=True),
    "garbage": Odd((b"garbage\r\n\r\n",), None),
    "101": Odd((b"HTTP/1.1 101 S\r\n\r\n",), None),
    "a long head": Odd((b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,), None),
    "a long head that ends": Odd((b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"Content-Length: 0\r\n\r\n",), None),
    "too long a length": Odd((b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999\r\n\r\nok",), None),
}

CUTS: Final[dict[str, Callable[[bytes], list[bytes]]]] = {
    "whole": lambda data: [data],
    "byte by byte": lambda data: [data[at : at + 1] for at in range(len(data))] if len(data) < 500 else [data],
    "random cuts": lambda data: list(cut(data, random.Random(len(data)))),
}


def cut(data: bytes, chance: random.Random) -> Iterator[bytes]:
    while data:
        at = chance.randrange(1, max(8, len(data) // 2))
        yield data[:at]
        data = data[at:]


class Departure:
    """The departure of a request that may leave."""

    sending = False

    def may_leave(self) -> bool:
        self.sending = True
        return True


Behaviour = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@attrs.define
class Connections:
    """How many a server has had, and those that its client has closed."""

    count: int = 0
    closed: asyncio.Queue[None] = attrs.field(factory=asyncio.Queue)


@contextlib.asynccontextmanager
async def serving(behaviour: Behaviour) -> AsyncIterator[tuple[Wire, Connections]]:
    """A wire to a server that behaves so for each request, and its connections."""
    connections, writers = Connections(), list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.count += 1
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                await behaviour(await reader.readexactly(int(length[1]) if length else 0), writer)
        connections.closed.put_nowait(None)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = Wire(Address.find(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), ApiKey(KEY))
    try:
        yield wire, connections
    finally:
        await wire.aclose()
        server.close()
        for writer in writers:
            writer.transport.abort()


async def told(wire: Wire, body: bytes | None = None, *, timeout: float = 30) -> Told:
    """What comes back for a request; None if there is no answer, and it is doubt."""
    departure = Departure()
    came = await wire.send(Request("POST", "ping", body), timeout, departure)
    if isinstance(came, Answer):
        return came.status, came.body
    assert departure.sending == came.sent
    return None


async def put(odd: Odd, pieces: Callable[[bytes], list[bytes]]) -> tuple[list[Told], int]:
    """What comes back for two requests, and over how many connections."""

    async def behave(_: bytes, writer: asyncio.StreamWriter) -> None:
        for part in odd.parts:
            for piece in pieces(part):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)  # so that the parts come one after another
        if odd.ends:
            writer.close()

    async with serving(behave) as (wire, connections):
        came = [await told(wire)]
        await asyncio.sleep(0.1)
        came.append(await told(wire))
        return came, connections.count


@pytest.mark.parametrize("pieces", CUTS)
@pytest.mark.parametrize("loop", LOOPS)
def test_an_odd_answer_is_read_or_refused_and_its_connection_used_again_only_if_its_end_is_certain(
    loop: str, pieces: str
) -> None:
    async def each() -> None:
        came = await asyncio.gather(*(put(odd, CUTS[pieces]) for odd in ODD.values()))
        expected = {name: ([odd.told] * 2, 1 if odd.is_kept else 2) for name, odd in ODD.items()}
        assert dict(zip(ODD, came, strict=True)) == expected

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(each())


def echo(body: bytes) -> bytes:
    """An answer that tells which request it is for."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def test_an_answer_after_the_time_of_its_call_is_given_to_no_other() -> None:
    late = asyncio.Event()

    async def behave(body: bytes, writer: asyncio.StreamWriter) -> None:
        if body == b"late":
            await late.wait()
        writer.write(echo(body))

    async with serving(behave) as (wire, _):
        assert await told(wire, b"late", timeout=0.1) is None
        late.set()
        assert [await told(wire, b"%d" % number) for number in range(3)] == [(200, b"%d" % n) for n in range(3)]


async def test_an_answer_that_comes_before_its_request_is_whole_is_its_own_and_the_last_of_its_connection() -> None:
    def at_its_head(number: int, _: bytes, connection: socket.socket) -> bool:
        connection.sendall(OK)
        return number > 1 or not connection.recv(1, socket.MSG_PEEK)  # reads no more, until the client is gone

    with Stranger(at_its_head, reads_bodies=False) as server:
        wire = Wire(Address.find(server.url), ApiKey(KEY))
        assert await told(wire, b"x" * 2**24) == (200, b"ok")
        assert await told(wire, b"2") == (200, b"ok")
        await wire.aclose()
        assert server.connections == 2


class Stranger(threading.Thread):
    """A server in a thread of its own, so that it speaks while the client's loop stands still."""

    def __init__(self, behaviour: Callable[[int, bytes, socket.socket], bool], *, reads_bodies: bool = True) -> None:
        super().__init__(daemon=True)
        self._behaviour, self._reads_bodies = behaviour, reads_bodies
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.received: list[bytes] = []

    def __enter__(self) -> Stranger:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.join()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listening.accept()[0]
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        unread, number = b"", 0
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                unread += data
                head, blank, rest = unread.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                size = int(length[1]) if length and self._reads_bodies else 0
                if not blank or len(rest) < size:
                    continue
                body, unread, number = rest[:size], rest[size:], number + 1
                self.received.append(body)
                if not self._behaviour(number, body, connection):
                    return


async def test_what_came_while_the_loop_stood_still_is_no_answer_to_the_next_call() -> None:
    spoken = threading.Event()

    def twice(_: int, body: bytes, connection: socket.socket) -> bool:
        connection.sendall(echo(body))
        spoken.wait(10)  # until the client has its answer, and stands still
        connection.sendall(NO)
        spoken.clear()
        done.set()
        return True

    done = threading.Event()
    with Stranger(twice) as server:
        wire = Wire(Address.find(server.url), ApiKey(KEY))
        for number in range(20):
            assert await told(wire, b"%d" % number) == (200, b"%d" % number)
            spoken.set()
            done.wait(10)  # and the loop stands still
            done.clear()
        await wire.aclose()
        assert server.received == [b"%d" % number for number in range(20)]


async def test_a_server_that_closes_at_the_instant_of_the_next_write_gets_nothing_twice_and_no_answer_is_swapped() -> (
    None
):
    chance = random.Random(1)

    def close_soon(_: int, body: bytes, connection: socket.socket) -> bool:
        connection.sendall(echo(body))
        for _ in range(chance.randrange(400)):
            pass
        return chance.random() < 0.3

    with Stranger(close_soon) as server:
        wire = Wire(Address.find(server.url), ApiKey(KEY))
        came = [await told(wire, b"%d" % number) for number in range(1000)]
        await wire.aclose()
    assert all(one in {None, (200, b"%d" % number)} for number, one in enumerate(came))
    assert len(server.received) == len(set(server.received))
    answered = {b"%d" % number for number, one in enumerate(came) if one is not None}
    assert answered <= set(server.received)


async def test_an_idle_connection_goes_by_itself_and_at_once_if_it_speaks_without_being_asked() -> None:
    writers: list[asyncio.StreamWriter] = []

    async def behave(body: bytes, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(echo(body))

    async with serving(behave) as (wire, connections):
        await told(wire, b"1")
        writers[0].write(b"x")
        await asyncio.wait_for(connections.closed.get(), 30)
        await told(wire, b"2")
        assert connections.count == 2
        await asyncio.wait_for(connections.closed.get(), 60)


@contextlib.contextmanager
def answering_nobody(port: int) -> Iterator[str]:
    """An address that neither takes a connection to this port nor refuses it: what waits there fills its queue."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.2", port))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
        yield "127.0.0.2"


@pytest.mark.skipif(sys.platform != "linux", reason="a queue that is full refuses elsewhere")
async def test_the_next_address_of_a_host_is_tried_beside_one_that_is_silent_and_looked_up_once_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up: list[str] = []
    numeric = socket.getaddrinfo

    async def behave(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(echo(body))

    async with serving(behave) as (wire, connections):
        port = wire._url(".").port
        assert port is not None
        with answering_nobody(port) as silent:

            def look_up(host: str, *arguments: Any, **options: Any) -> Any:
                if options.get("flags"):
                    return numeric(host, *arguments, **options)
                looked_up.append(host)
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in (silent, "127.0.0.1")]

            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            named = Wire(Address.find(f"http://venue.localhost:{port}"), ApiKey(KEY))
            assert await asyncio.gather(*(told(named, b"x") for _ in range(20))) == [(200, b"x")] * 20
            await named.aclose()
        assert looked_up == ["venue.localhost"]
        assert connections.count == 20


@pytest.mark.skipif(sys.platform != "linux", reason="a queue that is full refuses elsewhere")
async def test_what_is_cancelled_while_it_connects_ends_at_once_and_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, answering_nobody(taken.getsockname()[1]) as silent:
        url = f"http://{silent}:{taken.getsockname()[1]}"
        async with AsyncMizar(KEY, api_url=url, grace=600, timeout=600, deadline=600) as mizar:
            call = asyncio.create_task(mizar.close_all_positions(strategy_id=1))
            await asyncio.sleep(0.1)
            call.cancel()
            await asyncio.wait([call], timeout=60)
            assert call.cancelled(), "it waited for a connection"
            assert mizar.unresolved() == []


async def test_it_is_a_transport_of_httpx_like_any_other() -> None:
    packed = gzip.compress(b'{"a": 1}')
    head = b"HTTP/1.1 201 X\r\nSet-Cookie: a=b\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)

    async def behave(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(head + packed if body == b'{"q":2}' else OK)

    async with serving(behave) as (wire, connections):
        url = wire._url(".")
        async with httpx.AsyncClient(transport=HostTransport(url, None)) as client:
            response = await client.post(url, json={"q": 2})
            assert (response.status_code, response.json(), response.cookies["a"]) == (201, {"a": 1}, "b")
            assert (await client.get(url)).text == "ok"
        assert connections.count == 1


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors can't be counted here")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.timeout(3600)
def test_cancelled_at_any_step_nothing_leaks_and_what_is_not_in_doubt_never_left(loop: str) -> None:
    received: set[str] = set()
    options: dict[str, Any] = {"grace": 0.0, "settle_time": 0.01, "listing_lag": 0.0, "max_retries": 0}
    answer = b'{"open_positions": [], "server_time": 1700000000000}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)

    async def behave(body: bytes, writer: asyncio.StreamWriter) -> None:
        if asset := re.search(rb'"base_asset": ?"(\w+)"', body):
            received.add(asset[1].decode())  # and it is never answered
        else:
            writer.write(head + answer)

    async def attempt(url: str, number: int) -> None:
        chance = random.Random(number)
        async with AsyncMizar(KEY + str(number), api_url=url, **options) as mizar:
            if chance.random() < 0.3:
                await mizar.get_all_open_positions(strategy_id=1)  # a connection is there
            asked = OpenPosition(strategy_id=1, base_asset=f"A{number}", quote_asset="USDT", size=1, is_long=True)
            call = asyncio.create_task(mizar.open_position(**attrs.asdict(asked)))
            for _ in range(chance.randrange(120)):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert call.cancelled()
            in_doubt = mizar.unresolved()
        await asyncio.sleep(0)
        assert in_doubt or f"A{number}" not in received

    async def attempts() -> None:
        async with serving(behave) as (wire, _):
            url = str(wire._url("."))
            for number in range(50):
                await attempt(url, number)
            before = descriptors()
            for number in range(50, 10_000 if FULL else 300):
                await attempt(url, number)
            async with asyncio.timeout(60):
                while descriptors() > before + 3:
                    await asyncio.sleep(0.1)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(attempts())
    assert received
