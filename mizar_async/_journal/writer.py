"""The one thread that writes a journal: what many calls want on disk at once goes there in one commit.

The file is a local of the thread: a forked child has no such thread, and so neither uses nor closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs

from .._clock import Instant, instant
from .._waiting import Patience, Waiters, wake_all
from ..errors import JournalDamaged, NotSent
from .entries import OrderData, Row, read_plain
from .store import Store, explained
from .tables import Batch

log = logging.getLogger("mizar_async")

LATEST: Final = 0.05
"""Seconds after which everything is on disk."""

_AGAIN: Final = 1.0
"""Seconds after which a file that could not be written is tried again, if nobody asks before."""

_PRUNE_EVERY: Final = 3600.0

_AT_ONCE: Final = 8
"""How many are told in one step of a loop. Of many that go on together each waits at every step for all the others, so
that the first is done hardly before the last."""


@attrs.define(eq=False)
class _Waiting:
    ticket: int
    future: asyncio.Future[NotSent | None]


@attrs.define(eq=False)
class _Asking:
    keys: list[str]
    future: asyncio.Future[dict[str, OrderData] | NotSent]


_Answered = tuple[asyncio.Future[dict[str, OrderData] | NotSent], dict[str, OrderData] | NotSent]


class Writer:
    """Takes what is to be written from any thread, and tells each loop when it is on disk."""

    def __init__(
        self,
        opened: Callable[[], Store],
        began: Callable[[Store], None],
        failed: Callable[[Exception], NotSent],
        prune: Callable[[Store, Instant], None],
        slow: Callable[[], NotSent],
        lock: threading.RLock,
        *,
        after: int,
    ) -> None:
        self._opened = opened
        self._began = began
        self._failed = failed
        self._prune = prune
        self._patience: Patience[Any] = Patience(slow)
        self._lock = lock
        self._changed = threading.Condition(lock)
        self._batch = Batch()
        self._first = self._tickets = after
        self._hurry = False
        self._is_idle = False
        self._waiting: deque[_Waiting] = deque()
        self._asking: list[_Asking] = []
        self._leaving: Waiters = []
        self._stop = self._ended = False
        self.committed = after
        """Up to which ticket everything is on disk."""
        self.failure: NotSent | None = None
        """Why the file can't be written, as of the last try."""
        self.busy = threading.Lock()
        """Held while the file is read or written: a fork waits for it."""
        self.thread = threading.Thread(target=self._run, name="mizar journal", daemon=True)

    # in any thread

    def put(self, row: Row | None = None, order: tuple[str, int, bytes] | None = None) -> int:
        """Have it written soon; gives the ticket by which it can be waited for."""
        with self._lock:
            self._tickets += 1
            if self._ended:
                return self._tickets
            if row is not None:
                self._batch.rows.append(row)
            if order is not None:
                self._batch.orders[order[0]] = order[1:]
            if self._is_idle:
                self._is_idle = False
                self._changed.notify()
            return self._tickets

    def put_state(self, strategy_id: int, upto: int, data: bytes) -> None:
        """Have a state written, which stands for all entries up to a number."""
        with self._lock:
            if self._ended:
                return
            self._batch.states[strategy_id] = upto, data
            self._tickets += 1
            self._changed.notify()

    def has_written(self, ticket: int) -> bool:
        """Whether that is on disk, by this writer."""
        return self._first < ticket <= self.committed

    def wait(self, ticket: int, patience: float) -> asyncio.Future[NotSent | None]:
        """A future of the running loop that tells when what was given out under a ticket is on disk, or why not."""
        future: asyncio.Future[NotSent | None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self.has_written(ticket):
                future.set_result(None)
            elif self._ended or ticket <= self._first:
                future.set_result(self.failure or NotSent("not sent: the journal was closed meanwhile"))
            else:
                self._waiting.append(_Waiting(ticket, future))
                self._patience.end(future, patience)
                self._hurry_up()
        return future

    def _hurry_up(self) -> None:
        if not self._hurry:
            self._hurry = True
            self._changed.notify()

    def ask(self, keys: list[str], patience: float) -> asyncio.Future[dict[str, OrderData] | NotSent]:
        """A future of the running loop that tells what stands under keys, or why nobody can tell."""
        future: asyncio.Future[dict[str, OrderData] | NotSent] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._ended:
                future.set_result(self.failure or NotSent("not sent: the journal was closed meanwhile"))
            else:
                self._asking.append(_Asking(keys, future))
                self._patience.end(future, patience)
                self._hurry_up()
        return future

    def stop(self) -> None:
        """Write what is there, and end."""
        with self._changed:
            self._stop = True
            self._changed.notify()

    def gone(self) -> asyncio.Future[None]:
        """A future of the running loop that is done once nothing is written any more."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._changed:
            if self._ended:
                future.set_result(None)
            else:
                self._leaving.append(future)
        return future

    # in the thread

    def _run(self) -> None:
        try:
            with self.busy:
                store = self._opened()
        except Exception as failure:  # noqa: BLE001 - whatever is wrong with the file, the caller is told
            self._end(self._failed(failure))
            return
        failure_at_last: NotSent | None = None
        try:
            with self.busy:
                self._began(store)
            self._write_on(store)
        except Exception as failure:  # noqa: BLE001
            failure_at_last = self._failed(failure)
        finally:
            try:
                with self.busy:
                    store.close()
            except OSError as failure:
                log.debug("the journal was not closed well: %s", failure)
            self._end(failure_at_last)

    def _write_on(self, store: Store) -> None:
        prune_at = instant().wall + _PRUNE_EVERY
        lingers = False
        while True:
            with self._changed:
                while not (self._hurry or self._stop):
                    pause = LATEST if self.failure is None else _AGAIN
                    self._is_idle = not (self._batch or lingers)
                    lingers = False
                    if not self._changed.wait(None if self._is_idle else pause) and self._batch:
                        break
                self._is_idle, lingers = False, True
                batch, asking, waiting, upto = self._batch, self._asking, self._waiting, self._tickets
                self._batch, self._asking, self._waiting, self._hurry = Batch(), [], deque(), False
                stop = self._stop
            with self.busy:
                self._commit(store, batch, upto, ended=stop)
                answers = self._answers(store, asking)
            self._tell(waiting, answers)
            if stop and self.failure is None:
                self._forget(store, instant())
            if isinstance(self.failure, JournalDamaged) or stop:
                return
            if (now := instant()).wall >= prune_at:
                prune_at = now.wall + _PRUNE_EVERY
                self._forget(store, now)

    def _forget(self, store: Store, now: Instant) -> None:
        try:
            with self.busy:
                self._prune(store, now)
        except Exception as failure:  # noqa: BLE001 - what is not forgotten now is forgotten later
            log.debug("nothing old was forgotten: %s", failure)

    def _commit(self, store: Store, batch: Batch, upto: int, *, ended: bool) -> None:
        if not batch and not ended:
            return
        try:
            store.commit(batch, instant(), ended=ended)
        except Exception as failure:  # noqa: BLE001
            self.failure = explained(store.path, failure)
            with self._changed:
                batch.add(self._batch)
                self._batch = batch
        else:
            self.failure, self.committed = None, upto

    def _answers(self, store: Store, asking: list[_Asking]) -> list[_Answered]:
        if not asking:
            return []
        with self._changed:
            unwritten = dict(self._batch.orders)  # where the last commit has failed
        keys = {key for one in asking for key in one.keys}
        try:
            found = store.find(keys)
            for key in keys & unwritten.keys():
                found[key] = read_plain(unwritten[key][1], OrderData)
        except Exception as failure:  # noqa: BLE001
            self.failure = explained(store.path, failure)
            return [(one.future, self.failure) for one in asking]
        return [(one.future, {key: found[key] for key in one.keys if key in found}) for one in asking]

    def _tell(self, waiting: deque[_Waiting], answers: list[_Answered]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[object], object]]] = {}
        for one in waiting:
            told = None if one.ticket <= self.committed else self.failure
            by_loop.setdefault(one.future.get_loop(), []).append((one.future, told))  # type: ignore[arg-type]
        for asked, answer in answers:
            by_loop.setdefault(asked.get_loop(), []).append((asked, answer))  # type: ignore[arg-type]
        for loop, told_here in by_loop.items():
            with contextlib.suppress(RuntimeError):  # it has ended, and its callers with it
                loop.call_soon_threadsafe(_tell, told_here)

    def _end(self, failure: NotSent | None) -> None:
        """Nothing is written any more."""
        self.failure = failure or self.failure or NotSent("not sent: the journal was closed")
        with self._changed:
            self._ended = True
            waiting, asking = self._waiting, self._asking
            self._waiting, self._asking = deque(), []
        self._tell(waiting, [(one.future, self.failure) for one in asking])
        wake_all(self._leaving)


def _tell(told: list[tuple[asyncio.Future[object], object]]) -> None:
    for future, answer in told[:_AT_ONCE]:
        if not future.done():
            future.set_result(answer)
    if len(told) > _AT_ONCE:
        asyncio.get_running_loop().call_soon(_tell, told[_AT_ONCE:])
