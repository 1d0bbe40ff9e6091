"""Bars: what is counted into each, when it is shown, and how it stands on the wire."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import AsyncMizar, InvalidInput, paper
from mizar_async._api.market import WIDTHS, Bar, OfBars, OfKinds
from mizar_async._clock import Clock
from mizar_async.paper import bars
from mizar_async.paper.bars import Row, ThresholdBars, TimeBars

from ..venues import RECORDED
from .conftest import client_of

CANDLES = RECORDED / "BTCUSDT-1m-2022-01.csv"
TRADES = RECORDED / "ETHUSDT-trades-2023-02-02.csv"
needs_candles = pytest.mark.skipif(not CANDLES.exists(), reason="the recorded candles are not beside the project")
needs_trades = pytest.mark.skipif(not TRADES.exists(), reason="the recorded trades are not beside the project")

FIELDS = {
    "time", "open", "high", "low", "close", "base_asset_volume", "base_asset_buy_volume", "base_asset_sell_volume",
    "quote_asset_volume", "quote_asset_buy_volume", "quote_asset_sell_volume", "first_timestamp", "last_timestamp",
    "first_trade_id", "last_trade_id", "num_ticks", "num_buy_ticks", "num_sell_ticks",
}  # fmt: skip
NOON = 1_641_038_400_000  # 2022-01-01 12:00 UTC
MINUTE = 60_000

Document = dict[str, Any]


class Hand(Clock):
    """A clock that a test sets."""

    def __init__(self, at: int) -> None:
        super().__init__(start=at)
        self.at = at

    def now(self) -> int:
        return self.at


def recording(directory: Path, header: str, *lines: str, name: str = "BTCUSDT.csv") -> Path:
    path = directory / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def venue_of(path: Path, *, at: int = 4 * 10**12, **settings: Any) -> paper.Venue:
    """A venue of a file; its clock stands at a time, by default long after the end of the file."""
    volume_in = settings.pop("volume_in", "base")
    return paper.Venue(feed=paper.Replay(path, volume_in=volume_in), clock=Hand(at), **settings)


def shown(venue: paper.Venue, kind: str = "1min", *, start: int = 0, limit: int = 500) -> list[Bar]:
    """One page of the bars of a venue's first pair."""
    symbol = venue.feed.symbols()[0]
    ask = OfBars(
        base_asset=symbol.base_asset,
        quote_asset=symbol.quote_asset,
        bar_type=kind if kind in bars.MEASURES else "time",
        bar_subclass="dynamic" if kind in bars.MEASURES else kind,
        start_timestamp=start,
        limit=limit,
    )
    return [finished.bar for finished in venue.bars(1, ask)]


async def walked(http: httpx.AsyncClient, limit: int, **kind: str) -> list[Document]:
    """All bars of a kind, through pages of the API: each begins where the last one ended, and knows what it had."""
    found: list[Document] = []
    start, seen = 0, -1
    while True:
        answer = await http.get("bars", params={"start_timestamp": start, "limit": limit} | kind)
        assert answer.status_code == 200, answer.text
        page = json.loads(answer.content, parse_float=Decimal)["bars"]
        new = [bar for bar in page if bar["first_trade_id"] > seen]
        if not new:
            # A page that is full of bars of one time is not the end: a larger one goes on.
            if len(page) < limit:
                return found
            limit *= 2
            continue
        found += new
        start, seen = new[-1]["time"], new[-1]["first_trade_id"]


# -- against pandas ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def candles() -> paper.Venue:
    feed = paper.Replay(CANDLES, volume_in="quote")
    return paper.Venue(feed=feed, clock=Hand(feed.ends + 10 * 86_400_000))


@needs_candles
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("subclass", WIDTHS)
async def test_time_bars_of_a_month_of_minutes_are_what_pandas_makes_of_them(
    candles: paper.Venue, subclass: str
) -> None:
    pd = pytest.importorskip("pandas")
    rule = subclass.replace("H", "h")
    rows = pd.read_csv(CANDLES, parse_dates=["timestamp"], index_col="timestamp")
    expected = (
        rows.resample(rule)
        .agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
        .dropna()
    )
    counts = rows["open"].resample(rule).count()
    expected["num_ticks"] = counts[counts > 0]
    async with client_of(candles, candles.create_key()) as http:
        found = await walked(http, 500, base_asset="BTC", quote_asset="USDT", bar_subclass=subclass)
    made = pd.DataFrame(found).astype(float)
    assert len(made) == len(expected)
    assert (pd.to_datetime(made["time"].astype("int64"), unit="ms").to_numpy() == expected.index.to_numpy()).all()
    for name in ("open", "high", "low", "close", "num_ticks"):
        assert (made[name].to_numpy() == expected[name].to_numpy()).all(), name
    assert made["quote_asset_volume"].to_numpy() == pytest.approx(expected["volume"].to_numpy(), rel=1e-12)
    for name in FIELDS:
        if name.startswith("base_asset") or "buy" in name or "sell" in name:
            assert (made[name] == 0).all(), name


