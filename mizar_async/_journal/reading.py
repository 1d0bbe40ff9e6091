"""What a journal holds, for people: read while the bot runs, and never written."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import attrs

from .._api.trading import OpenPosition, Position
from .._ledger import events
from ..errors import InvalidInput, JournalDamaged
from .entries import Entry, OrderData, Row, State, read_entry, read_plain
from .tables import TICKS, read_row

End = Literal["sent", "in doubt", "open", "closed", "not opened", "unknown"]


@attrs.define
class JournalEntry:
    """One attempt to open a position, and what became of it as far as the journal tells."""

    strategy_id: int
    request: OpenPosition
    sent_at: datetime | None
    """When it was sent, UTC; None where the journal keeps only its end."""
    end: End
    position: Position | None = None
    """What it opened, a `ClosedPosition` if it is closed."""
    candidates: tuple[int, ...] = ()
    """The positions that it may have opened, where nobody can tell."""

    @property
    def client_order_id(self) -> str | None:
        """The name that the open was given, if it was given one."""
        return self.request.client_order_id


def read_journal(path: str | os.PathLike[str]) -> list[JournalEntry]:
    """The attempts that a journal holds, oldest first. It is opened to be read, also while a bot writes it.

    Raises `InvalidInput` where there is no journal, and `JournalDamaged` for one that can't be read.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidInput(f"{str(file)!r} is refused: there is no such file")
    try:
        with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
            return _Reading(db).entries()
    except (sqlite3.Error, ValueError, LookupError, TypeError, OverflowError, OSError) as failure:
        reason = str(failure)
    raise JournalDamaged(f"{str(file)!r} can't be read: {reason}; is it a journal?", file=str(file))


class _Reading:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._found: dict[int, JournalEntry] = {}
        self._positions: dict[int, Position] = {}
        self._of_position: dict[int, int] = {}

    def entries(self) -> list[JournalEntry]:
        db = self._db
        for strategy_id, data in db.execute("SELECT strategy, data FROM states"):
            self._take_state(strategy_id, read_plain(data, State))
        for row in self._rows():
            self._take(row, read_entry(row.event, row.data))
        for (data,) in db.execute("SELECT data FROM orders WHERE id != ''"):
            self._take_order(read_plain(data, OrderData))
        return [self._found[number] for number in sorted(self._found)]

    def _rows(self) -> Iterator[Row]:
        for values in self._db.execute("SELECT * FROM entries ORDER BY number"):
            yield read_row(values)

    def _take_state(self, strategy_id: int, state: State) -> None:
        self._positions |= {position.position_id: position for position in state.positions}
        for call in state.calls:
            end: End = "in doubt" if call.candidates is None else "unknown"
            entry = self._found[call.number] = JournalEntry(strategy_id, call.ask, None, end)
            entry.candidates = call.candidates or ()
            if call.position_id is not None:
                self._opened(call.number, call.position_id)

    def _opened(self, number: int, position_id: int) -> None:
        entry = self._found.get(number)
        if entry is not None and entry.end != "closed":
            ask = entry.request
            entry.end = "open"
            entry.position = self._positions.get(position_id) or Position(
                position_id, ask.strategy_id, ask.base_asset, ask.quote_asset, ask.size, ask.is_long
            )
            self._of_position[position_id] = number

    def _take(self, row: Row, entry: Entry) -> None:
        self._positions |= {position.position_id: position for position in entry.positions}
        match entry.event:
            case events.Sending(attempt=number) if entry.request is not None:
                sent_at = datetime.fromtimestamp(row.at / TICKS, UTC)
                self._found[number] = JournalEntry(row.strategy, entry.request, sent_at, "sent")
            case events.Doubted(attempt=number):
                self._end(number, "in doubt")
            case events.Refused(attempt=number) | events.Told(attempt=number, outcome="absent"):
                self._end(number, "not opened")
            case events.Told(attempt=number, outcome="undecidable", candidates=candidates):
                self._end(number, "unknown")
                if number in self._found:
                    self._found[number].candidates = candidates
            case events.Answered(attempt=number, position_id=position_id):
                self._opened(number, position_id)
            case events.Told(attempt=number, outcome="opened", position_id=int(position_id)):
                self._opened(number, position_id)
            case events.Closed(position_id=position_id) if position_id in self._of_position:
                ended = self._found[self._of_position[position_id]]
                ended.end, ended.position = "closed", entry.closed or ended.position
            case events.RunEnded(run=run):
                for number, known in self._found.items():
                    if events.run_of(number) == run and known.end == "sent":
                        known.end = "in doubt"
            case _:
                pass

    def _end(self, number: int, end: End) -> None:
        if number in self._found:
            self._found[number].end = end

    def _take_order(self, order: OrderData) -> None:
        known = self._found.get(order.attempt)
        if known is None:
            known = self._found[order.attempt] = JournalEntry(order.strategy_id, order.ask, None, "sent")
        if order.closed is not None:
            known.end, known.position = "closed", order.closed
        elif order.position is not None and known.end != "closed":
            known.end, known.position = "open", order.position
        elif order.free:
            known.end = "not opened"
        elif order.candidates is not None:
            known.end, known.candidates = "unknown", order.candidates
