"""Close-all: sent once, then looked at.

A repeat that comes late would also close what was opened since, so an uncertain close-all is not sent again.
What is still listed, and was open when it was sent, is closed by id instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import anyio

from .._account.watch import CloseCall
from .._api.codec import encode
from .._api.endpoints import CLOSE_ALL
from .._api.trading import CloseAll, ClosedPosition, ClosePosition, Position
from .._clock import loop_time
from .._options import Options, clipped
from .._wire.channel import Channel
from .._wire.in_flight import in_grace
from .._wire.rate_limit import Lane
from .._wire.retries import repeated
from ..errors import AnswerUnreadable, Conflict, MizarError, NotFlat, OutcomeUnknown
from .closes import Closing
from .follow_up import FollowUp

_AT_ONCE = 64


async def close_each(
    channel: Channel, follow_up: FollowUp, options: Options, position_ids: Iterable[int]
) -> dict[int, ClosedPosition | MizarError]:
    """Close positions by id, many at a time, and say of each what became of it."""
    ended: dict[int, ClosedPosition | MizarError] = {}
    at_once = anyio.CapacityLimiter(_AT_ONCE)

    async def close(position_id: int) -> None:
        async with at_once:
            closing = Closing(channel, follow_up, options, ClosePosition(position_id))
            try:
                ended[position_id] = await closing.run()
            except MizarError as failure:
                ended[position_id] = failure
            except asyncio.CancelledError:
                ended[position_id] = closing.leave()
                raise

    async with anyio.create_task_group() as closes:
        for position_id in position_ids:
            closes.start_soon(close, position_id)
    return ended


class ClosingAll:
    """One call of `close_all_positions`."""

    def __init__(self, channel: Channel, follow_up: FollowUp, options: Options, ask: CloseAll) -> None:
        self._channel = channel
        self._account = channel.account
        self._follow_up = follow_up
        self._options = options
        self._ask = ask
        self._watch = channel.account.watch(ask.strategy_id)
        self._until = loop_time() + options.deadline
        self._known = {pid: self._account.seen[pid] for pid in self._watch.known_open()}
        self._known = {pid: position for pid, position in self._known.items() if self._covers(position)}
        self._sent_at = 0.0
        self._number = 0

    def _covers(self, position: Position) -> bool:
        pair = (self._ask.base_asset, self._ask.quote_asset)
        return pair in {(None, None), (position.base_asset, position.quote_asset)}

    async def run(self, *, verify: bool) -> list[ClosedPosition]:
        """Close everything, or raise what is left."""
        closed = await self._run()
        if verify:
            closed += await self._verified()
        return closed

    async def _verified(self) -> list[ClosedPosition]:
        """Close what a list still shows until it shows nothing; raises NotFlat at the deadline."""
        closed: list[ClosedPosition] = []
        left: list[int] = []
        while (remaining := self._until - loop_time()) > 0:
            listed = await self._follow_up.listing(self._watch, loop_time(), self._until)
            if listed is None:
                break
            left = [position.position_id for position in listed if self._covers(position)]
            if not left:
                return closed
            ended = await close_each(self._channel, self._follow_up, clipped(self._options, remaining), left)
            closed += [end for end in ended.values() if isinstance(end, ClosedPosition)]
        raise NotFlat(
            f"not flat at the deadline of {self._options.deadline:g} s: "
            + (f"{len(left)} position(s) were still listed: {left[:10]}" if left else "no list proves it"),
            still_open=tuple(left),
            method="POST",
            path=CLOSE_ALL.path,
        )

    async def _run(self) -> list[ClosedPosition]:
        self._follow_up.go_on()
        try:
            closed = await repeated(self._attempt, options=self._options, until=self._until, rng=self._channel.rng)
        except (OutcomeUnknown, AnswerUnreadable) as failure:
            doubt: MizarError = failure
            closed = _readable(failure)
        else:
            forgotten = self._known.keys() - {position.position_id for position in closed}
            if not (forgotten & set(self._watch.known_open())):
                return closed
            doubt = self._call().unknown("its answer lacks positions that were open", tuple(sorted(forgotten)))
        return await self._looked_at(doubt, closed)

    async def _attempt(self, attempts: int) -> list[ClosedPosition]:
        await self._channel.wire()
        async with self._account.turns.turn(Lane.CLOSES, self._until):
            self._sent_at = loop_time()
            self._number = next(self._account.numbers)
            self._watch.sweeping(self._sent_at)
            return await in_grace(self._exchange(attempts), self._options.grace)

    async def _exchange(self, attempts: int) -> list[ClosedPosition]:
        timeout = min(self._options.timeout, max(0.0, self._until - self._sent_at))
        try:
            closed = await self._channel.exchange(
                CLOSE_ALL, encode(CLOSE_ALL, self._ask), timeout=timeout, attempts=attempts
            )
        except AnswerUnreadable as failure:
            self._record(_readable(failure))
            raise
        except asyncio.CancelledError:  # its caller is gone: from now on it is only looked at
            call = self._call()
            self._watch.follow(call)
            self._watch.abandon(call)
            raise
        else:
            self._record(closed)
            return closed
        finally:
            self._watch.sweeping(asyncio.get_running_loop().time())

    def _record(self, closed: Iterable[ClosedPosition]) -> None:
        now = loop_time()
        for position in closed:
            self._account.closed(position, now)

    def _call(self) -> CloseCall:
        pair = f" {self._ask.base_asset}/{self._ask.quote_asset}" if self._ask.base_asset else ""
        return CloseCall(
            number=self._number,
            client=self._channel,
            options=self._options,
            sent_at=self._sent_at,
            loop=asyncio.get_running_loop(),
            timeout=self._options.timeout,
            positions=dict(self._known),
            target=f"all{pair} positions of strategy {self._ask.strategy_id}",
            path=CLOSE_ALL.path,
        )

    async def _looked_at(self, doubt: MizarError, closed: list[ClosedPosition]) -> list[ClosedPosition]:
        """Close by id what is still listed and was open at the sending."""
        call = self._call()
        call.failure = doubt
        self._watch.follow(call)
        listed = await self._follow_up.listing(self._watch, self._sent_at, self._until)
        if listed is None:
            self._watch.abandon(call)
            raise call.unknown(str(doubt), tuple(sorted(self._known)))
        left = [position for position in listed if self._covers(position)]
        before = [position.position_id for position in left if self._was_open(position)]
        unclear = [
            position.position_id
            for position in left
            if position.position_id not in before and not self._came_after(position)
        ]
        remaining = clipped(self._options, self._until - loop_time())
        ended = await close_each(self._channel, self._follow_up, remaining, before)
        unclear += [
            pid for pid, end in ended.items() if not isinstance(end, (ClosedPosition, AnswerUnreadable, Conflict))
        ]
        if unclear:
            self._watch.abandon(call)
            raise call.unknown(str(doubt), tuple(sorted(unclear)))
        self._watch.forget(call)
        found = {position.position_id: position for position in (*call.closed.values(), *closed)}
        found |= {pid: end for pid, end in ended.items() if isinstance(end, ClosedPosition)}
        return [found[pid] for pid in sorted(found)]

    def _was_open(self, position: Position) -> bool:
        if position.position_id in self._known:
            return True
        return not self._is_ours_since(position) and self._opened(position)[1] <= self._sent_at

    def _came_after(self, position: Position) -> bool:
        return self._is_ours_since(position) or self._opened(position)[0] > self._sent_at

    def _is_ours_since(self, position: Position) -> bool:
        owner = self._watch.owner(position.position_id)
        return owner is not None and owner > self._number

    def _opened(self, position: Position) -> tuple[float, float]:
        return self._watch.opened_between(position, loop_time())


def _readable(failure: MizarError) -> list[ClosedPosition]:
    decoded = getattr(failure, "decoded", None)
    return [item for item in decoded if isinstance(item, ClosedPosition)] if isinstance(decoded, list) else []
