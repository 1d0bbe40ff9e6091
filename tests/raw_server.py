"""A server that answers each request with the bytes that a test hands it, or does something worse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs

Writer = asyncio.StreamWriter
Behaviour = Callable[["Received", Writer], Awaitable[None]]


@attrs.frozen
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def answer(body: bytes = b"{}", status: int = 200, content_type: str = "application/json", headers: str = "") -> bytes:
    """An answer in bytes."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def saying(*answers: bytes) -> Behaviour:
    """Give these answers one after another, the last one for ever."""
    left = list(answers)

    async def say(_: Received, writer: Writer) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return say


async def closing(_: Received, writer: Writer) -> None:
    """Read the request, then close."""
    writer.close()


async def resetting(_: Received, writer: Writer) -> None:
    """Read the request, then reset the connection."""
    writer.transport.abort()


async def silent(_: Received, writer: Writer) -> None:
    """Read the request, and never answer."""


@attrs.define
class RawServer:
    """Where it listens, and what it was asked."""

    url: str
    received: list[Received] = attrs.field(factory=list)

    def paths(self) -> list[str]:
        """The last part of each path, in order."""
        return [one.path.rpartition("/")[2].partition("?")[0] for one in self.received]


@contextlib.asynccontextmanager
async def raw_server(behaviour: Behaviour | dict[str, Behaviour]) -> AsyncIterator[RawServer]:
    """Serve with one behaviour, or with one for each call; a call without one is answered 404."""
    found = RawServer("")
    connections: set[Writer] = set()

    async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
        connections.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                request = Received(method, path, headers, body)
                found.received.append(request)
                name = path.rpartition("/")[2].partition("?")[0]
                default = saying(answer(b'{"detail":"Not Found"}', 404))
                act = behaviour.get(name, default) if isinstance(behaviour, dict) else behaviour
                await act(request, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        for writer in connections:
            writer.transport.abort()
