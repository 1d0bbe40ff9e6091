"""Many opens or closes by one command: a row for each, in their order, as soon as it and those before it are known."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import dataclasses
import io
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .exits import CLOSED_PIPE, NOT_REACHABLE, UNKNOWN, WRONG_INPUT, Failure, code_of_all
from .orders import Row, Rows, as_they_were, body_of, read_closes, read_opens
from .output import json_text
from .profiles import replace
from .session import Session, ended_by_signals

if TYPE_CHECKING:
    from .. import JournalEntry, MizarError, Outcome

_TOLD: Final = ("outcome", "position_id", "price", "timestamp", "error")
_INTERRUPTED: Final = "not sent: the command was interrupted"
_EARLIER: Final = "not sent again: an earlier run was not told what became of it"
_LEFT: Final = "left while it was in flight: it may have happened"

Stream = Callable[[AsyncIterator[Any]], AsyncIterator["Outcome[Any, Any]"]]


async def open_from(session: Session, path: str, *, journal: Path | None, not_done: Path | None, dry_run: bool) -> int:
    """Open what a file wants opened."""
    with ended_by_signals():
        orders = read_opens(path)
    if dry_run:
        for row in orders.rows:
            session.out.request("open-position", body_of(row.ask))
        return 0
    kept = _journal_of(journal or session.journal or f"{orders.name}.journal")
    _check_writable(not_done, Path(path), kept)
    strategies = ", ".join(str(number) for number in sorted({row.ask.strategy_id for row in orders.rows})[:10])
    if orders.rows:
        await session.confirm(f"open {len(orders.rows)} positions of {orders.name}, strategy {strategies}?")
        session.out.note(f"{session.place}: journal {kept}")
    async with session.client(journal=kept) as mizar:
        return await Bulk(session, orders, not_done, kept).run(mizar.stream_open_positions)


async def close_from(session: Session, path: str, *, not_done: Path | None, dry_run: bool) -> int:
    """Close what a file wants closed."""
    with ended_by_signals():
        orders = read_closes(path)
    return await _close(session, orders, not_done, dry_run)


async def close_ids(session: Session, ids: Sequence[int], *, not_done: Path | None, dry_run: bool) -> int:
    """Close the positions of these ids."""
    rows = [Row(number, [str(position_id)], position_id) for number, position_id in enumerate(dict.fromkeys(ids), 1)]
    return await _close(session, Rows("", ["position_id"], rows), not_done, dry_run)


async def _close(session: Session, orders: Rows[int], not_done: Path | None, dry_run: bool) -> int:
    if dry_run:
        for row in orders.rows:
            session.out.request("close-position", {"position_id": row.ask})
        return 0
    _check_writable(not_done, Path(orders.name))
    if orders.rows:
        await session.confirm(f"close {len(orders.rows)} positions{f' of {orders.name}' if orders.name else ''}?")
    async with session.client() as mizar:
        return await Bulk(session, orders, not_done).run(mizar.stream_close_positions)


@dataclasses.dataclass
class Bulk:
    """The rows of one command, and what became of them."""

    session: Session
    orders: Rows[Any]
    not_done: Path | None
    journal: Path | None = None
    ended: dict[int, Outcome[Any, Any]] = dataclasses.field(default_factory=dict)
    begun: int = 0
    printed: int = 0
    gone: int = 0
    """The exit code once stdout can't be written: then what was begun is told on stderr, and nothing more is begun."""

    async def run(self, stream: Stream) -> int:
        """Send what there is, until it is interrupted, and tell what became of each row; gives the exit code."""
        self._print_head()
        with self.session.interrupts.writing() as stop, self._progress() as moved:
            try:
                async with contextlib.aclosing(stream(self._source(stop))) as outcomes:  # type: ignore[type-var]
                    async for outcome in outcomes:
                        self.ended[outcome.index] = outcome
                        self._print_known(stop)
                        moved(len(self.ended))
            except asyncio.CancelledError:
                if self.session.interrupts.code is None:
                    raise
            self._end_the_rest()
            self._print_known(stop)
        code = self._summed()
        self.session.interrupts.in_doubt = code == UNKNOWN
        return self._keep_not_done(code)

    async def _source(self, stop: asyncio.Event) -> AsyncIterator[Any]:
        for row in self.orders.rows:
            if stop.is_set() or self.gone:
                return
            self.begun += 1
            yield row.ask

    def _end_the_rest(self) -> None:
        from .. import Outcome, OutcomeUnknown

        left = [index for index in range(len(self.orders.rows)) if index not in self.ended]
        earlier = Earlier.of(self.journal, self.ended.values()) if left else None
        for index in left:
            ask = self.orders.rows[index].ask
            if index < self.begun or earlier is None:
                self.ended[index] = Outcome(index, ask, error=OutcomeUnknown(_LEFT))
            else:
                self.ended[index] = earlier.outcome(index, ask)

    def _print_head(self) -> None:
        if not self.session.out.as_json:
            self._print(_line([*self._own_columns(), *_TOLD]))

    def _own_columns(self) -> list[str]:
        return [self.orders.columns[place] for place in self._places()]

    def _places(self) -> list[int]:
        """The columns of the input, but for those that an earlier command has told."""
        return [place for place, name in enumerate(self.orders.columns) if name.strip().lower() not in _TOLD]

    def _print_known(self, stop: asyncio.Event) -> None:
        while self.printed in self.ended:
            row, outcome = self.orders.rows[self.printed], self.ended[self.printed]
            self.printed += 1
            if self.session.out.as_json:
                self._print(_document(row, outcome))
            else:
                self._print(_line([*(row.cells[place] for place in self._places()), *_told(outcome)]))
        if self.gone:
            stop.set()

    def _print(self, line: str) -> None:
        if not self.gone:
            try:
                self.session.out.data(f"{line}\n")
            except OSError as failure:
                self.gone = CLOSED_PIPE if isinstance(failure, BrokenPipeError) else UNKNOWN
                self.session.out.fault(f"stdout can't be written ({failure.strerror}): what was sent is told here")
        if self.gone and self.printed <= self.begun:
            self.session.out.fault(line)

    @contextlib.contextmanager
    def _progress(self) -> Iterator[Callable[[int], None]]:
        """A bar on stderr, if that is a terminal and the rows themselves go elsewhere."""
        if self.session.out.quiet or not sys.stderr.isatty() or sys.stdout.isatty():
            yield lambda _: None
            return
        from .progress import bar

        with bar(self.session.out.console(sys.stderr)) as progress:
            task = progress.add_task(self.session.place, total=len(self.orders.rows))
            yield lambda done: progress.update(task, completed=done)

    def _keep_not_done(self, code: int) -> int:
        if self.not_done is None:
            return code
        left = [row for index, row in enumerate(self.orders.rows) if _word(self.ended[index]) == "not done"]
        try:
            replace(self.not_done, "".join(f"{_line(cells)}\n" for cells in as_they_were(self.orders, left)))
            self._share_journal(Path(f"{self.not_done}.journal"), bool(left))
        except Failure as failure:  # which changes nothing of what became of the rows
            self.session.out.fault(str(failure))
            return code or failure.code
        return code

    def _share_journal(self, beside: Path, is_any_left: bool) -> None:
        """Whoever opens the rest does so by the same journal, and so nothing twice, also when both files are given."""
        if self.journal is None or beside.resolve() == self.journal.resolve():
            return
        if beside.is_symlink():  # of an earlier rest, which may be another file's
            beside.unlink(missing_ok=True)
        if not is_any_left or {"done", "repeated", "unknown"}.isdisjoint(map(_word, self.ended.values())):
            return
        try:
            beside.symlink_to(self.journal.resolve())
        except OSError:
            self.session.out.fault(f"submit the rest with --journal {self.journal}: then nothing is opened twice")

    def _summed(self) -> int:
        outcomes = [self.ended[index] for index in range(len(self.orders.rows))]
        counts = Counter(_word(outcome) for outcome in outcomes)
        told = ", ".join(f"{count} {word}" for word, count in counts.items()) or "no rows"
        # That something was there before is no matter for `--quiet`.
        (self.session.out.fault if counts["repeated"] else self.session.out.note)(f"{self.session.place}: {told}")
        code = code_of_all(outcome.error for outcome in outcomes)
        if self.gone and code != UNKNOWN:
            return self.gone
        if code == UNKNOWN:
            self.session.out.fault(
                "The outcome of some rows is unknown: look with `mizar positions list` before you submit them again"
            )
        elif code == NOT_REACHABLE and self.session.interrupts.code is None:
            self.session.out.fault(str(outcomes[0].error))
        return code


