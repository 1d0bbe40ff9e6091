"""Virtual time: what takes long takes none, what is not there is refused, and a run repeats."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.to_thread
import pytest

from mizar_async._clock import loop_time
from mizar_async.replay.loop import NEW_YEAR, LeftTheReplay, TimeStandsStill, VirtualClock, VirtualLoop, run


async def times(*waits: Coroutine[Any, Any, object]) -> list[float]:
    """What the loop's clock shows at first and after each of them."""
    shown = [loop_time()]
    for wait in waits:
        await wait
        shown.append(loop_time())
    return shown


def test_sleeping_moves_the_clock_by_as_much() -> None:
    assert run(times(asyncio.sleep(86_400), anyio.sleep(0.25), asyncio.sleep(1e-9))) == [
        0,
        86_400,
        86_400.25,
        86_400.250001,
    ]


def test_tasks_wait_at_the_same_time_and_end_in_the_order_of_their_timers() -> None:
    async def main() -> tuple[list[int], float]:
        ended: list[int] = []

        async def wait(seconds: int) -> None:
            await asyncio.sleep(seconds)
            ended.append(seconds)

        await asyncio.gather(*(wait(seconds) for seconds in (30, 10, 20)))
        return ended, loop_time()

    assert run(main()) == ([10, 20, 30], 30.0)


@pytest.mark.parametrize("within", [asyncio.timeout, anyio.fail_after])
def test_a_time_out_ends_what_nobody_would_end(within: Callable[[float], Any]) -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            scope = within(600)
            if hasattr(scope, "__aenter__"):
                async with scope:
                    await asyncio.Event().wait()
            with scope:
                await anyio.Event().wait()
        return loop_time()

    assert run(main()) == 600.0


def test_a_task_group_of_anyio_lives_in_it() -> None:
    async def main() -> float:
        with anyio.move_on_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 3)
                group.start_soon(anyio.sleep_forever)
        return loop_time()

    assert run(main()) == 5.0


def test_the_time_out_of_a_wait_that_is_over_does_not_pass() -> None:
    async def main() -> float:
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(1, done.set)
        await asyncio.wait_for(done.wait(), 1_000)
        return loop_time()

    assert run(main()) == 1.0


def test_the_clock_shows_the_loops_time_on_a_date() -> None:
    clock = VirtualClock(start=1_600_000_000_000)

    async def main() -> list[int]:
        shown = [clock.now()]
        for seconds in (0.5, 60):
            await asyncio.sleep(seconds)
            shown.append(clock.now())
        return shown

    assert run(main(), clock=clock) == [1_600_000_000_000, 1_600_000_000_500, 1_600_000_060_500]


def test_a_day_goes_on_in_the_next_loop_on_its_clock() -> None:
    clock = VirtualClock()
    assert run(times(asyncio.sleep(10)), clock=clock) == [0, 10]
    clock.advance(5)
    assert run(times(asyncio.sleep(10)), clock=clock) == [15, 25]
    assert clock.now() == NEW_YEAR + 25_000 == datetime(2025, 1, 1, 0, 0, 25, tzinfo=UTC).timestamp() * 1000


def test_a_function_for_a_thread_is_called_in_this_one() -> None:
    async def main() -> tuple[int, int, float]:
        there = await asyncio.to_thread(threading.get_ident)
        with pytest.raises(ValueError, match="invalid literal"):
            await asyncio.get_running_loop().run_in_executor(None, int, "x")
        return there, threading.get_ident(), loop_time()

    there, here, at = run(main())
    assert there == here
    assert at == 0


def test_a_function_whose_caller_has_gone_is_not_called() -> None:
    async def main() -> list[int]:
        called: list[int] = []
        asyncio.get_running_loop().run_in_executor(None, called.append, 1).cancel()
        await asyncio.sleep(1)
        return called

    assert run(main()) == []


async def connected() -> object:
    return await asyncio.open_connection("127.0.0.1", 9)


async def looked_up() -> object:
    return await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def looked_up_by_a_plain_call() -> object:
    return socket.gethostbyname("localhost")


async def served() -> object:
    return await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)


async def sent() -> object:
    with socket.socket(type=socket.SOCK_DGRAM) as here:
        return here.sendto(b"x", ("127.0.0.1", 9))


async def started() -> object:
    return subprocess.run([sys.executable, "-V"], check=False)


async def threaded() -> object:
    return threading.Thread(target=print, name="mine").start()


