"""A signal inside `closing_positions`: everything is closed first, then the process ends with the signal's status."""

from __future__ import annotations

import signal
import sys

import pytest

from mizar_async import AsyncMizar

from ..venues import RunningVenue
from .scripts import trading

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process is asked to end by a signal there")

SIGINT, SIGTERM = signal.SIGINT, signal.SIGTERM

IN_A_TASK = """
import asyncio
async def main():
    async with AsyncMizar() as mizar:
        async with mizar.closing_positions(STRATEGY):
            await mizar.open_positions(REQUESTS)
            ready()
            await asyncio.sleep(3600)
"""
IN_BLOCKING_CODE = """
import threading, time
def wait_in_a_call():
    def endless():
        yield from REQUESTS
        ready()
        threading.Event().wait()
    mizar.open_positions(endless())
def wait_awake():
    ready()
    while True: pass
def wait_asleep():
    ready()
    time.sleep(3600)
with Mizar() as mizar, mizar.closing_positions(STRATEGY):
    mizar.open_positions(REQUESTS)
"""


@pytest.fixture
async def venue(venue: RunningVenue, mizar: AsyncMizar) -> RunningVenue:
    """A venue that has the strategy of the scripts."""
    return venue


async def ends_flat(text: str, venue: RunningVenue, number: signal.Signals = SIGTERM) -> str:
    """Send a signal once the script is ready; returns what it complained of."""
    async with trading(text, venue) as script:
        await script.said("ready")
        assert venue.open_positions() != []
        script.send(number)
        status, complaints = await script.ended()
    assert (status, venue.open_positions()) == (-number, []), complaints
    return complaints


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
@pytest.mark.parametrize(
    "run",
    [
        "asyncio.run(main())",
        "asyncio.new_event_loop().run_until_complete(main())",
        "import uvloop; uvloop.run(main())",
        "import uvloop; uvloop.new_event_loop().run_until_complete(main())",
        "import anyio; anyio.run(main)",
    ],
    ids=["asyncio.run", "a loop of asyncio", "uvloop.run", "a loop of uvloop", "anyio.run"],
)
async def test_a_task_inside_the_guard(run: str, number: signal.Signals, venue: RunningVenue) -> None:
    if "uvloop" in run:
        pytest.importorskip("uvloop")
    complaints = await ends_flat(IN_A_TASK + run, venue, number)
    assert complaints == "" or (number == SIGINT and "KeyboardInterrupt" in complaints)


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
@pytest.mark.parametrize("wait", ["asleep", "awake", "in_a_call"])
async def test_blocking_code_that_waits(wait: str, number: signal.Signals, venue: RunningVenue) -> None:
    complaints = await ends_flat(f"{IN_BLOCKING_CODE}    wait_{wait}()", venue, number)
    assert complaints == "" or (number == SIGINT and "KeyboardInterrupt" in complaints)


async def test_guards_in_each_other_and_side_by_side_are_all_closed_before_the_process_ends(
    venue: RunningVenue,
) -> None:
    complaints = await ends_flat(
        """
        import asyncio
        async def bot(mizar, inside):
            async with mizar.closing_positions(STRATEGY), AsyncMizar() as other, other.closing_positions(STRATEGY):
                await asyncio.gather(mizar.open_positions(REQUESTS), other.open_positions(REQUESTS))
                inside.release()
                await asyncio.sleep(3600)
        async def main():
            inside = asyncio.Semaphore(0)
            async with AsyncMizar() as mizar, asyncio.TaskGroup() as group:
                for _ in range(3): group.create_task(bot(mizar, inside))
                for _ in range(3): await inside.acquire()
                ready()
        asyncio.run(main())
        """,
        venue,
    )
    assert complaints == ""


