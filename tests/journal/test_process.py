"""One process at a time, forks, a full disk: what holds a journal, and what happens where it can't be had."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mizar_async import AsyncMizar, InvalidInput, JournalInUse, NotSent

from ..scripted_venue import ScriptedVenue
from ..venues import ROOT

KEY = "key-of-processes-19c4"
BTC: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}


@pytest.fixture
def venue() -> ScriptedVenue:
    return ScriptedVenue()


def client(venue: ScriptedVenue, journal: Path | None, **options: Any) -> AsyncMizar:
    return venue.client(key=KEY, journal=journal, **options)


def another_process(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A program with a scripted venue of its own."""
    text = textwrap.dedent(program)
    prelude = "import asyncio, os, sys; from tests.scripted_venue import ScriptedVenue; from mizar_async import *\n"
    command = [sys.executable, "-c", prelude + text, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stdin=subprocess.PIPE)


async def said_by(program: str, *arguments: object) -> str:
    """What another process says until it ends."""
    with another_process(program, *arguments) as process:
        return (await asyncio.to_thread(process.communicate, "\n"))[0]


HOLDS = f"""
async def main():
    async with ScriptedVenue().client(key={KEY!r}, journal=sys.argv[1]) as mizar:
        await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


async def test_a_second_process_is_refused_with_the_pid_until_the_first_has_gone(
    venue: ScriptedVenue, tmp_path: Path
) -> None:
    venue.opened = 10
    with another_process(HOLDS, tmp_path / "journal") as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert await asyncio.to_thread(other.stdout.readline) == "open\n"
        async with client(venue, tmp_path / "journal") as mizar:
            with pytest.raises(JournalInUse, match=f"process {other.pid}") as refused:
                await mizar.open_position(**BTC)
            assert refused.value.pid == other.pid
            assert refused.value.happened == "no"
            assert await mizar.get_all_open_positions(strategy_id=1) == []
            other.stdin.write("\n")
            other.stdin.flush()
            await asyncio.to_thread(other.wait)
            assert (await mizar.open_position(**BTC)).position_id == 11


async def test_it_is_opened_by_the_first_call_and_left_by_the_last_client(venue: ScriptedVenue, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    one, other = client(venue, journal), client(venue, journal)
    assert os.listdir(tmp_path) == []
    await one.ping()
    assert journal.exists()
    await one.aclose()
    assert await said_by(HOLDS, journal) == ""
    await other.aclose()
    assert await said_by(HOLDS, journal) == "open\n"


async def test_all_clients_of_a_key_and_host_share_it_those_without_one_of_their_own_too(
    venue: ScriptedVenue, tmp_path: Path
) -> None:
    async with client(venue, tmp_path / "journal") as first, client(venue, None) as second:
        position = await first.open_position(**BTC, client_order_id="a")
        assert await second.open_position(**BTC, client_order_id="a") == position
        with pytest.raises(InvalidInput, match="use .*journal already"):
            client(venue, tmp_path / "another")


async def test_two_keys_do_not_share_one(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path / "journal") as mizar:
        await mizar.open_position(**BTC)
        with pytest.raises(InvalidInput, match="another key or host"):
            venue.client(key="another-key", journal=tmp_path / "journal")
    async with venue.client(key="another-key", journal=tmp_path / "elsewhere" / ".." / "journal") as other:
        with pytest.raises(InvalidInput, match="belongs to another API key"):
            await other.open_position(**BTC)


async def test_a_journal_is_for_the_first_client_of_a_key(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with AsyncMizar("late-key", api_url="http://localhost:1", max_retries=0) as early:
        with pytest.raises(NotSent):
            await early.open_position(**BTC)
        with pytest.raises(InvalidInput, match="give it to the first client"):
            AsyncMizar("late-key", api_url="http://localhost:1", journal=tmp_path / "journal")


@pytest.mark.parametrize("journal", ["", 7, b"journal", True, "a\0b", "~nobody-of-that-name/journal"])
def test_a_journal_is_a_path(journal: Any) -> None:
    with pytest.raises(InvalidInput, match="journal="):
        AsyncMizar(KEY, api_url="http://localhost", journal=journal)


async def test_the_environment_names_one(venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIZAR_JOURNAL", str(tmp_path / "journal"))
    async with venue.client(key="of-the-environment") as mizar:
        await mizar.open_position(**BTC)
    assert (tmp_path / "journal").exists()
    async with AsyncMizar.paper() as paper:
        await paper.ping()


def _loop(here: Path) -> Path:
    (here / "loop").symlink_to(here / "loop")
    return here / "loop"


def _text(here: Path) -> Path:
    (here / "text").write_text("something else\n" * 100)
    return here / "text"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (lambda here: here / "none" / "journal", "can't be locked"),
        (lambda here: here, "it is a folder"),
        (_loop, "a link that leads nowhere"),
        (_text, "or is no journal: file is not a database"),
    ],
    ids=["no such folder", "a folder", "a loop of links", "another file"],
)
async def test_where_there_can_be_none_opens_are_not_sent_and_all_else_goes(
    venue: ScriptedVenue, tmp_path: Path, path: Callable[[Path], Path], reason: str
) -> None:
    async with venue.client(key="nowhere-key", journal=path(tmp_path)) as mizar:
        with pytest.raises(NotSent, match=reason):
            await mizar.open_position(**BTC)
        assert await mizar.get_all_open_positions(strategy_id=1) == []
        for ask in (mizar.unresolved, lambda: mizar.unclaimed_positions(1)):
            with pytest.raises(NotSent, match=reason):
                ask()
        with pytest.raises(NotSent, match=reason):
            await mizar.reconcile(1, [])


async def test_a_journal_that_could_not_be_opened_is_tried_again(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mizar_async._journal.journal._AGAIN", 0.0)
    async with venue.client(key="early-key", journal=tmp_path / "late" / "journal") as mizar:
        with pytest.raises(NotSent, match="can't be locked"):
            await mizar.open_position(**BTC)
        (tmp_path / "late").mkdir()
        assert (await mizar.open_position(**BTC)).position_id == 1


FORKS = f"""
async def child(mizar, journal):
    try:
        await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
    except NotSent as refused:
        print(type(refused).__name__, refused, flush=True)
    print(len(await mizar.get_all_open_positions(strategy_id=1)), flush=True)
    async with ScriptedVenue().client(key={KEY!r}, journal=journal + "-2") as own:
        await own.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
        print("its own", flush=True)

