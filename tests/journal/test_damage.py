"""A journal that is cut, garbled or gone: it is named, opens end as NotSent, and nothing is opened twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mizar_async import AsyncMizar, InvalidInput, JournalDamaged, MizarError, NotSent, OpenPosition
from mizar_async._journal import store

from ..scripted_venue import ScriptedVenue

FULL = bool(os.environ.get("MIZAR_FAULTS_FULL"))
PLACES = 200 if FULL else 40
SECRET = "key-of-the-damaged-7be1"
NAMES = [f"entry-{number}" for number in range(150)]


def request(name: str) -> OpenPosition:
    return OpenPosition(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True, client_order_id=name)


def client(venue: ScriptedVenue, journal: Path, **options: Any) -> AsyncMizar:
    return venue.client(key=SECRET, journal=journal, **{"timeout": 5.0, "deadline": 30.0, **options})


@pytest.fixture
def venue() -> ScriptedVenue:
    return ScriptedVenue()


@pytest.fixture
async def written(venue: ScriptedVenue, tmp_path: Path) -> Path:
    """A journal as a process that was killed leaves it: 150 named opens, some closed, all in the log of SQLite."""
    async with client(venue, tmp_path / "journal") as mizar:
        result = await mizar.open_positions([request(name) for name in NAMES[:100]])
        await mizar.close_positions([position.position_id for position in result.succeeded[:30]])
    async with client(venue, tmp_path / "journal") as mizar:
        await mizar.open_positions([request(name) for name in NAMES])
        killed = tmp_path / "killed"
        killed.mkdir()
        for name in ("journal", "journal-wal", "journal-lock"):
            shutil.copy(tmp_path / name, killed / name)
    return killed / "journal"


async def go_on(venue: ScriptedVenue, journal: Path) -> list[MizarError]:
    """Open everything again, and give the errors; nothing else may be raised, and nothing opened twice."""
    async with client(venue, journal) as mizar:
        result = await mizar.open_positions([request(name) for name in NAMES])
        assert await mizar.get_all_open_positions(strategy_id=1)
        for number in list(venue.open)[-1:]:
            await mizar.close_position(position_id=number)
    return [outcome.error for outcome in result.outcomes if outcome.error is not None]


async def test_what_a_killed_process_leaves_is_whole(venue: ScriptedVenue, written: Path) -> None:
    assert await go_on(venue, written) == []
    assert venue.opened == len(NAMES)


@pytest.mark.parametrize("place", range(PLACES))
async def test_damage_anywhere_opens_nothing_twice_and_is_named(
    venue: ScriptedVenue, written: Path, place: int
) -> None:
    rng = random.Random(place)
    file = rng.choice([written, written, written.with_name("journal-wal"), written.with_name("journal-lock")])
    data = bytearray(file.read_bytes())
    at = rng.randrange(len(data))
    match rng.choice(["cut", "byte", "zeros", "noise"]):
        case "cut":
            del data[at:]
        case "byte":
            data[at] ^= rng.randrange(1, 256)
        case "zeros":
            length = min(rng.choice([64, 4096, 16384]), len(data) - at)
            data[at : at + length] = bytes(length)
        case _:
            length = min(rng.choice([64, 4096]), len(data) - at)
            data[at : at + length] = rng.randbytes(length)
    file.write_bytes(data)
    errors = await go_on(venue, written)
    assert venue.opened == len(NAMES)
    assert [error for error in errors if not isinstance(error, JournalDamaged)] == []


def _without(path: Path, name: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        assert db.execute("DELETE FROM orders WHERE id = ?", (f"1 {name}",)).rowcount == 1


GONE: list[tuple[str, Callable[[Path], object]]] = [
    ("the file", lambda path: path.unlink()),
    ("its log", lambda path: path.with_name("journal-wal").unlink()),
    ("the file beside it", lambda path: path.with_name("journal-lock").unlink()),
    ("a name of what is closed", lambda path: _without(path, NAMES[10])),
    ("all but the file beside it", lambda path: [one.unlink() for one in (path, path.with_name("journal-wal"))]),
]


@pytest.mark.parametrize("what", [name for name, _ in GONE])
async def test_what_is_gone_is_named(venue: ScriptedVenue, written: Path, what: str) -> None:
    dict(GONE)[what](written)
    errors = await go_on(venue, written)
    assert venue.opened == len(NAMES)
    assert {type(error) for error in errors} == {JournalDamaged}
    assert "damaged" in str(errors[0])
    assert "move this one and those beside it away" in str(errors[0])


async def test_a_newer_journal_is_refused_by_name(venue: ScriptedVenue, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with pytest.MonkeyPatch.context() as later:
        later.setattr(store, "RULES", store.RULES + 1)
        async with client(venue, journal) as mizar:
            await mizar.open_position(**as_arguments(request("a")))
    async with client(venue, journal) as mizar:
        with pytest.raises(InvalidInput, match="a newer version of this SDK"):
            await mizar.open_position(**as_arguments(request("a")))
        assert len(await mizar.get_all_open_positions(strategy_id=1)) == 1


def as_arguments(ask: OpenPosition) -> dict[str, Any]:
    return attrs.asdict(ask)


async def test_a_file_that_goes_while_it_is_used_stops_opens_and_no_closes(
    venue: ScriptedVenue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = tmp_path / "journal"
    async with client(venue, journal) as mizar:
        one = await mizar.open_position(**as_arguments(request("a")))
        journal.rename(tmp_path / "elsewhere")
        with pytest.raises(NotSent, match="is gone, or was replaced"):
            await mizar.open_position(**as_arguments(request("b")))
        await mizar.close_position(position_id=one.position_id)
        assert "closes go on" in caplog.text
        (tmp_path / "elsewhere").rename(journal)
        two = await mizar.open_position(**as_arguments(request("b")))
        assert two.position_id == 2
    async with client(venue, journal) as mizar:
        again = await asyncio.gather(*(mizar.open_position(**as_arguments(request(name))) for name in "ab"))
        assert [position.position_id for position in again] == [1, 2]
    assert venue.opened == 2


def test_the_key_is_not_in_the_file(tmp_path: Path, venue: ScriptedVenue) -> None:
    async def trade() -> None:
        async with client(venue, tmp_path / "journal") as mizar:
            await mizar.open_position(**as_arguments(request("a")))

    asyncio.run(trade())
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
