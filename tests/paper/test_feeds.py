"""Prices: a simulation depends on seed and time alone, a replay never looks ahead, a bad file is named."""

from __future__ import annotations

import csv
import itertools
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import paper
from mizar_async._api.trading import ClosePosition, OpenPosition, PublishStrategy
from mizar_async.errors import InvalidInput
from mizar_async.replay.loop import VirtualClock

from ..venues import RECORDED

START = 1_640_991_660_000  # 2021-12-31 23:01:00 UTC
CANDLES = """timestamp,open,high,low,close,volume
2021-12-31 23:01:00.000000,100,190,10,110,1
2021-12-31 23:02:00.000000,120,290,20,130,1
2021-12-31 23:05:00.000000,150,390,30,160,1
"""
TRADES = """timestamp,id,side,price,amount
1675329600138,1,buy,1666.8,26.062
1675329600214,2,sell,1666.79,0.152
1675329600214,3,sell,1666.78,0.152
1675329601000,4,buy,1667,1
"""


def written(directory: Path, text: str, name: str = "BTCUSDT-1m-2022-01.csv") -> Path:
    path = directory / name
    path.write_text(text)
    return path


# -- simulated -----------------------------------------------------------------------------------------


@given(seed=st.integers(), at=st.integers(0, 4 * 10**12), others=st.lists(st.integers(0, 4 * 10**12), max_size=5))
def test_a_simulated_price_depends_on_seed_pair_and_time_alone(seed: int, at: int, others: list[int]) -> None:
    asked = paper.Simulated(seed)
    for other in others:
        asked.price("BTCUSDT", other)
    assert asked.price("BTCUSDT", at) == paper.Simulated(seed).price("BTCUSDT", at)


def test_every_simulated_pair_moves_and_stays_near_its_middle() -> None:
    feed = paper.Simulated(seed=1)
    for symbol in feed.symbols():
        prices = [feed.price(symbol.symbol, START + day * 86_400_000) for day in range(60)]
        assert len(set(prices)) > 30
        assert max(prices) < 3 * min(prices)


def test_a_simulated_price_moves_in_small_steps() -> None:
    feed = paper.Simulated(seed=1)
    prices = [feed.price("BTCUSDT", START + step * 250) for step in range(2_000)]
    moves = [abs(later / earlier - 1) for earlier, later in itertools.pairwise(prices)]
    assert 0 < max(moves) < Decimal("0.001")
    assert len(set(prices)) > 1_000


def test_seeds_and_pairs_walk_their_own_ways() -> None:
    assert paper.Simulated(1).price("BTCUSDT", START) != paper.Simulated(2).price("BTCUSDT", START)
    assert repr(paper.Simulated(2)) == "Simulated(seed=2)"


# -- replay --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "price"),
    [
        (-3600, 100),  # before the first row
        (0, 100),
        (59.999, 100),  # in progress: its close is not known yet
        (60, 120),
        (119, 120),
        (120, 130),  # over, and no other has begun: its close
        (239, 130),
        (240, 150),
        (299, 150),
        (300, 160),  # after the end
        (10**8, 160),
    ],
)
def test_of_a_candle_only_its_open_is_known_until_it_is_over(tmp_path: Path, seconds: float, price: int) -> None:
    assert paper.Replay(written(tmp_path, CANDLES)).price("BTCUSDT", START + int(seconds * 1000)) == price


@pytest.mark.parametrize(
    ("at", "price"),
    [
        (0, "1666.8"),
        (138, "1666.8"),
        (213, "1666.8"),
        (214, "1666.78"),
        (999, "1666.78"),
        (1000, "1667"),
        (9999, "1667"),
    ],
)
def test_of_trades_the_last_one_is_the_price(tmp_path: Path, at: int, price: str) -> None:
    feed = paper.Replay(written(tmp_path, TRADES, "ETHUSDT-trades-2023-02-02.csv"))
    assert feed.price("ETHUSDT", 1_675_329_600_000 + at) == Decimal(price)
    assert (feed.starts, feed.ends) == (1_675_329_600_138, 1_675_329_601_000)


