"""The tables of the venue, and every statement that is made of them."""

from __future__ import annotations

from typing import Final

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
)
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

# Statements are built once: SQLAlchemy takes longer to build one than SQLite to carry it out.
KEY_OF_NAME = sa.select(KEYS.c.owner, KEYS.c.hash).where(KEYS.c.name == sa.bindparam("name"))
STRATEGY = sa.select(STRATEGIES).where(STRATEGIES.c.strategy_id == sa.bindparam("strategy_id"))
STRATEGIES_OF = (
    sa.select(STRATEGIES).where(STRATEGIES.c.owner == sa.bindparam("owner")).order_by(STRATEGIES.c.strategy_id)
)
POSITION = (
    sa.select(STRATEGIES.c.owner, POSITIONS)
    .join_from(POSITIONS, STRATEGIES)
    .where(POSITIONS.c.position_id == sa.bindparam("position_id"))
)
OPEN_OF = (
    sa.select(POSITIONS)
    .where(POSITIONS.c.strategy_id == sa.bindparam("strategy_id"), _OPEN)
    .order_by(POSITIONS.c.position_id)
)
ALL = sa.select(POSITIONS).order_by(POSITIONS.c.position_id)
OPEN_ONE = POSITIONS.insert().inline()
# The condition is what makes one of several closes win, whichever process they come through.
CLOSE_ONE = (
    POSITIONS.update()
    .where(POSITIONS.c.position_id == sa.bindparam("its_id"), _OPEN)
    .values(close_price=sa.bindparam("its_price"), close_timestamp=sa.bindparam("its_time"))
)
COUNT_KEYS = sa.select(sa.func.count()).select_from(KEYS)
