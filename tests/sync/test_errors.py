"""What the caller sees of an error: its own line, the reason, and little between."""

from __future__ import annotations

import pytest

from .scripts import run_script, said

pytestmark = pytest.mark.usefixtures("unmeasured")


def test_the_traceback_of_a_refusal_shows_the_users_line_and_the_reason() -> None:
    ended = run_script("""
        import httpx
        from mizar_sync import Mizar
        answer = lambda request: httpx.Response(409, json={"detail": "it is closed"})
        mizar = Mizar("key", api_url="http://localhost", transport=httpx.MockTransport(answer))
        def my_bot(): mizar.close_position(position_id=17)
        my_bot()
    """)
    assert ended.err.count("\n  File ") == 4, ended.err  # the program, its function, the client's method, the runtime
    assert "in my_bot" in ended.err
    assert ended.err.rstrip().endswith("Conflict: close-position was answered 409: it is closed")
    assert "During handling" not in ended.err
    assert "direct cause" not in ended.err


def test_the_frames_of_a_callback_of_the_user_stay_in_the_traceback() -> None:
    assert said("""
        import traceback
        async def call_back(callback): callback()
        def my_callback(): raise ZeroDivisionError
        try: Runtime().call(call_back, my_callback)
        except ZeroDivisionError as error: print([frame.name for frame in traceback.extract_tb(error.__traceback__)])
    """) == ["['<module>', 'call', 'call_back', 'my_callback']"]


def test_the_same_failure_a_hundred_times_does_not_grow_its_traceback() -> None:
    assert said("""
        import traceback
        runtime, error, lengths = Runtime(), ValueError("same"), set()
        for _ in range(100):
            try: runtime.call(fail, error)
            except ValueError as seen: lengths.add(len(traceback.extract_tb(seen.__traceback__)))
            error = error.with_traceback(None)
        print(lengths)
    """) == ["{3}"]


def test_an_error_is_freed_without_the_garbage_collector() -> None:
    assert said("""
        import gc, weakref
        class Odd(Exception): pass
        async def odd(): raise Odd
        async def odd_items():
            yield 1
            raise Odd
        runtime = Runtime(); runtime.call(nothing)
        gc.collect(); gc.disable()
        for failing in (lambda: runtime.call(odd), lambda: list(BlockingIterator(runtime, odd_items))):
            try: failing()
            except Odd as error: seen = weakref.ref(error)
            until(lambda: seen() is None)  # the loop's thread may still be leaving its last frame
            print("freed")
    """) == ["freed", "freed"]


def test_the_key_is_in_no_traceback_of_a_failed_call() -> None:
    ended = run_script("""
        from mizar_sync import Mizar
        Mizar("a-secret", api_url="http://127.0.0.1:9", max_retries=0).open_position(
            strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
    """)
    assert "NotSent" in ended.err
    assert "httpx" not in ended.err
