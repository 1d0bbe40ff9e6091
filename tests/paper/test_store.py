"""What is remembered: over restarts, and by several venues on one file."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from mizar_async import paper
from mizar_async._api.trading import ClosedPosition, ClosePosition, Nothing, OpenPosition, PublishStrategy
from mizar_async.paper.store import Store

PUBLISH = PublishStrategy(name="S", description="why", exchanges=("binance",), symbols=("BTCUSDT",), market="SPOT")
OPEN = OpenPosition(
    strategy_id=1, base_asset="BTC", quote_asset="USDT", size=Decimal("0.123456789012345678"), is_long=True
)


def test_a_new_file_is_a_fresh_venue_and_an_old_one_is_not(tmp_path: Path) -> None:
    venue = paper.Venue.of(db=tmp_path / "venue.db")
    assert venue.is_fresh
    key = venue.create_key()
    venue.close()
    again = paper.Venue.of(db=tmp_path / "venue.db")
    assert not again.is_fresh
    assert again.knows(key)
    assert not again.knows("")
    assert not again.knows(key.upper())
    again.close()


def test_everything_is_the_same_after_a_restart(tmp_path: Path) -> None:
    venue = paper.Venue.of(db=tmp_path / "venue.db")
    key = venue.create_key()
    owner = venue.owner(key)
    strategy = venue.publish_strategy(owner, PUBLISH)
    opened = [venue.open_position(owner, OPEN) for _ in range(3)]
    closed = venue.close_position(owner, ClosePosition(2))
    venue.close()
    again = paper.Venue.of(db=tmp_path / "venue.db")
    assert again.positions() == [opened[0], closed, opened[2]]
    assert again.strategies(again.owner(key), Nothing()) == [strategy]
    assert again.open_position(again.owner(key), OPEN).position_id == 4
    again.close()


def test_the_file_holds_no_key(tmp_path: Path) -> None:
    venue = paper.Venue.of(db=tmp_path / "venue.db")
    key = venue.create_key()
    venue.close()
    assert all(key.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    assert key.rpartition("_")[2].encode() not in (tmp_path / "venue.db").read_bytes()


def test_the_file_is_written_ahead_and_every_commit_reaches_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "venue.db")
    with store._transaction() as connection:  # the pragmas belong to the connection
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def test_the_open_positions_of_a_strategy_are_found_by_an_index(tmp_path: Path) -> None:
    Store(tmp_path / "venue.db").close()
    file = sqlite3.connect(tmp_path / "venue.db")
    query = "SELECT * FROM positions WHERE strategy_id = 1 AND close_timestamp IS NULL ORDER BY position_id"
    plan = " ".join(row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {query}"))
    file.close()
    assert "USING INDEX open_positions" in plan
    assert "TEMP B-TREE" not in plan


def test_of_two_venues_on_one_file_only_one_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (paper.Venue.of(db=tmp_path / "venue.db") for _ in range(2))
    key = one.create_key()
    owner = two.owner(key)
    one.publish_strategy(owner, PUBLISH)
    opened = one.open_position(owner, OPEN)
    seen = two.store.position(1)
    one.close_position(owner, ClosePosition(1))
    monkeypatch.setattr(two.store, "position", lambda _: seen)  # it looked just before the other closed
    with pytest.raises(paper.Refusal) as refused:
        two.close_position(owner, ClosePosition(1))
    assert refused.value.status == 409
    (truth,) = two.positions()
    assert isinstance(truth, ClosedPosition)
    assert truth.open_timestamp == opened.open_timestamp
    one.close()
    two.close()


def test_a_failed_statement_leaves_nothing_behind() -> None:
    venue = paper.Venue()
    owner = venue.owner(venue.create_key())
    with pytest.raises(Exception, match="FOREIGN KEY"):
        venue.store.open(
            7,
            base_asset="BTC",
            quote_asset="USDT",
            size=Decimal(1),
            is_long=True,
            price=Decimal(1),
            at=1,
            fee=Decimal(0),
        )
    venue.publish_strategy(owner, PUBLISH)
    assert venue.open_position(owner, OPEN).position_id == 1


def test_ids_beyond_what_a_column_holds_belong_to_nothing() -> None:
    store = Store()
    assert store.position(2**63) is None
    assert store.strategy(2**63) is None
