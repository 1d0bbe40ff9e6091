"""The end of the interpreter with a client open: quick, silent, warnings as errors too."""

from __future__ import annotations

import pytest

from .scripts import Ended, run_script

pytestmark = pytest.mark.usefixtures("unmeasured")
STRICT = ("-X", "dev", "-W", "error")


def exits_well(text: str, code: int = 0) -> Ended:
    ended = run_script(text, *STRICT)
    assert (ended.code, ended.err) == (code, ""), ended.err
    return ended


@pytest.mark.parametrize(
    "left_open",
    [
        "pass",
        "stream = BlockingIterator(runtime, count); next(stream)",
        "entered = BlockingContextManager(runtime, guard); entered.__enter__()",
        "threading.Thread(target=runtime.call, args=(wait_for_ever,), daemon=True).start(); until(lambda: log)",
        "runtime.close(nothing)",
        "runtime = None",
    ],
    ids=["a client", "a stream", "a context manager", "a blocked daemon thread", "nothing", "garbage"],
)
@pytest.mark.parametrize("code", [0, 3])
def test_exit_is_quick_and_silent_and_keeps_its_code_with_what_was_left_open(left_open: str, code: int) -> None:
    # An exit that waited for its limit would take an hour.
    exits_well(
        f"""
        import sys, threading
        patient()
        runtime = Runtime(); runtime.call(nothing)
        {left_open}
        sys.exit({code})
        """,
        code,
    )


def test_a_daemon_thread_that_goes_on_calling_is_left_asleep_at_exit() -> None:
    exits_well("""
        import threading
        runtime, answered = Runtime(), threading.Semaphore(0)
        def bot():
            while True: runtime.call(ask, 0.001); answered.release()
        for _ in range(4): threading.Thread(target=bot, daemon=True).start()
        for _ in range(100): answered.acquire()
    """)


def test_a_thread_that_is_no_daemon_completes_its_call_at_exit() -> None:
    ended = exits_well("""
        import threading
        runtime = Runtime()
        threading.Thread(target=lambda: print(runtime.call(ask, 0.5))).start()
    """)
    assert ended.out == "answer\n"


def test_a_clean_up_that_never_ends_is_given_up() -> None:
    ended = run_script("""
        import threading
        runtime = Runtime(); runtime.call(nothing)
        threading.Thread(target=runtime.call, args=(clean_up_for, 3600), daemon=True).start()
        until(logged("begun"))
    """)
    assert ended.code == 0


def test_a_users_own_exit_handler_may_still_call() -> None:
    ended = exits_well("""
        import atexit
        runtime = Runtime(); runtime.call(nothing)
        atexit.register(lambda: print(runtime.call(ask)))
    """)
    assert ended.out == "answer\n"


def test_a_real_client_with_a_connection_open_exits_in_silence() -> None:
    exits_well("""
        from contextlib import ExitStack
        import atexit
        from tests.sync.pong import pong_server
        from mizar_sync import Mizar
        stack = ExitStack()
        url = stack.enter_context(pong_server())
        atexit.register(stack.close)
        mizar = Mizar("key", api_url=url)
        mizar.ping()
    """)


def test_a_call_of_a_late_exit_handler_is_refused_at_once_though_daemon_threads_were_put_to_sleep() -> None:
    ended = exits_well("""
        import atexit, threading, time
        import mizar_sync._runtime as module
        runtime, answered = Runtime(), threading.Semaphore(0)
        atexit.unregister(module._at_exit)
        def late():
            try: Runtime().call(nothing)
            except Exception as error: print(type(error).__name__, error)
        atexit.register(late)
        atexit.register(time.sleep, 0.3)
        atexit.register(module._at_exit)  # runs first
        def bot():
            while True: runtime.call(ask, 0.001); answered.release(); time.sleep(0.05)
        for _ in range(4): threading.Thread(target=bot, daemon=True).start()
        for _ in range(20): answered.acquire()
    """)
    assert ended.out == "NotSent not sent: the interpreter is exiting\n"


@pytest.mark.parametrize("cycle", ["pass;", "mizar.me = mizar;"], ids=["by itself", "in a cycle"])
def test_a_forgotten_client_with_a_connection_open_is_collected_in_silence(cycle: str) -> None:
    ended = exits_well(f"""
        import gc, threading
        from tests.sync.pong import pong_server
        from mizar_sync import Mizar
        with pong_server() as url:
            for _ in range(5):
                mizar = Mizar("key", api_url=url); mizar.ping()
                {cycle} del mizar
                gc.collect()
            until(lambda: "mizar" not in [thread.name for thread in threading.enumerate()])
            print("collected")
    """)
    assert ended.out == "collected\n"


def test_a_thread_that_outlives_the_main_thread_can_still_load_look_up_names_and_call() -> None:
    ended = run_script("""
        import asyncio, threading
        from mizar_async._wire.loading import load
        runtime = Runtime()
        runtime.call(nothing)
        async def look_up():
            return bool(await asyncio.get_running_loop().getaddrinfo("localhost", 80))
        def outliving():
            threading.main_thread().join()
            runtime.call(load)
            print(runtime.call(look_up), runtime.call(ask))
        threading.Thread(target=outliving).start()
    """)
    assert (ended.code, ended.out, ended.err) == (0, "True answer\n", "")