async def test_guards_of_other_threads_and_loops_are_closed_too_while_the_main_thread_is_inside_one(
    venue: RunningVenue,
) -> None:
    complaints = await ends_flat(
        """
        import asyncio, contextlib, threading, time
        inside = threading.Barrier(3)
        def blocking_bot():
            with Mizar() as mizar, mizar.closing_positions(STRATEGY):
                mizar.open_positions(REQUESTS)
                inside.wait()
                time.sleep(3600)
        async def bot():
            with contextlib.suppress(asyncio.CancelledError):  # which a thread would print
                async with AsyncMizar() as mizar, mizar.closing_positions(STRATEGY):
                    await mizar.open_positions(REQUESTS)
                    inside.wait()
                    await asyncio.sleep(3600)
        threading.Thread(target=blocking_bot).start()
        threading.Thread(target=asyncio.run, args=(bot(),)).start()
        with Mizar() as mizar, mizar.closing_positions(STRATEGY), Mizar() as other, other.closing_positions(STRATEGY):
            mizar.open_positions(REQUESTS)
            other.open_positions(REQUESTS)
            inside.wait()
            ready()
            time.sleep(3600)
        """,
        venue,
    )
    assert complaints == ""


ONE_SLOW_GUARD = """
import asyncio, signal, threading, time
patient()
pressed = threading.Event()
def press(*_):
    pressed.set()
    raise KeyboardInterrupt
async def interrupted():
    while not pressed.is_set(): await asyncio.sleep(0.01)
async def soon(): pass
async def never(): await asyncio.sleep(3600)
async def main():
    async with AsyncMizar(transport=SlowToClose({awaits})) as mizar:
        try:
            async with mizar.closing_positions(STRATEGY):
                await mizar.open_position(**ASK)
                {block}
        finally: print("code around", flush=True)
def blocking():
    with Mizar(transport=SlowToClose({awaits})) as mizar:
        try:
            with mizar.closing_positions(STRATEGY):
                mizar.open_position(**ASK)
                {blocking_block}
        finally: print("code around", flush=True)
{run}
"""
WAYS = {"async": "asyncio.run(main())", "blocking": "blocking()"}


@pytest.mark.parametrize("run", WAYS.values(), ids=WAYS)
async def test_a_signal_that_comes_during_the_clean_up_lets_it_end(run: str, venue: RunningVenue) -> None:
    text = ONE_SLOW_GUARD.format(awaits="signalled", block="pass", blocking_block="pass", run=run)
    async with trading(text, venue) as script:
        await script.said("closing")
        script.send(SIGTERM)
        assert await script.ended() == (-SIGTERM, "")
    assert venue.open_positions() == []


async def test_a_first_interrupt_during_a_blocking_clean_up_lets_it_end(venue: RunningVenue) -> None:
    run = "signal.signal(signal.SIGINT, press); blocking()"
    text = ONE_SLOW_GUARD.format(awaits="interrupted", block="", blocking_block="pass", run=run)
    async with trading(text, venue) as script:
        await script.said("closing")
        script.send(SIGINT)
        status, _ = await script.ended()
    assert (status, venue.open_positions()) == (-SIGINT, [])


@pytest.mark.parametrize("run", WAYS.values(), ids=WAYS)
async def test_a_second_signal_ends_the_process_at_once(run: str, venue: RunningVenue) -> None:
    text = ONE_SLOW_GUARD.format(
        awaits="never", block="ready(); await asyncio.sleep(3600)", blocking_block="ready(); time.sleep(3600)", run=run
    )
    async with trading(text, venue) as script:
        await script.said("ready")
        script.send(SIGTERM)
        await script.said("closing")
        script.send(SIGTERM)
        assert await script.ended() == (-SIGTERM, "")
    assert len(venue.open_positions()) == 1


@pytest.mark.parametrize("run", WAYS.values(), ids=WAYS)
async def test_the_code_around_the_guard_has_its_chance_before_the_process_ends(run: str, venue: RunningVenue) -> None:
    text = ONE_SLOW_GUARD.format(
        awaits="soon", block="ready(); await asyncio.sleep(3600)", blocking_block="ready(); time.sleep(3600)", run=run
    )
    async with trading(text, venue) as script:
        await script.said("ready")
        script.send(SIGTERM)
        await script.said("code around")
        assert await script.ended() == (-SIGTERM, "")
    assert venue.open_positions() == []


