"""What nobody was handed: positions that no call owns, and calls whose callers went. Under the account's lock.

A position is unclaimed until a caller was given it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from .._api.trading import Position
from ..errors import OutcomeUnknown
from .calls import Call, OpenCall

# Endings that nobody waited for are kept for `resolve` up to this number; the oldest are forgotten first.
REMEMBERED: Final = 10_000


class LeftBehind:
    """The unclaimed positions of a key, and the endings that only `resolve` can hand over."""

    def __init__(self, tell: Callable[[Position], None]) -> None:
        self._tell = tell
        self._unclaimed: dict[int, Position] = {}
        self._ended: OrderedDict[int, Call] = OrderedDict()
        self._undecidable: dict[int, Call] = {}

    def clear(self) -> None:
        """Nothing was left behind."""
        self._unclaimed.clear()
        self._ended.clear()
        self._undecidable.clear()

    def take_over(self, position: Position) -> None:
        """It was unclaimed in an earlier run, and whoever listened was told then."""
        self._unclaimed[position.position_id] = position

    def report(self, position: Position) -> None:
        """No call owns it, or whose call does has gone: it is unclaimed, and whoever listens is told."""
        self._unclaimed[position.position_id] = position
        self._tell(position)

    def claimed(self, position_id: int) -> None:
        """Somebody has it, or it is closed."""
        self._unclaimed.pop(position_id, None)

    def unclaimed(self, strategy_id: int) -> list[Position]:
        """The unclaimed positions of a strategy, in the order of their ids."""
        found = [position for position in self._unclaimed.values() if position.strategy_id == strategy_id]
        return sorted(found, key=lambda position: position.position_id)

    def keep(self, call: Call) -> None:
        """It has ended, and its caller is gone; or it is an open that no list can tell about."""
        if isinstance(call, OpenCall) and isinstance(call.ending, OutcomeUnknown):
            self._undecidable[call.number] = call
            return
        self._ended[call.number] = call
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def drop(self, call: Call) -> None:
        """Its ending was handed over, or its user has decided about it."""
        self._ended.pop(call.number, None)
        self._undecidable.pop(call.number, None)

    def undecidable(self) -> list[Call]:
        """Calls that no list can tell about."""
        return list(self._undecidable.values())
