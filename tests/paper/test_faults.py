"""A file that fails the venue: full, damaged, locked, not to be written. All or nothing, and a sentence."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mizar_async import paper
from mizar_async._api.trading import CloseAll, ClosePosition, Nothing, OpenPosition, PublishStrategy
from mizar_async.errors import InvalidInput
from mizar_async.replay.loop import VirtualClock

PUBLISH = PublishStrategy(name="S", description="", exchanges=("binance",), symbols=("BTCUSDT",), market="FUTURES")
LONG = OpenPosition(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "venue.db"


@contextmanager
def trading(file: Path, opens: int = 0, **settings: object) -> Iterator[tuple[paper.Venue, int]]:
    """A venue with a strategy 1 and so many open positions, and whose they are."""
    venue = paper.Venue(file, **settings)  # type: ignore[arg-type]
    try:
        owner = venue.owner(venue.create_key())
        venue.publish_strategy(owner, PUBLISH)
        for _ in range(opens):
            venue.open_position(owner, LONG)
        yield venue, owner
    finally:
        venue.close()


def change(file: Path, script: str) -> None:
    """Change the file as another program does."""
    with closing(sqlite3.connect(file)) as db:
        db.executescript(script)


def refused(failure: pytest.ExceptionInfo[InvalidInput], file: Path, reason: str) -> bool:
    """Whether that is what it says, in one sentence, and without SQL."""
    said = str(failure.value)
    assert said.startswith(f"db={str(file)!r} is refused: ")
    assert not any(word in said for word in ("\n", "SELECT", "INSERT", "UPDATE", "paper_", "sqlalche"))
    return reason in said


# -- all or nothing ------------------------------------------------------------------------------------


def test_a_close_all_that_fails_half_way_closes_nothing_also_not_with_the_next_call(file: Path) -> None:
    with trading(file, opens=5) as (venue, owner):
        fault = "BEFORE UPDATE ON positions WHEN old.position_id = 4 BEGIN SELECT RAISE(ABORT, 'a fault'); END"
        change(file, f"CREATE TRIGGER fault {fault}")
        with pytest.raises(InvalidInput, match="a fault"):
            venue.close_all_positions(owner, CloseAll(strategy_id=1))
        assert [strategy.strategy_id for strategy in venue.strategies(owner, Nothing())] == [1]
        venue.open_position(owner, LONG)
        change(file, "DROP TRIGGER fault")
        assert len(venue.close_all_positions(owner, CloseAll(strategy_id=1))) == 6


def test_a_commit_that_fails_stores_nothing_and_the_next_call_works(file: Path) -> None:
    with trading(file, opens=3) as (venue, owner):
        change(
            file,
            "CREATE TABLE doubts (its INTEGER REFERENCES positions DEFERRABLE INITIALLY DEFERRED);"
            "CREATE TRIGGER fault AFTER UPDATE ON positions BEGIN INSERT INTO doubts VALUES (-1); END",
        )
        for _ in range(2):
            with pytest.raises(InvalidInput, match="FOREIGN KEY"):
                venue.close_position(owner, ClosePosition(1))
            with pytest.raises(InvalidInput, match="FOREIGN KEY"):
                venue.close_all_positions(owner, CloseAll(strategy_id=1))
            venue.publish_strategy(owner, PUBLISH)  # which has nothing to do with it
        change(file, "DROP TRIGGER fault")
        assert len(venue.close_all_positions(owner, CloseAll(strategy_id=1))) == 3
        assert len(venue.strategies(owner, Nothing())) == 3


def test_a_full_disk_fails_a_call_and_none_after_it(file: Path) -> None:
    with trading(file) as (venue, owner):
        with venue.store._transaction() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # as many as it has
        with pytest.raises(InvalidInput) as failure:
            for _ in range(1000):
                venue.open_position(owner, LONG)
        assert refused(failure, file, "database or disk is full")
        kept = len(venue.positions())
        with venue.store._transaction() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 100000")
        assert venue.open_position(owner, LONG).position_id == kept + 1


# -- what fails at the start ---------------------------------------------------------------------------


def damage(file: Path, table: str) -> None:
    """Overwrite the pages of a table and of its indexes."""
    with closing(sqlite3.connect(file)) as db:
        pages = [page for (page,) in db.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = ?", [table])]
        (size,) = db.execute("PRAGMA page_size").fetchone()
    data = bytearray(file.read_bytes())
    for page in pages:
        data[(page - 1) * size : page * size] = b"\xff" * size
    file.write_bytes(data)


def test_damaged_keys_are_told_in_a_sentence(file: Path) -> None:
    paper.Venue(file).close()
    damage(file, "keys")
    venue = paper.Venue(file)
    for ask in (lambda: venue.is_fresh, lambda: venue.knows("paper_a_b"), venue.create_key):
        with pytest.raises(InvalidInput) as failure:
            ask()
        assert refused(failure, file, "malformed")
    venue.close()


@contextmanager
def in_public(*files: Path, rights: int = 0o777) -> Iterator[Path]:
    """A folder of such rights, with copies that nobody may write, seen by somebody who has no others."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in files:
            shutil.copyfile(file, folder / file.name)
            (folder / file.name).chmod(0o444)
        folder.chmod(rights)
        if is_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o777)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
