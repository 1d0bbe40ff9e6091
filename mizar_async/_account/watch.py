"""The watch over one strategy: which calls are in flight or in doubt, and what is found out about them.

It keeps the ledgers, which reason about opens and closes, and turns their verdicts into endings for those who wait.
All of it is plain state under the account's lock: no I/O and no waiting. `_writes` asks the server.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from typing import Final

import attrs

from .._api.trading import ClosedPosition, OpenPosition, Position
from .._ledger import events
from .._ledger.ledger import Ledger
from ..errors import AnswerUnreadable, InvalidInput, MizarError, NotSent, OutcomeUnknown
from .calls import Call, CloseCall, OpenCall, pair_of, unseen
from .close_doubts import CloseDoubts
from .door import Door
from .guards import Guard, Guards
from .left_behind import REMEMBERED
from .listing import Listing
from .orders import Orders
from .record import Owned, Record
from .shared import Shared

log = logging.getLogger("mizar_async")

# A call that is in flight for this much longer than it may be has lost its loop.
_OVERDUE: Final = 5.0


_ALONE: Final = nullcontext()


class Watch:
    """The state of one strategy's writes in this process."""

    def __init__(self, strategy_id: int, shared: Shared) -> None:
        self.strategy_id = strategy_id
        hint = f"strategy {strategy_id} is being flattened, or was; resume({strategy_id}) lets it open again"
        self.door = Door(hint, shared.lock, shared.door)
        self.guards = Guards(shared.lock)
        self.shared = shared
        self._lock = shared.lock
        self.start_over(None)

    def start_over(self, record: Record | None) -> None:
        """Know nothing yet; with a record, what happens from now on is written down."""
        self.record = record
        self.listing = Listing(self.shared.lock)
        self.had_baseline: bool | None = None
        """Whether a list was read before the first open left; None before that."""
        self.ledger = Ledger()
        self.opens: dict[int, OpenCall] = {}
        self.closes = CloseDoubts(self.shared, self._settle, self._gone, self._note)
        self.orders = Orders(self.shared.lock, self.shared.positions, self.strategy_id, record)
        # Positions that were closed before anybody owned them: whoever opened them is to get them all the same.
        self._closed_unowned: OrderedDict[int, Position] = OrderedDict()

    # opens

    def sending(self, call: OpenCall, orders: Orders) -> int:
        """An open is about to leave. Raises NotSent if the door is shut, or it can't be written down.

        So it does if `orders` are not those that the call began with: the journal was opened meanwhile.

        Gives the ticket by which the journal tells that it is on disk.
        """
        options = call.options
        with self._lock:
            self.door.check()
            if self.shared.journal is not None:
                self.shared.journal.check(self.strategy_id)
            if orders is not self.orders:
                raise NotSent("not sent: the journal was opened while the call waited; call again")
            if self.had_baseline is None:
                self.had_baseline = self.ledger.has_baseline
            event = events.Sending(
                call.number,
                self._kind(call.ask),
                call.sent_at,
                call.timeout,
                options.settle_time,
                options.listing_lag,
                options.others_close,
            )
            with self._on_disk_together():
                self.sent(call)
                return self.take(event, request=call.ask)

    def _on_disk_together(self) -> AbstractContextManager[object]:
        """What happens inside is on disk together or not at all, so that none of it contradicts the rest."""
        return _ALONE if self.record is None else self.record.journal.together()

    def sent(self, call: OpenCall) -> None:
        """Follow a call from now on."""
        self.opens[call.number] = call
        self.orders.sending(call)
        if call.loop is not None:
            self.shared.loops[call.loop] += 1

    def answered(self, call: OpenCall, position: Position, now: float) -> MizarError | None:
        """The server named the call's position. The error tells that it can't be the call's, which is in doubt then."""
        with self._lock:
            wrong = call.contradiction(position, on_spot=self._is_spot) or self._another_strategys(position)
            if wrong is None:
                wrong = self._claim(call, position, now)
            else:
                self._doubt(call, now)
        return None if wrong is None else OutcomeUnknown(f"it was answered with {wrong}", **call.facts())

    def _another_strategys(self, position: Position) -> str | None:
        """An answer may garble its strategy; a position that another strategy has had is not this one's."""
        if position.strategy_id is None and self.shared.had_elsewhere(position.position_id, self.strategy_id):
            return f"position {position.position_id}, which is another strategy's"
        return None

    def _claim(self, call: OpenCall, position: Position, now: float) -> str | None:
        number = position.position_id
        self.take(events.Answered(call.number, number, now, position.size), {number: self._ours(position)})
        if self.ledger.holder(number) != call.number:
            self._is_doubtful(call)
            return f"position {number}, which is another call's, or was there before"
        if position.open_timestamp is not None:
            self.shared.clock.sample(call.sent_at, now, position.open_timestamp)
        return None

    def failed(self, call: OpenCall, failure: MizarError, now: float) -> None:
        """The call got no usable answer: a refusal, or a doubt."""
        with self._lock:
            call.failure = failure
            if failure.happened == "no":
                self._refuse(call, failure)
            else:
                self._doubt(call, now, said_yes=isinstance(failure, AnswerUnreadable))

    def _refuse(self, call: OpenCall, failure: MizarError) -> None:
        with self._on_disk_together():
            if self._forget_open(call.number) is not None:
                call.settle(failure)
                self.orders.ended(call)
            self.take(events.Refused(call.number))

    def _doubt(self, call: OpenCall, now: float, *, said_yes: bool = False) -> None:
        if call.number in self.opens and not call.doubtful:
            self._is_doubtful(call)
            self.take(events.Doubted(call.number, now, said_yes))

    def _is_doubtful(self, call: Call) -> None:
        call.doubtful = True
        self.shared.calls[call.number] = call

    def doubt_the_lost(self, now: float) -> None:
        """Calls in flight whose loop has ended will never report."""
        with self._lock:
            for call in list(self.opens.values()):
                overdue = now > call.sent_at + call.timeout + call.options.grace + _OVERDUE
                if not call.doubtful and (overdue or call.is_lost):
                    self._doubt(call, now)
                    self.abandon(call)

    def _forget_open(self, number: int) -> OpenCall | None:
        call = self.opens.pop(number, None)
        if call is not None and call.loop is not None:
            self.shared.loops[call.loop] -= 1
            if not self.shared.loops[call.loop]:
                del self.shared.loops[call.loop]
        return call

    # closes

    def closed(self, closed: ClosedPosition, now: float, *, certain: bool) -> None:
        """The position is closed: `certain` if an answer said so, otherwise a list may contradict it."""
        with self._lock, self._on_disk_together():
            number = closed.position_id
            known = self.shared.positions.gone(number)
            if self.ledger.holder(number) is None and known is not None:
                self._closed_unowned[number] = known
                if len(self._closed_unowned) > REMEMBERED:
                    self._closed_unowned.popitem(last=False)
            self.shared.left_behind.claimed(number)
            self.orders.closed(closed)
            self.closes.closed(closed)
            if self.record is not None:
                self.record.inherited.closed(closed)
                if certain:
                    self.record.owned.pop(number, None)
            event = events.Closed(number, now, certain)
            self.take(event, closed=closed)
            self.closes.take(event)

    def _gone(self, closed: ClosedPosition, now: float) -> None:
        self.closed(closed, now, certain=False)

    # lists

    def listed(self, positions: Iterable[Position], asked_at: float, now: float) -> None:
        """A whole, valid list of the strategy's open positions, asked for at `asked_at`."""
        with self._lock:
            ours = {row.position_id: self._ours(row) for row in positions if self._may_be_ours(row)}
            for position_id, position in ours.items():
                if not self.ledger.is_closed(position_id):
                    self.shared.positions.seen(position)
            event = events.Listed(
                asked_at, now, tuple(self._row(position, now) for position in ours.values()), self.shared.clock.on
            )
            self.note_list(event, ours, ours)

    def note_list(self, event: events.Listed, told: dict[int, Position], here: Collection[int]) -> None:
        """Act on a list that shows these positions, of which some may be told anew."""
        self.take(event, told)
        for position_id, position in told.items():
            if self.shared.positions.get(position_id) is None and not self.ledger.is_closed(position_id):
                self.shared.positions.seen(position)  # what was said to be closed is open after all
        if self.ledger.proves(event.asked_at):
            self.closes.take(event)
            self._drop_what_is_gone(here)

    def _drop_what_is_gone(self, here: Collection[int]) -> None:
        for position_id in self.shared.positions.of_strategy(self.strategy_id).keys() - here:
            if self.ledger.is_closed(position_id):
                self._is_gone(position_id)

    def _is_gone(self, position_id: int) -> None:
        """It was closed by somebody else, as far as lists show."""
        position = self.shared.positions.gone(position_id) or self.orders.closed_as(position_id)
        self.shared.left_behind.claimed(position_id)
        if position is not None and not isinstance(position, ClosedPosition):
            self.orders.closed(unseen(position))
        if self.record is not None:
            self.record.owned.pop(position_id, None)

    def _may_be_ours(self, position: Position) -> bool:
        return position.strategy_id in {None, self.strategy_id}

    def _ours(self, position: Position) -> Position:
        if position.strategy_id == self.strategy_id:
            return position
        return attrs.evolve(position, strategy_id=self.strategy_id)

    def is_ambiguous(self, positions: Iterable[Position]) -> bool:
        """Whether a list can't be read without knowing the market: on SPOT its sides may be wrong."""
        with self._lock:
            if self.strategy_id in self.shared.markets:
                return False
            longs = {pair_of(call.ask) for call in self.opens.values() if call.ask.is_long}
        return any(not position.is_long and pair_of(position) in longs for position in positions)

    def proves(self, asked_at: float, since: float, lag: float) -> bool:
        """Whether the last list was asked for then, is fresh, and shows what was open at some time after `since`."""
        with self._lock:
            return self.ledger.proves(asked_at) and min(self.ledger.proven_until, asked_at - lag) > since

    @property
    def _is_spot(self) -> bool:
        return self.shared.markets.get(self.strategy_id) == "SPOT"

    def _kind(self, of: OpenPosition | Position) -> events.Kind:
        size = of.size if of.size.is_finite() else Decimal(0)
        return events.Kind(of.base_asset, of.quote_asset, size, True if self._is_spot else of.is_long)

    def _row(self, position: Position, now: float) -> events.Row:
        if position.open_timestamp is None:
            earliest, latest = -float("inf"), float("inf")
        else:
            earliest, latest = self.shared.clock.when(position.open_timestamp, now)
        return events.Row(position.position_id, self._kind(position), earliest, latest)

    # endings

    def take(
        self,
        event: events.Event,
        told: dict[int, Position] | None = None,
        *,
        request: OpenPosition | None = None,
        closed: ClosedPosition | None = None,
    ) -> int:
        """Act on what follows from an event. `told` has the positions that it names, as the server shows them.

        Gives the ticket by which the journal tells that it is on disk.
        """
        with self._lock, self._on_disk_together():
            verdicts, told = self.ledger.take(event), told or {}
            ticket = 0
            if self.record is not None:
                ticket = self.record.note(event, verdicts, told, request=request, closed=closed)
            self._act(verdicts, told, getattr(event, "at", None))
            return ticket

    def _act(self, verdicts: list[events.Verdict], told: dict[int, Position], now: float | None) -> None:
        # All verdicts are there before the first is acted on, and no action can fail: each only notes something.
        for verdict in verdicts:
            match verdict:
                case events.Opened():
                    self._opened(verdict.attempt, verdict.position_id, told.get(verdict.position_id))
                case events.Absent():
                    self._absent(verdict.attempt, now)
                case events.Undecidable():
                    self._undecidable(verdict.attempt, verdict.candidates, now)
                case events.Unclaimed():
                    self._unclaimed(verdict.position_id, told.get(verdict.position_id))
                case events.Vanished():
                    self._is_gone(verdict.position_id)
                case events.Cut():
                    log.warning(
                        "the list of open positions of strategy %d ends after %d rows and lacks newer ones: "
                        "it proves nothing about what is not in it",
                        self.strategy_id,
                        verdict.shown,
                    )
        self._note()

    def _unclaimed(self, position_id: int, told: Position | None) -> None:
        position = self.shared.positions.get(position_id) or told
        if position is not None:
            self.shared.left_behind.report(position)

    def _opened(self, number: int, position_id: int, told: Position | None) -> None:
        call = self._forget_open(number) or self.shared.calls.get(number)
        self.shared.left_behind.claimed(position_id)
        if not isinstance(call, OpenCall):
            return
        known = self._closed_unowned.pop(position_id, None)
        position = self.shared.positions.get(position_id) or told or known or call.as_asked(position_id)
        if not self.ledger.is_closed(position_id):
            self.shared.positions.seen(position)
        self.guards.opened(call, position_id)
        if self.record is not None and not self.ledger.is_closed(position_id):
            self.record.owned[position_id] = Owned(call.number, call.ask)
        self.orders.opened(call, position)
        self.shared.left_behind.drop(call)
        self._settle(call, position)

    def _absent(self, number: int, now: float | None) -> None:
        call = self._forget_open(number)
        if call is not None:
            self._settle(call, call.absent())
            self.orders.ended(call)
            self._look_again(call, now)

    def _look_again(self, call: OpenCall, now: float | None) -> None:
        """A server that acts later than it should shows itself in a later list."""
        again_from = call.window_end(call.sent_at) if now is None else now
        self.shared.agenda.look_again(self.strategy_id, again_from, call.options.settle_time)

    def _undecidable(self, number: int, candidates: tuple[int, ...], now: float | None) -> None:
        call = self._forget_open(number)
        if call is None:
            return
        self._look_again(call, now)
        self.guards.undecidable(call)
        self._settle(call, call.unknown("no list of positions can tell any more", candidates))
        self.orders.ended(call)
        self.shared.left_behind.keep(call)

    def _settle(self, call: Call, ending: Position | tuple[ClosedPosition, ...] | MizarError) -> None:
        call.settle(ending)
        if call.abandoned:
            self._leave_behind(call)
        elif isinstance(call, OpenCall) and self.record is not None:
            self.record.tell(call)

    def _leave_behind(self, call: Call) -> None:
        self.shared.left_behind.keep(call)
        ending = call.ending
        if isinstance(ending, Position) and self.shared.positions.get(ending.position_id) is not None:
            self.shared.left_behind.report(ending)

    def abandon(self, call: Call) -> None:
        """The caller goes without the ending, so that only `resolve` can hand it over."""
        with self._lock:
            if not call.abandoned:
                call.abandoned = True
                self.shared.calls[call.number] = call
                if call.ending is not None:
                    self._leave_behind(call)
                elif call.number in self.opens:
                    self.take(events.GaveUp(call.number))
            self._note()

    def acknowledge(self, call: Call, position_id: int | None) -> None:
        """The user's word on a doubt: which position the call opened, or None for none."""
        with self._lock, self._on_disk_together():
            if isinstance(call, CloseCall):
                self.closes.forget(call)
                return
            if position_id is not None:
                self._check_owner(call, position_id)
                self.take(events.Answered(call.number, position_id, call.sent_at))
                self.shared.left_behind.claimed(position_id)
            else:
                self.take(events.Refused(call.number))
            if isinstance(call, OpenCall):
                self._decide(call, position_id)
            self._forget_open(call.number)
            self.shared.left_behind.drop(call)
            self._note()

    def _decide(self, call: OpenCall, position_id: int | None) -> None:
        if position_id is None:
            call.settle(call.absent())
            self.orders.ended(call)
        elif not isinstance(call.ending, Position) or call.ending.position_id != position_id:
            position = self.shared.positions.get(position_id) or call.as_asked(position_id)
            call.settle(position)
            self.orders.opened(call, position)

    def _check_owner(self, call: Call, position_id: int) -> None:
        owner = self.ledger.holder(position_id)
        if owner not in {None, call.number}:
            raise InvalidInput(f"position_id={position_id} is refused: that position is the result of another call")

    # what is known

    def known_open(self) -> dict[int, Position]:
        """The positions of this strategy that are open as far as is known, by id."""
        with self._lock:
            return self.shared.positions.of_strategy(self.strategy_id)

    def came_after(self, position: Position, number: int, at: float, now: float) -> bool | None:
        """Whether a position was opened after `at`, by a call after that of that number; None where none can tell."""
        with self._lock:
            owner = self.ledger.holder(position.position_id)
            row = self._row(position, now)
        if (owner is not None and owner > number) or row.earliest > at:
            return True
        return False if row.latest <= at else None

    def opening(self, guard: Guard | None = None) -> list[OpenCall]:
        """Opens that are in flight or in doubt, of a guard or of all."""
        with self._lock:
            calls = list(self.opens.values())
        return [call for call in calls if guard is None or guard.covers(call)]

    def in_doubt(self) -> list[Call]:
        """Calls whose outcome is unknown, and may still be found out."""
        with self._lock:
            lost = [call for call in self.opens.values() if call.doubtful or call.is_lost]
            return [*lost, *self.closes.calls.values()]

    def candidates(self, call: Call) -> tuple[int, ...]:
        """Ids of the positions that may be the call's."""
        with self._lock:
            if isinstance(call, CloseCall):
                return tuple(sorted(call.positions.keys() - call.closed.keys()))
            if isinstance(call.ending, OutcomeUnknown):
                return tuple(pid for pid in call.ending.candidates if self.ledger.holder(pid) is None)
            return self.ledger.candidates(call.number)

    def _note(self) -> None:
        self.shared.agenda.want(self.strategy_id, self.ledger.waits or bool(self.closes.calls))
        if self.record is not None and self.record.wants_state(len(self.opens)):
            self.write_state()

    def write_state(self) -> None:
        """Write down all that is known, in place of the events so far."""
        record, left_behind = self.record, self.shared.left_behind
        if record is None or record.is_folding:
            return
        undecidable = [call for call in left_behind.undecidable() if call.watch is self]
        positions = self.shared.positions.of_strategy(self.strategy_id)
        calls = [*self.opens.values(), *undecidable]
        state = record.state(self.ledger, calls, positions, left_behind.unclaimed(self.strategy_id))
        record.journal.write_state(self.strategy_id, state)
