"""The real client against a server that takes requests and never answers: what Ctrl-C and the exit promise.

Whatever else would end a call here takes an hour, so that what ends it is what the test is about.
"""

from __future__ import annotations

import sys

import pytest

from mizar_async import Options
from mizar_async._account import registry
from mizar_sync import _runtime

from .scripts import run_script, said

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to itself")

BEGIN = """
import logging
from mizar_sync import Mizar, partial_result
from tests.sync.silent import silent_server
logging.disable()
patient(at_exit=False)
server = silent_server()
mizar = Mizar("key", api_url=server.url, timeout=3600, deadline=3600, grace={grace})
with interrupted_when(lambda: server.{sent}):
    try: {call}
    except KeyboardInterrupt as interrupt: seen = interrupt
"""

OPEN = 'mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)'
CLOSE = "mizar.close_position(position_id=17)"


@pytest.mark.parametrize(
    ("call", "sent", "grace"),
    [("mizar.server_time()", "reads", 3600), (OPEN, "writes", 0.5), (CLOSE, "writes", 0.5)],
    ids=["a read at once", "an open within its grace", "a close within its grace"],
)
def test_an_interrupt_ends(call: str, sent: str, grace: float) -> None:
    text = BEGIN.format(call=call, grace=grace, sent=sent)
    assert said(text + f"print(type(seen).__name__, server.{sent})") == ["KeyboardInterrupt 1"]


def test_an_interrupted_bulk_call_leaves_within_the_grace_and_carries_its_partial_result() -> None:
    call = "mizar.close_positions(range(1, 101), max_concurrency=8)"
    assert said(
        BEGIN.format(call=call, grace=0.5, sent="writes >= 8")
        + "print(server.writes, len(seen.bulk_result.outcomes), partial_result(seen) is seen.bulk_result)"
    ) == ["8 100 True"]


def test_exit_with_a_write_under_way_waits_for_no_grace_and_says_what_is_in_doubt() -> None:
    ended = run_script(f"""
        import threading
        from mizar_sync import Mizar
        from tests.sync.silent import silent_server
        server = silent_server()
        mizar = Mizar("key", api_url=server.url, timeout=3600, deadline=3600, grace=3600)
        threading.Thread(target=lambda: {OPEN}, daemon=True).start()
        until(lambda: server.writes)
        """)
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert len(ended.err.splitlines()) <= 1, ended.err


def test_the_parts_of_an_exit_take_two_seconds_together_and_the_grace_of_a_write_as_long() -> None:
    assert _runtime._EXIT_LIMIT + registry._EXIT_PATIENCE < 2
    assert Options().grace == 2
