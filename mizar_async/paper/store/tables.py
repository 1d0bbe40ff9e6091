"""The tables of the venue, and every statement that is made of them."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

LARGEST_ID: Final = 2**63 - 1
"""What a column of SQLite can hold: a larger id belongs to nothing."""

SCHEMA = sa.MetaData()
KEYS = sa.Table(
    "keys",
    SCHEMA,
    sa.Column("owner", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
STRATEGIES = sa.Table(
    "strategies",
    SCHEMA,
    sa.Column("strategy_id", sa.Integer, primary_key=True),
    sa.Column("owner", sa.ForeignKey("keys.owner"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("exchange", sa.Text, nullable=False),
    sa.Column("market", sa.Text, nullable=False),
    sa.Column("symbols", sa.JSON, nullable=False),
    sa.Column("creation_timestamp", sa.Integer, nullable=False),
)
# Numbers are text: SQLite's own are floats.
POSITIONS = sa.Table(
    "positions",
    SCHEMA,
    sa.Column("position_id", sa.Integer, primary_key=True),
    sa.Column("strategy_id", sa.ForeignKey("strategies.strategy_id"), nullable=False),
    sa.Column("base_asset", sa.Text, nullable=False),
    sa.Column("quote_asset", sa.Text, nullable=False),
    sa.Column("size", sa.Text, nullable=False),
    sa.Column("is_long", sa.Boolean, nullable=False),
    sa.Column("open_price", sa.Text, nullable=False),
    sa.Column("open_timestamp", sa.Integer, nullable=False),
    sa.Column("close_price", sa.Text),
    sa.Column("close_timestamp", sa.Integer),
    # In percent; a file of an older version has none.
    sa.Column("fee", sa.Text),
)
_NEWER: Final = {("positions", "fee")}
HOSTED = sa.Table(
    "hosted_strategies",
    SCHEMA,
    sa.Column("hosted_id", sa.Integer, primary_key=True),
    sa.Column("owner", sa.ForeignKey("keys.owner"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("info", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    # The base64 text of a pickle, which is code: nothing here reads it.
    sa.Column("strategy", sa.LargeBinary, nullable=False),
    sa.Column("creation_timestamp", sa.Integer, nullable=False),
)
_OPEN = POSITIONS.c.close_timestamp.is_(None)
# Open positions are few beside those that were closed: the index holds no others.
sa.Index("open_positions", POSITIONS.c.strategy_id, POSITIONS.c.position_id, sqlite_where=_OPEN)

# History is read from its end, a page at a time.
_CLOSED = POSITIONS.c.close_timestamp.is_not(None)
_LATEST_FIRST = (POSITIONS.c.close_timestamp.desc(), POSITIONS.c.position_id.desc())
sa.Index(
    "closed_positions",
    POSITIONS.c.strategy_id,
    POSITIONS.c.close_timestamp,
    POSITIONS.c.position_id,
    sqlite_where=_CLOSED,
)

OLDEST: Final = {(table.name, column.name) for table in (KEYS, STRATEGIES, POSITIONS) for column in table.c} - _NEWER
"""The columns that every file of a venue has, whichever version made it."""

COLUMNS: Final = (
    "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns"
)


def complete(connection: sa.Connection) -> None:
    """Make what is missing, of a new file or of one of an older version."""
    SCHEMA.create_all(connection)
    found = {tuple(row) for row in connection.exec_driver_sql(COLUMNS)}
    for table, column in _NEWER - found:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column} TEXT")
    for index in POSITIONS.indexes:
        index.create(connection, checkfirst=True)


# Statements are built once: SQLAlchemy takes longer to build one than SQLite to carry it out.
KEY_OF_NAME = sa.select(KEYS.c.owner, KEYS.c.hash).where(KEYS.c.name == sa.bindparam("name"))
STRATEGY = sa.select(STRATEGIES).where(STRATEGIES.c.strategy_id == sa.bindparam("strategy_id"))
STRATEGIES_OF = (
    sa.select(STRATEGIES).where(STRATEGIES.c.owner == sa.bindparam("owner")).order_by(STRATEGIES.c.strategy_id)
)
_AS_ANSWERED = [column for column in POSITIONS.c if column.name != "fee"]
POSITION = (
    sa.select(STRATEGIES.c.owner, *_AS_ANSWERED)
    .join_from(POSITIONS, STRATEGIES)
    .where(POSITIONS.c.position_id == sa.bindparam("position_id"))
)
OPEN_OF = (
    sa.select(*_AS_ANSWERED)
    .where(POSITIONS.c.strategy_id == sa.bindparam("strategy_id"), _OPEN)
    .order_by(POSITIONS.c.position_id)
)
ALL = sa.select(*_AS_ANSWERED).order_by(POSITIONS.c.position_id)


def _recorded(fee: sa.ColumnElement[Any]) -> sa.Select[Any]:
    told = (*_AS_ANSWERED, fee, STRATEGIES.c.name, STRATEGIES.c.owner)
    return sa.select(*told).join_from(POSITIONS, STRATEGIES)


_OF_STRATEGY = _recorded(POSITIONS.c.fee).where(POSITIONS.c.strategy_id == sa.bindparam("its_strategy"))
RECORDED = _recorded(POSITIONS.c.fee).order_by(POSITIONS.c.position_id)
RECORDED_BEFORE_FEES = _recorded(sa.null()).order_by(POSITIONS.c.position_id)
"""The same of a file without the column."""
RECORDED_OPEN = _OF_STRATEGY.where(_OPEN).order_by(POSITIONS.c.position_id)
RECORDED_CLOSED = (
    _OF_STRATEGY.where(
        _CLOSED,
        sa.tuple_(POSITIONS.c.close_timestamp, POSITIONS.c.position_id)
        < sa.tuple_(sa.bindparam("its_time"), sa.bindparam("its_id")),
    )
    .order_by(*_LATEST_FIRST)
    .limit(sa.bindparam("most"))
)
OPEN_ONE = POSITIONS.insert().inline()
# The condition is what makes one of several closes win, whichever process they come through.
CLOSE_ONE = (
    POSITIONS.update()
    .where(POSITIONS.c.position_id == sa.bindparam("its_id"), _OPEN)
    .values(close_price=sa.bindparam("its_price"), close_timestamp=sa.bindparam("its_time"))
)
COUNT_KEYS = sa.select(sa.func.count()).select_from(KEYS)
