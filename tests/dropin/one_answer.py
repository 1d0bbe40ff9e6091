"""A server that answers one thing to everything, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

import attrs


@attrs.define
class Server:
    """What is asked of it stands in `asked`: method, path with query, and the body as JSON or the fields of a form."""

    port: int
    status: int = 200
    answer: bytes = b"{}"
    asked: list[tuple[str, str, Any]] = attrs.field(factory=list)

    def answers(self, answer: object, status: int = 200) -> None:
        self.status, self.answer = status, json.dumps(answer).encode()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


def _body(kind: str, body: bytes) -> Any:
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
    return json.loads(body) if body else None


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.asked.append((self.command, self.path, _body(self.headers.get("Content-Type", ""), body)))
            self.send_response(state.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(state.answer)))
            self.end_headers()
            self.wfile.write(state.answer)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state = Server(http.server_port)
    thread = Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
