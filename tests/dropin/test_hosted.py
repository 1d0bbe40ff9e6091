"""Strategies for Mizar to run: pickled with dill, within the old client's limits, published once."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dill
import pytest

import mizar.api
from mizar import Mizar, MizarStudio, _hosted
from mizar.api import StrategyFileSizeExceededLimit, StrategySizeExceededLimit
from mizar_async import InvalidInput, MizarError

from .one_answer import Server

NAMED = {"strategy_signal_name": "Momentum"}
PUBLISHED = {"message": "The strategy Momentum has been published in Mizar"}


def test_what_is_sent_can_be_unpickled_again_functions_too(client: Mizar, server: Server) -> None:
    server.answers(PUBLISHED)
    assert client.save_hosted_strategy(lambda x: x + 1, NAMED, "x = 'é'\n") == PUBLISHED
    (asked,) = server.asked
    assert (asked[2]["strategy-file"], json.loads(asked[2]["strategy-info"])) == ("x = 'é'\n", NAMED)
    assert {len(line) for line in asked[2]["strategy"].splitlines()[:-1]} == {76}
    assert dill.loads(base64.b64decode(asked[2]["strategy"]))(1) == 2


def test_a_server_that_says_when_it_was_made_repeats_the_info(client: Mizar, server: Server) -> None:
    server.answers({"creation_timestamp": 1625571350830})
    assert client.save_hosted_strategy({}, NAMED) == NAMED | {"creation_timestamp": 1625571350830}


def test_the_limits_are_the_old_ones() -> None:
    assert (mizar.api.MAXIMUM_STRATEGY_SIZE, mizar.api.MAXIMUM_STRATEGY_FILE) == (200, 2)


@pytest.mark.parametrize("more", [0, 1], ids=["as long as it may be", "longer by a byte"])
def test_a_source_may_have_two_megabytes_of_utf_8(more: int, client: Mizar, server: Server) -> None:
    server.answers(PUBLISHED)
    source = "é" * 1_000_000 + "x" * more
    if not more:
        client.save_hosted_strategy({}, NAMED, source)
        return
    with pytest.raises(StrategyFileSizeExceededLimit, match=r"2\.000001 MB, and may have 2 MB") as refused:
        client.save_hosted_strategy({}, NAMED, source)
    assert server.asked == []
    assert (refused.value.size, refused.value.maximum, refused.value.happened) == (2.000001, 2, "no")


def test_a_strategy_is_measured_as_base64_text_with_line_ends(
    client: Mizar, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers(PUBLISHED)
    strategy = b"x" * 1000
    length = len(base64.encodebytes(dill.dumps(strategy)))
    monkeypatch.setattr(_hosted, "MAXIMUM_STRATEGY_SIZE", length / 1e6)
    client.save_hosted_strategy(strategy, NAMED)
    monkeypatch.setattr(_hosted, "MAXIMUM_STRATEGY_SIZE", (length - 1) / 1e6)
    with pytest.raises(StrategySizeExceededLimit) as refused:
        client.save_hosted_strategy(strategy, NAMED)
    assert refused.value.size == length / 1e6
    assert len(server.asked) == 1


@pytest.mark.parametrize("kind", [StrategySizeExceededLimit, StrategyFileSizeExceededLimit])
def test_an_exception_of_the_limits_is_plain_data_with_a_public_name(kind: Any) -> None:
    error = kind(201.5, 200)
    for twin in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert (type(twin), twin.args, twin.size, twin.maximum) == (kind, error.args, 201.5, 200)
    assert issubclass(kind, (MizarError, ValueError))
    assert kind.__module__ == "mizar.api"


def test_nothing_raises_the_exception_that_the_old_client_only_had() -> None:
    assert issubclass(mizar.api.MizarRequestException, MizarError)


@pytest.mark.parametrize(
    ("info", "source", "named"),
    [
        (["Momentum"], "", "info"),
        ({"name": object()}, "", "info"),
        ({"name": float("nan")}, "", "info"),
        (NAMED, b"x = 1", "source"),
        (NAMED, "\ud800", "source"),
        (NAMED, None, "source"),
    ],
)
def test_what_can_not_be_right_is_refused_before_anything_is_sent(
    info: Any, source: Any, named: str, client: Mizar, server: Server
) -> None:
    with pytest.raises(InvalidInput, match=named):
        client.save_hosted_strategy({}, info, source)
    assert server.asked == []


def test_what_dill_can_not_pickle_is_its_own_error(client: Mizar, server: Server) -> None:
    with pytest.raises(TypeError, match="pickle"):
        client.save_hosted_strategy((x for x in ()), NAMED)
    assert server.asked == []


def test_without_dill_it_says_which_extra_brings_it(
    client: Mizar, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dill", None)
    with pytest.raises(ImportError, match=r"mizar\[hosted\]"):
        client.save_hosted_strategy({}, NAMED)
    assert server.asked == []


def test_studio_publishes_a_strategy_with_its_settings_and_its_source(
    client: Mizar, server: Server, tmp_path: Path
) -> None:
    server.answers(PUBLISHED)
    settings = {
        "num_expiration_bars": 24,
        "trailing_take_profit_deviation": 0.01,
        "trailing_stop_loss_deviation": None,
        "stop_loss_tick_level": 0.02,
        "take_profit_tick_level": 0.03,
    }
    strategy = SimpleNamespace(strategy_pipeline=SimpleNamespace(align_on_="primary"), **settings)
    source = tmp_path / "momentum.py"
    source.write_text("name = 'é'\n", encoding="utf-8")
    sources = {"primary": {"base_asset": "BTC", "quote_asset": "USDT"}}
    studio = MizarStudio(client, tmp_path)
    assert studio.save_strategy(strategy, str(source), sources, "Momentum", "Buys strength") == PUBLISHED
    sent = server.asked[0][2]
    assert sent["strategy-file"] == "name = 'é'\n"
    assert json.loads(sent["strategy-info"]) == settings | {
        "strategy_signal_name": "Momentum",
        "description": "Buys strength",
        "data_sources": sources,
        "target_data_source": "primary",
    }
    assert vars(dill.loads(base64.b64decode(sent["strategy"])))["num_expiration_bars"] == 24
