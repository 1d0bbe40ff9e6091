"""The tables of a journal, and how what is committed together gets into them by one statement.

Each statement lets go of the interpreter and has to wait to have it again, beside a loop that is busy: in the time
that the statements of a plain transaction wait there, this one has been written several times.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
import msgspec

from .entries import Row

SCHEMA: Final = (
    """
    CREATE TABLE journal (
        one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER, rules INTEGER, fingerprint TEXT, host TEXT,
        runs INTEGER, strategies INTEGER, checksum INTEGER
    )""",
    """
    CREATE TABLE runs (
        run INTEGER PRIMARY KEY, host TEXT, pid INTEGER, version TEXT, began REAL, beat REAL, ended REAL,
        monotonic REAL, wall REAL, unstepped REAL, boot TEXT, lead REAL, offset REAL, checksum INTEGER
    )""",
    """
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY, strategy INTEGER, previous INTEGER, run INTEGER, at INTEGER, event TEXT,
        attempt INTEGER, position INTEGER, checksum INTEGER, data BLOB
    )""",
    "CREATE INDEX entries_of_strategy ON entries (strategy, number)",
    "CREATE UNIQUE INDEX told_once ON entries (attempt) WHERE event = 'Told'",
    "CREATE UNIQUE INDEX told_to_one ON entries (position) WHERE event = 'Told' AND position IS NOT NULL",
    """
    CREATE TRIGGER nothing_new_of_a_run_that_ended BEFORE INSERT ON entries
    WHEN NEW.event IN ('Sending', 'Told') AND (SELECT ended FROM runs WHERE run = NEW.run) IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'the run has ended'); END""",
    "CREATE TABLE heads (strategy INTEGER PRIMARY KEY, last INTEGER, checksum INTEGER)",
    "CREATE TABLE states (strategy INTEGER PRIMARY KEY, upto INTEGER, run INTEGER, data BLOB, checksum INTEGER)",
    # A ring in the order of the ids, which begins and ends with the empty one.
    """
    CREATE TABLE orders (
        id TEXT PRIMARY KEY, previous TEXT, next TEXT, at INTEGER, checksum INTEGER, data BLOB
    ) WITHOUT ROWID""",
    "CREATE INDEX orders_by_time ON orders (at)",
    "INSERT INTO orders (id, previous, next) VALUES ('', '', '')",
)


READY: Final = (
    # Of this connection alone: what any other changes is found to be so.
    """
    CREATE TEMP TRIGGER order_added AFTER INSERT ON main.orders BEGIN
        SELECT RAISE(ABORT, 'client order ids are missing') WHERE NOT EXISTS (
            SELECT 1 FROM orders AS before JOIN orders AS after ON after.id = before.next
            WHERE before.id = (SELECT max(id) FROM orders WHERE id < NEW.id)
            AND after.previous = before.id AND (after.id > NEW.id OR after.id = '')
        );
        UPDATE orders SET (previous, next) = (SELECT id, next FROM orders WHERE id < NEW.id ORDER BY id DESC LIMIT 1)
        WHERE id = NEW.id;
        UPDATE orders SET previous = NEW.id WHERE id = (SELECT next FROM orders WHERE id = NEW.id);
        UPDATE orders SET next = NEW.id WHERE id = (SELECT previous FROM orders WHERE id = NEW.id);
    END""",
    """
    CREATE TEMP TRIGGER order_gone AFTER DELETE ON main.orders BEGIN
        UPDATE orders SET next = OLD.next WHERE id = OLD.previous;
        UPDATE orders SET previous = OLD.previous WHERE id = OLD.next;
    END""",
    "CREATE TEMP VIEW batch AS SELECT NULL AS entries, NULL AS heads, NULL AS orders, NULL AS data",
    """
    CREATE TEMP TRIGGER batch_written INSTEAD OF INSERT ON batch BEGIN
        INSERT INTO entries SELECT
            json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
            json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
            json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'),
            substr(NEW.data, json_extract(value, '$[9]'), json_extract(value, '$[10]'))
        FROM json_each(NEW.entries) WHERE true ON CONFLICT (number) DO NOTHING;
        INSERT OR REPLACE INTO heads SELECT
            json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(NEW.heads);
        INSERT INTO orders (id, at, checksum, data) SELECT
            json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
            substr(NEW.data, json_extract(value, '$[3]'), json_extract(value, '$[4]'))
        FROM json_each(NEW.orders) WHERE true
        ON CONFLICT (id) DO UPDATE SET at = excluded.at, checksum = excluded.checksum, data = excluded.data;
    END""",
)

WRITE: Final = "INSERT INTO batch VALUES (?, ?, ?, ?)"
"""Takes what `written` gives."""

FIND: Final = """
    SELECT json_group_array(json_array(
        key.value, known.id, known.next, after.previous, known.at, known.checksum, hex(known.data)
    ))
    FROM json_each(?) AS key
    JOIN orders AS known ON known.id = (SELECT max(id) FROM orders WHERE id <= key.value)
    LEFT JOIN orders AS after ON after.id = known.next"""
"""For each key of a list the order that stands under it, or the last one before it; and the neighbours of that."""

TICKS: Final = 1e6
"""How many units of time there are in a second."""


@attrs.define
class Batch:
    """What is committed together."""

    rows: list[Row] = attrs.field(factory=list)
    orders: dict[str, tuple[int, bytes]] = attrs.field(factory=dict)
    states: dict[int, tuple[int, bytes]] = attrs.field(factory=dict)
    """By strategy: up to which entry the state stands, and its bytes."""

    def add(self, later: Batch) -> None:
        """Have what came later committed with it."""
        self.rows += later.rows
        self.orders |= later.orders
        self.states |= later.states

    def __bool__(self) -> bool:
        return bool(self.rows or self.orders or self.states)


_encode: Final = msgspec.json.Encoder().encode


def checksum(*values: object, data: bytes = b"") -> int:
    """By which it is seen that a row is what was written."""
    return zlib.crc32(data, zlib.crc32(_encode(values)))


def read_row(values: Sequence[Any]) -> Row:
    """An entry as it is selected."""
    return Row._make((*values[:-2], values[-1]))


def written(
    rows: Iterable[Row], heads: dict[int, int], orders: dict[str, tuple[int, bytes]]
) -> tuple[str, str, str, bytes]:
    """Entries, the last one of each strategy and orders: three lists, and the bytes to which they point."""
    entries, named, bytes_of, end = [], [], [], 1
    for *head, data in rows:
        entries.append((*head, checksum(*head, data=data), end, len(data)))
        bytes_of.append(data)
        end += len(data)
    for key, (at, data) in orders.items():
        named.append((key, at, checksum(key, at, data=data), end, len(data)))
        bytes_of.append(data)
        end += len(data)
    ends = [(strategy, last, checksum(strategy, last)) for strategy, last in heads.items()]
    return _encode(entries).decode(), _encode(ends).decode(), _encode(named).decode(), b"".join(bytes_of)
