"""Close-all: sent once, then looked at.

A repeat that comes late would also close what was opened since, so an uncertain close-all is not sent again.
What is still listed, and was open when it was sent, is closed by id instead. Until its window has passed it may still
act, and what it may close unseen by then is never called absent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable

import anyio

from .._account.calls import CloseCall, pair_of, unseen
from .._api.codec import encode
from .._api.endpoints import CLOSE_ALL
from .._api.trading import CloseAll, ClosedPosition, ClosePosition, Position
from .._clock import loop_time
from .._ledger import events
from .._wire.channel import Attempt
from .._wire.rate_limit import Lane
from .._wire.retries import is_harmless
from ..errors import AnswerUnreadable, Conflict, MizarError, NotFlat, NotSent, OutcomeUnknown
from .closes import Closing, written
from .view import View

_AT_ONCE = 64


async def close_each(view: View, positions: Iterable[Position]) -> dict[int, ClosedPosition | MizarError]:
    """Close positions by id, many at a time, and say of each what became of it.

    What is closed at a price that nobody told is closed all the same, by whomever.
    """
    ended: dict[int, ClosedPosition | MizarError] = {}
    at_once = anyio.CapacityLimiter(_AT_ONCE)

    async def close(position: Position) -> None:
        async with at_once:
            closing = Closing(view, ClosePosition(position.position_id))
            try:
                ended[position.position_id] = await closing.run()
            except (AnswerUnreadable, Conflict):
                ended[position.position_id] = unseen(position)
            except MizarError as failure:
                ended[position.position_id] = failure
            except asyncio.CancelledError:
                closing.leave()
                raise

    async with anyio.create_task_group() as closes:
        for position in positions:
            closes.start_soon(close, position)
    return ended


class ClosingAll(Attempt[list[ClosedPosition]]):
    """One call of `close_all_positions`."""

    is_prompt = False

    def __init__(self, view: View, ask: CloseAll) -> None:
        self._view = view
        self._ask = ask
        self._request = encode(CLOSE_ALL, ask)
        self._watch = view.account.watch(ask.strategy_id)
        self._until = 0.0
        self._known: dict[int, Position] = {}
        self._call: CloseCall | None = None

    def _covers(self, position: Position) -> bool:
        ask = self._ask
        if position.strategy_id not in {None, ask.strategy_id}:
            return False
        if ask.base_asset is None or ask.quote_asset is None:
            return True
        return pair_of(position) == (ask.base_asset.upper(), ask.quote_asset.upper())

    async def run(self, *, verify: bool) -> list[ClosedPosition]:
        """Close everything, or raise what is left."""
        if not verify:
            return await self._run()
        closed: list[ClosedPosition] = []
        with contextlib.suppress(OutcomeUnknown, AnswerUnreadable):  # a list decides
            closed = await self._run()
        return _each_once(*closed, *await self._verified())

    async def _verified(self) -> list[ClosedPosition]:
        """Close what a list still shows until it shows nothing; raises NotFlat at the deadline."""
        closed: list[ClosedPosition] = []
        left: list[int] = []
        while loop_time() < self._until:
            listed = await self._view.listings.since(
                self._watch, loop_time(), self._until, self._view.options.listing_lag
            )
            if listed is None:
                break
            still_open = [position for position in listed if self._covers(position)]
            if not still_open:
                return closed
            left = [position.position_id for position in still_open]
            ended = await close_each(self._view.within(self._until - loop_time()), still_open)
            closed += [end for end in ended.values() if isinstance(end, ClosedPosition)]
        raise NotFlat(
            f"not flat at the deadline of {self._view.options.deadline:g} s: "
            + (f"{len(left)} position(s) were still listed: {left[:10]}" if left else "no list proves it"),
            still_open=tuple(left),
            method="POST",
            path=CLOSE_ALL.path,
        )

    async def _run(self) -> list[ClosedPosition]:
        self._until = await self._view.channel.begin(self._view.options.deadline)
        self._known = {pid: position for pid, position in self._watch.known_open().items() if self._covers(position)}
        self._view.follow_up.go_on()
        try:
            closed = await self._view.repeated(self._attempt, self._until, is_harmless)
        except (OutcomeUnknown, AnswerUnreadable) as failure:
            return await self._looked_at(failure, self._readable(failure))
        except asyncio.CancelledError:
            if self._call is not None and self._call.failure is not None:
                self._watch.abandon(self._call)
                self._view.follow_up.go_on()
            raise
        assert self._call is not None
        forgotten = self._known.keys() - {position.position_id for position in closed}
        forgotten &= self._watch.known_open().keys()
        if not forgotten:
            return closed
        doubt = self._call.unknown("its answer lacks positions that were open", tuple(sorted(forgotten)))
        return await self._looked_at(doubt, closed)

    async def _attempt(self, attempts: int) -> list[ClosedPosition]:
        return await self._view.attempt(CLOSE_ALL, self._request, Lane.CLOSES, attempts, self._until, self)

    def leaving(self, attempts: int, at: float, timeout: float) -> Awaitable[NotSent | None] | None:
        pair = f" {self._ask.base_asset}/{self._ask.quote_asset}" if self._ask.base_asset else ""
        self._call = CloseCall(
            number=next(self._view.account.shared.numbers),
            client=self._view.channel,
            options=self._view.options,
            sent_at=at,
            timeout=timeout,
            loop=asyncio.get_running_loop(),
            path=CLOSE_ALL.path,
            watch=self._watch,
            attempts=attempts,
            positions=dict(self._known),
            target=f"all{pair} positions of strategy {self._ask.strategy_id}",
        )
        event = events.Sweeping(self._call.number, at, timeout, self._view.options.settle_time)
        return written(self._watch, self._watch.take(event), timeout / 2)

    def told(self) -> None:
        """A close-all that was forgotten is found again: nothing has to be on disk."""

    def ended(self, result: list[ClosedPosition] | MizarError, at: float) -> list[ClosedPosition] | MizarError:
        call = self._call
        assert call is not None
        if isinstance(result, MizarError) and result.happened == "no":
            self._watch.take(events.Swept(call.number, call.sent_at))
            return result
        closed = self._readable(result)
        for position in closed:
            self._view.account.closed(position, at, certain=True)
        in_doubt = isinstance(result, OutcomeUnknown)
        self._watch.take(events.Swept(call.number, call.window_end(at) if in_doubt else at))
        if isinstance(result, MizarError):
            call.failure = result
            self._watch.closes.follow(call, at)
            return result
        return closed

    async def _looked_at(self, doubt: MizarError, closed: list[ClosedPosition]) -> list[ClosedPosition]:
        """Close by id what is still listed and was open at the sending."""
        call = self._call
        assert call is not None
        call.failure = doubt
        self._watch.closes.follow(call, loop_time())
        listed = await self._view.listings.since(self._watch, call.sent_at, self._until, call.options.listing_lag)
        if listed is None:
            self._watch.abandon(call)
            raise call.unknown(str(doubt), tuple(sorted(self._known)))
        before, unclear = self._sorted(call, listed)
        ended = await close_each(self._view.within(self._until - loop_time()), before)
        unclear += [position_id for position_id, end in ended.items() if isinstance(end, MizarError)]
        if unclear:
            self._watch.abandon(call)
            raise call.unknown(str(doubt), tuple(sorted(unclear)))
        self._view.account.acknowledge(call, None)
        by_id = (end for end in ended.values() if isinstance(end, ClosedPosition))
        return _each_once(*call.closed.values(), *closed, *by_id)

    def _sorted(self, call: CloseCall, listed: list[Position]) -> tuple[list[Position], list[int]]:
        """What of a list was open at the sending, and ids of what nobody can tell of."""
        before: list[Position] = []
        unclear: list[int] = []
        now = loop_time()
        for position in listed:
            if not self._covers(position):
                continue
            came_after = self._watch.came_after(position, call.number, call.sent_at, now)
            if position.position_id in self._known or came_after is False:
                before.append(position)
            elif came_after is None:
                unclear.append(position.position_id)
        return before, unclear

    def _readable(self, result: list[ClosedPosition] | MizarError) -> list[ClosedPosition]:
        """What an answer says to be closed of what was asked for."""
        told = getattr(result, "decoded", None) if isinstance(result, MizarError) else result
        closed = [item for item in told if isinstance(item, ClosedPosition)] if isinstance(told, list) else []
        return [position for position in closed if self._covers(position)]


def _each_once(*told: ClosedPosition) -> list[ClosedPosition]:
    """The positions in the order of their ids, each with its price where anybody told it."""
    found = {one.position_id: one for one in sorted(told, key=lambda one: one.close_price is not None)}
    return [found[position_id] for position_id in sorted(found)]
