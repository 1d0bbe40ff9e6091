"""A venue in a dictionary, behind httpx's mock transport, that fails as a test tells it to."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import httpx

from mizar_async import AsyncMizar

from .conftest import KEY

Script = str | int | Callable[[dict[str, Any]], tuple[int, object]]


class ScriptedVenue:
    """Each call takes the next word of its script; without one it works.

    "lost": it acts, and the answer is lost. "dropped": it does not act, and nothing is answered. A number: that status,
    without acting. "garbled": it acts, and its answer can't be read. A function is asked for status and document.
    """

    def __init__(self) -> None:
        self.open: dict[int, dict[str, Any]] = {}
        self.opened = 0
        self.asked: list[str] = []
        self.script: defaultdict[str, list[Script]] = defaultdict(list)

    def client(self, *, key: str = KEY, **options: Any) -> AsyncMizar:
        """A client with short times."""
        settings: dict[str, Any] = {"timeout": 0.2, "deadline": 2.0, "settle_time": 0.3, "listing_lag": 0.05} | options
        return AsyncMizar(key, api_url="http://localhost", transport=httpx.MockTransport(self.answer), **settings)

    def answer(self, request: httpx.Request) -> httpx.Response:
        call = request.url.path.rpartition("/")[2]
        self.asked.append(call)
        word: Script = self.script[call].pop(0) if self.script[call] else "works"
        if word == "dropped":
            raise httpx.ReadError("dropped")
        if isinstance(word, int):
            return httpx.Response(word, json={"detail": f"status {word}"})
        ask = json.loads(request.content or b"{}")
        status, document = word(ask) if callable(word) else self.act(call, ask)
        if word == "lost":
            raise httpx.ReadError("lost")
        if word == "garbled":
            return httpx.Response(status, content=b"{", headers={"content-type": "application/json"})
        return httpx.Response(status, json=document)

    def act(self, call: str, ask: dict[str, Any]) -> tuple[int, object]:
        if call == "open-position":
            self.opened += 1
            position = ask | {"position_id": str(self.opened), "open_price": "100.0", "open_timestamp": self.opened}
            self.open[self.opened] = position
            return 200, position
        if call == "close-position":
            found = self.open.pop(ask["position_id"], None)
            return (409, {"detail": "it is closed"}) if found is None else (200, self.closed(found))
        if call == "close-all-positions":
            closed = [self.closed(position) for position in self.open.values()]
            self.open.clear()
            return 200, {"closed_positions": closed}
        if call == "all-open-positions":
            return 200, {"open_positions": list(self.open.values())}
        if call == "self-hosted-strategy-info":
            return 200, {"strategies": []}
        return 200, {"server_time": 1}

    @staticmethod
    def closed(position: dict[str, Any]) -> dict[str, Any]:
        return position | {"close_price": "110.0", "close_timestamp": 5}
