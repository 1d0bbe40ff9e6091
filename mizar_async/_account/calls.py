"""One attempt of a write that is followed: what it was to do, what became of it, and who waits for that."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, Final, Protocol

import attrs

from .._api.endpoints import OPEN_POSITION
from .._api.trading import ClosedPosition, OpenPosition, Position
from .._options import Options
from .._waiting import Waiters, waiting_among, wake_all
from ..errors import MizarError, NotOpened, OutcomeUnknown

Ending = Position | tuple[ClosedPosition, ...] | MizarError
"""What a call came to: what it opened, what it closed, or the error that it ended with."""

# Sizes that differ by less are taken for one that was rounded on its way.
ROUNDING: Final = Decimal("0.01")


class Watching(Protocol):
    """Who follows a call."""

    def candidates(self, call: Call) -> tuple[int, ...]:
        """Ids of the positions that may be the call's."""
        ...

    def abandon(self, call: Call) -> None:
        """The caller goes without the ending, so that only `resolve` can hand it over."""

    def acknowledge(self, call: Call, position_id: int | None) -> None:
        """The user's word on a doubt: which position the call opened, or None for none."""


@attrs.define(eq=False)
class Call:
    """One attempt of a write, from before its first byte until its ending is known."""

    number: int
    client: object
    """Whose call it is: its channel, for guards."""
    options: Options
    sent_at: float
    timeout: float
    loop: asyncio.AbstractEventLoop | None
    """None for a call of an earlier run."""
    path: str
    watch: Watching | None
    """Who follows it; None for a close of a position that was never seen, which no list can tell about."""
    attempts: int = 1
    failure: MizarError | None = None
    """What put it in doubt."""
    ending: Ending | None = None
    abandoned: bool = False
    """True once its caller has gone without the ending; then only `resolve` can hand it over."""
    doubtful: bool = False
    waiters: Waiters = attrs.field(factory=list)

    @property
    def is_lost(self) -> bool:
        """Whether its loop has ended, so that it will never report."""
        return self.loop is not None and self.loop.is_closed()

    def describe(self) -> str:
        """What the call was to do, in a few words."""
        raise NotImplementedError

    def window_end(self, now: float) -> float:
        """Until when the server may still act on it, if it has given up now."""
        return max(now, self.sent_at + self.timeout) + self.options.settle_time

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

    def waiting(self) -> AbstractContextManager[asyncio.Future[None]]:
        """A future that wakes the caller once the ending is known."""
        return waiting_among(self.waiters)

    def settle(self, ending: Ending) -> None:
        """Set the ending and wake who waits, in whichever loop."""
        self.ending = ending
        wake_all(self.waiters)


@attrs.define(eq=False)
class OpenCall(Call):
    """One attempt to open a position."""

    ask: OpenPosition = attrs.field(kw_only=True)
    path: str = OPEN_POSITION.path
    ticket: int | None = attrs.field(default=None, kw_only=True)
    """By which the journal tells that it is on disk what its caller is told."""

    def describe(self) -> str:
        ask = self.ask
        side = "long" if ask.is_long else "short"
        return f"open {side} {ask.base_asset}/{ask.quote_asset} size {ask.size} of strategy {ask.strategy_id}"

    def absent(self) -> NotOpened:
        """The error of an attempt that certainly opened nothing."""
        return NotOpened(
            f"{self.describe()}: it got no usable answer, was looked for, and was certainly not opened",
            **self.facts(),
        )

    def contradiction(self, told: Position, *, on_spot: bool) -> str | None:
        """What of an answer can't be this call's position, in words; None if it may be.

        On SPOT positions were seen with the wrong side, and sizes come back rounded. What an answer leaves out
        speaks neither for nor against it.
        """
        ask = self.ask
        if told.strategy_id not in {None, ask.strategy_id}:
            return f"a position of strategy {told.strategy_id}"
        if not same_pair(told, ask):
            return f"a position of {told.base_asset}/{told.quote_asset}"
        if told.is_long is not ask.is_long and not on_spot:
            return f"a {'long' if told.is_long else 'short'} position"
        if told.size != ask.size and told.size.is_finite() and abs(told.size - ask.size) > ROUNDING * ask.size:
            return f"a position of size {told.size}"
        return None

    def as_asked(self, position_id: int) -> Position:
        """Its position, where nothing more is known of it than its id."""
        ask = self.ask
        return Position(position_id, ask.strategy_id, ask.base_asset, ask.quote_asset, ask.size, ask.is_long)


@attrs.define(eq=False)
class CloseCall(Call):
    """A close that is in doubt, of one position or of all that were known to be open."""

    positions: dict[int, Position] = attrs.field(kw_only=True)
    """What it is to close, as far as this process has seen it open."""
    target: str = attrs.field(kw_only=True)
    closed: dict[int, ClosedPosition] = attrs.field(factory=dict, kw_only=True)
    """What of it is known to be closed."""
    doubtful: bool = True

    def describe(self) -> str:
        return f"close {self.target}"

    def doubted_again(self, attempts: int, sent_at: float, timeout: float, failure: MizarError) -> None:
        """Another attempt of the same close is in doubt: what counts is the last one."""
        self.attempts, self.sent_at, self.timeout, self.failure, self.ending = attempts, sent_at, timeout, failure, None


def same_pair(one: OpenPosition | Position, other: OpenPosition | Position) -> bool:
    """Whether they are of the same pair, in whichever spelling."""
    exactly = one.base_asset == other.base_asset and one.quote_asset == other.quote_asset
    return exactly or pair_of(one) == pair_of(other)


def pair_of(what: OpenPosition | Position) -> tuple[str, str]:
    """The pair, in one spelling: servers were seen to change its case."""
    return what.base_asset.upper(), what.quote_asset.upper()


def unseen(position: Position) -> ClosedPosition:
    """A position that is known to be closed, at a price and time that nobody told."""
    return ClosedPosition(**{name: getattr(position, name) for name in _POSITION_FIELDS})


_POSITION_FIELDS: Final = tuple(field.name for field in attrs.fields(Position))
