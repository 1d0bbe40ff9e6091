"""What `mizar guard` does: it runs a bot, and closes what it has opened when it ends or is silent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
from platformdirs import user_data_path

from .. import AsyncMizar, InvalidInput, JournalInUse, MizarError, NotFlat, Refused
from .exits import DONE, NO_KEY, NOT_REACHABLE, UNKNOWN, WRONG_INPUT

SOCKET: Final = "MIZAR_GUARD"
JOURNAL: Final = "MIZAR_JOURNAL"

WAS_SILENT: Final = 124
_NAMES: Final = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
SIGNALS: Final = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))

# How long the bot has to end by itself once it is told to, and how long its journal may still be held after that.
_PATIENCE: Final = 10.0
_GLANCE: Final = 0.05
_LONGEST_LINE: Final = 65536


def say(text: str) -> None:
    """Tell whoever watches; where nobody can be told any more, the work goes on all the same."""
    with contextlib.suppress(OSError, ValueError):
        print(f"guard: {text}", file=sys.stderr, flush=True)


@attrs.define
class Told:
    """What the processes of the bot have told."""

    account: str
    journals: dict[Path, None] = attrs.field(factory=dict)
    foreign: str | None = None
    """The account of a client that has another key or host."""
    beats: dict[int, float] = attrs.field(factory=dict)
    """By process, when it was heard last."""
    is_over: bool = False
    """True once nobody is left who could tell anything."""
    unread: bytes = b""

    def read(self, here: socket.socket) -> None:
        """Read all that there is."""
        while not self.is_over:
            try:
                data = here.recv(_LONGEST_LINE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self.is_over = True
                asyncio.get_running_loop().remove_reader(here)
            *lines, self.unread = (self.unread + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    self._take(json.loads(line))

    def _take(self, line: dict[str, str]) -> None:
        self.beats[int(line["pid"])] = asyncio.get_running_loop().time()
        if line.get("account", self.account) != self.account:
            self.foreign = line["account"]
        if "journal" in line:
            self.journals[Path(line["journal"])] = None

    def is_silent(self, silence: float) -> bool:
        """Whether a process that was heard before, and lives, was not heard for so long."""
        now = asyncio.get_running_loop().time()
        for pid in [pid for pid, at in self.beats.items() if now - at > silence and not _lives(pid)]:
            del self.beats[pid]
        return any(now - at > silence for at in self.beats.values())


def _is_there(kill: Callable[[int, int], None], number: int) -> bool:
    """Whether there is such a process, or such a group."""
    try:
        kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _lives(pid: int) -> bool:
    """Whether a process has not ended, though nobody may have asked yet how it did."""
    if not _is_there(os.kill, pid):
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):  # there is no /proc, or no such process any more
        found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True)
        state = found.stdout.strip()[:1]
    return state not in {b"", b"Z", b"X"}


@attrs.define
class Group:
    """The bot, in a process group of its own."""

    process: asyncio.subprocess.Process

    def signal(self, number: int) -> None:
        """Send a signal to all of it, if any is left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it is left."""
        return not _is_there(os.killpg, self.process.pid)

    async def stop(self) -> None:
        """End it: kindly, then not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.signal(number)
            for _ in range(round(_PATIENCE / _GLANCE)):
                if self.is_gone:
                    break
                await asyncio.sleep(_GLANCE)
        await self.process.wait()


