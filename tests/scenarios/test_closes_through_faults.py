"""Closes, close-all and flatten while a part of all exchanges fails: each position closes once, and says so."""

from __future__ import annotations

import asyncio
import collections
import json
import random
from pathlib import Path

import attrs
import pytest

from mizar_async import AnswerUnreadable, NotOpened, NotSent, OutcomeUnknown

from .conftest import FULL, Scene, an_open, ids, opened, scene, until


def times_closed(scenery: Scene) -> dict[int, int]:
    """How often the venue has said of a position that it closed it now."""
    closes = [one for one in scenery.proxy.requests_of("close-position") if one.status == 200]
    return collections.Counter(int(json.loads(one.body)["position_id"]) for one in closes)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rate", [1 / 3, 2 / 3], ids=["a_third_fails", "two_thirds_fail"])
async def test_every_close_ends_with_its_position_closed_once(rate: float, tmp_path: Path) -> None:
    async with scene(tmp_path, seed=11) as scenery:
        position_ids = await opened(scenery.mizar, 1_000 if FULL else 12)
        scenery.proxy.rate = rate
        result = await scenery.mizar.close_positions(position_ids)
        scenery.proxy.rate = 0.0
        assert result.counts["done"] == len(position_ids), result.failed[:3]
        assert {type(outcome.error) for outcome in result.failed} <= {AnswerUnreadable}
        await until(lambda: not scenery.proxy.held)
        assert scenery.open_ids() == []
        assert times_closed(scenery) == dict.fromkeys(position_ids, 1)
        assert scenery.mizar.unresolved() == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rate", [1 / 3, 2 / 3], ids=["a_third_fails", "two_thirds_fail"])
async def test_every_close_all_ends_with_each_position_closed_and_named(rate: float, tmp_path: Path) -> None:
    async with scene(tmp_path, seed=12, deadline=60.0) as scenery:
        for _ in range(40 if FULL else 2):
            position_ids = await opened(scenery.mizar, 10)
            scenery.proxy.rate = rate
            closed = await scenery.mizar.close_all_positions(strategy_id=1)
            scenery.proxy.rate = 0.0
            assert ids(closed) == position_ids
            assert scenery.open_ids() == []
            # What was held back would close what is opened next.
            await until(lambda: not scenery.proxy.held)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(21, 41 if FULL else 22))
async def test_a_flatten_at_any_moment_of_many_opens_leaves_nothing_open(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    opens = 2_000 if FULL else 150
    async with scene(tmp_path, seed=seed) as scenery:
        mizar, proxy = scenery.mizar, scenery.proxy
        proxy.rate = 1 / 3
        moment = rng.randrange(1, opens // 2)
        opening = asyncio.create_task(mizar.open_positions([an_open()] * opens))
        await until(lambda: proxy.counts["open-position"] >= moment)
        report_of = asyncio.create_task(mizar.flatten(1, deadline=120))
        left_before = proxy.counts["open-position"]
        report = await report_of
        result = await opening
        proxy.rate = 0.0
        await until(lambda: not proxy.held)

        # What was in flight when the door shut may still come in.
        late = proxy.requests_of("open-position")[left_before:]
        assert len(late) <= 64, "an open left after the door was shut"
        assert scenery.open_ids() == []
        on_the_server = ids(scenery.positions())
        assert ids(report.closed) == on_the_server
        assert report.closed_elsewhere == []
        assert times_closed(scenery) == dict.fromkeys(on_the_server, 1)
        assert {type(one.error) for one in result.failed} <= {NotSent, NotOpened, OutcomeUnknown}
        assert mizar.unresolved() == [] or all(error.candidates == () for error in mizar.unresolved())


async def test_the_first_request_of_a_flatten_closes_what_is_known_to_be_open(tmp_path: Path) -> None:
    async with scene(tmp_path, seed=13, timeout=30.0) as scenery:
        position_ids = await opened(scenery.mizar, 5)
        before = len(scenery.proxy.seen)
        report = await scenery.mizar.flatten(1)
        assert ids(report.closed) == position_ids
        calls = [one.call for one in scenery.proxy.seen[before:]]
        assert calls[:5] == ["close-position"] * 5
        assert set(calls[5:]) == {"all-open-positions"}


async def test_the_door_of_a_flattened_strategy_is_shut_to_every_client_until_it_is_resumed(tmp_path: Path) -> None:
    async with scene(tmp_path, seed=14) as scenery, scenery.client() as other:
        await scenery.mizar.flatten(1)
        with pytest.raises(NotSent, match=r"resume\(1\)"):
            await other.with_options(max_retries=0).open_position(**attrs.asdict(an_open()))
        assert scenery.proxy.counts["open-position"] == 0
        other.resume(1)
        assert (await opened(scenery.mizar, 1)) == [1]
