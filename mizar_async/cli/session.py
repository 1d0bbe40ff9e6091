"""What a command is given beside its own arguments: the options of all commands, the key, questions, Ctrl-C.

Plain classes: a command line that only shows its help loads neither attrs nor anything of the SDK.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from .exits import CLOSED_PIPE, DONE, INTERRUPTED, NO_KEY, NOT_DONE, UNKNOWN, WRONG_INPUT, Failure, code_of
from .output import Output, printable

if TYPE_CHECKING:
    import asyncio

    from .. import Address, AsyncMizar
    from .keys import Source

_JOURNAL: Final = "MIZAR_JOURNAL"


class Interrupts:
    """What Ctrl-C and SIGTERM do. While something is written the first lets what is in flight end; else it cancels."""

    def __init__(self) -> None:
        import asyncio

        self.code: int | None = None
        self.stop = asyncio.Event()
        self.in_doubt = False
        """Whether something was written of which nobody knows what became."""
        self._count = 0
        self._writes = False

    @contextlib.contextmanager
    def writing(self) -> Iterator[asyncio.Event]:
        """A write is under way: gives what is set when nothing more may be begun."""
        self._writes = self.in_doubt = True
        try:
            yield self.stop
        except Exception as failure:
            from .. import MizarError

            self.in_doubt = not isinstance(failure, MizarError)  # which says itself what became of it
            raise
        else:
            self.in_doubt = False
        finally:
            self._writes = False

    @contextlib.contextmanager
    def held(self, task: asyncio.Task[Any], say: Callable[[str], None]) -> Iterator[None]:
        """As long as a command runs; one that has handlers of its own replaces these."""
        if sys.platform == "win32":
            yield
            return
        import asyncio

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._take, number, task, say)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # what it came to is known, and must not be told otherwise

    def _take(self, number: int, task: asyncio.Task[Any], say: Callable[[str], None]) -> None:
        self._count += 1
        self.code = 128 + number
        self.stop.set()
        if self._writes and self._count == 1:
            say("interrupted: what is in flight ends first; once more leaves it")
        elif self._count <= 1 + self._writes:
            task.cancel()
        else:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(UNKNOWN if self.in_doubt else self.code)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Around what the loop waits for though it may never come, such as input: a signal ends the process at once."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclasses.dataclass
class Session:
    """One command: how it prints, whom it asks, and as whom it calls."""

    out: Output
    profile: str | None = None
    yes: bool = False
    interrupts: Interrupts = dataclasses.field(default_factory=Interrupts)
    journal: str | None = dataclasses.field(default_factory=lambda: os.environ.pop(_JOURNAL, None) or None)
    """That of the environment. Only opens keep one: a bot's is not opened for the sake of a look."""

    @functools.cached_property
    def source(self) -> Source:
        """The key and its address, from the one place that they come from; `Failure` where there is none."""
        from .keys import find

        return find(self.profile, self.out.note)

    @functools.cached_property
    def address(self) -> Address:
        """Where calls go."""
        from .. import Address

        return Address.find(self.source.url)

    @property
    def place(self) -> str:
        """What heads every table and every question: paper, local or live, and the host."""
        return f"{self.address.environment} {self.address.host}"

    def client(self, *, journal: str | os.PathLike[str] | None = None) -> AsyncMizar:
        """A client of that key. It is nobody else's: what is open when it ends stays open."""
        source, address = self.source, self.address  # where there are none, nothing else is loaded
        from .. import AsyncMizar, InvalidInput

        try:
            AsyncMizar(source.key, api_url=address.url)
        except InvalidInput as refused:
            raise Failure(f"{source.name}: {refused}", NO_KEY) from None
        return AsyncMizar(source.key, api_url=address.url, journal=journal)

    async def confirm_write(self, question: str) -> None:
        """Ask before a single write, which only real money needs."""
        if self.address.environment == "live":
            await self.confirm(question)

    async def confirm(self, question: str) -> None:
        """Ask, unless `--yes` has answered; `Failure` if the answer is no, or nobody can answer."""
        if self.yes:
            return
        if not sys.stdin.isatty() or not sys.stderr.isatty():
            raise Failure(
                f"{self.place}: {question} There is no terminal to ask: give --yes. Nothing was sent.", WRONG_INPUT
            )
        if (await typed_line(f"{self.place}: {question} [y/N] ")).strip().lower() not in {"y", "yes"}:
            raise Failure("declined: nothing was sent", NOT_DONE)