@needs_candles
async def test_minutes_come_the_same_through_pages_of_any_size(candles: paper.Venue) -> None:
    kind = {"base_asset": "BTC", "quote_asset": "USDT", "bar_subclass": "4H"}
    async with client_of(candles, candles.create_key()) as http:
        whole = await walked(http, 500, **kind)
        assert len(whole) == 189
        for limit in (2, 3, 188, 189, 190):
            assert await walked(http, limit, **kind) == whole


# -- against a direct computation ----------------------------------------------------------------------


def computed(lines: list[list[str]], measure: str, threshold: Decimal) -> list[Document]:
    """The bars of trades, in the plainest way."""
    done, inside, total = [], [], Decimal(0)
    for stamp, number, side, price, amount in lines:
        trade = (int(stamp), int(number), side, Decimal(price), Decimal(amount))
        inside.append(trade)
        total += {"tick": Decimal(1), "volume": trade[4], "dollar": trade[3] * trade[4]}[measure]
        if total >= threshold:
            done.append(told(inside))
            inside, total = [], Decimal(0)
    return done


def told(inside: list[tuple[int, int, str, Decimal, Decimal]]) -> Document:
    prices = [trade[3] for trade in inside]
    bar: Document = {"time": inside[0][0], "open": prices[0], "high": max(prices), "low": min(prices)}
    bar |= {"close": prices[-1], "first_timestamp": inside[0][0], "last_timestamp": inside[-1][0]}
    bar |= {"first_trade_id": inside[0][1], "last_trade_id": inside[-1][1], "num_ticks": len(inside)}
    for words, sides in (("", ("buy", "sell", "")), ("buy_", ("buy",)), ("sell_", ("sell",))):
        some = [trade for trade in inside if trade[2] in sides]
        bar[f"base_asset_{words}volume"] = sum((trade[4] for trade in some), Decimal(0))
        bar[f"quote_asset_{words}volume"] = sum((trade[3] * trade[4] for trade in some), Decimal(0))
        if words:
            bar[f"num_{words}ticks"] = len(some)
    return bar


@needs_trades
@pytest.mark.parametrize(
    ("measure", "threshold"),
    [
        ("tick", 1), ("tick", 2), ("tick", 7), ("tick", 1000), ("tick", 1001),
        ("volume", "0.001"), ("volume", "12.5"), ("volume", "333.333"),
        ("dollar", "1"), ("dollar", "10000"), ("dollar", "250000.01"),
    ],
)  # fmt: skip
async def test_bars_of_recorded_trades_are_a_direct_computation_through_pages_of_any_size(
    measure: str, threshold: int | str
) -> None:
    lines = [line.split(",") for line in TRADES.read_text().splitlines()[1:]]
    expected = computed(lines, measure, Decimal(threshold))
    exact = int(threshold) if measure == "tick" else Decimal(threshold)
    venue = venue_of(TRADES, **{f"{measure}_bars": exact})
    kind = {"base_asset": "ETH", "quote_asset": "USDT", "bar_type": measure, "bar_subclass": "dynamic"}
    async with client_of(venue, venue.create_key()) as http:
        for limit in (500, 100, 37, 1) if len(expected) > 100 else (500, 3, 1):
            assert await walked(http, limit, **kind) == expected


TRADE = st.tuples(
    st.integers(0, 3),  # milliseconds since the last one
    st.sampled_from(["buy", "sell", ""]),
    st.decimals("0.000001", 90_000, places=6),
    st.decimals(0, 50, places=8),
)


