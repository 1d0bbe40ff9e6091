"""The watch over one strategy: which calls are in flight or in doubt, and what is found out about them.

It keeps the ledger, which reasons about opens, and turns its verdicts into outcomes for those who wait. All of
it is plain state under the account's lock: no I/O and no waiting. `_follow_up.py` asks the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import attrs

from .._api.trading import ClosedPosition, OpenPosition, Position
from .._ledger import ledger
from .._options import Options
from ..errors import MizarError, NotOpened, NotSent, OutcomeUnknown

if TYPE_CHECKING:
    from .account import Account

Outcome = Position | tuple[ClosedPosition, ...] | MizarError

# Outcomes that nobody waited for are kept for `resolve` up to this number; the oldest are forgotten first.
REMEMBERED: Final = 10_000

# A call that is in flight for this much longer than it may be has lost its loop.
_OVERDUE: Final = 5.0


@attrs.define(eq=False)
class Call:
    """One attempt of a write, from before its first byte until its outcome is known."""

    number: int
    client: object
    options: Options
    sent_at: float
    loop: asyncio.AbstractEventLoop
    timeout: float
    attempts: int = 1
    failure: MizarError | None = None
    """What put it in doubt."""
    outcome: Outcome | None = None
    abandoned: bool = False
    """True once its caller has gone without the outcome; then only `resolve` can hand it over."""
    doubtful: bool = False
    waiters: list[asyncio.Future[None]] = attrs.field(factory=list)

    path = ""

    def describe(self) -> str:
        """What the call was to do, in a few words."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What an error of this call tells."""
        last = self.failure
        return {
            "method": "POST",
            "path": self.path,
            "attempts": self.attempts,
            "status": last and last.status,
            "server_says": last and last.server_says,
        }

    def unknown(self, why: str, candidates: tuple[int, ...]) -> OutcomeUnknown:
        """The error that says so."""
        hint = f"; it may be one of the positions {list(candidates[:10])}" if candidates else ""
        return OutcomeUnknown(
            f"{self.describe()}: {why}{hint}", candidates=candidates, reference=self.number, **self.facts()
        )

    @contextlib.contextmanager
    def waiting(self) -> Iterator[asyncio.Future[None]]:
        """A future that wakes the caller once the outcome is known."""
        future = asyncio.get_running_loop().create_future()
        self.waiters.append(future)
        try:
            yield future
        finally:
            self.waiters.remove(future)

    def settle(self, outcome: Outcome) -> None:
        """Set the outcome and wake who waits, in whichever loop."""
        self.outcome = outcome
        for future in self.waiters:
            _wake_from_anywhere(future)


