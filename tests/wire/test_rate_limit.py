"""Turns: budgets that slide, a lane for closes, pauses, and what a call says that could not have its turn."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import AsyncMizar, InvalidInput, MizarError, NotSent, RateLimited, Unavailable
from mizar_async._clock import loop_time
from mizar_async._wire import rate_limit
from mizar_async._wire.rate_limit import LONGEST_PAUSE, Lane, RateLimit
from mizar_async._wire.turns import Turns

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


def paused_for_ever(now: float = 0.0) -> RateLimit:
    limit = RateLimit()
    limit.pause(1e308, now)
    return limit


def may_go(limit: RateLimit, at: float, lane: Lane = Lane.CLOSES, who: object = None, until: float = math.inf) -> bool:
    return limit.enter(lane, at, who, until) == 0.0


@given(st.lists(st.tuples(st.floats(0, 100), st.none() | st.floats(0, 1e308)), min_size=1, max_size=20))
def test_no_pause_is_longer_than_the_longest(pauses: list[tuple[float, float | None]]) -> None:
    limit, now = RateLimit(), 0.0
    for later, seconds in pauses:
        now += later
        limit.pause(seconds, now)
    assert may_go(limit, now + LONGEST_PAUSE + 1e-6)


def test_after_a_pause_that_was_cut_short_one_probe_goes_and_the_others_wait_for_its_answer() -> None:
    limit = paused_for_ever()
    assert limit.enter(Lane.CLOSES, 59.0) == pytest.approx(1.0)
    assert may_go(limit, 60.0)
    assert not any(may_go(limit, 60.0 + seconds, lane) for seconds in range(10) for lane in Lane)
    limit.answered()
    assert all(may_go(limit, 61.0, lane) for lane in Lane for _ in range(10))


def test_a_probe_that_is_answered_429_begins_another_pause_and_is_followed_by_another_probe() -> None:
    limit = paused_for_ever()
    assert may_go(limit, 60.0)
    limit.pause(1e308, now=61.0)
    assert limit.enter(Lane.CLOSES, 61.0) == pytest.approx(60.0)
    assert may_go(limit, 121.0)
    limit.pause(2.0, now=122.0)
    assert may_go(limit, 124.0)
    assert not may_go(limit, 124.0)


def test_a_probe_that_brings_no_answer_is_followed_by_another_one_once_it_has_left() -> None:
    limit, silent = paused_for_ever(), object()
    assert may_go(limit, 60.0, who=silent)
    limit.left(object(), now=65.0)
    assert not may_go(limit, 65.0)
    limit.left(silent, now=70.0)
    assert may_go(limit, 70.0)
    assert not may_go(limit, 70.0)


def test_a_probe_that_nobody_says_has_left_is_waited_for_until_its_own_deadline() -> None:
    limit = paused_for_ever()
    assert may_go(limit, 60.0, until=90.0)
    assert not may_go(limit, 89.9)
    assert may_go(limit, 90.0)


def test_a_close_is_asked_for_as_a_probe_before_an_open() -> None:
    limit, silent = paused_for_ever(), object()
    assert not may_go(limit, 60.0, Lane.OTHERS)
    assert may_go(limit, 60.0, who=silent)
    waits = limit.enter(Lane.CLOSES, 70.0)
    limit.left(silent, now=70.0)
    assert limit.enter(Lane.OTHERS, 70.0) > waits
    assert may_go(limit, 70.0 + waits)


def test_an_answer_to_what_left_before_the_pause_does_not_end_it() -> None:
    limit = paused_for_ever()
    limit.answered()
    assert not may_go(limit, 59.0)
    assert may_go(limit, 60.0)
    assert not may_go(limit, 60.0)


def test_a_pause_that_the_server_got_as_it_asked_needs_no_probe() -> None:
    limit = RateLimit()
    limit.pause(LONGEST_PAUSE, now=0.0)
    assert all(may_go(limit, LONGEST_PAUSE) for _ in range(10))


def test_another_client_of_the_key_neither_ends_a_pause_nor_gets_a_budget_of_its_own() -> None:
    limit = RateLimit(per_second=2)
    assert [may_go(limit, 0.0) for _ in range(3)] == [True, True, False]
    limit.set_budgets(2, None)
    assert not may_go(limit, 0.0)
    limit.pause(30.0, now=0.0)
    limit.set_budgets(100, None)
    assert limit.enter(Lane.CLOSES, 1.0) == pytest.approx(29.0)


async def test_everyone_waits_for_the_probe_and_goes_when_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "LONGEST_PAUSE", 0.0)
    turns, gone = Turns(), []
    until = asyncio.get_running_loop().time() + 60

    async def go(lane: Lane) -> None:
        async with turns.turn(lane, until):
            gone.append(lane)

    turns.pause(1e308)
    async with turns.turn(Lane.CLOSES, until):
        others = [asyncio.create_task(go(lane)) for lane in Lane for _ in range(3)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert not gone
        turns.answered()
        await asyncio.gather(*others)
    assert len(gone) == 6


async def test_a_probe_that_is_lost_lets_the_next_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "LONGEST_PAUSE", 0.0)
    turns = Turns()
    until = asyncio.get_running_loop().time() + 60
    turns.pause(1e308)
    for _ in range(3):
        async with turns.turn(Lane.CLOSES, until):
            pass


async def test_a_forked_child_keeps_the_budgets_and_forgets_what_was_under_way_and_paused() -> None:
    turns, until = Turns(), asyncio.get_running_loop().time() + 0.5
    turns.limit(None, 1)
    turns.pause(30.0)
    turns.forget()
    async with turns.turn(Lane.CLOSES, until):
        with pytest.raises(NotSent, match="rate limit"):
            async with turns.turn(Lane.CLOSES, until):
                pass


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "10", [10], 10**30])
def test_a_budget_is_a_whole_number_of_requests(budget: object) -> None:
    with pytest.raises(InvalidInput, match="requests_per_second"):
        AsyncMizar(KEY, requests_per_second=budget)  # type: ignore[arg-type]


async def test_one_429_pauses_every_client_of_the_key() -> None:
    limited = raw.answer(status=429, headers="Retry-After: 3600\r\n")
    key = f"{KEY}-paused"  # the pause stays in this process, whatever server gets this one's port
    async with raw_server(raw.saying(limited, raw.answer())) as server:
        async with AsyncMizar(key, api_url=server.url) as mizar, AsyncMizar(key, api_url=server.url) as other:
            for client_of_it in (mizar, other):
                with pytest.raises(MizarError, match="rate limit|429"):
                    await client_of_it.ping()
            assert len(server.received) == 1
            async with AsyncMizar(KEY, api_url=server.url) as of_another_key:
                await of_another_key.ping()


def answering(*answers: httpx.Response, times: list[float] | None = None) -> httpx.MockTransport:
    """Give these answers one after another, the last one for ever, and note when each was asked for."""
    left = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        if times is not None:
            times.append(loop_time())
        found = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    return httpx.MockTransport(answer)


def client(transport: httpx.MockTransport, **options: Any) -> AsyncMizar:
    return AsyncMizar(KEY, api_url="http://localhost", transport=transport, **options)


PONG = httpx.Response(200, json={})


def limited_for(seconds: int) -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": str(seconds)}, json={})


@pytest.mark.virtual_time
async def test_a_429_is_waited_for_as_long_as_it_asks() -> None:
    times: list[float] = []
    async with client(answering(limited_for(7), PONG, times=times)) as mizar:
        await mizar.ping()
    assert len(times) == 2
    assert 7.0 <= times[1] - times[0] < 8.0


@pytest.mark.virtual_time
async def test_a_pause_beyond_the_deadline_says_when_to_come_back() -> None:
    times: list[float] = []
    async with client(answering(limited_for(60), times=times), deadline=1) as mizar:
        with pytest.raises(RateLimited) as limited:
            await mizar.ping()
        assert limited.value.retry_after == 60
        with pytest.raises(MizarError, match="rate limit"):
            await mizar.ping()
    assert len(times) == 1


@pytest.mark.virtual_time
async def test_a_budget_is_kept_on_the_wire() -> None:
    times: list[float] = []
    async with client(answering(PONG, times=times), requests_per_second=20, deadline=60) as mizar:
        await asyncio.gather(*(mizar.ping() for _ in range(200)))
    assert len(times) == 200
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[20:], strict=False))
    assert times[-1] - times[0] < 13.0


@pytest.mark.virtual_time
async def test_a_read_that_got_no_turn_is_unavailable() -> None:
    async with client(answering(PONG), requests_per_minute=2, deadline=0.5) as mizar:
        await mizar.ping()
        with pytest.raises(Unavailable, match="not sent"):
            await mizar.ping()


def test_a_call_that_can_not_have_its_turn_in_time_books_none() -> None:
    limit = RateLimit(per_second=10)
    for _ in range(1_000):
        limit.reserve(Lane.OTHERS, 0.0, until=1.0)
    assert limit.reserve(Lane.OTHERS, 0.0, until=100.0) <= 2.0


def test_a_turn_that_is_given_back_goes_to_the_next() -> None:
    limit = RateLimit(per_second=2)
    assert [limit.reserve(Lane.OTHERS, 0.0) for _ in range(3)] == [0.0, 1.0, 2.0]
    limit.give_back(Lane.OTHERS, 1.0)
    assert limit.reserve(Lane.OTHERS, 0.5) == 0.5
    limit.give_back(Lane.OTHERS, 1.0)
    assert limit.reserve(Lane.OTHERS, 1.5) == 1.5
