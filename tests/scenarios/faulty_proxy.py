"""A proxy between client and venue that draws a fault for each exchange, from one seeded generator.

    async with FaultyProxy(venue.url, seed=1) as proxy:
        proxy.rate = 1 / 3          # a third of all exchanges fail, in one of the ways of `Fault`
        mizar = AsyncMizar(venue.key, api_url=proxy.url)
        ...
        proxy.seen                  # every request that was read, with its fault and what became of it

It knows the venue's positions from the answers that pass, so that a list can be shown as a replica that lags, or
that has stood still for a while, would have shown it.

What the client relies on holds however slow the machine is, and what it can't know is not asked of it: a request is
never held back for longer than it may be; a list that lags shows all that was open before; and a list that has stood
still contradicts something that the client was told before it asked.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import enum
import json
import random
import socket
import struct
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import attrs

_LIMIT: Final = 120.0
_IDLE: Final = 3.0
LONGEST_LAG: Final = 0.8
"""Seconds that a lagging list is behind at most: a listing_lag of 1 s is promised, with some for the way."""


class Fault(enum.Enum):
    """What goes wrong with an exchange."""

    REFUSE = "the connection is reset as soon as it is accepted, before anything is read"
    RESET_BEFORE = "reset before the request reaches the venue"
    RESET_AFTER = "reset after the venue has acted, before the answer"
    LATE = "the answer comes after the time-out"
    HELD = "the request is held back, and reaches the venue after the client has gone"
    HALF = "half of the answer, then the end"
    ERROR_BEFORE = "500, 502, 503 or 504 before the venue acts"
    ERROR_AFTER = "500, 502, 503 or 504 after the venue has acted"
    TOO_MANY = "429, with or without Retry-After"
    GARBAGE = "status 200 with garbage, after the venue has acted"
    NO_HTTP = "bytes that are no HTTP, after the venue has acted"
    LAGS = "a list that is up to a second old"
    FROZEN = "a list from a replica that has stood still for seconds"


LISTS: Final = frozenset({Fault.LAGS, Fault.FROZEN})
WEIGHTS: Final[Mapping[Fault, float]] = dict.fromkeys(Fault, 1.0) | {
    # It stops everything for a second.
    Fault.TOO_MANY: 0.1,
    # Only lists can be these.
    Fault.LAGS: 3.0,
    Fault.FROZEN: 1.5,
}
_LISTING: Final = "all-open-positions"
_STATUSES: Final = (500, 502, 503, 504)
_REASONS: Final = {429: "Too Many Requests", 200: "OK"}


@attrs.define
class Seen:
    """One request that was read."""

    at: float
    method: str
    call: str
    """The path below the API's address, without the query."""
    query: str
    body: bytes
    fault: Fault | None = None
    status: int | None = None
    """What the venue answered; None if the request has not reached it."""
    position_id: int | None = None
    """What the venue opened or closed by it."""
    shown: int | None = None
    """The status that the client was shown, as far as it was shown a whole answer."""


@attrs.define
class _Row:
    body: dict[str, object]
    opened: int
    closed: float = float("inf")
    told_open: float = float("inf")
    """When a client had certainly read of it, and of its close."""
    told_closed: float = float("inf")


