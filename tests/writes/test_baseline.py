"""Before the first open of a strategy its open positions and the server's time are read, as often as it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mizar_async import NotOpened, OpenPosition

from ..scripted_venue import ScriptedVenue

BTC: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def scripted() -> ScriptedVenue:
    return ScriptedVenue()


async def test_reads_that_fail_are_repeated_before_the_first_open_leaves(scripted: ScriptedVenue) -> None:
    scripted.script["all-open-positions"] = ["dropped", 503, "garbled"]
    scripted.script["server-time"] = [500]
    async with scripted.client(deadline=10) as mizar:
        scripted.script["open-position"] = ["dropped"]
        with pytest.raises(NotOpened):  # which needs a baseline, or a clock that this venue has not
            await mizar.open_position(**BTC)
        assert scripted.asked.index("open-position") > 4


async def test_opens_go_without_a_baseline_that_can_not_be_had(scripted: ScriptedVenue) -> None:
    scripted.script["all-open-positions"] = scripted.script["server-time"] = [503] * 10_000
    async with scripted.client(deadline=30) as mizar:
        began = asyncio.get_running_loop().time()
        result = await mizar.open_positions([OpenPosition(**BTC)] * 200, max_concurrency=64)
        assert len(result.succeeded) == 200
        assert asyncio.get_running_loop().time() - began < 5.0


async def test_a_strategy_that_is_not_there_is_not_asked_for_again(scripted: ScriptedVenue) -> None:
    scripted.script["all-open-positions"] = [404] * 10
    async with scripted.client() as mizar:
        await mizar.open_position(**BTC)
        assert sorted(scripted.asked[:2]) == ["all-open-positions", "server-time"]
        assert scripted.asked[2:] == ["open-position"]
