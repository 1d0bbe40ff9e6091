"""Runs a script in a process of its own, with a limit: what can hang must not hang the tests.

The limit is no measure: where a script shows that something ends, what it would wait for otherwise takes an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import attrs

from ..venues import RunningVenue

ROOT = Path(__file__).resolve().parents[2]
_PRELUDE = "from tests.sync.slow import *\n"
_LIMIT = 150


@attrs.frozen
class Ended:
    """How a script ended."""

    code: int
    out: str
    err: str


def run_script(text: str, *flags: str, **environment: str) -> Ended:
    """Run a script, which has the names of `tests.sync.slow`, to its end."""
    environment = _environment(text) | environment
    command = [sys.executable, *flags, "-c", _PRELUDE + textwrap.dedent(text)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def _environment(text: str) -> dict[str, str]:
    if "setitimer" not in text:
        return dict(os.environ)
    # An interrupt at any microsecond also comes while a lock of the coverage tool is held, and is never seen again.
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def said(text: str, *flags: str, **environment: str) -> list[str]:
    """The lines that a script printed; it must end well, and complain of nothing."""
    ended = run_script(text, *flags, **environment)
    assert (ended.code, ended.err) == (0, ""), ended.err
    return ended.out.splitlines()


@attrs.frozen
class Trading:
    """A script that trades at a venue of the test, in a process of its own."""

    process: asyncio.subprocess.Process

    async def said(self, line: str) -> None:
        """Wait until the script prints this line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(_LIMIT):
            while (got := await self.process.stdout.readline()) != f"{line}\n".encode():
                assert got, f"the script ended without {line!r}: {await self._complaints()}"

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> tuple[int, str]:
        """Its exit status, and what it complained of."""
        async with asyncio.timeout(_LIMIT):
            complaints = await self._complaints()
            return await self.process.wait(), complaints

    async def _complaints(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()


@contextlib.asynccontextmanager
async def trading(text: str, venue: RunningVenue) -> AsyncIterator[Trading]:
    """Run a script, which has the names of `tests.sync.trading`, until the block ends at the latest."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from tests.sync.trading import *\n" + textwrap.dedent(text),
        cwd=ROOT,
        env=_environment(text) | {"MIZAR_API_URL": venue.url, "MIZAR_API_KEY": venue.key},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Trading(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
