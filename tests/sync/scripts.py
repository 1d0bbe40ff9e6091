"""Runs a script in a process of its own, with a limit: what can hang must not hang the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
_PRELUDE = "from tests.sync.slow import *\n"


@attrs.frozen
class Ended:
    """How a script ended."""

    code: int
    out: str
    err: str
    seconds: float


def run_script(text: str, *flags: str, limit: float = 30.0, **environment: str) -> Ended:
    """Run a script, which has the names of `tests.sync.slow`, to its end."""
    environment = os.environ | environment
    if "setitimer" in text:
        # An interrupt at any microsecond also comes while a lock of the coverage tool is held, and is never seen again.
        environment = {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, *flags, "-c", _PRELUDE + textwrap.dedent(text)]
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def said(text: str, *flags: str, **environment: str) -> list[str]:
    """The lines that a script printed; it must end well, and complain of nothing."""
    ended = run_script(text, *flags, **environment)
    assert (ended.code, ended.err) == (0, ""), ended.err
    return ended.out.splitlines()
