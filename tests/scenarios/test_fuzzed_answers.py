"""Real answers, mutated: whatever a server makes of them, only a MizarError leaves, and by its deadline."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mizar_async import AsyncMizar, MizarError
from mizar_async.replay.loop import VirtualLoop

from .conftest import FULL

ROW: Final[dict[str, Any]] = {
    "position_id": "7",
    "strategy_id": "1",
    "base_asset": "BTC",
    "quote_asset": "USDT",
    "size": 0.1,
    "is_long": True,
    "open_price": "100.000000000000",
    "open_timestamp": 1_700_000_000_000,
}
CLOSED: Final = ROW | {"close_price": "101.000000000000", "close_timestamp": 1_700_000_001_000}
SYMBOL: Final = {"symbol": "BTCUSDT", "base_asset": "BTC", "quote_asset": "USDT", "markets": ["SPOT"]}
STRATEGY: Final[dict[str, Any]] = {
    "strategy_id": "1",
    "name": "S",
    "exchange": "binance",
    "symbols": [SYMBOL],
    "market": "FUTURES",
}
REAL: Final[dict[str, Any]] = {
    "open-position": ROW | {"position_id": "9"},  # the list shows the others before it is sent
    "close-position": CLOSED,
    "close-all-positions": {"closed_positions": [CLOSED | {"position_id": each} for each in "789"]},
    "all-open-positions": {"open_positions": [ROW, ROW | {"position_id": "8"}]},
    "self-hosted-strategy-info": {"strategies": [STRATEGY]},
    "publish-self-hosted-strategy": STRATEGY,
    "server-time": {"server_time": 1_700_000_000_000},
    "ping": {"message": "pong"},
    "exchanges": {"exchanges": [{"name": "binance", "markets": ["SPOT"]}]},
    "symbols": {"symbols": [SYMBOL]},
}
OPEN: Final[dict[str, Any]] = {
    "strategy_id": 1,
    "base_asset": "BTC",
    "quote_asset": "USDT",
    "size": 0.1,
    "is_long": True,
}
CALLS: Final[dict[str, Callable[[AsyncMizar], Awaitable[object]]]] = {
    "open": lambda mizar: mizar.open_position(**OPEN),
    "close": lambda mizar: mizar.close_position(position_id=7),
    "close_all": lambda mizar: mizar.close_all_positions(strategy_id=1),
    "list": lambda mizar: mizar.get_all_open_positions(strategy_id=1),
    "strategies": lambda mizar: mizar.get_all_self_hosted_strategies_info(),
    "publish": lambda mizar: mizar.create_self_hosted_strategy(
        name="S", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
    ),
    "server_time": lambda mizar: mizar.server_time(),
    "ping": lambda mizar: mizar.ping(),
    "exchanges": lambda mizar: mizar.get_exchanges(),
    "symbols": lambda mizar: mizar.get_symbols(exchange="binance"),
}
ODD: Final = (
    *(None, True, False, 0, -1, 1.5, 1e308, 10**30, "", "x", "NaN", "-0", "1e999999", "\ud800", "\x00", "7 ", "0x7"),
    *([], {}, [[]], {"a": None}, "9" * 5000, ["7"], float("nan"), float("inf"), -(10**19), "2023-01-01T00:00:00Z"),
)
STATUSES: Final = (200, 200, 200, 200, 200, 201, 204, 206, 301, 400, 401, 403, 404, 405, 408, 409, 413, 415, 418)
STATUSES_TOO: Final = (422, 425, 429, 451, 499, 500, 502, 503, 504, 599)
TYPES: Final = (
    "application/json",
    "application/json; charset=utf-16",
    "application/problem+json",
    "text/html",
    "",
    "\x80",
)
DETAILS: Final = (
    *({"detail": "no"}, {"detail": [{"loc": ["body", "size"], "msg": "wrong"}]}, {"detail": [{"loc": 3, "msg": None}]}),
    *({"message": {"a": 1}}, [], "no", 7, None, {"detail": [[], {}, None]}),
)
AFTERS: Final = ("1", "0", "-5", "1e400", "nan", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Foo 0 0:0:0 GMT", "")


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """Every place in a document, as its container and the key there."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(inside):
        yield value, key
        yield from places(one)


def mutated(document: object, chance: random.Random) -> bytes:
    """A real answer with some of its values replaced, dropped or doubled, or with some of its bytes spoiled."""
    document = json.loads(json.dumps(document))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 5))):
        if not (found := list(places(document))):
            break
        container, key = chance.choice(found)
        if chance.random() < 0.2:
            del container[key]
        else:
            container[key] = chance.choice(ODD)
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    if chance.random() < 0.2:
        at = chance.randrange(len(body) + 1)
        body = body[:at] + chance.randbytes(chance.randrange(4)) + body[at + chance.randrange(4) :]
    return body[: chance.randrange(len(body) + 1)] if chance.random() < 0.1 else body


def answering(chance: random.Random) -> Callable[[httpx.Request], httpx.Response]:
    """A server that answers with mutated real answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        status = 200 if chance.random() < 0.7 else chance.choice(STATUSES + STATUSES_TOO)
        real = REAL[request.url.path.rpartition("/")[2]] if status < 300 else chance.choice(DETAILS)
        headers = {b"content-type": chance.choice(TYPES[:1] * 8 + TYPES).encode("latin-1")}
        if chance.random() < 0.1:
            headers[b"retry-after"] = chance.choice(AFTERS).encode()
        return httpx.Response(status, headers=headers, content=mutated(real, chance))

    return answer


async def called(name: str, chance: random.Random) -> None:
    transport = httpx.MockTransport(answering(chance))
    mizar = AsyncMizar(
        "fuzzed",
        api_url="http://localhost",
        transport=transport,
        timeout=0.02,
        deadline=0.02,
        max_retries=0,
        settle_time=0.0,
        listing_lag=0.0,
        grace=0.0,
    )
    with contextlib.suppress(MizarError):
        await CALLS[name](mizar)
    await mizar.aclose()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Virtual time, whatever the machine needs for the answers."""
    with asyncio.Runner(loop_factory=VirtualLoop) as one:
        yield one


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "mizar_async")


@pytest.mark.timeout(3600)
@settings(
    max_examples=10_000 if FULL else 150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def test_only_errors_of_this_sdk_leave_whatever_the_answer(runner: asyncio.Runner, seed: int) -> None:
    chance = random.Random(seed)

    async def each_call() -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(*(called(name, random.Random(chance.random())) for name in CALLS))

    runner.run(each_call())


def test_the_unmutated_answers_are_read(runner: asyncio.Runner) -> None:
    def real(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=REAL[request.url.path.rpartition("/")[2]])

    async def each_call() -> list[object]:
        mizar = AsyncMizar("fuzzed", api_url="http://localhost", transport=httpx.MockTransport(real))
        return [await call(mizar) for call in CALLS.values()]

    assert len(runner.run(each_call())) == len(CALLS)
