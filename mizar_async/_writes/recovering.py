"""What earlier runs have left: waited for, looked at, and handed to whoever goes on."""

from __future__ import annotations

import anyio

from .._account.calls import unseen
from .._account.record import Inherited
from .._account.watch import Watch
from .._api.trading import ClosedPosition, OpenPosition, Position
from .._clock import loop_time
from .._ledger.events import run_of
from ..errors import InvalidInput, NotOpened, OutcomeUnknown
from ..results import Recovered, Recovery
from .doubts import unresolved
from .view import View


async def recover(view: View, strategy_id: int | None, patience: float) -> Recovery:
    """Wait until it is known what became of the calls of earlier runs, for `patience` seconds, and say so."""
    await view.channel.begin(max(patience, view.options.deadline))
    until = loop_time() + patience
    journal = view.account.journaling.journal
    if journal is None:
        raise InvalidInput(
            "recover() is refused: this client has no journal, so that nothing is known of earlier runs; "
            "make it with journal='bot.journal', or set MIZAR_JOURNAL"
        )
    journal.check()
    watches = view.account.watches()
    chosen = sorted(watches) if strategy_id is None else [strategy_id] if strategy_id in watches else []
    async with anyio.create_task_group() as group:
        for one in chosen:
            group.start_soon(_find_out, view, watches[one], until)
    return _recovery(view, [watches[one] for one in chosen], journal.run)


async def settle_earlier_runs(view: View, watch: Watch, until: float) -> None:
    """Wait until what earlier runs had in doubt is decided, or the time is over."""
    if watch.record is not None:
        for call in (*watch.record.inherited.calls, *watch.record.inherited.closes):
            await view.follow_up.ending(call, until)


async def _find_out(view: View, watch: Watch, until: float) -> None:
    await settle_earlier_runs(view, watch, until)
    await view.listings.since(watch, loop_time(), until, view.options.listing_lag)


def _recovery(view: View, watches: list[Watch], run: int) -> Recovery:
    found = Recovery()
    for watch in watches:
        if watch.record is not None:
            for position_id, inherited in sorted(_positions(view, watch).items()):
                _sort(watch, position_id, inherited, found)
            ended = [call for call in watch.record.inherited.calls if isinstance(call.ending, NotOpened)]
            found.not_opened.extend(call.ask for call in ended)
        closes = {close.number for close in watch.record.inherited.closes} if watch.record else set()
        errors = unresolved(view, watch.strategy_id)
        found.unknown.extend(error for error in errors if error.reference in closes or _is_of_earlier_run(error, run))
        found.unclaimed.extend(view.account.unclaimed(watch.strategy_id))
    return found


def _is_of_earlier_run(error: OutcomeUnknown, run: int) -> bool:
    return error.reference is not None and run_of(error.reference) < run


def _positions(view: View, watch: Watch) -> dict[int, tuple[Position, OpenPosition]]:
    assert watch.record is not None
    inherited: Inherited = watch.record.inherited
    positions = dict(inherited.positions)
    for call in inherited.calls:
        if isinstance(call.ending, Position):
            view.account.hand_over(call)
            positions[call.ending.position_id] = call.ending, call.ask
    return positions


def _sort(watch: Watch, position_id: int, inherited: tuple[Position, OpenPosition], found: Recovery) -> None:
    position, ask = inherited
    known = watch.known_open().get(position_id)
    if known is not None:
        found.open.append(Recovered(known, ask))
        return
    closed = position if isinstance(position, ClosedPosition) else unseen(position)
    found.closed_meanwhile.append(Recovered(closed, ask))
