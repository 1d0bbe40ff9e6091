"""The watch over one strategy: which calls are in flight or in doubt, and what is found out about them.

It keeps the ledgers, which reason about opens and closes, and turns their verdicts into endings for those who wait.
All of it is plain state under the account's lock: no I/O and no waiting. `_writes` asks the server.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Final

import attrs

from .._api.trading import ClosedPosition, OpenPosition, Position
from .._ledger import closes, events
from .._ledger.closes import CloseLedger
from .._ledger.ledger import Ledger
from ..errors import AnswerUnreadable, InvalidInput, MizarError, OutcomeUnknown
from .calls import Call, CloseCall, OpenCall, pair_of, unseen
from .door import Door
from .guards import Guard, Guards
from .left_behind import REMEMBERED
from .listing import Listing
from .orders import Orders
from .shared import Shared

log = logging.getLogger("mizar_async")

# A call that is in flight for this much longer than it may be has lost its loop.
_OVERDUE: Final = 5.0


class Watch:
    """The state of one strategy's writes in this process."""

    def __init__(self, strategy_id: int, shared: Shared) -> None:
        self.strategy_id = strategy_id
        self.listing = Listing(shared.lock)
        hint = f"strategy {strategy_id} is being flattened, or was; resume({strategy_id}) lets it open again"
        self.door = Door(hint, shared.lock, shared.door)
        self.guards = Guards(shared.lock)
        self.orders = Orders(shared.lock, shared.positions)
        self.had_baseline: bool | None = None
        """Whether a list was read before the first open left; None before that."""
        self._shared = shared
        self._lock = shared.lock
        self._ledger = Ledger()
        self._close_ledger = CloseLedger()
        self._opens: dict[int, OpenCall] = {}
        self._closes: dict[int, CloseCall] = {}
        # Positions that were closed before anybody owned them: whoever opened them is to get them all the same.
        self._closed_unowned: OrderedDict[int, Position] = OrderedDict()

    # opens

    def sending(self, call: OpenCall) -> None:
        """An open is about to leave. Raises NotSent if the door is shut."""
        options = call.options
        with self._lock:
            self.door.check()
            if self.had_baseline is None:
                self.had_baseline = self._ledger.has_baseline
            self._opens[call.number] = call
            self.orders.sending(call)
            self._shared.loops[call.loop] += 1
            self._take(
                events.Sending(
                    call.number,
                    self._kind(call.ask),
                    call.sent_at,
                    call.timeout,
                    options.settle_time,
                    options.listing_lag,
                    options.others_close,
                )
            )

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
        if position.strategy_id is None and self._shared.had_elsewhere(position.position_id, self.strategy_id):
            return f"position {position.position_id}, which is another strategy's"
        return None

    def has_closed(self, position_id: int) -> bool:
        """Whether the position was of this strategy, and is closed, as far as is known."""
        return self._ledger.is_closed(position_id)

    def _claim(self, call: OpenCall, position: Position, now: float) -> str | None:
        number = position.position_id
        self._take(events.Answered(call.number, number, now, position.size), {number: self._ours(position)})
        if self._ledger.holder(number) != call.number:
            self._is_doubtful(call)
            return f"position {number}, which is another call's, or was there before"
        if position.open_timestamp is not None:
            self._shared.clock.sample(call.sent_at, now, position.open_timestamp)
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
        if self._forget_open(call.number) is not None:
            call.settle(failure)
        self._take(events.Refused(call.number))

    def _doubt(self, call: OpenCall, now: float, *, said_yes: bool = False) -> None:
        if call.number in self._opens and not call.doubtful:
            self._is_doubtful(call)
            self._take(events.Doubted(call.number, now, said_yes))

    def _is_doubtful(self, call: Call) -> None:
        call.doubtful = True
        self._shared.calls[call.number] = call

    def doubt_the_lost(self, now: float) -> None:
        """Calls in flight whose loop has ended will never report."""
        with self._lock:
            for call in list(self._opens.values()):
                overdue = now > call.sent_at + call.timeout + call.options.grace + _OVERDUE
                if not call.doubtful and (overdue or call.loop.is_closed()):
                    self._doubt(call, now)
                    self.abandon(call)

    def _forget_open(self, number: int) -> OpenCall | None:
        call = self._opens.pop(number, None)
        if call is not None:
            self._shared.loops[call.loop] -= 1
            if not self._shared.loops[call.loop]:
                del self._shared.loops[call.loop]
        return call

    # closes

    def closing(self, position_id: int) -> None:
        """A close of the position is about to leave."""
        with self._lock:
            self._take(events.Closing(position_id))

    def closed(self, closed: ClosedPosition, now: float, *, certain: bool) -> None:
        """The position is closed: `certain` if an answer said so, otherwise a list may contradict it."""
        with self._lock:
            number = closed.position_id
            known = self._shared.positions.gone(number)
            if self._ledger.holder(number) is None and known is not None:
                self._closed_unowned[number] = known
                if len(self._closed_unowned) > REMEMBERED:
                    self._closed_unowned.popitem(last=False)
            self._shared.left_behind.claimed(number)
            self.orders.closed(closed)
            for call in self._closes.values():
                if number in call.positions:
                    call.closed[number] = closed
            event = events.Closed(number, now, certain)
            self._take(event)
            self._conclude(self._close_ledger.take(event), now)

    def follow(self, call: CloseCall, now: float) -> None:
        """Look for what became of a close in doubt; a later doubt of the same close takes the place of the first."""
        with self._lock:
            self._closes[call.number] = self._shared.calls[call.number] = call
            ids = tuple(sorted(call.positions.keys() - call.closed.keys()))
            window_end = call.window_end(now)
            event = closes.CloseDoubted(call.number, ids, call.sent_at, window_end, call.options.listing_lag)
            self._conclude(self._close_ledger.take(event), now)

    def _forget_close(self, call: CloseCall) -> None:
        self._closes.pop(call.number, None)
        self._shared.left_behind.drop(call)
        self._conclude(self._close_ledger.take(closes.Forgotten(call.number)), 0.0)

    def sweeping(self, number: int, now: float) -> None:
        """A close-all is about to leave."""
        with self._lock:
            self._take(events.Sweeping(number, now))

    def swept(self, number: int, until: float) -> None:
        """A close-all has ended, and may act until then."""
        with self._lock:
            self._take(events.Swept(number, until))

    def _conclude(self, verdicts: list[closes.CloseVerdict], now: float) -> None:
        for verdict in verdicts:
            match verdict:
                case closes.Gone(position_id):
                    known = (call.positions.get(position_id) for call in self._closes.values())
                    position = self._shared.positions.get(position_id) or next((one for one in known if one), None)
                    if position is not None:
                        self.closed(unseen(position), now, certain=False)
                case closes.AllClosed(number):
                    if call := self._closes.pop(number, None):
                        self._settle(call, tuple(_closed(call, position_id) for position_id in call.positions))
                case closes.StillOpen(number, position_ids):
                    if call := self._closes.pop(number, None):
                        self._settle(call, call.unknown("the server did not act on it; close again", position_ids))
        self._note()

    # lists

    def listed(self, positions: Iterable[Position], asked_at: float, now: float) -> None:
        """A whole, valid list of the strategy's open positions, asked for at `asked_at`."""
        with self._lock:
            ours = {row.position_id: self._ours(row) for row in positions if self._may_be_ours(row)}
            for position_id, position in ours.items():
                if not self._ledger.is_closed(position_id):
                    self._shared.positions.seen(position)
            event = events.Listed(
                asked_at, now, tuple(self._row(position, now) for position in ours.values()), self._shared.clock.on
            )
            self._take(event, ours)
            for position_id, position in ours.items():
                if self._shared.positions.get(position_id) is None and not self._ledger.is_closed(position_id):
                    self._shared.positions.seen(position)  # what was said to be closed is open after all
            if self._ledger.proves(asked_at):
                self._conclude(self._close_ledger.take(event), now)
                self._drop_what_is_gone(ours)

    def _drop_what_is_gone(self, here: Collection[int]) -> None:
        for position_id in self._shared.positions.of_strategy(self.strategy_id).keys() - here:
            if self._ledger.is_closed(position_id):
                self._shared.positions.gone(position_id)
                self._shared.left_behind.claimed(position_id)

    def _may_be_ours(self, position: Position) -> bool:
        return position.strategy_id in {None, self.strategy_id}

    def _ours(self, position: Position) -> Position:
        if position.strategy_id == self.strategy_id:
            return position
        return attrs.evolve(position, strategy_id=self.strategy_id)

    def is_ambiguous(self, positions: Iterable[Position]) -> bool:
        """Whether a list can't be read without knowing the market: on SPOT its sides may be wrong."""
        with self._lock:
            if self.strategy_id in self._shared.markets:
                return False
            longs = {pair_of(call.ask) for call in self._opens.values() if call.ask.is_long}
        return any(not position.is_long and pair_of(position) in longs for position in positions)

    def proves(self, asked_at: float, since: float, lag: float) -> bool:
        """Whether the last list was asked for then, is fresh, and shows what was open at some time after `since`."""
        with self._lock:
            return self._ledger.proves(asked_at) and min(self._ledger.proven_until, asked_at - lag) > since

    @property
    def _is_spot(self) -> bool:
        return self._shared.markets.get(self.strategy_id) == "SPOT"

    def _kind(self, of: OpenPosition | Position) -> events.Kind:
        size = of.size if of.size.is_finite() else Decimal(0)
        return events.Kind(of.base_asset, of.quote_asset, size, True if self._is_spot else of.is_long)

    def _row(self, position: Position, now: float) -> events.Row:
        if position.open_timestamp is None:
            earliest, latest = -float("inf"), float("inf")
        else:
            earliest, latest = self._shared.clock.when(position.open_timestamp, now)
        return events.Row(position.position_id, self._kind(position), earliest, latest)

    # endings

    def _take(self, event: events.Event, told: dict[int, Position] | None = None) -> None:
        """Act on what follows from an event. `told` has the positions that it names, as the server shows them."""
        # All verdicts are there before the first is acted on, and no action can fail: each only notes something.
        told, now = told or {}, getattr(event, "at", None)
        for verdict in self._ledger.take(event):
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
                    self._shared.positions.gone(verdict.position_id)
                    self._shared.left_behind.claimed(verdict.position_id)
                case events.Cut():
                    log.warning(
                        "the list of open positions of strategy %d ends after %d rows and lacks newer ones: "
                        "it proves nothing about what is not in it",
                        self.strategy_id,
                        verdict.shown,
                    )
        self._note()

    def _unclaimed(self, position_id: int, told: Position | None) -> None:
        position = self._shared.positions.get(position_id) or told
        if position is not None:
            self._shared.left_behind.report(position)

    def _opened(self, number: int, position_id: int, told: Position | None) -> None:
        call = self._forget_open(number) or self._shared.calls.get(number)
        self._shared.left_behind.claimed(position_id)
        if not isinstance(call, OpenCall):
            return
        known = self._closed_unowned.pop(position_id, None)
        position = self._shared.positions.get(position_id) or told or known or call.as_asked(position_id)
        if not self._ledger.is_closed(position_id):
            self._shared.positions.seen(position)
        self.guards.opened(call, position_id)
        self.orders.opened(call, position)
        self._shared.left_behind.drop(call)
        self._settle(call, position)

    def _absent(self, number: int, now: float | None) -> None:
        call = self._forget_open(number)
        if call is not None:
            self._settle(call, call.absent())
            self._look_again(call, now)

    def _look_again(self, call: OpenCall, now: float | None) -> None:
        """A server that acts later than it should shows itself in a later list."""
        again_from = call.window_end(call.sent_at) if now is None else now
        self._shared.agenda.look_again(self.strategy_id, again_from, call.options.settle_time)

    def _undecidable(self, number: int, candidates: tuple[int, ...], now: float | None) -> None:
        call = self._forget_open(number)
        if call is None:
            return
        self._look_again(call, now)
        self.guards.undecidable(call)
        self._settle(call, call.unknown("no list of positions can tell any more", candidates))
        self._shared.left_behind.keep(call)

    def _settle(self, call: Call, ending: Position | tuple[ClosedPosition, ...] | MizarError) -> None:
        call.settle(ending)
        if call.abandoned:
            self._leave_behind(call)

    def _leave_behind(self, call: Call) -> None:
        self._shared.left_behind.keep(call)
        ending = call.ending
        if isinstance(ending, Position) and self._shared.positions.get(ending.position_id) is not None:
            self._shared.left_behind.report(ending)

    def abandon(self, call: Call) -> None:
        """The caller goes without the ending, so that only `resolve` can hand it over."""
        with self._lock:
            if not call.abandoned:
                call.abandoned = True
                self._shared.calls[call.number] = call
                if call.ending is not None:
                    self._leave_behind(call)
                elif call.number in self._opens:
                    self._take(events.GaveUp(call.number))
            self._note()

    def acknowledge(self, call: Call, position_id: int | None) -> None:
        """The user's word on a doubt: which position the call opened, or None for none."""
        with self._lock:
            if isinstance(call, CloseCall):
                self._forget_close(call)
                return
            if position_id is not None:
                self._check_owner(call, position_id)
                self._take(events.Answered(call.number, position_id, call.sent_at))
                self._shared.left_behind.claimed(position_id)
            else:
                self._take(events.Refused(call.number))
            if isinstance(call, OpenCall):
                self._decide(call, position_id)
            self._forget_open(call.number)
            self._shared.left_behind.drop(call)
            self._note()

    def _decide(self, call: OpenCall, position_id: int | None) -> None:
        if position_id is None:
            call.settle(call.absent())
        elif not isinstance(call.ending, Position) or call.ending.position_id != position_id:
            position = self._shared.positions.get(position_id) or call.as_asked(position_id)
            call.settle(position)
            self.orders.opened(call, position)

    def _check_owner(self, call: Call, position_id: int) -> None:
        owner = self._ledger.holder(position_id)
        if owner not in {None, call.number}:
            raise InvalidInput(f"position_id={position_id} is refused: that position is the result of another call")

    # what is known

    def known_open(self) -> dict[int, Position]:
        """The positions of this strategy that are open as far as is known, by id."""
        with self._lock:
            return self._shared.positions.of_strategy(self.strategy_id)

    def came_after(self, position: Position, number: int, at: float, now: float) -> bool | None:
        """Whether a position was opened after `at`, by a call after that of that number; None where none can tell."""
        with self._lock:
            owner = self._ledger.holder(position.position_id)
            row = self._row(position, now)
        if (owner is not None and owner > number) or row.earliest > at:
            return True
        return False if row.latest <= at else None

    def opening(self, guard: Guard | None = None) -> list[OpenCall]:
        """Opens that are in flight or in doubt, of a guard or of all."""
        with self._lock:
            calls = list(self._opens.values())
        return [call for call in calls if guard is None or guard.covers(call)]

    def in_doubt(self) -> list[Call]:
        """Calls whose outcome is unknown, and may still be found out."""
        with self._lock:
            lost = [call for call in self._opens.values() if call.doubtful or call.loop.is_closed()]
            return [*lost, *self._closes.values()]

    def candidates(self, call: Call) -> tuple[int, ...]:
        """Ids of the positions that may be the call's."""
        with self._lock:
            if isinstance(call, CloseCall):
                return tuple(sorted(call.positions.keys() - call.closed.keys()))
            if isinstance(call.ending, OutcomeUnknown):
                return tuple(pid for pid in call.ending.candidates if self._ledger.holder(pid) is None)
            return self._ledger.candidates(call.number)

    def _note(self) -> None:
        self._shared.agenda.want(self.strategy_id, self._ledger.waits or bool(self._closes))


def _closed(call: CloseCall, position_id: int) -> ClosedPosition:
    return call.closed.get(position_id) or unseen(call.positions[position_id])
