"""What became of closes in doubt: pure, events in and verdicts out."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from .events import Closed, Listed


@attrs.frozen
class CloseDoubted:
    """A close got no usable answer. `sent` is when it left, `window_end` until when the server may act on it."""

    call: int
    position_ids: tuple[int, ...]
    sent: float
    window_end: float
    lag: float


@attrs.frozen
class Forgotten:
    """It was decided by other means."""

    call: int


@attrs.frozen
class AllClosed:
    call: int


@attrs.frozen
class StillOpen:
    call: int
    position_ids: tuple[int, ...]


@attrs.frozen
class Gone:
    position_id: int


CloseVerdict = AllClosed | StillOpen | Gone


class CloseLedger:
    def __init__(self) -> None:
        self._doubts: dict[int, CloseDoubted] = {}
        self._open: dict[int, set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._doubts)

    def take(self, event: CloseDoubted | Closed | Listed | Forgotten) -> list[CloseVerdict]:
        """Note what happened, and give what follows from it."""
        match event:
            case CloseDoubted():
                return self._doubted(event)
            case Closed():
                return self._closed(event.position_id)
            case Listed():
                return self._listed(event.asked_at, {row.position_id for row in event.rows})
            case Forgotten():
                self._forget(event.call)
        return []

    def _doubted(self, event: CloseDoubted) -> list[CloseVerdict]:
        self._open[event.call] = set(event.position_ids)
        self._doubts[event.call] = event
        return []

    def _closed(self, position_id: int) -> list[CloseVerdict]:
        verdicts: list[CloseVerdict] = []
        for call, left in list(self._open.items()):
            left.discard(position_id)
            if not left:
                self._forget(call)
                verdicts.append(AllClosed(call))
        return verdicts

    def _forget(self, call: int) -> None:
        self._doubts.pop(call, None)
        self._open.pop(call, None)

    def _listed(self, asked_at: float, shown: Collection[int]) -> list[CloseVerdict]:
        verdicts: list[CloseVerdict] = []
        for call, doubt in list(self._doubts.items()):
            if asked_at - doubt.lag <= doubt.sent:
                continue
            left = self._open[call]
            verdicts += [Gone(position_id) for position_id in sorted(left - set(shown))]
            left &= set(shown)
            if not left:
                self._forget(call)
                verdicts.append(AllClosed(call))
            elif asked_at - doubt.lag > doubt.window_end:
                self._forget(call)
                verdicts.append(StillOpen(call, tuple(sorted(left))))
        return verdicts
