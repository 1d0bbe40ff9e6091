"""A bare asyncio protocol: the least that Python can do for a call. It trusts every byte that comes."""

from __future__ import annotations

import asyncio
import json

from commands import CLOSE, answer, body, timed_workers


class Connection(asyncio.Protocol):
    """One request, one answer with a Content-Length, and again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.unread = transport, b""

    def data_received(self, data: bytes) -> None:
        self.unread += data
        head, _, rest = self.unread.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        if len(rest) >= length:
            self.answer.set_result(rest)

    async def ask(self, request: bytes) -> bytes:
        self.unread, self.answer = b"", asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answer


async def _close(port: int, count: int, concurrency: int) -> dict[str, float]:
    idle: list[Connection] = []

    async def close(number: int) -> object:
        if not idle:
            idle.append((await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port))[1])
        connection, asked = idle.pop(), json.dumps(body(CLOSE, number)).encode()
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nmizar-api-key: key\r\nContent-Type: application/json\r\n"
        answered = await connection.ask(head % CLOSE.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(asked), asked))
        idle.append(connection)
        return json.loads(answered)

    taken = await timed_workers(close, count, concurrency)
    for connection in idle:
        connection.transport.close()
    return taken


def close(port: int, count: int, concurrency: int) -> dict[str, float]:
    """What it takes to close so many positions."""
    return asyncio.run(_close(port, count, concurrency))


answer({"close": close})
