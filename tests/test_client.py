"""The client against a real venue over real HTTP."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from mizar_async import (
    AsyncMizar,
    BulkResult,
    Conflict,
    InvalidInput,
    NotFound,
    NotSent,
    OpenPosition,
    Position,
    Refused,
    WrongKey,
    partial_result,
)

from .conftest import KEY
from .venues import RunningVenue

BTC = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}


def opens(number: int, **changes: object) -> list[OpenPosition]:
    return [OpenPosition(**BTC | changes) for _ in range(number)]  # type: ignore[arg-type]


async def test_a_position_is_opened_listed_and_closed(mizar: AsyncMizar, venue: RunningVenue) -> None:
    position = await mizar.open_position(**BTC, size=0.3)
    assert (position.size, position.symbol, position.strategy_id) == (Decimal("0.3"), "BTCUSDT", 1)
    assert await mizar.get_all_open_positions(strategy_id=1) == [position]
    closed = await mizar.close_position(position_id=position.position_id)
    assert closed.position_id == position.position_id
    assert closed.return_pct is not None
    assert not venue.open_positions()


async def test_closing_twice_is_a_conflict(mizar: AsyncMizar) -> None:
    position = await mizar.open_position(**BTC)
    await mizar.close_position(position_id=position.position_id)
    with pytest.raises(Conflict):
        await mizar.close_position(position_id=position.position_id)


async def test_what_belongs_to_another_key_is_not_found(mizar: AsyncMizar, venue: RunningVenue) -> None:
    position = await mizar.open_position(**BTC)
    async with AsyncMizar(venue.venue.create_key(), api_url=venue.url) as stranger:
        with pytest.raises(NotFound):
            await stranger.close_position(position_id=position.position_id)
        with pytest.raises(NotFound):
            await stranger.get_all_open_positions(strategy_id=1)
        with pytest.raises(NotFound):
            await stranger.open_position(**BTC)
    assert len(venue.open_positions()) == 1


async def test_a_wrong_key_is_told_so(venue: RunningVenue) -> None:
    async with AsyncMizar(KEY, api_url=venue.url) as mizar:
        with pytest.raises(WrongKey) as wrong:
            await mizar.get_all_self_hosted_strategies_info()
        assert KEY not in str(wrong.value)


async def test_close_all_closes_one_pair_or_everything(mizar: AsyncMizar, venue: RunningVenue) -> None:
    await mizar.open_positions(opens(3) + opens(2, base_asset="ETH"))
    closed = await mizar.close_all_positions(strategy_id=1, base_asset="ETH", quote_asset="USDT")
    assert {position.symbol for position in closed} == {"ETHUSDT"}
    assert len(await mizar.close_all_positions(strategy_id=1, verify=True)) == 3
    assert await mizar.close_all_positions(strategy_id=1) == []
    assert not venue.open_positions()


async def test_general_calls_answer(mizar: AsyncMizar, venue: RunningVenue) -> None:
    await mizar.ping()
    assert abs(await mizar.server_time() - venue.venue.clock.now()) < 5_000
    assert [exchange.name for exchange in await mizar.get_exchanges()] == ["binance"]
    assert "BTCUSDT" in {symbol.symbol for symbol in await mizar.get_symbols(exchange="binance", market="SPOT")}
    assert [strategy.name for strategy in await mizar.get_all_self_hosted_strategies_info()] == ["Tests"]


async def test_a_view_shares_everything_but_its_options(mizar: AsyncMizar) -> None:
    view = mizar.with_options(timeout=1, max_retries=0)
    position = await view.open_position(**BTC)
    await mizar.close_position(position_id=position.position_id)
    assert repr(view) == repr(mizar)
    with pytest.raises(InvalidInput, match="timeout=0"):
        mizar.with_options(timeout=0)
    with pytest.raises(InvalidInput, match="36"):
        mizar.with_options(resend_absent=True, listing_lag=1, deadline=35)


async def test_a_bulk_gives_one_outcome_for_each_request_in_their_order(mizar: AsyncMizar, venue: RunningVenue) -> None:
    requests = opens(20) + opens(1, base_asset="DOGE") + opens(20, is_long=False)
    seen: list[tuple[int, int | None]] = []
    result = await mizar.open_positions(
        requests, max_concurrency=8, on_progress=lambda done, of: seen.append((done, of))
    )
    assert [outcome.request for outcome in result.outcomes] == requests
    assert result.counts == {"done": 40, "refused": 1, "not done": 0, "unknown": 0}
    assert [outcome.index for outcome in result.failed] == [20]
    assert seen[-1] == (41, 41)
    assert len(venue.open_positions()) == 40
    assert repr(result).startswith("<BulkResult 41 requests: 40 done, 1 refused, ")
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(result)
    with pytest.raises(ExceptionGroup) as group:
        result.raise_for_failures()
    assert [type(error).__mro__[1] for error in group.value.exceptions] == [Refused]


async def test_a_bulk_close_closes_all_and_says_what_was_closed_before(mizar: AsyncMizar, venue: RunningVenue) -> None:
    opened = await mizar.open_positions(opens(30))
    ids = [position.position_id for position in opened.succeeded]
    closed = await mizar.close_positions(ids + ids[:1], max_concurrency=1)
    assert closed.counts == {"done": 30, "refused": 1, "not done": 0, "unknown": 0}
    assert not venue.open_positions()


async def test_a_collection_is_checked_whole_before_anything_is_sent(mizar: AsyncMizar, venue: RunningVenue) -> None:
    with pytest.raises(InvalidInput, match="request 2"):
        await mizar.open_positions([*opens(2), "BTC"])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="request 1"):
        await mizar.close_positions([1, True])
    assert not venue.positions()


async def test_a_bad_item_of_a_stream_becomes_an_outcome(mizar: AsyncMizar) -> None:
    outcomes = [outcome async for outcome in mizar.stream_open_positions(iter([*opens(2), None]))]  # type: ignore[list-item]
    assert sorted(outcome.status for outcome in outcomes) == ["done", "done", "refused"]


async def test_a_stream_takes_async_iterators_and_reads_no_more_than_it_needs(mizar: AsyncMizar) -> None:
    asked = 0

    async def endless() -> object:
        nonlocal asked
        while True:
            asked += 1
            yield OpenPosition(**BTC)

    taken = 0
    stream = mizar.stream_open_positions(endless(), max_concurrency=4)  # type: ignore[arg-type]
    async for _ in stream:
        taken += 1
        if taken == 20:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    assert asked <= 20 + 4 + 4 + 2
    handed = {position.position_id for position in mizar.unclaimed_positions(1)}
    held = {position.position_id for position in await mizar.get_all_open_positions(strategy_id=1)}
    assert len(held - handed) == 20


async def test_what_the_source_raises_leaves_with_the_partial_result(mizar: AsyncMizar) -> None:
    async def failing() -> object:
        for request in opens(5):
            yield request
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke") as broken:
        await mizar.open_positions(failing(), max_concurrency=2)  # type: ignore[arg-type]
    result = partial_result(broken.value)
    assert result is not None
    assert len(result.outcomes) == 5


async def test_stop_on_error_starts_no_more(mizar: AsyncMizar, venue: RunningVenue) -> None:
    requests = opens(3) + opens(1, base_asset="DOGE") + opens(10)
    result = await mizar.open_positions(requests, max_concurrency=1, stop_on_error=True)
    assert result.counts == {"done": 3, "refused": 1, "not done": 10, "unknown": 0}
    assert result.not_done == requests[4:]
    assert len(venue.open_positions()) == 3


async def test_a_deadline_of_the_bulk_gives_back_what_it_did_not_reach(mizar: AsyncMizar, venue: RunningVenue) -> None:
    result = await mizar.open_positions(opens(5_000), max_concurrency=2, deadline=0.3)
    counts = result.counts
    assert counts["not done"] > 0
    assert counts["done"] + counts["not done"] + counts["unknown"] == 5_000
    assert len(venue.positions()) <= counts["done"] + counts["unknown"]


async def test_a_cancelled_bulk_keeps_what_there_is(mizar: AsyncMizar, venue: RunningVenue) -> None:
    kept: BulkResult[OpenPosition, Position] = BulkResult()
    with pytest.raises(TimeoutError) as cut:
        async with asyncio.timeout(0.2):
            await mizar.open_positions(opens(5_000), max_concurrency=4, into=kept)
    assert partial_result(cut.value) is kept
    assert len(kept.outcomes) == 5_000
    assert len(kept.succeeded) == len(venue.positions())
    assert not mizar.unresolved()


async def test_the_guard_closes_what_was_opened_inside_however_the_block_ends(
    mizar: AsyncMizar, venue: RunningVenue
) -> None:
    before = await mizar.open_position(**BTC)
    with pytest.raises(RuntimeError, match="the bot broke"):
        async with mizar.closing_positions(1):
            await mizar.open_positions(opens(5))
            raise RuntimeError("the bot broke")
    assert [position.position_id for position in venue.open_positions()] == [before.position_id]
    await mizar.open_position(**BTC)


async def test_the_guard_closes_when_its_block_is_cancelled(mizar: AsyncMizar, venue: RunningVenue) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit, mizar.closing_positions(1):
            await mizar.open_positions(opens(5))
            limit.reschedule(asyncio.get_running_loop().time())
            await asyncio.Event().wait()
    assert len(venue.closed_positions()) == 5


async def test_flatten_shuts_the_door_closes_everything_and_reports(mizar: AsyncMizar, venue: RunningVenue) -> None:
    await mizar.open_positions(opens(10))
    async with AsyncMizar(venue.key, api_url=venue.url) as other:
        report = await mizar.flatten(1)
        assert len(report.closed) == 10
        for client in (mizar, other):
            with pytest.raises(NotSent, match=r"resume\(1\)"):
                await client.open_position(**BTC)
        mizar.resume(1)
        await other.open_position(**BTC)
    assert len(venue.open_positions()) == 1


async def test_flatten_all_flattens_every_strategy(mizar: AsyncMizar, venue: RunningVenue) -> None:
    await mizar.create_self_hosted_strategy(
        name="Second", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
    )
    await mizar.open_positions(opens(3) + opens(4, strategy_id=2))
    report = await mizar.flatten_all()
    assert (report.strategy_ids, len(report.closed)) == ((1, 2), 7)
    assert not venue.open_positions()


async def test_reconcile_sorts_by_who_knows_of_a_position(mizar: AsyncMizar) -> None:
    first, second = await mizar.open_position(**BTC), await mizar.open_position(**BTC)
    found = await mizar.reconcile(1, [first, 999])
    assert (found.matched, found.gone, found.unknown, found.in_doubt) == ([first], [999], [second], [])


async def test_a_position_that_no_call_owns_is_reported_once(mizar: AsyncMizar, venue: RunningVenue) -> None:
    reported: list[Position] = []
    async with AsyncMizar(venue.key, api_url=venue.url, on_unclaimed=reported.append) as watching:
        await watching.open_position(**BTC)
        import httpx

        async with httpx.AsyncClient(headers={"mizar-api-key": venue.key}) as by_hand:
            await by_hand.post(f"{venue.url}/api/v1/open-position", json=BTC)
        for _ in range(2):
            await watching.get_all_open_positions(strategy_id=1)
        assert [position.position_id for position in watching.unclaimed_positions(1)] == [2]
    assert [position.position_id for position in reported] == [2]


async def test_paper_is_one_line_and_says_so() -> None:
    async with AsyncMizar.paper(seed=7) as mizar:
        assert repr(mizar) == "<AsyncMizar paper in-process>"
        strategy = await mizar.create_self_hosted_strategy(
            name="p", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="FUTURES"
        )
        result = await mizar.open_positions(opens(20, strategy_id=strategy.strategy_id))
        assert len(result.succeeded) == 20
        assert len(await mizar.close_all_positions(strategy_id=strategy.strategy_id)) == 20


def test_paper_works_in_one_loop_after_another() -> None:
    mizar = AsyncMizar.paper()
    times = [asyncio.run(mizar.server_time()) for _ in range(3)]
    assert times == sorted(times)
