"""Figures of a history, wherever it lies, and paper beside live."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mizar_async import paper, performance
from mizar_async.cli import positions, stats
from mizar_async.cli.output import Output

from .conftest import Scene, Told, told, told_here

HEAD = "position_id,strategy_id,pair,side,size,open_price,open_timestamp,close_price,close_timestamp"
DAY = 86_400_000
START = 1_767_225_600_000

# Mizar's example: three positions of 500 that are open at once gain 50, 50 and 10, which is 7.33 % of 1,500.
EXAMPLE = f"""{HEAD}
1,1,BTC/USDT,long,0.5,100,{START},110,{START + DAY}
2,1,BTC/USDT,long,0.5,100,{START + 1},110,{START + DAY}
3,1,ETH/USDT,short,0.5,100,{START + 2},98,{START + 2 * DAY}
"""


async def figures_of(source: str, capsys: pytest.CaptureFixture[str], **values: Any) -> dict[str, Any]:
    """The figures of a source, as JSON."""
    shown = await told_here(stats.stats, capsys, out=Output(as_json=True), source=source, **values)
    assert (shown.code, shown.err) == (0, "")
    found: dict[str, Any] = shown.json
    return found


async def refused(source: str, capsys: pytest.CaptureFixture[str]) -> Told:
    shown = await told_here(stats.stats, capsys, source=source)
    assert (shown.code, shown.out) == (2, "")
    return shown


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


async def test_mizars_own_example_comes_out_as_mizar_has_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = await figures_of(written(tmp_path / "trades.csv", EXAMPLE), capsys)
    assert round(Decimal(found["returns"]), 2) == Decimal("7.33")
    assert (found["trades"], found["wins"], found["side"], found["days"]) == (3, 3, "both", 3)


async def test_the_same_history_has_the_same_figures_in_whatever_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = await figures_of(written(tmp_path / "trades.csv", EXAMPLE), capsys)
    rows = list(csv.DictReader(io.StringIO(EXAMPLE)))
    documents = [
        {
            "position_id": row["position_id"],
            "strategy_id": row["strategy_id"],
            "base_asset": row["pair"][:3],
            "quote_asset": "USDT",
            "is_long": row["side"] == "long",
            "size": float(row["size"]),
            "open_price": row["open_price"],
            "open_timestamp": int(row["open_timestamp"]),
            "close_price": row["close_price"],
            "close_timestamp": int(row["close_timestamp"]),
        }
        for row in rows
    ]
    forms = {
        "answer.json": json.dumps({"closed_positions": documents}, indent=1),
        "list.json": json.dumps(documents),
        "lines.jsonl": "\n".join(map(json.dumps, documents)),
        "outcomes.jsonl": "\n".join(
            json.dumps({"line": 2, "outcome": "done", "position": document, "error": None}) for document in documents
        ),
        "bom.csv": "\ufeff" + EXAMPLE.replace("\n", "\r\n"),
    }
    for name, text in forms.items():
        found = await figures_of(written(tmp_path / name, text), capsys)
        assert found | {"source": ""} == expected | {"source": ""}, name


async def test_what_our_own_commands_have_printed_is_a_history(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side in ("long", "short"):
        await told_here(positions.open_positions, capsys, strategy_id=1, pair="BTC/USDT", side=side)
    closed = await told_here(positions.close_all, capsys, out=Output(as_json=True), yes=True, strategy_id=1)
    found = await figures_of(written(tmp_path / "closed.json", closed.out), capsys)
    truth = performance.of(scene.venue.positions())
    assert (found["gain"], found["trades"], found["open"]) == (f"{truth.gain:f}", 2, 0)


async def test_a_venue_that_runs_tells_its_history_and_its_fees(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    await told_here(positions.open_positions, capsys, strategy_id=1, pair="BTC/USDT", side="long")
    await told_here(positions.close_positions, capsys, position_ids=[1])
    await told_here(positions.open_positions, capsys, strategy_id=1, pair="BTC/USDT", side="short", size=Decimal("0.5"))
    shown = await told_here(stats.stats, capsys, out=Output(as_json=True), strategy=1)
    truth = performance.of(scene.venue.positions(), fee=Decimal("0.1"))
    assert (shown.json["trades"], shown.json["open"]) == (2, 1)
    assert Decimal(shown.json["gain"]) == truth.gain != Decimal(shown.json["gain_before_fees"])
    none = await told_here(stats.stats, capsys, out=Output(as_json=True), strategy=1, fee=Decimal(0))
    assert none.json["gain"] == none.json["gain_before_fees"]
    unknown = await told_here(stats.stats, capsys, strategy=9)
    assert (unknown.code, len(unknown.err.splitlines())) == (1, 1)


async def test_the_file_of_a_venue_is_a_history_of_all_its_strategies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    venue = paper.Venue.of(db=tmp_path / "venue.db", fee=1)
    async with paper.serve(venue) as url:
        key = venue.create_key()
        for _ in range(2):
            create = ("strategies", "create", "--name", "n", "--symbol", "BTCUSDT", "--market", "SPOT")
            assert (await told(*create, env={"MIZAR_API_URL": url, "MIZAR_API_KEY": key})).code == 0
        opened = ("positions", "open", "2", "BTCUSDT", "--side", "long")
        assert (await told(*opened, env={"MIZAR_API_URL": url, "MIZAR_API_KEY": key})).code == 0
    venue.close()
    before = (tmp_path / "venue.db").read_bytes()
    found = await figures_of(str(tmp_path / "venue.db"), capsys)
    of_first = await figures_of(str(tmp_path / "venue.db"), capsys, strategy=1)
    assert (found["trades"], of_first["trades"]) == (1, 0)
    assert (tmp_path / "venue.db").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: the columns must be"),
        ("position_id,outcome,price\n1,done,2\n", "line 1: the columns must be open_price"),
        (EXAMPLE + "4,1,BTC/USDT,up,1,1,1,1,1\n", "line 5: the side is 'up'"),
        (EXAMPLE + "4,1,BTC/USDT,long,NaN,1,1,1,1\n", "line 5: size='NaN' is refused: it must be a finite number"),
        (EXAMPLE + "4,1,B,long,1,1,1,1,1\n", "line 5: pair='B' is refused"),
        ('{"position_id": 1}\n{"', "line 2: it is no JSON"),
        ('{"position_id": 1}', "base_asset=None is refused"),
        ("[3]", "it must be an object"),
    ],
)
async def test_what_is_wrong_in_a_history_is_named_by_its_line(
    text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = await refused(written(tmp_path / "trades.txt", text), capsys)
    assert reason in shown.err


async def test_a_source_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such file" in (await refused(str(tmp_path / "none"), capsys)).err
    (tmp_path / "latin.csv").write_bytes(f"{HEAD}\n1,1,\xe9".encode("latin-1"))
    assert "line 2: it is no UTF-8 text" in (await refused(str(tmp_path / "latin.csv"), capsys)).err
    nothing = await told_here(stats.stats, capsys)
    assert (nothing.code, "name a SOURCE" in nothing.err) == (2, True)


async def test_every_output_says_how_many_are_in_no_gain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path / "trades.csv", EXAMPLE + f"4,1,BTC/USDT,long,1,,{START},5,{START + 5}\n")
    shown = await told_here(stats.stats, capsys, source=source)
    assert "1 position with an unknown price or time is in no gain" in shown.out
    assert [one["position_id"] for one in (await figures_of(source, capsys))["unpriced"]] == ["4"]
    table = await told_here(stats.stats, capsys, out=Output(as_csv=True), source=source)
    assert dict(csv.reader(io.StringIO(table.out)))["unpriced"] == "1"


async def test_paper_and_live_are_compared_and_what_would_make_them_alike_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = written(tmp_path / "paper.csv", EXAMPLE)
    worse = EXAMPLE.replace(",100,", ",100.1,", 2).replace("short,0.5,100,", "short,0.5,99.9,")
    theirs = written(tmp_path / "live.csv", worse.replace(",110,", ",109.89,").replace(",98,", ",98.098,"))
    shown = await told_here(stats.compare, capsys, out=Output(as_json=True), paper=ours, live=theirs)
    assert shown.code == 0
    assert [round(Decimal(match["entry"]), 2) for match in shown.json["matched"]] == [10, 10, 10]
    assert Decimal(shown.json["suggested"]["slippage"]) == pytest.approx(Decimal("0.1"))
    table = await told_here(stats.compare, capsys, paper=ours, live=theirs)
    assert ("3 trades on both sides" in table.out, "--slippage" in table.out) == (True, True)


async def test_paper_and_live_that_have_nothing_in_common_are_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = written(tmp_path / "paper.csv", EXAMPLE)
    theirs = written(tmp_path / "live.csv", EXAMPLE.replace("USDT", "EUR"))
    shown = await told_here(stats.compare, capsys, paper=ours, live=theirs)
    assert (shown.code, shown.out, len(shown.err.splitlines())) == (1, "", 1)
    assert "nothing matches: none of 3 trades" in shown.err
