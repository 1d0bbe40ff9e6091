"""The public client `mizar` 0.1.5, unmodified, makes all its calls but those of DCA bots against `mizar paper`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from mizar import Mizar, MizarStudio
from tests.dropin.documented import BAR, CLOSED, POSITION, STRATEGY, shape
from tests.dropin.paper_venue import paper_venue

from .old_frame import told

HERE = Path(__file__).parent
FILE = Path("bar", "binance", "BTCUSDT", "time", "1min_bar_data.csv")


@attrs.frozen
class Old:
    """What the old client was answered, how its file was left, and both clients' frames from the other's file."""

    answers: dict[str, Any]
    lines: int
    ours: list[dict[str, Any]]
    from_ours: dict[str, Any]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    """The old client's day, then that of the drop-in, with no file and with the old one's, then the old one's again."""
    place = tmp_path_factory.mktemp("old")
    theirs, new = place / "theirs", place / "new"
    with paper_venue(place / "venue.db") as venue:
        asked = [venue.key, venue.url.removeprefix("http://")]
        answers = run("old_program.py", *asked, f"{theirs}/")
        lines = len((theirs / FILE).read_text().splitlines())
        with Mizar(venue.key, api_url=venue.url) as client:
            ours = [
                told(MizarStudio(client, path).get_bar_df("BTC", "USDT", bar_subclass="1min")) for path in (new, theirs)
            ]
        yield Old(answers, lines, ours, run("old_frame.py", *asked, f"{new}/"))


def run(program: str, *arguments: str) -> Any:
    """What a program tells that the old client's Python runs, out of reach of this project."""
    command = [os.environ["MIZAR_OLD_PYTHON"], str(HERE / program), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MIZAR_", "PYTHON"))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def old_answers(old: Old) -> dict[str, Any]:
    return old.answers


def test_the_old_client_is_the_published_one() -> None:
    code = "import importlib.metadata as m; print(m.version('mizar'))"
    command = [os.environ["MIZAR_OLD_PYTHON"], "-I", "-c", code]
    assert subprocess.check_output(command, text=True, timeout=60) == "0.1.5\n"


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


def test_bars_have_the_documented_keys_in_their_order(old_answers: dict[str, Any]) -> None:
    assert old_answers["bar_types"] == {
        "bar_types": [
            {
                "bar_subclass": "1H",
                "bar_type": "time",
                "base_asset": "BTC",
                "exchange": "binance",
                "quote_asset": "USDT",
            }
        ]
    }
    assert [list(bar) for bar in old_answers["bars"]["bars"]] == [list(BAR)] * 3


def test_a_strategy_is_published_with_the_documented_sentence(old_answers: dict[str, Any]) -> None:
    assert old_answers["published"] == {"message": "The strategy Momentum has been published in Mizar"}


def test_the_second_frame_of_the_old_client_is_that_of_its_file_and_what_came_since(old: Old) -> None:
    first, second = old.answers["frames"]
    assert first["columns"] == second["columns"] == list(BAR)[1:]
    count = len(first["rows"])
    assert count > 2 * 1440
    assert (second["rows"][:count], second["times"][:count]) == (first["rows"], first["times"])
    assert old.lines == 1 + len(second["rows"])


@pytest.mark.parametrize("which", [0, 1], ids=["without a file", "with the file of the old client"])
def test_the_frame_of_the_drop_in_is_the_same(which: int, old: Old) -> None:
    before, ours = old.answers["frames"][1], old.ours[which]
    count = len(before["rows"])
    for what in ("columns", "kinds", "index"):
        assert ours[what] == before[what]
    assert (ours["rows"][:count], ours["times"][:count]) == (before["rows"], before["times"])


def test_the_old_client_goes_on_with_the_file_of_the_drop_in(old: Old) -> None:
    before, after = old.ours[0], old.from_ours
    count = len(before["rows"])
    for what in ("columns", "kinds", "index"):
        assert after[what] == before[what]
    assert (after["rows"][:count], after["times"][:count]) == (before["rows"], before["times"])


def test_refusals_reach_the_old_client_as_its_exception_with_the_error_body(old_answers: dict[str, Any]) -> None:
    expected = {"closing twice", "a short on SPOT", "another's strategy", "an unknown key"}
    expected |= {"bars of no pair", "a strategy without a name"}
    assert set(old_answers["refusals"]) == expected
    assert all(body.keys() == {"detail"} for body in old_answers["refusals"].values())
