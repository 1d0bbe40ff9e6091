"""The loop's thread: when it begins, who shares it, and who is refused."""

from __future__ import annotations

from .scripts import run_script, said


def test_no_thread_is_started_by_import_or_construction() -> None:
    assert said("""
        import threading
        from mizar_sync import Mizar
        mizar = Mizar("key", api_url="http://localhost")
        print(threading.active_count())
    """) == ["1"]


def test_neither_httpx_nor_uvloop_is_imported_with_the_facade() -> None:
    assert said("""
        import sys, mizar_sync
        print([name for name in ("httpx", "h11", "uvloop", "fastapi", "cattrs") if name in sys.modules])
    """) == ["[]"]


def test_eight_threads_that_make_the_first_call_together_get_one_loop() -> None:
    assert said("""
        import asyncio, threading
        from concurrent.futures import ThreadPoolExecutor
        runtime, together, loops = Runtime(), threading.Barrier(8), []
        async def loop(): return id(asyncio.get_running_loop())
        def first(_):
            together.wait()
            return runtime.call(loop)
        with ThreadPoolExecutor(8) as pool:
            print(len(set(pool.map(first, range(8)))))
        print([thread.name for thread in threading.enumerate()].count("mizar"))
    """) == ["1", "1"]


def test_calls_of_eight_threads_run_at_the_same_time() -> None:
    assert said("""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor
        runtime, together = Runtime(), asyncio.Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            print(sorted(pool.map(lambda _: runtime.call(together.wait), range(8))))
    """) == ["[0, 1, 2, 3, 4, 5, 6, 7]"]


def test_a_call_inside_a_running_loop_as_in_a_notebook_works() -> None:
    assert said("""
        import asyncio
        runtime = Runtime()
        async def cell(): return runtime.call(ask, 0.01)
        print(asyncio.run(cell()), asyncio.run(cell()))
    """) == ["answer answer"]


def test_a_call_in_the_loops_own_thread_is_refused_at_once() -> None:
    assert said("""
        runtime = Runtime()
        async def callback(): return runtime.call(nothing)
        try: runtime.call(callback)
        except LoopThreadError as error: print("own loop thread" in str(error))
        print(runtime.call(ask))
    """) == ["True", "answer"]


def test_close_in_the_loops_own_thread_is_refused_and_the_client_stays_open() -> None:
    assert said("""
        runtime = Runtime()
        async def callback(): runtime.close(nothing)
        try: runtime.call(callback)
        except LoopThreadError: print("refused")
        print(runtime.call(ask))
    """) == ["refused", "answer"]


def test_context_variables_of_the_caller_are_seen_inside() -> None:
    assert said("""
        runtime = Runtime()
        async def who(): return caller.get()
        async def whose(): yield caller.get()
        caller.set("bot")
        print(runtime.call(who), *BlockingIterator(runtime, whose))
    """) == ["bot bot"]


def test_a_systemexit_inside_reaches_its_caller_and_the_client_goes_on() -> None:
    assert said("""
        runtime = Runtime()
        for error in (SystemExit(3), KeyboardInterrupt()):
            try: runtime.call(fail, error)
            except BaseException as seen: print(type(seen).__name__, seen is error, runtime.call(ask))
    """) == ["SystemExit True answer", "KeyboardInterrupt True answer"]


def test_after_a_task_has_killed_the_loop_its_callers_wake_and_the_next_call_starts_another() -> None:
    assert said("""
        import asyncio
        runtime = Runtime()
        async def kill():
            asyncio.get_running_loop().call_soon(exit, 3)
            await asyncio.sleep(3600)
        try: runtime.call(kill)
        except OutcomeUnknown as error: print(error.happened)
        print(runtime.call(ask))
    """) == ["perhaps", "answer"]


def test_close_wakes_those_who_wait_and_later_calls_are_refused() -> None:
    assert said("""
        import threading
        patient()
        runtime, seen = Runtime(), []
        def blocked():
            try: runtime.call(wait_for_ever)
            except OutcomeUnknown as error: seen.append(error.happened)
        threads = [threading.Thread(target=blocked) for _ in range(4)]
        for thread in threads: thread.start()
        until(lambda: len(log) == 4)
        closers = [threading.Thread(target=runtime.close, args=(nothing,)) for _ in range(2)]
        for closer in closers: closer.start()
        for thread in threads + closers: thread.join()
        runtime.close(nothing)
        print(seen, log.count("ended"), [thread.is_alive() for thread in threads + closers])
        try: runtime.call(nothing)
        except NotSent as error: print(error.happened, error)
    """) == [f"{['perhaps'] * 4} 4 {[False] * 6}", "no not sent: this client is closed; make a new one"]


def test_close_lets_a_call_end_its_clean_up_before_the_connections_go() -> None:
    assert said("""
        import threading
        patient()
        runtime = Runtime()
        async def aclose(): log.append("connections closed")
        def blocked():
            try: runtime.call(clean_up_for, 0.2)
            except OutcomeUnknown: pass
        thread = threading.Thread(target=blocked); thread.start(); until(logged("begun"))
        runtime.close(aclose); thread.join()
        print(log)
    """) == ["['begun', 'cleaning up', 'cleaned up', 'connections closed']"]


def test_a_client_that_is_garbage_ends_its_thread() -> None:
    assert said("""
        import threading
        runtime = Runtime(); runtime.call(nothing)
        thread = next(thread for thread in threading.enumerate() if thread.name == "mizar")
        del runtime
        thread.join()
        print(thread.is_alive())
    """) == ["False"]


def test_an_unknown_failure_at_the_start_leaves_the_caller_with_its_reason() -> None:
    ended = run_script("""
        import anyio
        def broken(*args, **kwargs): raise OSError("no file descriptors")
        anyio.run = broken
        Runtime().call(nothing)
    """)
    assert ended.code == 1
    assert "OSError: no file descriptors" in ended.err
