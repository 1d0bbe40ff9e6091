"""A program that names its opens is killed at any instant and simply run again: each is opened once, none is lost."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from mizar_async import AsyncMizar, ClosedPosition

from ..scenarios.conftest import STRATEGY
from ..scenarios.faulty_proxy import FaultyProxy
from ..venues import VenueProcess
from .conftest import Said, program

pytestmark = pytest.mark.usefixtures("unmeasured")
FULL = bool(os.environ.get("MIZAR_FAULTS_FULL"))
OPENS, KILLS = (1000, 50) if FULL else (150, 5)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("closed_every", [0, 3])
async def test_each_named_open_is_opened_once_however_often_the_program_is_killed(
    closed_every: int, tmp_path: Path
) -> None:
    rng, said = random.Random(closed_every), list[Said]()
    async with (
        VenueProcess(tmp_path / "venue.db", seed=1) as venue,
        FaultyProxy(venue.url, seed=1, rate=1 / 3) as proxy,
    ):
        async with AsyncMizar(venue.key, api_url=venue.url) as mizar:
            await mizar.create_self_hosted_strategy(**STRATEGY)
        for time in range(10_000):
            async with program(
                "tests.journal.trader",
                OPENS,
                closed_every,
                journal=tmp_path / "journal",
                key=venue.key,
                url=proxy.url,
            ) as trader:
                if time < KILLS:
                    await asyncio.sleep(rng.uniform(0.3, 2.5))
                    await trader.kill()
                code = await trader.process.wait()
            said += trader.said
            if code == 0:
                break
        truth = venue.positions()
        assert code == 0
        assert len(truth) == OPENS
        opened = {(one.name, one.position_id) for one in said if one.what == "opened"}
        assert len(opened) == OPENS  # what a name was said to be, it stays
        assert Counter(one.what for one in said if one.what not in {"opened", "done"}) == {}
        assert {position_id for _, position_id in opened} == {one.position_id for one in truth}
        wanted = {pid for name, pid in opened if closed_every and int((name or "-1").split("-")[1]) % closed_every == 0}
        assert {one.position_id for one in truth if isinstance(one, ClosedPosition)} == wanted
