"""The real client against a server that takes requests and never answers: what Ctrl-C and the exit promise."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from .scripts import run_script, said

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to itself")


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in taken:
                connection.close()


BEGIN = """
import time, logging
from mizar_sync import Mizar, OpenPosition, partial_result
logging.disable()
mizar = Mizar("key", api_url="{url}")
Runtime().call(nothing)
began = time.monotonic()
with interrupted_after(1.0):
    try: {call}
    except KeyboardInterrupt as interrupt: seen = interrupt
took = time.monotonic() - began - 1.0
"""

OPEN = 'mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)'


@pytest.mark.parametrize(
    ("call", "limit"),
    [("mizar.server_time()", 0.5), (OPEN, 2.5), ("mizar.close_position(position_id=17)", 2.5)],
    ids=["a read at once", "an open within its grace", "a close within its grace"],
)
def test_an_interrupt_ends(call: str, limit: float) -> None:
    with silent_server() as url:
        (line,) = said(BEGIN.format(url=url, call=call) + f"print(took < {limit}, took)")
    assert line.startswith("True"), line


def test_an_interrupted_bulk_call_leaves_within_the_grace_and_carries_its_partial_result() -> None:
    call = "mizar.close_positions(range(1, 101), max_concurrency=8)"
    with silent_server() as url:
        (line,) = said(
            BEGIN.format(url=url, call=call)
            + "print(took < 2.5, len(seen.bulk_result.outcomes), partial_result(seen) is seen.bulk_result)"
        )
    assert line == "True 100 True"


def test_exit_with_a_write_under_way_takes_less_than_two_seconds_and_says_what_is_in_doubt() -> None:
    with silent_server() as url:
        ended = run_script(
            f"""
            import atexit, threading, time
            from mizar_sync import Mizar
            mizar = Mizar("key", api_url={url!r})
            threading.Thread(target=lambda: {OPEN}, daemon=True).start()
            time.sleep(1.5)
            began = time.monotonic()
            import mizar_async._account.registry as registry
            atexit.unregister(registry.name_what_is_in_doubt)
            def report():
                registry.name_what_is_in_doubt()
                print(time.monotonic() - began)
            import mizar_sync._runtime as runtime
            atexit.unregister(runtime._at_exit)
            atexit.register(report)
            atexit.register(runtime._at_exit)
            """,
        )
    assert ended.code == 0
    assert float(ended.out) < 2.0, ended.out
    assert "Traceback" not in ended.err
    assert len(ended.err.splitlines()) <= 1, ended.err