@pytest.mark.parametrize("way", ["async", "blocking"])
async def test_code_that_goes_on_after_a_signal_has_ended_its_guard_is_ended_with_its_process(
    way: str, venue: RunningVenue
) -> None:
    texts = {
        "async": """
            import asyncio
            async def main():
                mizar = AsyncMizar()
                try:
                    async with mizar.closing_positions(STRATEGY):
                        await mizar.open_position(**ASK)
                        ready()
                        await asyncio.sleep(3600)
                except asyncio.CancelledError: pass
                await asyncio.sleep(3600)
            asyncio.run(main())
            """,
        "blocking": """
            import time
            mizar = Mizar()
            try:
                with mizar.closing_positions(STRATEGY):
                    mizar.open_position(**ASK)
                    ready()
                    time.sleep(3600)
            except BaseException: pass
            time.sleep(3600)
            """,
    }
    assert await ends_flat(texts[way], venue) == ""


async def test_a_block_that_swallows_every_cancellation_is_closed_behind_and_its_process_ends(
    venue: RunningVenue,
) -> None:
    text = """
        import asyncio
        from mizar_async._writes import signals
        signals._CHANCE = 0.5
        async def main():
            mizar = AsyncMizar()
            async with mizar.closing_positions(STRATEGY):
                await mizar.open_position(**ASK)
                ready()
                while True:
                    try:
                        await asyncio.sleep(0.01)
                        await mizar.open_position(**ASK)
                    except BaseException: pass
        asyncio.run(main())
        """
    assert await ends_flat(text, venue) == ""


async def test_a_handler_of_the_programs_own_is_left_alone(venue: RunningVenue) -> None:
    text = """
        import asyncio, signal, sys
        def mine(*_): raise SystemExit(7)
        async def main():
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, stop.set)
            async with AsyncMizar() as mizar, mizar.closing_positions(STRATEGY):
                await mizar.open_position(**ASK)
                ready()
                await stop.wait()
        asyncio.run(main())
        signal.signal(signal.SIGTERM, mine)
        with Mizar() as mizar, mizar.closing_positions(STRATEGY):
            mizar.open_position(**ASK)
            assert signal.getsignal(signal.SIGTERM) is mine
            ready()
            signal.pause()
        """
    async with trading(text, venue) as script:
        for _ in range(2):
            await script.said("ready")
            script.send(SIGTERM)
        assert await script.ended() == (7, "")
    assert (len(venue.positions()), venue.open_positions()) == (2, [])


async def test_the_handlers_are_put_back_when_the_last_guard_is_left(venue: RunningVenue) -> None:
    text = """
        import asyncio, signal
        numbers = [signal.SIGTERM, signal.SIGINT]
        handlers = lambda: [signal.getsignal(number) for number in numbers]
        before = handlers()
        async def main():
            async with AsyncMizar() as mizar:
                one, other = mizar.closing_positions(STRATEGY), mizar.closing_positions(STRATEGY)
                await one.__aenter__(); await other.__aenter__(); await one.__aexit__(None, None, None)
                assert signal.SIG_DFL not in handlers() and signal.default_int_handler not in handlers()
                await other.__aexit__(None, None, None)
                assert handlers() == before
        asyncio.new_event_loop().run_until_complete(main())
        with Mizar() as mizar:
            with mizar.closing_positions(STRATEGY):
                assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
            assert handlers() == before
        ready()
        """
    async with trading(text, venue) as script:
        await script.said("ready")
        assert await script.ended() == (0, "")


async def test_what_a_guard_could_not_close_is_logged_before_the_process_ends(venue: RunningVenue) -> None:
    text = """
        import asyncio
        async def main():
            async def close(): raise NotFlat("not flat after 60 s: position 17 is open")
            with ending_on_signals(None, close), ending_on_signals(None, close) as guarded:
                ready()
                try: await asyncio.sleep(3600)
                finally: await guarded.clean_up()
        asyncio.run(main())
        """
    async with trading(text, venue) as script:
        await script.said("ready")
        script.send(SIGTERM)
        status, complaints = await script.ended()
    assert status == -SIGTERM
    assert complaints.splitlines() == [
        "ERROR SIGTERM ends this process; what leaves a guard is NotFlat: not flat after 60 s: position 17 is open"
    ]


