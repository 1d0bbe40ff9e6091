"""Turns: budgets that slide, a lane for closes, pauses, and what a call says that could not have its turn."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import AsyncMizar, InvalidInput, MizarError, RateLimited, Unavailable
from mizar_async._wire.rate_limit import Lane, RateLimit

from .. import raw_server as raw
from ..conftest import KEY
from ..raw_server import raw_server


def leave_times(limit: RateLimit, calls: list[tuple[Lane, float]]) -> list[tuple[Lane, float]]:
    """When each call leaves, if each asks again as soon as it was told to."""
    waiting = [(asked + limit.reserve(lane, asked), lane) for lane, asked in calls]
    left: list[tuple[Lane, float]] = []
    while waiting:
        waiting.sort(key=lambda entry: entry[0])
        at, lane = waiting.pop(0)
        pause = limit.enter(lane, at)
        if pause > 0:
            waiting.append((at + pause + 1e-9, lane))
        else:
            left.append((lane, at))
    return left


CALLS = st.lists(st.tuples(st.sampled_from(Lane), st.floats(0, 5)), max_size=60).map(
    lambda calls: sorted(calls, key=lambda c: c[1])
)


@given(CALLS, st.integers(1, 20))
def test_no_second_holds_more_than_its_budget(calls: list[tuple[Lane, float]], budget: int) -> None:
    times = [at for _, at in leave_times(RateLimit(per_second=budget), calls)]
    assert len(times) == len(calls)
    for number, at in enumerate(times):
        assert sum(1 for other in times[: number + 1] if other > at - 1 + 1e-6) <= budget


def test_opens_leave_a_tenth_of_the_budget_to_closes() -> None:
    limit = RateLimit(per_second=10)
    assert [limit.reserve(Lane.OTHERS, 0.0) + limit.enter(Lane.OTHERS, 0.0) for _ in range(9)] == [0.0] * 9
    assert limit.reserve(Lane.OTHERS, 0.0) == 1.0
    assert limit.enter(Lane.CLOSES, 0.0) == 0.0


def test_a_close_never_waits_behind_queued_opens() -> None:
    limit = RateLimit(per_second=10)
    for _ in range(1000):
        limit.reserve(Lane.OTHERS, 0.0)
    assert limit.enter(Lane.CLOSES, 0.0) == 0.0


def test_after_a_pause_closes_go_first() -> None:
    limit = RateLimit()
    limit.pause(3.0, now=10.0)
    assert limit.enter(Lane.CLOSES, 12.0) == pytest.approx(1.0)
    assert limit.enter(Lane.CLOSES, 13.0) == 0.0
    assert limit.enter(Lane.OTHERS, 13.0) > 0.0


def test_pauses_without_a_word_from_the_server_grow_and_shrink_again_with_an_answer() -> None:
    limit = RateLimit()
    limit.pause(None, now=0.0)
    limit.pause(None, now=0.5)  # an answer to a request that was under way: the same pause
    assert limit.enter(Lane.CLOSES, 0.0) == 1.5
    limit.pause(None, now=10.0)
    assert limit.enter(Lane.CLOSES, 10.0) == 2.0
    limit.answered()
    limit.pause(None, now=20.0)
    assert limit.enter(Lane.CLOSES, 20.0) == 1.0


def test_a_limit_that_was_never_set_lets_everything_pass_at_once() -> None:
    limit = RateLimit()
    assert limit.idle
    limit.pause(1.0, now=0.0)
    assert not limit.idle


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "10"])
def test_a_budget_is_a_whole_number_of_requests(budget: object) -> None:
    with pytest.raises(InvalidInput, match="requests_per_second"):
        AsyncMizar(KEY, requests_per_second=budget)  # type: ignore[arg-type]


async def test_one_429_pauses_every_client_of_the_key_and_the_call_works_afterwards() -> None:
    limited = raw.answer(status=429, headers="Retry-After: 1\r\n")
    async with raw_server(raw.saying(limited, raw.answer())) as server:
        async with AsyncMizar(KEY, api_url=server.url) as mizar, AsyncMizar(KEY, api_url=server.url) as other:
            began = asyncio.get_running_loop().time()
            first = asyncio.create_task(mizar.ping())
            while not server.received:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            await other.ping()
            assert asyncio.get_running_loop().time() - began >= 1.0
            await first


async def test_a_pause_beyond_the_deadline_says_when_to_come_back() -> None:
    async with raw_server(raw.saying(raw.answer(status=429, headers="Retry-After: 60\r\n"))) as server:
        async with AsyncMizar(KEY, api_url=server.url, deadline=1) as mizar:
            with pytest.raises(RateLimited) as limited:
                await mizar.ping()
            assert limited.value.retry_after == 60
            with pytest.raises(MizarError, match="rate limit"):
                await mizar.ping()
        assert len(server.received) == 1


async def test_a_budget_is_kept_on_the_wire() -> None:
    async with raw_server(raw.saying(raw.answer())) as server:
        async with AsyncMizar(KEY, api_url=server.url, requests_per_second=20) as mizar:
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(mizar.ping() for _ in range(40)))
            assert asyncio.get_running_loop().time() - began >= 2.0


async def test_a_read_that_got_no_turn_is_unavailable() -> None:
    async with raw_server(raw.saying(raw.answer())) as server:
        async with AsyncMizar(KEY, api_url=server.url, requests_per_minute=2, deadline=0.5) as mizar:
            await mizar.ping()
            with pytest.raises(Unavailable, match="not sent"):
                await mizar.ping()
