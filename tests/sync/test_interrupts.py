"""Ctrl-C in a blocked call: the clean-up first, then KeyboardInterrupt, and the client goes on."""

from __future__ import annotations

import sys

import pytest

from .scripts import run_script, said

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to itself")


def test_an_interrupt_ends_a_blocked_call_after_its_clean_up_and_the_client_is_usable() -> None:
    assert said("""
        patient()
        runtime = Runtime(); runtime.call(nothing)
        with interrupted_when(logged("begun")):
            try: runtime.call(clean_up_for, 0.3)
            except KeyboardInterrupt: print(log)
        print(runtime.call(ask))
    """) == ["['begun', 'cleaning up', 'cleaned up']", "answer"]


def test_a_second_interrupt_leaves_at_once() -> None:
    assert said("""
        patient(at_exit=False)
        runtime = Runtime(); runtime.call(nothing)
        with interrupted_when(logged("begun"), logged("cleaning up")):
            try: runtime.call(clean_up_for, 3600)
            except KeyboardInterrupt: print(log)
        print(runtime.call(ask))
    """) == ["['begun', 'cleaning up']", "answer"]


def test_an_exception_from_another_signal_handler_counts_as_an_interrupt() -> None:
    assert said("""
        import signal, threading
        runtime = Runtime(); runtime.call(nothing)
        def too_late(*_): raise TimeoutError("too late")
        signal.signal(signal.SIGALRM, too_late)
        async def alarmed():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)
            await wait_for_ever()
        try: runtime.call(alarmed)
        except TimeoutError as error: print(error, log)
    """) == ["too late ['begun', 'ended']"]


def test_the_partial_result_of_a_bulk_call_leaves_with_the_interrupt() -> None:
    assert said("""
        import asyncio
        runtime = Runtime(); runtime.call(nothing)
        async def bulk():
            log.append("begun")
            try: await asyncio.sleep(3600)
            except asyncio.CancelledError as cancelled:
                cancelled.bulk_result = "7 of 9"
                raise
        with interrupted_when(logged("begun")):
            try: runtime.call(bulk)
            except KeyboardInterrupt as interrupt: print(interrupt.bulk_result, interrupt.__notes__)
    """) == ["7 of 9 [\"what was done until then, as `bulk_result`: '7 of 9'\"]"]


@pytest.mark.parametrize(
    ("ending", "note"),
    [
        ("return 'position 17'", "had its result: 'position 17'"),
        ("raise ValueError('in doubt')", "ended with ValueError: in doubt"),
    ],
    ids=["a call that ends all the same", "a call that ends with an error"],
)
def test_an_interrupt_says_what_the_call_did_in_its_clean_up(ending: str, note: str) -> None:
    (line,) = said(f"""
        import asyncio
        runtime = Runtime(); runtime.call(nothing)
        async def write():
            log.append("begun")
            try: await asyncio.sleep(3600)
            except asyncio.CancelledError: pass
            {ending}
        with interrupted_when(logged("begun")):
            try: runtime.call(write)
            except KeyboardInterrupt as interrupt: print(*interrupt.__notes__)
    """)
    assert note in line


def test_one_interrupt_at_any_microsecond_of_a_call_never_leaves_it_waiting_and_leaves_no_task() -> None:
    # A wait that nobody ends would last for an hour here.
    lines = said("""
        import asyncio, random, signal
        patient()
        runtime, chance = Runtime(), random.Random(7)
        runtime.call(nothing)
        async def tasks(): return len(asyncio.all_tasks())
        def interrupt(*_): raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, interrupt)
        at_rest, hits = runtime.call(tasks), 0
        for number in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 300e-6))
                runtime.call(ask, 0 if number % 2 else 0.0002)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                hits += 1
        until(lambda: runtime.call(tasks) == at_rest)
        print(hits > 30, runtime.call(ask))
    """)
    assert lines == ["True answer"]


def test_a_storm_of_interrupts_leaves_no_task_and_a_working_client() -> None:
    ended = run_script("""
        import asyncio, signal
        runtime = Runtime(); runtime.call(nothing)
        async def tasks(): return len(asyncio.all_tasks())
        at_rest, hits = runtime.call(tasks), 0
        def interrupt(_, frame):
            while frame is not None:  # only a call is interrupted, never this script on its way to the next
                if frame.f_code is Runtime.call.__code__: raise KeyboardInterrupt
                frame = frame.f_back
        signal.signal(signal.SIGALRM, interrupt)
        for _ in range(200):
            signal.setitimer(signal.ITIMER_REAL, 0.002, 0.0005)
            try: runtime.call(wait_for_ever)
            except KeyboardInterrupt: hits += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
        until(lambda: runtime.call(tasks) == at_rest)
        print(hits, runtime.call(ask))
    """)
    # Python itself prints those that hit it in a weak reference's callback: only what came of it counts.
    assert (ended.code, ended.out) == (0, "200 answer\n"), ended.err


def test_an_interrupt_while_an_iterator_waits_ends_the_iterator() -> None:
    assert said("""
        import asyncio
        runtime = Runtime()
        async def slow():
            try:
                yield 1
                log.append("begun")
                await asyncio.sleep(3600)
            finally: log.append("ended")
        items = BlockingIterator(runtime, slow)
        with interrupted_when(logged("begun")):
            try:
                for item in items: print(item)
            except KeyboardInterrupt: print(log, list(items))
    """) == ["1", "['begun', 'ended'] []"]


def test_an_interrupt_in_the_body_of_a_context_manager_reaches_its_async_side() -> None:
    assert said("""
        runtime = Runtime()
        with interrupted_when(logged("begun")):
            try:
                with BlockingContextManager(runtime, guard): runtime.call(wait_for_ever)
            except KeyboardInterrupt: print(log)
    """) == ["['begun', 'ended', 'saw KeyboardInterrupt', 'one task']"]


def test_an_interrupt_that_nobody_catches_shows_the_users_line_and_ends_the_program() -> None:
    ended = run_script("""
        patient()
        runtime = Runtime(); runtime.call(nothing)
        with interrupted_when(logged("begun")): runtime.call(wait_for_ever)
    """)
    assert "KeyboardInterrupt" in ended.err
    assert ended.code != 0
