"""Each endpoint's exact request and its decoding, through respx; our transport is not httpx's own, so it is passed
in."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
import respx

from mizar_async import AsyncMizar, Exchange, MizarError, Symbol

from ..api.test_codec import CLOSED, OPEN, STRATEGY
from ..conftest import KEY

BASE = "http://localhost/api/v1/"

pytestmark = pytest.mark.virtual_time

CALLS: dict[str, tuple[str, dict[str, Any], str, str, Any, Any]] = {
    "ping": ("ping", {}, "GET", "ping", None, {}),
    "server_time": ("server_time", {}, "GET", "server-time", None, {"server_time": 1623081868169}),
    "get_exchanges": (
        "get_exchanges",
        {},
        "GET",
        "exchanges",
        None,
        {"exchanges": [{"name": "binance", "markets": ["SPOT"]}]},
    ),
    "get_symbols": (
        "get_symbols",
        {"exchange": "binance", "market": "SPOT"},
        "GET",
        "symbols?exchange=binance&market=SPOT",
        None,
        {"symbols": [{"symbol": "BTCUSDT", "base_asset": "BTC", "quote_asset": "USDT", "markets": ["SPOT"]}]},
    ),
    "create_self_hosted_strategy": (
        "create_self_hosted_strategy",
        {"name": "n", "description": "d", "exchanges": ["binance"], "symbols": ["BTCUSDT"], "market": "SPOT"},
        "POST",
        "publish-self-hosted-strategy",
        {"name": "n", "description": "d", "exchanges": ["binance"], "symbols": ["BTCUSDT"], "market": "SPOT"},
        STRATEGY,
    ),
    "strategies": (
        "get_all_self_hosted_strategies_info",
        {},
        "GET",
        "self-hosted-strategy-info",
        None,
        {"strategies": [STRATEGY]},
    ),
    "open_position": (
        "open_position",
        {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0.3, "is_long": True},
        "POST",
        "open-position",
        {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0.3, "is_long": True},
        OPEN,
    ),
    "close_position": ("close_position", {"position_id": 1}, "POST", "close-position", {"position_id": 1}, CLOSED),
    "open_positions": (
        "get_all_open_positions",
        {"strategy_id": 1},
        "GET",
        "all-open-positions?strategy_id=1",
        None,
        {"open_positions": [OPEN]},
    ),
    "close_all": (
        "close_all_positions",
        {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT"},
        "POST",
        "close-all-positions",
        {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT"},
        {"closed_positions": [CLOSED]},
    ),
}


def client(router: respx.MockRouter, **options: Any) -> AsyncMizar:
    transport = httpx.MockTransport(router.async_handler)
    return AsyncMizar(KEY, api_url="http://localhost", transport=transport, **options)


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_sends_exactly_the_documented_request_and_reads_the_documented_answer(name: str) -> None:
    method_name, arguments, method, path, body, answer = CALLS[name]
    async with respx.MockRouter(assert_all_called=False) as router, client(router) as mizar:
        route = router.route(method=method, url=f"{BASE}{path}").respond(json=answer)
        if name == "open_position":
            router.get(f"{BASE}server-time").respond(json={"server_time": 1})
            router.get(f"{BASE}all-open-positions").respond(json={"open_positions": []})
        result = await getattr(mizar, method_name)(**arguments)
        request = route.calls.last.request
        assert (json.loads(request.content) if request.content else None) == body
        assert request.headers["mizar-api-key"] == KEY
        assert request.headers["accept"] == "application/json"
        assert request.headers["host"] == "localhost"
        assert ("content-type" in request.headers) == (body is not None)
        documents = {
            "ping": None,
            "server_time": 1623081868169,
            "get_exchanges": [Exchange("binance", ("SPOT",))],
            "get_symbols": [Symbol("BTCUSDT", "BTC", "USDT", ("SPOT",))],
        }
        if name in documents:
            assert result == documents[name]
        elif isinstance(result, list):
            (only,) = answer.values()
            assert [one.to_dict() for one in result] == only
        else:
            assert result.to_dict() == answer


async def test_the_first_open_of_a_strategy_reads_the_servers_time_and_what_is_open_once() -> None:
    async with respx.MockRouter() as router, client(router) as mizar:
        time = router.get(f"{BASE}server-time").respond(json={"server_time": 1})
        listing = router.get(f"{BASE}all-open-positions").respond(json={"open_positions": []})
        router.post(f"{BASE}open-position").mock(
            side_effect=[
                httpx.Response(200, json=OPEN | {"position_id": f"{number}", "size": 1}) for number in (1, 2, 3)
            ]
        )
        for _ in range(3):
            await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
        assert (time.call_count, listing.call_count) == (1, 1)


async def test_size_is_one_unless_it_is_said() -> None:
    async with respx.MockRouter(assert_all_called=False) as router, client(router) as mizar:
        router.get(url__startswith=BASE).respond(404)
        route = router.post(f"{BASE}open-position").respond(json=OPEN | {"size": 1.0})
        await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
        assert json.loads(route.calls.last.request.content)["size"] == 1


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("open_position", {"strategy_id": 1, "base_asset": " BTC", "quote_asset": "USDT", "is_long": True}),
        ("open_position", {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0, "is_long": True}),
        ("close_position", {"position_id": True}),
        ("get_all_open_positions", {"strategy_id": 1.5}),
        ("close_all_positions", {"strategy_id": "x"}),
        ("get_symbols", {"exchange": ""}),
    ],
)
async def test_nothing_is_sent_when_an_argument_cannot_be_right(call: str, arguments: dict[str, Any]) -> None:
    async with respx.MockRouter() as router, client(router) as mizar:
        with pytest.raises(ValueError, match="refused"):
            await getattr(mizar, call)(**arguments)
        assert not router.calls


async def test_a_read_is_repeated_after_500_and_a_write_is_not() -> None:
    async with respx.MockRouter() as router, client(router, max_retries=2) as mizar:
        ping = router.get(f"{BASE}ping").mock(side_effect=[httpx.Response(500), httpx.Response(200, json={})])
        await mizar.ping()
        assert ping.call_count == 2
        publish = router.post(f"{BASE}publish-self-hosted-strategy").respond(500)
        with pytest.raises(MizarError) as failure:
            await mizar.create_self_hosted_strategy(
                name="n", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
            )
        assert failure.value.happened == "perhaps"
        assert publish.call_count == 1


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, RuntimeError])
async def test_only_a_connect_error_of_a_transport_means_that_nothing_was_sent(error: type[Exception]) -> None:
    async with respx.MockRouter() as router, client(router, max_retries=0, deadline=0.2, timeout=0.1) as mizar:
        router.post(f"{BASE}publish-self-hosted-strategy").mock(side_effect=error("boom"))
        with pytest.raises(MizarError) as failure:
            await mizar.create_self_hosted_strategy(
                name="n", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
            )
        assert failure.value.happened == ("no" if error is httpx.ConnectError else "perhaps")
        assert failure.value.__cause__ is None
        assert failure.value.__context__ is None


async def test_prices_are_exact() -> None:
    async with respx.MockRouter() as router, client(router) as mizar:
        router.post(f"{BASE}close-position").respond(json=CLOSED)
        closed = await mizar.close_position(position_id=1)
        assert closed.close_price == Decimal("33914.64")
