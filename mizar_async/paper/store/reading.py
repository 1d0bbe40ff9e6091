"""The file of a venue, read by others: also while a venue runs on it, and never written."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from ...errors import InvalidInput
from .rows import Recorded, recorded_of
from .tables import COLUMNS, OLDEST, RECORDED, RECORDED_BEFORE_FEES

T = TypeVar("T")

_WITH_FEES, _BEFORE_FEES = str(RECORDED), str(RECORDED_BEFORE_FEES)
_UNREADABLE: Final = (sqlite3.Error, ArithmeticError, ValueError, TypeError, OSError)


def read_positions(path: str | os.PathLike[str]) -> list[Recorded]:
    """All positions that the file of a paper venue holds, of all its keys, oldest first, with their fees.

        [one.position for one in read_positions("paper.db") if one.strategy == "Momentum"]

    A venue may run on the file meanwhile. It is opened to be read, also where it can't be written, and a file of an
    older version is left as it is: its positions have no fees. Raises `InvalidInput` where there is no such file, and
    for one that can't be read.
    """
    file = Path(path)
    try:
        if file.is_file():
            return _seen(file.resolve(), _rows)
        reason = "there is no such file"
    except _UNREADABLE as failure:
        reason = f"it can't be read: {failure}"
    raise InvalidInput(f"{str(file)!r} is refused: {reason}; it must be the file of a paper venue")


def check(path: Path) -> None:
    """Raise `ValueError` for a file that is no venue's and for one that can't be written, which are left as they are.

    One that is not there, or that is empty, may become a venue's.
    """
    if not path.is_file():
        return
    found = _seen(path.resolve(), _columns)
    if found and not found >= OLDEST:
        raise ValueError("it is another database")
    # Else SQLite would open it to be read, and leave files of its own beside it.
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise ValueError("it can't be written")


def _seen(file: Path, look: Callable[[sqlite3.Connection], T]) -> T:
    """What a look at the file shows. It leaves no trace."""
    if (before := _at_rest(file)) is not None:
        try:
            found = _seen_at_rest(file, look)
        except _UNREADABLE:
            if _at_rest(file) == before:
                raise
        else:
            if _at_rest(file) == before:
                return found
    return _looked(file, "mode=ro", look)


def _at_rest(file: Path) -> tuple[tuple[int, int], ...] | None:
    """What tells whether the file changes; None while somebody has it open."""
    log = _beside(file, "-wal")
    if not log.exists():
        return (_state(file),)
    with contextlib.suppress(FileNotFoundError):  # whoever had it open has just ended
        return None if _beside(file, "-shm").exists() else (_state(file), _state(log))
    return None


def _seen_at_rest(file: Path, look: Callable[[sqlite3.Connection], T]) -> T:
    # Where nobody writes, SQLite is told so: it would leave files of its own beside it, which may not be allowed.
    if not (log := _beside(file, "-wal")).exists():
        return _looked(file, "immutable=1", look)
    with tempfile.TemporaryDirectory() as folder:  # it can't be told so of a file whose end is in another one
        copy = Path(folder, "copy")
        shutil.copyfile(file, copy)
        shutil.copyfile(log, _beside(copy, "-wal"))
        return _looked(copy, "mode=ro", look)


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)


def _state(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_mtime_ns, state.st_size


def _looked(file: Path, how: str, look: Callable[[sqlite3.Connection], T]) -> T:
    with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?{how}", uri=True)) as db:
        return look(db)


def _columns(db: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(db.execute(COLUMNS))


def _rows(db: sqlite3.Connection) -> list[Recorded]:
    found = _columns(db)
    if not found >= OLDEST:
        raise ValueError("it is another database")
    return [recorded_of(row) for row in db.execute(_WITH_FEES if ("positions", "fee") in found else _BEFORE_FEES)]
