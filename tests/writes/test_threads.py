"""Threads of one key: what one trades, another lists, closes and flattens, each in a loop of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mizar_async import OpenPosition

from ..scripted_venue import ScriptedVenue


def opens(strategy_id: int, number: int) -> list[OpenPosition]:
    return [OpenPosition(strategy_id=strategy_id, base_asset="BTC", quote_asset="USDT", is_long=True)] * number


class LockedVenue(ScriptedVenue):
    """A venue that threads may ask at once."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def act(self, call: str, ask: dict[str, Any]) -> tuple[int, object]:
        with self._lock:
            if call == "close-all-positions":
                mine = [number for number, row in self.open.items() if row["strategy_id"] == ask["strategy_id"]]
                return 200, {"closed_positions": [self.closed(self.open.pop(number)) for number in mine]}
            return super().act(call, ask)


@pytest.fixture
def _threads_change_places_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("unmeasured", "_threads_change_places_often")
def test_a_thread_that_trades_disturbs_none_that_flattens_closes_all_and_asks() -> None:
    venue, over, odd = LockedVenue(), threading.Event(), list[BaseException]()
    mizar = venue.client(deadline=60.0, timeout=60.0)
    asyncio.run(mizar.open_positions(opens(2, 100)))

    async def trade() -> None:
        while not over.is_set():
            result = await mizar.open_positions(opens(2, 50))
            await mizar.close_positions([position.position_id for position in result.succeeded])

    async def end_and_ask() -> None:
        for _ in range(2):
            mizar.resume(1)
            await mizar.open_positions(opens(1, 20))
            for work in (mizar.close_all_positions(strategy_id=1), mizar.flatten(1), mizar.reconcile(1, [])):
                await work
            mizar.unresolved()
            mizar.unclaimed_positions(1)

    def run(work: Any) -> None:
        try:
            asyncio.run(work())
        except BaseException as failure:  # noqa: BLE001 - a thread has nobody to raise it to
            odd.append(failure)
        finally:
            over.set()

    threads = [threading.Thread(target=run, args=(work,)) for work in (trade, trade, end_and_ask)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert odd == []
    assert [row for row in venue.open.values() if row["strategy_id"] == 1] == []
