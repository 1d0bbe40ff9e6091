"""What a user asks about calls in doubt, and says of them."""

from __future__ import annotations

import copy
from typing import Final

from .._account.calls import Call, OpenCall
from .._api.checks import whole_number
from .._api.endpoints import CLOSE_ALL, OPEN_POSITIONS
from .._api.trading import ClosedPosition, OfStrategy, Position
from .._clock import loop_time
from ..errors import InvalidInput, MizarError, OutcomeUnknown
from .view import View

# However impatient its caller is: a commit takes a few milliseconds.
_LEAST_PATIENCE: Final = 1.0


async def open_positions(view: View, ask: OfStrategy) -> list[Position]:
    """List open positions for the caller; what is in doubt learns from it too."""
    view.follow_up.go_on()
    asked_at = loop_time()
    positions = await view.perform(OPEN_POSITIONS, ask)
    watch = view.account.watch(ask.strategy_id)
    if not watch.is_ambiguous(positions):
        watch.listed(positions, asked_at, loop_time())
    return positions


def unresolved(view: View, strategy_id: int | None = None) -> list[OutcomeUnknown]:
    """An error for each call in doubt, of a strategy or of all, oldest first."""
    return [_error_of(call) for call in view.account.in_doubt(strategy_id)]


def _error_of(call: Call) -> OutcomeUnknown:
    if isinstance(call.ending, OutcomeUnknown):
        return copy.copy(call.ending)
    return call.unknown(str(call.failure or "no answer came"), ())


async def resolve(view: View, error: object, patience: float) -> Position | ClosedPosition | list[ClosedPosition]:
    """What a call that ended as OutcomeUnknown came to; raises NotOpened, or OutcomeUnknown again."""
    call = _call_of(view, error)
    if call is None:
        raise copy.copy(_checked(error))
    until = loop_time() + patience
    ending = await view.follow_up.ending(call, until)
    if ending is None:
        candidates = call.watch.candidates(call) if call.watch else _checked(error).candidates
        raise call.unknown("still unknown", candidates)
    view.account.journaling.tell(call)
    journal = view.account.journaling.journal
    if isinstance(call, OpenCall) and call.ticket is not None and journal is not None:
        failure = await journal.kept(call.ticket, max(until - loop_time(), _LEAST_PATIENCE))
        if failure is not None:
            opened = (ending.position_id,) if isinstance(ending, Position) else ()
            raise call.unknown(f"what became of it can't be written down ({failure})", opened)
    view.account.hand_over(call)
    if isinstance(ending, MizarError):
        raise copy.copy(ending)
    if isinstance(ending, tuple):
        return list(ending) if call.path == CLOSE_ALL.path else ending[0]
    return ending


def acknowledge(view: View, error: object, position_id: int | None) -> None:
    """The user's word on a doubt, which leaves the list of what is unresolved."""
    call = _call_of(view, error)
    if position_id is not None:
        whole_number("position_id", position_id)
    if call is not None:
        view.account.acknowledge(call, position_id)


def _checked(error: object) -> OutcomeUnknown:
    if not isinstance(error, OutcomeUnknown):
        raise InvalidInput(
            f"error={error!r} is refused: it must be an OutcomeUnknown that a call has raised, or one of unresolved()"
        )
    return error


def _call_of(view: View, error: object) -> Call | None:
    return view.account.find(_checked(error).reference)
