"""The venue against its own OpenAPI description: schemathesis sends what it allows and what it forbids.

All checks hold but `positive_data_acceptance`: a request can be well-formed and refused all the same, for a symbol that
nobody trades. Only `nox -s faults` runs this folder, since schemathesis is installed for it alone.
"""

from __future__ import annotations

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from mizar_async import paper
from mizar_async._api.trading import OpenPosition, PublishStrategy
from mizar_async._clock import Clock

# Six of the ten operations have parameters to draw: at least 10,000 cases in all.
CASES = 2_000 if os.environ.get("MIZAR_FAULTS_FULL") else 50

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
    case.call_and_validate(headers={"mizar-api-key": KEY}, excluded_checks=[positive_data_acceptance])


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
