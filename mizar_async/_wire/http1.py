"""One HTTP/1.1 connection over asyncio: a request is one write, an answer one future, and never more than one is due.

The usual answer (HTTP/1.1, a status from 200 on, one Content-Length) is read here, from a head that fits the grammar
to the last byte; whatever else comes is read by h11, which is strict.

A connection is used again only after a complete answer with nothing behind it. A byte that comes while nobody asked
closes it, and so does whatever leaves open where an answer ends: it could be taken for the answer to the next call.
"""

from __future__ import annotations

import asyncio
import re
import select
from collections.abc import Callable
from typing import Final, NamedTuple, cast

import h11

from .._clock import unstepped
from .unpacking import Broken, check_size

LARGEST_HEAD: Final = 64 * 2**10
# Servers of this kind close an idle connection after 5 s; one that is dropped before can't be lost in use.
IDLE_SECONDS: Final = 3.5

_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_USUAL_HEAD: Final = re.compile(
    rb"HTTP/1\.1 ([2-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)
_LENGTH: Final = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,20})[ \t]*\r")
_CLOSES: Final = re.compile(rb"\nconnection:[^\r]*close")


class Answered(NamedTuple):
    """One complete answer, as it was written."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    is_clean: bool
    """Whether it is certain that it ends here, and that another may follow."""


Read = Callable[[bytes], Answered | None]
"""Is given bytes as they come, and gives the answer once it is complete; none are the connection's end."""


_PIECE: Final = 256 * 2**10
"""Bytes of a body that are written in one step of the loop."""


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.gone: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport
        self._usable = False
        self._waiter: asyncio.Future[Answered] | None = None
        self._unread = b""
        self._read: Read | None = None
        self._due, self._idle_since = 0.0, unstepped()
        self._timer: asyncio.TimerHandle | None = None
        self._unsent: bytes | memoryview = b""
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.is_readable = _readable(self._transport.get_extra_info("socket").fileno())
        tls = self._transport.get_extra_info("ssl_object")
        self._usable = tls is None or tls.selected_alpn_protocol() in {None, "http/1.1"}
        self._be_due(self._loop.time() + IDLE_SECONDS)

    def is_fit(self) -> bool:
        """Whether a request may be written now: nothing is due, and nothing has come that the loop has not seen."""
        rested = unstepped() - self._idle_since  # also while the machine slept
        return self._usable and self._waiter is None and rested < IDLE_SECONDS and not self.is_readable()

    def rest(self) -> bool:
        """Begin to be idle, until `IDLE_SECONDS` are over; False if it is of no use any more."""
        if not self._usable or self._waiter is not None:
            return False
        self._idle_since = unstepped()
        self._be_due(self._loop.time() + IDLE_SECONDS)
        return True

    def ask(self, head: bytes, body: bytes, due: float) -> asyncio.Future[Answered]:
        """Write a request; gives the future of its answer. It fails as Broken, or TimeoutError if that is due.

        All of it is written at once, but for what is longer than a piece: that would hold up the loop.
        """
        self._unread, self._read = b"", None
        self._waiter = waiter = self._loop.create_future()
        self._be_due(due)
        if len(body) <= _PIECE:
            self._transport.write(head + body)
        else:
            self._unsent = memoryview(body)
            self._transport.write(head)
            self._send_on()
        return waiter

    def _send_on(self) -> None:
        if self._unsent and self._waiter is not None and not self._is_paused:
            if not self.is_readable():  # an answer that comes early is read first: to write may fail, and lose it
                piece, self._unsent = self._unsent[:_PIECE], self._unsent[_PIECE:]
                self._transport.write(piece)
            self._loop.call_soon(self._send_on)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._send_on()

    def drop(self, why: Exception | None = None) -> None:
        """Close it at once; an answer that is due fails."""
        self._fail(why or Broken("the connection was closed here"))
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            if self._waiter is None:
                self.drop()  # nobody asked
            elif self._read is None:
                self._begin(self._unread + data)
            else:
                self._take(self._read(data))
        except Broken as broken:
            self.drop(broken)

    def eof_received(self) -> None:
        self._usable = False
        self.data_received(b"")  # an answer may end with its connection

    def connection_lost(self, exc: Exception | None) -> None:
        why = f"{type(exc).__name__}: {exc}" if exc else "the server closed it before the end of its answer"
        self._fail(Broken(why))
        if self._timer is not None:
            self._timer.cancel()
        self.gone.set_result(None)

    def _begin(self, data: bytes) -> None:
        blank = _BLANK_LINE.search(data)
        if (blank.end() if blank else len(data)) > LARGEST_HEAD:
            raise Broken(f"the head of the answer is larger than {LARGEST_HEAD // 2**10} KiB")
        if blank is None:
            self._unread = data
        else:
            self._read = _usual(data, blank.end()) or _Odd().read
            self._take(self._read(data))

    def _take(self, answered: Answered | None) -> None:
        if answered is None or self._waiter is None:
            return
        waiter, self._waiter = self._waiter, None
        # The answer to a request that is not all written yet is one, but what follows would be anybody's guess.
        if not answered.is_clean or self._unsent or self._transport.get_write_buffer_size():
            self.drop()
        if not waiter.done():
            waiter.set_result(answered)

    def _fail(self, why: Exception) -> None:
        self._usable, self._unsent = False, b""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(why)

    def _be_due(self, due: float) -> None:
        # One timer serves many requests: it is put off when it rings, and not with each of them.
        self._due = due
        if self._timer is not None and self._timer.when() > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._loop.time() < self._due:
            self._be_due(self._due)
        else:
            self.drop(TimeoutError())


