"""A server that takes every request and never answers."""

from __future__ import annotations

import socketserver
from threading import Thread
from typing import Any

import attrs


@attrs.define
class Silence:
    """Where it listens, and what it was sent."""

    url: str
    reads: int = 0
    writes: int = 0


def silent_server() -> Silence:
    """Start one in this process, which it ends with."""

    class Ears(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while heard := self.request.recv(65536):
                silence.reads += heard.count(b"GET /")
                silence.writes += heard.count(b"POST /")

        request: Any

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 100

    server = Server(("127.0.0.1", 0), Ears)
    silence = Silence(f"http://127.0.0.1:{server.server_address[1]}")
    Thread(target=server.serve_forever, daemon=True).start()
    return silence
