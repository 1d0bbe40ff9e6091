"""The venue against its own OpenAPI description: schemathesis sends what it allows and what it forbids.

All checks hold but `positive_data_acceptance`: a request can be well-formed and refused all the same, for a symbol that
nobody trades. Only `nox -s faults` runs this folder, since schemathesis is installed for it alone.
"""

from __future__ import annotations

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from mizar_async import paper
from mizar_async._api.endpoints import API_PREFIX
from mizar_async._api.trading import OpenPosition, PublishStrategy
from mizar_async._clock import Clock

# 23 of the 28 operations have parameters to draw: at least 10,000 cases in all.
CASES = 500 if os.environ.get("MIZAR_FAULTS_FULL") else 50

VENUE = paper.Venue(feed=paper.Simulated(seed=1), clock=Clock(start=1_641_000_000_000))
KEY = VENUE.create_key()
OWNER = VENUE.owner(KEY)
schema = schemathesis.openapi.from_asgi("/openapi.json", paper.create_app(VENUE))


def _populated() -> None:
    """Strategies and open positions of low numbers, so that some requests find what they name."""
    for market in ("SPOT", "FUTURES"):
        ask = PublishStrategy(name="S", description="", exchanges=("binance",), symbols=("BTCUSDT",), market=market)
        strategy = VENUE.publish_strategy(OWNER, ask).strategy_id
        for _ in range(5):
            VENUE.open_position(
                OWNER, OpenPosition(strategy_id=strategy, base_asset="BTC", quote_asset="USDT", is_long=True)
            )


_populated()


@schema.parametrize()
@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
def test_every_answer_is_one_that_the_description_announces(case: schemathesis.Case) -> None:
    _aim(case)
    excluded = [positive_data_acceptance, *([negative_data_rejection] if _is_right_all_the_same(case) else [])]
    case.call_and_validate(headers={"mizar-api-key": KEY}, excluded_checks=excluded)


def _is_right_all_the_same(case: schemathesis.Case) -> bool:
    """Whether a query that is meant to be wrong says all that is needed, and more.

    Names that nobody knows are ignored, and the key is put in: then the venue is right to answer.
    """
    needed = [parameter.name for parameter in case.operation.query if parameter.is_required]
    known = {str(value) for value in (1, *KNOWN.values())}
    return bool(needed) and all(str(case.query.get(name)) in known for name in needed)


KNOWN: dict[str, object] = {
    "strategy_id": 2,
    "position_id": 3,
    "exchange": "binance",
    "base_asset": "BTC",
    "quote_asset": "USDT",
    "bar_type": "time",
    "bar_subclass": "1min",
    "strategy-info": '{"name": "S"}',
}


def _aim(case: schemathesis.Case) -> None:
    """Put a good key where a command has any text for one, and what there is in place of every other name.

    Otherwise nothing but refusals of the first wrong word would ever be answered.
    """
    if isinstance(case.body, dict) and isinstance(case.body.get("api_key"), str):
        case.body["api_key"] = KEY
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    for values in (case.query, case.body):
        names = [name for name in KNOWN if isinstance(values, dict) and isinstance(values.get(name), (str, int))]
        if any(len(str(values[name])) % 2 for name in names):
            values.update({name: KNOWN[name] for name in names})


def test_enough_operations_have_parameters_to_draw() -> None:
    operations = [operation.ok() for operation in schema.get_all_operations()]
    with_parameters = [operation for operation in operations if operation.body or operation.query]
    assert (len(operations), len(with_parameters)) == (28, 23)
    assert 500 * len(with_parameters) > 10_000


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "trading-view/execute-command", {200, 404, 409, 422}),
        ("POST", "dca-bots/trading-view/execute-command", {404, 422}),
        ("POST", "publish-hosted-strategy", {200, 422}),
        ("POST", "open-position", {200, 404, 422}),
        ("GET", "bars", {200, 422}),
        ("GET", "bar-types", {200, 422}),
    ],
)
def test_what_is_drawn_gets_beyond_the_first_refusal(method: str, path: str, expected: set[int]) -> None:
    seen: set[int] = set()

    @given(case=schema[f"{API_PREFIX}/{path}"][method].as_strategy())
    @settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def draw(case: schemathesis.Case) -> None:
        _aim(case)
        seen.add(case.call(headers={"mizar-api-key": KEY}).status_code)

    draw()
    assert seen >= expected


@pytest.mark.parametrize(
    "answer",
    [b'{"server_time":"noon"}', b'{"server_time":1,"more":1}', b"{}", b"[]", b"<html>"],
    ids=["a wrong type", "an undocumented field", "a missing field", "a list", "no JSON"],
)
def test_an_answer_that_the_description_does_not_announce_is_caught(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mizar_async.paper.http.answers._encoded", lambda *_: answer)
    other = schemathesis.openapi.from_asgi("/openapi.json", paper.create_app(VENUE))
    with pytest.raises(FailureGroup):
        other["/api/v1/server-time"]["GET"].Case().call_and_validate()
