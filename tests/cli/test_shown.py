"""What is shown: tables of any width, colours only where they belong, `watch` and `doctor`."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import InvalidInput, NotFlat, NotSent, OutcomeUnknown, Refused, Unavailable, WrongKey
from mizar_async.cli import doctor, positions, profiles
from mizar_async.cli.exits import code_of, code_of_all
from mizar_async.cli.output import Output, Table, coloured, printable, rendered, trimmed
from mizar_async.errors import AnswerUnreadable, JournalInUse, MizarError, RateLimited

from ..raw_server import answer, closing, raw_server, saying
from ..scenarios.faulty_proxy import Fault
from .conftest import Scene, at_a_terminal, posix, running, told_by, told_here

OPEN: dict[str, Any] = {"strategy_id": 1, "pair": "BTC/USDT", "side": "long"}
WIDE = Table(
    "live api.example.com: strategies",
    ["id>", "name", "pairs", "created (UTC)"],
    [
        ["1", "short", "BTCUSDT", "2026-01-31 12:00:00"],
        ["12345678901234567", "n" * 90, " ".join(["BTCUSDT"] * 9), ("2026", "red")],
        ["3", "\u30c6\u30b9\u30c8 caf\u00e9", "", ""],
    ],
    "and a caption that is as long as a sentence of a whole line can be, which is rather more than forty columns",
)


def shown(table: Table, columns: int) -> str:
    from rich.console import Console

    written = io.StringIO()
    console = Console(file=written, width=columns, color_system=None, highlight=False, markup=False, emoji=False)
    console.print(rendered(table, console))
    return written.getvalue()


@pytest.mark.parametrize("columns", [10, 40, 80, 200])
def test_no_width_loses_anything(columns: int) -> None:
    text = shown(WIDE, columns)
    whole = "".join(text.split())
    cells = [cell if isinstance(cell, str) else cell[0] for row in WIDE.rows for cell in row]
    for part in [WIDE.title, WIDE.caption, *cells]:
        assert "".join(part.split()) in whole, part
    assert "\u2026" not in text
    assert max(map(len, text.splitlines())) <= columns


def test_a_table_is_a_grid_where_it_has_room_and_blocks_where_it_has_not() -> None:
    small = Table("t", ["id>", "name"], [["7", "a"], ["12", "b"]], "c")
    assert [line.rstrip() for line in shown(small, 40).splitlines()] == ["t", "id  name", " 7  a", "12  b", "c"]
    wide = Table("t", ["id>", "name"], [["7", "a" * 50], ["12", "b"]])
    blocks = ["t", "id 7", "  name", "a" * 40, "a" * 10, "id 12", "  name b"]
    assert [line.rstrip() for line in shown(wide, 40).splitlines()] == blocks
    assert shown(Table("t", ["id>"], []), 40).rstrip() == "t"


@given(st.text())
def test_what_is_printed_moves_no_cursor(text: str) -> None:
    assert all(letter.isprintable() for letter in printable(text))
    assert len(printable(text)) == len(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("0"), ("0.000", "")),
        (Decimal("-0.0004"), ("0.000", "")),
        (Decimal("0.0006"), ("+0.001", "green")),
        (Decimal("-1234.5"), ("-1,234.500", "red")),
    ],
)
def test_what_is_shown_as_zero_has_neither_sign_nor_colour(number: Decimal, text: tuple[str, str]) -> None:
    assert coloured(number) == text


def test_numbers_are_written_out_in_full() -> None:
    written = [trimmed(Decimal(text)) for text in ("1E-8", "1.500", "100", "1E+3", "0.0", "42000.1234567890123456789")]
    assert written == ["0.00000001", "1.5", "100", "1000", "0", "42000.1234567890123456789"]


REFUSED, NOT_SENT, UNKNOWN = Refused("no"), NotSent("down"), OutcomeUnknown("perhaps")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("x"), 2),
        (REFUSED, 1),
        (RateLimited("x"), 1),
        (WrongKey("x"), 4),
        (NOT_SENT, 5),
        (JournalInUse("x"), 1),
        (Unavailable("x", method="GET"), 5),
        (UNKNOWN, 3),
        (AnswerUnreadable("x", method="POST"), 3),
        (AnswerUnreadable("x", method="GET"), 1),
        (NotFlat("x", still_open=(1,)), 1),
    ],
)
def test_the_exit_code_of_an_error(error: MizarError, code: int) -> None:
    assert code_of(error) == code


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([], 0),
        ([None, None], 0),
        ([None, REFUSED], 1),
        ([NOT_SENT, NOT_SENT], 5),
        ([NOT_SENT, None], 1),
        ([WrongKey("x"), NOT_SENT], 1),
        ([None, NOT_SENT, UNKNOWN, REFUSED], 3),
    ],
)
def test_the_exit_code_of_many(errors: list[MizarError | None], code: int) -> None:
    assert code_of_all(errors) == code


@posix
async def test_colours_are_for_terminals_that_want_them(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    await told_here(positions.open_positions, capsys, **OPEN)
    seen = []
    for more, env in [((), {}), (("--no-color",), {}), ((), {"NO_COLOR": "1"})]:
        async with at_a_terminal("positions", "list", "1", *more, columns=40, env=env) as terminal:
            assert await terminal.ended() == 0
        assert "BTCUSDT" in terminal.seen
        assert max(map(len, terminal.seen.splitlines())) <= 40
        seen.append("\x1b" in terminal.raw)
    assert seen == [True, False, False]


@posix
async def test_watch_fills_the_screen_until_ctrl_c_and_gives_it_back(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    await told_here(positions.open_positions, capsys, **OPEN)
    async with at_a_terminal("watch", "1", "--every", "0.2", columns=120) as terminal:
        await terminal.shows("1 open")
        await told_here(positions.open_positions, capsys, **OPEN | {"side": "short"})
        await terminal.shows("2 open")
        assert f"local {scene.proxy.url.removeprefix('http://')}: strategy 1" in terminal.seen
        last = terminal.seen[terminal.seen.rindex("2 open") :]
        assert last.index("short") < last.index("long")  # the newest stands above
        terminal.type("\x03")
        assert await terminal.ended() == 130
    assert terminal.raw.count("\x1b[?1049h") == terminal.raw.count("\x1b[?1049l") == 1
    assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l")


@posix
async def test_watch_prints_lines_of_json_and_goes_on_where_the_venue_does_not_answer(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    await told_here(positions.open_positions, capsys, **OPEN)
    async with running("watch", "1", "--every", "0.2", "--json") as process:
        assert process.stdout is not None
        first = json.loads(await process.stdout.readline())
        assert (first["environment"], first["trouble"]) == ("local", None)
        assert [one["position_id"] for one in first["positions"]] == ["1"]
        scene.proxy.plan = lambda seen: Fault.RESET_BEFORE
        while not (look := json.loads(await process.stdout.readline()))["trouble"]:
            pass
        assert look["positions"][0]["open_price"] == first["positions"][0]["open_price"]
        scene.proxy.plan = None
        while json.loads(await process.stdout.readline())["trouble"]:
            pass
        process.send_signal(signal.SIGTERM)
        found = await told_by(process)
    assert (found.code, found.err) == (143, "")


async def test_doctor_says_of_each_point_whether_it_is_well_and_what_to_do(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settings: Path
) -> None:
    as_json = Output(as_json=True)

    async def checked(**environment: str) -> tuple[int | None, dict[str, Any]]:
        with monkeypatch.context() as changed:
            for name, value in environment.items():
                changed.setenv(name, value)
            found = await told_here(doctor.doctor, capsys, out=as_json)
        assert scene.venue.key not in found.out
        points = {one["check"]: one for one in found.json["checks"]}
        assert all(point["ok"] == (not point["to_do"]) for point in points.values())
        return found.code, points

    code, points = await checked()
    assert code == 0
    assert list(points) == [
        *("version", "uvloop", "settings", "key", "address", "proxy", "connection", "clock", "key accepted"),
    ]
    assert all(point["ok"] for point in points.values())
    assert points["address"]["found"] == f"local {scene.proxy.url.removeprefix('http://')}"
    code, points = await checked(MIZAR_API_KEY="another-key-of-nobody")
    assert (code, points["key accepted"]["ok"]) == (4, False)
    code, points = await checked(MIZAR_API_KEY="a key with spaces")
    assert (code, points["key"]["ok"], points["key accepted"]["ok"]) == (4, True, False)
    code, points = await checked(MIZAR_API_KEY="")
    assert (code, points["key"]["ok"]) == (4, False)
    code, points = await checked(MIZAR_API_URL="http://127.0.0.1:1")
    assert (code, points["connection"]["ok"]) == (5, False)
    code, points = await checked(MIZAR_API_URL="ftp://x")
    assert (code, points["key"]["ok"]) == (2, False)
    settings.mkdir(parents=True)
    (settings / "profiles.toml").write_text("[profiles.a]\nurl = 1")
    code, points = await checked()
    assert (code, points["settings"]["ok"]) == (2, False)
    (settings / "profiles.toml").write_text("")
    if os.name == "posix":
        (settings / "profiles.toml").chmod(0o666)
        code, points = await checked()
        assert (code, points["settings"]["to_do"]) == (1, f"chmod 600 {shlex.quote(str(profiles.file()))}")
    (settings / "profiles.toml").chmod(0o600)
    table = await told_here(doctor.doctor, capsys)
    assert table.out.startswith("mizar doctor\n")
    assert table.code == 0


async def test_doctor_names_a_proxy_without_its_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIZAR_API_KEY", "key")
    monkeypatch.setenv("MIZAR_API_URL", "https://192.0.2.1")
    for proxy, shown_as in [
        ("http://user:hush@127.0.0.1:1", "127.0.0.1:1"),
        ("user:hush@127.0.0.1:1", "127.0.0.1:1"),
        ("http://user:hush@127.0.0.1:x", "can't be read"),
    ]:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        found = await told_here(doctor.doctor, capsys, out=Output(as_json=True))
        points = {one["check"]: one["found"] for one in found.json["checks"]}
        assert points["proxy"] == shown_as
        assert "hush" not in found.out + found.err
        assert found.code in {2, 5}


async def test_a_server_with_another_time_and_one_that_is_none_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIZAR_API_KEY", "key")
    said = {
        "ping": saying(answer(b"{}")),
        "server-time": saying(answer(b'{"server_time": 1000}')),
        "self-hosted-strategy-info": saying(answer(b'{"strategies": []}')),
    }
    async with raw_server(said) as server:
        monkeypatch.setenv("MIZAR_API_URL", server.url)
        found = await told_here(doctor.doctor, capsys, out=Output(as_json=True))
        points = {one["check"]: one for one in found.json["checks"]}
        assert (found.code, points["clock"]["ok"]) == (0, False)
        assert points["clock"]["to_do"].startswith("set this machine's clock")
    async with raw_server(closing) as server:
        monkeypatch.setenv("MIZAR_API_URL", server.url)
        found = await told_here(doctor.doctor, capsys)
        assert found.code == 5
