"""A walk over pages gives each bar once and leaves none out, however the server pages."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import InvalidInput, Unavailable

from .bar_server import MINUTE, MINUTES, TICKS, BarServer, bar, minutes

pytestmark = pytest.mark.virtual_time


async def walked(server: BarServer, **ask: object) -> list[tuple[int, int | None]]:
    """Time and first trade of each bar that a walk gives."""
    async with server.client() as mizar:
        return [(one.time, one.first_trade_id) async for one in mizar.market.iter_bars(**ask)]  # type: ignore[arg-type]


def held(server: BarServer) -> list[tuple[int, int]]:
    return [(int(str(one["time"])), int(str(one["first_trade_id"]))) for one in server.bars]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 1234])
async def test_every_bar_comes_once_in_order(count: int) -> None:
    server = BarServer(minutes(range(7, 7 + count)))
    assert await walked(server, **MINUTES) == held(server)


@pytest.mark.parametrize("count", [499, 500, 501, 5_000, 12_345])
async def test_time_bars_of_a_known_span_are_asked_for_eight_pages_at_a_time_with_the_same_result(count: int) -> None:
    server = BarServer(minutes(range(3, 3 + count)))
    assert await walked(server, **MINUTES, start=0, end=(3 + count) * MINUTE) == held(server)
    assert server.most_under_way == min(8, max(1, -(-(count - 500) // 500)))


async def test_a_span_with_an_end_far_away_ends_with_the_bars() -> None:
    server = BarServer(minutes(range(1_200)))
    assert await walked(server, **MINUTES, end=datetime(2099, 1, 1, tzinfo=UTC)) == held(server)
    assert len(server.starts) < 20


async def test_what_lies_in_a_long_gap_is_not_asked_for_page_by_page() -> None:
    server = BarServer(minutes([*range(600), *range(10_000_000, 10_000_600)]))
    assert await walked(server, **MINUTES, end=10_001_000 * MINUTE) == held(server)
    assert len(server.starts) < 25


async def test_start_is_inclusive_and_end_exclusive_in_milliseconds_and_zoned_datetimes() -> None:
    server = BarServer(minutes(range(20)))
    expected = [place * MINUTE for place in range(5, 9)]
    for start, end in (
        (5 * MINUTE, 9 * MINUTE),
        (4 * MINUTE + 1, 8 * MINUTE + 1),
        (datetime(1970, 1, 1, 0, 5, tzinfo=UTC), datetime(1970, 1, 1, 0, 9, tzinfo=UTC)),
        (datetime(1970, 1, 1, 0, 4, 59, 999_999, tzinfo=UTC), datetime(1970, 1, 1, 0, 8, 0, 1, tzinfo=UTC)),
    ):
        assert [time for time, _ in await walked(server, **MINUTES, start=start, end=end)] == expected
    assert await walked(server, **MINUTES, start=5 * MINUTE, end=5 * MINUTE) == []


async def test_tick_bars_that_share_a_time_are_told_apart_by_their_first_trade() -> None:
    times = [1, 1, 1, 2, 3, 3, 3, 3, 3, 9]
    server = BarServer([bar(time, trade * 10) for trade, time in enumerate(times)], largest_page=6)
    assert await walked(server, **TICKS) == held(server)


async def test_a_full_page_that_brings_nothing_new_is_an_error_and_no_end() -> None:
    server = BarServer([bar(5, trade) for trade in range(501)])
    with pytest.raises(Unavailable, match="a full page from time 5 on brings no new bar"):
        await walked(server, **TICKS)


async def test_a_server_that_gives_less_than_it_was_asked_for_loses_nothing() -> None:
    server = BarServer(minutes(range(250)), largest_page=40)
    assert await walked(server, **MINUTES) == held(server)
    assert await walked(server, **MINUTES, end=250 * MINUTE) == held(server)


async def test_a_failure_comes_behind_the_bars_before_it_and_leaves_nothing_under_way() -> None:
    server = BarServer(minutes(range(6_000)))
    came = []
    async with server.client(max_retries=0) as mizar:
        with pytest.raises(Unavailable):
            async for one in mizar.market.iter_bars(**MINUTES, end=6_000 * MINUTE):
                came.append(one.time // MINUTE)
                if len(came) == 700:
                    server.failures = [500] * 20
        assert came == [*range(len(came))]
        assert len(came) >= 700
        assert len(asyncio.all_tasks()) == 1


async def test_who_leaves_early_leaves_nothing_under_way() -> None:
    server = BarServer(minutes(range(20_000)))
    async with server.client() as mizar:
        bars = mizar.market.iter_bars(**MINUTES, end=20_000 * MINUTE)
        async for one in bars:
            if one.time == 600 * MINUTE:
                break
        await bars.aclose()  # type: ignore[attr-defined]
        assert len(asyncio.all_tasks()) == 1
        asked = len(server.starts)
        await asyncio.sleep(5)
        assert len(server.starts) == asked < 14


@given(
    places=st.sets(st.integers(0, 4_000), max_size=400),
    start=st.integers(0, 4_000),
    length=st.integers(0, 4_000),
    page=st.integers(2, 500),
)
def test_the_walk_in_turn_and_the_concurrent_one_are_the_same(
    places: set[int], start: int, length: int, page: int
) -> None:
    async def both() -> None:
        server = BarServer(minutes(sorted(places)), largest_page=page)
        expected = [(p * MINUTE, p) for p in sorted(places) if start <= p < start + length]
        span = {"start": start * MINUTE, "end": (start + length) * MINUTE}
        assert await walked(server, **MINUTES, **span) == expected
        assert await walked(server, **(MINUTES | {"bar_subclass": "2h"}), **span) == expected

    asyncio.run(both())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"start": datetime(2022, 1, 1)}, "start="),
        ({"end": datetime(2022, 1, 1)}, "end="),
        ({"start": 10, "end": 9}, "end=9 is refused: it must not be before start"),
        ({"start": -1}, "start=-1"),
        ({"start": 1.5}, "start=1.5"),
        ({"start": True}, "start=True"),
        ({"start": "2022-01-01"}, "start='2022-01-01'"),
        ({"base_asset": ""}, "base_asset=''"),
        ({"bar_type": None}, "bar_type=None"),
    ],
)
async def test_what_cannot_be_right_is_refused_before_anything_is_sent(wrong: dict[str, object], said: str) -> None:
    server = BarServer(minutes(range(3)))
    with pytest.raises(InvalidInput, match=said):
        await walked(server, **(MINUTES | wrong))
    assert server.starts == []


@pytest.mark.parametrize("limit", [0, 501, True, 1.0, "5", None])
async def test_a_limit_that_no_page_has_is_refused(limit: object) -> None:
    server = BarServer(minutes(range(3)))
    async with server.client() as mizar:
        with pytest.raises(InvalidInput, match="from 1 to 500"):
            await mizar.market.bars(**MINUTES, limit=limit)  # type: ignore[arg-type]
    assert server.starts == []
