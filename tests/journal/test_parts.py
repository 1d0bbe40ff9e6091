"""Parts of a journal, each alone: clocks of different runs, the heart, the lock, and what is read of doubts."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import attrs
import pytest

from mizar_async import (
    AsyncMizar,
    ClosedPosition,
    InvalidInput,
    JournalDamaged,
    JournalInUse,
    NotOpened,
    NotSent,
    OpenPosition,
    OutcomeUnknown,
    read_journal,
)
from mizar_async._clock import Instant, instant
from mizar_async._journal import journal as journals
from mizar_async._journal.entries import Entry
from mizar_async._journal.journal import NEVER, ON_DISK, Journal, Keeping
from mizar_async._journal.lock import Lock, parsed
from mizar_async._journal.timeline import shifted, was_stepped
from mizar_async._journal.writer import LATEST
from mizar_async._ledger.events import Closing, Listed, Refused, Row
from mizar_async._waiting import Patience
from mizar_async._wire.heart import SOCKET, Heart

from ..scripted_venue import ScriptedVenue
from .test_edges import BTC, as_a_kill_leaves_it

KEY = "key-of-parts-77aa"


@pytest.fixture
def venue() -> ScriptedVenue:
    return ScriptedVenue()


def client(venue: ScriptedVenue, path: Path, **options: Any) -> AsyncMizar:
    return venue.client(key=KEY, journal=path / "journal", **{"grace": 0.0, "timeout": 1.0, "deadline": 5.0, **options})


# clocks


def test_a_step_of_the_wall_clock_is_seen_by_one_that_nobody_steps() -> None:
    before = Instant(monotonic=10.0, wall=1000.0, unstepped=50.0, boot="a")
    assert not was_stepped(before, Instant(20.0, 1010.2, 60.0, "a"))
    assert was_stepped(before, Instant(20.0, 4610.0, 60.0, "a"))
    assert was_stepped(before, Instant(20.0, 1010.0, 60.0, "another start of the machine"))
    assert was_stepped(attrs.evolve(before, boot=""), Instant(20.0, 1010.0, 60.0, ""))


def test_what_is_of_another_run_is_put_on_this_ones_clock_with_its_windows_widened() -> None:
    kind: Any = None
    listed = shifted(Listed(1.0, 2.0, (Row(7, kind, 0.5, 0.6),)), 100.0)
    assert (listed.asked_at, listed.at) == (101.0, 102.0)
    assert listed.rows[0].earliest < 100.5
    assert listed.rows[0].latest > 100.6
    assert shifted(Closing(7, 1.0, 10.0, 15.0, 1.0), 100.0) == Closing(7, 101.0, 10.0, 15.0, 1.0)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_a_clock_that_was_stepped_between_runs_makes_a_doubt_longer_and_never_shorter(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    async with client(venue, tmp_path) as mizar:
        await mizar.open_position(**BTC)
        venue.script["open-position"] = ["dropped"]
        with pytest.raises(OutcomeUnknown):
            await mizar.with_options(deadline=1.0, settle_time=0.5).open_position(**BTC)
    monkeypatch.setattr(journals, "instant", lambda: attrs.evolve(instant(), wall=time.time() + step))
    async with client(venue, tmp_path) as mizar:
        began = time.monotonic()
        await mizar.ping()
        (error,) = mizar.unresolved()
        with pytest.raises(NotOpened):
            await mizar.resolve(error, timeout=10)
        assert time.monotonic() - began >= 0.5


# the heart


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Any:
    here, there = socket.socketpair()
    known = os.fstat(there.fileno())
    monkeypatch.setenv(SOCKET, f"{there.fileno()}:{known.st_dev}:{known.st_ino}")
    here.settimeout(10)
    yield here
    here.close()
    there.close()


def heard(guard: socket.socket) -> list[dict[str, Any]]:
    guard.setblocking(False)
    try:
        return [json.loads(line) for line in guard.recv(65536).splitlines()]
    except BlockingIOError:
        return []


async def test_a_heart_beats_each_second_in_each_loop_that_is_used(guard: socket.socket) -> None:
    heart = Heart()
    heart.tell(account="a", journal="j")
    assert heard(guard) == [{"pid": os.getpid(), "account": "a", "journal": "j"}]
    heart.beat_in(asyncio.get_running_loop())
    heart.beat_in(asyncio.get_running_loop())
    assert len(heard(guard)) == 1
    await asyncio.sleep(1.2)
    assert len(heard(guard)) == 1


async def test_the_loop_of_blocking_code_beats_only_while_that_waits(guard: socket.socket) -> None:
    heart, loop = Heart(), asyncio.get_running_loop()
    heart.waits(loop)
    heart.beat_in(loop)
    heart.goes_on()
    assert len(heard(guard)) == 3
    await asyncio.sleep(1.2)
    assert heard(guard) == []


def test_a_guard_that_has_died_is_named_once(guard: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    heart = Heart()
    guard.close()
    heart.tell(account="a")
    heart.tell(account="a")
    assert caplog.text.count("the guard of this program has ended") == 1


def test_a_descriptor_that_is_another_files_by_now_is_neither_written_to_nor_closed(
    guard: socket.socket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heart = Heart()
    assert heart._socket is not None
    with (tmp_path / "other").open("wb") as other:
        number = heart._socket.fileno()
        os.dup2(other.fileno(), number)
        heart.tell(account="a")
        heart.tell(account="a")
        assert caplog.text.count("the guard of this program has ended") == 1
        os.close(number)  # which is still open
    assert (tmp_path / "other").read_bytes() == b""


@pytest.mark.parametrize("told", ["words", "9999:1:1", "0:1:1"])
def test_a_socket_that_is_not_the_guards_is_not_written_to(
    told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SOCKET, told)
    heart = Heart()
    heart.waits(Mock())
    heart.goes_on()
    heart.tell(account="a")
    assert not heart.is_guarded
    assert "can't be told anything" in caplog.text


# the lock


def test_a_lock_keeps_how_far_was_written(tmp_path: Path) -> None:
    assert not (tmp_path / "journal-lock").exists()
    lock = Lock(tmp_path / "journal")
    lock.note(17)
    assert parsed((tmp_path / "journal-lock").read_bytes()) == (17, os.getpid())
    assert lock.is_there()
    (tmp_path / "journal-lock").unlink()
    assert not lock.is_there()
    lock.release()


def test_a_lock_that_another_process_has_is_refused(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "journal")
    lock.note(0)
    child = os.fork()
    if child == 0:
        try:
            Lock(tmp_path / "journal")
        except JournalInUse as refused:
            os._exit(7 if refused.pid == os.getppid() else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    lock.release()


def test_a_garbled_lock_and_a_folder_that_is_not_there_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "journal-lock").write_text("garbled")
    with pytest.raises(JournalDamaged, match="can't be read"):
        Lock(tmp_path / "journal")
    with pytest.raises(NotSent, match="can't be locked"):
        Lock(tmp_path / "none" / "journal")


# what is read, and what is taken over


async def test_what_is_read_of_a_journal_tells_of_doubts(venue: ScriptedVenue, tmp_path: Path) -> None:
    requests = [OpenPosition(**BTC, client_order_id=name) for name in "abcde"]
    async with client(venue, tmp_path, others_close=True) as mizar:
        await mizar.open_position(**BTC)
        venue.script["open-position"] = ["works", 422, "dropped"]
        await mizar.open_positions(requests[:3], max_concurrency=1)
        venue.script["open-position"] = ["dropped"]
        await mizar.with_options(deadline=1.0, settle_time=20).open_positions(requests[3:4])
        venue.script["all-open-positions"] = [500] * 99
        killed = as_a_kill_leaves_it(tmp_path)
    ends = {entry.client_order_id: entry.end for entry in read_journal(killed / "journal")}
    assert ends == {None: "open", "a": "open", "b": "not opened", "c": "unknown", "d": "in doubt"}
    after = {entry.client_order_id: entry.end for entry in read_journal(tmp_path / "journal")}
    assert after == ends
    async with client(venue, tmp_path) as mizar:
        await mizar.ping()
        assert {entry.client_order_id: entry.end for entry in read_journal(tmp_path / "journal")} == ends


async def test_closes_that_were_under_way_are_in_doubt_and_found_out(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path) as mizar:
        opened = await mizar.open_positions([OpenPosition(**BTC)] * 2)
        venue.script["close-position"] = ["dropped"] * 9
        closing = asyncio.create_task(mizar.with_options(deadline=20).close_position(position_id=1))
        await asyncio.sleep(0.2)
        killed = as_a_kill_leaves_it(tmp_path)
        closing.cancel()
        await asyncio.wait([closing])
    async with client(venue, killed) as mizar:
        venue.script["all-open-positions"] = [500] * 99
        recovery = await mizar.recover(timeout=0.5)
        assert ["close position 1" in str(error) for error in recovery.unknown] == [True]
        assert recovery.unknown[0].happened == "perhaps"
        venue.script.clear()
        recovery = await mizar.recover(timeout=10)
        assert ([one.position.position_id for one in recovery.open], recovery.unknown) == ([1, 2], [])
        assert isinstance(await mizar.close_position(position_id=1), ClosedPosition)
        assert len(opened.succeeded) == 2
    assert list(venue.open) == [2]


async def test_what_was_unclaimed_stays_so_over_runs(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path) as mizar:
        await mizar.open_position(**BTC)
        venue.act("open-position", {name: BTC[name] for name in BTC} | {"size": 0.5})
        await mizar.get_all_open_positions(strategy_id=1)
        assert [one.position_id for one in mizar.unclaimed_positions(1)] == [2]
    async with client(venue, tmp_path) as mizar:
        recovery = await mizar.recover()
        assert [one.position_id for one in recovery.unclaimed] == [2]
        assert repr(recovery) == "<Recovery: 1 open, 1 unclaimed>"


async def test_a_flatten_is_in_the_journal_and_a_new_run_begins_with_open_doors(
    venue: ScriptedVenue, tmp_path: Path
) -> None:
    async with client(venue, tmp_path) as mizar:
        await mizar.open_position(**BTC)
        await mizar.close_all_positions(strategy_id=1)
        await mizar.flatten(1)
        mizar.resume(1)
        killed = as_a_kill_leaves_it(tmp_path)
    async with client(venue, killed) as mizar:
        assert (await mizar.open_position(**BTC)).position_id == 2


# the journal itself


async def test_a_journal_that_is_not_open_takes_nothing_and_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "fingerprint", "host", Keeping())
    assert "not open" in repr(journal)
    with pytest.raises(NotSent, match="is not open"):
        journal.check()
    with pytest.raises(InvalidInput, match="keeps ids up to"):
        journal.check(2**63)
    assert journal.append(1, Entry(Refused(1)), None) == NEVER
    assert isinstance(await journal.kept(NEVER, 1.0), NotSent)
    assert not journal.is_kept(NEVER)
    with pytest.raises(NotSent):
        await journal.find(1, ["a"], 1.0)
    journal.pause()()
    journal.close_now(1.0)
    await journal.close(1.0)
    journal.inherit()
    assert not journal.is_inherited


async def test_a_journal_that_is_open_is_no_other_keys_and_no_forked_childs(tmp_path: Path) -> None:
    journal, other = (Journal(tmp_path / "journal", name, "host", Keeping()) for name in ("one", "other"))
    await journal.open(lambda: None, lambda *_: None, 9.0)
    assert repr(journal).endswith(": open>")
    assert await journal.kept(ON_DISK, 1.0) is None
    assert await journal.kept(journal.append(1, Entry(Refused(1)), None), 9.0) is None
    journal.pause()()
    await other.open(lambda: None, lambda *_: None, 9.0)
    with pytest.raises(InvalidInput, match="another key or host"):
        other.check()
    writer = journal._writer
    assert writer is not None
    writer._forget(Mock(prune=Mock(side_effect=OSError("no"))), instant())
    journal.inherit()
    assert repr(journal).endswith(": inherited>")
    with pytest.raises(NotSent, match="forked"):
        journal.check()
    assert not journal.needs_opening
    writer.stop()
    await writer.gone()
    assert isinstance(await writer.wait(10**6, 1.0), NotSent)
    assert isinstance(await writer.ask(["1 a"], 1.0), NotSent)
    await writer.gone()


def test_waiting_keeps_no_loop_that_has_ended() -> None:
    patience: Patience[str] = Patience(lambda: "too late")

    async def waits(seconds: float) -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        patience.end(asyncio.get_running_loop().create_future(), 60)
        patience.end(future, seconds)
        return await future

    assert [asyncio.run(waits(0.01)) for _ in range(5)] == ["too late"] * 5
    assert len(patience._here) == 1


async def test_what_is_given_together_is_on_disk_together(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "fingerprint", "host", Keeping())
    await journal.open(lambda: None, lambda *_: None, 9.0)
    with journal.together():
        ticket = journal.append(1, Entry(Refused(1)), None)
        time.sleep(4 * LATEST)  # noqa: ASYNC251 - a thread that may not go on
        assert not journal.is_kept(ticket)
    assert await journal.kept(ticket, 9.0) is None
    await journal.close(9.0)


async def test_what_fails_while_earlier_runs_are_taken_over_is_told_to_opens(tmp_path: Path) -> None:
    def fails(*_: object) -> None:
        raise LookupError("an event of tomorrow")

    journal = Journal(tmp_path / "journal", "fingerprint", "host", Keeping())
    await journal.open(lambda: None, fails, 9.0)
    with pytest.raises(JournalDamaged, match="an event of tomorrow"):
        journal.check()
    journal.warn_once(NotSent("once"))
    journal.warn_once(NotSent("once"))
