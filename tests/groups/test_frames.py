"""Bars as data frames, and what is kept of them on disk."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mizar_async import AsyncMizar, Bar, InvalidInput
from mizar_async._api.codec import read
from mizar_async._api.endpoints import BARS_OF_FLOATS
from mizar_async._groups.frames import table
from mizar_sync import Mizar
from tests.venues import ROOT, RunningVenue, running_venue

from .bar_server import BTC, MINUTE, MINUTES, TICKS, BarServer, bar, minutes

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pytest.importorskip("pyarrow")


def opens(frame: Any) -> list[int]:
    """The minutes of a frame's rows, which the prices tell as well."""
    places = [int(moment.timestamp() * 1000) // MINUTE for moment in frame.index]
    assert [int(price) for price in frame["open"]] == places
    return places


# -- the frame


async def test_pandas_has_a_zoned_index_and_every_field_of_a_bar() -> None:
    async with BarServer(minutes(range(1_200))).client() as mizar:
        frame = await mizar.market.bars_frame(**MINUTES)
    assert (frame.index.name, str(frame.index.tz)) == ("time", "UTC")
    assert list(frame.columns) == [field for field in Bar.__annotations__ if field != "time"]
    assert opens(frame) == [*range(1_200)]
    assert {str(frame[name].dtype) for name in ("open", "high", "low", "close", "base_asset_volume")} == {"float64"}
    assert str(frame["first_trade_id"].dtype) == "int64"


async def test_polars_has_a_zoned_column_in_front() -> None:
    async with BarServer(minutes(range(700))).client() as mizar:
        frame = await mizar.market.bars_frame(**MINUTES, backend="polars")
    assert frame.columns == list(Bar.__annotations__)
    assert (frame.schema["time"], frame.schema["open"]) == (pl.Datetime("ms", "UTC"), pl.Float64)
    assert frame["first_trade_id"].to_list() == [*range(700)]


@pytest.mark.parametrize("backend", ["pandas", "polars"])
async def test_without_bars_it_is_empty_and_has_the_same_columns(backend: Any) -> None:
    async with BarServer([]).client() as mizar:
        frame = await mizar.market.bars_frame(**MINUTES, backend=backend)
    assert len(frame) == 0
    assert len(frame.columns) == (17 if backend == "pandas" else 18)


async def test_what_the_server_gave_no_number_for_is_missing() -> None:
    server = BarServer([bar(0, 0, close="NaN"), bar(MINUTE, 1), bar(2 * MINUTE, 2, first_trade_id=None)])
    async with server.client() as mizar:
        frame = await mizar.market.bars_frame(**MINUTES)
    assert frame["close"].isna().tolist() == [True, False, False]
    assert frame["first_trade_id"].isna().tolist() == [False, False, True]


def test_bars_of_2021_are_read_too() -> None:
    old = bar(0, 0, close="0", base_asset_volume="7.5", id=1) | {"time": "2018-04-17 04:02:00+00:00"}
    [row] = table(read(BARS_OF_FLOATS, json.dumps({"bars": [old]}).encode())).to_pylist()
    assert (row["time"].isoformat(), row["close"], row["base_asset_volume"]) == ("2018-04-17T04:02:00+00:00", None, 7.5)


async def test_it_gives_no_bar_that_is_not_over_by_the_servers_clock() -> None:
    server = BarServer(minutes(range(100)), now=lambda: 50 * MINUTE + 59_999)
    async with server.client() as mizar:
        assert opens(await mizar.market.bars_frame(**MINUTES)) == [*range(50)]
        assert opens(await mizar.market.bars_frame(**MINUTES, start=40 * MINUTE, end=60 * MINUTE)) == [*range(40, 50)]


@pytest.mark.parametrize("wrong", ["numpy", None, 1])
async def test_another_kind_of_frame_is_refused(wrong: Any) -> None:
    async with BarServer([]).client() as mizar:
        with pytest.raises(InvalidInput, match="it must be 'pandas' or 'polars'"):
            await mizar.market.bars_frame(**MINUTES, backend=wrong)


def test_without_the_extra_it_says_which_is_missing() -> None:
    code = """
import importlib.util, asyncio
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("pyarrow", "polars") else real(name, *rest)
from mizar_async import AsyncMizar
for backend in ("pandas", "polars"):
    try:
        asyncio.run(AsyncMizar("k").market.bars_frame(base_asset="BTC", quote_asset="USDT", backend=backend))
    except ImportError as missing:
        print(missing)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "bars_frame needs pyarrow, which is missing: pip install 'mizar[frames]'\n" * 2


# -- the cache


def server_at(now: int, *places: range) -> BarServer:
    return BarServer(minutes([place for places_ in places for place in places_]), now=lambda: now * MINUTE)


async def framed(server: BarServer, cache: Path, **span: Any) -> list[int]:
    """The minutes of a frame; the server's memory holds only what was asked for it."""
    server.starts.clear()
    server.times_asked = 0
    async with server.client() as mizar:
        return opens(await mizar.market.bars_frame(**MINUTES, cache=cache, **span))


async def test_only_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    server = server_at(5_000, range(5_000))
    middle = {"start": 2_000 * MINUTE, "end": 3_000 * MINUTE}
    assert await framed(server, tmp_path, **middle) == [*range(2_000, 3_000)]
    assert await framed(server, tmp_path, **middle) == [*range(2_000, 3_000)]
    assert server.starts == []
    within = {"start": 2_100 * MINUTE, "end": 2_200 * MINUTE}
    assert await framed(server, tmp_path, **within) == [*range(2_100, 2_200)]
    assert server.starts == []

    wider = {"start": 1_500 * MINUTE, "end": 3_500 * MINUTE}
    assert await framed(server, tmp_path, **wider) == [*range(1_500, 3_500)]
    assert all(not 2_000 * MINUTE <= start < 3_000 * MINUTE for start in server.starts)

    elsewhere = {"start": 4_500 * MINUTE, "end": 4_600 * MINUTE}
    assert await framed(server, tmp_path, **elsewhere) == [*range(4_500, 4_600)]
    assert all(start >= 4_500 * MINUTE for start in server.starts)
    assert await framed(server, tmp_path) == [*range(5_000)]
    assert all(not 1_500 * MINUTE <= start < 3_500 * MINUTE for start in server.starts)
    assert all(not 4_500 * MINUTE <= start < 4_600 * MINUTE for start in server.starts)


async def test_what_came_since_is_added_and_what_was_not_over_is_asked_for_again(tmp_path: Path) -> None:
    server = server_at(100, range(200))
    assert await framed(server, tmp_path) == [*range(100)]
    server.now = lambda: 103 * MINUTE + 30_000
    assert await framed(server, tmp_path) == [*range(103)]
    assert server.starts == [99 * MINUTE + 1]
    server.now = lambda: 103 * MINUTE + 59_999
    assert await framed(server, tmp_path) == [*range(103)]
    assert min(server.starts) > 102 * MINUTE
    assert await framed(server, tmp_path, start=90 * MINUTE) == [*range(90, 103)]
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


async def test_gaps_are_known_once_something_behind_them_was_seen(tmp_path: Path) -> None:
    server = server_at(5_000, range(100), range(4_000, 4_100))
    assert await framed(server, tmp_path, end=4_050 * MINUTE) == [*range(100), *range(4_000, 4_050)]
    assert await framed(server, tmp_path, start=0, end=3_000 * MINUTE) == [*range(100)]
    assert server.starts == []


async def test_a_bar_that_was_listed_late_is_not_lost(tmp_path: Path) -> None:
    server = server_at(100, range(95))
    assert await framed(server, tmp_path) == [*range(95)]
    server.bars += minutes(range(95, 100))
    assert await framed(server, tmp_path) == [*range(100)]


async def test_tick_bars_that_share_a_time_with_the_last_one_are_not_lost(tmp_path: Path) -> None:
    server = BarServer([bar(time, trade) for trade, time in enumerate([5, 5, 7, 9, 9])])

    async def trades(**span: int) -> list[int]:
        async with server.client() as mizar:
            frame = await mizar.market.bars_frame(**TICKS, cache=tmp_path, **span)  # type: ignore[arg-type]
        return [int(trade) for trade in frame["first_trade_id"]]

    assert await trades() == [0, 1, 2, 3, 4]
    server.bars += [bar(time, trade) for trade, time in enumerate([9, 9, 12], 5)]
    server.starts.clear()
    assert await trades() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert min(server.starts) == 9
    assert await trades(start=6, end=12) == [2, 3, 4, 5, 6]


async def test_kinds_pairs_exchanges_and_servers_have_files_of_their_own(tmp_path: Path) -> None:
    server = server_at(100, range(10))
    async with server.client() as mizar:
        for ask in (
            MINUTES,
            MINUTES | {"bar_subclass": "3min"},
            MINUTES | {"exchange": "../.."},
            MINUTES | {"base_asset": "B/TC"},
            TICKS,
        ):
            await mizar.market.bars_frame(**ask, cache=tmp_path / "cache")
    other = AsyncMizar("another-key", api_url="http://localhost", transport=mizar._view.channel.transport)
    await other.market.bars_frame(**MINUTES, cache=tmp_path / "cache")
    assert len({file.parent for file in tmp_path.rglob("*.parquet")}) == 6
    assert [entry.name for entry in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "text", "renamed"])