@dataclasses.dataclass
class Earlier:
    """What other runs have done with a journal."""

    by_name: dict[tuple[int, str | None], JournalEntry]
    failure: MizarError | None = None
    """Why nobody can say what they have done, or will do."""

    @classmethod
    def of(cls, journal: Path | None, ended: Iterable[Outcome[Any, Any]]) -> Earlier:
        """What stands in a journal now; one that another process holds may have more soon."""
        from .. import JournalDamaged, JournalInUse, read_journal

        for outcome in ended:
            if isinstance(outcome.error, (JournalInUse, JournalDamaged)):
                return cls({}, outcome.error)
        try:
            entries = read_journal(journal) if journal is not None and journal.exists() else []
        except JournalDamaged as damaged:
            return cls({}, damaged)
        return cls({(entry.strategy_id, entry.client_order_id): entry for entry in entries})

    def outcome(self, index: int, ask: Any) -> Outcome[Any, Any]:
        """The outcome of a row that this run has not begun."""
        from .. import NotSent, Outcome, OutcomeUnknown

        if self.failure is not None:
            return Outcome(index, ask, error=self.failure)
        entry = None if isinstance(ask, int) else self.by_name.get((ask.strategy_id, ask.client_order_id))
        if entry is None or entry.end == "not opened":
            return Outcome(index, ask, error=NotSent(_INTERRUPTED))
        if entry.position is None:
            return Outcome(index, ask, error=OutcomeUnknown(_EARLIER), repeated=True)
        return Outcome(index, ask, entry.position, repeated=True)


