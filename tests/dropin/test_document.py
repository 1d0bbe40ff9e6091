"""The document's snippets run verbatim, in its order, and answer what it shows."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from .documented import CLOSE, CLOSE_ALL, CLOSED, CREATE, LIST, OPEN, POSITION, STRATEGY, shape
from .paper_venue import ROOT, PaperVenue


def run(snippet: str, names: dict[str, Any]) -> Any:
    """Run a snippet as it stands, and give what its last expression answers."""
    *before, last = ast.parse(snippet).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(before, []), "<document>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<document>", "eval"), names)


def test_the_snippets_run_in_the_documents_order_with_its_keys_and_types(
    local_venue: PaperVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in local_venue.environment.items():
        monkeypatch.setenv(name, value)
    names: dict[str, Any] = {}

    created = run(CREATE, names)
    assert shape(created) == shape(STRATEGY)
    assert created == STRATEGY | {"creation_timestamp": created["creation_timestamp"]}

    opened = run(OPEN, names)
    assert shape(opened) == shape(POSITION)
    assert (opened["position_id"], opened["strategy_id"], opened["size"]) == ("1", "1", 0.3)

    closed = run(CLOSE, names)
    assert shape(closed) == shape(CLOSED)
    assert closed["open_price"] == opened["open_price"]

    for _ in range(3):
        run(OPEN, names)
    listed = run(LIST, names)
    assert shape(listed) == {"open_positions": [shape(POSITION)] * 3}

    ended = run(CLOSE_ALL, names)
    assert shape(ended) == {"closed_positions": [shape(CLOSED)] * 3}
    ids = [position["position_id"] for position in listed["open_positions"]]
    assert [position["position_id"] for position in ended["closed_positions"]] == ids
    assert run(LIST, names) == {"open_positions": []}
    names["mizar_client"].close()


def test_the_snippets_here_are_those_of_the_document() -> None:
    document = ROOT.parent / "shared" / "API-TRADING-SDK.md"
    if not document.exists():
        pytest.skip("the user's document stands beside the project, and is no part of it")
    text = document.read_text(encoding="utf-8")
    for snippet in (CREATE, OPEN, CLOSE, LIST):
        assert snippet.strip() in text