def test_nothing_of_a_candles_future_changes_a_price(tmp_path: Path) -> None:
    rows = CANDLES.splitlines()
    feed = paper.Replay(written(tmp_path, CANDLES))
    for count in range(1, 4):
        changed = rows[: 1 + count]
        opening = changed[-1].split(",")
        changed[-1] = ",".join([*opening[:2], "999", "1", "999", "1"])
        other = paper.Replay(written(tmp_path, "\n".join(changed), f"BTCUSDT-{count}.csv"))
        last = other.starts + [0, 60_000, 240_000][count - 1]
        for at in range(START, last + 60_000, 5_000):
            assert feed.price("BTCUSDT", at) == other.price("BTCUSDT", at)


@pytest.mark.parametrize(
    "text",
    ["2021-12-31 23:01:00", "2021-12-31T23:01:00Z", "2022-01-01T00:01:00.000+01:00", "1640991660000"],
)
def test_timestamps_are_utc_unless_they_say_otherwise(tmp_path: Path, text: str) -> None:
    feed = paper.Replay(written(tmp_path, f"Close, OPEN,timestamp\n2,1,{text}\n\n"))
    assert (feed.starts, feed.ends) == (START, START + 60_000)


@pytest.mark.parametrize(
    ("name", "pair", "symbol"),
    [
        ("BTCUSDT-1m-2022-01.csv", None, ("BTC", "USDT")),
        ("ethbtc_trades.csv", None, ("ETH", "BTC")),
        ("SOLFDUSD.csv", None, ("SOL", "FDUSD")),
        ("prices.csv", "BTC/USDT", ("BTC", "USDT")),
        ("prices.csv", "btcusdt", ("BTC", "USDT")),
        ("BTCUSDT-1m.csv", "ABC/XYZ", ("ABC", "XYZ")),
        ("1000SHIBUSDT-1m.csv", None, ("1000SHIB", "USDT")),
    ],
)
def test_the_pair_is_in_the_name_of_the_file_or_given(
    tmp_path: Path, name: str, pair: str | None, symbol: tuple[str, str]
) -> None:
    (found,) = paper.Replay(written(tmp_path, CANDLES, name), pair).symbols()
    assert (found.base_asset, found.quote_asset, found.symbol) == (*symbol, "".join(symbol))
    assert found.markets == ("SPOT", "FUTURES")


@pytest.mark.parametrize(
    ("name", "pair"), [("prices.csv", None), ("USDT-1m.csv", None), ("x.csv", "BTC/"), ("x.csv", "")]
)
def test_a_pair_that_nobody_can_tell_is_asked_for(tmp_path: Path, name: str, pair: str | None) -> None:
    with pytest.raises(InvalidInput, match="give pair as BASE/QUOTE, such as BTC/USDT"):
        paper.Replay(written(tmp_path, CANDLES, name), pair)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "columns must include"),
        ("time,open,close\n", 1, "not time, open, close"),
        ("timestamp,open,high\n", 1, "columns must include"),
        ("timestamp,open,close\n", 1, "no row below"),
        (CANDLES + "2021-12-31 23:06:00,1,2\n", 5, "3 columns, too few"),
        (CANDLES + "2021-12-31 23:06:00,x,1,1,1,1\n", 5, "'x' is no price"),
        (CANDLES + "2021-12-31 23:06:00,1,1,1,0,1\n", 5, "'0' is no price"),
        (CANDLES + "2021-12-31 23:06:00,NaN,1,1,1,1\n", 5, "'NaN' is no price"),
        (CANDLES + "2021-12-31 23:06:00,1e99999,1,1,1,1\n", 5, "is no price"),
        (CANDLES + "yesterday,1,1,1,1,1\n", 5, "'yesterday' is no timestamp"),
        (CANDLES + "1640991960,1,1,1,1,1\n", 5, "no time in milliseconds"),
        (CANDLES + "2021-12-31 23:05:00,1,1,1,1,1\n", 5, "rows must be sorted by time"),
        (CANDLES + "2021-12-31 23:04:00,1,1,1,1,1\n", 5, "rows must be sorted by time"),
        (TRADES + "1675329600999,5,buy,1,1\n", 6, "rows must be sorted by time"),
        (CANDLES + '2021-12-31 23:06:00,"1\n', 5, "unexpected end of data"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidInput) as refused:
        paper.Replay(path)
    assert f"{path}, line {line}: " in str(refused.value)
    assert reason in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"BTCUSDT\.csv can't be read: No such file"):
        paper.Replay(tmp_path / "BTCUSDT.csv")
    (tmp_path / "BTCUSDT.csv").write_bytes(b"timestamp,open,close\n\xff\xfe\n")
    with pytest.raises(InvalidInput, match="no UTF-8 text"):
        paper.Replay(tmp_path / "BTCUSDT.csv")


