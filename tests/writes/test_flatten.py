"""Flatten, close-all and the guard: what can be closed is closed, and what could not is named, whatever goes wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mizar_async import (
    AnswerUnreadable,
    FlattenReport,
    NotFlat,
    NotOpened,
    NotSent,
    OpenPosition,
    OutcomeUnknown,
    Position,
)

from ..scripted_venue import ScriptedVenue

BTC: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def scripted() -> ScriptedVenue:
    return ScriptedVenue()


def opens(number: int) -> list[OpenPosition]:
    return [OpenPosition(**BTC)] * number


async def test_what_a_false_200_calls_closed_and_a_list_still_shows_is_closed_again(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        (one, *_) = (await mizar.open_positions(opens(3))).succeeded
        scripted.script["close-position"] = [lambda _: (200, {"position_id": "1"})]
        with pytest.raises(AnswerUnreadable):
            await mizar.close_position(position_id=one.position_id)
        report = await mizar.flatten(1, deadline=5)
        assert {closed.position_id for closed in report.closed} == {1, 2, 3}
        assert not scripted.open


async def test_what_a_409_calls_closed_and_a_list_still_shows_is_closed_again(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await mizar.open_positions(opens(3))
        scripted.script["close-position"] = [409]
        report = await mizar.flatten(1, deadline=5)
        assert ({closed.position_id for closed in report.closed}, report.closed_elsewhere) == ({1, 2, 3}, [])
        assert not scripted.open


async def test_a_false_closed_does_not_keep_an_absence_from_being_proven(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=10) as mizar:
        await mizar.open_positions(opens(2))
        scripted.script["close-position"] = [409]
        with pytest.raises(Exception, match="409"):
            await mizar.close_position(position_id=1)
        scripted.script["open-position"] = ["dropped"]
        with pytest.raises(NotOpened):
            await mizar.open_position(**BTC)


async def test_what_can_not_be_closed_is_named_as_the_last_list_shows_it(scripted: ScriptedVenue) -> None:
    async with scripted.client(grace=0.1) as mizar:
        await mizar.open_positions(opens(2))
        scripted.act("open-position", dict(BTC, size=1))  # by somebody else
        scripted.script["close-position"] = [409] * 10_000
        with pytest.raises(NotFlat) as left:
            await mizar.flatten(1, deadline=2)
        assert left.value.still_open == (1, 2, 3)


@pytest.mark.parametrize(
    "answer",
    [lambda _: (404, {"detail": "x"}), lambda _: (200, {"strategies": [{"strategy_id": None}]}), lambda _: (500, {})],
    ids=["a refusal", "a list that can't be read", "a server error"],
)
async def test_flatten_all_closes_what_it_knows_though_the_strategies_can_not_be_listed(
    scripted: ScriptedVenue, answer: Any
) -> None:
    async with scripted.client() as mizar:
        await mizar.open_positions(opens(100))
        scripted.script["self-hosted-strategy-info"] = [answer] * 1_000
        began = asyncio.get_running_loop().time()
        with pytest.raises(NotFlat, match="the list of strategies could not be read") as left:
            await mizar.flatten_all(deadline=3)
        assert asyncio.get_running_loop().time() - began <= 3.1
        assert (left.value.still_open, scripted.open) == ((), {})
        mizar.resume(1)
        assert await mizar.open_position(**BTC)


async def test_the_guard_leaves_alone_what_was_asked_for_before_its_block(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=0.3, settle_time=2) as mizar:
        await mizar.open_position(**BTC)
        scripted.script["open-position"] = ["lost"]
        scripted.script["all-open-positions"] = [503] * 2
        with pytest.raises(OutcomeUnknown) as before:
            await mizar.open_position(**BTC)
        async with mizar.closing_positions(1):
            found = await mizar.resolve(before.value, timeout=3)
            inside = await mizar.open_position(**BTC)
        assert isinstance(found, Position)
        assert sorted(scripted.open) == [1, found.position_id]
        assert inside.position_id not in scripted.open


async def test_the_guard_names_what_may_be_its_own_where_no_list_can_tell(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=30, grace=0.1) as mizar:
        scripted.script["server-time"] = scripted.script["all-open-positions"] = [503] * 400
        scripted.script["open-position"] = ["lost"]

        def lists_are_back() -> None:
            scripted.script["all-open-positions"] = []

        asyncio.get_running_loop().call_later(3.0, lists_are_back)
        with pytest.raises(NotFlat) as left:
            async with mizar.closing_positions(1):
                with pytest.raises(OutcomeUnknown):
                    await mizar.with_options(deadline=2.5).open_position(**BTC)
        assert left.value.still_open == (1,)
        assert [doubt.candidates for doubt in left.value.in_doubt] == [(1,)]
        assert list(scripted.open) == [1]


async def test_the_guard_goes_on_closing_however_often_it_is_cancelled(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        entered = asyncio.Event()

        async def guarded() -> None:
            async with mizar.closing_positions(1):
                await mizar.open_positions(opens(20))
                scripted.script["all-open-positions"] = [503] * 5
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(guarded())
        await entered.wait()
        for _ in range(5):
            task.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not scripted.open


async def test_a_close_that_fails_in_a_way_nobody_thought_of_ends_no_other(
    scripted: ScriptedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mizar_async._writes import flatten

    class Broken(flatten.Closing):
        times = 0

        async def run(self) -> Any:
            Broken.times += 1
            if Broken.times == 2:
                raise RuntimeError("nobody thought of this")
            return await super().run()

    monkeypatch.setattr(flatten, "Closing", Broken)
    async with scripted.client() as mizar:
        await mizar.open_positions(opens(10))
        assert len((await mizar.flatten(1)).closed) == 10
        assert not scripted.open


@pytest.mark.parametrize("status", [403, 404, 422])
async def test_a_close_that_is_refused_keeps_nothing_else_from_being_listed_and_closed(
    scripted: ScriptedVenue, status: int
) -> None:
    async with scripted.client(grace=0.1) as mizar:
        await mizar.open_position(**BTC)
        scripted.act("open-position", dict(BTC, size=1))  # by somebody else, and never seen here

        def refusing(ask: dict[str, Any]) -> tuple[int, object]:
            if ask["position_id"] == 1:
                return status, {"detail": "no"}
            return scripted.act("close-position", ask)

        scripted.script["close-position"] = [refusing] * 10_000
        with pytest.raises(NotFlat) as left:
            await mizar.flatten(1, deadline=5)
        assert (left.value.still_open, list(scripted.open)) == ((1,), [1])


async def test_a_venue_that_answers_404_to_a_second_close_is_flat_once_a_list_says_so(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await mizar.open_position(**BTC)
        scripted.open.clear()  # somebody else has closed it
        scripted.script["close-position"] = [404] * 1_000
        await mizar.flatten(1, deadline=10)
        async with mizar.closing_positions(1):
            mizar.resume(1)
            await mizar.open_position(**BTC)
            scripted.open.clear()
        assert not mizar.unresolved()


async def test_a_list_within_the_lag_proves_nothing_to_a_process_that_has_opened_nothing_yet(
    scripted: ScriptedVenue,
) -> None:
    position = scripted.act("open-position", dict(BTC, size=1))[1]
    shown_from = asyncio.get_running_loop().time() + 0.9

    def lagging(_: object) -> tuple[int, object]:
        shown = [position] if asyncio.get_running_loop().time() >= shown_from else []
        return 200, {"open_positions": shown if scripted.open else []}

    scripted.script["all-open-positions"] = [lagging] * 100
    async with scripted.client(listing_lag=1.0) as mizar:
        report = await mizar.flatten(1, deadline=10)
        assert [closed.position_id for closed in report.closed] == [1]


async def test_an_open_of_a_guarded_block_that_waits_between_attempts_does_not_leave_after_it(
    scripted: ScriptedVenue,
) -> None:
    import httpx

    def refused(_: object) -> tuple[int, object]:
        raise httpx.ConnectError("refused")

    async with scripted.client(deadline=30) as mizar:
        await mizar.open_position(**BTC)
        scripted.script["open-position"] = [refused] * 3
        async with mizar.closing_positions(1):
            outliving = asyncio.create_task(mizar.open_position(**BTC))
            await asyncio.sleep(0.05)
        (end,) = await asyncio.gather(outliving, return_exceptions=True)
        assert isinstance(end, NotSent)
        assert list(scripted.open) == [1]


async def test_a_close_all_that_verifies_closes_what_a_list_shows_though_its_answer_is_a_doubt(
    scripted: ScriptedVenue,
) -> None:
    async with scripted.client(deadline=10) as mizar:
        scripted.act("open-position", dict(BTC, size=1))
        scripted.script["close-all-positions"] = [503]
        closed = await mizar.close_all_positions(strategy_id=1, verify=True)
        assert [position.position_id for position in closed] == [1]


async def test_a_flatten_ends_by_its_deadline_though_lists_hang(scripted: ScriptedVenue) -> None:
    plain = scripted.answer

    async def hanging(request: Any) -> Any:
        if request.url.path.endswith("all-open-positions"):
            await asyncio.sleep(3600)
        return plain(request)

    scripted.answer = hanging  # type: ignore[method-assign, assignment]
    async with scripted.client(timeout=10.0) as mizar:
        began = asyncio.get_running_loop().time()
        for flatten in (mizar.flatten(1, deadline=1), mizar.flatten_all(deadline=1)):
            with pytest.raises(NotFlat):
                await flatten
        assert asyncio.get_running_loop().time() - began < 3.0


async def test_a_close_all_that_verifies_ends_by_its_deadline_though_lists_are_slow_and_closes_hang(
    scripted: ScriptedVenue,
) -> None:
    plain = scripted.answer

    async def slow(request: Any) -> Any:
        if request.url.path.endswith("all-open-positions"):
            await asyncio.sleep(0.6)
        if request.url.path.endswith("close-position"):
            await asyncio.sleep(3600)
        return plain(request)

    scripted.answer = slow  # type: ignore[method-assign, assignment]
    scripted.act("open-position", dict(BTC, size=1))
    scripted.script["close-all-positions"] = [lambda ask: (200, {"closed_positions": []})]
    async with scripted.client(timeout=10.0, deadline=2.0, grace=0.0) as mizar:
        began = asyncio.get_running_loop().time()
        with pytest.raises(NotFlat) as left:
            await mizar.close_all_positions(strategy_id=1, verify=True)
        assert left.value.still_open == (1,)
        assert asyncio.get_running_loop().time() - began < 2.1


@pytest.mark.parametrize(("strategies", "named"), [((), "no strategy"), ((1, 2), "strategy 1, 2")])
def test_a_report_names_its_strategies(strategies: tuple[int, ...], named: str) -> None:
    assert repr(FlattenReport(strategies)) == f"<FlattenReport of {named}: 0 closed, 0.00 s>"
