"""Opens that have a name: the same client order id never opens twice, and tells what became of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mizar_async import (
    AsyncMizar,
    ClosedPosition,
    InvalidInput,
    NotOpened,
    NotSent,
    OpenPosition,
    OutcomeUnknown,
    Position,
    Refused,
)

from ..scripted_venue import ScriptedVenue

BTC: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}
NAMED: dict[str, Any] = BTC | {"client_order_id": "entry-1"}

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def scripted() -> ScriptedVenue:
    return ScriptedVenue()


async def test_the_server_is_not_told_the_name(scripted: ScriptedVenue) -> None:
    told: list[dict[str, Any]] = []

    def note(ask: dict[str, Any]) -> tuple[int, object]:
        told.append(ask)
        return scripted.act("open-position", ask)

    scripted.script["open-position"] = [note]
    async with scripted.client() as mizar:
        await mizar.open_position(**NAMED)
    assert told == [{"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 1, "is_long": True}]


async def test_what_was_opened_is_returned_as_it_is_known_and_nothing_is_sent(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        position = await mizar.open_position(**NAMED)
        assert await mizar.open_position(**NAMED) == position
        closed = await mizar.close_position(position_id=position.position_id)
        again = await mizar.open_position(**NAMED)
        assert isinstance(again, ClosedPosition)
        assert again == closed
    assert scripted.opened == 1


async def test_what_was_closed_elsewhere_is_a_closed_position_without_a_price(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await mizar.open_position(**NAMED)
        scripted.open.clear()
        for _ in range(6):
            await mizar.get_all_open_positions(strategy_id=1)
            await asyncio.sleep(1)
        again = await mizar.open_position(**NAMED)
        assert isinstance(again, ClosedPosition)
        assert again.close_price is None


async def test_an_id_is_unique_within_its_strategy_only(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        one, other = await mizar.open_position(**NAMED), await mizar.open_position(**NAMED | {"strategy_id": 2})
    assert one.position_id != other.position_id


@pytest.mark.parametrize("changed", [{"size": 0.5}, {"is_long": False}, {"base_asset": "ETH"}])
async def test_an_id_that_stands_for_something_else_is_refused_and_both_are_named(
    scripted: ScriptedVenue, changed: dict[str, Any]
) -> None:
    async with scripted.client() as mizar:
        await mizar.open_position(**NAMED)
        with pytest.raises(InvalidInput, match=r"client_order_id='entry-1' .* long BTC/USDT size 1, .* too"):
            await mizar.open_position(**NAMED | changed)
    assert scripted.opened == 1


@pytest.mark.parametrize("name", ["", " a", "a ", "a\n", "x" * 65, 7, b"a"])
async def test_a_name_is_short_printable_text(name: Any) -> None:
    with pytest.raises(InvalidInput, match="client_order_id="):
        OpenPosition(**BTC, client_order_id=name)


async def test_what_was_refused_or_not_sent_is_free_again(scripted: ScriptedVenue) -> None:
    scripted.script["open-position"] = [422]
    async with scripted.client() as mizar:
        with pytest.raises(Refused):
            await mizar.open_position(**NAMED)
        position = await mizar.open_position(**NAMED | {"size": 0.5})
        assert position.position_id == 1


async def test_what_was_proven_absent_is_free_again(scripted: ScriptedVenue) -> None:
    scripted.script["open-position"] = ["dropped"]
    async with scripted.client() as mizar:
        with pytest.raises(NotOpened):
            await mizar.open_position(**NAMED)
        assert (await mizar.open_position(**NAMED)).position_id == 1
    assert scripted.opened == 1


async def test_what_is_in_doubt_is_waited_for_and_not_sent_again(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await mizar.open_position(**BTC)
        scripted.script["open-position"] = ["lost"]
        scripted.script["all-open-positions"] = [500, 500, 500]
        with pytest.raises(OutcomeUnknown):
            await mizar.with_options(deadline=0.2).open_position(**NAMED)
        position = await mizar.open_position(**NAMED)
        assert position.position_id == 2
        assert mizar.unclaimed_positions(1) == []
    assert scripted.opened == 2


async def test_what_is_still_in_doubt_at_the_deadline_is_unknown_again(scripted: ScriptedVenue) -> None:
    scripted.script["open-position"] = ["dropped"]
    async with scripted.client(settle_time=30) as mizar:
        with pytest.raises(OutcomeUnknown) as first:
            await mizar.open_position(**NAMED)
        with pytest.raises(OutcomeUnknown) as second:
            await mizar.open_position(**NAMED)
        assert first.value.reference == second.value.reference
    assert scripted.asked.count("open-position") == 1


async def test_what_nobody_can_tell_of_is_unknown_at_once_until_its_user_decides(scripted: ScriptedVenue) -> None:
    scripted.script["open-position"] = ["dropped"]
    async with scripted.client(others_close=True) as mizar:
        for _ in range(2):
            with pytest.raises(OutcomeUnknown) as unknown:
                await mizar.open_position(**NAMED)
        assert scripted.asked.count("open-position") == 1
        mizar.acknowledge(unknown.value)
        assert mizar.unresolved() == []
        assert (await mizar.open_position(**NAMED)).position_id == 1


async def test_what_its_user_says_it_has_opened_is_what_it_has_opened(scripted: ScriptedVenue) -> None:
    scripted.script["open-position"] = ["dropped"]
    async with scripted.client(others_close=True) as mizar:
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.open_position(**NAMED)
        mizar.acknowledge(unknown.value, position_id=17)
        again = await mizar.open_position(**NAMED)
        assert again.position_id == 17
    assert scripted.asked.count("open-position") == 1


async def test_two_callers_at_once_make_one_request(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        one, other = await asyncio.gather(mizar.open_position(**NAMED), mizar.open_position(**NAMED))
        assert one == other
    assert scripted.opened == 1


async def test_two_callers_at_once_are_refused_by_one_request(scripted: ScriptedVenue) -> None:
    scripted.script["open-position"] = [422]
    async with scripted.client() as mizar:
        both = await asyncio.gather(mizar.open_position(**NAMED), mizar.open_position(**NAMED), return_exceptions=True)
        assert [type(one).__name__ for one in both] == ["Invalid", "Invalid"]
    assert scripted.asked.count("open-position") == 1


async def test_who_waits_goes_on_when_the_first_leaves_before_it_has_sent_anything(scripted: ScriptedVenue) -> None:
    async with scripted.client(requests_per_second=20, deadline=9) as mizar:
        many = asyncio.create_task(mizar.open_positions([OpenPosition(**BTC)] * 60))
        await asyncio.sleep(0.1)
        first = asyncio.create_task(mizar.open_position(**NAMED))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(mizar.open_position(**NAMED))
        await asyncio.sleep(0.01)
        first.cancel()
        assert isinstance(await second, Position)
        await many
    assert scripted.opened == 61


async def test_in_a_bulk_a_name_that_was_there_before_is_an_outcome_like_any_other(scripted: ScriptedVenue) -> None:
    requests = [OpenPosition(**BTC, client_order_id=f"n{number}") for number in (1, 2, 1, 3)]
    async with scripted.client() as mizar:
        await mizar.open_position(**BTC, client_order_id="n3")
        result = await mizar.open_positions(requests)
        assert len(result.succeeded) == 4
        assert [outcome.repeated for outcome in result.outcomes] == [False, False, True, True]
    assert scripted.opened == 3


async def test_the_door_is_shut_for_named_opens_too_and_they_are_free_again(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await mizar.flatten(1)
        with pytest.raises(NotSent):
            await mizar.open_position(**NAMED)
        mizar.resume(1)
        assert (await mizar.open_position(**NAMED)).position_id == 1


async def test_every_client_of_a_key_and_host_shares_the_names(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        position = await mizar.open_position(**NAMED)
        assert await mizar.with_options(deadline=1).open_position(**NAMED) == position
        assert isinstance(mizar, AsyncMizar)
