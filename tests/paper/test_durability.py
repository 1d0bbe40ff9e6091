"""What was acknowledged is there after `kill -9`, at whatever moment of a storm of opens and closes."""

from __future__ import annotations

import asyncio
import os
import random
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from mizar_async import paper
from mizar_async._api.trading import ClosedPosition

from ..venues import VenueProcess
from .conftest import OPEN, STRATEGY

pytestmark = pytest.mark.usefixtures("unmeasured")
TIMES = 20 if os.environ.get("MIZAR_FAULTS_FULL") else 3


class Storm:
    """Clients that open, and close every other position, and note what the venue acknowledged."""

    def __init__(self, venue: VenueProcess, kill_after: int) -> None:
        self.opened: set[int] = set()
        self.closed: set[int] = set()
        self._venue = venue
        self._left = kill_after

    async def rage(self, clients: int) -> None:
        base, headers = f"{self._venue.url}/api/v1/", {"mizar-api-key": self._venue.key}
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as http:
            assert (await http.post("publish-self-hosted-strategy", json=STRATEGY)).status_code == 200
            await asyncio.gather(*(self._trade(http) for _ in range(clients)))

    async def _trade(self, http: httpx.AsyncClient) -> None:
        try:
            while True:
                answer = await http.post("open-position", json=OPEN)
                number = int(answer.json()["position_id"])
                self.opened.add(number)
                self._count()
                if number % 2:
                    await http.post("close-position", json={"position_id": number})
                    self.closed.add(number)
                    self._count()
        except httpx.TransportError:
            return  # killed: what was in flight was not acknowledged

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._venue.kill()


@pytest.mark.parametrize("seed", range(TIMES))
async def test_nothing_acknowledged_is_missing_after_kill_9(tmp_path: Path, seed: int) -> None:
    async with VenueProcess(tmp_path / "venue.db", seed=seed) as venue:
        storm = Storm(venue, kill_after=random.Random(seed).randint(20, 400))
        async with asyncio.timeout(240):
            await storm.rage(clients=16)
        await venue.end()
        assert {one.fee for one in paper.read_positions(venue.db)} == {Decimal("0.1")}
        await venue.start()
        truth = {position.position_id: position for position in venue.positions()}
        assert storm.opened <= truth.keys()
        assert storm.closed <= {number for number, position in truth.items() if isinstance(position, ClosedPosition)}
        assert storm.opened
        async with httpx.AsyncClient(base_url=f"{venue.url}/api/v1/", headers={"mizar-api-key": venue.key}) as http:
            listed = (await http.get("all-open-positions?strategy_id=1")).json()["open_positions"]
        assert {int(position["position_id"]) for position in listed} == {
            number for number, position in truth.items() if not isinstance(position, ClosedPosition)
        }
