"""Closes, close-alls, flattens and opens whose answers are lost: what is sent, and how each ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mizar_async import (
    AnswerUnreadable,
    AsyncMizar,
    ClosedPosition,
    Conflict,
    NotFlat,
    NotFound,
    NotOpened,
    OpenPosition,
    OutcomeUnknown,
    Position,
)

from ..scripted_venue import ScriptedVenue

BTC = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def scripted() -> ScriptedVenue:
    return ScriptedVenue()


async def opened(mizar: AsyncMizar, number: int = 1) -> list[Position]:
    return (await mizar.open_positions([OpenPosition(**BTC)] * number)).succeeded  # type: ignore[arg-type]


async def test_a_close_whose_answer_is_lost_is_repeated_and_409_is_success(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        (position,) = await opened(mizar)
        scripted.script["close-position"] = ["lost"]
        closed = await mizar.close_position(position_id=position.position_id)
        assert (closed.position_id, closed.close_price, closed.return_pct) == (1, None, None)
        assert scripted.asked.count("close-position") == 2
        assert not mizar.unresolved()


async def test_a_close_that_was_dropped_is_repeated_until_it_works(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=10) as mizar:
        (position,) = await opened(mizar)
        scripted.script["close-position"] = ["dropped", 503, "dropped"]
        closed = await mizar.close_position(position_id=position.position_id)
        assert closed.close_price == 110
        assert scripted.asked.count("close-position") == 4


async def test_a_close_of_a_position_never_seen_says_that_it_is_closed_and_nothing_more(
    scripted: ScriptedVenue,
) -> None:
    async with scripted.client() as other:
        await opened(other)
    scripted.script["close-position"] = ["lost"]
    async with scripted.client() as mizar:
        with pytest.raises(AnswerUnreadable) as done:
            await mizar.close_position(position_id=1)
        assert done.value.happened == "yes"


@pytest.mark.parametrize("status", [401, 404])
async def test_a_doubt_about_a_position_never_seen_stays_one_whatever_a_later_attempt_is_told(
    scripted: ScriptedVenue, status: int
) -> None:
    scripted.script["close-position"] = ["dropped", status]
    async with scripted.client(grace=0.1) as mizar:
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.close_position(position_id=7)
        assert [error.reference for error in mizar.unresolved()] == [unknown.value.reference]


async def test_another_refusal_after_a_doubt_is_decided_by_a_list_for_a_position_seen_open(
    scripted: ScriptedVenue,
) -> None:
    async with scripted.client() as mizar:
        (position,) = await opened(mizar)
        scripted.script["close-position"] = ["lost", 404]
        closed = await mizar.close_position(position_id=position.position_id)
        assert closed.position_id == position.position_id
        assert scripted.asked.count("close-position") == 2


async def test_a_close_with_no_repeats_allowed_is_sent_once_and_decided_by_a_list(scripted: ScriptedVenue) -> None:
    async with scripted.client(max_retries=0) as mizar:
        (position,) = await opened(mizar)
        scripted.script["close-position"] = ["lost"]
        assert isinstance(await mizar.close_position(position_id=position.position_id), ClosedPosition)
        assert scripted.asked.count("close-position") == 1


async def test_a_close_that_did_nothing_ends_unknown_and_resolve_says_that_the_position_is_still_open(
    scripted: ScriptedVenue,
) -> None:
    async with scripted.client(max_retries=0, deadline=0.4, settle_time=0.5) as mizar:
        (position,) = await opened(mizar)
        scripted.script["close-position"] = ["dropped"]
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.close_position(position_id=position.position_id)
        assert unknown.value.candidates == (position.position_id,)
        assert [error.reference for error in mizar.unresolved()] == [unknown.value.reference]
        with pytest.raises(OutcomeUnknown, match="close again"):
            await mizar.resolve(unknown.value, timeout=5)
        assert (await mizar.close_position(position_id=position.position_id)).close_price == 110


async def test_resolve_gives_the_closed_position_once_a_list_lacks_it(scripted: ScriptedVenue) -> None:
    async with scripted.client(max_retries=0, deadline=0.3, settle_time=5, grace=0.1) as mizar:
        (position,) = await opened(mizar)
        scripted.script["close-position"] = ["dropped"]
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.close_position(position_id=position.position_id)
        scripted.open.clear()
        resolved = await mizar.resolve(unknown.value, timeout=5)
        assert isinstance(resolved, ClosedPosition)
        assert resolved.position_id == position.position_id
        assert not mizar.unresolved()


async def test_a_doubt_about_a_position_never_seen_is_listed_until_another_close_tells(scripted: ScriptedVenue) -> None:
    async with scripted.client(max_retries=0, deadline=0.3, grace=0.1) as mizar:
        scripted.act("open-position", dict(BTC, size=1))
        scripted.script["close-position"] = ["dropped"]
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.close_position(position_id=1)
        assert len(mizar.unresolved()) == 1
        with pytest.raises(OutcomeUnknown, match="still unknown"):
            await mizar.resolve(unknown.value, timeout=0.1)
        await mizar.close_position(position_id=1)
        assert not mizar.unresolved()


async def test_a_close_that_was_done_and_can_not_be_read_is_not_repeated(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        (position,) = await opened(mizar)
        scripted.script["close-position"] = ["garbled"]
        with pytest.raises(AnswerUnreadable):
            await mizar.close_position(position_id=position.position_id)
        assert scripted.asked.count("close-position") == 1
        with pytest.raises(Conflict):
            await mizar.close_position(position_id=position.position_id)


async def test_a_close_all_whose_answer_is_lost_is_looked_at_and_not_repeated(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await opened(mizar, 3)
        scripted.script["close-all-positions"] = ["lost"]
        closed = await mizar.close_all_positions(strategy_id=1)
        assert [position.position_id for position in closed] == [1, 2, 3]
        assert scripted.asked.count("close-all-positions") == 1
        assert scripted.asked.count("close-position") == 0


async def test_what_a_lost_close_all_left_open_is_closed_by_id(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=5) as mizar:
        await opened(mizar, 3)
        scripted.script["close-all-positions"] = ["dropped"]
        closed = await mizar.close_all_positions(strategy_id=1)
        assert {position.close_price for position in closed} == {110}
        assert scripted.asked.count("close-position") == 3
        assert not scripted.open


@pytest.mark.parametrize("end", ["garbled", 409])
async def test_a_close_all_names_what_it_closed_by_id_though_no_answer_told_the_price(
    scripted: ScriptedVenue, end: str | int
) -> None:
    def already(ask: dict[str, Any]) -> tuple[int, object]:
        scripted.open.pop(ask["position_id"])
        return 409, {"detail": "it is closed"}

    async with scripted.client(deadline=30, max_retries=10) as mizar:
        await opened(mizar)
        scripted.script["close-all-positions"] = ["dropped"]
        # So long that lists have said before that the close-all did not act.
        scripted.script["close-position"] = ["dropped"] * 5 + [already if end == 409 else end]
        (closed,) = await mizar.close_all_positions(strategy_id=1)
        assert (closed.position_id, closed.close_price) == (1, None)
        assert not scripted.open
        assert mizar.unresolved() == []


async def test_a_close_all_that_verifies_names_what_it_closed_by_id_though_no_answer_told_the_price(
    scripted: ScriptedVenue,
) -> None:
    async with scripted.client() as mizar:
        scripted.act("open-position", dict(BTC, size=1))
        scripted.script["close-all-positions"] = [lambda ask: (200, {"closed_positions": []})]
        scripted.script["close-position"] = ["garbled"]
        (closed,) = await mizar.close_all_positions(strategy_id=1, verify=True)
        assert (closed.position_id, closed.close_price) == (1, None)


async def test_a_close_all_leaves_what_it_can_not_tell_about_and_names_it(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=5) as mizar:
        await opened(mizar)
        scripted.script["close-all-positions"] = ["dropped"]
        scripted.act("open-position", dict(BTC, size=1))  # by somebody else, and the clock tells nothing
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.close_all_positions(strategy_id=1)
        assert unknown.value.candidates == (2,)
        assert list(scripted.open) == [2]


async def test_a_close_all_without_any_list_is_unknown_and_resolves_later(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=0.5, settle_time=5, grace=0.1) as mizar:
        await opened(mizar, 2)
        scripted.script["close-all-positions"] = ["lost"]
        scripted.script["all-open-positions"] = [503] * 20
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.close_all_positions(strategy_id=1)
        assert unknown.value.candidates == (1, 2)
        scripted.script.clear()
        resolved = await mizar.resolve(unknown.value, timeout=5)
        assert isinstance(resolved, list)
        assert [position.position_id for position in resolved] == [1, 2]


async def test_verify_raises_what_is_left_at_the_deadline(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=1.0) as mizar:
        await opened(mizar)
        scripted.script["close-all-positions"] = [404]
        with pytest.raises(NotFound):
            await mizar.close_all_positions(strategy_id=1, verify=True)
        scripted.script["close-all-positions"] = ["dropped"]
        scripted.script["close-position"] = [403] * 50
        with pytest.raises((NotFlat, OutcomeUnknown)):
            await mizar.close_all_positions(strategy_id=1, verify=True)


async def test_a_flatten_that_can_not_close_says_what_is_left(scripted: ScriptedVenue) -> None:
    async with scripted.client(grace=0.1) as mizar:
        await opened(mizar, 2)
        scripted.script["close-position"] = [403] * 500
        with pytest.raises(NotFlat) as left:
            await mizar.flatten(1, deadline=1.0)
        assert left.value.still_open == (1, 2)
        assert left.value.report is not None
        assert left.value.report.closed == []
        scripted.script.clear()
        assert len((await mizar.flatten(1)).closed) == 2


async def test_a_flatten_closes_what_was_in_doubt_once_it_turns_up(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=0.3, settle_time=1) as mizar:
        await opened(mizar)
        scripted.script["open-position"] = ["lost"]
        scripted.script["all-open-positions"] = [503] * 3
        with pytest.raises(OutcomeUnknown):
            await mizar.open_position(**BTC)
        report = await mizar.flatten(1, deadline=10)
        assert {position.position_id for position in report.closed} == {1, 2}
        assert not scripted.open
        assert not mizar.unresolved()


async def test_an_open_whose_answer_is_lost_is_looked_up_and_not_sent_again(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await opened(mizar)
        scripted.script["open-position"] = ["lost"]
        position = await mizar.open_position(**BTC)
        assert position.position_id == 2
        assert scripted.asked.count("open-position") == 2


async def test_an_open_whose_answer_can_not_be_read_ends_as_the_position(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await opened(mizar)
        scripted.script["open-position"] = ["garbled"]
        assert (await mizar.open_position(**BTC)).position_id == 2


async def test_an_open_that_did_nothing_ends_as_not_opened_and_may_be_sent_again_if_wished(
    scripted: ScriptedVenue,
) -> None:
    async with scripted.client(deadline=5) as mizar:
        await opened(mizar)
        scripted.script["open-position"] = ["dropped"]
        with pytest.raises(NotOpened):
            await mizar.open_position(**BTC)
        assert scripted.asked.count("open-position") == 2
        scripted.script["open-position"] = ["dropped"]
        position = await mizar.with_options(resend_absent=True).open_position(**BTC)
        assert position.position_id == 2
        assert scripted.asked.count("open-position") == 4


async def test_an_open_cancelled_in_flight_is_tracked_reported_and_resolved(scripted: ScriptedVenue) -> None:
    reported: list[Position] = []
    async with scripted.client(on_unclaimed=reported.append, deadline=0.2, settle_time=2) as mizar:
        await opened(mizar)
        scripted.script["open-position"] = ["lost"]
        scripted.script["all-open-positions"] = [503]
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.open_position(**BTC)
        async with asyncio.timeout(5):
            while not reported:
                await asyncio.sleep(0.01)
        assert mizar.unclaimed_positions(1) == reported
        resolved = await mizar.resolve(unknown.value)
        assert resolved == reported[0]
        assert mizar.unclaimed_positions(1) == []


async def test_a_close_that_is_cancelled_in_doubt_is_followed_up(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=30, grace=0.1) as mizar:
        (position,) = await opened(mizar)
        scripted.script["close-position"] = ["dropped"] * 100
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await mizar.close_position(position_id=position.position_id)
        (doubt,) = mizar.unresolved()
        scripted.open.clear()
        resolved = await mizar.resolve(doubt, timeout=5)
        assert isinstance(resolved, ClosedPosition)


async def test_others_close_makes_absence_no_proof(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=5, others_close=True, grace=0.1) as mizar:
        await opened(mizar)
        scripted.script["open-position"] = ["dropped"]
        with pytest.raises(OutcomeUnknown):
            await mizar.open_position(**BTC)


async def test_a_position_listed_short_on_spot_is_the_long_that_was_asked_for(scripted: ScriptedVenue) -> None:
    strategy = {"strategy_id": 1, "name": "n", "exchange": "binance", "market": "SPOT", "symbols": []}
    plain = scripted.act

    def odd(call: str, ask: dict[str, object]) -> tuple[int, object]:
        status, document = plain(call, ask)
        if call == "all-open-positions":
            document = {"open_positions": [position | {"is_long": False} for position in scripted.open.values()]}
        if call == "self-hosted-strategy-info":
            document = {"strategies": [strategy]}
        return status, document

    scripted.act = odd  # type: ignore[method-assign]
    async with scripted.client() as mizar:
        await opened(mizar)
        scripted.script["open-position"] = ["lost"]
        assert (await mizar.open_position(**BTC)).position_id == 2


async def test_a_doubt_about_a_close_of_what_is_known_to_be_closed_stays_with_nobody(scripted: ScriptedVenue) -> None:
    async with scripted.client(max_retries=0, deadline=0.5, grace=0.1) as mizar:
        (position,) = await opened(mizar)
        await mizar.close_position(position_id=position.position_id)
        scripted.script["close-position"] = ["dropped"]
        with pytest.raises(AnswerUnreadable, match="is closed"):
            await mizar.close_position(position_id=position.position_id)
        assert mizar.unresolved() == []
