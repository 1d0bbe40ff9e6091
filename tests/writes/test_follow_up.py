"""What is in doubt is followed up, whoever began that and whatever becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mizar_async import InvalidInput, NotOpened, OpenPosition, OutcomeUnknown, Position, Refused
from mizar_async._account import watch

from ..scripted_venue import ScriptedVenue

BTC: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0.3, "is_long": True}

virtual = pytest.mark.virtual_time


@pytest.fixture
def scripted() -> ScriptedVenue:
    return ScriptedVenue()


@virtual
@pytest.mark.parametrize("late_by", [0.2, 1.0, 5.0], ids=["before one", "before four", "before twenty settle times"])
async def test_what_the_server_opens_after_it_was_called_absent_is_reported(
    scripted: ScriptedVenue, late_by: float
) -> None:
    told: list[int] = []
    async with scripted.client(deadline=10, on_unclaimed=lambda one: told.append(one.position_id)) as mizar:
        await mizar.open_position(**BTC)
        scripted.script["open-position"] = ["dropped"]
        with pytest.raises(NotOpened):
            await mizar.open_position(**BTC)
        asked = scripted.asked.count("all-open-positions")
        asyncio.get_running_loop().call_later(late_by, scripted.act, "open-position", BTC)
        await asyncio.sleep(20)
        assert told == [2]
        assert [position.position_id for position in mizar.unclaimed_positions(1)] == [2]
        assert scripted.asked.count("all-open-positions") <= asked + 3


@virtual
async def test_one_list_looks_again_for_all_that_were_called_absent_together(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=10) as mizar:
        await mizar.open_position(**BTC)
        scripted.script["open-position"] = ["dropped"] * 50
        ends = await asyncio.gather(*(mizar.open_position(**BTC) for _ in range(50)), return_exceptions=True)
        assert {type(end) for end in ends} == {NotOpened}
        asked = scripted.asked.count("all-open-positions")
        await asyncio.sleep(20)
        assert scripted.asked.count("all-open-positions") <= asked + 6


@virtual
async def test_a_view_with_a_short_time_out_does_not_shorten_the_lists_of_others(scripted: ScriptedVenue) -> None:
    plain = scripted.answer

    async def slow(request: Any) -> Any:
        if request.url.path.endswith("all-open-positions"):
            await asyncio.sleep(0.15)
        return plain(request)

    scripted.answer = slow  # type: ignore[method-assign, assignment]
    async with scripted.client(timeout=2.0, deadline=6) as mizar:
        await mizar.open_position(**BTC)
        scripted.script["open-position"] = ["lost", "lost"]
        impatient = mizar.with_options(timeout=0.05, deadline=0.5)
        first, second = await asyncio.gather(impatient.open_position(**BTC), mizar.open_position(**BTC))
        assert {first.position_id, second.position_id} == {2, 3}


@virtual
async def test_an_open_that_is_cancelled_twice_is_followed_up(scripted: ScriptedVenue) -> None:
    told: list[int] = []
    plain = scripted.answer

    async def stuck(request: Any) -> Any:
        answer = plain(request)
        if scripted.opened == 2 and request.url.path.endswith("open-position"):
            await asyncio.sleep(60)
        return answer

    scripted.answer = stuck  # type: ignore[method-assign, assignment]
    async with scripted.client(grace=2, timeout=1, on_unclaimed=lambda one: told.append(one.position_id)) as mizar:
        await mizar.open_position(**BTC)
        call = asyncio.create_task(mizar.open_position(**BTC))
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(5)
        assert told == [2]
        assert mizar.unresolved() == []


def test_what_a_loop_left_in_flight_when_it_was_closed_is_followed_up_by_another(scripted: ScriptedVenue) -> None:
    told: list[int] = []
    plain = scripted.answer

    async def stuck(request: Any) -> Any:
        answer = plain(request)
        if scripted.opened == 2 and request.url.path.endswith("open-position"):
            await asyncio.sleep(3600)
        return answer

    scripted.answer = stuck  # type: ignore[method-assign, assignment]
    mizar = scripted.client(on_unclaimed=lambda one: told.append(one.position_id))
    asyncio.run(mizar.open_position(**BTC))
    loop = asyncio.new_event_loop()
    task = loop.create_task(mizar.open_position(**BTC))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    while scripted.opened < 2:
        loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()

    async def flattened() -> set[int]:
        report = await mizar.flatten(1, deadline=20)
        return {closed.position_id for closed in report.closed}

    assert asyncio.run(flattened()) == {1, 2}
    assert (scripted.open, mizar.unresolved()) == ({}, [])
    with contextlib.suppress(RuntimeError):  # what is left of the loop that was closed
        task.get_coro().close()  # type: ignore[union-attr]


@virtual
async def test_on_unclaimed_may_be_a_coroutine_function_and_what_it_raises_is_logged(
    scripted: ScriptedVenue, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[int] = []

    async def tell(position: Position) -> None:
        await asyncio.sleep(0.01)
        told.append(position.position_id)
        raise LookupError("nobody listens")

    async with scripted.client(on_unclaimed=tell) as mizar:
        await mizar.open_position(**BTC)
        scripted.act("open-position", BTC | {"base_asset": "ETH"})
        await mizar.get_all_open_positions(strategy_id=1)
        await asyncio.sleep(1)
    assert told == [2]
    (logged,) = [one for one in caplog.records if (one.name, one.levelno) == ("mizar_async", logging.ERROR)]
    assert "on_unclaimed failed for position 2" in logged.getMessage()


@virtual
async def test_a_doubt_that_no_list_can_decide_is_listed_until_the_user_decides_it(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=3, others_close=True, grace=0.1) as mizar:
        await mizar.open_position(**BTC)
        scripted.script["open-position"] = ["dropped", "dropped"]
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await mizar.open_position(**BTC)
        first, second = mizar.unresolved()
        mizar.acknowledge(first)
        assert [error.reference for error in mizar.unresolved()] == [second.reference]
        mizar.acknowledge(second, position_id=17)
        assert mizar.unresolved() == []
        found = await mizar.resolve(second)
        assert isinstance(found, Position)
        assert found.position_id == 17
        mizar.acknowledge(first)  # again, which changes nothing


@virtual
async def test_what_is_acknowledged_as_a_calls_position_is_not_unclaimed(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=0.3, settle_time=5, grace=0.1) as mizar:
        mine = await mizar.open_position(**BTC)
        scripted.script["open-position"] = ["lost"]
        scripted.script["all-open-positions"] = [503] * 3
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.open_position(**BTC)
        with pytest.raises(InvalidInput, match="the result of another call"):
            mizar.acknowledge(unknown.value, position_id=mine.position_id)
        mizar.acknowledge(unknown.value, position_id=2)
        await asyncio.sleep(2)
        assert mizar.unresolved() == mizar.unclaimed_positions(1) == []


@virtual
@pytest.mark.parametrize("error", [None, ValueError("x"), NotOpened("x")])
async def test_only_an_unknown_outcome_can_be_resolved_or_acknowledged(scripted: ScriptedVenue, error: Any) -> None:
    async with scripted.client() as mizar:
        with pytest.raises(InvalidInput, match="OutcomeUnknown"):
            await mizar.resolve(error)
        with pytest.raises(InvalidInput, match="OutcomeUnknown"):
            mizar.acknowledge(error)


@virtual
async def test_what_others_have_closed_is_not_named_as_unclaimed_any_more(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await mizar.open_position(**BTC)
        scripted.act("open-position", BTC | {"base_asset": "ETH"})
        await mizar.get_all_open_positions(strategy_id=1)
        assert [position.position_id for position in mizar.unclaimed_positions(1)] == [2]
        del scripted.open[2]
        await asyncio.sleep(1)
        await mizar.get_all_open_positions(strategy_id=1)
        assert mizar.unclaimed_positions(1) == []


@virtual
async def test_a_close_that_the_server_did_not_act_on_is_no_doubt_any_more(scripted: ScriptedVenue) -> None:
    async with scripted.client(max_retries=0, deadline=5, grace=0.1) as mizar:
        await mizar.open_position(**BTC)
        scripted.script["close-position"] = ["dropped"]
        with pytest.raises(OutcomeUnknown):
            await mizar.close_position(position_id=1)
        assert mizar.unresolved() == []


@virtual
@pytest.mark.parametrize("steps", range(6))
async def test_an_outcome_of_a_stream_that_is_cancelled_again_and_again_is_handed_over_or_unclaimed(
    scripted: ScriptedVenue, steps: int
) -> None:
    plain = scripted.answer
    given: list[int] = []

    async def cancel() -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        consumer.cancel()

    cancelling: list[asyncio.Task[None]] = []

    async def answer(request: Any) -> Any:
        if request.url.path.endswith("open-position"):
            await asyncio.sleep(0.1)
            cancelling.append(asyncio.create_task(cancel()))
        return plain(request)

    scripted.answer = answer  # type: ignore[method-assign, assignment]
    async with scripted.client(grace=1.0) as mizar:

        async def consume() -> None:
            async for outcome in mizar.stream_open_positions([OpenPosition(**BTC)] * 3, max_concurrency=1):
                given.extend([outcome.position.position_id] if outcome.position else [])

        consumer = asyncio.create_task(consume())
        await asyncio.wait([consumer])
        await asyncio.sleep(5)
        unclaimed = [position.position_id for position in mizar.unclaimed_positions(1)]
        assert sorted([*given, *unclaimed]) == sorted(scripted.open)


@virtual
async def test_a_bulk_ends_by_its_deadline_though_its_source_stalls(scripted: ScriptedVenue) -> None:
    async def stalling() -> AsyncIterator[OpenPosition]:
        yield OpenPosition(**BTC)
        await asyncio.sleep(3600)

    async with scripted.client() as mizar:
        began = asyncio.get_running_loop().time()
        result = await mizar.open_positions(stalling(), deadline=1)
        assert (len(result.succeeded), len(scripted.open)) == (1, 1)
        assert asyncio.get_running_loop().time() - began < 2


@virtual
async def test_an_open_is_given_its_position_though_it_was_closed_so_long_ago_that_it_is_forgotten(
    scripted: ScriptedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REMEMBERED", 1)
    strangers = [scripted.act("open-position", dict(BTC, size=0.9)) for _ in range(3)]
    plain, refused = scripted.answer, asyncio.Event()

    async def refusing_the_second(request: Any) -> Any:
        if request.url.path.endswith("open-position") and scripted.opened > len(strangers):
            await refused.wait()
            scripted.script["open-position"] = [422]
        return plain(request)

    scripted.answer = refusing_the_second  # type: ignore[method-assign, assignment]
    scripted.script["open-position"] = ["lost"]
    async with scripted.client(deadline=60, timeout=30.0, settle_time=20.0) as mizar:
        first, second = (asyncio.create_task(mizar.open_position(**BTC)) for _ in range(2))
        await asyncio.sleep(0.5)
        # It waits for the second, which is in flight and was sent before it was listed.
        assert 4 in {position.position_id for position in await mizar.get_all_open_positions(strategy_id=1)}
        assert not first.done()
        for position_id in (4, 1, 2, 3):
            await mizar.close_position(position_id=position_id)
        refused.set()
        with pytest.raises(Refused):
            await second
        assert (await first).position_id == 4
        assert mizar.unresolved() == []