def carry_out(work: Callable[[], Awaitable[int | None]], session: Session) -> int:
    """Run a command, and give its exit code: one line for what went wrong, never a traceback."""
    import asyncio

    import anyio

    code = INTERRUPTED

    async def begin() -> None:
        nonlocal code
        task = asyncio.current_task()
        assert task is not None
        with session.interrupts.held(task, session.out.fault):
            ended = await _ended(work, session)
            code = ended if session.interrupts.code is None or ended == UNKNOWN else session.interrupts.code

    with contextlib.suppress(KeyboardInterrupt):  # before the handlers are there, or after that
        anyio.run(begin, backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None})
    return _flushed(code)


async def _ended(work: Callable[[], Awaitable[int | None]], session: Session) -> int:
    import asyncio

    try:
        return await work() or DONE
    except asyncio.CancelledError:
        if session.interrupts.code is None:
            raise
        if session.interrupts.in_doubt:
            session.out.fault("left while a write was in flight: it may have happened. Look before you repeat it")
            return UNKNOWN
        return session.interrupts.code
    except BrokenPipeError:
        return CLOSED_PIPE
    except Exception as failure:  # noqa: BLE001 - whoever trades is told one line, whatever it is
        return _failed(failure, session)


def _failed(failure: Exception, session: Session) -> int:
    """Say in one line what ended a command, and give the exit code that it means."""
    from .. import MizarError

    match failure:
        case Failure():
            told, code = str(failure), failure.code
        case MizarError():
            told, code = str(failure), code_of(failure)
        case OSError() | ImportError():  # ImportError: of an extra, which says so
            told, code = str(failure), NOT_DONE
        case _:  # without its text, which may hold anything
            import traceback

            place = traceback.extract_tb(failure.__traceback__)[-1]
            told = f"a defect of mizar: {type(failure).__name__} in {place.filename}, line {place.lineno}"
            code = NOT_DONE
    session.out.fault(told)
    return UNKNOWN if session.interrupts.in_doubt else code


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError as failure:
        # What could not be written would be tried again as the interpreter ends, with a message of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code in {DONE, NOT_DONE}:
            return CLOSED_PIPE if isinstance(failure, BrokenPipeError) else NOT_DONE
    return code


async def typed_line(question: str, *, hidden: bool = False) -> str:
    """A line that somebody types, which Ctrl-C ends; `hidden` shows nothing of it. Empty at the end of the input."""
    if sys.platform == "win32" and hidden:
        import getpass

        return getpass.getpass(question, sys.stderr)
    _forget_what_was_typed()
    with _no_echo() if hidden else contextlib.nullcontext():  # before anybody is asked to type
        print(printable(question), end="", file=sys.stderr, flush=True)
        if sys.platform == "win32":
            return sys.stdin.readline()
        import asyncio

        loop, typed = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(sys.stdin.fileno(), typed.set)
        try:
            await typed.wait()
        finally:
            loop.remove_reader(sys.stdin.fileno())
        with ended_by_signals():  # the line may not have ended
            return sys.stdin.readline()


def _forget_what_was_typed() -> None:
    """What was typed before a question was asked is no answer to it."""
    if sys.platform != "win32":
        import termios

        with contextlib.suppress(termios.error, ValueError):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


@contextlib.contextmanager
def _no_echo() -> Iterator[None]:
    import termios

    here = sys.stdin.fileno()
    before = termios.tcgetattr(here)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(here, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(here, termios.TCSADRAIN, before)
        print(file=sys.stderr)
