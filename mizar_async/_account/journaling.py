"""Whether an account has a journal, its opening by the first call, and what is taken over from earlier runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from .._clock import instant
from .._journal.journal import History, Journal
from .._ledger.events import Prolonged, numbers_of
from .._wire.heart import heart
from ..errors import InvalidInput
from .calls import Call, OpenCall
from .record import Record
from .recovery import recover
from .shared import Shared
from .watch import Watch


class Journaling:
    """The journal of an account, if it has one."""

    shared: Shared

    def __init__(self, watches: Callable[[], dict[int, Watch]], watch: Callable[[int], Watch]) -> None:
        self.journal: Journal | None = None
        self._taken_over: Journal | None = None
        """Which journal tells what is known: when it is opened again, only what stands there counts."""
        self._account = ""
        self._watches = watches
        self._watch = watch

    def use(self, journal: Journal, account: str) -> None:
        """Write down from now on what is done. Raises InvalidInput where another is in use, or opens were sent."""
        with self.shared.lock:
            known = self.journal
            if known is not None and not known.is_inherited:
                if known.path != journal.path and known.is_in_use:
                    raise InvalidInput(
                        f"journal={str(journal.path)!r} is refused: the clients of this key and host use {known.path} "
                        "already; all of them share one"
                    )
                if known.path == journal.path:
                    return
            elif any(watch.had_baseline is not None for watch in self._watches().values()):
                raise InvalidInput(
                    f"journal={str(journal.path)!r} is refused: opens of this key were sent without one in this "
                    "process; give it to the first client"
                )
            self.journal = self.shared.journal = journal
            self._account = account

    def inherit(self) -> None:
        """In a forked child: the journal is the parent's."""
        if self.journal is not None:
            self.journal.inherit()

    def begin(self, watch: Watch) -> None:
        """A strategy is used for the first time."""
        if self.journal is not None and self.journal.accepts:
            watch.start_over(Record(watch.strategy_id, self.journal, None))

    @property
    def is_ready(self) -> bool:
        """Whether a call may go on, or has to wait for `get_ready` first."""
        return self.journal is None or not self.journal.needs_opening

    async def get_ready(self, patience: float) -> None:
        """Open the journal, and take over from earlier runs. What stands against it is told to opens."""
        if self.journal is not None:
            heart.tell(account=self._account)
            await self.journal.open(self._forget, self._take_over, patience)
            if self.journal.is_open:
                heart.tell(journal=str(self.journal.path))

    def _forget(self) -> None:
        if self._taken_over is not None:
            self._taken_over = None
            with self.shared.lock:
                self._start_over(itertools.count(1))

    def _start_over(self, numbers: Iterator[int]) -> None:
        self.shared.start_over(numbers)
        for watch in self._watches().values():
            watch.start_over(None)

    def _take_over(self, run: int, left: list[History], prolonged: Prolonged | None) -> None:
        journal = self.journal
        assert journal is not None
        now = instant().monotonic
        with self.shared.lock:
            self._taken_over = journal
            self._start_over(numbers_of(run))
            histories = {one.strategy_id: one for one in left}
            for strategy_id in histories.keys() | self._watches().keys():
                history = histories.get(strategy_id)
                record = Record(strategy_id, journal, None if history is None else history.state)
                watch = self._watch(strategy_id)
                watch.start_over(record)
                if history is not None:
                    recover(watch, record, history, now, prolonged)

    def tell(self, call: Call) -> None:
        """The ending of a call is about to be given to somebody: have that written down."""
        with self.shared.lock:
            if isinstance(call, OpenCall) and isinstance(call.watch, Watch) and call.watch.record is not None:
                call.watch.record.tell(call)

    def check_taken_over(self, what: str) -> None:
        """Raise why nobody can tell what earlier runs have left, if so: an empty list would be taken for all of it."""
        if self.journal is not None and self.journal is not self._taken_over:
            self.journal.check_refusal()
            raise InvalidInput(
                f"{what} is refused: the journal {self.journal.path} is opened by the first call, so that nobody can "
                "tell yet what earlier runs have left; make one before, such as await recover()"
            )

    async def leave(self, patience: float) -> None:
        """Write what there is, and let another process have the file; the next call opens it again."""
        if self.journal is not None:
            self._write_states()
            await self.journal.close(patience)

    def leave_now(self, patience: float) -> None:
        """The same where no loop runs."""
        if self.journal is not None and self.journal.is_open:
            self._write_states()
            self.journal.close_now(patience)

    def _write_states(self) -> None:
        """Have it written what is known of each strategy, so that the next run need not fold how it came about."""
        with self.shared.lock:
            for watch in self._watches().values():
                watch.write_state()
