"""docs/migration.md has a row for everything that a program of 2021 can name."""

from __future__ import annotations

import re

import mizar.api
import mizar_sync
from mizar import Mizar, MizarStudio
from mizar_async._api.endpoints import ENDPOINTS

from .paper_venue import ROOT
from .test_parameters import BY_NAME, BY_POSITION

# What mizar 0.1.5 has beside its calls, in the modules and on the objects.
CLASSES = ["Mizar", "MizarStudio", "MizarStudio.get_bar_df", "MizarStudio.save_strategy"]
NAMES = [
    "MizarAPIException",
    "MizarRequestException",
    "StrategySizeExceededLimit",
    "StrategyFileSizeExceededLimit",
    "MAXIMUM_STRATEGY_SIZE",
    "MAXIMUM_STRATEGY_FILE",
]
ATTRIBUTES = ["Mizar.api_key", "Mizar.api_url", "Mizar.session"]

PAGE = (ROOT / "docs" / "migration.md").read_text()
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("| `")]
CALLS = [row for row in ROWS if row[0].strip("`").partition("(")[0] in BY_POSITION | BY_NAME]


def test_the_first_column_names_all_that_the_old_client_has_and_nothing_else() -> None:
    names = [first.strip("`").partition("(")[0] for first, *_ in ROWS[1:]]
    assert sorted(names) == sorted([*BY_POSITION, *BY_NAME, *CLASSES, *NAMES, *ATTRIBUTES])
    assert {len(row) for row in ROWS} == {4}


def test_the_parameters_in_it_are_the_old_ones() -> None:
    for first, *_ in CALLS:
        name, _, parameters = first.strip("`)").partition("(")
        if parameters != "...":
            assert parameters.split(", ") == [one.partition("=")[0] for one in BY_POSITION[name].split(", ")], name


def test_the_calls_of_today_in_it_exist() -> None:
    for first, today, *_ in CALLS:
        call = re.match(r"`([\w.]+)\(", today)
        assert call is not None, first
        *group, name = call[1].split(".")
        owner = getattr(mizar_sync, group[0].title()) if group else mizar_sync.Mizar
        assert callable(getattr(owner, name)), first


def test_the_paths_in_it_are_those_of_the_table_of_endpoints() -> None:
    known = {row.path if row.method == "GET" else f"POST {row.path}" for row in ENDPOINTS}
    assert {path.strip("`") for _, _, path, _ in CALLS} <= known


def test_the_old_names_are_where_they_were() -> None:
    for name in NAMES:
        assert hasattr(mizar.api, name), name
    assert mizar.api.Mizar is Mizar
    assert MizarStudio.__name__ == "MizarStudio"
    assert not any(hasattr(Mizar, attribute.partition(".")[2]) for attribute in ATTRIBUTES)
