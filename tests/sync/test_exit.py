"""The end of the interpreter with a client open: quick, silent, warnings as errors too."""

from __future__ import annotations

import pytest

from .scripts import Ended, run_script

STRICT = ("-X", "dev", "-W", "error")


def exits_well(text: str, code: int = 0) -> Ended:
    ended = run_script(text, *STRICT)
    assert (ended.code, ended.err) == (code, ""), ended.err
    exit_began, *_ = [float(line.split()[1]) for line in ended.out.splitlines() if line.startswith("exit ")] or [0.0]
    assert exit_began < 2
    return ended


@pytest.mark.parametrize(
    "left_open",
    [
        "pass",
        "stream = BlockingIterator(runtime, count); next(stream)",
        "entered = BlockingContextManager(runtime, guard); entered.__enter__()",
        "threading.Thread(target=runtime.call, args=(wait_for_ever,), daemon=True).start(); time.sleep(0.2)",
        "runtime.close(nothing)",
        "runtime = None",
    ],
    ids=["a client", "a stream", "a context manager", "a blocked daemon thread", "nothing", "garbage"],
)
@pytest.mark.parametrize("code", [0, 3])
def test_exit_is_quick_and_silent_and_keeps_its_code_with_what_was_left_open(left_open: str, code: int) -> None:
    ended = exits_well(
        f"""
        import sys, threading, time
        runtime = Runtime(); runtime.call(nothing)
        {left_open}
        sys.exit({code})
        """,
        code,
    )
    assert ended.seconds < 8


def test_a_daemon_thread_that_goes_on_calling_is_left_asleep_at_exit() -> None:
    exits_well("""
        import threading, time
        runtime = Runtime(); runtime.call(nothing)
        def bot():
            while True: runtime.call(ask, 0.001)
        for _ in range(4): threading.Thread(target=bot, daemon=True).start()
        time.sleep(0.3)
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
        import threading, time
        runtime = Runtime(); runtime.call(nothing)
        threading.Thread(target=runtime.call, args=(clean_up_for, 60), daemon=True).start()
        time.sleep(0.2)
    """)
    assert ended.code == 0
    assert ended.seconds < 6


def test_a_users_own_exit_handler_may_still_call() -> None:
    ended = exits_well("""
        import atexit
        runtime = Runtime(); runtime.call(nothing)
        atexit.register(lambda: print(runtime.call(ask)))
    """)
    assert ended.out == "answer\n"


def test_a_real_client_with_a_connection_open_exits_in_silence() -> None:
    exits_well("""
        import http.server, threading
        class Pong(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_GET(self):
                self.send_response(200); self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
            def log_message(self, *_): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pong)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        import atexit; atexit.register(server.server_close)
        from mizar_sync import Mizar
        mizar = Mizar("key", api_url=f"http://127.0.0.1:{server.server_port}")
        mizar.ping()
    """)
