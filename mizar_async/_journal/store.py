"""The file of a journal: SQLite, written by one thread of one process.

Whatever is read was written so, or is called damaged. Entries are numbered, each names the one before it of its
strategy, and carries a checksum; client order ids name their neighbours, so that one that is not found is certainly
not there. How far it was written stands in a file beside it as well, since SQLite drops the end of a
garbled log in silence.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from .._clock import Instant
from ..errors import InvalidInput, JournalDamaged, NotSent
from .entries import RULES, Entry, OrderData, Row, State, read_entry, read_plain
from .lock import Lock, is_file
from .tables import FIND, READY, SCHEMA, TICKS, WRITE, Batch, checksum, read_row, written

FORMAT: Final = 1

_BEAT: Final = 1.0
"""Seconds after which a run writes again that it lives."""

_RECENT: Final = 0.1
"""Seconds that are far more than what two changes of a folder may be apart to have the same time."""


@attrs.frozen
class Run:
    """One process that held the journal."""

    run: int
    host: str
    pid: int
    version: str
    began: float
    beat: float
    ended: float | None
    instant: Instant
    """When it began, or last wrote that it lives."""
    lead: float
    """By how much the wall clock was ahead of its own when it began."""
    offset: float
    """What has to be added to its own clock for the timeline."""

    def values(self) -> tuple[Any, ...]:
        now = self.instant
        values = (
            self.run,
            self.host,
            self.pid,
            self.version,
            self.began,
            self.beat,
            self.ended,
            now.monotonic,
            now.wall,
            now.unstepped,
            now.boot,
            self.lead,
            self.offset,
        )
        return *values, checksum(*values)

    @classmethod
    def of(cls, values: Sequence[Any]) -> Run:
        if values[-1] != checksum(*values[:-1]):
            raise ValueError("the row of a run is not what was written")
        run, host, pid, version, began, beat, ended, monotonic, wall, steady, boot, lead, offset, _ = values
        return cls(run, host, pid, version, began, beat, ended, Instant(monotonic, wall, steady, boot), lead, offset)


@attrs.frozen
class Strategy:
    """What is to be folded of a strategy: a state and the run on whose clock it is, and the entries after it."""

    strategy_id: int
    last: int
    state: State | None
    run: int
    entries: list[tuple[int, Entry]]
    """With the run that wrote each."""


class Store:
    """The open file. Its methods raise `sqlite3.Error`, `OSError` or `ValueError`: see `explained`."""

    def __init__(self, path: Path, fingerprint: str, host: str, *, version: str) -> None:
        self.path = path
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        self._lock = Lock(path)
        try:
            self._begin(fingerprint, host, version)
        except BaseException:
            self._lock.release()
            raise

    def _begin(self, fingerprint: str, host: str, version: str) -> None:
        self._make()
        self._db = sqlite3.connect(self.path, isolation_level=None, cached_statements=256)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA busy_timeout = 2000")
            if not self._lock.highest and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
                self._create(fingerprint, host)
            self._check(fingerprint, host)
            for statement in READY:
                self._db.execute(statement)
            self._version = version
            self._known: dict[Path, os.stat_result] = {}
            self._folder_changed = 0.0
        except BaseException:
            self._db.close()
            raise

    @property
    def _log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def _make(self) -> None:
        """Have a file, for its owner alone."""
        if self._lock.highest is None and not self.path.exists():
            self._lock.note(0)
            self._lock.highest = 0
        if not self._lock.highest:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if self.path.is_symlink():
            raise OSError("it is a link that leads nowhere")
        if not self.path.exists():
            raise ValueError("the file is gone")

    def _create(self, fingerprint: str, host: str) -> None:
        with self._transaction():
            for statement in SCHEMA:
                self._db.execute(statement)
            self._write_head(fingerprint, host, 0, 0)

    def _write_head(self, fingerprint: str, host: str, runs: int, strategies: int) -> None:
        values = (1, FORMAT, RULES, fingerprint, host, runs, strategies)
        self._db.execute("INSERT OR REPLACE INTO journal VALUES (?,?,?,?,?,?,?,?)", (*values, checksum(*values)))

    def _check(self, fingerprint: str, host: str) -> None:
        found = self._db.execute("SELECT * FROM journal").fetchall()
        if len(found) != 1 or found[0][-1] != checksum(*found[0][:-1]):
            raise ValueError("its head is not what was written")
        _, form, rules, key, place, self.runs, strategies, _ = found[0]
        if form > FORMAT or rules > RULES:
            raise InvalidInput(
                f"journal={str(self.path)!r} is refused: a newer version of this SDK has written it "
                f"(format {form}, rules {rules}; this one knows {FORMAT} and {RULES})"
            )
        if (key, place) != (fingerprint, host):
            raise InvalidInput(
                f"journal={str(self.path)!r} is refused: it belongs to another API key or host ({place}); "
                "a journal belongs to one key at one host"
            )
        self._fingerprint, self._host = key, place
        (self.last,) = self._db.execute("SELECT coalesce(max(number), 0) FROM entries").fetchone()
        self._strategies = {one for (one,) in self._db.execute("SELECT strategy FROM heads")}
        if len(self._strategies) != strategies:
            raise ValueError("what it knows of its strategies is not what was written")
        if self._lock.highest is None:
            raise ValueError(f"{self._lock.path} is gone, which tells how far it was written")
        if self._lock.highest > self.last:
            raise ValueError(f"entries {self.last + 1} to {self._lock.highest} are missing from its end")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    # reading

    def all_runs(self) -> list[Run]:
        """The runs, in their order."""
        found = [Run.of(values) for values in self._db.execute("SELECT * FROM runs ORDER BY run")]
        if [run.run for run in found] != list(range(self.runs - len(found) + 1, self.runs + 1)):
            raise ValueError("rows of its runs are missing")
        return found

    def strategies(self) -> list[Strategy]:
        """What is to be folded."""
        heads = self._db.execute("SELECT strategy, last, checksum FROM heads ORDER BY strategy").fetchall()
        if any(check != checksum(one, last) for one, last, check in heads):
            raise ValueError("what it knows of its strategies is not what was written")
        return [self._strategy(strategy_id, last) for strategy_id, last, _ in heads]

    def _strategy(self, strategy_id: int, last: int) -> Strategy:
        select = "SELECT * FROM states WHERE strategy = ?"
        found = self._db.execute(select, (strategy_id,)).fetchone()
        upto, run, state = 0, 0, None
        if found is not None:
            if found[-1] != checksum(*found[:-2], data=found[-2]):
                raise ValueError(f"the state of strategy {strategy_id} is not what was written")
            upto, run, state = found[1], found[2], read_plain(found[3], State)
        entries, previous = [], upto
        for row in self._entries(strategy_id, upto):
            if row.previous != previous:
                raise ValueError(f"an entry of strategy {strategy_id} is missing between {previous} and {row.number}")
            previous = row.number
            entries.append((row.run, read_entry(row.event, row.data)))
        if previous != last:
            raise ValueError(f"entries of strategy {strategy_id} are missing after {previous}, up to {last}")
        return Strategy(strategy_id, last, state, run, entries)

    def latest(self) -> float:
        """The time of the last entry, on the timeline."""
        found = self._db.execute("SELECT at FROM entries ORDER BY number DESC LIMIT 1").fetchone()
        return float(found[0] + 1) / TICKS if found else 0.0

    def _entries(self, strategy_id: int, after: int) -> Iterator[Row]:
        select = "SELECT * FROM entries WHERE strategy = ? AND number > ? ORDER BY number"
        for values in self._db.execute(select, (strategy_id, after)):
            row = read_row(values)
            if values[-2] != checksum(*values[:-2], data=row.data):
                raise ValueError(f"entry {row.number} is not what was written")
            yield row

    def find(self, keys: Collection[str]) -> dict[str, OrderData]:
        """The orders that stand under these keys; that the others are not there is certain."""
        found = {}
        # In one row: each lets go of the interpreter, and has to wait to have it again.
        (rows,) = self._db.execute(FIND, (json.dumps(list(keys)),)).fetchone()
        rows = json.loads(rows)
        for key, one, following, back, at, check, data in rows:
            if one == key:
                found[key] = _order(key, at, check, bytes.fromhex(data))
            elif back != one or "" < following <= key:
                raise ValueError("client order ids are missing")
        if len(rows) != len(keys):
            raise ValueError("client order ids are missing")
        return found

    # writing

    def begin_run(self, instant: Instant, offset: float) -> int:
        """Number this run, which begins now; all others have ended."""
        number: int = self.runs + 1
        at = instant.wall
        host, lead = socket.gethostname(), instant.wall - instant.monotonic
        run = Run(number, host, os.getpid(), self._version, at, at, None, instant, lead, offset)
        with self._transaction():
            for other in self.all_runs():
                if other.ended is None:
                    self._write_run(attrs.evolve(other, ended=at))
            self._write_run(run)
            self._write_head(self._fingerprint, self._host, number, len(self._strategies))
        self.runs, self._run = number, run
        self._known = {one: one.stat() for one in (self.path, self._log)}
        return number

    def _write_run(self, run: Run) -> None:
        self._db.execute("INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", run.values())

    def commit(self, batch: Batch, instant: Instant, *, ended: bool = False) -> None:
        """Write it all, or nothing. What was written before is not written again."""
        self._check_there(instant.wall)
        heads = {row.strategy: row.number for row in batch.rows}
        new = heads.keys() - self._strategies
        beats = ended or abs(instant.wall - self._run.beat) >= _BEAT
        with self._transaction() if beats or new or batch.states else contextlib.nullcontext():
            if batch.rows or batch.orders:
                self._db.execute(WRITE, written(batch.rows, heads, batch.orders))
            for strategy_id, (upto, data) in batch.states.items():
                values = (strategy_id, upto, self._run.run)
                self._db.execute(
                    "INSERT OR REPLACE INTO states VALUES (?,?,?,?,?)", (*values, data, checksum(*values, data=data))
                )
            if beats:
                at = instant.wall
                self._run = attrs.evolve(self._run, beat=at, instant=instant, ended=at if ended else None)
                self._write_run(self._run)
            if new:
                self._write_head(self._fingerprint, self._host, self.runs, len(self._strategies | new))
        self._strategies |= new
        self.last = max(self.last, *heads.values(), 0)
        self._lock.note(self.last)

    def _check_there(self, now: float) -> None:
        """Raise OSError where what is written would be found by nobody."""
        changed = self.path.parent.stat().st_mtime
        if changed == self._folder_changed and abs(now - changed) > _RECENT:
            return  # one look in place of four
        here = self._lock.is_there() and all(is_file(path, known) for path, known in self._known.items())
        if not here:
            raise OSError("the file, or one beside it, is gone, or was replaced")
        self._folder_changed = changed

    def prune(self, entries_before: float, orders_before: float) -> None:
        """Forget old entries that no state needs, old orders that are over, and runs without entries."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM entries WHERE number < min(?, (SELECT max(number) FROM entries)) AND number <= coalesce("
                "(SELECT upto FROM states WHERE states.strategy = entries.strategy), 0)",
                (self._first_since(entries_before),),
            )
            self._db.execute(
                "DELETE FROM runs WHERE ended < ? AND run < min(?, coalesce((SELECT min(run) FROM entries), ?), "
                "coalesce((SELECT min(run) FROM states), ?))",
                (entries_before, self.runs, self.runs, self.runs),
            )
            select = "SELECT id, at, checksum, data FROM orders WHERE at < ?"
            for key, *known in self._db.execute(select, (orders_before * TICKS,)).fetchall():
                if _is_over(_order(key, *known)):
                    self._db.execute("DELETE FROM orders WHERE id = ?", (key,))

    def _first_since(self, at: float) -> int:
        """The number of the first entry since a time, found by halves: their times grow."""
        first, beyond = self._db.execute("SELECT coalesce(min(number), 0) FROM entries").fetchone()[0], self.last + 1
        while first < beyond:
            middle = (first + beyond) // 2
            found = self._db.execute(
                "SELECT at FROM entries WHERE number >= ? ORDER BY number LIMIT 1", (middle,)
            ).fetchone()
            if found is None or found[0] >= at * TICKS:
                beyond = middle
            else:
                first = middle + 1
        return int(first)

    def close(self) -> None:
        """Close the file, and let another process have it."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        self._lock.release()


def _order(key: str, at: int, check: int, data: bytes) -> OrderData:
    if check != checksum(key, at, data=data):
        raise ValueError("what it knows of client order ids is not what was written")
    return read_plain(data, OrderData)


def _is_over(order: OrderData) -> bool:
    return order.free or order.closed is not None


# That SQLite can't write or read now, and not what stands in the file.
_OF_THE_SYSTEM: Final = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}


def _is_of_the_system(failure: Exception) -> bool:
    code = getattr(failure, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in _OF_THE_SYSTEM and code != sqlite3.SQLITE_IOERR_SHORT_READ


def explained(path: Path, failure: Exception) -> NotSent:
    """What a failure of the file means for opens."""
    if isinstance(failure, NotSent):
        return failure
    if not isinstance(failure, (OSError, MemoryError)) and not _is_of_the_system(failure):
        return JournalDamaged(
            f"not sent: the journal {path} is damaged, or is no journal: {failure}. Nobody can say by it what was "
            "opened before: look at the positions of the server, then name another file, or move this one and those "
            "beside it away, and start the program again",
            file=str(path),
        )
    return NotSent(f"not sent: the journal {path} can't be written: {failure or type(failure).__name__}")