class FaultyProxy:
    """Listens on a free port of this machine, and forwards to one venue."""

    def __init__(
        self,
        upstream: str,
        *,
        seed: int,
        rate: float = 0.0,
        hold: float = 1.5,
        timeout: float = 0.5,
        weights: Mapping[Fault, float] = WEIGHTS,
    ) -> None:
        """`hold` is how long a request is held back at most; `timeout` is the client's."""
        self.url = ""
        self.rate = rate
        self.weights = dict(weights)
        self.seen: list[Seen] = []
        self.counts: collections.Counter[str] = collections.Counter()
        """Requests read, by call."""
        self.faults: collections.Counter[Fault] = collections.Counter()
        self.plan: Callable[[Seen], Fault | None] | None = None
        """Decides in place of the generator, where a test needs one fault at one place."""
        self._address = urlsplit(upstream)
        self._rng = random.Random(seed)
        self._hold = hold
        self.timeout = timeout
        self.retry_afters: tuple[int | None, ...] = (None, 1)
        """What a 429 may ask for, in seconds."""
        self.late_until: asyncio.Event | None = None
        """What a late answer waits for, in place of a time."""
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._rows: dict[int, _Row] = {}
        self._acting: dict[int, float] = {}
        """Requests that are at the venue, and since when, in milliseconds of the wall clock."""
        self.held: set[asyncio.Task[None]] = set()
        """Requests that are held back, and will still reach the venue."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> FaultyProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        ending = [*self._tasks, *self.held]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        for writer in [*self._open, *(writer for _, _, writer in self._idle)]:
            writer.close()

    @property
    def connections(self) -> int:
        """Connections of clients that are open."""
        return len(self._open)

    def requests_of(self, call: str) -> list[Seen]:
        """The requests of one call that were read, oldest first."""
        return [request for request in self.seen if request.call == call]

    # -- the client's side ---------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            if self.plan is None and self._rng.random() < self.rate * self._share(Fault.REFUSE):
                self.faults[Fault.REFUSE] += 1
                _reset(writer)
                return
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone
        except asyncio.CancelledError:
            if not self._server.is_serving():
                return  # the end of the test; the server would log a cancelled connection
            raise
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        last: Seen | None = None
        while (request := await _request(reader)) is not None:
            head, seen = request
            if last is not None:
                self._was_read(last)  # its client sends no further request here before it has read the answer
            last = seen
            self.seen.append(seen)
            self.counts[seen.call] += 1
            seen.fault = self.plan(seen) if self.plan else self._draw(seen)
            if seen.fault is not None:
                self.faults[seen.fault] += 1
            if not await self._answer(head, seen, writer):
                return

    def _share(self, fault: Fault) -> float:
        return self.weights[fault] / sum(weight for fault, weight in self.weights.items() if fault not in LISTS)

    def _draw(self, seen: Seen) -> Fault | None:
        if self._rng.random() >= self.rate:
            return None
        possible = [fault for fault in self.weights if fault is not Fault.REFUSE]
        if seen.call != _LISTING:
            possible = [fault for fault in possible if fault not in LISTS]
        return self._rng.choices(possible, [self.weights[fault] for fault in possible])[0]

    async def _answer(self, head: bytes, seen: Seen, writer: asyncio.StreamWriter) -> bool:  # noqa: PLR0911 - a table
        """Carry the exchange out as its fault wants it; False if the connection has ended."""
        match seen.fault:
            case None:
                return await self._show(seen, await self._forward(head, seen), writer)
            case Fault.REFUSE | Fault.RESET_BEFORE:
                _reset(writer)
            case Fault.ERROR_BEFORE:
                return await self._show(seen, _error(self._rng.choice(_STATUSES)), writer)
            case Fault.TOO_MANY:
                return await self._show(seen, _error(429, self._rng.choice(self.retry_afters)), writer)
            case Fault.HELD:
                self._hold_back(head, seen)
                # The client goes when its time is over.
                await asyncio.sleep(self.timeout + 0.3)
                _reset(writer)
            case Fault.LAGS:
                return await self._show(seen, await self._lagging(seen), writer)
            case Fault.FROZEN:
                return await self._show(seen, await self._frozen(seen), writer)
            case Fault.ERROR_AFTER:
                await self._forward(head, seen)
                return await self._show(seen, _error(self._rng.choice(_STATUSES)), writer)
            case Fault.GARBAGE:
                await self._forward(head, seen)
                garbage = self._rng.randbytes(self._rng.randrange(200))
                kind = self._rng.choice(("application/json", "text/html"))
                return await self._show(seen, _whole(200, garbage, kind), writer)
            case _:
                await self._break(seen, await self._forward(head, seen), writer)
        return False

    async def _break(self, seen: Seen, answer: bytes, writer: asyncio.StreamWriter) -> None:
        match seen.fault:
            case Fault.HALF:
                writer.write(answer[: self._rng.randrange(1, len(answer))])
                await writer.drain()
            case Fault.NO_HTTP:
                writer.write(self._rng.randbytes(100) + b"\r\n\r\n")
                await writer.drain()
            case Fault.LATE:
                later = self.timeout + self._rng.uniform(0.1, 0.5)
                await (self.late_until.wait() if self.late_until else asyncio.sleep(later))
                writer.write(answer)
                await writer.drain()
            case _:
                _reset(writer)

    async def _show(self, seen: Seen, answer: bytes, writer: asyncio.StreamWriter) -> bool:
        seen.shown = int(answer[9:12])
        writer.write(answer)
        await writer.drain()
        return True

    def _hold_back(self, head: bytes, seen: Seen) -> None:
        async def deliver(after: float) -> None:
            await asyncio.sleep(after)
            if time.monotonic() - seen.at > self._hold + 0.2:
                return  # this machine was asleep: it is lost, rather than delivered later than anything may be
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._forward(head, seen)

        task = asyncio.get_running_loop().create_task(deliver(self._rng.uniform(0.1, self._hold)))
        self.held.add(task)
        task.add_done_callback(self.held.discard)

    # -- the venue's side ----------------------------------------------------------------------------

    async def _forward(self, head: bytes, seen: Seen) -> bytes:
        reader, writer = await self._connection()
        self._acting[id(seen)] = time.time() * 1000
        try:
            writer.write(head + seen.body)
            await writer.drain()
            answer = await asyncio.wait_for(_whole_answer(reader), _LIMIT)
        except BaseException:
            writer.close()
            raise
        finally:
            del self._acting[id(seen)]
        self._idle.append((time.monotonic(), reader, writer))
        seen.status = int(answer[0][9:12])
        if seen.status == 200:
            self._learn(seen, answer[1])
        return b"".join(answer)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < _IDLE and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._address.hostname, self._address.port, limit=2**26)

    def _learn(self, seen: Seen, body: bytes) -> None:
        if seen.call == "open-position":
            row = json.loads(body)
            seen.position_id = int(row["position_id"])
            self._rows[seen.position_id] = _Row(row, int(row["open_timestamp"]))
        elif seen.call == "close-position":
            row = json.loads(body)
            seen.position_id = int(row["position_id"])
            self._closed(row)
        elif seen.call == "close-all-positions":
            for row in json.loads(body)["closed_positions"]:
                self._closed(row)

    def _closed(self, row: dict[str, object]) -> None:
        known = self._rows.get(int(str(row["position_id"])))
        if known is not None:
            known.closed = int(str(row["close_timestamp"]))

    def _was_read(self, seen: Seen) -> None:
        """The client has read the answer to a request."""
        if seen.shown != 200 or seen.fault is not None:
            return
        if seen.call == "open-position" and seen.position_id in self._rows:
            self._rows[seen.position_id].told_open = time.monotonic()
        if seen.call == "close-position" and seen.position_id in self._rows:
            self._rows[seen.position_id].told_closed = time.monotonic()

    async def _lagging(self, seen: Seen) -> bytes:
        """The list of a replica that is a little behind."""
        return await self._listed(seen, time.time() * 1000 - self._rng.uniform(0.2, LONGEST_LAG) * 1000)

    async def _frozen(self, seen: Seen) -> bytes:
        """The list of a replica that has stood still, where what its client was told gives it away."""
        then = time.time() * 1000 - self._rng.uniform(2.0, 10.0) * 1000
        # Told so long before the client asked that the lag of a list can't explain it, however slow the machine is.
        before = seen.at - LONGEST_LAG - 2 * self.timeout - 1.0
        # What was open when a close-all was sent may have been closed by it, as far as the client can tell.
        swept = max((one.at for one in self.seen if one.call == "close-all-positions"), default=float("-inf"))
        given_away = any(
            (row.opened > then and swept < row.told_open < before and row.closed == float("inf"))
            or (row.opened <= then < row.closed and row.told_closed < before)
            for row in self._rows.values()
        )
        return await (self._listed(seen, then) if given_away else self._lagging(seen))

    async def _listed(self, seen: Seen, then: float) -> bytes:
        """What was open at a time on the wall clock, in milliseconds."""
        while any(since <= then for since in self._acting.values()):
            await asyncio.sleep(0.01)  # it may have been opened before, and nobody knows yet
        strategy = seen.query.partition("strategy_id=")[2]
        rows = [
            row.body
            for number, row in sorted(self._rows.items())
            if row.opened <= then < row.closed and str(row.body["strategy_id"]) == strategy
        ]
        return _whole(200, json.dumps({"open_positions": rows}).encode())


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by RST."""
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> tuple[bytes, Seen] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    body = await reader.readexactly(_length(head))
    method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    path, _, query = target.partition("?")
    return head, Seen(time.monotonic(), method, path.rpartition("/")[2], query, body)


async def _whole_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    return head, await reader.readexactly(_length(head))


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


def _whole(status: int, body: bytes, kind: str = "application/json", *headers: str) -> bytes:
    lines = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def _error(status: int, retry_after: int | None = None) -> bytes:
    headers = () if retry_after is None else (f"Retry-After: {retry_after}",)
    return _whole(status, b'{"detail": "no"}', "application/json", *headers)
