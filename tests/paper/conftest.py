"""A venue in this process, with a key, and a raw client that sends whatever a test wants it to."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from mizar_async import paper
from mizar_async._clock import Clock

STRATEGY = {
    "name": "S",
    "description": "",
    "exchanges": ["binance"],
    "symbols": ["BTCUSDT", "ETHUSDT"],
    "market": "FUTURES",
}
OPEN = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0.3, "is_long": True}


@pytest.fixture
def venue() -> paper.Venue:
    """A venue in memory, whose time begins in 2022, and on which one strategy for FUTURES can be published."""
    return paper.Venue(feed=paper.Simulated(seed=1), clock=Clock(start=1_641_000_000_000))


@pytest.fixture
def key(venue: paper.Venue) -> str:
    return venue.create_key()


@pytest.fixture
async def http(venue: paper.Venue, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the venue with a good key; bugs of the venue raise instead of being answered 500."""
    async with client_of(venue, key) as client:
        yield client


@pytest.fixture
async def strategy(http: httpx.AsyncClient) -> int:
    """The id of a strategy for BTCUSDT and ETHUSDT on FUTURES: 1."""
    answer = await http.post("publish-self-hosted-strategy", json=STRATEGY)
    assert answer.status_code == 200
    number: int = answer.json()["strategy_id"]
    return number


@functools.lru_cache(maxsize=1)  # to make one takes longer than most tests of it
def _app_of(venue: paper.Venue) -> FastAPI:
    return paper.create_app(venue)


def client_of(venue: paper.Venue, key: str) -> httpx.AsyncClient:
    """A client of a venue in this process."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(_app_of(venue)),
        base_url="http://venue/api/v1/",
        headers={"mizar-api-key": key},
    )
