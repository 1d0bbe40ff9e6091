"""What earlier runs have left of a strategy, folded into its watch by the very events that they have written."""

from __future__ import annotations

from .._api.endpoints import CLOSE_POSITION
from .._api.trading import OpenPosition, Position
from .._journal.entries import CallData, Changed, DoorOpened, DoorShut, Entry, State
from .._journal.journal import ON_DISK, History
from .._ledger import events
from .._ledger.ledger import Ledger
from .._options import Options
from ..errors import NotOpened, OutcomeUnknown
from .calls import CloseCall, OpenCall
from .record import Owned, Record
from .watch import Watch

_GONE = "the process that sent it has ended"


def recover(watch: Watch, record: Record, history: History, now: float, prolonged: events.Prolonged | None) -> None:
    """Fold what there is, and end the runs that have written it."""
    fold = _Fold(watch, record)
    record.is_folding = True
    if history.state is not None:
        fold.state(history.state)
    for entry in history.entries:
        fold.entry(entry)
    record.is_folding = False
    if not fold.is_quiet:
        for run in sorted(history.runs.difference(watch.ledger.ended_runs)):
            watch.take(events.RunEnded(run, now))
        if prolonged is not None:
            watch.take(prolonged)
    fold.leave_behind(now)


class _Fold:
    def __init__(self, watch: Watch, record: Record) -> None:
        self._watch = watch
        self._record = record
        self._calls: dict[int, OpenCall] = {}

    @property
    def is_quiet(self) -> bool:
        return self._watch.ledger.is_quiet and not self._record.closing

    def state(self, state: State) -> None:
        watch, record = self._watch, self._record
        watch.ledger = Ledger.of(state.ledger)
        for position in state.positions:
            watch.shared.positions.seen(position)
            if position.position_id in state.unclaimed:
                watch.shared.left_behind.take_over(position)
        for data in state.calls:
            call = self._calls[data.number] = _call(watch, data)
            if data.position_id is not None:
                record.owned[data.position_id] = Owned(data.number, data.ask, data.told)
                position = watch.shared.positions.get(data.position_id) or call.as_asked(data.position_id)
                watch.orders.sending(call)
                watch.orders.opened(call, position)
            elif data.candidates is not None:
                call.ending = call.unknown("no list of positions can tell any more", data.candidates)
                watch.orders.sending(call)
                watch.shared.left_behind.keep(call)
                watch.shared.calls[call.number] = call
            else:
                watch.sent(call)

    def entry(self, entry: Entry) -> None:
        watch, event = self._watch, entry.event
        match event:
            case DoorShut() | DoorOpened():
                return
            case events.Sending():
                assert entry.request is not None
                call = self._calls[event.attempt] = _sent(watch, event, entry.request)
                watch.sent(call)
                watch.take(event)
            case events.Answered() | events.Refused() if self._is_undecidable(event.attempt):
                watch.acknowledge(self._calls[event.attempt], getattr(event, "position_id", None))
            case events.Answered():
                watch.take(event, {one.position_id: one for one in entry.positions})
            case events.Refused():
                self._refuse(event)
            case events.Closed() if entry.closed is not None:
                watch.closed(entry.closed, event.at, certain=event.certain)
            case Changed():
                self._list(event, entry.positions)
            case _:
                watch.take(event)
                if isinstance(event, events.Told):
                    self._tell(event)

    def _tell(self, event: events.Told) -> None:
        if call := self._calls.get(event.attempt):
            call.ticket = ON_DISK
        if event.position_id in self._record.owned:
            self._record.owned[event.position_id].told = True

    def _is_undecidable(self, number: int) -> bool:
        """Whether no list could tell: what is written of it after that is its user's word."""
        return number in self._calls and isinstance(self._calls[number].ending, OutcomeUnknown)

    def _refuse(self, event: events.Refused) -> None:
        if call := self._watch.opens.get(event.attempt):
            failure = NotOpened(f"{call.describe()}: it was refused, or never sent", **call.facts())
            self._watch.failed(call, failure, call.sent_at)
        else:
            self._watch.take(event)

    def _list(self, event: Changed, positions: tuple[Position, ...]) -> None:
        watch = self._watch
        here = {one.position_id: one for one in positions}
        listed = self._record.shown.listed(event)
        for position in positions:
            if not watch.ledger.is_closed(position.position_id):
                watch.shared.positions.seen(position)
        watch.note_list(listed, here, {row.position_id for row in listed.rows})

    def leave_behind(self, now: float) -> None:
        """Nobody of this process waits for the calls of earlier runs; closes that were sent are in doubt."""
        watch, inherited = self._watch, self._record.inherited
        for position_id, owned in self._record.owned.items():
            if (position := watch.shared.positions.get(position_id)) is not None:
                inherited.positions[position_id] = position, owned.ask
        for call in list(watch.opens.values()):
            inherited.calls.append(call)
            call.doubtful = call.abandoned = True
            call.failure = call.failure or OutcomeUnknown(_GONE)
            watch.shared.calls[call.number] = call
        for closing in list(self._record.closing.values()):
            position = watch.shared.positions.get(closing.position_id)
            if position is None:
                del self._record.closing[closing.position_id]
            else:
                close = _close_call(watch, closing, position)
                inherited.closes.append(close)
                watch.closes.follow(close, now)


def _sent(watch: Watch, event: events.Sending, ask: OpenPosition) -> OpenCall:
    data = CallData(
        event.attempt, ask, event.at, event.timeout, event.settle_time, event.listing_lag, event.others_close
    )
    return _call(watch, data)


def _options(timeout: float, settle_time: float, listing_lag: float, *, others_close: bool = False) -> Options:
    patience = max(timeout, 0.001)
    return Options(
        timeout=patience,
        deadline=max(patience, 30.0),
        settle_time=max(0.0, settle_time),
        listing_lag=max(0.0, listing_lag),
        others_close=others_close,
    )


def _call(watch: Watch, data: CallData) -> OpenCall:
    return OpenCall(
        number=data.number,
        client=None,
        options=_options(data.timeout, data.settle_time, data.listing_lag, others_close=data.others_close),
        sent_at=data.sent_at,
        timeout=data.timeout,
        loop=None,
        watch=watch,
        attempts=data.attempts,
        ask=data.ask,
        ticket=ON_DISK if data.told else None,
    )


def _close_call(watch: Watch, closing: events.Closing, position: Position) -> CloseCall:
    return CloseCall(
        number=next(watch.shared.numbers),
        client=None,
        options=_options(closing.timeout, closing.settle_time, closing.listing_lag),
        sent_at=closing.at,
        timeout=closing.timeout,
        loop=None,
        path=CLOSE_POSITION.path,
        watch=watch,
        failure=OutcomeUnknown(_GONE),
        abandoned=True,
        positions={position.position_id: position},
        target=f"position {position.position_id}",
    )
