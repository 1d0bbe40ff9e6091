"""What is open as far as this process has seen, by id and by strategy. Read and changed under the account's lock."""

from __future__ import annotations

from collections import defaultdict

from .._api.trading import Position


class Positions:
    """Open positions of every strategy of a key."""

    def __init__(self) -> None:
        self._seen: dict[int, Position] = {}
        self._of_strategy: defaultdict[int | None, set[int]] = defaultdict(set)

    def clear(self) -> None:
        """Know of none."""
        self._seen.clear()
        self._of_strategy.clear()

    def seen(self, position: Position) -> None:
        """It is open, as an answer or a list has said."""
        number = position.position_id
        if number in self._seen:
            self.gone(number)
        self._seen[number] = position
        self._of_strategy[position.strategy_id].add(number)

    def gone(self, position_id: int) -> Position | None:
        """It is closed; gives what was known of it."""
        position = self._seen.pop(position_id, None)
        if position is not None:
            self._of_strategy[position.strategy_id].discard(position_id)
        return position

    def get(self, position_id: int) -> Position | None:
        """The position, if it was seen and is not known to be closed."""
        return self._seen.get(position_id)

    def of_strategy(self, strategy_id: int) -> dict[int, Position]:
        """What is open of a strategy, by id, in the order of ids."""
        return {position_id: self._seen[position_id] for position_id in sorted(self._of_strategy[strategy_id])}
