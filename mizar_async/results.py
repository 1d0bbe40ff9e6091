"""What calls give back that the server did not write: outcomes of bulk calls, reports, reconciliations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Generic, Literal, TypeVar

import attrs

from ._api.checks import whole_number
from ._api.trading import ClosedPosition, OpenPosition, Position
from .errors import AnswerUnreadable, MizarError, NotOpened, NotSent, OutcomeUnknown, RateLimited

Request = TypeVar("Request")
Result = TypeVar("Result", Position, ClosedPosition)
Status = Literal["done", "refused", "not done", "unknown"]


@attrs.frozen
class Outcome(Generic[Request, Result]):
    """What became of one request of a bulk call."""

    index: int
    """The place of the request in the input, from 0."""
    request: Request
    position: Result | None = None
    error: MizarError | None = None
    repeated: bool = False
    """True if its client order id was there before: it has sent nothing, and tells what became of that."""

    @property
    def status(self) -> Status:
        """ "done", "refused", "not done" (submit it again as it is) or "unknown"."""
        match self.error:
            case None | AnswerUnreadable():
                return "done"
            case NotSent() | NotOpened() | RateLimited():
                return "not done"
            case OutcomeUnknown():
                return "unknown"
            case _:
                return "refused"


@attrs.define(repr=False)
class BulkResult(Generic[Request, Result]):
    """One outcome for each request of a bulk call, in the order of the requests."""

    outcomes: list[Outcome[Request, Result]] = attrs.field(factory=list)
    elapsed: float = 0.0
    """Seconds from the first request to the last outcome."""

    @property
    def succeeded(self) -> list[Result]:
        """The positions that were opened, or closed."""
        return [outcome.position for outcome in self.outcomes if outcome.position is not None]

    @property
    def failed(self) -> list[Outcome[Request, Result]]:
        """The outcomes that hold an error."""
        return [outcome for outcome in self.outcomes if outcome.error is not None]

    @property
    def not_done(self) -> list[Request]:
        """The requests that certainly had no effect and were not refused: submit them again as they are."""
        return [outcome.request for outcome in self.outcomes if outcome.status == "not done"]

    @property
    def counts(self) -> dict[Status, int]:
        """How many requests ended in each status."""
        found = Counter(outcome.status for outcome in self.outcomes)
        statuses: tuple[Status, ...] = ("done", "refused", "not done", "unknown")
        return {status: found[status] for status in statuses}

    def raise_for_failures(self) -> None:
        """Raise an ExceptionGroup of all errors, if there are any."""
        errors = [outcome.error for outcome in self.outcomes if outcome.error is not None]
        if errors:
            raise ExceptionGroup(repr(self), errors)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        return f"<BulkResult {len(self.outcomes)} requests: {counts or 'none'}, {self.elapsed:.2f} s>"

    def __bool__(self) -> bool:
        raise TypeError("a bulk result is neither true nor false: look at .failed, or call .raise_for_failures()")


def partial_result(error: BaseException) -> BulkResult[Any, Any] | None:
    """The result of a bulk call that was cut short by this error, as far as it had come; None if there is none."""
    seen: set[int] = set()
    following: list[BaseException | None] = [error]
    while following:
        one = following.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        found = getattr(one, "bulk_result", None)
        if isinstance(found, BulkResult):
            return found
        following += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return None


@attrs.define(repr=False)
class FlattenReport:
    """What became of every position that a flatten saw."""

    strategy_ids: tuple[int, ...]
    """The strategies that were flattened."""
    closed: list[ClosedPosition] = attrs.field(factory=list)
    """What it closed; price and time are None where the answer to the close was lost."""
    closed_elsewhere: list[int] = attrs.field(factory=list)
    """Ids of positions that were closed by somebody else before it could."""
    elapsed: float = 0.0
    """Seconds that it took."""

    def __repr__(self) -> str:
        strategies = "strategy " + ", ".join(map(str, self.strategy_ids)) if self.strategy_ids else "no strategy"
        elsewhere = f", {len(self.closed_elsewhere)} closed elsewhere" if self.closed_elsewhere else ""
        return f"<FlattenReport of {strategies}: {len(self.closed)} closed{elsewhere}, {self.elapsed:.2f} s>"

    def __bool__(self) -> bool:
        raise TypeError("a report is neither true nor false: flatten raises NotFlat unless everything is closed")


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


@attrs.frozen
class Recovered:
    """A position that a call of an earlier run has opened."""

    position: Position
    """As it is known now: a `ClosedPosition` if it is closed."""
    request: OpenPosition
    """What was asked for."""

    @property
    def client_order_id(self) -> str | None:
        """The name that the open was given, if it was given one."""
        return self.request.client_order_id


@attrs.define(repr=False)
class Recovery:
    """What earlier runs have left, as far as it is known now."""

    open: list[Recovered] = attrs.field(factory=list)
    """What their calls have opened, and is open."""
    closed_meanwhile: list[Recovered] = attrs.field(factory=list)
    """What their calls have opened, was open as far as they knew, and is closed."""
    not_opened: list[OpenPosition] = attrs.field(factory=list)
    """What they were about to open when they ended, and certainly have not."""
    unknown: list[OutcomeUnknown] = attrs.field(factory=list)
    """Their calls whose outcome is unknown: `resolve` waits for each."""
    unclaimed: list[Position] = attrs.field(factory=list)
    """Positions that no call owns."""

    def __repr__(self) -> str:
        counts = {
            "open": len(self.open),
            "closed meanwhile": len(self.closed_meanwhile),
            "not opened": len(self.not_opened),
            "unknown": len(self.unknown),
            "unclaimed": len(self.unclaimed),
        }
        return f"<Recovery: {', '.join(f'{count} {what}' for what, count in counts.items() if count) or 'nothing'}>"

    def __bool__(self) -> bool:
        raise TypeError("a recovery is neither true nor false: look at .open, .not_opened and .unknown")


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
