"""What became of the closes of a strategy that got no usable answer: pure, events in and verdicts out.

A close can't double anything, so one in doubt is only looked for. A fresh list that was asked for later than its
sending and the lag tells of each position whether it is closed. What such a list still shows may be closed yet, until
the window of the close has passed: max(given up, sent + timeout) + settle_time. What a list then shows, the server
did not close.

Only lists that the ledger of the opens proves fresh may be given: a stale one would call closed what it does not
show. An answer that is not certain (a 409, a 200 that can't be read) decides nothing here: a proxy may have given it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import attrs

from .events import (
    AllClosed,
    Closed,
    CloseDoubted,
    CloseEvent,
    CloseVerdict,
    Forgotten,
    Gone,
    Listed,
    StillOpen,
)

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "AllClosed",
    "CloseDoubted",
    "CloseEvent",
    "CloseLedger",
    "CloseVerdict",
    "Closed",
    "Forgotten",
    "Gone",
    "Listed",
    "StillOpen",
]


@attrs.define(eq=False)
class _Doubt:
    left: set[int]
    sent: float
    window_end: float
    lag: float


class CloseLedger:
    """The closes in doubt of one strategy.

        closes.take(CloseDoubted(7, (1, 2), sent=0.0, window_end=25.0, lag=1.0))
        closes.take(Listed(asked_at=3.0, at=3.1, rows=()))  # [Gone(1), Gone(2), AllClosed(7)]

    It takes every event once, as they happened.
    """

    def __init__(self) -> None:
        self._doubts: dict[int, _Doubt] = {}
        self._calls: dict[int, set[int]] = {}  # by the position that they were to close

    def __repr__(self) -> str:
        return f"<CloseLedger: {len(self._doubts)} in doubt>"

    @property
    def in_doubt(self) -> Collection[int]:
        """The calls that are looked for."""
        return self._doubts.keys()

    @property
    def waits(self) -> bool:
        """Whether a list would help."""
        return bool(self._doubts)

    def left(self, call: int) -> tuple[int, ...]:
        """What a call in doubt was to close, and is not known to be closed."""
        doubt = self._doubts.get(call)
        return tuple(sorted(doubt.left)) if doubt else ()

    def take(self, event: CloseEvent) -> list[CloseVerdict]:
        """Note what happened, and give what follows from it."""
        match event:
            case CloseDoubted():
                self._doubt(event)
            case Closed():
                return self._close(event)
            case Listed():
                return self._list(event)
            case Forgotten():
                self._forget(event.call)
            case _:
                assert_never(event)
        return []

    def _doubt(self, event: CloseDoubted) -> None:
        if known := self._doubts.get(event.call):
            known.window_end = max(known.window_end, event.window_end)
            known.lag = max(known.lag, event.lag)
            return
        self._doubts[event.call] = _Doubt(set(event.position_ids), event.sent, event.window_end, event.lag)
        for position_id in event.position_ids:
            self._calls.setdefault(position_id, set()).add(event.call)

    def _forget(self, call: int) -> None:
        doubt = self._doubts.pop(call, None)
        for position_id in doubt.left if doubt else ():
            self._calls[position_id].discard(call)
            if not self._calls[position_id]:
                del self._calls[position_id]

    def _close(self, event: Closed) -> list[CloseVerdict]:
        if not event.certain:
            return []
        told = sorted(self._take_off(event.position_id))
        return [verdict for call in told for verdict in self._end_if_closed(call)]

    def _take_off(self, position_id: int) -> set[int]:
        calls = self._calls.pop(position_id, set())
        for call in calls:
            self._doubts[call].left.discard(position_id)
        return calls

    def _end_if_closed(self, call: int) -> list[CloseVerdict]:
        if self._doubts[call].left:
            return []
        del self._doubts[call]
        return [AllClosed(call)]

    def _list(self, event: Listed) -> list[CloseVerdict]:
        here = {row.position_id for row in event.rows}
        told = [call for call, doubt in self._doubts.items() if event.asked_at - doubt.lag > doubt.sent]
        gone = sorted({position_id for call in told for position_id in self._doubts[call].left - here})
        touched = dict.fromkeys(told) | {call: None for position_id in gone for call in self._take_off(position_id)}
        verdicts: list[CloseVerdict] = [Gone(position_id) for position_id in gone]
        for call in sorted(touched):
            verdicts += self._end_if_closed(call) or self._end_if_too_late(call, event.asked_at)
        return verdicts

    def _end_if_too_late(self, call: int, asked_at: float) -> list[CloseVerdict]:
        doubt = self._doubts[call]
        if asked_at - doubt.lag <= doubt.window_end:
            return []
        self._forget(call)
        return [StillOpen(call, tuple(sorted(doubt.left)))]
