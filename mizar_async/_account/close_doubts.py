"""The closes of one strategy that got no usable answer, and what is found out about them. Under the account's lock."""

from __future__ import annotations

from collections.abc import Callable

from .._api.trading import ClosedPosition
from .._ledger import closes, events
from .._ledger.closes import CloseLedger
from ..errors import MizarError
from .calls import CloseCall, unseen
from .shared import Shared

Settle = Callable[[CloseCall, tuple[ClosedPosition, ...] | MizarError], None]


class CloseDoubts:
    """Keeps the ledger of closes, and turns its verdicts into endings.

    `settle` gives a call its ending; `gone` is told of a position that is closed, at a price that nobody told.
    """

    def __init__(
        self, shared: Shared, settle: Settle, gone: Callable[[ClosedPosition, float], None], note: Callable[[], None]
    ) -> None:
        self.calls: dict[int, CloseCall] = {}
        self._shared = shared
        self._settle = settle
        self._gone = gone
        self._note = note
        self._ledger = CloseLedger()

    def follow(self, call: CloseCall, now: float) -> None:
        """Look for what became of a close in doubt; a later doubt of the same close takes the place of the first."""
        with self._shared.lock:
            self.calls[call.number] = self._shared.calls[call.number] = call
            ids = tuple(sorted(call.positions.keys() - call.closed.keys()))
            window_end = call.window_end(now)
            event = closes.CloseDoubted(call.number, ids, call.sent_at, window_end, call.options.listing_lag)
            self._conclude(self._ledger.take(event), now)

    def closed(self, closed: ClosedPosition) -> None:
        """A position is closed: whoever was to close it is told so in the end."""
        for call in self.calls.values():
            if closed.position_id in call.positions:
                call.closed[closed.position_id] = closed

    def take(self, event: events.Closed | events.Listed) -> None:
        """Act on what follows from an event."""
        self._conclude(self._ledger.take(event), event.at)

    def forget(self, call: CloseCall) -> None:
        """The call was decided by other means, or its caller does not want to know."""
        self.calls.pop(call.number, None)
        self._shared.left_behind.drop(call)
        self._conclude(self._ledger.take(closes.Forgotten(call.number)), 0.0)

    def _conclude(self, verdicts: list[closes.CloseVerdict], now: float) -> None:
        for verdict in verdicts:
            match verdict:
                case closes.Gone(position_id):
                    known = (call.positions.get(position_id) for call in self.calls.values())
                    position = self._shared.positions.get(position_id) or next((one for one in known if one), None)
                    if position is not None:
                        self._gone(unseen(position), now)
                case closes.AllClosed(number):
                    if call := self.calls.pop(number, None):
                        self._settle(call, tuple(_closed(call, position_id) for position_id in call.positions))
                case closes.StillOpen(number, position_ids):
                    if call := self.calls.pop(number, None):
                        self._settle(call, call.unknown("the server did not act on it; close again", position_ids))
        self._note()


def _closed(call: CloseCall, position_id: int) -> ClosedPosition:
    return call.closed.get(position_id) or unseen(call.positions[position_id])
