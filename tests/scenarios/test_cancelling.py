"""Callers that go: what they began is finished in the grace, or found out, and never forgotten."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from mizar_async import NotOpened, OutcomeUnknown, Position

from .conftest import FULL, Scene, an_open, failed, ids, looked, opened, scene, until
from .faulty_proxy import Fault, Seen

OPEN = attrs.asdict(an_open())


def every_open(fault: Fault) -> Callable[[Seen], Fault | None]:
    return lambda seen: fault if seen.call == "open-position" else None


async def timed_out_once_sent(scenery: Scene, fault: Fault) -> None:
    """Open within a time-out that is over as soon as the request has been read, whenever that is."""
    async with asyncio.timeout(None) as limit:

        def as_it_is_read(seen: Seen) -> Fault | None:
            if seen.call == "open-position":
                limit.reschedule(asyncio.get_running_loop().time())
            return every_open(fault)(seen)

        scenery.proxy.plan = as_it_is_read
        await scenery.mizar.open_position(**OPEN)


async def test_an_open_that_ends_in_the_grace_of_its_cancelled_caller_is_reported_as_unclaimed(tmp_path: Path) -> None:
    async with scene(tmp_path, seed=51, timeout=60.0, grace=60.0) as scenery:
        proxy, told = scenery.proxy, []
        listening = scenery.client(on_unclaimed=told.append)
        proxy.late_until, proxy.plan = asyncio.Event(), every_open(Fault.LATE)
        call = asyncio.create_task(scenery.mizar.open_position(**OPEN))
        await until(lambda: proxy.counts["open-position"] == 1)
        call.cancel()
        await asyncio.sleep(0)
        proxy.late_until.set()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert ids(scenery.mizar.unclaimed_positions(1)) == [1]
        assert scenery.mizar.unresolved() == []
        await until(lambda: told)
        assert ids(told) == [1]
        await listening.aclose()


async def test_a_read_that_is_cancelled_ends_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path, seed=52, timeout=600.0, grace=600.0) as scenery:
        scenery.proxy.late_until, scenery.proxy.plan = asyncio.Event(), lambda _: Fault.LATE
        call = asyncio.create_task(scenery.mizar.ping())
        await until(lambda: scenery.proxy.counts["ping"] == 1)
        call.cancel()
        await asyncio.wait([call], timeout=60)
        assert call.cancelled(), "it waited for its answer, which never comes"


async def test_a_second_cancellation_leaves_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path, seed=53, timeout=600.0, grace=600.0, settle_time=0.5) as scenery:
        proxy, mizar = scenery.proxy, await looked(scenery.mizar)
        proxy.late_until, proxy.plan = asyncio.Event(), every_open(Fault.LATE)
        call = asyncio.create_task(mizar.open_position(**OPEN))
        await until(lambda: len(scenery.positions()) == 1)
        call.cancel()
        await asyncio.wait([call], timeout=0.1)
        assert not call.done()
        call.cancel()
        await asyncio.wait([call], timeout=60)
        assert call.cancelled(), "it waited for its answer, which never comes"
        proxy.plan = None
        [error] = mizar.unresolved()
        assert (await mizar.resolve(error)).position_id == 1
        assert mizar.unclaimed_positions(1) == []


@pytest.mark.parametrize("fault", [Fault.LATE, Fault.HELD], ids=["answered_late", "delivered_late"])
async def test_what_a_time_out_around_an_open_leaves_in_doubt_is_named_and_resolved(
    fault: Fault, tmp_path: Path
) -> None:
    async with scene(tmp_path, seed=54, grace=0.0) as scenery:
        proxy, mizar = scenery.proxy, await looked(scenery.mizar)
        with pytest.raises(TimeoutError):
            await timed_out_once_sent(scenery, fault)
        proxy.plan = None
        [error] = mizar.unresolved()
        assert "open long BTC/USDT size 0.1 of strategy 1" in str(error)
        position = await mizar.resolve(error, timeout=60)
        assert isinstance(position, Position)
        assert [position.position_id] == ids(scenery.positions())
        assert mizar.unresolved() == mizar.unclaimed_positions(1) == []
        assert proxy.counts["open-position"] == 1


async def test_what_never_reached_the_venue_resolves_as_not_opened(tmp_path: Path) -> None:
    async with scene(tmp_path, seed=55, grace=0.0, settle_time=0.2, listing_lag=0.1) as scenery:
        with pytest.raises(TimeoutError):
            await timed_out_once_sent(scenery, Fault.RESET_BEFORE)
        [error] = scenery.mizar.unresolved()
        with pytest.raises(NotOpened):
            await scenery.mizar.resolve(error, timeout=60)
        assert scenery.positions() == []
        assert scenery.proxy.counts["open-position"] == 1


async def test_an_open_past_its_deadline_is_unknown_and_goes_on_being_looked_for(tmp_path: Path) -> None:
    async with scene(tmp_path, seed=56, settle_time=1.0, listing_lag=0.1) as scenery:
        mizar = scenery.mizar.with_options(deadline=1.0)
        scenery.proxy.plan = every_open(Fault.RESET_BEFORE)
        error = await failed(lambda: mizar.open_position(**OPEN))
        assert isinstance(error, OutcomeUnknown)
        assert [one.reference for one in mizar.unresolved()] == [error.reference]
        with pytest.raises(NotOpened):
            await mizar.resolve(error, timeout=60)


async def test_a_client_that_closes_with_something_in_doubt_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(tmp_path, seed=57, deadline=0.6, grace=0.1, settle_time=60.0) as scenery:
        scenery.proxy.plan = every_open(Fault.RESET_BEFORE)
        assert isinstance(await failed(lambda: scenery.mizar.open_position(**OPEN)), OutcomeUnknown)
        await scenery.mizar.aclose()
        await scenery.mizar.aclose()
        warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "open long BTC/USDT size 0.1 of strategy 1" in warnings[0]


async def test_what_a_closed_client_left_in_doubt_is_followed_up_by_another_of_its_account(tmp_path: Path) -> None:
    faults = {"open-position": Fault.RESET_AFTER, "all-open-positions": Fault.ERROR_BEFORE}
    async with scene(tmp_path, seed=59, deadline=0.6, grace=0.1) as scenery:
        await looked(scenery.mizar)
        scenery.proxy.plan = lambda seen: faults.get(seen.call)
        assert isinstance(await failed(lambda: scenery.mizar.open_position(**OPEN)), OutcomeUnknown)
        async with scenery.client() as staying:
            await scenery.mizar.aclose()
            assert len(staying.unresolved()) == 1
            scenery.proxy.plan = None
            await until(lambda: staying.unclaimed_positions(1))
            assert ids(staying.unclaimed_positions(1)) == ids(scenery.positions())
            assert staying.unresolved() == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rate", [0.0, 1 / 3], ids=["nothing_else_fails", "a_third_fails"])
async def test_many_cancelled_calls_leave_nothing_behind_that_is_not_known(rate: float, tmp_path: Path) -> None:
    calls, rng = (10_000 if FULL else 1_000), random.Random(58)
    async with scene(tmp_path, seed=58, grace=0.05) as scenery:
        mizar, proxy = scenery.mizar, scenery.proxy
        held = await opened(mizar, 1)
        tasks_before = len(asyncio.all_tasks())
        proxy.rate = rate

        async def impatient() -> None:
            try:
                async with asyncio.timeout(rng.uniform(0.0, 0.1)):
                    held.append((await mizar.open_position(**OPEN)).position_id)
            except (TimeoutError, NotOpened, OutcomeUnknown):
                pass

        for _ in range(calls // 50):
            await asyncio.gather(*(impatient() for _ in range(50)))
        proxy.rate = 0.0
        found = ids(await scenery.resolved())
        result = await mizar.with_options(timeout=30.0).open_positions([an_open()] * 100)
        assert len(result.succeeded) == 100
        known = held + found + ids(result.succeeded) + ids(mizar.unclaimed_positions(1))
        assert sorted(known) == ids(scenery.positions())
        assert mizar.unresolved() == []
        assert proxy.connections <= 64 + 50
        await until(lambda: len(asyncio.all_tasks()) - proxy.connections <= tasks_before)


def test_faults_are_drawn_by_the_seed() -> None:
    """What the other tests rely on to be repeatable, as far as TCP allows."""
    from .faulty_proxy import FaultyProxy

    def drawn(seed: int) -> list[Fault | None]:
        proxy = FaultyProxy("http://127.0.0.1:1", seed=seed, rate=0.5)
        return [proxy._draw(Seen(0.0, "POST", "open-position", "", b"")) for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)
