"""A forked child starts afresh, and its parent goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .pong import pong_server
from .scripts import ROOT, run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

# Since 3.12 Python warns of every fork of a process with threads: that is the user's decision here.
FLAGS = ("-W", "ignore::DeprecationWarning")


def forked(text: str) -> list[str]:
    ended = run_script(text, *FLAGS)
    assert (ended.code, ended.err) == (0, ""), ended.err
    return ended.out.splitlines()


@pytest.mark.parametrize(
    "child",
    ["print('child', runtime.call(ask), flush=True)", "pass", "runtime.close(nothing)", "del runtime; gc.collect()"],
    ids=["calls", "only exits", "closes", "forgets the client"],
)
def test_a_child_ends_whatever_it_does_and_its_parent_goes_on(child: str) -> None:
    lines = forked(f"""
        import gc, os, sys
        runtime = Runtime(); runtime.call(nothing)
        pid = os.fork()
        if pid == 0:
            {child}
            sys.exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), runtime.call(ask))
    """)
    assert lines[-1] == "7 answer"
    assert ("child answer" in lines) == ("print" in child)


def test_a_fork_while_other_threads_call_leaves_both_sides_working() -> None:
    assert forked("""
        import os, threading
        runtime, stop = Runtime(), threading.Event()
        runtime.call(nothing)
        def bot():
            while not stop.is_set(): runtime.call(nothing)
        threads = [threading.Thread(target=bot) for _ in range(3)]
        for thread in threads: thread.start()
        codes = []
        for _ in range(20):
            pid = os.fork()
            if pid == 0: os._exit(5 if runtime.call(ask) == "answer" else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        stop.set()
        for thread in threads: thread.join()
        print(set(codes), runtime.call(ask))
    """) == ["{5} answer"]


def test_an_iterator_of_the_parent_is_refused_in_the_child_and_goes_on_in_the_parent() -> None:
    assert forked("""
        import os, sys
        runtime = Runtime()
        items = BlockingIterator(runtime, count)
        next(items)
        pid = os.fork()
        if pid == 0:
            try: next(items)
            except RuntimeError as error: sys.exit(9 if "parent process" in str(error) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), next(items))
    """) == ["9 1"]


PROGRAM = """
import multiprocessing
import sys
from tests.sync.slow import Runtime, ask
runtime = Runtime()
def work(number):
    return runtime.call(ask), number
if __name__ == "__main__":
    runtime.call(ask)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(len(pool.map(work, range(6))), runtime.call(ask))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_call_through_the_module_s_client(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, *FLAGS, str(program), method]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "6 answer\n", "")


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_children_of_a_client_that_has_traded_call_and_exit_with_their_status_in_silence(loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    with pong_server() as url:
        lines = forked(f"""
            import os, sys
            if {loop!r} != "uvloop": sys.modules["uvloop"] = None
            from mizar_sync import Mizar
            mizar = Mizar("key", api_url="{url.replace("127.0.0.1", "localhost")}")
            mizar.ping()
            for calls in (False, True):
                child = os.fork()
                if child == 0:
                    if calls: mizar.ping()
                    sys.exit(6)
                print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            mizar.ping()
            print(type(mizar._runtime._thread.loop).__mro__[1].__module__.split(".")[0])
            mizar.close()
        """)
    assert lines == ["6", "6", loop]


def test_a_fork_while_another_thread_makes_the_first_call_leaves_both_sides_working() -> None:
    assert forked("""
        import os, threading
        runtimes = [Runtime() for _ in range(10)]
        codes = []
        for runtime in runtimes:
            thread = threading.Thread(target=runtime.call, args=(nothing,)); thread.start()
            child = os.fork()
            if child == 0: os._exit(5 if [one.call(ask) for one in runtimes] == ["answer"] * 10 else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            thread.join()
        print(set(codes), {runtime.call(ask) for runtime in runtimes})
    """) == ["{5} {'answer'}"]


@pytest.mark.parametrize(
    ("child", "code"),
    [("sys.exit(7)", 7), ("raise SystemExit(7)", 7), ("pass", 7)],
    ids=["exits", "ends by an exception", "leaves the block"],
)
def test_a_child_forked_inside_a_block_leaves_it_and_ends_nothing_of_its_parent(child: str, code: int) -> None:
    assert forked(f"""
        import contextlib, os, sys
        from mizar_sync._blocking import BlockingContextManager
        runtime = Runtime()
        @contextlib.asynccontextmanager
        async def block():
            try: yield
            finally: print("the parent's block has ended", flush=True)
        with BlockingContextManager(runtime, block):
            pid = os.fork()
            if pid == 0: {child}
            else: print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        if pid == 0: sys.exit(7)
    """) == [str(code), "the parent's block has ended"]
