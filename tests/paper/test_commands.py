"""TradingView's commands: the key of the body alone counts, text is read strictly, and nothing of it is repeated."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mizar_async import paper
from mizar_async._clock import Clock
from mizar_async.paper.store import Store

from .conftest import OPEN, STRATEGY, client_of

Http = httpx.AsyncClient
Fields = dict[str, Any]

COMMAND = "trading-view/execute-command"
OF_BOTS = "dca-bots/trading-view/execute-command"
OPENING = {"strategy_id": "1", "base_asset": "BTC", "quote_asset": "USDT", "is_long": "true", "size": "0.3"}
CLOSING = {"position_id": "1"}
CLOSING_ALL = {"strategy_id": "1"}
ACTIONS = {"open-position": OPENING, "close-position": CLOSING, "close-all-positions": CLOSING_ALL}


@pytest.fixture
async def alerts(venue: paper.Venue, key: str) -> AsyncIterator[Http]:
    """A client without a key header, of a venue on which strategy 1 is published."""
    async with client_of(venue, key) as http:
        assert (await http.post("publish-self-hosted-strategy", json=STRATEGY)).status_code == 200
    async with client_of(venue, "") as http:
        del http.headers["mizar-api-key"]
        yield http


async def told(alerts: Http, key: object, action: object, fields: Fields, **changed: Any) -> httpx.Response:
    """The answer to a command; what is changed to None is left out."""
    body = {"api_key": key, "action": action} | fields | changed
    return await alerts.post(COMMAND, json={name: value for name, value in body.items() if value is not None})


def complained(answer: httpx.Response) -> list[Any]:
    """Where a 422 says that the body is wrong."""
    assert answer.status_code == 422, answer.text
    assert all(set(found) == {"loc", "msg", "type"} for found in answer.json()["detail"])
    return [found["loc"] for found in answer.json()["detail"]]


# -- what is done --------------------------------------------------------------------------------------


async def test_each_command_answers_as_the_call_that_it_stands_for(venue: paper.Venue, alerts: Http, key: str) -> None:
    async with client_of(venue, key) as http:
        plain = (await http.post("open-position", json=OPEN)).json()
        opened = (await told(alerts, key, "open-position", OPENING)).json()
        varying = {"position_id": "2", "open_price": opened["open_price"], "open_timestamp": opened["open_timestamp"]}
        assert opened == plain | varying

        plain_close = (await http.post("close-position", json={"position_id": 1})).json()
        closed = await told(alerts, key, "close-position", CLOSING, position_id="2", strategy_id="1")
        assert closed.status_code == 200
        assert set(closed.json()) == set(plain_close)
        assert {name: closed.json()[name] for name in opened} == opened

        for _ in range(2):
            await told(alerts, key, "open-position", OPENING)
        every = (await told(alerts, key, "close-all-positions", CLOSING_ALL)).json()
        assert [position["position_id"] for position in every["closed_positions"]] == ["3", "4"]
        nothing = await told(alerts, key, "close-all-positions", CLOSING_ALL)
        assert nothing.json() == (await http.post("close-all-positions", json={"strategy_id": 1})).json()


async def test_a_close_all_may_be_of_one_pair(alerts: Http, key: str) -> None:
    for base in ("BTC", "ETH"):
        await told(alerts, key, "open-position", OPENING, base_asset=base)
    answer = await told(alerts, key, "close-all-positions", CLOSING_ALL, base_asset="ETH", quote_asset="USDT")
    assert [position["position_id"] for position in answer.json()["closed_positions"]] == ["2"]


@pytest.mark.parametrize(
    ("size", "shown"), [(None, 1.0), ("1", 1.0), ("1.000", 1.0), ("0.3", 0.3), (".5", 0.5), ("0.30", 0.3)]
)
async def test_a_size_is_a_plain_decimal_or_absent(alerts: Http, key: str, size: str | None, shown: float) -> None:
    answer = await told(alerts, key, "open-position", OPENING, size=size)
    assert answer.json()["size"] == shown


@pytest.mark.parametrize(("is_long", "shown"), [("true", True), ("false", False)])
async def test_a_side_is_true_or_false(alerts: Http, key: str, is_long: str, shown: bool) -> None:
    assert (await told(alerts, key, "open-position", OPENING, is_long=is_long)).json()["is_long"] is shown


async def test_numbers_and_booleans_of_json_are_taken_as_the_plain_calls_take_them(alerts: Http, key: str) -> None:
    answer = await told(alerts, key, "open-position", OPENING, strategy_id=1, is_long=False, size=0.25)
    assert answer.status_code == 200
    assert (answer.json()["size"], answer.json()["is_long"]) == (0.25, False)


async def test_a_command_that_is_sent_twice_is_done_twice_since_nothing_tells_them_apart(
    venue: paper.Venue, alerts: Http, key: str
) -> None:
    for _ in range(2):
        await told(alerts, key, "open-position", OPENING)
    assert len(venue.positions()) == 2


# -- the key -------------------------------------------------------------------------------------------

WRONG_KEYS = [
    None, "", " ", "nobody", "paper_0_0", "paper_000000000000_" + "0" * 64, "\ud800", "paper_\ud800_\ud800",
    "paper_\udcff\udcff_x", "paper_\x00_\x00", "\x00", "k" * 500_000, "_" * 500_000, "paper_" + "a" * 500_000 + "_b",
    5, 1.5, True, [], ["paper"], {"api_key": "x"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_KEYS, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("header", [False, True], ids=["no header", "a good key in the header"])
async def test_a_key_that_is_missing_or_wrong_is_401_whatever_the_header_says(
    venue: paper.Venue, alerts: Http, key: str, wrong: object, header: bool
) -> None:
    body: Fields = {"action": "open-position"} | OPENING | ({} if wrong is None else {"api_key": wrong})
    headers = {"content-type": "application/json"} | ({"mizar-api-key": key} if header else {})
    answer = await alerts.post(COMMAND, content=json.dumps(body), headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid API key"})
    assert venue.positions() == []


async def test_a_null_in_place_of_the_key_is_401(alerts: Http) -> None:
    answer = await alerts.post(COMMAND, json={"action": "open-position", "api_key": None} | OPENING)
    assert answer.status_code == 401


async def test_a_good_key_with_anything_before_or_after_it_is_401(alerts: Http, key: str) -> None:
    for wrong in (f" {key}", f"{key} ", f"{key}\n", f"{key}\x00", key.upper(), key[:-1], f"{key}_", f"_{key}"):
        assert (await told(alerts, wrong, "open-position", OPENING)).status_code == 401


async def test_the_header_is_ignored_where_the_body_has_a_good_key(alerts: Http, key: str) -> None:
    for header in ("", "nobody", "\x7f"):
        body = {"api_key": key, "action": "open-position"} | OPENING
        assert (await alerts.post(COMMAND, json=body, headers={"mizar-api-key": header})).status_code == 200


async def test_the_key_is_looked_at_before_anything_else_of_the_body(alerts: Http) -> None:
    for body in ({}, {"action": "nothing"}, {"action": "open-position", "size": "x"}, {"api_key": "x", "action": []}):
        assert (await alerts.post(COMMAND, json=body)).status_code == 401


async def test_what_belongs_to_another_key_is_404(venue: paper.Venue, alerts: Http, key: str) -> None:
    await told(alerts, key, "open-position", OPENING)
    stranger = venue.create_key()
    for action, fields in ACTIONS.items():
        assert (await told(alerts, stranger, action, fields)).status_code == 404
    assert len(venue.positions()) == 1


async def test_a_position_that_is_closed_already_is_409(alerts: Http, key: str) -> None:
    await told(alerts, key, "open-position", OPENING)
    assert (await told(alerts, key, "close-position", CLOSING)).status_code == 200
    assert (await told(alerts, key, "close-position", CLOSING)).status_code == 409


async def test_another_field_of_that_name_in_other_letters_is_no_key(alerts: Http, key: str) -> None:
    for name in ("API_KEY", "apikey", "api-key", "mizar-api-key", "key", " api_key"):
        answer = await alerts.post(COMMAND, json={name: key, "action": "open-position"} | OPENING)
        assert answer.status_code == 401
        assert key not in answer.text


def stored(directory: Path) -> bytes:
    """All that stands in files there."""
    return b"".join(file.read_bytes() for file in directory.iterdir())


NAMES = ("action", "strategy_id", "base_asset", "quote_asset", "is_long", "size", "position_id", "unknown")


def _wrapped(key: str, name: str) -> list[Any]:
    return [
        key, f" {key}", f"{key} is refused: {key}", f"\x01 is refused: {key}", f" is refused: {key}", f"\u2028{key}",
        f"{key}\ud800", [key], {key: key}, {"api_key": key}, [[{name: [key]}]],
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("action", ACTIONS)
async def test_the_key_is_in_no_answer_no_log_no_output_and_not_in_the_store_wherever_it_stood(
    tmp_path: Path, action: str, name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    venue = paper.Venue(Store(tmp_path / "venue.db"), clock=Clock(start=1_641_000_000_000))
    key = venue.create_key()
    secret = key.rpartition("_")[2][:12]  # not even a piece of it
    async with client_of(venue, key) as http:
        await http.post("publish-self-hosted-strategy", json=STRATEGY)
        await http.post("open-position", json=OPEN)
    async with client_of(venue, "") as alerts:
        base = {"api_key": key, "action": action} | ACTIONS[action]
        bodies = [base | {name: odd} for odd in _wrapped(key, name)]
        bodies += [
            {key: key} | base,
            base | {key: {key: [key]}},
            base | {"api_key": [key]},
            base | {"api_key": {key: 1}},
        ]
        texts = [json.dumps(body) for body in bodies]
        texts += [json.dumps(base)[:-1] + f', "{name}": "{key}", "{name}": "{key}"}}', f'"{key}"', f"[{key}", key]
        for text in texts:
            for kind in ("application/json", "text/plain"):
                answer = await alerts.post(COMMAND, content=text, headers={"content-type": kind})
                assert answer.status_code in {200, 401, 404, 409, 422}
                assert secret not in answer.text
                assert secret not in str(answer.headers)
    venue.close()
    out, err = capfd.readouterr()
    assert secret not in caplog.text + out + err
    assert secret.encode() not in stored(tmp_path)


# -- the text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["", "open_position", "OPEN-POSITION", "open-position ", "shift-safety-orders", None,
                                    1, ["open-position"], "stop-bot-and-close-all-positions"], ids=repr)  # fmt: skip
async def test_an_unknown_action_is_422_and_the_known_ones_are_named(alerts: Http, key: str, action: object) -> None:
    answer = await told(alerts, key, action, OPENING)
    assert complained(answer) == [["body", "action"]]
    assert answer.json()["detail"][0]["msg"] == ("It must be one of close-all-positions, close-position, open-position")


@pytest.mark.parametrize(
    ("action", "name", "wrong"),
    [
        *(("open-position", name, "") for name in OPENING),
        *(("open-position", name, None) for name in OPENING if name != "size"),
        ("close-position", "position_id", ""),
        ("close-position", "position_id", None),
        ("close-all-positions", "strategy_id", ""),
        ("close-all-positions", "strategy_id", None),
        *(("open-position", "is_long", wrong) for wrong in ("True", "FALSE", "1", "0", "yes", "long", " true", "true ",
                                                            1, 0, "\uff54rue")),
        *(("open-position", "size", wrong) for wrong in ("0", "0.0", "1.1", "2", "-0.3", "+0.3", "3e-1", "1E0", " 0.3",
                                                         "0.3 ", "0,3", "0.3%", "1.", "NaN", "inf", "0x1", "1_0",
                                                         "\u0661", "0." + "1" * 41, True, [], 0, 1.5)),
        *(("open-position", "strategy_id", wrong) for wrong in ("-1", "+1", "1.0", "1e0", " 1", "1 ", "0x1", "\u0661",
                                                                "9" * 20, "1" * 5_000, True, 1.5)),
        *(("close-position", "position_id", wrong) for wrong in ("-1", "+1", "1.0", "1e0", " 1", "one", "9" * 20)),
        *(("open-position", "base_asset", wrong) for wrong in (" BTC", "BTC ", "btc", "SOL", "BTCUSDT", 1, ["BTC"],
                                                               "\x00", "\ud800", "B" * 2_000)),
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
async def test_a_text_that_can_not_be_is_422_and_does_nothing(
    venue: paper.Venue, alerts: Http, key: str, action: str, name: str, wrong: object
) -> None:
    await told(alerts, key, "open-position", OPENING)
    before = venue.positions()
    body = {"api_key": key, "action": action} | ACTIONS[action] | {name: wrong}
    if wrong is None:
        del body[name]
    answer = await alerts.post(COMMAND, content=json.dumps(body), headers={"content-type": "application/json"})
    assert complained(answer)[0] in (["body", name], ["body"])
    assert venue.positions() == before


@pytest.mark.parametrize(
    "half",
    [{"base_asset": "BTC"}, {"quote_asset": "USDT"}, {"base_asset": "BTC", "quote_asset": ""},
     {"base_asset": "", "quote_asset": "USDT"}, {"base_asset": "", "quote_asset": ""}],
    ids=str,
)  # fmt: skip
async def test_half_a_pair_or_an_empty_one_is_422_and_closes_nothing(
    venue: paper.Venue, alerts: Http, key: str, half: Fields
) -> None:
    await told(alerts, key, "open-position", OPENING)
    complained(await told(alerts, key, "close-all-positions", CLOSING_ALL | half))
    assert len(venue.store.open_positions(1)) == 1


async def test_a_short_on_spot_is_422(venue: paper.Venue, alerts: Http, key: str) -> None:
    async with client_of(venue, key) as http:
        await http.post("publish-self-hosted-strategy", json=STRATEGY | {"market": "SPOT"})
    assert complained(await told(alerts, key, "open-position", OPENING, strategy_id="2", is_long="false")) == [
        ["body", "is_long"]
    ]


# -- the body ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON ;charset=UTF-8", 200),
        ("text/plain", 422),
        ("text/plain; charset=utf-8", 422),
        ("application/jsonp", 422),
        ("application/x-www-form-urlencoded", 422),
        ("", 422),
    ],
)
async def test_a_command_is_json_that_says_so(alerts: Http, key: str, kind: str, status: int) -> None:
    body = json.dumps({"api_key": key, "action": "open-position"} | OPENING)
    answer = await alerts.post(COMMAND, content=body, headers={"content-type": kind})
    assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b"[" * 300_000,
        b'{"api_key": NaN}',
        b'{"api_key": "a", "api_key": "b"}',
    ],
    ids=lambda body: body[:20],
)
async def test_a_body_that_is_no_object_is_422(alerts: Http, body: bytes) -> None:
    answer = await alerts.post(COMMAND, content=body, headers={"content-type": "application/json"})
    assert complained(answer) == [["body"]]


async def test_a_body_beyond_a_mebibyte_is_413(alerts: Http, key: str) -> None:
    answer = await told(alerts, key, "open-position", OPENING, unknown="x" * 2**20)
    assert answer.status_code == 413


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [COMMAND, OF_BOTS])
async def test_no_other_method_acts(venue: paper.Venue, alerts: Http, key: str, path: str, method: str) -> None:
    answer = await alerts.request(method, path, json={"api_key": key, "action": "open-position"} | OPENING)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert venue.positions() == []


TEXT = st.text(max_size=12) | st.sampled_from(["1", "0.5", "true", "false", "BTC", "USDT", ""])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(action=st.sampled_from(sorted(ACTIONS)), fields=st.dictionaries(st.sampled_from(NAMES[1:]), TEXT))
@pytest.mark.usefixtures("unmeasured")
async def test_no_text_whatever_makes_a_command_fail(
    alerts: Http, key: str, action: str, fields: dict[str, str]
) -> None:
    answer = await told(alerts, key, action, ACTIONS[action] | fields)
    assert answer.status_code in {200, 404, 409, 422}
    assert key not in answer.text


# -- bots ----------------------------------------------------------------------------------------------

OF_A_BOT = {"bot_id": "1", "base_asset": "BTC", "quote_asset": "USDT"}


@pytest.mark.parametrize(
    "action", ["open-position", "close-position", "close-all-positions", "stop-bot-and-close-all-positions"]
)
async def test_commands_of_bots_are_404_with_a_sentence_since_the_venue_has_none(
    alerts: Http, key: str, action: str
) -> None:
    answer = await alerts.post(OF_BOTS, json={"api_key": key, "action": action} | OF_A_BOT)
    assert (answer.status_code, answer.json()) == (
        404, {"detail": "The paper venue has no DCA bots yet: this call is not carried out here"},
    )  # fmt: skip
    assert (await alerts.post(OF_BOTS, json={"api_key": "", "action": action} | OF_A_BOT)).status_code == 401


async def test_the_pages_describe_every_command(alerts: Http) -> None:
    paths = (await alerts.get("http://venue/openapi.json")).json()["paths"]
    operation = paths[f"/api/v1/{COMMAND}"]["post"]
    kinds = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert {kind["properties"]["action"]["const"] for kind in kinds} == set(ACTIONS)
    for kind in kinds:
        assert {"api_key", "action"} <= set(kind["required"])
    assert set(operation["responses"]) == {"200", "401", "404", "409", "413", "422"}
    assert "security" not in operation
