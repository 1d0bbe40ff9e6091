"""Single commands: what they print, where, and how they end."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mizar_async import InvalidInput
from mizar_async.cli import market, positions, strategies, watch
from mizar_async.cli.app import app
from mizar_async.cli.exits import MEANINGS
from mizar_async.cli.output import Output
from mizar_async.cli.session import Session, _ended

from ..raw_server import answer, raw_server, saying
from .conftest import ESCAPES, MAIN, Scene, Told, posix, running, told, told_by, told_here, until

OPEN: dict[str, Any] = {"strategy_id": 1, "pair": "BTC/USDT", "side": "long"}


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def test_a_position_is_opened_shown_and_closed(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    opened = await told_here(positions.open_positions, capsys, **OPEN)
    assert (opened.code, opened.err) == (0, "")
    assert opened.out.startswith(f"local {scene.proxy.url.removeprefix('http://')}: opened\n")
    (position,) = scene.venue.open_positions()
    listed = await told_here(positions.list_positions, capsys, out=Output(as_json=True), strategy_id=1)
    (shown,) = listed.json["open_positions"]
    assert (shown["position_id"], shown["size"], shown["is_long"]) == ("1", 1.0, True)
    other = await told_here(positions.list_positions, capsys, out=Output(as_csv=True), strategy_id=1, pair="ETHUSDT")
    assert table_of(other.out) == []
    closed = await told_here(positions.close_positions, capsys, out=Output(as_csv=True), position_ids=[1])
    (row,) = table_of(closed.out)
    assert (row["position_id"], row["is_long"], row["open_price"]) == ("1", "true", str(position.open_price))
    assert closed.code == 0
    again = await told_here(positions.close_positions, capsys, position_ids=[1])
    assert (again.code, again.out) == (1, "")
    assert len(again.err.splitlines()) == 1


async def test_what_only_shows_prints_one_document_of_the_apis_own(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    as_json, as_csv = Output(as_json=True), Output(as_csv=True)
    for command, envelope, values in [
        (strategies.list_strategies, "strategies", {}),
        (market.exchanges, "exchanges", {}),
        (market.symbols, "symbols", {}),
        (market.bars, "bars", {"pair": "BTCUSDT", "limit": 3, "step": "1min"}),
    ]:
        one = await told_here(command, capsys, out=as_json, **values)
        assert (one.code, one.err, list(one.json)) == (0, "", [envelope])
        rows = table_of((await told_here(command, capsys, out=as_csv, **values)).out)
        assert len(rows) == len(one.json[envelope])
        assert None not in rows[0], rows[0]
        assert (await told_here(command, capsys, **values)).out.startswith("local 127.0.0.1:")
    shown = await told_here(strategies.show_strategy, capsys, out=as_json, strategy_id=1)
    assert shown.json["name"] == "S"


async def test_an_unknown_strategy_or_position_is_one_line_and_1(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, values in [
        (positions.list_positions, {"strategy_id": 77}),
        (positions.open_positions, OPEN | {"strategy_id": 77}),
        (positions.close_positions, {"position_ids": [77]}),
        (positions.close_all, {"strategy_id": 77, "yes": True}),
        (strategies.show_strategy, {"strategy_id": 77}),
        (watch.watch, {"strategy_id": 77}),
    ]:
        found = await told_here(command, capsys, **values)
        assert (found.code, found.out, len(found.err.splitlines())) == (1, "", 1), found


async def test_a_wrong_key_is_4_and_a_venue_that_is_down_is_5(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = [
        (positions.list_positions, {"strategy_id": 1}),
        (positions.open_positions, OPEN),
        (positions.close_positions, {"position_ids": [1, 2], "yes": True}),
        (positions.close_all, {"strategy_id": 1, "yes": True}),
        (watch.watch, {"strategy_id": 1}),
    ]
    for name, value, code in [
        ("MIZAR_API_KEY", "another-key-7781", 4),
        ("MIZAR_API_KEY", "a key with spaces", 4),
        ("MIZAR_API_URL", "http://127.0.0.1:1", 5),
        ("MIZAR_API_URL", "http://api.mizar.com", 2),
    ]:
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            for command, values in calls:
                found = await told_here(command, capsys, **values)
                assert found.code == code, found
                assert found.err
                assert "another-key-7781" not in found.out + found.err
                assert "a key with spaces" not in found.out + found.err
    assert scene.venue.positions() == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"size": "NaN"}, "size="),
        ({"size": "sNaN"}, "size="),
        ({"size": "0"}, "size="),
        ({"side": "up"}, "side='up' is refused: it must be long or short"),
        ({"pair": "?"}, "?"),
        ({"pair": None}, "give STRATEGY, PAIR and --side"),
        ({"from_file": "x.csv"}, "--from excludes"),
        ({"not_done": Path("x")}, "--not-done belongs to --from"),
        ({"client_order_id": "a"}, "--client-order-id needs a journal"),
    ],
)
async def test_an_open_that_can_not_be_is_refused_here(
    scene: Scene, capsys: pytest.CaptureFixture[str], values: dict[str, Any], reason: str
) -> None:
    if "size" in values:
        values = values | {"size": positions.decimal(values["size"])}
    before = len(scene.proxy.seen)
    found = await told_here(positions.open_positions, capsys, **(OPEN | values))
    assert (found.code, found.out) == (2, "")
    assert reason in found.err
    assert len(scene.proxy.seen) == before


async def test_a_named_open_that_is_asked_for_again_opens_nothing(
    scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    named = OPEN | {"client_order_id": "a", "journal": tmp_path / "j"}
    found = [await told_here(positions.open_positions, capsys, out=Output(as_json=True), **named) for _ in range(2)]
    assert [one.json["position_id"] for one in found] == ["1", "1"]
    assert len(scene.venue.positions()) == 1


async def test_a_dry_run_prints_what_it_would_send_and_sends_nothing(
    scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, closes = tmp_path / "o.csv", tmp_path / "c.csv"
    file.write_text("strategy_id,pair,side,size\n1,BTCUSDT,long,1e-5\n1,BTCUSDT,short,1\n")
    closes.write_text("position_id\n5\n")
    before = len(scene.proxy.seen)
    for command, values, count in [
        (positions.open_positions, OPEN, 1),
        (positions.open_positions, {"from_file": str(file)}, 2),
        (positions.close_positions, {"position_ids": [1]}, 1),
        (positions.close_positions, {"position_ids": [1, 2]}, 2),
        (positions.close_positions, {"from_file": str(closes)}, 1),
        (positions.close_all, {"strategy_id": 1, "pair": "BTC/USDT"}, 1),
        (strategies.create_strategy, {"name": "n", "symbol": ["BTCUSDT"], "market": "SPOT"}, 1),
    ]:
        found = await told_here(command, capsys, out=Output(as_json=True), dry_run=True, **values)
        assert (found.code, found.err) == (0, "")
        assert [line["method"] for line in found.lines] == ["POST"] * count
    assert len(scene.proxy.seen) == before
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["c.csv", "o.csv"]


async def test_close_all_proves_that_nothing_is_left(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for pair in ("BTCUSDT", "ETHUSDT", "BTCUSDT"):
        await told_here(positions.open_positions, capsys, **(OPEN | {"pair": pair}))
    found = await told_here(
        positions.close_all, capsys, out=Output(as_json=True), strategy_id=1, pair="ETHUSDT", yes=True
    )
    assert [one["position_id"] for one in found.json["closed_positions"]] == ["2"]
    assert "1 closed; a list of the server that was asked for afterwards shows nothing open of ETHUSDT" in found.err
    assert "Programs elsewhere can open again" in found.err
    found = await told_here(positions.close_all, capsys, strategy_id=1, yes=True)
    assert found.code == 0
    assert "2 closed; a list" in found.out
    assert scene.venue.open_positions() == []


async def test_without_a_terminal_and_without_yes_nothing_is_sent(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "o.csv"
    file.write_text("strategy_id,pair,side\n1,BTCUSDT,long\n")
    for found in [
        await told("positions", "open", "--from", str(file)),
        await told_here(positions.close_positions, capsys, position_ids=[1, 2]),
        await told_here(positions.close_all, capsys, strategy_id=1),
    ]:
        assert (found.code, found.out) == (2, "")
        assert "There is no terminal to ask: give --yes. Nothing was sent." in found.err
        assert scene.proxy.url.removeprefix("http://") in found.err
    # Real money asks before each write; the address is of no machine, and is not called.
    monkeypatch.setenv("MIZAR_API_URL", "https://192.0.2.1")
    for found in [
        await told_here(positions.open_positions, capsys, **OPEN),
        await told_here(positions.close_positions, capsys, position_ids=[1]),
        await told_here(strategies.create_strategy, capsys, name="n", symbol=["BTCUSDT"], market="SPOT"),
    ]:
        assert (found.code, found.out) == (2, "")
        assert found.err.startswith("live 192.0.2.1: ")
    assert scene.venue.positions() == []
    assert scene.count("open-position") == scene.count("close-position") == 0


async def test_options_of_all_commands_stand_before_or_behind_one(scene: Scene) -> None:
    before = await told("--json", "strategies", "list")
    behind = await told("strategies", "list", "--json")
    assert before.json == behind.json
    named = await told("--profile", "nobody", "strategies", "list")
    assert (named.code, named.out) == (4, "")


def test_a_command_line_that_can_not_be_is_2() -> None:
    for arguments, reason in [
        (("nothing",), "No such command"),
        (("positions", "open", "1", "BTCUSDT", "--side", "long", "--size", "much"), "'much' is no number"),
        (("positions", "close", "x"), "Invalid value for '[ID]...'"),
        (("positions", "close"), "give the ids of positions"),
        (("--json",), "name a command"),
        (("--json", "profiles", "--csv"), "exclude each other"),
        (("watch", "1", "--every", "nan"), "--every nan is refused"),
        (("journal", "nothing"), "nothing"),
    ]:
        found = CliRunner().invoke(app, arguments)
        assert (found.exit_code, found.stdout) == (2, ""), arguments
        assert reason in found.stderr


def test_the_help_tells_the_exit_codes() -> None:
    found = CliRunner().invoke(app, ["--help"])
    assert found.exit_code == 0
    assert "".join(MEANINGS.split()) in "".join(found.stdout.split())


@posix
async def test_what_was_done_is_told_on_stderr_where_stdout_is_gone(scene: Scene) -> None:
    for number, arguments in enumerate([(), ("--json",)], 1):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            found = await told("positions", "open", "1", "BTCUSDT", "--side", "long", *arguments, stdout=writing)
        finally:
            os.close(writing)
        assert found.code == 141
        lines = found.err.splitlines()
        assert lines[0] == "stdout can't be written (Broken pipe): what was done is told here"
        assert json.loads(lines[1])["position_id"] == str(number)
        assert len(lines) == 2
    assert len(scene.venue.positions()) == 2


@posix
@pytest.mark.parametrize("form", ["--json", "--quiet"])
async def test_a_reader_that_has_gone_ends_a_look_with_141_and_no_word(form: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert await told("profiles", form, stdout=writing) == Told(141, "", "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
async def test_a_full_disk_does_not_hide_what_was_opened(scene: Scene) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        found = await told("positions", "open", "1", "BTCUSDT", "--side", "long", stdout=full)
    finally:
        os.close(full)
    assert found.code == 3  # 1 would be "not done", which may be repeated
    assert json.loads(found.err.splitlines()[1])["position_id"] == "1"


CLOSED = "import os, sys; os.close(int(sys.argv.pop(1))); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


@posix
async def test_a_stream_that_is_closed_ends_no_command(scene: Scene) -> None:
    """Its number would be given to a connection, which libuv takes for a defect, and notes would go to stdout."""
    for number in range(3):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CLOSED, str(number), "-c", MAIN, "positions", "close-all", "1", "--yes", "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        found = await told_by(process)
        assert found.code == 0
        assert found.out == "" if number == 1 else found.json == {"closed_positions": []}
        assert bool(found.err) == (number != 2)


@posix
async def test_an_open_that_is_left_while_it_is_in_flight_is_unknown(scene: Scene) -> None:
    scene.hold("open-position")
    async with running("positions", "open", "1", "BTCUSDT", "--side", "long") as process:
        assert process.stderr is not None
        await until(lambda: scene.count("open-position"))
        process.send_signal(signal.SIGINT)
        line = await process.stderr.readline()
        assert line == b"interrupted: what is in flight ends first; once more leaves it\n"
        process.send_signal(signal.SIGINT)
        found = await told_by(process)
    assert (found.code, found.out) == (3, "")
    assert "it may have happened. Look before you repeat it" in found.err


@posix
async def test_an_open_in_flight_ends_and_is_told_when_a_signal_comes(scene: Scene) -> None:
    scene.hold("open-position")
    async with running("positions", "open", "1", "BTCUSDT", "--side", "long", "--json") as process:
        assert process.stderr is not None
        await until(lambda: scene.count("open-position"))
        process.send_signal(signal.SIGTERM)
        await process.stderr.readline()
        scene.gate.set()
        found = await told_by(process)
    assert (found.code, found.json["position_id"]) == (143, "1")


@posix
async def test_a_signal_ends_a_look_and_what_waits_for_input_at_once(scene: Scene) -> None:
    scene.hold("all-open-positions")
    async with running("positions", "list", "1") as process:
        await until(lambda: scene.count("all-open-positions"))
        process.send_signal(signal.SIGINT)
        assert await told_by(process) == Told(130, "", "")
    for arguments in (("positions", "open", "--from", "-"), ("login", "--key-stdin")):
        # What it reads comes from a pipe that nobody writes to; it has opened it when it reads.
        async with running(*arguments, stdin=asyncio.subprocess.PIPE) as process:
            await _is_reading(process)
            process.send_signal(signal.SIGTERM)
            found = await asyncio.wait_for(process.wait(), 60)
        assert found == 143


async def _is_reading(process: asyncio.subprocess.Process) -> None:
    """Wait until a process waits in a read; where that can't be seen, until it has had time to."""
    place = Path(f"/proc/{process.pid}/wchan")
    if not place.exists():
        await asyncio.sleep(3)
        return
    await until(lambda: "pipe" in place.read_text() or "unix_stream" in place.read_text())


