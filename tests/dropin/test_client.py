"""What programs written for the old client rely on: where it connects, its parameters, its exception."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import mizar.api
from mizar import Mizar, MizarAPIException
from mizar_async import InvalidInput, MizarError, NotSent, OutcomeUnknown, RateLimited, Refused

from .documented import CLOSED, POSITION, STRATEGY
from .one_answer import Server


@pytest.mark.parametrize("number", [17, "17"], ids=["a number", "text, as the answers hold it"])
def test_an_id_may_be(number: int | str, client: Mizar, server: Server) -> None:
    server.answers(CLOSED | {"position_id": "17"})
    client.close_position(number)
    assert server.asked[-1][2] == {"position_id": 17}
    server.answers({"open_positions": []})
    client.get_all_open_positions(number)
    assert server.asked[-1][1] == "/api/v1/all-open-positions?strategy_id=17"
    server.answers({"closed_positions": []})
    client.close_all_positions(number)
    assert server.asked[-1][2] == {"strategy_id": 17}


@pytest.mark.parametrize("odd", ["", "one", "-1", "1.5", "²", True, None])
def test_an_id_that_is_none_is_refused_before_anything_is_sent(odd: Any, client: Mizar, server: Server) -> None:
    with pytest.raises(InvalidInput, match="position_id"):
        client.close_position(odd)
    assert server.asked == []


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda client: client.server_time(), {"server_time": 1623081868169}),
        (lambda client: client.get_exchanges(), {"exchanges": [{"name": "binance", "markets": ["SPOT"]}]}),
        (
            lambda client: client.get_symbols("binance", "SPOT"),
            {"symbols": [STRATEGY["symbols"][0] | {"markets": ["SPOT"]}]},
        ),
        (lambda client: client.get_all_self_hosted_strategies_info(), {"strategies": [STRATEGY]}),
        (lambda client: client.get_all_open_positions(1), {"open_positions": [POSITION]}),
        (lambda client: client.close_all_positions(1), {"closed_positions": [CLOSED]}),
        (lambda client: client.close_position(1), CLOSED),
    ],
    ids=["server_time", "get_exchanges", "get_symbols", "strategies", "open positions", "close all", "close"],
)
def test_an_answer_is_the_documented_dictionary(
    call: Callable[[Mizar], object], answer: object, client: Mizar, server: Server
) -> None:
    server.answers(answer)
    assert call(client) == answer


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 429])
def test_a_refusal_carries_the_servers_error_body(status: int, client: Mizar, server: Server) -> None:
    body = {"detail": [{"loc": ["body", "size"], "msg": "too large", "type": "value_error"}]}
    server.answers(body, status)
    patient = client if status != 429 else Mizar("key", scheme="http", host=server.host)
    with pytest.raises(MizarAPIException) as refused:
        patient.get_all_open_positions(1) if status != 429 else _without_retries(patient).close_position(1)
    error = refused.value
    assert (error.args, error.happened, error.status) == ((body,), "no", status)
    assert isinstance(error, MizarError)
    assert isinstance(error.__cause__, Refused)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), twin.args, twin.status) == (MizarAPIException, (body,), status)


def _without_retries(client: Mizar) -> Mizar:
    client._mizar = client._mizar.with_options(max_retries=0)
    return client


def test_an_uncertain_write_leaves_as_unknown_and_is_no_refusal(client: Mizar, server: Server) -> None:
    server.answers({"detail": "gateway"}, 502)
    with pytest.raises(OutcomeUnknown) as unknown:
        client.create_self_hosted_strategy("Name", "", ["binance"], ["BTCUSDT"], "SPOT")
    assert not isinstance(unknown.value, MizarAPIException)


def test_a_server_that_is_not_there_leaves_as_not_sent() -> None:
    with Mizar("key", scheme="http", host="127.0.0.1:9") as client:
        client._mizar = client._mizar.with_options(max_retries=0)
        with pytest.raises(NotSent):
            client.open_position(1, "BTC", "USDT", 1, True)


def test_the_exception_is_found_where_the_old_client_kept_it() -> None:
    assert mizar.api.MizarAPIException is MizarAPIException
    assert mizar.api.Mizar is Mizar


def test_a_missing_key_is_a_value_error_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in (None, ""):
        with pytest.raises(ValueError, match="MIZAR_API_KEY"):
            Mizar(missing)
    monkeypatch.setenv("MIZAR_API_KEY", "")
    with pytest.raises(ValueError, match="MIZAR_API_KEY"):
        Mizar()


def test_an_unknown_scheme_is_a_value_error_as_before() -> None:
    with pytest.raises(ValueError, match="scheme"):
        Mizar("key", scheme="ftp")


def test_the_key_of_the_environment_is_used_where_none_or_an_empty_one_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIZAR_API_KEY", "key-of-the-environment")
    Mizar()
    Mizar("")


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({}, "local localhost:1"),
        ({"api_url": "http://localhost:2"}, "local localhost:2"),
        ({"api_url": "http://localhost:2", "scheme": "https", "host": "api.mizar.com"}, "local localhost:2"),
        ({"scheme": "http", "host": "127.0.0.1:3"}, "local 127.0.0.1:3"),
        ({"host": "api.mizar.com"}, "live api.mizar.com"),
        ({"scheme": "https"}, "local localhost:1"),
    ],
    ids=[
        "the environment",
        "api_url",
        "api_url before scheme and host",
        "scheme and host",
        "the host alone",
        "a scheme chooses no host",
    ],
)
def test_the_address_is_that_of(arguments: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIZAR_API_URL", "http://localhost:1")
    assert repr(Mizar("key", **arguments)) == f"<Mizar {place}>"


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(InvalidInput, match="https"):
        Mizar("key", scheme="http", host="api.mizar.com")


def test_the_constructor_asks_nothing(server: Server) -> None:
    Mizar("key", scheme="http", host=server.host)
    assert server.asked == []


def test_a_refused_rate_limit_says_when_to_come_back_in_its_cause(server: Server) -> None:
    server.answers({"detail": "slow down"}, 429)
    client = _without_retries(Mizar("key", scheme="http", host=server.host))
    with pytest.raises(MizarAPIException) as refused:
        client.close_position(1)
    assert isinstance(refused.value.__cause__, RateLimited)
