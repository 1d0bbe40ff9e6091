"""Blocking iterators and context managers: lazy, in one task, and ended when they are left."""

from __future__ import annotations

import pytest

from .scripts import said

pytestmark = pytest.mark.usefixtures("unmeasured")


def test_an_iterator_reads_nothing_ahead() -> None:
    assert said("""
        items = BlockingIterator(Runtime(), count)
        print(log)
        print(next(items), next(items), log)
    """) == ["[]", "0 1 ['begun', 'made 0', 'made 1']"]


def test_leaving_a_with_block_ends_the_iterator_before_the_next_line() -> None:
    assert said("""
        with BlockingIterator(Runtime(), count) as items:
            for item in items: break
        print(log, list(items))
    """) == ["['begun', 'made 0', 'ended'] []"]


def test_a_break_without_with_ends_the_work_without_the_garbage_collector() -> None:
    assert said("""
        import gc
        runtime = Runtime()
        gc.disable()
        for item in BlockingIterator(runtime, count): break
        until(logged("ended"))
        print(log[-1])
    """) == ["ended"]


def test_an_iterator_that_was_not_started_and_is_closed_begins_nothing() -> None:
    assert said("""
        import threading
        items = BlockingIterator(Runtime(), count)
        items.close(); items.close()
        print(log, list(items), threading.active_count())
    """) == ["[] [] 1"]


def test_an_iterator_that_fails_says_so_once_and_is_over() -> None:
    assert said("""
        async def failing():
            yield 1
            raise ValueError("odd")
        items = BlockingIterator(Runtime(), failing)
        try: list(items)
        except ValueError as error: print(error)
        print(list(items))
    """) == ["odd", "[]"]


def test_an_iterator_whose_client_was_closed_is_over_with_a_clear_error() -> None:
    assert said("""
        runtime = Runtime()
        items = BlockingIterator(runtime, count)
        next(items)
        runtime.close(nothing)
        try: next(items)
        except OutcomeUnknown: print(log[-1])
        items.close()
    """) == ["ended"]


def test_an_iterator_that_another_thread_is_reading_refuses() -> None:
    assert said("""
        import asyncio, threading
        async def slow():
            log.append("begun")
            while "go on" not in log: await asyncio.sleep(0.01)
            yield 1
        items = BlockingIterator(Runtime(), slow)
        thread = threading.Thread(target=list, args=(items,)); thread.start()
        until(logged("begun"))
        try: next(items)
        except ValueError as error: print("another thread" in str(error))
        log.append("go on")
        thread.join()
    """) == ["True"]


def test_a_context_manager_is_entered_and_left_in_one_task() -> None:
    assert said("""
        with BlockingContextManager(Runtime(), guard) as value: print(value)
        print(log)
    """) == ["inside", "['one task']"]


def test_the_exception_of_the_body_arrives_inside_and_leaves_as_it_was() -> None:
    assert said("""
        import traceback
        runtime = Runtime()
        for error in (ValueError("mine"), StopIteration("mine"), SystemExit(4), KeyboardInterrupt()):
            try:
                with BlockingContextManager(runtime, guard): raise error
            except BaseException as seen:
                print(seen is error, len(traceback.extract_tb(seen.__traceback__)), log[-2:])
        print(runtime.call(ask))
    """) == [
        "True 1 ['saw ValueError', 'one task']",
        "True 1 ['saw StopIteration', 'one task']",
        "True 1 ['saw SystemExit', 'one task']",
        "True 1 ['saw KeyboardInterrupt', 'one task']",
        "answer",
    ]


def test_a_context_manager_that_swallows_an_exception_does_so() -> None:
    assert said("""
        with BlockingContextManager(Runtime(), guard, swallow=True): raise ValueError("mine")
        print("goes on")
    """) == ["goes on"]


def test_an_error_of_the_context_manager_itself_leaves_with_its_type() -> None:
    assert said("""
        import contextlib
        @contextlib.asynccontextmanager
        async def failing(where):
            if where == "on entry": raise ValueError(where)
            yield
            raise ValueError(where)
        for where in ("on entry", "on exit"):
            try:
                with BlockingContextManager(Runtime(), failing, where): pass
            except ValueError as error: print(error)
    """) == ["on entry", "on exit"]


def test_a_context_manager_is_entered_once() -> None:
    assert said("""
        entered = BlockingContextManager(Runtime(), guard)
        with entered: pass
        try: entered.__enter__()
        except RuntimeError as error: print("entered already" in str(error))
    """) == ["True"]
