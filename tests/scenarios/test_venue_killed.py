"""A venue that is killed under load: what it has acknowledged is there when it is back, and nothing is doubled."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import attrs
import pytest

from mizar_async import ClosedPosition, Conflict, MizarError

from .conftest import FULL, SETTINGS, an_open, ids, scene, until


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(61, 81 if FULL else 62))
async def test_nothing_acknowledged_is_missing_after_the_venue_was_killed(seed: int, tmp_path: Path) -> None:
    rng, acknowledged, closed = random.Random(seed), list[int](), list[int]()
    async with scene(tmp_path, seed=seed, timeout=2.0) as scenery:
        at_once = asyncio.Semaphore(64)  # more than a slow machine has connections for would only time out
        mizar, venue, proxy = scenery.mizar, scenery.venue, scenery.proxy
        moment = rng.randrange(50, 400)

        async def trade() -> None:
            try:
                async with at_once:
                    acknowledged.append((await mizar.open_position(**attrs.asdict(an_open()))).position_id)
                    if rng.random() < 0.5:
                        position_id = acknowledged[-1]
                        await mizar.close_position(position_id=position_id)
                        closed.append(position_id)
            except Conflict:
                pytest.fail("closed by somebody else")
            except MizarError:
                pass

        trading = [asyncio.create_task(trade()) for _ in range(400)]
        await until(lambda: len(proxy.seen) >= moment)
        await venue.end()
        await venue.start()
        await asyncio.wait(trading, timeout=SETTINGS["deadline"])
        found = ids(await scenery.resolved())
        truth = scenery.positions()
        assert len(set(acknowledged)) == len(acknowledged)
        assert set(acknowledged) <= set(ids(truth))
        assert set(closed) <= {one.position_id for one in truth if isinstance(one, ClosedPosition)}
        assert sorted(acknowledged + found + ids(mizar.unclaimed_positions(1))) == ids(truth)
