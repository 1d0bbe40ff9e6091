"""A server of bars behind httpx's mock transport: what it holds, how it pages, and what its clock says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import httpx

from mizar_async import AsyncMizar
from tests.conftest import KEY

MINUTE = 60_000
BTC: dict[str, Any] = {"base_asset": "BTC", "quote_asset": "USDT"}
MINUTES: dict[str, Any] = BTC | {"bar_subclass": "1min"}
TICKS: dict[str, Any] = BTC | {"bar_type": "tick", "bar_subclass": "dynamic"}


def bar(time: int, trade: int | None = None, **values: object) -> dict[str, object]:
    """A bar as the server writes it; its price tells which one it is."""
    number = time // MINUTE if trade is None else trade
    price = number + 0.5
    return {"time": time, "open": price, "high": price, "low": price, "close": price, "first_trade_id": number} | values


def minutes(places: Iterable[int]) -> list[dict[str, object]]:
    """Bars of these minutes."""
    return [bar(place * MINUTE) for place in places]


@attrs.define
class BarServer:
    """Answers `bars` and `server-time`, and remembers what was asked."""

    bars: list[dict[str, object]]
    now: Callable[[], float] = lambda: 10**14
    """Its clock, in milliseconds."""
    largest_page: int = 500
    shows_unfinished: bool = True
    failures: list[int] = attrs.field(factory=list)
    """Statuses to answer in place of the next pages."""
    starts: list[int] = attrs.field(factory=list)
    times_asked: int = 0
    under_way: int = 0
    most_under_way: int = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("server-time"):
            self.times_asked += 1
            return httpx.Response(200, json={"server_time": int(self.now())})
        asked = request.url.params
        start, limit = int(asked["start_timestamp"]), int(asked["limit"])
        self.starts.append(start)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        if self.failures:
            return httpx.Response(self.failures.pop(0), json={"detail": "failing"})
        now = self.now()
        shown = [one for one in self.bars if int(str(one["time"])) <= now - (0 if self.shows_unfinished else MINUTE)]
        page = [one for one in shown if int(str(one["time"])) >= start]
        return httpx.Response(200, json={"bars": page[: min(limit, self.largest_page)]})

    def client(self, **options: Any) -> AsyncMizar:
        """A client of it."""
        return AsyncMizar(KEY, api_url="http://localhost", transport=httpx.MockTransport(self.answer), **options)
