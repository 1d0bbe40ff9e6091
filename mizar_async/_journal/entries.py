"""What stands in a journal, and its bytes: the events of the ledgers, and what they are about. Pure.

Of a list only what changed is written, and of one that changes nothing and decides nothing, nothing.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeVar

import attrs
import msgspec

from .._api.trading import ClosedPosition, OpenPosition, Position
from .._ledger import events
from .._ledger.carried import Carried

T = TypeVar("T")

RULES: Final = 1
"""The version of the rules by which events are folded, and of the shape of what is written."""


@attrs.frozen
class Changed:
    """A list of the open positions, as far as it differs from the one before."""

    asked_at: float
    at: float
    clock_on: bool
    rows: tuple[events.Row, ...]
    """What is new, or could not be dated before."""
    gone: tuple[int, ...]


@attrs.frozen
class DoorShut:
    """Opens of the strategy are refused from now on: it is being flattened."""

    at: float


@attrs.frozen
class DoorOpened:
    """The strategy may open again."""

    at: float


Written = (
    events.Sending
    | events.Answered
    | events.Refused
    | events.Doubted
    | events.GaveUp
    | events.Closing
    | events.Closed
    | events.Sweeping
    | events.Swept
    | events.Told
    | events.RunEnded
    | events.Prolonged
    | Changed
    | DoorShut
    | DoorOpened
)


@attrs.frozen
class Entry:
    """An event, and what it is about: the request that is sent, the positions as the server recorded them."""

    event: Written
    request: OpenPosition | None = None
    positions: tuple[Position, ...] = ()
    closed: ClosedPosition | None = None

    @property
    def name(self) -> str:
        """The name of its event."""
        return type(self.event).__name__

    @property
    def subject(self) -> tuple[int | None, int | None]:
        """The attempt and the position that it is about, if it is about one."""
        event: Any = self.event
        return getattr(event, "attempt", None), getattr(event, "position_id", None)


@attrs.frozen
class Body:
    """What is written beside an event."""

    request: OpenPosition | None = None
    positions: tuple[Position, ...] = ()
    closed: ClosedPosition | None = None


_CLASSES: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in typing.get_args(Written)}

_encode: Final = msgspec.msgpack.Encoder().encode


def entry_bytes(entry: Entry) -> bytes:
    """The bytes of an entry."""
    if entry.request is None and not entry.positions and entry.closed is None:
        return _encode((entry.event,))
    return _encode((entry.event, Body(entry.request, entry.positions, entry.closed)))


def read_entry(name: str, data: bytes) -> Entry:
    """The entry of that name; raises KeyError for one that this version does not know, ValueError for other bytes."""
    kind = _CLASSES[name]
    parts = msgspec.msgpack.decode(data, type=list[msgspec.Raw])
    event = msgspec.msgpack.decode(parts[0], type=kind)
    if len(parts) == 1:
        return Entry(event)
    body = msgspec.msgpack.decode(parts[1], type=Body)
    return Entry(event, body.request, body.positions, body.closed)


class Shown:
    """What the last list of a strategy showed, so that of the next only the changes are written, and can be read."""

    def __init__(self, rows: Iterable[events.Row] = ()) -> None:
        self.rows = {row.position_id: row for row in rows}

    def changed(self, listed: events.Listed) -> Changed:
        """The difference to the list before."""
        here = {row.position_id: row for row in listed.rows}
        new = tuple(row for row in listed.rows if self._is_new(row))
        gone = tuple(position_id for position_id in self.rows if position_id not in here)
        self._note(new, gone)
        return Changed(listed.asked_at, listed.at, listed.clock_on, new, gone)

    def _is_new(self, row: events.Row) -> bool:
        known = self.rows.get(row.position_id)
        return known is None or (_dated(row) and not _dated(known))

    def _note(self, new: Iterable[events.Row], gone: Iterable[int]) -> None:
        for row in new:
            self.rows[row.position_id] = row
        for position_id in gone:
            self.rows.pop(position_id, None)

    def listed(self, changed: Changed) -> events.Listed:
        """The whole list again."""
        self._note(changed.rows, changed.gone)
        return events.Listed(changed.asked_at, changed.at, tuple(self.rows.values()), changed.clock_on)


def _dated(row: events.Row) -> bool:
    return row.earliest > -float("inf") and row.latest < float("inf")


@attrs.frozen
class CallData:
    """An attempt of an open that still matters: what was asked, and what became of it so far."""

    number: int
    ask: OpenPosition
    sent_at: float
    timeout: float
    settle_time: float
    listing_lag: float
    others_close: bool
    attempts: int = 1
    told: bool = False
    """Whether somebody was given what became of it."""
    position_id: int | None = None
    """What it opened, and is open."""
    candidates: tuple[int, ...] | None = None
    """Not None where no list can tell what it opened."""


@attrs.frozen
class State:
    """All that is known of a strategy, in place of the events before."""

    ledger: Carried
    shown: tuple[events.Row, ...]
    calls: tuple[CallData, ...]
    positions: tuple[Position, ...]
    unclaimed: tuple[int, ...]
    closing: tuple[events.Closing, ...]


@attrs.frozen
class OrderData:
    """What a client order id stands for."""

    strategy_id: int
    ask: OpenPosition
    attempt: int
    free: bool = False
    """True once it has certainly opened nothing."""
    position: Position | None = None
    closed: ClosedPosition | None = None
    candidates: tuple[int, ...] | None = None


def plain_bytes(value: State | OrderData) -> bytes:
    """The bytes of a state or of an order."""
    return _encode(value)


def read_plain(data: bytes, kind: type[T]) -> T:
    """A state or an order; raises ValueError for other bytes."""
    return msgspec.msgpack.decode(data, type=kind)


class Row(NamedTuple):
    """An entry as it stands in the file."""

    number: int
    strategy: int
    previous: int
    run: int
    at: int
    event: str
    attempt: int | None
    position: int | None
    data: bytes


def order_key(strategy_id: int, client_order_id: str) -> str:
    """Under which an order stands."""
    return f"{strategy_id} {client_order_id}"
