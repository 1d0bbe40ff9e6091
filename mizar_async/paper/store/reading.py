"""The file of a venue, read by others: also while a venue runs on it, and never written."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from ...errors import InvalidInput
from .rows import Recorded, recorded_of
from .tables import COLUMNS, OLDEST, RECORDED, RECORDED_BEFORE_FEES

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
            return _read(file.resolve())
        reason = "there is no such file"
    except _UNREADABLE as failure:
        reason = f"it can't be read: {failure}"
    raise InvalidInput(f"{str(file)!r} is refused: {reason}; it must be the file of a paper venue")


def foreign(found: set[tuple[str, str]]) -> bool:
    """Whether these tables and columns are those of something else than a venue."""
    return not found >= OLDEST


def _read(file: Path) -> list[Recorded]:
    # Where nobody writes, SQLite is told so: it would leave files of its own beside it, which may not be allowed.
    if (before := _at_rest(file)) is not None:
        try:
            found = _rows(file, "immutable=1")
        except _UNREADABLE:
            if _at_rest(file) == before:
                raise
        else:
            if _at_rest(file) == before:
                return found
    return _rows(file, "mode=ro")


def _at_rest(file: Path) -> tuple[int, int] | None:
    """What tells whether the file changes; None while somebody writes it."""
    if file.with_name(f"{file.name}-wal").exists():
        return None
    state = file.stat()
    return state.st_mtime_ns, state.st_size


def _rows(file: Path, how: str) -> list[Recorded]:
    with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?{how}", uri=True)) as db:
        found = set(db.execute(COLUMNS))
        if foreign(found):
            raise ValueError("it is another database")
        return [recorded_of(row) for row in db.execute(_WITH_FEES if ("positions", "fee") in found else _BEFORE_FEES)]