async def main():
    venue = ScriptedVenue()
    async with venue.client(key={KEY!r}, journal=sys.argv[1]) as mizar:
        await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
        pid = os.fork()
        if pid == 0:
            asyncio.events._set_running_loop(None)
            asyncio.new_event_loop().run_until_complete(child(mizar, sys.argv[1]))
            os._exit(0)
        os.waitpid(pid, 0)
        await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
        print(venue.opened, flush=True)

asyncio.run(main())
"""


async def test_a_forked_child_opens_nothing_until_it_has_a_journal_of_its_own(
    venue: ScriptedVenue, tmp_path: Path
) -> None:
    with another_process(FORKS, tmp_path / "journal") as parent:
        assert parent.stdout is not None
        lines = await asyncio.to_thread(parent.stdout.readlines)
    assert lines[0].startswith("NotSent not sent: the journal")
    assert "held by the process that forked this one" in lines[0]
    assert lines[1:] == ["1\n", "its own\n", "2\n"]
    assert parent.returncode == 0


FULL = """
import resource
async def main():
    venue = ScriptedVenue()
    ask = dict(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
    async with venue.client(key="full-disk", journal=sys.argv[1]) as mizar:
        first = await mizar.open_position(**ask, client_order_id="first")
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = max(os.path.getsize(sys.argv[1] + end) for end in ("", "-wal"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        try:
            await mizar.open_position(**ask, client_order_id="second")
        except NotSent as refused:
            print(type(refused).__name__, "can't be written" in str(refused), flush=True)
        await mizar.close_position(position_id=first.position_id)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        second = await mizar.open_position(**ask, client_order_id="second")
        print(venue.opened, len(venue.open), second.position_id, flush=True)

asyncio.run(main())
"""


def test_a_full_disk_stops_opens_and_no_closes_until_there_is_room_again(tmp_path: Path) -> None:
    with another_process(FULL, tmp_path / "journal") as process:
        assert process.stdout is not None
        assert process.stdout.read() == "NotSent True\n2 1 2\n"
    assert process.returncode == 0


@pytest.mark.usefixtures("unmeasured")  # coverage itself uses SQLite
def test_without_a_journal_no_file_is_touched_and_nothing_of_it_imported(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from mizar_async import AsyncMizar, NotSent
async def main():
    async with AsyncMizar("none", api_url="http://localhost:1", max_retries=0) as mizar:
        try:
            await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
        except NotSent:
            print("sqlite3" in sys.modules)
asyncio.run(main())
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
    assert os.listdir(tmp_path) == []
