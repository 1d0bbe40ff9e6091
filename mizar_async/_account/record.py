"""What of a strategy is written to the journal of its account, and what of that still matters."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from .._api.trading import ClosedPosition, OpenPosition, Position
from .._journal.entries import CallData, DoorOpened, DoorShut, Entry, Shown, State
from .._journal.journal import Journal
from .._ledger import events
from .._ledger.ledger import Ledger
from ..errors import NotOpened, OutcomeUnknown
from .calls import Call, CloseCall, OpenCall


@attrs.define
class Owned:
    """Which attempt a position belongs to, and what was asked for."""

    number: int
    ask: OpenPosition
    told: bool = False
    """True once somebody was given it."""


@attrs.define
class Inherited:
    """What earlier runs have left, as it was when this one began."""

    positions: dict[int, tuple[Position, OpenPosition]] = attrs.field(factory=dict)
    """Those that were open as far as was known, by id, with the requests that opened them."""
    calls: list[OpenCall] = attrs.field(factory=list)
    """Those that were in flight or in doubt."""
    closes: list[CloseCall] = attrs.field(factory=list)
    """Closes that were under way."""

    def closed(self, closed: ClosedPosition) -> None:
        """A position is closed: what is known of that."""
        if known := self.positions.get(closed.position_id):
            self.positions[closed.position_id] = closed, known[1]


class Record:
    """Writes down what happens to one strategy."""

    def __init__(self, strategy_id: int, journal: Journal, state: State | None) -> None:
        self.strategy_id = strategy_id
        self.journal = journal
        self.shown = Shown(state.shown if state else ())
        self._has_list = state is not None and state.ledger.placing.baseline is not None
        self.owned: dict[int, Owned] = {}
        """By position, as long as it is open."""
        self.closing: dict[int, events.Closing] = {one.position_id: one for one in state.closing} if state else {}
        """The closes that were sent, by position, until they have ended."""
        self.inherited = Inherited()
        self.is_folding = False
        """True while it is read and not written."""

    def note(
        self,
        event: events.Event,
        verdicts: list[events.Verdict],
        told: dict[int, Position],
        *,
        request: OpenPosition | None = None,
        closed: ClosedPosition | None = None,
    ) -> int:
        """Have an event on disk soon; gives the ticket by which it can be waited for."""
        if isinstance(event, events.Closing):
            self.closing[event.position_id] = event
        elif isinstance(event, events.Closed):
            self.closing.pop(event.position_id, None)
        if self.is_folding:
            self._has_list = self._has_list or isinstance(event, events.Listed)
            return 0
        if isinstance(event, events.Listed):
            return self._note_list(event, verdicts, told)
        positions = tuple(told.values()) if isinstance(event, events.Answered) else ()
        return self._append(Entry(event, request, positions, closed), getattr(event, "at", None))

    def _note_list(self, event: events.Listed, verdicts: list[events.Verdict], told: dict[int, Position]) -> int:
        changed, is_first = self.shown.changed(event), not self._has_list
        self._has_list = True
        if not (changed.rows or changed.gone or verdicts or is_first):
            return 0
        positions = tuple(told[row.position_id] for row in changed.rows)
        return self._append(Entry(changed, positions=positions), event.at)

    def tell(self, call: OpenCall) -> None:
        """Have it written down what a caller is about to be given, once."""
        ending, by = call.ending, self.journal.run
        if call.ticket is not None or self.is_folding:
            return
        if isinstance(ending, Position):
            self._tell(call, events.Told(call.number, "opened", ending.position_id, by=by))
        elif isinstance(ending, OutcomeUnknown):
            self._tell(call, events.Told(call.number, "undecidable", candidates=ending.candidates, by=by))
        elif isinstance(ending, NotOpened):
            self._tell(call, events.Told(call.number, "absent", by=by))

    def _tell(self, call: OpenCall, outcome: events.Told) -> None:
        call.ticket = self._append(Entry(outcome), None)
        if outcome.position_id in self.owned:
            self.owned[outcome.position_id].told = True

    def door(self, event: DoorShut | DoorOpened) -> None:
        """Have it on disk that the strategy may not open any more, or may again."""
        self._append(Entry(event), event.at)

    def wants_state(self, undecided: int) -> bool:
        """Whether so much was written since the last state that another is worth it."""
        return self.journal.wants_state(self.strategy_id, len(self.owned) + undecided)

    def _append(self, entry: Entry, at: float | None) -> int:
        return self.journal.append(self.strategy_id, entry, at)

    def state(
        self, ledger: Ledger, calls: Iterable[Call], positions: dict[int, Position], unclaimed: Iterable[Position]
    ) -> State:
        """All that is known of the strategy, in place of the events so far."""
        opens = [_data(call) for call in calls if isinstance(call, OpenCall)]
        owners = [
            CallData(owned.number, owned.ask, 0.0, 0.0, 0.0, 0.0, False, told=owned.told, position_id=position_id)
            for position_id, owned in self.owned.items()
        ]
        return State(
            ledger.carried(),
            tuple(self.shown.rows.values()),
            (*opens, *owners),
            tuple(positions.values()),
            tuple(position.position_id for position in unclaimed),
            tuple(self.closing.values()),
        )


def _data(call: OpenCall) -> CallData:
    candidates = getattr(call.ending, "candidates", None)
    return CallData(
        call.number,
        call.ask,
        call.sent_at,
        call.timeout,
        call.options.settle_time,
        call.options.listing_lag,
        call.options.others_close,
        call.attempts,
        told=call.ticket is not None,
        candidates=candidates,
    )
