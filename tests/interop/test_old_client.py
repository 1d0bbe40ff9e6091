"""The public client `mizar` 0.1.5, unmodified, does all its self-hosted calls against `mizar paper`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dropin.documented import CLOSED, POSITION, STRATEGY, shape
from tests.dropin.paper_venue import paper_venue

PROGRAM = Path(__file__).with_name("old_program.py")


@pytest.fixture(scope="module")
def old_answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the old client was answered."""
    place = tmp_path_factory.mktemp("old")
    with paper_venue(place / "venue.db") as venue:
        command = [os.environ["MIZAR_OLD_PYTHON"], str(PROGRAM), venue.key, venue.url.removeprefix("http://")]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)


def test_the_old_client_is_the_published_one() -> None:
    code = "import importlib.metadata as m; print(m.version('mizar'))"
    done = subprocess.run([os.environ["MIZAR_OLD_PYTHON"], "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0.1.5\n"


@pytest.mark.parametrize(
    ("call", "documented"),
    [
        ("server_time", {"server_time": 1623081868169}),
        ("strategy", STRATEGY),
        ("position", POSITION),
        ("closed", CLOSED),
        ("listed", {"open_positions": [POSITION] * 3}),
        ("all_closed", {"closed_positions": [CLOSED] * 3}),
        ("listed_after", {"open_positions": []}),
        ("strategies", {"strategies": [STRATEGY]}),
    ],
)
def test_the_answer_has_the_documented_shape(call: str, documented: object, old_answers: dict[str, Any]) -> None:
    assert shape(old_answers[call]) == shape(documented)


def test_market_data_has_the_documented_keys(old_answers: dict[str, Any]) -> None:
    assert old_answers["ping"] in ({}, {"message": "pong"})
    assert {tuple(sorted(exchange)) for exchange in old_answers["exchanges"]["exchanges"]} == {("markets", "name")}
    keys = ("base_asset", "markets", "quote_asset", "symbol")
    assert {tuple(sorted(symbol)) for symbol in old_answers["symbols"]["symbols"]} == {keys}


def test_refusals_reach_the_old_client_as_its_exception_with_the_error_body(old_answers: dict[str, Any]) -> None:
    expected = {"closing twice", "a short on SPOT", "another's strategy", "an unknown key"}
    assert set(old_answers["refusals"]) == expected
    assert all(body.keys() == {"detail"} for body in old_answers["refusals"].values())
