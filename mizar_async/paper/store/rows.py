"""What the rows of the tables say."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs

from ..._api.trading import ClosedPosition, Position


@attrs.frozen
class Recorded:
    """A position as the venue keeps it: with what no answer of the API says."""

    position: Position | ClosedPosition
    fee: Decimal
    """In percent of each fill, as it was when the position was opened. It is no part of the prices."""
    strategy: str
    """The name of its strategy."""
    owner: int
    """The number of the key whose strategy it is."""


def position_of(row: Sequence[Any]) -> Position | ClosedPosition:
    """The position that a row is."""
    number, strategy, base, quote, size, is_long, price, at, close_price, close_at = row
    opened = (number, strategy, base, quote, Decimal(size), bool(is_long), Decimal(price), at)
    return Position(*opened) if close_at is None else ClosedPosition(*opened, Decimal(close_price), close_at)


def recorded_of(row: Sequence[Any]) -> Recorded:
    """The same with what is kept beside it."""
    *position, fee, strategy, owner = row
    return Recorded(position_of(position), Decimal(fee or 0), strategy, owner)
