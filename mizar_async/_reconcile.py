"""What the bot believes against what the server holds. It never writes."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ._models import Position, whole_number
from .errors import OutcomeUnknown


@attrs.frozen
class Reconciliation:
    """Four lists: what both know, what only the bot believes, what only the server holds, what nobody can tell yet."""

    matched: list[Position]
    """Open at the server, as the bot believes."""
    gone: list[int]
    """Ids that the bot believes to be open, and that the server no longer lists."""
    unknown: list[Position]
    """Open at the server, and unknown to the bot."""
    in_doubt: list[OutcomeUnknown]
    """Calls for this strategy whose outcome is still unknown: `resolve` waits for each."""

    def __bool__(self) -> bool:
        raise TypeError("a reconciliation is neither true nor false: look at .gone, .unknown and .in_doubt")


def believed_ids(believed: Iterable[Position | int]) -> list[int]:
    """The ids of positions or ids; raises InvalidInput for anything else."""
    return [item.position_id if isinstance(item, Position) else whole_number("believed", item) for item in believed]


def compare(believed: Iterable[int], held: Iterable[Position], in_doubt: list[OutcomeUnknown]) -> Reconciliation:
    """Sort by who knows of a position."""
    open_now = {position.position_id: position for position in held}
    wanted = dict.fromkeys(believed)
    return Reconciliation(
        matched=[open_now[pid] for pid in wanted if pid in open_now],
        gone=[pid for pid in wanted if pid not in open_now],
        unknown=[position for pid, position in open_now.items() if pid not in wanted],
        in_doubt=in_doubt,
    )
