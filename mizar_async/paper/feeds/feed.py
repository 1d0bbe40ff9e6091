"""What the venue asks of prices.

A feed answers what a pair costs at a time, and never looks ahead of that time. It holds no clock: the venue asks with
the very time that it writes on the position, so price and timestamp always belong together.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Protocol

from ..._api.trading import Exchange, Symbol
from ..bars import Row
from ..rules import MARKETS

BINANCE: Final = Exchange("binance", MARKETS)


class Feed(Protocol):
    """Where the venue's prices come from."""

    @property
    def starts(self) -> int | None:
        """When its recording begins, in milliseconds since the epoch; None for a feed of the present."""
        ...

    @property
    def identity(self) -> str:
        """What tells its prices from those of any other feed."""
        ...

    @property
    def has_trades(self) -> bool:
        """Whether its rows are trades, with their amounts."""
        ...

    @property
    def lasts(self) -> int:
        """How long each of its rows lasts, in milliseconds; 0 for trades, and for prices at a time."""
        ...

    def exchanges(self) -> tuple[Exchange, ...]:
        """The exchanges and their markets."""
        ...

    def symbols(self) -> tuple[Symbol, ...]:
        """Every pair that has a price, with its markets."""
        ...

    def price(self, symbol: str, at: int) -> Decimal:
        """The price of a pair as it is known at `at`, in milliseconds since the epoch."""
        ...

    def rows(self, symbol: str, start: int) -> Iterator[Row]:
        """What bars are made of: the rows that begin at a time or later, in milliseconds since the epoch, in order."""
        ...