async def threaded_by_anyio() -> object:
    return await anyio.to_thread.run_sync(print)


@pytest.mark.parametrize(
    ("reach", "what"),
    [
        (connected, r"a connection \(\('127.0.0.1', 9\)\)"),
        (looked_up, r"the look-up of a name \('localhost'\)"),
        (looked_up_by_a_plain_call, r"the look-up of a name \('localhost'\)"),
        (served, r"a server \(\('127.0.0.1', 0\)\)"),
        (sent, r"a datagram \(\('127.0.0.1', 9\)\)"),
        (started, rf"another process \('{sys.executable}'\)"),
        (threaded, r"a thread \(.*mine"),
        (threaded_by_anyio, "a thread"),
    ],
)
def test_what_a_virtual_world_has_not_is_refused_where_it_is_reached_for(
    reach: Callable[[], Coroutine[Any, Any, object]], what: str
) -> None:
    with pytest.raises(LeftTheReplay, match=f"^{what}.* was reached for in virtual time, which has none: put"):
        run(reach())


def test_outside_of_it_nothing_is_refused() -> None:
    run(asyncio.sleep(1))
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    other = threading.Thread(target=lambda: None)
    other.start()
    other.join()


def test_another_thread_is_left_alone_while_a_virtual_loop_runs() -> None:
    asked, done, ended = threading.Event(), threading.Event(), list[int]()

    def beside() -> None:
        asked.wait()
        ended.append(subprocess.run([sys.executable, "-c", ""], check=False).returncode)
        done.set()

    async def main() -> None:
        asked.set()
        done.wait()

    other = threading.Thread(target=beside)
    other.start()
    run(main())
    other.join()
    assert ended == [0]


def test_waiting_for_what_never_happens_is_an_error_that_says_who_waits_where() -> None:
    cleaned_up: list[float] = []

    async def main() -> None:
        await asyncio.sleep(7)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            cleaned_up.append(loop_time())

    with pytest.raises(
        TimeStandsStill, match=r"nothing will ever happen again: 1 task\(s\) wait, Task-\d+ at .*test_loop"
    ):
        run(main())
    assert cleaned_up == [8.0]


def test_going_round_without_time_to_pass_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mizar_async.replay.loop._MOST_TURNS", 1_000)

    async def main() -> None:
        for _ in range(2_000):
            await asyncio.sleep(0)
        await asyncio.sleep(1)

    with pytest.raises(TimeStandsStill, match="1,000 turns of the loop without any wait: 1 task"):
        run(main())


def test_turns_are_counted_from_the_last_wait_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mizar_async.replay.loop._MOST_TURNS", 1_000)

    async def main() -> None:
        for number in range(5_000):
            await asyncio.sleep(number % 2)

    run(main())


def test_ctrl_c_ends_it_as_it_ends_a_real_one() -> None:
    async def main() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(3_600)

    with pytest.raises(KeyboardInterrupt):
        run(main())


def test_tasks_and_futures_stand_in_sets_in_the_order_of_making() -> None:
    async def main() -> tuple[list[int], list[int]]:
        made = [asyncio.ensure_future(asyncio.sleep(1)) for _ in range(50)]
        promised = [asyncio.get_running_loop().create_future() for _ in range(50)]
        shuffled = [*made, *promised]
        random.Random(1).shuffle(shuffled)
        places = {one: place for place, one in enumerate([*made, *promised])}
        order = [places[one] for one in set(shuffled)]
        await asyncio.wait(made)
        return order, sorted(order)

    order, expected = run(main())
    assert sorted(order) == expected == list(range(100))
    assert run(main())[0] == order


def test_a_future_compares_as_itself_whatever_its_number() -> None:
    one, other = VirtualLoop(), VirtualLoop()
    mine, theirs = one.create_future(), other.create_future()
    assert hash(mine) == hash(theirs)
    assert mine != theirs
    one.close()
    other.close()


def test_a_process_that_used_it_ends_in_silence() -> None:
    program = "import asyncio; from mizar_async.replay.loop import run; run(asyncio.sleep(9)); print('done')"
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.virtual_time
async def test_a_test_marked_so_runs_in_virtual_time() -> None:
    assert isinstance(asyncio.get_running_loop(), VirtualLoop)


async def test_a_test_not_marked_runs_in_real_time() -> None:
    assert not isinstance(asyncio.get_running_loop(), VirtualLoop)