@given(
    trades=st.lists(TRADE, min_size=1, max_size=60),
    measure=st.sampled_from(["tick", "volume", "dollar"]),
    threshold=st.integers(1, 9) | st.integers(10, 100_000),
    limit=st.integers(1, 10),
    before_the_end=st.integers(0, 90),
)
def test_any_trades_make_the_bars_of_a_direct_computation_and_none_before_it_is_over(
    trades: list[tuple[int, str, Decimal, Decimal]], measure: Any, threshold: int, limit: int, before_the_end: int
) -> None:
    times = list(itertools.accumulate((later for later, *_ in trades), initial=NOON))[1:]
    told = [(at, number, *trade[1:]) for number, (at, trade) in enumerate(zip(times, trades, strict=True))]
    lines = [[str(at), str(number), side, str(price), str(amount)] for at, number, side, price, amount in told]
    rows = [
        Row(at, number, price, price, price, price, amount, price * amount, side or None)  # type: ignore[arg-type]
        for at, number, side, price, amount in told
    ]
    now = times[-1] - before_the_end
    expected = [bar for bar in computed(lines, measure, Decimal(threshold)) if bar["last_timestamp"] <= now]
    series = ThresholdBars(lambda _: iter(rows), bars.MEASURES[measure], Decimal(threshold))
    made = series.page(0, 500, now)
    assert [json.loads(one.written, parse_float=Decimal) for one in made] == expected
    for start in (NOON, times[len(times) // 2]):
        later = [bar for bar in expected if bar["time"] >= start]
        page = series.page(start, limit, now)
        assert [json.loads(one.written, parse_float=Decimal) for one in page] == later[:limit]


@given(
    steps=st.lists(st.integers(0, 400), min_size=1, max_size=60),
    width=st.integers(1, 100),
    limit=st.integers(1, 5),
    start=st.integers(0, 12_000),
    now=st.integers(0, 20_000),
    lasts=st.integers(0, 300),
)
def test_time_bars_hold_the_rows_of_their_interval_whatever_is_asked_in_which_order(
    steps: list[int], width: int, limit: int, start: int, now: int, lasts: int
) -> None:
    one = Decimal(1)
    rows = [Row(at, n, one, one, one, one) for n, at in enumerate(itertools.accumulate(steps))]

    def later(at: int) -> Iterator[Row]:
        return (row for row in rows if row.time >= at)

    series = TimeBars(later, width, lasts)
    expected = [
        (place * width, len(inside))
        for place, inside in (
            (place, [*group]) for place, group in itertools.groupby(rows, lambda row: row.time // width)
        )
        if (place + 1) * width <= now and inside[-1].time + lasts <= now and place * width >= start
    ]
    for _ in range(2):  # the second time from what was made
        page = series.page(start, limit, now)
        assert [(found.bar.time, found.bar.num_ticks) for found in page] == expected[:limit]
    assert [found.bar.time for found in series.page(0, 500, 10**9)] == sorted(
        {row.time // width * width for row in rows}
    )


# -- what a row is -------------------------------------------------------------------------------------


def test_missing_columns_of_candles_are_open_and_close_nothing_and_the_rows_number(tmp_path: Path) -> None:
    path = recording(
        tmp_path, "timestamp,open,close", f"{NOON},5,7", f"{NOON + MINUTE},9,2", f"{NOON + 2 * MINUTE},1,1"
    )
    first, second, third = shown(venue_of(path))
    assert (first.open, first.high, first.low, first.close) == (5, 7, 5, 7)
    assert (second.high, second.low) == (9, 2)
    assert [bar.first_trade_id for bar in (first, second, third)] == [0, 1, 2]
    for bar in (first, second, third):
        assert bar.first_trade_id == bar.last_trade_id
        assert (bar.num_ticks, bar.num_buy_ticks, bar.num_sell_ticks) == (1, 0, 0)
        assert {getattr(bar, name) for name in FIELDS if name.endswith("_volume")} == {0}
    (whole,) = shown(venue_of(path), "1H")
    assert (whole.open, whole.high, whole.low, whole.close, whole.num_ticks) == (5, 9, 1, 1, 3)
    assert (whole.first_trade_id, whole.last_trade_id) == (0, 2)
    assert (whole.first_timestamp, whole.last_timestamp) == (NOON, NOON + 2 * MINUTE)


def test_an_empty_cell_is_as_a_column_that_is_missing(tmp_path: Path) -> None:
    path = recording(tmp_path, "timestamp,open,high,low,close,volume", f"{NOON},5,,,7,", f"{NOON + MINUTE},5,8,4,7,1")
    first, second = shown(venue_of(path))
    assert (first.high, first.low, first.base_asset_volume) == (7, 5, 0)
    assert (second.high, second.low, second.base_asset_volume) == (8, 4, 1)


@pytest.mark.parametrize(("volume_in", "base", "quote"), [("base", 3, 0), ("quote", 0, 3)])
def test_a_candles_volume_is_what_it_is_said_to_be_and_the_other_is_not_estimated(
    tmp_path: Path, volume_in: str, base: int, quote: int
) -> None:
    path = recording(tmp_path, "timestamp,open,close,volume", f"{NOON},5,7,1.5", f"{NOON + MINUTE},9,2,1.5")
    (bar,) = shown(venue_of(path, volume_in=volume_in), "5min")
    assert (bar.base_asset_volume, bar.quote_asset_volume) == (base, quote)
    assert bar.base_asset_buy_volume == bar.quote_asset_buy_volume == bar.base_asset_sell_volume == 0


def test_missing_columns_of_trades_are_the_rows_number_no_side_and_no_amount(tmp_path: Path) -> None:
    path = recording(tmp_path, "timestamp,price", f"{NOON},5", f"{NOON},7", f"{NOON + 1},6")
    first, second, third = shown(venue_of(path, tick_bars=1), "tick")
    assert [bar.first_trade_id for bar in (first, second, third)] == [0, 1, 2]
    assert (second.num_ticks, second.num_buy_ticks, second.num_sell_ticks, second.base_asset_volume) == (1, 0, 0, 0)
    assert shown(venue_of(path, volume_bars=1), "volume") == []  # nothing was ever traded


def test_trades_of_unknown_side_count_into_neither_side(tmp_path: Path) -> None:
    lines = [f"{NOON},10,buy,5,1", f"{NOON + 1},11,,5,2", f"{NOON + 2},12,SELL,5,4"]
    (bar,) = shown(venue_of(recording(tmp_path, "timestamp,id,side,price,amount", *lines)))
    assert (bar.base_asset_volume, bar.base_asset_buy_volume, bar.base_asset_sell_volume) == (7, 1, 4)
    assert (bar.quote_asset_volume, bar.quote_asset_buy_volume, bar.quote_asset_sell_volume) == (35, 5, 20)
    assert (bar.num_ticks, bar.num_buy_ticks, bar.num_sell_ticks) == (3, 1, 1)
    assert (bar.first_trade_id, bar.last_trade_id) == (10, 12)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{},5,4.9,1,4,1", "high 4.9 and low 1 do not hold open 5 and close 4"),
        ("{},4,4.9,1,5,1", "high 4.9 and low 1 do not hold"),
        ("{},5,9,6,7,1", "high 9 and low 6 do not hold"),
        ("{},5,9,1,7,-1", "'-1' is no amount"),
        ("{},5,9,1,7,NaN", "'NaN' is no amount"),
        ("{},5,9,1,7,1e30", "'1e30' is no amount"),
        ("{},5,9,1,7,1_0", "'1_0' is no amount"),
        ("{},\u0665,9,1,7,1", "'\u0665' is no price"),
        ("{},5,9,x,7,1", "'x' is no price"),
    ],
)
def test_a_candle_that_can_not_be_is_refused_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    path = recording(tmp_path, "timestamp,open,high,low,close,volume", f"{NOON},5,5,5,5,1", line.format(NOON + MINUTE))
    with pytest.raises(InvalidInput) as refused:
        paper.Replay(path)
    assert f"{path}, line 3: {reason}" in str(refused.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{},1,long,5,1", "'long' is no side"),
        ("{},-1,buy,5,1", "'-1' is no id"),
        ("{},1.5,buy,5,1", "'1.5' is no id"),
        ("{},1,buy,5,-2", "'-2' is no amount"),
        ("{},1,buy,,2", "'' is no price"),
    ],
)
def test_a_trade_that_can_not_be_is_refused_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    path = recording(tmp_path, "timestamp,id,side,price,amount", f"{NOON},0,buy,5,1", line.format(NOON))
    with pytest.raises(InvalidInput) as refused:
        paper.Replay(path)
    assert f"{path}, line 3: {reason}" in str(refused.value)


def test_a_column_that_stands_twice_is_refused_and_one_that_nobody_reads_is_not(tmp_path: Path) -> None:
    path = recording(tmp_path, "timestamp,note,price,note,amount", f"{NOON},x,5,y,1")
    assert len(shown(venue_of(path, tick_bars=1), "tick")) == 1
    twice = recording(tmp_path, "timestamp,price,Price", f"{NOON},5,6", name="ETHUSDT.csv")
    with pytest.raises(InvalidInput, match="line 1: the column price stands twice"):
        paper.Replay(twice)


@pytest.mark.parametrize("stamp", ["1960-01-01 00:00:00", "0001-01-01", "6000-01-01T00:00:00"])
def test_a_time_that_no_bar_can_have_is_refused(tmp_path: Path, stamp: str) -> None:
    with pytest.raises(InvalidInput, match="line 2: "):
        paper.Replay(recording(tmp_path, "timestamp,price", f"{stamp},5"))


def test_a_byte_order_mark_line_ends_of_windows_quotes_and_exponents_change_nothing(tmp_path: Path) -> None:
    text = f'\ufeff"timestamp","Open", close,VOLUME\r\n"{NOON}","1e3",1.5E+3,"2e-3"\r\n\r\n'
    path = tmp_path / "BTCUSDT.csv"
    path.write_bytes(text.encode())
    (bar,) = shown(venue_of(path))
    assert (bar.open, bar.close, bar.base_asset_volume) == (1000, 1500, Decimal("0.002"))


def test_a_volume_of_nothing_is_0_whatever_its_exponent(tmp_path: Path) -> None:
    path = recording(tmp_path, "timestamp,open,close,volume", f"{NOON},5,7,0e-99999999999", f"{NOON + MINUTE},5,7,-0")
    venue = venue_of(path)
    assert [bar.base_asset_volume for bar in shown(venue)] == [0, 0]
    assert all(b'"base_asset_volume":0,' in one.written for one in pages_of(venue))


def pages_of(venue: paper.Venue) -> list[bars.Finished]:
    return venue.bars(1, OfBars(base_asset="BTC", quote_asset="USDT", bar_subclass="1min"))


# -- time bars -----------------------------------------------------------------------------------------


def test_an_interval_without_a_row_has_no_bar_and_rows_belong_where_they_begin(tmp_path: Path) -> None:
    lines = [f"{NOON + ms},{n},buy,5,1" for n, ms in enumerate((59_999, 60_000, 119_999, 300_000))]
    found = shown(venue_of(recording(tmp_path, "timestamp,id,side,price,amount", *lines)))
    assert [(bar.time - NOON, bar.num_ticks) for bar in found] == [(0, 1), (60_000, 2), (300_000, 1)]


def test_bars_stand_on_the_grid_of_utc_and_the_first_and_last_may_be_partial(tmp_path: Path) -> None:
    start = NOON + 11 * 3_600_000 + 59 * MINUTE  # 23:59
    path = recording(tmp_path, "timestamp,open,close", *(f"{start + n * MINUTE},5,{n + 1}" for n in range(3)))
    midnight = NOON + 12 * 3_600_000
    days = shown(venue_of(path), "D")
    assert [(bar.time, bar.num_ticks) for bar in days] == [(midnight - 86_400_000, 1), (midnight, 2)]
    assert [bar.time for bar in shown(venue_of(path), "12H")] == [NOON, midnight]
    assert [bar.time for bar in shown(venue_of(path), "3min")] == [midnight - 3 * MINUTE, midnight]


def test_a_bar_is_shown_when_its_interval_is_over_and_not_a_millisecond_before(tmp_path: Path) -> None:
    path = recording(tmp_path, "timestamp,open,close", *(f"{NOON + n * MINUTE},5,7" for n in range(3)))
    for at, count in [(0, 0), (MINUTE - 1, 0), (MINUTE, 1), (2 * MINUTE - 1, 1), (3 * MINUTE, 3), (10**9, 3)]:
        assert len(shown(venue_of(path, at=NOON + at))) == count
    assert shown(venue_of(path, at=NOON + 3 * MINUTE), "5min") == []
    (partial,) = shown(venue_of(path, at=NOON + 5 * MINUTE), "5min")
    assert partial.num_ticks == 3


def test_bars_that_were_not_over_come_later_from_the_same_venue(tmp_path: Path) -> None:
    path = recording(tmp_path, "timestamp,open,close", *(f"{NOON + n * MINUTE},5,{n + 1}" for n in range(5)))
    venue = venue_of(path, at=NOON)
    for minutes in range(1, 7):
        assert len(shown(venue)) == minutes - 1
        venue.clock.at += MINUTE  # type: ignore[attr-defined]
    assert [bar.close for bar in shown(venue, "3min")] == [3, 5]


def test_of_a_candle_that_lasts_longer_than_the_bar_nothing_is_shown_before_it_is_over(tmp_path: Path) -> None:
    hour = 3_600_000
    path = recording(tmp_path, "timestamp,open,high,low,close", f"{NOON},5,900,1,7", f"{NOON + hour},7,8,6,7")
    for at, count in [(MINUTE, 0), (hour - 1, 0), (hour, 1), (2 * hour - 1, 1), (2 * hour, 2)]:
        assert len(shown(venue_of(path, at=NOON + at))) == count
    # Neither is it where the grid of the file is another one: 12:30 to 13:30 is in the bar of 12:00.
    odd = recording(tmp_path, "timestamp,open,close", f"{NOON + hour // 2},5,9", f"{NOON + 3 * hour // 2},7,8")
    assert shown(venue_of(odd, at=NOON + hour), "1H") == []
    assert [bar.close for bar in shown(venue_of(odd, at=NOON + 3 * hour // 2), "1H")] == [9]


@pytest.mark.parametrize(
    ("start", "times"),
    [(0, [0, 1, 2]), (1, [0, 1, 2]), (NOON, [0, 1, 2]), (NOON + 1, [1, 2]), (NOON + MINUTE, [1, 2]),
     (NOON + 2 * MINUTE, [2]), (NOON + 2 * MINUTE + 1, []), (10**15 - 1, [])],
)  # fmt: skip
def test_a_page_begins_with_the_first_bar_that_is_not_before_its_start(
    tmp_path: Path, start: int, times: list[int]
) -> None:
    path = recording(tmp_path, "timestamp,open,close", *(f"{NOON + n * MINUTE},5,7" for n in range(3)))
    assert [(bar.time - NOON) // MINUTE for bar in shown(venue_of(path), start=start)] == times
    assert [(bar.time - NOON) // MINUTE for bar in shown(venue_of(path), start=start, limit=1)] == times[:1]


# -- bars of trades ------------------------------------------------------------------------------------


def trades_of(directory: Path, *amounts: str, name: str = "BTCUSDT.csv", apart: int = 10) -> Path:
    lines = [f"{NOON + n * apart},{100 + n},buy,2,{amount}" for n, amount in enumerate(amounts)]
    return recording(directory, "timestamp,id,side,price,amount", *lines, name=name)


def test_a_trade_that_reaches_the_threshold_is_the_last_of_its_bar_and_nothing_is_carried_over(tmp_path: Path) -> None:
    path = trades_of(tmp_path, "0.4", "0.5", "0.3", "0.9", "0.05", "0.05")
    found = shown(venue_of(path, volume_bars=1), "volume")
    assert [(bar.first_trade_id, bar.last_trade_id, bar.base_asset_volume) for bar in found] == [
        (100, 102, Decimal("1.2")),
        (103, 105, Decimal(1)),
    ]
    assert [bar.quote_asset_volume for bar in found] == [Decimal("2.4"), 2]


def test_a_trade_of_several_thresholds_is_one_bar_and_a_rest_below_the_threshold_is_none(tmp_path: Path) -> None:
    path = trades_of(tmp_path, "7", "0.9", "0.09")
    found = shown(venue_of(path, volume_bars=1, dollar_bars=14), "volume")
    assert [(bar.num_ticks, bar.base_asset_volume) for bar in found] == [(1, 7)]
    assert [bar.num_ticks for bar in shown(venue_of(path, dollar_bars=14), "dollar")] == [1]


def test_sums_are_exact(tmp_path: Path) -> None:
    path = trades_of(tmp_path, *(["0.1"] * 30))  # in floats ten of them are less than 1
    assert [bar.num_ticks for bar in shown(venue_of(path, volume_bars=1), "volume")] == [10, 10, 10]
    tiny = trades_of(tmp_path, "99999999999999999999", "0.00000000000000000001", name="ETHUSDT.csv")
    (bar,) = shown(venue_of(tiny, tick_bars=2), "tick")
    assert bar.base_asset_volume == Decimal("99999999999999999999.00000000000000000001")


def test_a_bar_of_trades_is_shown_with_its_last_trade_and_its_open_is_its_first(tmp_path: Path) -> None:
    lines = [f"{NOON + n * 10},{n},buy,{price},1" for n, price in enumerate((5, 9, 2, 7, 8))]
    path = recording(tmp_path, "timestamp,id,side,price,amount", *lines)
    for at, count in [(9, 0), (10, 1), (29, 1), (30, 2), (10**9, 2)]:
        assert len(shown(venue_of(path, at=NOON + at, tick_bars=2), "tick")) == count
    first, second = shown(venue_of(path, tick_bars=2), "tick")
    assert (first.open, first.high, first.low, first.close) == (5, 9, 5, 9)
    assert (second.open, second.time, second.first_timestamp, second.last_timestamp) == (
        2, NOON + 20, NOON + 20, NOON + 30,
    )  # fmt: skip


def test_several_bars_of_one_time_are_all_in_a_page_that_begins_with_it(tmp_path: Path) -> None:
    venue = venue_of(trades_of(tmp_path, *"11111", apart=0), tick_bars=1)
    assert [bar.time for bar in shown(venue, "tick", start=NOON)] == [NOON] * 5
    assert [bar.first_trade_id for bar in shown(venue, "tick", start=NOON, limit=2)] == [100, 101]
    assert shown(venue, "tick", start=NOON + 1) == []


def test_without_a_threshold_the_type_does_not_exist(tmp_path: Path) -> None:
    venue = venue_of(trades_of(tmp_path, "1"), tick_bars=1)
    kinds = {(kind.bar_type, kind.bar_subclass) for kind in venue.bar_types(1, OfKinds(exchange="binance"))}
    assert kinds == {*(("time", name) for name in WIDTHS), ("tick", "dynamic")}
    with pytest.raises(paper.Refusal) as refused:
        shown(venue, "volume")
    assert refused.value.status == 422


# -- settings ------------------------------------------------------------------------------------------

WRONG = [
    *(({"tick_bars": value}, "tick_bars=") for value in (0, -1, 1.5, "7", True)),
    *(({"volume_bars": value}, "volume_bars=") for value in (0, -1, "7", float("nan"), float("inf"), True)),
    *(({"dollar_bars": value}, "dollar_bars=") for value in (0, -0.5, [])),
    ({"volume_in": "both"}, "volume_in='both' is refused: it must be 'base' or 'quote'"),
    ({"volume_in": None}, "volume_in=None is refused"),
]


@pytest.mark.parametrize(("setting", "reason"), WRONG, ids=lambda value: str(value)[:40])
def test_a_setting_that_can_not_be_is_refused_by_name(tmp_path: Path, setting: dict[str, Any], reason: str) -> None:
    path = trades_of(tmp_path, "1")
    for make in (paper.Venue.of, paper.in_process, AsyncMizar.paper):
        with pytest.raises(InvalidInput, match=reason.replace("(", r"\(")):
            make(prices=path, **setting)


@pytest.mark.parametrize("setting", [{"tick_bars": 1}, {"volume_bars": 1}, {"dollar_bars": 1}], ids=str)
def test_bars_of_trades_are_refused_where_there_are_none(tmp_path: Path, setting: dict[str, Any]) -> None:
    path = recording(tmp_path, "timestamp,open,close", f"{NOON},1,1")
    for prices in ({"prices": path}, {}):
        with pytest.raises(InvalidInput, match=f"{next(iter(setting))} is refused: it needs a recording of trades"):
            paper.Venue.of(db=tmp_path / "venue.db", **prices, **setting)
    assert not (tmp_path / "venue.db").exists()


def test_volume_in_is_refused_where_there_is_no_file() -> None:
    with pytest.raises(InvalidInput, match="volume_in='quote' is refused: it is about a file of candles"):
        paper.Venue.of(volume_in="quote")


# -- the simulated feed --------------------------------------------------------------------------------


def test_simulated_bars_are_of_its_prices_at_multiples_of_5_s_of_two_days_before_the_venues_start() -> None:
    now = NOON + 123_456
    venue = paper.Venue(feed=paper.Simulated(seed=3), clock=Hand(now))
    begins = NOON - 12 * 3_600_000 - 2 * 86_400_000
    first, *_ = page = shown(venue)
    assert (first.time, len(page)) == (begins, 500)
    assert shown(venue, start=1)[0] == first
    last = shown(venue, start=now - 3 * MINUTE)[-1]
    assert last.time + MINUTE <= now < last.time + 2 * MINUTE
    for bar in (first, last):
        prices = [venue.feed.price("BTCUSDT", at) for at in range(bar.time, bar.time + MINUTE, 5_000)]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert (bar.first_timestamp, bar.last_timestamp) == (bar.time, bar.time + 55_000)
        assert (bar.first_trade_id, bar.last_trade_id) == (bar.time // 5_000, bar.time // 5_000 + 11)
        assert (bar.num_ticks, bar.num_buy_ticks, bar.num_sell_ticks) == (12, 0, 0)
        assert {getattr(bar, name) for name in FIELDS if name.endswith("_volume")} == {0}


def test_simulated_bars_are_the_same_from_a_venue_that_was_started_at_another_time() -> None:
    one, two = (paper.Venue(feed=paper.Simulated(seed=3), clock=Hand(NOON + late)) for late in (0, 7_777_777))
    assert shown(one, start=NOON - 10 * MINUTE, limit=10) == shown(two, start=NOON - 10 * MINUTE, limit=10)


# -- the clock -----------------------------------------------------------------------------------------


def test_the_clock_of_a_replay_begins_when_it_is_first_asked() -> None:
    waited = Clock(start=NOON, speed=1e9)
    running = Clock(speed=1e9)
    began = running.now()
    while running.now() < began + 10**6:  # so that time passes before it is asked
        pass
    assert waited.now() < NOON + 10**6
    later = waited.now()
    while waited.now() == later:
        pass
    assert waited.now() > later


@pytest.mark.parametrize("call", ["ping", "exchanges", "symbols?exchange=binance", "self-hosted-strategy-info"])
async def test_whichever_call_comes_first_begins_the_time_of_a_replay(tmp_path: Path, call: str) -> None:
    path = recording(tmp_path, "timestamp,open,close", *(f"{NOON + n * MINUTE},5,7" for n in range(3)))
    venue = paper.Venue.of(prices=path, speed=1e7)
    async with client_of(venue, venue.create_key()) as http:
        assert venue.clock._began is None
        await http.get(call)
        assert venue.clock._began is not None


@needs_candles
async def test_at_a_speed_of_ten_million_a_month_is_over_soon_after_the_first_call() -> None:
    venue = paper.Venue.of(prices=CANDLES, speed=1e7, volume_in="quote")
    ask = {"base_asset": "BTC", "quote_asset": "USDT", "bar_subclass": "D"}
    async with client_of(venue, venue.create_key()) as http:
        began = (await http.get("server-time")).json()["server_time"]
        assert began - venue.feed.starts < 86_400_000 * 10  # type: ignore[operator]
        due = time.monotonic() + 0.3
        while time.monotonic() < due:
            pass
        found = (await http.get("bars", params=ask)).json()["bars"]
    assert (len(found), found[-1]["num_ticks"]) == (33, 332)


# -- the calls -----------------------------------------------------------------------------------------


@pytest.fixture
def traded(tmp_path: Path) -> paper.Venue:
    return venue_of(trades_of(tmp_path, "1", "0.00000000000000000001", "1e-7", "3"), tick_bars=1, dollar_bars=5)


async def test_a_bar_has_the_documented_fields_and_all_of_them_are_plain_numbers(traded: paper.Venue) -> None:
    async with client_of(traded, traded.create_key()) as http:
        for kind in ({"bar_type": "time", "bar_subclass": "1min"}, {"bar_type": "tick", "bar_subclass": "dynamic"}):
            answer = await http.get("bars", params={"base_asset": "BTC", "quote_asset": "USDT"} | kind)
            assert answer.headers["content-type"] == "application/json"
            for bar in answer.json()["bars"]:
                assert set(bar) == FIELDS == {field.name for field in attrs.fields(Bar)}
                assert all(type(value) in (int, float) for value in bar.values())
            assert re.findall(r":[^,}\[]*[eE\"]", answer.text) == []
    assert b"0.00000000000000000001" in answer.content


async def test_both_calls_need_a_key(traded: paper.Venue) -> None:
    async with client_of(traded, "nobody's") as http:
        for call in ("bars?base_asset=BTC&quote_asset=USDT", "bar-types?exchange=binance", "bars?limit=0"):
            assert (await http.get(call)).status_code == 401


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 11),
        ({"bar_type": "time"}, 9),
        ({"bar_type": "tick"}, 1),
        ({"bar_type": "volume"}, 0),
        ({"bar_subclass": "dynamic"}, 2),
        ({"bar_subclass": "5min"}, 1),
        ({"bar_type": "tick", "bar_subclass": "5min"}, 0),
        ({"base_asset": "BTC", "quote_asset": "USDT", "bar_subclass": "D"}, 1),
    ],
    ids=str,
)
async def test_kinds_are_filtered_by_what_is_given(traded: paper.Venue, filters: dict[str, str], count: int) -> None:
    async with client_of(traded, traded.create_key()) as http:
        found = (await http.get("bar-types", params={"exchange": "binance"} | filters)).json()["bar_types"]
    assert len(found) == count
    for kind in found:
        assert set(kind) == {"bar_type", "bar_subclass", "base_asset", "quote_asset", "exchange"}
        assert kind.items() >= filters.items()


PAIR = "bars?base_asset=BTC&quote_asset=USDT"


@pytest.mark.parametrize(
    ("call", "place"),
    [
        *((f"{PAIR}&limit={limit}", "limit") for limit in ("0", "501", "-1", "1.5", "x", "", "%201", "1e2", "9" * 30)),
        *(
            (f"{PAIR}&start_timestamp={start}", "start_timestamp")
            for start in ("-1", "1.5", "", "x", 10**15, "9" * 400)
        ),
        (f"{PAIR}&exchange=moon", "exchange"),
        (f"{PAIR}&exchange=", "exchange"),
        (f"{PAIR}&bar_type=range", "bar_type"),
        (f"{PAIR}&bar_type=TIME", "bar_type"),
        (f"{PAIR}&bar_type=time&bar_subclass=dynamic", "bar_subclass"),
        (f"{PAIR}&bar_type=tick&bar_subclass=1min", "bar_subclass"),
        (f"{PAIR}&bar_type=volume&bar_subclass=dynamic", "bar_subclass"),
        (f"{PAIR}&bar_subclass=2H", "bar_subclass"),
        (f"{PAIR}&bar_subclass=d", "bar_subclass"),
        ("bars?base_asset=SOL&quote_asset=USDT", "base_asset"),
        ("bars?base_asset=BTCU&quote_asset=SDT", "base_asset"),
        ("bars?base_asset=btc&quote_asset=USDT", "base_asset"),
        ("bars?base_asset=BTC", "quote_asset"),
        ("bars?quote_asset=USDT", "base_asset"),
        ("bar-types", "exchange"),
        ("bar-types?exchange=moon", "exchange"),
        ("bar-types?exchange=binance&base_asset=SOL", "base_asset"),
        ("bar-types?exchange=binance&quote_asset=EUR", "quote_asset"),
        ("bar-types?exchange=binance&bar_type=", "bar_type"),
        ("bar-types?exchange=binance&bar_type=range", "bar_type"),
        ("bar-types?exchange=binance&bar_subclass=7min", "bar_subclass"),
    ],
)
async def test_what_can_not_be_is_422(traded: paper.Venue, call: str, place: str) -> None:
    async with client_of(traded, traded.create_key()) as http:
        answer = await http.get(call)
    assert answer.status_code == 422
    (found,) = answer.json()["detail"]
    assert found["loc"] == ["query", place]


async def test_a_bar_is_written_once(traded: paper.Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    async with client_of(traded, traded.create_key()) as http:
        first = await http.get(f"{PAIR}&bar_subclass=1min")
        monkeypatch.setattr(bars, "_number", None)
        assert (await http.get(f"{PAIR}&bar_subclass=1min")).content == first.content
