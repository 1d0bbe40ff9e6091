"""What the venue remembers: keys, strategies and positions, in SQLite.

One connection, used where the caller is: a statement takes tens of microseconds, less than handing it to a thread.
Every change is committed before its method returns. A file is in WAL mode with `synchronous=FULL`, so what was
acknowledged survives the death of the process, and of the machine as far as its disk keeps its word.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any, Final

import attrs
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from ..._api.trading import ClosedPosition, Position, Strategy, Symbol
from ...errors import InvalidInput
from ..pending import Locked
from .reading import check
from .rows import Recorded, position_of, recorded_of
from .tables import (
    ALL,
    CLOSE_ONE,
    COUNT_KEYS,
    HOSTED,
    KEY_OF_NAME,
    KEYS,
    LARGEST_ID,
    OPEN_OF,
    OPEN_ONE,
    POSITION,
    RECORDED,
    RECORDED_CLOSED,
    RECORDED_OPEN,
    STRATEGIES,
    STRATEGIES_OF,
    STRATEGY,
    complete,
)

_FAILURES: Final = (DBAPIError, sqlite3.Error)


@attrs.frozen
class OwnedStrategy:
    """A strategy, and whose it is."""

    owner: int
    strategy: Strategy


@attrs.frozen
class OwnedPosition:
    """A position, open or closed, and whose it is."""

    owner: int
    position: Position | ClosedPosition


class Store:
    """The tables of one venue: a file, or memory that lasts as long as this object."""

    def __init__(self, path: str | PathLike[str] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._keys: dict[str, tuple[int, bytes]] = {}
        self._strategies: dict[int, OwnedStrategy] = {}
        self._lock = threading.Lock()
        with self._told(*_FAILURES, ValueError, OSError):
            self._connect()
        # A venue in memory is often just dropped: what it holds is given back then, and no warning printed.
        self._give_back = weakref.finalize(self, _give_back, self._connection, self._engine)
        try:
            with self._transaction() as connection:
                # Of several processes on a new file, or on one of an older version, one makes what is missing.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                complete(connection)
        except BaseException:
            self._give_back()
            raise

    def _connect(self) -> None:
        if self.path is not None:
            check(self.path)  # before a byte of it is changed
        url = sa.URL.create("sqlite", database=None if self.path is None else str(self.path))
        # The one connection may be asked from the loops of several threads in turn, which the lock arranges.
        self._engine = sa.create_engine(
            url, poolclass=StaticPool, connect_args={"check_same_thread": False, "timeout": 5}
        )
        event.listen(self._engine, "connect", _durable)
        self._connection = self._engine.connect()

    def close(self) -> None:
        """Give the file back. Everything is stored already."""
        self._give_back()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self._told(*_FAILURES), self._lock:
            try:
                yield self._connection
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                # SQLAlchemy leaves a transaction open whose commit failed: the next one would store it.
                self._connection.connection.rollback()
                raise

    @contextmanager
    def _told(self, *kinds: type[Exception]) -> Iterator[None]:
        """Say in a sentence what failed, without the statement, and without what was to be stored."""
        try:
            yield
        except kinds as failure:
            told = failure.orig if isinstance(failure, DBAPIError) else failure
            if getattr(told, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise Locked(f"db={str(self.path)!r} is locked: another process writes it and does not end") from None
            raise InvalidInput(f"db={str(self.path)!r} is refused: {_reason(self.path, told)}") from None

    def add_key(self, name: str, hashed: bytes) -> int:
        """Store a key's hash, and return the number of its owner."""
        with self._transaction() as connection:
            return _new_id(connection.execute(KEYS.insert(), {"name": name, "hash": hashed}))

    def key(self, name: str) -> tuple[int, bytes] | None:
        """The owner and the hash of the key of this name. They never change, so each is read once."""
        known = self._keys.get(name)
        if known is None:
            with self._transaction() as connection:
                row = connection.execute(KEY_OF_NAME, {"name": name}).first()
            if row is not None:
                known = self._keys[name] = (row.owner, row.hash)
        return known

    def count_keys(self) -> int:
        """How many keys were ever created."""
        with self._transaction() as connection:
            return int(connection.execute(COUNT_KEYS).scalar_one())

    def add_strategy(
        self,
        owner: int,
        *,
        name: str,
        description: str,
        exchange: str,
        market: str,
        symbols: tuple[Symbol, ...],
        at: int,
    ) -> Strategy:
        """Store a strategy, and return it with its number."""
        row = {
            "owner": owner,
            "name": name,
            "description": description,
            "exchange": exchange,
            "market": market,
            "symbols": [[symbol.symbol, symbol.base_asset, symbol.quote_asset] for symbol in symbols],
            "creation_timestamp": at,
        }
        with self._transaction() as connection:
            number = _new_id(connection.execute(STRATEGIES.insert(), row))
        return Strategy(number, name, exchange, market, symbols, at)

    def strategy(self, strategy_id: int) -> OwnedStrategy | None:
        """A strategy by its number. They never change, so each is read once."""
        known = self._strategies.get(strategy_id)
        if known is None and strategy_id <= LARGEST_ID:
            with self._transaction() as connection:
                row = connection.execute(STRATEGY, {"strategy_id": strategy_id}).first()
            if row is not None:
                known = self._strategies[strategy_id] = OwnedStrategy(row.owner, _strategy(row))
        return known

    def strategies(self, owner: int) -> list[Strategy]:
        """The strategies of a key, oldest first."""
        with self._transaction() as connection:
            return [_strategy(row) for row in connection.execute(STRATEGIES_OF, {"owner": owner})]

    def add_hosted(
        self, owner: int, *, name: str, info: str, source: str, strategy: bytes | bytearray, at: int
    ) -> None:
        """Store a hosted strategy: what is told of it, its source, and the text of its pickle as it came."""
        row = {"name": name, "info": info, "source": source, "strategy": strategy, "creation_timestamp": at}
        with self._transaction() as connection:
            connection.execute(HOSTED.insert(), row | {"owner": owner})

    def open(
        self,
        strategy_id: int,
        *,
        base_asset: str,
        quote_asset: str,
        size: Decimal,
        is_long: bool,
        price: Decimal,
        at: int,
        fee: Decimal,
    ) -> Position:
        """Store an open position, and return it with its number."""
        row = {
            "strategy_id": strategy_id,
            "base_asset": base_asset,
            "quote_asset": quote_asset,
            "size": str(size),
            "is_long": is_long,
            "open_price": str(price),
            "open_timestamp": at,
            "fee": f"{fee:f}",
        }
        with self._transaction() as connection:
            number = _new_id(connection.execute(OPEN_ONE, row))
        return Position(number, strategy_id, base_asset, quote_asset, size, is_long, price, at)

    def close_open(self, closed: list[ClosedPosition]) -> bool:
        """Store that positions are closed, all of them or, if one is closed already, none. Says whether it was done."""
        rows = [
            {"its_id": one.position_id, "its_price": str(one.close_price or 0), "its_time": one.close_timestamp}
            for one in closed
        ]
        with self._transaction() as connection:
            done = all(connection.execute(CLOSE_ONE, row).rowcount == 1 for row in rows)
            if not done:
                connection.rollback()
        return done

    def position(self, position_id: int) -> OwnedPosition | None:
        """A position by its number, open or closed."""
        if position_id > LARGEST_ID:
            return None
        with self._transaction() as connection:
            row = connection.execute(POSITION, {"position_id": position_id}).first()
        return None if row is None else OwnedPosition(row[0], position_of(row[1:]))

    def open_positions(self, strategy_id: int) -> list[Position]:
        """The open positions of a strategy, oldest first."""
        with self._transaction() as connection:
            return [position_of(row) for row in connection.execute(OPEN_OF, {"strategy_id": strategy_id})]

    def positions(self) -> list[Position | ClosedPosition]:
        """Every position of every key, oldest first."""
        with self._transaction() as connection:
            return [position_of(row) for row in connection.execute(ALL)]

    def recorded(self) -> list[Recorded]:
        """The same, each with its fee and its strategy."""
        with self._transaction() as connection:
            return [recorded_of(row) for row in connection.execute(RECORDED)]

    def recorded_open(self, strategy_id: int) -> list[Recorded]:
        """The open positions of a strategy, oldest first."""
        with self._transaction() as connection:
            return [recorded_of(row) for row in connection.execute(RECORDED_OPEN, {"its_strategy": strategy_id})]

    def recorded_closed(self, strategy_id: int, before: tuple[int, int], most: int) -> list[Recorded]:
        """The latest closed positions of a strategy before a time and an id at that time, newest close first."""
        asked = {"its_strategy": strategy_id, "its_time": before[0], "its_id": before[1], "most": most}
        with self._transaction() as connection:
            return [recorded_of(row) for row in connection.execute(RECORDED_CLOSED, asked)]


def _reason(path: Path | None, told: BaseException | None) -> str:
    if path is not None and path.is_dir():
        return "it is a folder: name a file in it"
    if path is not None and not path.parent.is_dir():
        return "its folder does not exist: make it first"
    return f"{told}; it must be a new file or that of a paper venue, in a folder that can be written"


def _give_back(connection: sa.Connection, engine: sa.Engine) -> None:
    connection.close()
    engine.dispose()


def _durable(connection: sqlite3.Connection, _: object) -> None:
    try:
        connection.execute("PRAGMA journal_mode=WAL")  # memory keeps its own mode
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except BaseException:
        connection.close()
        raise


def _new_id(result: sa.CursorResult[Any]) -> int:
    return int(result.lastrowid)


def _strategy(row: sa.Row[Any]) -> Strategy:
    symbols = tuple(Symbol(*parts) for parts in row.symbols)
    return Strategy(row.strategy_id, row.name, row.exchange, row.market, symbols, row.creation_timestamp)
