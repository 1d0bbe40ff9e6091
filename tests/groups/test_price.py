"""The last price that is known: the close of the last minute that is over."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mizar_async import InvalidInput, Unavailable

from .bar_server import BTC, MINUTE, BarServer, bar, minutes

pytestmark = pytest.mark.virtual_time

NOW = 30_000_000 * MINUTE + 17_000
LAST = NOW // MINUTE - 1  # the last minute that is over


async def price(server: BarServer, **ask: object) -> Decimal:
    async with server.client() as mizar:
        return await mizar.market.price(**(BTC | ask))  # type: ignore[arg-type]


async def test_it_is_the_close_of_the_last_minute_that_is_over_exactly() -> None:
    server = BarServer([*minutes(range(LAST - 10, LAST)), bar(LAST * MINUTE, close=0.1), bar((LAST + 1) * MINUTE)])
    server.now = lambda: NOW
    assert await price(server) == Decimal("0.1")
    assert (server.times_asked, len(server.starts)) == (1, 1)


@pytest.mark.parametrize("age", [1, 4, 5])
async def test_a_minute_without_trades_leaves_the_price_of_the_one_before(age: int) -> None:
    server = BarServer(minutes(range(LAST - 100, LAST - age + 1)), now=lambda: NOW)
    assert await price(server, max_age=age * 60 + 17) == LAST - age + Decimal("0.5")


@pytest.mark.parametrize("count", [1, 499, 500, 501, 3_000])
async def test_one_that_ended_longer_ago_is_refused_with_its_time(count: int) -> None:
    # 2023-06-15 12:00 UTC, years before the server's clock
    server = BarServer(minutes(range(28_113_840 - count, 28_113_840)), now=lambda: NOW)
    with pytest.raises(Unavailable, match=r"within max_age=300 s: its last minute ended at 2023-06-15 12:00 UTC"):
        await price(server)
    assert len(server.starts) < 30
    assert await price(server, max_age=10**9) == Decimal("28113839.5")


async def test_one_second_decides() -> None:
    server = BarServer(minutes([LAST - 5]), now=lambda: NOW)  # it ended 317 s ago
    assert await price(server, max_age=317)
    with pytest.raises(Unavailable, match="its last minute ended"):
        await price(server, max_age=316.9)


async def test_without_any_bar_it_says_so() -> None:
    with pytest.raises(Unavailable, match="no price of BTC/USDT within max_age=300 s: the server has no bar of it"):
        await price(BarServer([], now=lambda: NOW))
    with pytest.raises(Unavailable, match="the server has no bar of it"):  # but an unfinished one
        await price(BarServer(minutes([LAST + 1]), now=lambda: NOW))


async def test_a_close_that_is_none_is_no_price() -> None:
    with pytest.raises(Unavailable, match="and has no price"):
        await price(BarServer([bar(LAST * MINUTE, close="NaN")], now=lambda: NOW))


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "300", None, True])
async def test_an_age_that_is_none_is_refused(wrong: object) -> None:
    server = BarServer([], now=lambda: NOW)
    with pytest.raises(InvalidInput, match="max_age="):
        await price(server, max_age=wrong)
    assert server.times_asked == 0
