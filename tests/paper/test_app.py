"""What the venue answers: the documented shapes, FastAPI's errors, and 4xx for whatever can't be right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import BaseRoute

from mizar_async import paper
from mizar_async._api.endpoints import API_PREFIX, ENDPOINTS, OPEN_POSITION, Endpoint
from mizar_async.paper.http.bodies import LARGEST_BODY

from .conftest import OPEN, STRATEGY, client_of

POSITION_KEYS = {
    "base_asset", "is_long", "open_price", "open_timestamp", "position_id", "quote_asset", "size", "strategy_id",
}  # fmt: skip
CLOSED_KEYS = POSITION_KEYS | {"close_price", "close_timestamp"}
KEYED = ("publish-self-hosted-strategy", "open-position", "close-position", "close-all-positions",
         "all-open-positions", "self-hosted-strategy-info")  # fmt: skip

Http = httpx.AsyncClient


async def raw(http: Http, path: str, body: bytes, content_type: str = "application/json") -> httpx.Response:
    return await http.post(path, content=body, headers={"content-type": content_type})


def complaints(answer: httpx.Response) -> list[dict[str, Any]]:
    """The entries of a 422, which hold loc, msg and type and nothing else."""
    assert answer.status_code == 422
    found: list[dict[str, Any]] = answer.json()["detail"]
    assert found
    assert all(set(entry) == {"loc", "msg", "type"} for entry in found)
    return found


# -- what is done --------------------------------------------------------------------------------------


async def test_a_strategy_is_answered_as_the_document_shows_it(http: Http) -> None:
    answer = await http.post("publish-self-hosted-strategy", json=STRATEGY | {"market": "SPOT", "symbols": ["BTCUSDT"]})
    made = answer.json()
    created = made.pop("creation_timestamp")
    assert answer.status_code == 200
    assert isinstance(created, int)
    assert made == {
        "exchange": "binance",
        "market": "SPOT",
        "name": "S",
        "strategy_id": 1,
        "symbols": [{"base_asset": "BTC", "quote_asset": "USDT", "symbol": "BTCUSDT"}],
    }


async def test_positions_are_answered_as_the_document_shows_them(http: Http, strategy: int) -> None:
    opened = (await http.post("open-position", json=OPEN)).json()
    closed = (await http.post("close-position", json={"position_id": 1})).json()
    assert set(opened) == POSITION_KEYS
    assert set(closed) == CLOSED_KEYS
    assert (opened["position_id"], opened["strategy_id"], opened["size"]) == ("1", "1", 0.3)
    assert {name: closed[name] for name in opened} == opened
    for price in (opened["open_price"], closed["close_price"]):
        whole, _, decimals = price.partition(".")
        assert whole.isdigit()
        assert len(decimals) == 12
    assert opened["open_timestamp"] <= closed["close_timestamp"]
    assert strategy == 1


async def test_lists_are_in_their_envelopes_oldest_first_and_of_one_strategy(http: Http, strategy: int) -> None:
    other = (await http.post("publish-self-hosted-strategy", json=STRATEGY)).json()["strategy_id"]
    for number in (strategy, other, strategy):
        await http.post("open-position", json=OPEN | {"strategy_id": number})
    listed = (await http.get("all-open-positions", params={"strategy_id": strategy})).json()
    assert [position["position_id"] for position in listed["open_positions"]] == ["1", "3"]
    closed = (await http.post("close-all-positions", json={"strategy_id": strategy})).json()
    assert [position["position_id"] for position in closed["closed_positions"]] == ["1", "3"]
    assert (await http.get("all-open-positions?strategy_id=1")).json() == {"open_positions": []}
    infos = (await http.get("self-hosted-strategy-info")).json()["strategies"]
    assert [info["strategy_id"] for info in infos] == [1, 2]


async def test_close_all_with_nothing_open_is_an_empty_list(http: Http, strategy: int) -> None:
    answer = await http.post("close-all-positions", json={"strategy_id": strategy})
    assert (answer.status_code, answer.json()) == (200, {"closed_positions": []})


async def test_close_all_can_be_for_one_pair(http: Http, strategy: int) -> None:
    for base in ("BTC", "ETH", "BTC"):
        await http.post("open-position", json=OPEN | {"base_asset": base})
    pair = {"strategy_id": strategy, "base_asset": "BTC", "quote_asset": "USDT"}
    closed = (await http.post("close-all-positions", json=pair)).json()["closed_positions"]
    assert [position["position_id"] for position in closed] == ["1", "3"]
    left = (await http.get("all-open-positions?strategy_id=1")).json()["open_positions"]
    assert [position["position_id"] for position in left] == ["2"]


async def test_market_data_needs_no_key(venue: paper.Venue) -> None:
    async with client_of(venue, "nobody's") as http:
        assert (await http.get("ping")).json() == {"message": "pong"}
        assert (await http.get("server-time?unused=1")).json()["server_time"] >= 1_641_000_000_000
        assert (await http.get("exchanges")).json() == {
            "exchanges": [{"name": "binance", "markets": ["SPOT", "FUTURES"]}]
        }
        symbols = (await http.get("symbols?exchange=binance&market=SPOT")).json()["symbols"]
        every = (await http.get("symbols?exchange=binance")).json()["symbols"]
    assert {"symbol": "BTCUSDT", "base_asset": "BTC", "quote_asset": "USDT", "markets": ["SPOT", "FUTURES"]} in symbols
    assert len(symbols) == len(every) == 6


async def test_the_size_that_was_sent_comes_back_exactly(http: Http, strategy: int) -> None:
    assert strategy == 1
    for sent, shown in [
        ("1", "1.0"), ('"1"', "1.0"), ('"0.3"', "0.3"), ("3e-1", "0.3"), ("1E0", "1.0"), ('".5"', "0.5"),
        ("0.1234567890123456789012345", "0.1234567890123456789012345"), ("1e-8", "0.00000001"),
    ]:  # fmt: skip
        body = json.dumps(OPEN).replace("0.3", sent).encode()
        assert f'"size":{shown},' in (await raw(http, "open-position", body)).text


async def test_a_size_that_is_left_out_is_1(http: Http, strategy: int) -> None:
    without = {name: value for name, value in OPEN.items() if name != "size"}
    assert (await http.post("open-position", json=without | {"strategy_id": strategy})).json()["size"] == 1.0


async def test_ids_booleans_and_sizes_may_be_text(http: Http, strategy: int) -> None:
    asked = {"strategy_id": str(strategy), "base_asset": "BTC", "quote_asset": "USDT", "size": "1", "is_long": "false"}
    assert (await http.post("open-position", json=asked)).json()["is_long"] is False
    assert (await http.post("close-position", json={"position_id": "1"})).status_code == 200


async def test_unknown_fields_are_ignored_and_not_answered(http: Http, strategy: int) -> None:
    answer = await http.post("open-position", json=OPEN | {"strategy_id": strategy, "leverage": 20})
    assert set(answer.json()) == POSITION_KEYS


async def test_the_name_of_the_key_header_may_be_in_any_case(venue: paper.Venue, key: str) -> None:
    async with client_of(venue, "") as http:
        del http.headers["mizar-api-key"]
        answer = await http.get("self-hosted-strategy-info", headers={"MIZAR-API-Key": key})
    assert answer.status_code == 200


async def test_a_body_without_a_content_type_is_read_as_json_only_if_it_says_so(http: Http, strategy: int) -> None:
    assert strategy == 1
    answer = await raw(http, "open-position", json.dumps(OPEN).encode(), "text/plain")
    assert complaints(answer)[0]["loc"] == ["body"]


# -- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", KEYED)
@pytest.mark.parametrize("bad", ["", "paper_0_0", "nobody", "paper_000000000000_" + "0" * 64, "\xe9" * 40], ids=repr)
async def test_a_key_that_is_unknown_is_401(venue: paper.Venue, path: str, bad: str) -> None:
    async with client_of(venue, "") as http:
        endpoint = next(row for row in ENDPOINTS if row.path == path)
        bodies = {"json": OPEN} if endpoint.method == "POST" else {}
        answer = await http.request(
            endpoint.method, path, headers=[(b"mizar-api-key", bad.encode("latin-1"))], **bodies  # type: ignore[arg-type]
        )  # fmt: skip
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid API key"})
    assert answer.headers["www-authenticate"] == "APIKey"


async def test_a_missing_key_is_401(venue: paper.Venue) -> None:
    async with client_of(venue, "") as http:
        del http.headers["mizar-api-key"]
        assert (await http.get("self-hosted-strategy-info")).status_code == 401


async def test_a_key_with_the_right_name_and_a_wrong_secret_is_401(venue: paper.Venue, key: str) -> None:
    async with client_of(venue, key[:-1] + ("0" if key[-1] != "0" else "1")) as http:
        assert (await http.get("self-hosted-strategy-info")).status_code == 401


async def test_what_belongs_to_another_key_is_404_and_stays_as_it_is(
    venue: paper.Venue, http: Http, strategy: int
) -> None:
    await http.post("open-position", json=OPEN)
    async with client_of(venue, venue.create_key()) as stranger:
        assert (await stranger.post("open-position", json=OPEN)).status_code == 404
        assert (await stranger.post("close-position", json={"position_id": 1})).status_code == 404
        assert (await stranger.post("close-all-positions", json={"strategy_id": strategy})).status_code == 404
        assert (await stranger.get("all-open-positions?strategy_id=1")).status_code == 404
        assert (await stranger.get("self-hosted-strategy-info")).json() == {"strategies": []}
    assert len((await http.get("all-open-positions?strategy_id=1")).json()["open_positions"]) == 1


@pytest.mark.parametrize("number", [0, 2, 10**18, 2**63 - 1])
async def test_a_strategy_or_position_that_is_unknown_is_404(http: Http, strategy: int, number: int) -> None:
    assert number != strategy
    assert (await http.post("open-position", json=OPEN | {"strategy_id": number})).status_code == 404
    assert (await http.post("close-position", json={"position_id": number})).status_code == 404
    assert (await http.get(f"all-open-positions?strategy_id={number}")).json() == {"detail": "Strategy not found"}


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"exchanges": ["binance", "moon"]}, ["body", "exchanges", 1]),
        ({"market": "MARGIN"}, ["body", "market"]),
        ({"symbols": ["BTCUSDT", "DOGEBTC"]}, ["body", "symbols", 1]),
        ({"symbols": []}, ["body", "symbols"]),
        ({"symbols": "BTCUSDT"}, ["body", "symbols"]),
        ({"exchanges": []}, ["body", "exchanges"]),
        ({"name": " padded "}, ["body", "name"]),
        ({"name": ""}, ["body", "name"]),
        ({"name": 5}, ["body", "name"]),
    ],
    ids=str,
)
async def test_a_strategy_that_can_not_be_is_422(http: Http, changed: dict[str, Any], place: list[Any]) -> None:
    assert complaints(await http.post("publish-self-hosted-strategy", json=STRATEGY | changed))[0]["loc"] == place
    assert (await http.get("self-hosted-strategy-info")).json() == {"strategies": []}


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"base_asset": "SOL"}, "base_asset"),  # tradable, and not of this strategy
        ({"base_asset": "BTCUSD", "quote_asset": "T"}, "base_asset"),
        ({"base_asset": " BTC"}, "base_asset"),
        ({"base_asset": None}, "base_asset"),
        ({"size": 0}, "size"),
        ({"size": -0.5}, "size"),
        ({"size": 1.0000001}, "size"),
        ({"size": True}, "size"),
        ({"size": None}, "size"),
        ({"size": "NaN"}, "size"),
        ({"size": "0"}, "size"),
        ({"size": "1e-1"}, "size"),
        ({"size": " 1"}, "size"),
        ({"size": "\u0661"}, "size"),
        ({"size": 10**400}, "size"),
        ({"size": 1e-41}, "size"),
        ({"is_long": 1}, "is_long"),
        ({"is_long": "yes"}, "is_long"),
        ({"is_long": None}, "is_long"),
        ({"strategy_id": True}, "strategy_id"),
        ({"strategy_id": 1.5}, "strategy_id"),
        ({"strategy_id": -1}, "strategy_id"),
        ({"strategy_id": 2**63}, "strategy_id"),
        ({"strategy_id": "1.0"}, "strategy_id"),
        ({"strategy_id": "1_0"}, "strategy_id"),
        ({"strategy_id": []}, "strategy_id"),
    ],
    ids=str,
)
async def test_an_open_that_can_not_be_is_422(
    venue: paper.Venue, http: Http, strategy: int, changed: dict[str, Any], place: str
) -> None:
    assert strategy == 1
    assert complaints(await http.post("open-position", json=OPEN | changed))[0]["loc"] == ["body", place]
    assert venue.positions() == []


async def test_a_short_on_spot_is_422_and_on_futures_is_done(http: Http, strategy: int) -> None:
    spot = (await http.post("publish-self-hosted-strategy", json=STRATEGY | {"market": "SPOT"})).json()["strategy_id"]
    refused = await http.post("open-position", json=OPEN | {"strategy_id": spot, "is_long": False})
    assert complaints(refused)[0]["type"] == "short_on_spot"
    assert (
        await http.post("open-position", json=OPEN | {"strategy_id": strategy, "is_long": False})
    ).status_code == 200


async def test_closing_a_closed_position_is_409_and_changes_nothing(
    venue: paper.Venue, http: Http, strategy: int
) -> None:
    assert (await http.post("open-position", json=OPEN | {"strategy_id": strategy})).status_code == 200
    await http.post("close-position", json={"position_id": 1})
    before = venue.positions()
    again = await http.post("close-position", json={"position_id": 1})
    assert (again.status_code, again.json()) == (409, {"detail": "Position is already closed"})
    assert venue.positions() == before


async def test_of_many_concurrent_closes_exactly_one_succeeds(http: Http, strategy: int) -> None:
    await http.post("open-position", json=OPEN | {"strategy_id": strategy})
    answers = await asyncio.gather(*(http.post("close-position", json={"position_id": 1}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49


@pytest.mark.parametrize("half", [{"base_asset": "BTC"}, {"quote_asset": "USDT"}], ids=str)
async def test_half_a_pair_closes_nothing(http: Http, strategy: int, half: dict[str, str]) -> None:
    await http.post("open-position", json=OPEN)
    assert complaints(await http.post("close-all-positions", json={"strategy_id": strategy} | half))[0]["loc"] == [
        "body"
    ]
    assert len((await http.get("all-open-positions?strategy_id=1")).json()["open_positions"]) == 1


async def test_a_pair_that_the_strategy_does_not_trade_closes_nothing(http: Http, strategy: int) -> None:
    pair = {"strategy_id": strategy, "base_asset": "SOL", "quote_asset": "USDT"}
    assert complaints(await http.post("close-all-positions", json=pair))[0]["type"] == "unknown_pair"


async def test_close_all_without_a_strategy_is_422(http: Http, strategy: int) -> None:
    assert strategy == 1
    assert complaints(await http.post("close-all-positions", json={}))[0]["loc"] == ["body", "strategy_id"]


@pytest.mark.parametrize("query", ["", "exchange=moon", "exchange=binance&market=MARGIN", "exchange=&market=SPOT"])
async def test_symbols_of_nowhere_are_422(http: Http, query: str) -> None:
    assert complaints(await http.get(f"symbols?{query}"))[0]["loc"][0] == "query"


# -- the raw wire --------------------------------------------------------------------------------------

ODD_BODIES = {
    "NaN": b'{"position_id": NaN}',
    "Infinity": b'{"position_id": Infinity}',
    "minus Infinity": b'{"position_id": -Infinity}',
    "an id beyond 64 bits": b'{"position_id": 99999999999999999999}',
    "an integer of 5,000 digits": b'{"position_id": ' + b"9" * 5_000 + b"}",
    "an exponent that no decimal has": b'{"position_id": 1e9999999999999999999999}',
    "a number that would fill the memory": b'{"position_id": 1e999999}',
    "an id as a lone surrogate": b'{"position_id": "\\ud800"}',
    "deep nesting": b'{"position_id": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep nesting that does not end": b"[" * 500_000,
    "duplicate keys": b'{"position_id": 1, "position_id": 2}',
    "invalid UTF-8": b'{"position_id": "\xff\xfe"}',
    "UTF-16": '{"position_id": 1}'.encode("utf-16"),
    "half a document": b'{"position_id": 1',
    "two documents": b'{"position_id": 1}{"position_id": 1}',
    "nothing": b"",
    "null": b"null",
    "a list": b'[{"position_id": 1}]',
    "text": b'"position_id"',
    "zero bytes": b"\x00\x00",
}


@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES.keys())
async def test_an_odd_body_is_422_and_does_nothing(venue: paper.Venue, http: Http, strategy: int, body: bytes) -> None:
    await http.post("open-position", json=OPEN | {"strategy_id": strategy})
    before = venue.positions()
    complaints(await raw(http, "close-position", body))
    assert venue.positions() == before


@pytest.mark.parametrize("name", ["name", "description"])
async def test_a_lone_surrogate_in_a_text_is_422(http: Http, name: str) -> None:
    body = json.dumps(STRATEGY | {name: "\ud800"}).encode()
    assert complaints(await raw(http, "publish-self-hosted-strategy", body))[0]["loc"] == ["body", name]


async def test_a_422_does_not_repeat_what_was_sent(http: Http, key: str) -> None:
    asked = OPEN | {"strategy_id": key, "base_asset": f" {key}", "api_key": key, "size": key, "is_long": key}
    answer = await http.post("open-position", json=asked)
    assert len(complaints(answer)) == 4
    assert key not in answer.text


async def test_a_body_beyond_a_mebibyte_is_413(http: Http) -> None:
    answer = await raw(http, "open-position", b" " * (LARGEST_BODY + 1))
    assert (answer.status_code, answer.json()) == (413, {"detail": "The body is too large"})


async def test_a_chunked_body_beyond_a_mebibyte_is_413_before_its_end(http: Http) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    answer = await http.post("open-position", content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert sent <= LARGEST_BODY + 65_536


async def test_a_length_that_is_no_number_does_not_hide_the_body(http: Http) -> None:
    headers = {"content-type": "application/json", "content-length": "9" * 400}
    assert (await http.post("open-position", content=b"{}", headers=headers)).status_code == 413


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
async def test_other_methods_never_act(
    venue: paper.Venue, http: Http, strategy: int, endpoint: Endpoint[Any], method: str
) -> None:
    answer = await http.request(method, endpoint.path, json=OPEN | {"strategy_id": strategy})
    assert answer.status_code == 405
    assert answer.headers["allow"] == endpoint.method
    assert venue.positions() == []


async def test_a_path_that_is_not_there_is_404_and_no_redirect(http: Http) -> None:
    for path in ("ping/", "nothing", "../ping"):
        assert (await http.get(path)).status_code == 404


async def test_a_write_may_carry_a_query(http: Http, strategy: int) -> None:
    assert (await http.post("open-position?x=1", json=OPEN | {"strategy_id": strategy})).status_code == 200


OF_BOTS = ("bot_id", "take_profit_pct", "stop_loss_pct", "side", "position_size", "open_order_price", "delay",
           "open_position_expiration", "safety_orders_start_price")  # fmt: skip

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.decimals().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.usefixtures("unmeasured")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    path=st.sampled_from([row.path for row in ENDPOINTS if row.method == "POST"]),
    action=st.sampled_from([row.action for row in ENDPOINTS if row.action]) | JSON,
    fields=st.dictionaries(st.sampled_from([*OPEN, *STRATEGY, *OF_BOTS, "position_id"]), JSON),
)
async def test_no_json_whatever_makes_the_venue_fail(
    http: Http, path: str, action: object, fields: dict[str, Any]
) -> None:
    base = OPEN | STRATEGY | {"position_id": 1, "api_key": http.headers["mizar-api-key"], "action": action}
    answer = await raw(http, path, json.dumps(base | fields).encode())
    assert answer.status_code in {200, 404, 409, 422}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(path=st.sampled_from([row.path for row in ENDPOINTS if row.method == "POST"]), body=st.binary(max_size=200))
async def test_no_bytes_whatever_make_the_venue_fail(http: Http, path: str, body: bytes) -> None:
    assert (await raw(http, path, body)).status_code in {401, 422}  # {} has no key, where a command has it


# -- the description -----------------------------------------------------------------------------------


async def test_the_pages_of_the_description_are_where_fastapi_puts_them(http: Http) -> None:
    for page in ("/docs", "/redoc", "/openapi.json"):
        assert (await http.get(f"http://venue{page}")).status_code == 200


async def test_the_description_has_every_row_of_the_table_and_its_errors(http: Http) -> None:
    paths = (await http.get("http://venue/openapi.json")).json()["paths"]
    assert {(path, method) for path, operations in paths.items() for method in operations} == {
        (f"{API_PREFIX}/{row.path}", row.method.lower()) for row in ENDPOINTS
    }
    opening = paths[f"{API_PREFIX}/open-position"]["post"]
    assert set(opening["responses"]) == {"200", "401", "404", "413", "422"}
    assert set(paths[f"{API_PREFIX}/close-position"]["post"]["responses"]) == {"200", "401", "404", "409", "413", "422"}


def test_every_endpoint_and_dependency_is_a_coroutine_so_that_there_are_no_threads(venue: paper.Venue) -> None:
    def calls(dependant: Dependant) -> list[Any]:
        return [dependant.call, *(call for inner in dependant.dependencies for call in calls(inner))]

    routes: list[BaseRoute] = [route for route in paper.create_app(venue).routes if hasattr(route, "dependant")]
    assert len(routes) == len({row.path for row in ENDPOINTS}) + 2  # and the page's
    for route in routes:
        for call in calls(route.dependant):  # type: ignore[attr-defined]
            assert asyncio.iscoroutinefunction(call) or asyncio.iscoroutinefunction(type(call).__call__)


def test_a_row_that_nobody_carries_out_fails_when_the_application_is_made(
    venue: paper.Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Endpoint("POST", "new", OPEN_POSITION.request, OPEN_POSITION.answer, OPEN_POSITION.repeat)
    monkeypatch.setattr("mizar_async.paper.http.app.ENDPOINTS", (row,))
    with pytest.raises(KeyError):
        paper.create_app(venue)