def test_a_replay_shows_what_it_is_and_knows_one_pair(tmp_path: Path) -> None:
    feed = paper.Replay(written(tmp_path, CANDLES))
    assert repr(feed) == "Replay('BTCUSDT-1m-2022-01.csv', BTC/USDT, 3 rows)"
    with pytest.raises(KeyError):
        feed.price("ETHUSDT", START)


def test_the_venues_time_begins_with_the_recording_and_runs_as_fast_as_asked(tmp_path: Path) -> None:
    venue = paper.Venue.of(prices=written(tmp_path, CANDLES), speed=1000)
    assert START <= venue.clock.now() < START + 60_000_000
    assert venue.clock.speed == 1000


def recorded(tmp_path: Path) -> Path:
    """The recording that stands beside the project, or candles of our own where it does not."""
    path = RECORDED / "BTCUSDT-1m-2022-01.csv"
    if path.exists():
        return path
    lines = [f"{START + row * 60_000},{50_000 + row}.5,,,{50_000 + row}.25,0" for row in range(2_000)]
    return written(tmp_path, "timestamp,open,high,low,close,volume\n" + "\n".join(lines))


def _minute(timestamp: str) -> int:
    """The minute of a candle, read in another way than the feed does."""
    if timestamp.isdigit():
        return int(timestamp) // 60_000
    return int(datetime.strptime(timestamp, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()) // 60


def test_fills_of_a_replay_are_prices_of_its_file_at_the_replayed_times(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    feed = paper.Replay(path)
    clock = VirtualClock(start=feed.starts)
    venue = paper.Venue(feed=feed, clock=clock, spread="0.02")
    owner = venue.owner(venue.create_key())
    venue.publish_strategy(
        owner, PublishStrategy(name="S", description="", exchanges=("binance",), symbols=("BTCUSDT",), market="FUTURES")
    )
    for number in range(1, 201):
        venue.open_position(
            owner, OpenPosition(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=number % 2 == 0)
        )
        clock.advance(7.25)
        venue.close_position(owner, ClosePosition(number))
        clock.advance(7.25)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    opens = {_minute(row["timestamp"]): Decimal(row["open"]) for row in rows}
    fills = [
        (at, price, buys)
        for position in venue.positions()
        for at, price, buys in [
            (position.open_timestamp, position.open_price, position.is_long),
            (position.close_timestamp, position.close_price, not position.is_long),  # type: ignore[union-attr]
        ]
    ]
    checked = 0
    for at, price, buys in fills:
        assert at is not None
        minute = at // 60_000
        if minute in opens:
            assert price == opens[minute] * (Decimal("1.0001") if buys else Decimal("0.9999"))
            checked += 1
    assert checked > 300, f"of {path}"
