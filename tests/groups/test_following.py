"""Bars as they come: each soon after it is over by the server's clock, without gaps or repeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from mizar_async import Bar, Unavailable

from .bar_server import MINUTE, MINUTES, TICKS, BarServer, bar, minutes

pytestmark = pytest.mark.virtual_time

BEGAN = 1_000 * MINUTE + 17_000


def live(bars: list[dict[str, object]], *, speed: float = 1.0, **settings: object) -> BarServer:
    """A server whose clock runs from 17 s behind minute 1000 on."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    return BarServer(bars, now=lambda: BEGAN + (loop.time() - start) * 1000 * speed, **settings)  # type: ignore[arg-type]


async def taken(bars: AsyncIterator[Bar], count: int, server: BarServer) -> list[tuple[int, float]]:
    """Minute and lateness in seconds, by the server's clock, of the next bars."""
    came = []
    async with aclosing(bars) as open_bars:  # type: ignore[type-var]
        async for one in open_bars:
            came.append((one.time // MINUTE, (server.now() - one.time - MINUTE) / 1000))
            if len(came) == count:
                break
    return came


@pytest.mark.parametrize("shows_unfinished", [True, False])
async def test_each_bar_comes_soon_after_it_is_over_and_never_before(shows_unfinished: bool) -> None:
    server = live(minutes(range(990, 2_000)), shows_unfinished=shows_unfinished)
    async with server.client() as mizar:
        came = await taken(mizar.market.iter_bars(**MINUTES, start=998 * MINUTE, follow=True), 6, server)
    assert [minute for minute, _ in came] == [998, 999, 1000, 1001, 1002, 1003]
    assert all(0 <= late < 0.2 for _, late in came[2:])
    assert len(server.starts) + server.times_asked < 30


async def test_history_comes_first_and_is_asked_for_concurrently() -> None:
    server = live(minutes(range(0, 1_100)))
    server.now = lambda: 1_100 * MINUTE
    async with server.client() as mizar:
        came = await taken(mizar.market.iter_bars(**MINUTES, follow=True), 1_100, server)
    assert [minute for minute, _ in came] == [*range(1_100)]
    assert server.most_under_way == 2


async def test_a_clock_that_runs_much_faster_than_ours_is_kept_up_with() -> None:
    server = live(minutes(range(990, 3_000)), speed=600)
    async with server.client() as mizar:
        came = await taken(mizar.market.iter_bars(**MINUTES, start=999 * MINUTE, follow=True), 40, server)
    assert [minute for minute, _ in came] == [*range(999, 1_039)]
    assert all(0 <= late < 30 for _, late in came[-20:])  # that is a twentieth of a second of ours


async def test_an_interval_without_a_bar_is_passed_over_without_a_storm_of_questions() -> None:
    server = live(minutes([999, 1_004]))
    async with server.client() as mizar:
        came = await taken(mizar.market.iter_bars(**MINUTES, start=999 * MINUTE, follow=True), 2, server)
    assert [minute for minute, _ in came] == [999, 1_004]
    assert came[1][1] < 0.2
    assert len(server.starts) < 80


async def test_a_bar_that_is_shown_late_comes_as_soon_as_it_is_shown() -> None:
    server = live(minutes([999]))
    asyncio.get_running_loop().call_later(46, lambda: server.bars.append(bar(1_000 * MINUTE)))  # 3 s late
    async with server.client() as mizar:
        came = await taken(mizar.market.iter_bars(**MINUTES, start=999 * MINUTE, follow=True), 2, server)
    assert [minute for minute, _ in came] == [999, 1_000]
    assert 3 <= came[1][1] < 6


async def test_it_ends_with_the_last_bar_before_its_end() -> None:
    server = live(minutes(range(990, 2_000)))
    async with server.client() as mizar:
        bars = mizar.market.iter_bars(**MINUTES, start=999 * MINUTE, end=1_002 * MINUTE, follow=True)
        assert [one.time // MINUTE async for one in bars] == [999, 1_000, 1_001]
        past = mizar.market.iter_bars(**MINUTES, start=990 * MINUTE, end=992 * MINUTE, follow=True)
        assert [one.time // MINUTE async for one in past] == [990, 991]


async def test_bars_of_ticks_end_with_the_first_that_begins_at_the_end_or_later() -> None:
    server = live([bar(BEGAN, 0), bar(BEGAN + 5, 10)])
    asyncio.get_running_loop().call_later(10, lambda: server.bars.append(bar(BEGAN + 9_000, 20)))
    async with server.client() as mizar:
        bars = mizar.market.iter_bars(**TICKS, end=BEGAN + 8_000, follow=True)
        assert [one.first_trade_id async for one in bars] == [0, 10]
    assert 10 <= asyncio.get_running_loop().time() < 13


async def test_a_read_that_fails_is_made_again_and_in_the_end_an_error() -> None:
    server = live(minutes(range(990, 2_000)))
    async with server.client() as mizar:
        bars = mizar.market.iter_bars(**MINUTES, start=999 * MINUTE, follow=True)
        first = await anext(aiter(bars))
        server.failures = [503, 503]
        assert (first.time // MINUTE, (await anext(aiter(bars))).time // MINUTE) == (999, 1_000)
        server.failures = [503] * 100
        with pytest.raises(Unavailable):
            await anext(aiter(bars))


async def test_it_ends_with_its_caller() -> None:
    server = live(minutes(range(990, 1_001)))
    async with server.client() as mizar:

        async def bot() -> None:
            async for _ in mizar.market.iter_bars(**MINUTES, start=999 * MINUTE, follow=True):
                pass

        task = asyncio.create_task(bot())
        await asyncio.sleep(200)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        asked = len(server.starts)
        await asyncio.sleep(200)
        assert len(server.starts) == asked


async def test_bars_of_ticks_come_within_a_second_of_being_shown() -> None:
    server = live([bar(BEGAN - 5, 0), bar(BEGAN - 5, 10)])
    asyncio.get_running_loop().call_later(10, lambda: server.bars.extend([bar(BEGAN - 5, 20), bar(BEGAN + 9_000, 30)]))
    came = []
    async with server.client() as mizar, aclosing(mizar.market.iter_bars(**TICKS, follow=True)) as bars:  # type: ignore[type-var]
        async for one in bars:
            came.append((one.first_trade_id, asyncio.get_running_loop().time()))
            if len(came) == 4:
                break
    assert [trade for trade, _ in came] == [0, 10, 20, 30]
    assert came[3][1] - came[0][1] < 11.1
