"""A server that is cheap enough not to be the limit: answers that stand ready, written by an asyncio protocol.

    with running_server() as ports:
        ports.prompt      # answers at once
        ports.slow        # answers after 50 ms, as many at a time as are asked
        ports.losing      # opens positions, and drops the connection in place of an answer

It is a process of its own. Closes answer with the id that was asked for, opens with growing ids, and
`all-open-positions` of strategy n lists n positions that were just opened, with the shapes of the API's documentation.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import random
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import ClassVar, Final, NamedTuple

SLOW_SECONDS: Final = 0.05

# The positions that were open before anything was lost: `losing` lists them too.
OTHERS_OPEN: Final = 10_000

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_POSITION_ID: Final = re.compile(rb'"position_id" *: *(\d+)')
_STRATEGY_ID: Final = re.compile(rb'strategy_id"? *[:=] *(\d+)')
_POSITION: Final = (
    b'{"base_asset":"BTC","is_long":true,"open_price":"34012.120000000000","open_timestamp":%d,'
    b'"position_id":"%d","quote_asset":"USDT","size":0.3,"strategy_id":"%d"%b}'
)
_CLOSED: Final = b',"close_price":"34250.500000000000","close_timestamp":%d'
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_OPENED_MS: Final = 1_622_455_200_000
_MILLION: Final = 1_000_000


class Ports(NamedTuple):
    """Where the server listens on loopback."""

    prompt: int
    slow: int
    losing: int


class Answering(asyncio.Protocol):
    """One connection: whole requests in, ready answers out."""

    ids = itertools.count(1_000_000)
    lists = itertools.count(1)

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (head := self._unread.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._unread, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self._unread) < end:
                return
            request, self._unread = self._unread[:end], self._unread[end:]
            self.answer(request)

    def answer(self, request: bytes) -> None:
        body = self.body(request)
        answer = _HEAD % (len(body), body)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._write, answer)
        else:
            self.transport.write(answer)

    def _write(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)

    def body(self, request: bytes) -> bytes:
        path = request[: request.index(b" HTTP/")]
        if path.endswith(b"/close-position"):
            position_id = _number(_POSITION_ID, request)
            return _POSITION % (_OPENED_MS, position_id, _strategy_of(position_id), _CLOSED % _now_ms())
        if path.endswith(b"/open-position"):
            return _POSITION % (_now_ms(), next(self.ids), _number(_STRATEGY_ID, request), b"")
        if b"/all-open-positions" in path:
            return open_positions(_number(_STRATEGY_ID, path), next(self.lists))
        if path.endswith(b"/server-time"):
            return b'{"server_time":%d}' % _now_ms()
        return b"{}"


class Losing(Answering):
    """Opens what it is asked to open, and drops the connection in place of an answer."""

    opened: ClassVar[defaultdict[int, list[bytes]]] = defaultdict(list)

    def answer(self, request: bytes) -> None:
        if b"/open-position " not in request[:200]:
            super().answer(request)
            return
        strategy = _number(_STRATEGY_ID, request)
        self.opened[strategy].append(_POSITION % (_now_ms(), next(self.ids), strategy, b""))
        self.transport.abort()

    def body(self, request: bytes) -> bytes:
        if b"/all-open-positions" not in request[:200]:
            return super().body(request)
        strategy = _number(_STRATEGY_ID, request)
        return b'{"open_positions":[%b]}' % b",".join([_others(strategy), *self.opened[strategy]])


def open_positions(count: int, serial: int = 0) -> bytes:
    """The answer that lists so many open positions, of the strategy of that number; each list has ids of its own."""
    first = (serial * _MILLION + count) * _MILLION + 1
    return b'{"open_positions":[%b]}' % _listed(first, count, count)


def bars(count: int) -> bytes:
    """The answer that lists so many bars, with numbers as long as real ones."""
    chance = random.Random(1)
    prices, volumes = ("open", "high", "low", "close"), [f"{asset}_asset{part}_volume" for asset, part in _VOLUMES]
    listed = [
        {"time": _OPENED_MS + 60_000 * number}
        | {name: round(chance.uniform(100, 50_000), 2) for name in prices}
        | {name: round(chance.uniform(1, 1_000_000), 6) for name in volumes}
        | {"first_timestamp": _OPENED_MS + number, "last_timestamp": _OPENED_MS + number + 59_000}
        | {"first_trade_id": number, "last_trade_id": number + 100}
        | {"num_ticks": 101, "num_buy_ticks": 50, "num_sell_ticks": 51}
        for number in range(count)
    ]
    return json.dumps({"bars": listed}).encode()


_VOLUMES: Final = tuple((asset, part) for asset in ("base", "quote") for part in ("", "_buy", "_sell"))


def _strategy_of(position_id: int) -> int:
    """The strategy whose list has shown the position; 1 for what no list has shown."""
    return position_id // _MILLION % _MILLION or 1


@functools.cache
def _others(strategy_id: int) -> bytes:
    return _listed(1, OTHERS_OPEN, strategy_id)


def _listed(first: int, count: int, strategy_id: int) -> bytes:
    rows = (_POSITION % (_OPENED_MS + number, first + number, strategy_id, b"") for number in range(count))
    return b",".join(rows)


def _number(pattern: re.Pattern[bytes], text: bytes) -> int:
    found = pattern.search(text)
    return int(found[1]) if found else 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def running_server() -> Iterator[Ports]:
    """The server in a process of its own, until the block ends."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks.server"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Ports(*json.loads(process.stdout.readline()))
        finally:
            process.terminate()


async def main() -> None:
    loop = asyncio.get_running_loop()
    makers = (
        functools.partial(Answering, 0.0),
        functools.partial(Answering, SLOW_SECONDS),
        functools.partial(Losing, 0.0),
    )
    servers = [await loop.create_server(maker, "127.0.0.1", 0, backlog=1024) for maker in makers]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
