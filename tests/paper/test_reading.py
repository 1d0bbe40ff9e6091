"""The file of a venue, read by others: whatever state it is in, and without a trace."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from mizar_async import paper
from mizar_async.errors import InvalidInput
from mizar_async.paper import Recorded
from mizar_async.paper.store import reading

from .test_fills import make_older, traded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a venue that has ended, with one position that is open and one that is closed."""
    path = tmp_path / "venue.db"
    venue = paper.Venue.of(db=path, fee="0.25")
    traded(venue)
    venue.close()
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_was_traded_is_read_with_its_fees_its_strategy_and_its_owner(file: Path) -> None:
    venue = paper.Venue.of(db=file)
    expected = venue.recorded()
    venue.close()
    assert paper.read_positions(file) == paper.read_positions(str(file)) == expected
    assert [type(one.position).__name__ for one in expected] == ["Position", "ClosedPosition"]
    assert [(one.fee, one.strategy, one.owner) for one in expected] == [(Decimal("0.25"), "S", 1)] * 2


def test_reading_leaves_no_trace(file: Path) -> None:
    before = contents(file.parent)
    paper.read_positions(file)
    assert contents(file.parent) == before == {"venue.db": file.read_bytes()}


def test_a_file_of_an_older_version_is_read_as_it_is(file: Path) -> None:
    expected = paper.read_positions(file)
    make_older(file)
    before = contents(file.parent)
    assert paper.read_positions(file) == [
        Recorded(one.position, Decimal(0), one.strategy, one.owner) for one in expected
    ]
    assert contents(file.parent) == before


def test_a_venue_may_run_on_the_file(file: Path) -> None:
    venue = paper.Venue.of(db=file)
    traded(venue)
    assert paper.read_positions(file) == venue.recorded()
    assert len(venue.recorded()) == 4
    traded(venue)  # it goes on
    venue.close()
    assert len(paper.read_positions(file)) == 6


def test_what_a_killed_venue_left_is_read(file: Path, tmp_path: Path) -> None:
    venue = paper.Venue.of(db=file)
    traded(venue)
    left = tmp_path / "left"
    left.mkdir()
    for one in tmp_path.glob("venue.db*"):  # while it runs: it has no time to clean up
        shutil.copy(one, left)
    expected = venue.recorded()
    venue.close()
    assert paper.read_positions(left / "venue.db") == expected


def test_a_venue_that_comes_and_goes_meanwhile_is_noticed(file: Path) -> None:
    over = threading.Event()
    failures = list[BaseException]()

    def come_and_go() -> None:
        try:
            while not over.is_set():
                venue = paper.Venue.of(db=file)
                traded(venue)
                venue.close()
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)

    going = threading.Thread(target=come_and_go)
    going.start()
    try:
        sizes = [len(paper.read_positions(file)) for _ in range(100)]
    finally:
        over.set()
        going.join(60)
    assert not failures
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "has gone"])
def test_a_file_that_was_written_while_it_was_read_is_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    rows, venues = reading._rows, list[paper.Venue]()

    def read_meanwhile(db: sqlite3.Connection) -> list[Recorded]:
        found = rows(db)
        if not venues:
            venues.append(paper.Venue.of(db=file))
            traded(venues[0])
            if not stays:
                venues[0].close()
        return found

    monkeypatch.setattr(reading, "_rows", read_meanwhile)
    assert len(paper.read_positions(file)) == 4
    venues[0].close()


@contextlib.contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """As somebody who may read a folder, and not write in it."""
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
def test_a_folder_that_can_not_be_written_is_read_and_no_place_for_a_venue(file: Path) -> None:
    expected = paper.read_positions(file)
    with pytest.raises(InvalidInput):
        paper.Venue.of(db=file.parent)  # imports all that a refusal needs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(file, folder / "venue.db")
        (folder / "venue.db").chmod(0o444)
        with without_rights(folder):
            assert paper.read_positions(folder / "venue.db") == expected
            for path in ("venue.db", "new.db"):
                with pytest.raises(InvalidInput, match=rf"{path}' is refused: .*in a folder that can be written"):
                    paper.Venue.of(db=folder / path)
        assert [one.name for one in folder.iterdir()] == ["venue.db"]


# -- what is no such file ------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    """The sentence in which reading a path is refused; a venue refuses it as well."""
    with pytest.raises(InvalidInput) as refused:
        paper.read_positions(path)
    said = str(refused.value)
    assert said.startswith(f"{str(path)!r} is refused: ")
    assert said.endswith("; it must be the file of a paper venue")
    assert "\n" not in said
    return said


def refusal_of_venue(path: Path) -> str:
    before = contents(path.parent) if path.is_file() else None
    with pytest.raises(InvalidInput) as refused:
        paper.Venue.of(db=path)
    assert before is None or contents(path.parent) == before
    said = str(refused.value)
    assert said.startswith(f"db={str(path)!r} is refused: ")
    assert "\n" not in said
    return said


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "no.db")
    assert "there is no such file" in refusal(tmp_path)
    assert "its folder does not exist" in refusal_of_venue(tmp_path / "no" / "venue.db")
    assert "it is a folder" in refusal_of_venue(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("some text that is no database, and is longer than its header would be" * 20)
    for said in (refusal(tmp_path / "a.db"), refusal_of_venue(tmp_path / "a.db")):
        assert "file is not a database" in said


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE a (b)", "CREATE TABLE positions (position_id)", "CREATE VIEW keys AS SELECT 1 AS owner"]
)
def test_another_database_is_refused_and_left_as_it_is(tmp_path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as other:
        other.execute(statement)
    for said in (refusal(tmp_path / "a.db"), refusal_of_venue(tmp_path / "a.db")):
        assert "it is another database" in said


def test_a_file_without_anything_is_no_history_and_may_become_a_venue(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    refusal(tmp_path / "a.db")
    paper.Venue.of(db=tmp_path / "a.db").close()
    assert paper.read_positions(tmp_path / "a.db") == []


@pytest.mark.parametrize("column", ["size", "open_price", "close_price", "fee"])
def test_a_value_that_no_venue_wrote_is_refused(file: Path, column: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute(f"UPDATE positions SET {column} = 'much'")
        db.commit()
    refusal(file)


def test_a_file_that_was_cut_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for length in (50, 4096, len(whole) // 2):
        file.write_bytes(whole[:length])
        refusal(file)