@posix
@pytest.mark.parametrize("module", ["typer", "anyio"])
async def test_ctrl_c_while_it_still_loads_is_130_and_no_traceback(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time")
    found = await told("profiles", env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"})
    assert found == Told(130, "", "")


async def test_without_its_extra_the_command_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('No module named typer')")
    found = await told("strategies", "list", env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"})
    assert (found.code, found.out) == (1, "")
    assert "pip install 'mizar[cli]'" in found.err


async def test_a_defect_is_one_line_and_a_write_in_doubt_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(Output())

    async def reads() -> int:
        raise ZeroDivisionError("with a secret")

    async def writes() -> int:
        with session.interrupts.writing():
            return await reads()

    async def is_refused() -> int:
        with session.interrupts.writing():
            raise InvalidInput("no")

    codes = [await _ended(work, session) for work in (reads, writes, is_refused)]
    assert codes == [1, 3, 2]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("a defect of mizar: ZeroDivisionError in ")
    assert "secret" not in lines[0] + lines[1]


STRATEGY = {
    "strategy_id": "5",
    "name": "\x1b[31mred\x1b]0;title\x07 [bold]not bold[/bold] :smile:\nnext\u202eline\x9b2J",
    "description": "",
    "creation_timestamp": 1,
    "exchange": "binance\x1b[2J",
    "symbols": [],
    "market": "SPOT",
}


async def test_what_a_server_calls_things_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = saying(answer(json.dumps({"strategies": [STRATEGY]}).encode()))
    refused = saying(answer(json.dumps({"detail": "\x1b[31mno\r\nreally\x9b"}).encode(), 404))
    async with raw_server({"self-hosted-strategy-info": listed, "all-open-positions": refused}) as server:
        monkeypatch.setenv("MIZAR_API_URL", server.url)
        monkeypatch.setenv("MIZAR_API_KEY", "key")
        found = await told_here(strategies.list_strategies, capsys)
        assert found.code == 0
        assert set(map(str.isprintable, found.out.replace("\n", ""))) == {True}
        assert "[bold]not bold[/bold] :smile:" in found.out
        assert len(found.out.splitlines()) == 3
        failed = await told_here(positions.list_positions, capsys, strategy_id=1)
        assert set(map(str.isprintable, failed.err.replace("\n", ""))) == {True}
        # Data keeps it, as escapes of JSON; CSV is data where it is piped.
        as_json = await told_here(strategies.list_strategies, capsys, out=Output(as_json=True))
        assert as_json.out.isascii()
        assert not ESCAPES.search(as_json.out)
        assert as_json.json["strategies"][0]["name"] == STRATEGY["name"]
        as_csv = await told_here(strategies.list_strategies, capsys, out=Output(as_csv=True))
        assert table_of(as_csv.out)[0]["name"] == STRATEGY["name"]
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        as_csv = await told_here(strategies.list_strategies, capsys, out=Output(as_csv=True))
        assert set(map(str.isprintable, as_csv.out.replace("\n", ""))) == {True}


async def test_the_key_is_in_no_output_no_command_line_and_no_address(scene: Scene, tmp_path: Path) -> None:
    key = scene.venue.key
    scene.hold("all-open-positions")
    async with running("positions", "list", "1") as process:
        await until(lambda: scene.count("all-open-positions"))
        if Path("/proc").exists():
            assert key.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        scene.gate.set()
        found = [await told_by(process)]
    found += [await told("doctor", "--json")]
    assert {one.code for one in found} == {0}
    assert all(key not in one.out + one.err for one in found)
    assert all(key not in seen.query + seen.call for seen in scene.proxy.seen)
    assert all(key.encode() not in one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())


async def test_a_server_that_repeats_the_key_does_not_show_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "key-that-nobody-may-see"
    async with raw_server(saying(answer(json.dumps({"detail": f"no such key: {key}"}).encode(), 401))) as server:
        monkeypatch.setenv("MIZAR_API_URL", server.url)
        monkeypatch.setenv("MIZAR_API_KEY", key)
        found = await told_here(strategies.list_strategies, capsys)
    assert found.code == 4
    assert "no such key" in found.err
    assert key not in found.err


@posix
async def test_completion_offers_profiles_and_asks_nobody(settings: Path) -> None:
    settings.mkdir(parents=True)
    (settings / "profiles.toml").write_text(
        '[profiles.paper]\nurl = "http://127.0.0.1:1"\nkey = "keyring"\n[profiles.real]\nurl = "https://192.0.2.1"\n'
    )
    env = {"_MIZAR_COMPLETE": "complete_bash", "COMP_WORDS": "mizar strategies list --profile ", "COMP_CWORD": "4"}
    found = await told(env=env)
    assert (found.out.split(), found.err) == (["paper", "real"], "")
    (settings / "profiles.toml").write_text("not = toml = at all")
    found = await told(env=env)
    assert (found.out.split(), found.err) == ([], "")
