"""Many opens or closes by one command: a row for each, in their order, as soon as it and those before it are known."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import dataclasses
import io
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .exits import CLOSED_PIPE, NOT_DONE, NOT_REACHABLE, UNKNOWN, WRONG_INPUT, Failure, code_of_all
from .orders import Row, Rows, body_of, read_closes, read_opens
from .output import json_text
from .profiles import replace
from .session import Session, ended_by_signals

if TYPE_CHECKING:
    from .. import Outcome

_TOLD: Final = ("outcome", "position_id", "price", "timestamp", "error")
_INTERRUPTED: Final = "not sent: the command was interrupted"
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
    kept = Path(journal or session.journal or f"{orders.name}.journal")
    _check_writable(not_done, Path(path), kept)
    strategies = ", ".join(str(number) for number in sorted({row.ask.strategy_id for row in orders.rows})[:10])
    if orders.rows:
        await session.confirm(f"open {len(orders.rows)} positions of {orders.name}, strategy {strategies}?")
        session.out.note(f"{session.place}: journal {kept}")
    async with session.client(journal=kept) as mizar:
        return await Bulk(session, orders, not_done).run(mizar.stream_open_positions)


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
        from .. import NotSent, Outcome, OutcomeUnknown

        for index, row in enumerate(self.orders.rows):
            if index not in self.ended:
                error = OutcomeUnknown(_LEFT) if index < self.begun else NotSent(_INTERRUPTED)
                self.ended[index] = Outcome(index, row.ask, error=error)

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
                self.gone = CLOSED_PIPE if isinstance(failure, BrokenPipeError) else NOT_DONE
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
        left = [row.cells for index, row in enumerate(self.orders.rows) if self.ended[index].status == "not done"]
        try:
            replace(self.not_done, "".join(f"{_line(cells)}\n" for cells in [self.orders.columns, *left]))
        except Failure as failure:  # which changes nothing of what became of the rows
            self.session.out.fault(str(failure))
            return code or failure.code
        return code

    def _summed(self) -> int:
        outcomes = [self.ended[index] for index in range(len(self.orders.rows))]
        counts = Counter(_word(outcome) for outcome in outcomes)
        told = ", ".join(f"{count} {word}" for word, count in counts.items()) or "no rows"
        self.session.out.note(f"{self.session.place}: {told}")
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


def _word(outcome: Outcome[Any, Any]) -> str:
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
    is_other = path.exists() and (not path.is_file() or any(one.exists() and path.samefile(one) for one in in_use))
    if is_other or not os.access(path.parent, os.W_OK):
        raise Failure(f"{path} can't be written: name another file with --not-done. Nothing was sent.", WRONG_INPUT)
