"""Commands in processes of their own, through pipes and through a terminal, with settings of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mizar_async import AsyncMizar
from mizar_async.cli import profiles
from mizar_async.cli.output import Output
from mizar_async.cli.session import Session, _ended

from ..scenarios.faulty_proxy import Fault, FaultyProxy, Seen
from ..venues import ROOT, RunningVenue, running_venue

LIMIT = 120
"""Seconds that a command may take on a busy machine."""

# Whoever started the tests in the background has Ctrl-C ignored by all that they start.
_HEARD = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
MAIN = f"{_HEARD}; import sys; sys.argv[0] = 'mizar'; from mizar_async.cli import main; main()"
# With a terminal of its own, so that Ctrl-C that is typed there reaches it.
_AT_A_TERMINAL = f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {MAIN}"

ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|\].*?(\x07|\x1b\\)|[()][A-Z0-9]|[=>78])")

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, rights and terminals of POSIX")


@attrs.frozen
class Told:
    """What a command printed, and its exit code."""

    code: int | None
    out: str
    err: str

    def __attrs_post_init__(self) -> None:
        assert "Traceback" not in self.out + self.err, self
        assert "defect" not in self.err, self

    @property
    def json(self) -> Any:
        """Its output as one document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of settings, which is not there yet."""
    for name in ("MIZAR_PROFILE", "NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "a home"))
    # Processes are not measured: it would double what they cost, and what runs here covers the same.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")  # never that of the machine
    return profiles.folder()


@contextlib.asynccontextmanager
async def running(*arguments: str, **how: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs; it is killed if the test ends before it."""
    environment = os.environ | how.pop("env", {})
    pipes = dict.fromkeys(("stdout", "stderr"), asyncio.subprocess.PIPE) | {"stdin": asyncio.subprocess.DEVNULL} | how
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, *arguments, env=environment, limit=2**24, **pipes
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def told(*arguments: str, stdin: bytes = b"", **how: Any) -> Told:
    """What a command printed."""
    async with running(*arguments, stdin=asyncio.subprocess.PIPE, **how) as process:
        return await told_by(process, stdin)


async def told_by(process: asyncio.subprocess.Process, stdin: bytes | None = None) -> Told:
    """What a command that runs prints until it ends."""
    out, err = await asyncio.wait_for(process.communicate(stdin), LIMIT)
    return Told(process.returncode, (out or b"").decode(), (err or b"").decode())


async def told_here(
    command: Callable[..., Any], capsys: pytest.CaptureFixture[str], *, out: Output | None = None, **values: Any
) -> Told:
    """What a command prints that runs in this process and loop, which costs less."""
    profile, yes = values.pop("profile", None), values.pop("yes", False)
    session = Session(out or Output(), profile=profile, yes=yes)
    capsys.readouterr()
    code = await _ended(lambda: command(session, **values), session)
    printed = capsys.readouterr()
    return Told(code, printed.out, printed.err)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.01)


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, master: int, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.raw = ""
        self.is_over = False
        self._master = master
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            data = b""
        if not data:
            self.stop()
        self.raw += data.decode(errors="replace")

    def stop(self) -> None:
        if not self.is_over:
            self.is_over = True
            asyncio.get_running_loop().remove_reader(self._master)

    @property
    def seen(self) -> str:
        """What it shows, without what moves the cursor."""
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    async def shows(self, text: str) -> None:
        """Wait until it shows something."""
        await until(lambda: text in self.seen or self.is_over)
        assert text in self.seen, self.seen

    async def ended(self) -> int:
        """Its exit code."""
        code = await asyncio.wait_for(self.process.wait(), LIMIT)
        await until(lambda: self.is_over)
        assert "Traceback" not in self.raw, self.raw
        return code


@contextlib.asynccontextmanager
async def at_a_terminal(
    *arguments: str, columns: int = 100, lines: int = 40, env: dict[str, str] | None = None, **how: Any
) -> AsyncIterator[Terminal]:
    """A command whose streams are a terminal, but for those that are given."""
    import pty
    import termios

    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (lines, columns))
    streams = {"stdin": slave, "stdout": slave, "stderr": slave} | how
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _AT_A_TERMINAL,
        *arguments,
        env=os.environ | (env or {}),
        start_new_session=True,
        **streams,
    )
    os.close(slave)
    terminal = Terminal(master, process)
    try:
        yield terminal
    finally:
        terminal.stop()
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(master)
        process._transport.close()  # type: ignore[attr-defined]


class Gate(FaultyProxy):
    """A proxy that keeps late answers back until it is opened, and their connections alive."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream, seed=1)
        self.opened = asyncio.Event()

    async def _answer(self, head: bytes, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if seen.fault is not Fault.LATE:
            return await super()._answer(head, seen, writer)
        answer = await self._forward(head, seen)
        await self.opened.wait()
        return await self._show(seen, answer, writer)


@attrs.frozen
class Scene:
    """A venue with strategy 1 and the proxy before it, which the environment leads to."""

    venue: RunningVenue
    proxy: Gate

    @property
    def gate(self) -> asyncio.Event:
        """What answers wait for while `hold` is in force."""
        return self.proxy.opened

    def hold(self, call: str, after: int = 0) -> None:
        """The venue acts on a call, after so many, and its answer waits for the gate."""
        count = 0

        def plan(seen: Seen) -> Fault | None:
            nonlocal count
            count += seen.call == call
            return Fault.LATE if seen.call == call and count > after and not self.gate.is_set() else None

        self.proxy.plan = plan

    def count(self, call: str) -> int:
        """How many requests of a call have come."""
        return self.proxy.counts[call]


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    async with running_venue() as venue, Gate(venue.url) as proxy:
        monkeypatch.setenv("MIZAR_API_URL", proxy.url)
        monkeypatch.setenv("MIZAR_API_KEY", venue.key)
        async with AsyncMizar(venue.key, api_url=venue.url) as mizar:
            await mizar.create_self_hosted_strategy(
                name="S", description="", exchanges=["binance"], symbols=["BTCUSDT", "ETHUSDT"], market="FUTURES"
            )
        try:
            yield Scene(venue, proxy)
        finally:
            proxy.opened.set()
            proxy.plan = None


def rows(number: int, *, columns: str = "strategy_id,pair,side,size", row: str = "1,BTC/USDT,long,0.01") -> str:
    """A file of opens that are alike."""
    return "\n".join([columns, *[row] * number, ""])
