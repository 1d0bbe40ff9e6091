"""`mizar guard`: a dead man's switch. It runs a bot, and closes what it has opened when it ends or is silent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from platformdirs import user_data_path

from .. import AsyncMizar, InvalidInput, JournalInUse, MizarError, NotFlat, Refused

PIPE: Final = "MIZAR_GUARD"
JOURNAL: Final = "MIZAR_JOURNAL"

BAD_KEY, NOT_REACHABLE, NOT_FLAT, WAS_SILENT = 4, 5, 3, 124
FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

# How long the bot has to end by itself once it is told to, and how long its journal may still be held after that.
_PATIENCE: Final = 10.0
_GLANCE: Final = 0.05


def say(text: str) -> None:
    """Tell whoever watches; the bot's own output is left alone."""
    print(f"guard: {text}", file=sys.stderr, flush=True)


@attrs.define
class Bot:
    """The program, in a process group of its own, and what it has told."""

    process: asyncio.subprocess.Process
    journal: Path
    account: str
    beat_at: float | None = None
    foreign: str | None = None
    """The account of a client that has another key or host."""

    def read(self, line: bytes) -> None:
        """Note a beat; the first one tells the journal that is in use, and the account."""
        self.beat_at = asyncio.get_running_loop().time()
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if "account" in told and told["account"] != self.account:
                self.foreign = told["account"]
            elif "journal" in told:
                self.journal = Path(told["journal"])

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, if any of it is left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    @property
    def is_gone(self) -> bool:
        """Whether nothing of its group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    async def stop(self) -> None:
        """End the group: kindly, then not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.signal(number)
            for _ in range(round(_PATIENCE / _GLANCE)):
                if self.is_gone:
                    break
                await asyncio.sleep(_GLANCE)
        await self.process.wait()


async def run_guard(command: Sequence[str], strategies: Sequence[int], silence: float | None, keep: bool) -> int:
    """Run the bot until it ends, and see to it that nothing it has opened is left open."""
    journal = os.environ.pop(JOURNAL, None)  # which is the bot's as long as it runs
    account = await _checked(strategies)
    if isinstance(account, int):
        return account
    path = Path(journal) if journal else user_data_path("mizar", ensure_exists=True) / f"guard-{account[:16]}.journal"
    reading, writing = os.pipe()
    environment = {**os.environ, JOURNAL: str(path), PIPE: str(writing)}
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, pass_fds=(writing,), start_new_session=True
        )
    except OSError as failure:
        say(f"{command[0]!r} can't be started: {failure.strerror}")
        return 127 if isinstance(failure, FileNotFoundError) else 126
    finally:
        os.close(writing)
    bot = Bot(process, path, account)
    with _signals_for(bot):
        code = await _watched(bot, reading, silence)
    with _signals_refused():
        await bot.stop()
        return await _ended(bot, code, strategies, keep)


async def _checked(strategies: Sequence[int]) -> str | int:
    """The account of the key, once every strategy could be listed with it; otherwise the exit code."""
    try:
        async with AsyncMizar() as mizar:
            for strategy_id in strategies:
                await mizar.get_all_open_positions(strategy_id=strategy_id)
            return mizar.account_id()
    except (Refused, InvalidInput) as refused:
        say(f"the strategies can't be listed with this key, so that nothing is started: {refused}")
        return BAD_KEY
    except MizarError as failure:
        say(f"the server can't be reached, so that nothing is started: {failure}")
        return NOT_REACHABLE


async def _watched(bot: Bot, reading: int, silence: float | None) -> int:
    """Wait until the bot ends, is silent, or turns out to be somebody else's; gives its exit code."""
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", buffering=0)
    )
    listening = asyncio.create_task(_listen(stream, bot))
    ending = asyncio.create_task(bot.process.wait())
    try:
        while not ending.done():
            await asyncio.wait([ending], timeout=_GLANCE)
            if ending.done():
                break
            if bot.foreign is not None:
                say(f"the bot uses another key or host ({bot.foreign}): it is not guarded by this one, and is stopped")
                return BAD_KEY
            if silence is not None and bot.beat_at is not None and loop.time() - bot.beat_at > silence:
                say(f"the bot was silent for more than {silence:g} s")
                return WAS_SILENT
        code = ending.result()
        return 128 - code if code < 0 else code
    finally:
        listening.cancel()
        ending.cancel()
        transport.close()


async def _listen(stream: asyncio.StreamReader, bot: Bot) -> None:
    while line := await stream.readline():
        bot.read(line)


async def _ended(bot: Bot, code: int, strategies: Sequence[int], keep: bool) -> int:
    """The bot has ended, and all of its group: flatten, and say what is proven."""
    how = f"signal {code - 128} has ended the bot" if code > 128 else f"the bot has ended with {code}"
    if keep and code == 0:
        say(f"{how}; its positions are left as they are")
        return 0
    say(f"{how}; flattening strategy {', '.join(map(str, strategies))}")
    flat = True
    async with AsyncMizar(journal=bot.journal) as mizar:
        for strategy_id in strategies:
            flat = await _flattened(mizar, strategy_id) and flat
    return code if flat else NOT_FLAT


async def _flattened(mizar: AsyncMizar, strategy_id: int) -> bool:
    until = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        try:
            await mizar.recover(strategy_id, timeout=0)
        except JournalInUse as held:
            if asyncio.get_running_loop().time() < until:
                await asyncio.sleep(_GLANCE)
                continue
            say(f"{held}; flattening without it")
        except MizarError as failure:
            say(f"{failure}; flattening without it")
        break
    try:
        report = await mizar.flatten(strategy_id)
    except NotFlat as left:
        say(f"NOT FLAT: {left}")
        return False
    except MizarError as failure:
        say(f"NOT FLAT: strategy {strategy_id}: {failure}")
        return False
    say(f"{report!r}; a list of the server shows nothing open, and nothing is in doubt")
    return True


@contextlib.contextmanager
def _signals_for(bot: Bot) -> Any:
    """Each signal reaches the bot once, though a terminal sends it to both."""
    loop = asyncio.get_running_loop()
    for number in FORWARDED:
        loop.add_signal_handler(number, bot.signal, number)
    try:
        yield
    finally:
        for number in FORWARDED:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _signals_refused() -> Any:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, say, "positions are being closed: it ends when that is done")
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