def _usual(data: bytes, end: int) -> Read | None:
    """What reads an answer whose head ends there, if that is the usual one."""
    head = _USUAL_HEAD.fullmatch(data, 0, end)
    names = head[0].lower() if head else b""
    length = _LENGTH.search(names)
    if head is None or length is None or names.count(b"\ncontent-length:") != 1 or b"\ntransfer-encoding:" in names:
        return None
    status, size, left, parts = int(head[1]), int(length[1]), end + int(length[1]), list[bytes]()
    if status in {204, 304}:
        return None
    check_size(size)

    def read(data: bytes) -> Answered | None:
        nonlocal left
        left -= len(data)
        parts.append(data)
        if left > 0:
            return None
        is_clean = left == 0 and not _CLOSES.search(names)
        return Answered(status, _fields(head[0]), b"".join(parts)[end : end + size], is_clean)

    return read


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    parted = (line.partition(b":") for line in head.split(b"\r\n")[1:-2])
    return [(name, value.strip(b" \t")) for name, _, value in parted]


class _Odd:
    """An answer of another shape, read by h11."""

    def __init__(self) -> None:
        self._machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
        self._machine.send(h11.Request(method="POST", target="/", headers=[("Host", "-")]))
        self._machine.send(h11.EndOfMessage())
        self._response: h11.Response
        self._body = bytearray()

    def read(self, data: bytes) -> Answered | None:
        events = 0
        try:
            self._machine.receive_data(data)
            while (event := self._machine.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                events += 1
                if events > 1000 + len(data) // 64:
                    raise Broken(
                        "the answer comes in more pieces than any real one: they would hold up everything else"
                    )
                if isinstance(event, h11.Response):
                    self._response = event
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    check_size(len(self._body))
                elif isinstance(event, h11.EndOfMessage):
                    return self._answered()
        except h11.RemoteProtocolError as odd:
            reason, _, _ = str(odd).partition(":")  # behind it stand the server's bytes, which may hold anything
            raise Broken(f"the answer is no HTTP: {reason}") from None
        return None

    def _answered(self) -> Answered:
        fields = dict(self._response.headers)
        # Two readers may differ about the end of one that has both, or of a 204 with a length.
        size = None if b"transfer-encoding" in fields else len(self._body)
        is_certain = b"content-length" not in fields or int(fields[b"content-length"]) == size
        goes_on = self._machine.their_state is h11.DONE and not self._machine.trailing_data[0]
        headers = self._response.headers.raw_items()
        return Answered(self._response.status_code, headers, bytes(self._body), is_certain and goes_on)


def _readable(descriptor: int) -> Callable[[], bool]:
    """What tells whether there is anything to be read from a descriptor: bytes, its end, or a failure."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))
