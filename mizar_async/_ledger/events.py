"""What the ledgers of a strategy take, and what they give: frozen events and verdicts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal

import attrs

RUN_BITS: Final = 40


def numbers_of(run: int) -> Iterator[int]:
    """The numbers of the calls of a run, the first of which is 0: they are unique, and grow, over all runs."""
    return itertools.count((run << RUN_BITS) + 1)


def run_of(number: int) -> int:
    """The run whose call has that number."""
    return number >> RUN_BITS


@attrs.frozen
class Kind:
    """Opens of one kind are alike in every parameter: which of them gets which position does not matter."""

    base_asset: str
    quote_asset: str
    size: Decimal
    is_long: bool


@attrs.frozen
class Row:
    """An open position of a listing. `earliest` and `latest` bound its opening on our timeline (-inf, inf: unknown)."""

    position_id: int
    kind: Kind
    earliest: float
    latest: float


@attrs.frozen
class Sending:
    """An open is about to leave. Recorded before the first byte."""

    attempt: int
    kind: Kind
    at: float
    timeout: float
    settle_time: float
    listing_lag: float
    others_close: bool


@attrs.frozen
class Answered:
    """The server said yes, and which position it is; `size` is what it echoed.

    It is believed, and `Opened` follows at once, if nobody owns the position or owned it, and it was neither seen nor
    closed before the attempt was sent. Any other may be a proxy's, or another call's: it leaves the attempt in doubt.
    """

    attempt: int
    position_id: int
    at: float
    size: Decimal | None = None


@attrs.frozen
class Refused:
    """It is certain that the server did not act on the attempt: it said so, or the user does, of one in doubt."""

    attempt: int


@attrs.frozen
class Doubted:
    """No usable answer. `said_yes`: a 2xx status was seen, and the body was lost."""

    attempt: int
    at: float
    said_yes: bool = False


@attrs.frozen
class GaveUp:
    """The caller no longer waits (deadline, cancelled); the search goes on."""

    attempt: int


@attrs.frozen
class Closing:
    """A close of the position is about to leave: from now on it may be absent for our own reason."""

    position_id: int
    at: float = -math.inf
    timeout: float = 0.0
    settle_time: float = 0.0
    listing_lag: float = 0.0


@attrs.frozen
class Closed:
    """The position is closed. Not `certain`: a 409, an answer that can't be read, or only a list says so."""

    position_id: int
    at: float
    certain: bool = True


@attrs.frozen
class Sweeping:
    """A close-all of the strategy is about to leave: it may close unseen what is open, in flight or in doubt."""

    sweep: int
    at: float
    timeout: float = 0.0
    settle_time: float = 0.0


@attrs.frozen
class Swept:
    """The close-all ended, and may act until then: if it never left, or was refused, that is when it was sent."""

    sweep: int
    until: float


@attrs.frozen
class Listed:
    """A whole, valid list of the open positions, asked for at `asked_at` and read at `at`.

    `clock_on` is False while the server's clock can't be read on our timeline: an empty list has no row to show it.
    """

    asked_at: float
    at: float
    rows: tuple[Row, ...]
    clock_on: bool = True


@attrs.frozen
class Told:
    """A caller is about to be given the outcome of its attempt, or what the user says of it; that stands from now on.

    The outcome is "opened" with the position, "absent", or "undecidable" with the candidates. `by` is the run that
    tells it, which may be a later one than that of the attempt.
    """

    attempt: int
    outcome: Literal["opened", "absent", "undecidable"]
    position_id: int | None = None
    candidates: tuple[int, ...] = ()
    by: int = 0


@attrs.frozen
class RunEnded:
    """The process that made the calls of a run is known to be gone at `at`. What it had in flight is in doubt."""

    run: int
    at: float


@attrs.frozen
class Prolonged:
    """How long ago anything before was sent is not known for certain: as if all in doubt were given up at `at`."""

    at: float


Event = (
    Sending
    | Answered
    | Refused
    | Doubted
    | GaveUp
    | Closing
    | Closed
    | Sweeping
    | Swept
    | Listed
    | Told
    | RunEnded
    | Prolonged
)


@attrs.frozen
class Opened:
    """The attempt owns the position. `waited_for` is False if its caller had given up."""

    attempt: int
    position_id: int
    waited_for: bool


@attrs.frozen
class Absent:
    """The attempt opened nothing, for certain."""

    attempt: int
    waited_for: bool


@attrs.frozen
class Undecidable:
    """No listing can tell any more what the attempt opened: it was perhaps closed unseen, or is a candidate."""

    attempt: int
    waited_for: bool
    candidates: tuple[int, ...]


@attrs.frozen
class Unclaimed:
    """A position that no attempt owns; `attempts` are those that it may belong to all the same."""

    position_id: int
    attempts: tuple[int, ...]


@attrs.frozen
class Vanished:
    """A position that was known to be open has been missing from listings for long: closed elsewhere."""

    position_id: int


@attrs.frozen
class Cut:
    """A list is taken as cut off after so many rows; said once of all that follow one another."""

    shown: int


Verdict = Opened | Absent | Undecidable | Unclaimed | Vanished | Cut


@attrs.frozen
class CloseDoubted:
    """A close of these positions got no usable answer. Repeated, it was sent at first, and its window ends at last."""

    call: int
    position_ids: tuple[int, ...]
    sent: float
    window_end: float
    lag: float


@attrs.frozen
class Forgotten:
    """The call was decided by other means, or its caller does not want to know."""

    call: int


@attrs.frozen
class AllClosed:
    """Everything that the call was to close is closed."""

    call: int


@attrs.frozen
class StillOpen:
    """The server did not act on the call, and never will: these positions are open."""

    call: int
    position_ids: tuple[int, ...]


@attrs.frozen
class Gone:
    """A position that was to be closed is closed, at a price that nobody told."""

    position_id: int


CloseEvent = CloseDoubted | Closed | Listed | Forgotten
CloseVerdict = AllClosed | StillOpen | Gone