async def test_an_interpreter_that_ends_with_a_daemon_thread_inside_a_guard_closes_its_positions(
    venue: RunningVenue,
) -> None:
    text = """
        import asyncio, contextlib, threading, time
        inside = threading.Barrier(3)
        def blocking_bot():
            mizar = Mizar()
            with mizar.closing_positions(STRATEGY):
                mizar.open_positions(REQUESTS)
                inside.wait()
                while True:
                    try: mizar.open_position(**ASK)
                    except NotSent: pass
        async def bot():
            with contextlib.suppress(asyncio.CancelledError):  # which a thread would print
                async with AsyncMizar() as mizar, mizar.closing_positions(STRATEGY):
                    await mizar.open_positions(REQUESTS)
                    inside.wait()
                    await asyncio.sleep(3600)
        threading.Thread(target=blocking_bot, daemon=True).start()
        threading.Thread(target=asyncio.run, args=(bot(),), daemon=True).start()
        inside.wait()
        """
    async with trading(text, venue) as script:
        assert await script.ended() == (0, "")
    assert len(venue.positions()) >= 20
    assert venue.open_positions() == []


async def test_a_forked_child_is_inside_no_guard_of_its_parents(venue: RunningVenue) -> None:
    text = """
        import os, signal, time, warnings
        warnings.simplefilter("ignore")
        with Mizar() as mizar, mizar.closing_positions(STRATEGY):
            mizar.open_position(**ASK)
            child = os.fork()
            if child == 0:
                os.kill(os.getpid(), signal.SIGTERM)
                os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
            assert len(mizar.get_all_open_positions(strategy_id=STRATEGY)) == 1
        """
    async with trading(text, venue) as script:
        assert await script.ended() == (0, "")
    assert (len(venue.positions()), venue.open_positions()) == (1, [])


async def test_code_of_an_ended_block_that_goes_on_opens_nothing_more(venue: RunningVenue) -> None:
    text = """
        import threading, time
        inside = threading.Event()
        def bot():
            with Mizar() as mizar, mizar.closing_positions(STRATEGY):
                mizar.open_position(**ASK)
                inside.set()
                while True:
                    try: mizar.open_position(**ASK)
                    except NotSent: pass
        threading.Thread(target=bot).start()
        inside.wait()
        with Mizar() as mizar, mizar.closing_positions(STRATEGY):
            ready()
            time.sleep(3600)
        """
    assert await ends_flat(text, venue) == ""


async def test_a_clean_up_that_is_cancelled_again_by_the_end_of_its_loop_goes_on_to_its_end(
    venue: RunningVenue,
) -> None:
    text = """
        import asyncio
        task = None
        async def cancelled_twice():
            while task.cancelling() < 2: await asyncio.sleep(0.01)
        slow = SlowToClose(cancelled_twice)
        async def bot(opened):
            async with AsyncMizar(transport=slow) as mizar, mizar.closing_positions(STRATEGY):
                await mizar.open_positions(REQUESTS)
                opened.set()
                await asyncio.sleep(3600)
        async def main():
            global task
            opened = asyncio.Event()
            task = asyncio.create_task(bot(opened))
            await opened.wait()
            task.cancel()
            while not slow.begun: await asyncio.sleep(0.01)
        asyncio.run(main())
        """
    async with trading(text, venue) as script:
        await script.said("closing")
        assert await script.ended() == (0, "")
    assert (len(venue.positions()), venue.open_positions()) == (10, [])


async def test_a_client_that_is_closed_under_a_guard_of_another_task_lets_it_close_its_positions_first(
    venue: RunningVenue,
) -> None:
    text = """
        import asyncio, contextlib
        together = asyncio.Barrier(2)
        async def bot(mizar, fails):
            async with mizar.closing_positions(STRATEGY):
                await mizar.open_position(**ASK)
                await together.wait()
                if fails: raise ZeroDivisionError
                await asyncio.sleep(3600)
        async def main():
            with contextlib.suppress(ZeroDivisionError):
                async with AsyncMizar(transport=SlowToClose(lambda: asyncio.sleep(0.2))) as mizar:
                    await asyncio.gather(bot(mizar, True), bot(mizar, False))
        asyncio.run(main())
        """
    async with trading(text, venue) as script:
        assert await script.ended() == (0, "")
    assert (len(venue.positions()), venue.open_positions()) == (2, [])