def test_a_file_that_can_only_be_read_is_refused_before_anything_is_written_beside_it(file: Path) -> None:
    with trading(file, opens=1):
        pass
    with pytest.raises(InvalidInput):
        paper.Venue(file.parent)  # imports all that a refusal needs
    with in_public(file) as folder:
        with pytest.raises(InvalidInput) as failure:
            paper.Venue(folder / file.name)
        assert refused(failure, folder / file.name, "it can't be written")
        assert names(folder) == [file.name]
        assert len(paper.read_positions(folder / file.name)) == 1


# -- a look that changes nothing -----------------------------------------------------------------------


@contextmanager
def killed(file: Path, *left: str) -> Iterator[Path]:
    """What a program leaves that was killed while it wrote this file: what is in `left`, beside the file itself."""
    with tempfile.TemporaryDirectory() as name:
        for ending in ("", *left):
            shutil.copyfile(f"{file}{ending}", Path(name, file.name + ending))
        yield Path(name, file.name)


@pytest.mark.parametrize("left", [("-wal",), ("-wal", "-shm")], ids=" ".join)
@pytest.mark.parametrize("is_written", [False, True], ids=["all of it ahead", "some of it ahead"])
def test_another_database_of_a_program_that_was_killed_is_left_as_it_is(
    file: Path, left: tuple[str, ...], is_written: bool
) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE a (b)")
        if is_written:
            db.execute("PRAGMA wal_checkpoint")
        db.execute("INSERT INTO a VALUES (1)")
        with killed(file, *left) as copy:
            before = {one.name: one.read_bytes() for one in copy.parent.iterdir() if not one.name.endswith("-shm")}
            with pytest.raises(InvalidInput) as failure:
                paper.Venue(copy)
            assert refused(failure, copy, "it is another database")
            with pytest.raises(InvalidInput, match="it is another database"):
                paper.read_positions(copy)
            assert names(copy.parent) == sorted(file.name + ending for ending in ("", *left))
            assert all((copy.parent / name).read_bytes() == content for name, content in before.items())


def test_a_venue_that_was_killed_goes_on(file: Path) -> None:
    with trading(file, opens=3) as (venue, _), killed(file, "-wal") as copy:
        again = paper.Venue(copy)
        assert again.positions() == venue.positions()
        again.close()


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
@pytest.mark.parametrize("left", [("-wal",), ("-wal", "-shm")], ids=" ".join)
def test_what_a_killed_venue_left_is_read_where_nothing_can_be_written(file: Path, left: tuple[str, ...]) -> None:
    with (
        trading(file, opens=3) as (venue, _),
        killed(file, *left) as copy,
        in_public(*copy.parent.iterdir(), rights=0o555) as folder,
    ):
        before = names(folder)
        assert paper.read_positions(folder / file.name) == venue.recorded()
        assert names(folder) == before


# -- a file that another process holds -----------------------------------------------------------------


def test_orders_that_are_due_wait_together_for_a_file_that_is_locked(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock()
    with trading(file, clock=clock, delay=2) as (venue, owner):
        with venue.store._transaction() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        asked, store = list[object](), venue.store.open
        monkeypatch.setattr(venue.store, "open", lambda *args, **options: (asked.append(args), store(*args, **options)))
        orders = [venue.accept(owner, LONG) for _ in range(6)]
        clock.advance(10)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            venue.settle()
            assert len(asked) == 1
            for order in orders:
                with pytest.raises(InvalidInput, match="another process"):
                    order.answer.result(0)
        later = venue.accept(owner, LONG)
        clock.advance(10)
        venue.settle()
        later.answer.result(0)
        assert len(venue.positions()) == 1