def _word(outcome: Outcome[Any, Any]) -> str:
    from .. import JournalDamaged, JournalInUse

    if isinstance(outcome.error, (JournalInUse, JournalDamaged)):
        return "refused"  # nobody can say what another run has done, or will do: it may not be submitted elsewhere
    return "repeated" if outcome.repeated and outcome.error is None else outcome.status


def _told(outcome: Outcome[Any, Any]) -> list[str]:
    position = outcome.position
    is_close = isinstance(outcome.request, int)
    number, price, moment = outcome.request if is_close else None, None, None
    if position is not None:
        number = position.position_id
        price = position.close_price if is_close else position.open_price
        moment = position.close_timestamp if is_close else position.open_timestamp
    told = [number, None if price is None else f"{price:f}", moment, outcome.error]
    return [_word(outcome), *("" if value is None else str(value) for value in told)]


def _document(row: Row[Any], outcome: Outcome[Any, Any]) -> str:
    position, error = outcome.position, outcome.error
    return json_text(
        {
            "line": row.line,
            "outcome": _word(outcome),
            "position": None if position is None else position.to_dict(),
            "error": None if error is None else str(error),
        }
    )


def _line(cells: Sequence[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(cells)
    return written.getvalue()


def _check_writable(path: Path | None, *in_use: Path) -> None:
    """`Failure` for a file that can't be made, or is something else: it is replaced as a whole."""
    import os

    if path is None:
        return
    other = {f"{one.resolve()}{end}" for one in in_use for end in ("", "-wal", "-shm", "-lock")}
    is_other = (path.exists() and not path.is_file()) or str(path.resolve()) in other
    if is_other or not os.access(path.parent, os.W_OK):
        raise Failure(f"{path} can't be written: name another file with --not-done. Nothing was sent.", WRONG_INPUT)


def _journal_of(given: str | Path) -> Path:
    """The file of a journal; `Failure` where there can be none."""
    import os

    path = Path(given)
    real = path.resolve()
    if (real.exists() and not real.is_file()) or not os.access(real if real.exists() else real.parent, os.W_OK):
        raise Failure(f"{path} can't be a journal: name another file with --journal. Nothing was sent.", WRONG_INPUT)
    return path
