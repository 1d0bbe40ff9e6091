"""The journal of one account: what its calls did and were told, on disk, for whoever goes on after a crash.

It is opened and locked by the first call, in a thread of its own. What stands above it knows no more of it than this
class: the number of a run, entries that are on disk soon or before something goes on, what earlier runs have left, and
one timeline.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from .._api.checks import refuse
from .._clock import Instant, instant, monotonic
from .._ledger.events import Prolonged
from .._options import amount
from .._version import installed_version
from .._waiting import Waiters, wake_all
from ..errors import InvalidInput, JournalDamaged, JournalInUse, MizarError, NotSent
from .entries import Entry, OrderData, Row, State, entry_bytes, order_key, plain_bytes
from .tables import TICKS
from .timeline import STEP, shifted, was_stepped

if TYPE_CHECKING:
    from .store import Run, Store, Strategy
    from .writer import Writer

log = logging.getLogger("mizar_async")

DAY: Final = 86400.0
ON_DISK: Final = 0
"""The ticket of what an earlier run has written."""

NEVER: Final = -1
"""The ticket of what is not written at all."""

_LARGEST_ID: Final = 2**63 - 1

# How many entries of a strategy may stand after its state, before another one is written.
_ENTRIES_PER_STATE: Final = 2000


# Seconds after which a journal that could not be opened is tried again.
_AGAIN: Final = 1.0

_days = amount("days", 0, inclusive=True)


@attrs.frozen
class Keeping:
    """For how long what is over is kept, in days."""

    journal_days: float = attrs.field(default=7.0, validator=_days)
    order_id_days: float = attrs.field(default=30.0, validator=_days)


@attrs.frozen
class History:
    """What earlier runs have left of a strategy, on the clock of this one."""

    strategy_id: int
    state: State | None
    entries: list[Entry]
    runs: frozenset[int]
    """Those that have written it."""


Adopt = Callable[[int, list[History], Prolonged | None], None]
"""Takes over from earlier runs: the number of this one, what they left, and whether their times are not certain."""


def journal_path(given: object) -> Path:
    """The path of a journal, or InvalidInput."""
    if not isinstance(given, (str, os.PathLike)) or isinstance(given, bytes) or not os.fspath(given):
        raise refuse("journal", given, "it must be the path of a file, such as 'bot.journal'")
    try:
        return Path(os.path.realpath(Path(os.fspath(given)).expanduser()))
    except (OSError, RuntimeError, ValueError) as failure:
        raise refuse("journal", given, f"it leads nowhere: {failure}") from None


_threads: weakref.WeakValueDictionary[Path, threading.Thread] = weakref.WeakValueDictionary()
_open: weakref.WeakValueDictionary[Path, Journal] = weakref.WeakValueDictionary()


class Journal:
    """Made without any I/O. `fingerprint` and `host` say to which key it belongs; the key itself is never told."""

    def __init__(self, path: Path, fingerprint: str, host: str, keeping: Keeping) -> None:
        self.path = path
        self.keeping = keeping
        self._fingerprint = fingerprint
        self._host = host
        self._lock = threading.RLock()
        self._writer: Writer | None = None
        self._opening: Waiters = []
        self._opening_since = 0.0
        self.is_open = False
        self.is_inherited = False
        """True in a forked child of the process that has it."""
        self._refusal: MizarError | None = None
        self._refused_at = 0.0
        self._warned = False
        self._next = 1
        self._heads: dict[int, int] = {}
        self._since_state: dict[int, int] = {}
        self._offset = 0.0
        self.accepts = False
        """Whether entries are taken: from before earlier runs are taken over until it is closed."""
        self._tickets = ON_DISK
        """The last one that was given out so far, by any writer."""
        self.run = 0
        """The number of this run, from 1."""

    def __repr__(self) -> str:
        state = "open" if self.is_open else "inherited" if self.is_inherited else "not open"
        return f"<Journal {self.path}: {state}>"

    # beginning and end

    @property
    def needs_opening(self) -> bool:
        """Whether a call has to open it first, or may try again since what stood against it may have passed."""
        if self.is_open or self.is_inherited:
            return False
        if self._refusal is None or isinstance(self._refusal, JournalInUse):
            return True
        may_pass = not isinstance(self._refusal, (InvalidInput, JournalDamaged))
        return may_pass and monotonic() >= self._refused_at + _AGAIN

    @property
    def is_in_use(self) -> bool:
        """Whether it is open, or about to be."""
        return self.is_open or bool(self._opening)

    async def open(self, forget: Callable[[], None], adopt: Adopt, patience: float) -> None:
        """Open it, once for all who ask at the same time. Whatever stands against that is told by `check`.

        It takes `patience` seconds at most since the first of them asked; it may be opened later all the same.
        `forget` drops what is known from an earlier opening, since another process may have had it meanwhile.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if not self.needs_opening:
                return
            is_first = not self._opening
            self._opening.append(future)
            if is_first:
                self._opening_since = monotonic()
        if is_first:
            forget()
            self._refusal = self._taken()
            if self._refusal is None:
                self._start(adopt)
            else:
                self._opened()
        await asyncio.wait([future], timeout=max(0.0, self._opening_since + patience - monotonic()))

    def _taken(self) -> InvalidInput | None:
        """A process may lock a file twice: two keys that name one are told apart here."""
        other = _open.setdefault(self.path, self)
        if other is self or not other.is_open:
            _open[self.path] = self
            return None
        return InvalidInput(
            f"journal={str(self.path)!r} is refused: clients of another key or host use it; each has one of its own"
        )

    def _start(self, adopt: Adopt) -> None:
        # Only what is used is imported: SQLite takes longer than the rest of a first call.
        from .store import Store, explained
        from .writer import Writer

        before = _threads.get(self.path)

        def opened() -> Store:
            if before is not None:
                before.join()  # it holds the lock, which its end would take from whoever has it then
            return Store(self.path, self._fingerprint, self._host, version=installed_version())

        def begin(store: Store) -> None:
            try:
                self._take_over(store, adopt, instant())
            except Exception as failure:
                failed(failure)  # before anybody goes on
                raise
            with self._lock:
                self.is_open = self._writer is writer  # unless it was closed meanwhile
            self._opened()

        def failed(failure: Exception) -> NotSent:
            self._refusal = failure if isinstance(failure, MizarError) else explained(self.path, failure)
            if not isinstance(failure, (MizarError, OSError)):
                log.debug("the journal %s is refused", self.path, exc_info=failure)
            self._refused_at = monotonic()
            self.is_open = self.accepts = False
            self._opened()
            return self._refusal if isinstance(self._refusal, NotSent) else NotSent(str(self._refusal))

        def prune(store: Store, now: Instant) -> None:
            store.prune(now.wall - self.keeping.journal_days * DAY, now.wall - self.keeping.order_id_days * DAY)

        writer = self._writer = Writer(opened, begin, failed, prune, self._slow, self._lock, after=self._tickets)
        _threads[self.path] = writer.thread
        writer.thread.start()

    def _take_over(self, store: Store, adopt: Adopt, began: Instant) -> None:
        runs = {run.run: run for run in store.all_runs()}
        found = store.strategies()
        last = max(runs.values(), key=lambda run: run.run, default=None)
        latest = store.latest()
        uncertain = last is not None and (latest > began.wall or _is_uncertain(last, began))
        self._offset = max(began.wall, latest) - began.monotonic
        self.run = store.begin_run(began, self._offset)
        self._next = store.last + 1
        self._heads = {one.strategy_id: one.last for one in found}
        self._since_state = {one.strategy_id: len(one.entries) for one in found}
        self.accepts = True
        history = [self._history(one, runs) for one in found]
        adopt(self.run, history, Prolonged(began.monotonic) if uncertain else None)

    def _history(self, found: Strategy, runs: dict[int, Run]) -> History:
        def on_our_clock(run: int) -> float:
            return runs[run].offset - self._offset

        state = None if found.state is None else shifted(found.state, on_our_clock(found.run))
        entries = [shifted(entry, on_our_clock(run)) for run, entry in found.entries]
        wrote = {run for run, _ in found.entries} | ({found.run} if found.state else set())
        return History(found.strategy_id, state, entries, frozenset(wrote))

    def _opened(self) -> None:
        with self._lock:
            waiting, self._opening = self._opening, []
        wake_all(waiting)

    def inherit(self) -> None:
        """In a forked child: the file is the parent's, and is neither used nor closed here."""
        self._lock = threading.RLock()
        self._opening = []
        if self._writer is not None or self.is_inherited:
            self.is_open, self.is_inherited = False, True

    def pause(self) -> Callable[[], None]:
        """Before a fork: nothing is read or written until the value is called, so that no child is left a lock."""
        writer = self._writer
        if writer is None or not writer.busy.acquire(timeout=1.0):
            return lambda: None
        return writer.busy.release

    async def close(self, patience: float) -> None:
        """Write what is left, and let another process have it. The next call would open it again."""
        writer = self._stopped()
        if writer is not None:
            await asyncio.wait([writer.gone()], timeout=patience)

    def close_now(self, patience: float) -> None:
        """The same where no loop runs."""
        writer = self._stopped()
        if writer is not None:
            writer.thread.join(patience)

    def _stopped(self) -> Writer | None:
        with self._lock:
            writer, self._writer = self._writer, None
            self.is_open = self.accepts = False
        if writer is None or self.is_inherited:
            return None
        writer.stop()
        return writer

    # writing

    def check(self, strategy_id: int = 0) -> None:
        """Raise NotSent where an open could not be written: then it may not leave. InvalidInput for a huge id."""
        if strategy_id > _LARGEST_ID:
            raise InvalidInput(f"strategy_id={strategy_id} is refused: a journal keeps ids up to {_LARGEST_ID}")
        if self.is_inherited:
            raise NotSent(
                f"not sent: the journal {self.path} is held by the process that forked this one; "
                "a child that opens positions needs a client with a journal of its own"
            )
        self.check_refusal()
        if not self.is_open:
            why = "is being opened still: its disk takes long" if self._opening else "is not open"
            raise NotSent(f"not sent: the journal {self.path} {why}")

    def together(self) -> AbstractContextManager[object]:
        """What is given to be written inside goes on disk together, or not at all."""
        return self._lock

    def check_refusal(self) -> None:
        """Raise what stood against opening it, if anything did."""
        if self._refusal is not None:
            raise copy.copy(self._refusal)

    def append(self, strategy_id: int, entry: Entry, at: float | None) -> int:
        """Have an entry on disk soon; gives the ticket by which it can be waited for."""
        writer = self._writer
        if writer is None or not self.accepts or strategy_id > _LARGEST_ID:
            return NEVER
        data, (attempt, position) = entry_bytes(entry), entry.subject
        with self._lock:
            number, previous = self._next, self._heads.get(strategy_id, 0)
            self._next, self._heads[strategy_id] = number + 1, number
            self._since_state[strategy_id] = self._since_state.get(strategy_id, 0) + 1
            if position is not None and position > _LARGEST_ID:
                position = None
            when = (monotonic() if at is None else at) + self._offset
            row = Row(number, strategy_id, previous, self.run, int(when * TICKS), entry.name, attempt, position, data)
            self._tickets = writer.put(row)
            return self._tickets

    def wants_state(self, strategy_id: int, size: int) -> bool:
        """Whether so much stands after the last state of a strategy that one of this size is worth writing."""
        return self._since_state.get(strategy_id, 0) > _ENTRIES_PER_STATE + 4 * size

    def write_state(self, strategy_id: int, state: State) -> None:
        """Have a state written that stands for all entries of a strategy so far."""
        writer = self._writer
        if writer is not None and self.accepts and self._since_state.get(strategy_id):
            self._since_state[strategy_id] = 0
            writer.put_state(strategy_id, self._heads[strategy_id], plain_bytes(state))

    def write_order(self, order: OrderData) -> None:
        """Have it written what a client order id stands for."""
        writer = self._writer
        if writer is not None and self.accepts and order.ask.client_order_id is not None:
            key = order_key(order.strategy_id, order.ask.client_order_id)
            writer.put(order=(key, int((monotonic() + self._offset) * TICKS), plain_bytes(order)))

    def kept(self, ticket: int, patience: float) -> Awaitable[NotSent | None]:
        """Done when what was given out under a ticket is on disk; or why it is not, after `patience` seconds."""
        writer = self._writer
        if writer is not None and ticket > ON_DISK:
            return writer.wait(ticket, patience)
        known: asyncio.Future[NotSent | None] = asyncio.get_running_loop().create_future()
        known.set_result(None if ticket == ON_DISK else NotSent(f"not sent: the journal {self.path} was closed"))
        return known

    def is_kept(self, ticket: int) -> bool:
        """Whether that is on disk."""
        return ticket == ON_DISK or (self._writer is not None and self._writer.has_written(ticket))

    def _slow(self) -> NotSent:
        return NotSent(f"not sent: the disk of the journal {self.path} took too long")

    async def find(self, strategy_id: int, names: Collection[str], patience: float) -> dict[str, OrderData]:
        """What client order ids stand for, as far as they were used; raises NotSent where nobody can tell in time."""
        self.check()
        writer = self._writer
        if writer is None:
            raise NotSent(f"not sent: the journal {self.path} was closed")
        keys = {order_key(strategy_id, name): name for name in names}
        found = await writer.ask(list(keys), patience)
        if isinstance(found, NotSent):
            raise copy.copy(found)
        return {keys[key]: order for key, order in found.items()}

    def warn_once(self, failure: MizarError) -> None:
        """Say that closes go on though they can't be written."""
        if not self._warned:
            self._warned = True
            log.warning("closes go on, though the journal can't have them: %s", failure)


def _is_uncertain(last: Run, now: Instant) -> bool:
    """Whether the times of the last run can't be compared with ours."""
    drifted = abs((last.instant.wall - last.instant.monotonic) - last.lead) > STEP
    return drifted or was_stepped(last.instant, now)