def _wake_from_anywhere(future: asyncio.Future[None]) -> None:
    with contextlib.suppress(RuntimeError):  # its loop has ended, and its caller with it
        future.get_loop().call_soon_threadsafe(_wake, future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@attrs.define(eq=False)
class OpenCall(Call):
    """One attempt to open a position."""

    ask: OpenPosition = attrs.field(kw_only=True)

    path = "open-position"

    @property
    def positions(self) -> dict[int, Position]:
        return {}

    def describe(self) -> str:
        ask = self.ask
        side = "long" if ask.is_long else "short"
        return f"open {side} {ask.base_asset}/{ask.quote_asset} size {ask.size} of strategy {ask.strategy_id}"

    def absent(self) -> NotOpened:
        return NotOpened(
            f"{self.describe()}: it got no usable answer, was looked for, and was certainly not opened",
            **self.facts(),
        )


@attrs.define(eq=False)
class CloseCall(Call):
    """A close that is in doubt, of one position or of all that were known to be open."""

    positions: dict[int, Position] = attrs.field(kw_only=True)
    """What it is to close, as far as this process has seen it open."""
    target: str = attrs.field(kw_only=True)
    path: str = attrs.field(kw_only=True)
    closed: dict[int, ClosedPosition] = attrs.field(factory=dict, kw_only=True)
    """What of it is known to be closed."""
    doubtful: bool = True

    def describe(self) -> str:
        return f"close {self.target}"

    @property
    def window_end(self) -> float:
        return self.sent_at + self.timeout + self.options.settle_time


CallInDoubt = OpenCall | CloseCall


def unseen(position: Position) -> ClosedPosition:
    """A position that is known to be closed, at a price and time that nobody told."""
    return ClosedPosition(**{name: getattr(position, name) for name in _POSITION_FIELDS})


_POSITION_FIELDS: Final = tuple(field.name for field in attrs.fields(Position))


@attrs.define(eq=False)
class Guard:
    """Collects what one client opens for a strategy while a block runs."""

    client: object
    since: int
    positions: set[int] = attrs.field(factory=set)


class Watch:
    """The state of one strategy's writes in this process."""

    def __init__(self, strategy_id: int, account: Account) -> None:
        self.strategy_id = strategy_id
        self.account = account
        self.begun = False
        """True once the baseline was asked for, with whatever success."""
        self.has_baseline = False
        """True if it was read before the first open left."""
        self.awaiting_baseline: list[asyncio.Future[None]] = []
        self.listing_until = 0.0
        """Until when a listing is under way: there is one at a time, over all loops."""
        self.unclaimed: dict[int, Position] = {}
        self.doors: set[object] = set()
        """Who keeps the door shut to opens."""
        self.guards: list[Guard] = []
        self._ledger = ledger.Ledger()
        self._opens: dict[int, OpenCall] = {}
        self._closes: dict[int, CloseCall] = {}
        # Calls whose outcome nobody waited for, and those that no listing can tell.
        self._left_behind: OrderedDict[int, CallInDoubt] = OrderedDict()

    def begin(self) -> None:
        """The baseline was read, or could not be: whoever waited for it goes on."""
        with self.account.lock:
            self.begun = True
            self.has_baseline = self._ledger.has_baseline
            for future in self.awaiting_baseline:
                _wake_from_anywhere(future)
            self.awaiting_baseline.clear()

    # -- opens ---------------------------------------------------------------------------------------

    def sending(self, call: OpenCall) -> None:
        """An open is about to leave. Raises NotSent if the door is shut."""
        with self.account.lock:
            if self.doors or self.account.doors:
                raise NotSent(
                    f"not sent: strategy {self.strategy_id} is being flattened, or was; "
                    f"resume({self.strategy_id}) lets it open again",
                    method="POST",
                    path="open-position",
                )
            self._opens[call.number] = call
            options = call.options
            self._take(
                ledger.Sending(
                    call.number,
                    self._kind(call.ask),
                    call.sent_at,
                    call.timeout,
                    options.settle_time,
                    options.listing_lag,
                    options.others_close,
                )
            )

    def answered(self, call: OpenCall, position: Position, now: float) -> bool:
        """The server named the call's position; False if that is another call's, so that nothing is known."""
        with self.account.lock:
            owner = self._ledger.owner(position.position_id)
            if owner is not None and owner != call.number:
                self.doubted(call, now, said_yes=True)
                return False
            if position.open_timestamp is not None:
                self.account.clock.sample(call.sent_at, now, position.open_timestamp)
            self.account.note_open([position])
            self._take(ledger.Answered(call.number, position.position_id, now))
            return True

    def refused(self, call: OpenCall, error: MizarError) -> None:
        """The server certainly did not act on the call."""
        with self.account.lock:
            self._opens.pop(call.number, None)
            call.settle(error)
            self._take(ledger.Refused(call.number))

    def doubted(self, call: OpenCall, now: float, *, said_yes: bool = False) -> None:
        """The call got no usable answer."""
        with self.account.lock:
            if call.number in self._opens and not call.doubtful:
                call.doubtful = True
                self._take(ledger.Doubted(call.number, now, said_yes))

    def _kind(self, of: OpenPosition | Position) -> ledger.Kind:
        spot = self.account.markets.get(self.strategy_id) == "SPOT"
        size = of.size if of.size.is_finite() else Decimal(0)
        return ledger.Kind(of.base_asset, of.quote_asset, size, True if spot else of.is_long)

    # -- closes --------------------------------------------------------------------------------------

    def closing(self, position_id: int) -> None:
        """A close of the position is about to leave."""
        with self.account.lock:
            self._take(ledger.Closing(position_id))

    def closed(self, closed: ClosedPosition, now: float) -> None:
        """The position is certainly closed."""
        with self.account.lock:
            self.unclaimed.pop(closed.position_id, None)
            self._take(ledger.Closed(closed.position_id, now))
            for call in list(self._closes.values()):
                if closed.position_id in call.positions:
                    call.closed[closed.position_id] = closed
                    if len(call.closed) == len(call.positions):
                        self._tell_closed(call)

    def sweeping(self, now: float) -> None:
        """A close-all is about to leave, or has just ended."""
        with self.account.lock:
            self._take(ledger.Swept(now))

    def follow(self, call: CloseCall) -> None:
        """Watch for what became of a close in doubt."""
        with self.account.lock:
            self._closes[call.number] = call
            self._tell_the_account()

    # -- listings ------------------------------------------------------------------------------------

    def listed(self, positions: Iterable[Position], asked_at: float, now: float) -> None:
        """A whole, valid list of the strategy's open positions, asked for at `asked_at`."""
        with self.account.lock:
            ours = {row.position_id: row for row in positions if row.strategy_id in {None, self.strategy_id}}
            self.account.note_open(ours.values())
            rows = tuple(self._row(position, now) for position in ours.values())
            self._take(ledger.Listed(asked_at, now, rows, clock_on=self.account.clock.on))
            for call in list(self._closes.values()):
                self._look_for_closed(call, ours, asked_at, now)
            self._tell_the_account()

    def ambiguous(self, positions: Iterable[Position]) -> bool:
        """Whether a list can't be read without knowing the market: on SPOT its sides may be wrong."""
        if self.strategy_id in self.account.markets:
            return False
        longs = {_pair(call.ask) for call in self._opens.values() if call.ask.is_long}
        return any(not position.is_long and _pair(position) in longs for position in positions)

    def _row(self, position: Position, now: float) -> ledger.Row:
        if position.open_timestamp is None:
            earliest, latest = -float("inf"), float("inf")
        else:
            earliest, latest = self.account.clock.when(position.open_timestamp, now)
        return ledger.Row(position.position_id, self._kind(position), earliest, latest)

    def _look_for_closed(self, call: CloseCall, open_now: dict[int, Position], asked_at: float, now: float) -> None:
        shown_until = min(self._ledger.proven_until, asked_at - call.options.listing_lag)
        if shown_until <= call.sent_at:
            return  # the list may be older than the close
        still_open = sorted(call.positions.keys() & open_now.keys())
        for gone in call.positions.keys() - open_now.keys() - call.closed.keys():
            self.account.closed(unseen(call.positions[gone]), now)
        if call.number not in self._closes:
            return
        if not still_open:
            self._tell_closed(call)
        elif shown_until > call.window_end:
            del self._closes[call.number]
            self._settle(call, call.unknown("the server did not act on it; close again", tuple(still_open)))

    def _tell_closed(self, call: CloseCall) -> None:
        del self._closes[call.number]
        self._settle(call, tuple(call.closed[number] for number in call.positions))

    # -- outcomes ------------------------------------------------------------------------------------

    def _take(self, event: ledger.Event) -> None:
        for verdict in self._ledger.take(event):
            match verdict:
                case ledger.Opened():
                    self._opened(verdict.attempt, verdict.position_id)
                case ledger.Absent():
                    call = self._opens.pop(verdict.attempt)
                    self._settle(call, call.absent())
                case ledger.Undecidable():
                    call = self._opens.pop(verdict.attempt)
                    self._settle(call, call.unknown("no list of positions can tell any more", verdict.candidates))
                case ledger.Unclaimed():
                    self._report(self.account.position(verdict.position_id))
                case ledger.Vanished():
                    self.account.seen.pop(verdict.position_id, None)
                    self.unclaimed.pop(verdict.position_id, None)
        self._tell_the_account()

    def _opened(self, number: int, position_id: int) -> None:
        call = self._opens.pop(number, None) or self._left_behind.pop(number, None)
        self.unclaimed.pop(position_id, None)
        if call is None:
            return
        for guard in self.guards:
            if guard.client is call.client:
                guard.positions.add(position_id)
        self._settle(call, self.account.position(position_id))

    def _settle(self, call: CallInDoubt, outcome: Outcome) -> None:
        call.settle(outcome)
        if call.abandoned:
            self._leave_behind(call)

    def _leave_behind(self, call: CallInDoubt) -> None:
        self._left_behind[call.number] = call
        if len(self._left_behind) > REMEMBERED:
            self._left_behind.popitem(last=False)
        if isinstance(call.outcome, Position) and call.outcome.position_id not in self.account.past:
            self._report(call.outcome)

    def _report(self, position: Position) -> None:
        self.unclaimed[position.position_id] = position
        self.account.report(position)

    def abandon(self, call: CallInDoubt) -> None:
        """The caller goes without the outcome, so that only `resolve` can hand it over."""
        with self.account.lock:
            if not call.abandoned:
                call.abandoned = True
                if call.outcome is not None:
                    self._leave_behind(call)
                elif call.number in self._opens:
                    self._take(ledger.GaveUp(call.number))

    def hand_over(self, call: CallInDoubt) -> None:
        """The outcome of an abandoned call reaches somebody after all."""
        with self.account.lock:
            if isinstance(call.outcome, Position):
                self.unclaimed.pop(call.outcome.position_id, None)

    # -- what is known -------------------------------------------------------------------------------

    @property
    def shown_until(self) -> float:
        """The time up to which the lists so far show everything that was opened, and still is open."""
        return self._ledger.proven_until

    def owner(self, position_id: int) -> int | None:
        """The number of the call that owns the position."""
        return self._ledger.owner(position_id)

    @property
    def waits(self) -> bool:
        """Whether a list would help somebody."""
        return self._ledger.waits or bool(self._closes)

    def _tell_the_account(self) -> None:
        (self.account.waiting.add if self.waits else self.account.waiting.discard)(self)

    def find(self, number: int) -> CallInDoubt | None:
        """The call of that number, unless it was forgotten."""
        return self._opens.get(number) or self._closes.get(number) or self._left_behind.get(number)

    def in_doubt(self) -> list[CallInDoubt]:
        """Calls whose outcome is unknown, those that no list can tell included."""
        told = (call for call in self._left_behind.values() if isinstance(call.outcome, OutcomeUnknown))
        lost = (call for call in self._opens.values() if call.doubtful or call.loop.is_closed())
        return [*lost, *self._closes.values(), *told]

    def opening(self) -> list[OpenCall]:
        """Opens that are in flight or in doubt."""
        return list(self._opens.values())

    def closing_in_doubt(self) -> list[CloseCall]:
        """Closes that are in doubt."""
        return list(self._closes.values())

    def forget(self, call: CloseCall) -> None:
        """The close in doubt was decided by other means."""
        with self.account.lock:
            self._closes.pop(call.number, None)
            self._tell_the_account()

    def opened_between(self, position: Position, now: float) -> tuple[float, float]:
        """The earliest and the latest time of opening, on our timeline; infinite where that can't be told."""
        row = self._row(position, now)
        return row.earliest, row.latest

    def candidates(self, call: CallInDoubt) -> tuple[int, ...]:
        """Ids of the positions that may be the call's."""
        with self.account.lock:
            return self._ledger.candidates(call.number) if call.number in self._opens else tuple(call.positions)

    def known_open(self) -> list[int]:
        """Ids of the positions of this strategy that are open as far as is known."""
        return sorted(pid for pid, position in self.account.seen.items() if position.strategy_id == self.strategy_id)

    def doubt_the_overdue(self, now: float) -> None:
        """Calls in flight whose loop has ended will never report."""
        for call in list(self._opens.values()):
            overdue = now > call.sent_at + call.timeout + call.options.grace + _OVERDUE
            if not call.doubtful and (overdue or call.loop.is_closed()):
                call.abandoned = True
                self.doubted(call, now)


def _pair(of: OpenPosition | Position) -> tuple[str, str]:
    return of.base_asset.upper(), of.quote_asset.upper()
