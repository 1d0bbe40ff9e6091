"""Files of positions: every row is told, nothing is opened twice, and what is not known is said."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
from pathlib import Path

import pytest

from mizar_async.cli import bulk, journal, positions
from mizar_async.cli.output import Output

from ..scenarios.faulty_proxy import Fault
from .conftest import Scene, at_a_terminal, posix, rows, running, told, told_by, told_here, until

MANY = 150
"""More rows than are in flight together."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "o.csv"
    path.write_text(rows(5))
    return path


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def outcomes(text: str) -> list[str]:
    return [row["outcome"] for row in table_of(text)]


async def opened(file: Path, *more: str) -> tuple[int | None, list[str], str]:
    found = await told("positions", "open", "--from", str(file), "--yes", *more)
    return found.code, outcomes(found.out), found.err


async def test_a_file_is_opened_once_however_often_it_is_given(
    scene: Scene, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('Note,strategy_id,pair,side,size\n"a ""b""\nc",1,BTC/USDT,long,1e-5\n,1,ETHUSDT,short,1\n')
    left = tmp_path / "left.csv"
    first = await told("positions", "open", "--from", str(file), "--yes", "--not-done", str(left))
    assert first.code == 0
    table = table_of(first.out)
    assert list(table[0]) == [
        *("Note", "strategy_id", "pair", "side", "size"),
        *("outcome", "position_id", "price", "timestamp", "error"),
    ]
    assert [row["Note"] for row in table] == ['a "b"\nc', ""]
    held = {str(one.position_id): one for one in scene.venue.open_positions()}
    for row in table:
        position = held[row["position_id"]]
        assert (row["outcome"], row["price"], row["error"]) == ("done", str(position.open_price), "")
        assert row["timestamp"] == str(position.open_timestamp)
    assert left.read_text() == "Note,strategy_id,pair,side,size\n"
    assert [line.split(": ")[-1] for line in first.err.splitlines()] == [f"journal {file}.journal", "2 done"]
    kept = await told_here(journal.journal, capsys, out=Output(as_json=True), file=Path(f"{file}.journal"))
    assert [entry["end"] for entry in kept.json] == ["open", "open"]
    # Again, as it stands, and with rows added before and behind it; and in another file with the same journal.
    code, found, err = await opened(file, "--quiet")
    assert (code, found) == (0, ["repeated", "repeated"])
    assert err.endswith(": 2 repeated\n")  # also where only faults are told
    asked = "1,BTCUSDT,short,0.1\n1,ETH/USDT,Short,1.0\n1,BTC/USDT,long,1e-5\n"
    file.write_text(f"strategy_id,pair,side,size\n{asked * 2}")
    code, found, _ = await opened(file)
    assert (code, found) == (0, ["done", "repeated", "repeated", "done", "done", "done"])
    assert len(scene.venue.positions()) == 6


async def test_what_was_opened_by_a_file_is_closed_by_what_that_printed(
    scene: Scene, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = await told("positions", "open", "--from", str(file), "--yes", "--quiet")
    closes = tmp_path / "c.csv"
    closes.write_text(printed.out)
    found = await told("positions", "close", "--from", "-", "--yes", "--json", stdin=closes.read_bytes())
    assert found.code == 0
    assert [(one["line"], one["outcome"]) for one in found.lines] == [(line, "done") for line in range(2, 7)]
    assert scene.venue.open_positions() == []
    again = await told_here(positions.close_positions, capsys, from_file=str(closes), yes=True)
    assert (again.code, outcomes(again.out)) == (1, ["refused"] * 5)
    assert all(row["error"] for row in table_of(again.out))


async def test_rows_that_are_refused_are_told_and_the_others_are_opened(
    scene: Scene, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("strategy_id,pair,side\n1,BTCUSDT,long\n77,BTCUSDT,long\n1,XRP/USDT,long\n")
    found = await told_here(positions.open_positions, capsys, from_file=str(file), yes=True)
    assert (found.code, outcomes(found.out)) == (1, ["done", "refused", "refused"])
    assert "1 done, 2 refused" in found.err
    assert len(scene.venue.positions()) == 1


async def test_a_venue_that_is_down_or_a_wrong_key_leaves_all_rows_to_be_submitted_again(
    scene: Scene,
    file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = tmp_path / "left.csv"
    again = {"from_file": str(file), "yes": True, "not_done": left}
    with monkeypatch.context() as changed:
        changed.setenv("MIZAR_API_URL", "http://127.0.0.1:1")
        found = await told_here(positions.open_positions, capsys, **again)
    assert (found.code, outcomes(found.out)) == (5, ["not done"] * 5)
    assert left.read_text() == file.read_text()
    with monkeypatch.context() as changed:
        changed.setenv("MIZAR_API_KEY", "another-key-of-nobody")
        found = await told_here(positions.open_positions, capsys, **again, journal=tmp_path / "j")
    assert (found.code, set(outcomes(found.out))) == (4, {"refused"})
    assert "another-key-of-nobody" not in found.out + found.err
    # And then it is there.
    left.write_text(file.read_text())
    code, done, _ = await opened(left)
    assert (code, done) == (0, ["done"] * 5)


async def test_a_file_with_faults_or_without_rows_sends_nothing(
    scene: Scene, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(rows(3) + "1,BTC/USDT,long,2\n")
    found = await told_here(positions.open_positions, capsys, from_file=str(file), yes=True)
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith(f"{file}, line 5: ")
    for path in ("/dev/null", str(file), str(tmp_path), str(tmp_path / "no" / "x"), str(tmp_path / "j")):
        (tmp_path / "j").touch()
        file.write_text(rows(3))
        found = await told_here(
            bulk.open_from, capsys, path=str(file), journal=tmp_path / "j", not_done=Path(path), dry_run=False, yes=True
        )
        assert (found.code, found.out) == (2, ""), path
        assert "name another file with --not-done. Nothing was sent." in found.err
    file.write_text("strategy_id,pair,side\n")
    found = await told_here(positions.open_positions, capsys, from_file=str(file))
    assert (found.code, found.out.strip()) == (
        0,
        "strategy_id,pair,side,outcome,position_id,price,timestamp,error",
    )
    assert scene.count("open-position") == 0


@posix
async def test_a_command_that_is_killed_is_run_again_as_it_stands(scene: Scene, file: Path) -> None:
    file.write_text(rows(20))
    scene.hold("open-position", after=3)
    async with running("positions", "open", "--from", str(file), "--yes", "--json") as process:
        # All have arrived; what certainly has not could only be said after the time in which it still may.
        await until(lambda: len(scene.venue.positions()) == 20)
        process.kill()
        killed = await told_by(process)
    assert killed.code == -signal.SIGKILL
    scene.gate.set()
    file.write_text(rows(22))
    found = await told("positions", "open", "--from", str(file), "--yes", "--json")
    assert found.code == 0, found
    assert [one["outcome"] for one in found.lines] == ["repeated"] * 20 + ["done"] * 2
    assert len({one["position"]["position_id"] for one in found.lines}) == len(scene.venue.positions()) == 22
    assert [one["position"] for one in killed.lines] == [one["position"] for one in found.lines[: len(killed.lines)]]


@posix
async def test_a_signal_lets_what_is_in_flight_end_and_tells_every_row(
    scene: Scene, file: Path, tmp_path: Path
) -> None:
    file.write_text(rows(MANY))
    left = tmp_path / "left.csv"
    scene.hold("open-position", after=2)
    asked = ("positions", "open", "--from", str(file), "--yes", "--not-done", str(left))
    async with running(*asked) as process:
        assert process.stderr is not None
        await until(lambda: scene.count("open-position") > 3)
        process.send_signal(signal.SIGINT)
        while b"interrupted" not in await process.stderr.readline():
            pass
        scene.gate.set()
        found = await told_by(process)
    said = outcomes(found.out)
    assert (found.code, len(said), set(said)) == (130, MANY, {"done", "not done"})
    assert said.count("done") == len(scene.venue.positions()) < MANY
    assert [row["pair"] for row in table_of(left.read_text())] == said.count("not done") * ["BTC/USDT"]
    assert {row["error"] for row in table_of(found.out)} == {"", "not sent: the command was interrupted"}


@posix
async def test_what_is_left_in_flight_is_unknown_and_beats_the_interruption(
    scene: Scene, file: Path, tmp_path: Path
) -> None:
    file.write_text(rows(MANY))
    left = tmp_path / "left.csv"
    scene.hold("open-position", after=2)
    async with running("positions", "open", "--from", str(file), "--yes", "--not-done", str(left)) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        first = [await process.stdout.readline() for _ in range(3)]
        await until(lambda: scene.count("open-position") > 3)
        process.send_signal(signal.SIGINT)
        while b"interrupted" not in await process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        found = await told_by(process)
    said = outcomes(b"".join(first).decode() + found.out)
    assert (found.code, len(said)) == (3, MANY)
    assert {"done", "unknown"} <= set(said) <= {"done", "unknown", "not done"}  # on a busy machine all are begun
    assert said.count("done") + said.count("unknown") >= len(scene.venue.positions())
    assert [row["pair"] for row in table_of(left.read_text())] == said.count("not done") * ["BTC/USDT"]
    assert "look with `mizar positions list` before you submit them again" in found.err
    # Who runs it again instead learns what became of them, and opens none of them twice.
    scene.gate.set()
    code, again, _ = await opened(file, "--quiet")
    assert (code, set(again)) == (0, {"done", "repeated"})
    assert len(scene.venue.positions()) == MANY


@posix
async def test_a_reader_that_goes_stops_the_rest_and_is_told_on_stderr_what_was_sent(scene: Scene, file: Path) -> None:
    file.write_text(rows(MANY))
    scene.hold("open-position")
    reading, writing = os.pipe()
    async with running("positions", "open", "--from", str(file), "--yes", "--json", stdout=writing) as process:
        os.close(writing)
        await until(lambda: scene.count("open-position"))
        os.close(reading)
        scene.gate.set()
        found = await told_by(process)
    assert found.code == 141
    lines = [line for line in found.err.splitlines() if line.startswith("{")]
    assert "stdout can't be written (Broken pipe): what was sent is told here" in found.err
    assert len(lines) == len(scene.venue.positions()) < MANY
    # One that has gone from the beginning has nothing opened but what was begun before the first line was written.
    file.write_text(rows(MANY))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        found = await told("positions", "open", "--from", str(file), "--yes", "--journal", f"{file}.2", stdout=writing)
    finally:
        os.close(writing)
    assert found.code == 141
    assert scene.count("open-position") == len(lines)


@posix
async def test_two_commands_on_one_journal_do_not_run_together(scene: Scene, file: Path) -> None:
    scene.hold("open-position")
    async with running("positions", "open", "--from", str(file), "--yes") as process:
        await until(lambda: scene.count("open-position"))
        second = await told("positions", "open", "--from", str(file), "--yes")
        assert second.code == 1
        assert str(process.pid) in second.out + second.err
        scene.gate.set()
        first = await told_by(process)
    assert (first.code, outcomes(first.out)) == (0, ["done"] * 5)
    assert set(outcomes(second.out)) <= {"refused"}  # the other one may open them yet
    assert len(scene.venue.positions()) == 5


async def test_the_rest_of_a_file_is_what_no_run_has_opened(scene: Scene, file: Path, tmp_path: Path) -> None:
    """Whatever this run came to: what an earlier one has opened is repeated, and never to be submitted again."""
    file.write_text(rows(60))
    assert (await told("positions", "open", "--from", str(file), "--yes")).code == 0
    file.write_text(rows(60) + rows(20, row="1,ETH/USDT,long,0.5").partition("\n")[2])
    left = tmp_path / "left.csv"
    reading, writing = os.pipe()
    os.close(reading)
    arguments = ("positions", "open", "--from", str(file), "--yes", "--not-done", str(left))
    found = await told(*arguments, stdout=writing)
    os.close(writing)
    assert found.code == 141
    assert {row["pair"] for row in table_of(left.read_text())} == {"ETH/USDT"}
    code, done, _ = await opened(left)
    assert (code, set(done)) == (0, {"done"})
    code, done, _ = await opened(file)  # by the same journal
    assert (code, set(done)) == (0, {"repeated"})
    assert len(scene.venue.positions()) == 80


async def test_the_rest_of_another_file_has_the_journal_of_that_one(scene: Scene, tmp_path: Path) -> None:
    left = tmp_path / "left.csv"
    for name, pair in [("one", "BTC"), ("other", "ETH")]:
        file = tmp_path / f"{name}.csv"
        file.write_text(rows(1, row=f"1,{pair}/USDT,long,0.5"))
        assert (await told("positions", "open", "--from", str(file), "--yes")).code == 0
        file.write_text(rows(1, row=f"1,{pair}/USDT,long,0.5") + rows(2, row="1,BTC/USDT,short,1").partition("\n")[2])
        reading, writing = os.pipe()
        os.close(reading)
        await told("positions", "open", "--from", str(file), "--yes", "--not-done", str(left), stdout=writing)
        os.close(writing)
        assert Path(f"{left}.journal").resolve() == Path(f"{file}.journal").resolve()


async def test_what_was_opened_is_not_opened_again_from_what_was_printed(scene: Scene, file: Path) -> None:
    file.write_text(rows(2))
    printed = (await told("positions", "open", "--from", str(file), "--yes")).out
    file.write_text(printed)
    again = await told("positions", "open", "--from", str(file), "--yes")
    assert (again.code, "line 2: its outcome is 'done'" in again.err) == (2, True)
    assert len(scene.venue.positions()) == 2


async def test_the_journal_is_no_place_for_the_rest(scene: Scene, file: Path, tmp_path: Path) -> None:
    for kept, left in [(tmp_path / "j", tmp_path / "j"), (None, Path(f"{file}.journal")), (tmp_path / "j", file)]:
        how = () if kept is None else ("--journal", str(kept))
        found = await told("positions", "open", "--from", str(file), "--yes", "--not-done", str(left), *how)
        assert (found.code, "name another file with --not-done" in found.err) == (2, True)
    nowhere = await told("positions", "open", "--from", str(file), "--yes", "--journal", str(tmp_path / "none" / "j"))
    assert (nowhere.code, "can't be a journal" in nowhere.err) == (2, True)
    assert scene.venue.positions() == []


async def test_what_the_server_does_with_a_row_it_can_not_answer_is_not_done_twice(scene: Scene, file: Path) -> None:
    file.write_text(rows(2))
    scene.proxy.plan = lambda seen: Fault.GARBAGE if seen.call == "open-position" else None
    found = await told("positions", "open", "--from", str(file), "--yes")
    assert len(scene.venue.positions()) == 2
    scene.proxy.plan = None
    assert found.code in {0, 3}
    code, again, _ = await opened(file)
    assert (code in {0, 3}, set(again) & {"not done", "refused"}) == (True, set())
    assert len(scene.venue.positions()) == 2


@posix
async def test_the_question_names_where_and_how_many_and_only_yes_is_yes(scene: Scene, file: Path) -> None:
    for typed, code in [("n\n", 1), ("\n", 1), ("\x04", 1), (" YES \n", 0)]:
        async with at_a_terminal("positions", "open", "--from", str(file), columns=200) as terminal:
            host = scene.proxy.url.removeprefix("http://")
            await terminal.shows(f"local {host}: open 5 positions of {file}, strategy 1? [y/N] ")
            terminal.type(typed)
            assert await terminal.ended() == code
        assert ("declined: nothing was sent" in terminal.seen) == (code == 1)
        assert len(scene.venue.positions()) == (5 if code == 0 else 0)


@posix
async def test_a_bar_is_drawn_on_stderr_while_the_rows_go_elsewhere(scene: Scene, file: Path) -> None:
    async with at_a_terminal(
        "positions", "open", "--from", str(file), "--yes", stdout=asyncio.subprocess.PIPE
    ) as terminal:
        assert terminal.process.stdout is not None
        out = (await terminal.process.stdout.read()).decode()
        assert await terminal.ended() == 0
    assert outcomes(out) == ["done"] * 5
    assert "5/5" in terminal.seen