async def test_a_broken_file_is_replaced_and_named_in_one_warning(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_at(2_000, range(2_000))
    everything = await framed(server, tmp_path, end=1_500 * MINUTE)
    [file] = tmp_path.rglob("*.parquet")
    body = file.read_bytes()
    if damage == "renamed":
        file = file.rename(file.with_name(f"{7 * MINUTE}-{1_500 * MINUTE}.parquet"))
    else:
        flipped = bytearray(body)
        flipped[len(body) // 3] ^= 0xFF
        file.write_bytes({"cut": body[: len(body) // 2], "empty": b"", "flipped": bytes(flipped), "text": b"?"}[damage])
    with caplog.at_level(logging.WARNING):
        assert await framed(server, tmp_path, end=1_500 * MINUTE) == everything
    assert [file.name in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    assert await framed(server, tmp_path, end=1_500 * MINUTE) == everything
    assert (server.starts, caplog.records) == ([], [])


async def test_a_folder_that_cannot_be_used_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    server = server_at(10, range(10))
    async with server.client() as mizar:
        for wrong in (tmp_path / "file", 7, b"bytes"):
            with pytest.raises(InvalidInput, match="cache"):
                await mizar.market.bars_frame(**MINUTES, cache=wrong)  # type: ignore[arg-type]
    assert (server.starts, server.times_asked) == ([], 0)


async def test_a_failed_read_keeps_what_was_complete_before_and_nothing_else(tmp_path: Path) -> None:
    server = server_at(3_000, range(3_000))
    await framed(server, tmp_path, start=1_000 * MINUTE, end=1_100 * MINUTE)
    server.failures = [503] * 1_000
    async with server.client(max_retries=0) as mizar:
        with pytest.raises(Exception, match="503"):
            await mizar.market.bars_frame(**MINUTES, cache=tmp_path)
    server.failures = []
    assert await framed(server, tmp_path) == [*range(3_000)]


@pytest.mark.virtual_time
async def test_the_files_stay_few_and_each_of_them_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mizar_async._groups import bar_cache

    monkeypatch.setattr(bar_cache, "_FULL", 100)
    shelf = bar_cache.Shelf(tmp_path, AsyncMizar("key")._view.channel, _ask())
    shelf.read(0, None)
    for place in range(0, 1_000, 10):
        bars = [Bar(moment * MINUTE) for moment in range(place, place + 10)]
        shelf.keep(place * MINUTE, (place + 10) * MINUTE, table(bars))
    spans = shelf.read(0, None)
    assert sum(len(span.bars) for span in spans) == 1_000
    assert len(list(tmp_path.rglob("*.parquet"))) == len(spans) == 10
    assert not list(tmp_path.rglob("*.tmp"))


def _ask() -> Any:
    from mizar_async._api.market import OfBars

    return OfBars(**MINUTES)


# -- several processes, blocking code

READER = """
import json, random, sys
from mizar_sync import Mizar
url, key, cache, seed, last = sys.argv[1:]
chance = random.Random(seed)
with Mizar(key, api_url=url) as mizar:
    for _ in range(6):
        start, length = chance.randrange(int(last)), chance.randrange(1, 4000)
        span = {"start": FIRST + start * 60_000, "end": FIRST + (start + length) * 60_000}
        frame = mizar.market.bars_frame(base_asset="BTC", quote_asset="USDT", bar_subclass="1min", cache=cache, **span)
        expected = list(range(start, min(start + length, int(last))))
        found = [(int(moment.timestamp() * 1000) - FIRST) // 60_000 for moment in frame.index]
        assert found == expected, (len(found), len(expected))
    frame = mizar.market.bars_frame(base_asset="BTC", quote_asset="USDT", bar_subclass="1min", cache=cache)
    print(json.dumps(len(frame)))
"""
FIRST = 1_640_995_200_000


@pytest.fixture
async def recorded(tmp_path: Path) -> Any:
    """A venue whose recording has 6,000 minutes, all over."""
    rows = "".join(f"{FIRST + minute * MINUTE},{100 + minute},{100 + minute}\n" for minute in range(6_000))
    (tmp_path / "BTCUSDT.csv").write_text(f"timestamp,open,close\n{rows}")
    async with running_venue(prices=tmp_path / "BTCUSDT.csv", speed=1e9) as venue:
        async with AsyncMizar(venue.key, api_url=venue.url) as mizar:
            await mizar.server_time()
            while await mizar.server_time() < FIRST + 6_001 * MINUTE:
                await asyncio.sleep(0.01)
        yield venue


async def test_four_processes_on_one_folder_lose_and_double_nothing(recorded: RunningVenue, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    code = READER.replace("FIRST", str(FIRST))
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, recorded.url, recorded.key, str(cache), str(seed), "6000"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        for seed in range(4)
    ]
    said = await asyncio.wait_for(asyncio.gather(*(process.communicate() for process in processes)), 120)
    assert [error.decode() for _, error in said] == [""] * 4
    assert [json.loads(out) for out, _ in said] == [6_000] * 4
    assert not list(cache.rglob("*.tmp"))


async def test_blocking_code_gets_the_same_frame(recorded: RunningVenue, tmp_path: Path) -> None:
    def blocking() -> Any:
        with Mizar(recorded.key, api_url=recorded.url) as mizar:
            return mizar.market.bars_frame(**BTC, bar_subclass="1H", cache=tmp_path / "cache")

    async with AsyncMizar(recorded.key, api_url=recorded.url) as mizar:
        ours = await mizar.market.bars_frame(**BTC, bar_subclass="1H")
    pd.testing.assert_frame_equal(await asyncio.to_thread(blocking), ours)