class Signals:
    """None of them ends the guard: whoever is in charge is told of it."""

    def __init__(self) -> None:
        self.early: list[int] = []
        self._told: Callable[[int], object] = self.early.append

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """As long as the guard works."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._tell, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _tell(self, number: int) -> None:
        self._told(number)

    def go_to(self, group: Group) -> None:
        """The bot gets each of them once, also those that came while it was started."""
        self._told = group.signal
        for number in self.early:
            group.signal(number)

    def are_refused(self) -> None:
        """The bot has ended."""
        self._told = lambda _: say("positions are being closed: it ends when that is done")


async def run_guard(
    command: Sequence[str], strategies: Sequence[int], silence: float | None, keep: bool, given: str | None
) -> int:
    """Run the bot until it ends, and see to it that nothing it has opened is left open.

    `given` is the journal that the environment names: it is the bot's as long as that runs.
    """
    if not hasattr(os, "killpg"):
        say("nothing is started: this system has no process groups, by which a bot and all that it starts is ended")
        return WRONG_INPUT
    account = await _checked(strategies)
    if isinstance(account, int):
        return account
    try:
        journal = _journal(given, account)
    except (OSError, RuntimeError) as failure:
        say(f"nothing is started: there can be no journal ({failure}); set {JOURNAL} to a file that can be written")
        return WRONG_INPUT
    signals, told = Signals(), Told(account)
    with signals.held(), contextlib.ExitStack() as sockets:
        here, there = (sockets.enter_context(one) for one in socket.socketpair())
        group = await _started(command, there, journal)
        there.close()
        if isinstance(group, int):
            return group
        signals.go_to(group)
        code, how = await _watched(group, here, told, silence)
        signals.are_refused()
        await group.stop()
        await _drained(told)
        if keep and code == 0:
            say(f"{how}; its positions are left as they are")
            return DONE
        say(f"{how}; flattening strategy {', '.join(map(str, strategies))}")
        return code if await _is_flat(told, journal, strategies) else UNKNOWN


def _journal(given: str | None, account: str) -> Path:
    """The journal of a bot that names none: it can be written, or this raises OSError or RuntimeError."""
    if given:
        path = Path(given).expanduser()
    else:
        path = user_data_path("mizar", ensure_exists=True) / f"guard-{account[:16]}.journal"
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PermissionError(f"{path} can't be written")
    return path


async def _started(command: Sequence[str], there: socket.socket, journal: Path) -> Group | int:
    known = os.fstat(there.fileno())
    told = f"{there.fileno()}:{known.st_dev}:{known.st_ino}"
    try:
        return Group(
            await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, JOURNAL: str(journal), SOCKET: told},
                pass_fds=(there.fileno(),),
                start_new_session=True,
            )
        )
    except OSError as failure:
        say(f"{command[0]!r} can't be started: {failure.strerror}")
        return 127 if isinstance(failure, FileNotFoundError) else 126


async def _checked(strategies: Sequence[int]) -> str | int:
    """The account of the key, once every strategy could be listed with it; otherwise the exit code."""
    try:
        async with AsyncMizar() as mizar:
            for strategy_id in strategies:
                await mizar.get_all_open_positions(strategy_id=strategy_id)
            return mizar.account_id()
    except (Refused, InvalidInput) as refused:
        say(f"the strategies can't be listed with this key, so that nothing is started: {refused}")
        return NO_KEY
    except MizarError as failure:
        say(f"the server can't be reached, so that nothing is started: {failure}")
        return NOT_REACHABLE


async def _watched(group: Group, here: socket.socket, told: Told, silence: float | None) -> tuple[int, str]:
    """Wait until the bot ends, is silent, or turns out to be somebody else's; gives the exit code, and why."""
    here.setblocking(False)
    asyncio.get_running_loop().add_reader(here, told.read, here)
    ending = asyncio.create_task(group.process.wait())
    while not ending.done():
        await asyncio.wait([ending], timeout=_GLANCE)
        if told.foreign is not None:
            return (
                UNKNOWN,
                "the bot uses another key or host, which this guard can't close anything of, and is stopped",
            )
        told.read(here)  # what came while the guard itself stood still was said in time
        if silence is not None and not ending.done() and told.is_silent(silence):
            return WAS_SILENT, f"the bot was silent for more than {silence:g} s"
    code = ending.result()
    if code < 0:
        return 128 - code, f"signal {-code} has ended the bot"
    return code, f"the bot has ended with {code}"


async def _drained(told: Told) -> None:
    """Read what was told at last; nobody should be left who could tell more."""
    for _ in range(round(1.0 / _GLANCE)):
        if told.is_over:
            break
        await asyncio.sleep(_GLANCE)


async def _is_flat(told: Told, journal: Path, strategies: Sequence[int]) -> bool:
    """Flatten, once for each journal that was in use; whether it is proven that nothing is open, or will be."""
    proven = told.foreign is None
    if not told.is_over:
        say("NOT PROVEN: something that the bot has started lives on outside of its process group, and may open more")
        proven = False
    for gone in [path for path in told.journals if not path.exists()]:
        say(f"NOT PROVEN: the bot's journal {gone} is gone, so that nobody knows what was in doubt")
        proven = False
    for path in told.journals or {journal: None}:
        proven = await _is_flat_by(path, strategies) and proven
    return proven


async def _is_flat_by(journal: Path, strategies: Sequence[int]) -> bool:
    try:
        async with AsyncMizar(journal=journal) as mizar:
            proven = await _is_taken_over(mizar)
            for strategy_id in strategies:
                proven = await _is_flattened(mizar, strategy_id, is_proof=proven) and proven
            return proven
    except MizarError as failure:
        say(f"NOT FLAT: {failure}")
        return False


async def _is_taken_over(mizar: AsyncMizar) -> bool:
    """Whether the journal could be read: only then it is known what was in doubt."""
    failure: MizarError | None = None
    for _ in range(round(_PATIENCE / _GLANCE)):
        try:
            await mizar.recover(timeout=1.0)
        except JournalInUse as held:
            failure = held
            await asyncio.sleep(_GLANCE)
        except MizarError as other:
            failure = other
            break
        else:
            return True
    say(f"NOT PROVEN: {failure}. What can be listed is closed, and nobody knows what was in doubt")
    return False


async def _is_flattened(mizar: AsyncMizar, strategy_id: int, *, is_proof: bool) -> bool:
    try:
        report = await mizar.flatten(strategy_id)
    except MizarError as left:
        what = "" if isinstance(left, NotFlat) else f"strategy {strategy_id}: "
        say(f"NOT FLAT: {what}{left}")
        return False
    doubt = ", and nothing is in doubt" if is_proof else ""
    say(f"{report!r}; a list of the server shows nothing open{doubt}")
    return True
