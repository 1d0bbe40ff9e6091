"""Opens: sent once each, never again while in doubt, looked up instead.

An open ends in one of three ways: the position; an error whose `happened` is "no"; OutcomeUnknown. What is
known of an attempt is in the watch before its first byte leaves, and stays there when its caller goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections import defaultdict
from collections.abc import Awaitable, Iterable
from typing import Final

from .._account.calls import OpenCall
from .._account.orders import Order
from .._account.record import Record
from .._account.watch import Watch
from .._api.codec import encode
from .._api.endpoints import OPEN_POSITION
from .._api.trading import OpenPosition, Position
from .._clock import loop_time
from .._wire.channel import Attempt
from .._wire.rate_limit import Lane
from .._wire.retries import is_harmless
from ..errors import AnswerUnreadable, MizarError, NotOpened, NotSent, OutcomeUnknown, Refused
from .view import Place, View

# Seconds that a look-up for many may take: each looks for itself then.
_LOOK_AHEAD: Final = 1.0


async def look_ahead(view: View, asks: Iterable[OpenPosition]) -> None:
    """Have it looked up at once which of the names are new. Whatever stands against that is told to each by itself."""
    names: defaultdict[int, list[str]] = defaultdict(list)
    for ask in asks:
        if ask.client_order_id is not None:
            names[ask.strategy_id].append(ask.client_order_id)
    if not names:
        return
    with contextlib.suppress(MizarError):
        await view.channel.begin(view.options.deadline)
        for strategy_id, named in names.items():
            await view.account.watch(strategy_id).orders.look_up(named, _LOOK_AHEAD)


async def open_alone(opening: Opening) -> Position:
    """Open one position; what it opened after its caller left is reported as unclaimed."""
    try:
        return await opening.run()
    except asyncio.CancelledError:
        opening.abandon()
        raise


class Opening(Attempt[Position]):
    """One call of `open_position`, through all its attempts."""

    is_prompt = True

    def __init__(self, view: View, ask: OpenPosition, place: Place | None = None) -> None:
        self._view = view
        self._ask = ask
        self._place = place
        self._request = encode(OPEN_POSITION, ask)
        self._watch: Watch = view.account.watch(ask.strategy_id)
        self._until = 0.0
        self._orders = self._watch.orders
        self._record: Record | None = None
        """By which its last attempt was written down, if it was."""
        self._call: OpenCall | None = None
        self._guards = self._watch.guards.around(view.channel)
        self.repeated = False
        """True if its client order id was there before, and it has sent nothing."""

    async def run(self) -> Position:
        """Open the position, or raise what became of it."""
        self._until = await self._view.channel.begin(self._view.options.deadline)
        self._orders = self._watch.orders
        if self._ask.client_order_id is None:
            return await self._open()
        while True:
            order = self._orders.claim(self._ask, self)
            if order is None:
                await self._orders.look_up([self._ask.client_order_id], self._until - loop_time())
                continue
            self.repeated = order.opener is not self
            if not self.repeated:
                return await self._open_named(order)
            if (position := await self._ending_of(order)) is not None:
                return position

    async def _open_named(self, order: Order) -> Position:
        refused = None
        try:
            return await self._open()
        except (Refused, NotOpened) as failure:
            refused = copy.copy(failure)
            raise
        finally:
            self._orders.release(order, refused)

    async def _ending_of(self, order: Order) -> Position | None:
        """What became of an open that is another's to find out; None if it is certain that it was not opened."""
        with order.waiting() as woken:
            while order.opener is not None and order.position is None and (left := self._until - loop_time()) > 0:
                await asyncio.wait([woken], timeout=left)
        if order.position is not None:
            return await self._given(order)
        if order.refused is not None:
            raise copy.copy(order.refused)
        call = order.call
        if order.is_free:
            if call is not None:
                self._view.account.hand_over(call)
            return None
        if call is None:
            raise self._unknown("another call is about to open it")
        ending = await self._view.follow_up.ending(call, self._until)
        if isinstance(ending, Position):
            return await self._given(order)
        if isinstance(ending, OutcomeUnknown):
            raise copy.copy(ending)
        if ending is None:
            raise call.unknown("still unknown", self._watch.candidates(call))
        self._view.account.hand_over(call)
        return None

    async def _given(self, order: Order) -> Position:
        if order.call is not None:
            self._view.account.journaling.tell(order.call)
            await self._make_sure(order.call)
            self._view.account.hand_over(order.call)
        return self._orders.given(order)

    def _unknown(self, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"client_order_id={self._ask.client_order_id!r}: {why}",
            method=OPEN_POSITION.method,
            path=OPEN_POSITION.path,
        )

    async def _open(self) -> Position:
        if not self._watch.listing.has_begun:
            await self._view.listings.baseline(self._watch, self._until)
        self._view.follow_up.go_on()
        return await self._view.repeated(self._attempt, self._until, self._may_go_again)

    def _may_go_again(self, failure: BaseException) -> bool:
        if isinstance(failure, NotOpened):
            options = self._view.options
            return options.resend_absent and self._until - loop_time() >= options.timeout
        return is_harmless(failure)

    async def _attempt(self, attempts: int) -> Position:
        try:
            return await self._view.attempt(OPEN_POSITION, self._request, Lane.OTHERS, attempts, self._until, self)
        except (OutcomeUnknown, AnswerUnreadable) as failure:
            doubt = failure
        return await self._looked_up(doubt)

    def leaving(self, attempts: int, at: float, timeout: float) -> Awaitable[NotSent | None] | None:
        if any(guard.has_ended for guard in self._guards):
            raise NotSent(
                "not sent: the block of closing_positions in which it was asked for has ended",
                method=OPEN_POSITION.method,
                path=OPEN_POSITION.path,
            )
        call = OpenCall(
            number=next(self._view.account.shared.numbers),
            client=self._view.channel,
            options=self._view.options,
            sent_at=at,
            timeout=timeout,
            loop=asyncio.get_running_loop(),
            watch=self._watch,
            attempts=attempts,
            ask=self._ask,
        )
        ticket = self._watch.sending(call, self._orders)
        self._call, self._record = call, self._watch.record
        return None if self._record is None else self._record.journal.kept(ticket, timeout / 2)

    def told(self) -> Awaitable[MizarError | None] | None:
        return None if self._call is None or self._is_kept(self._call) else self._unkept(self._call)

    def _is_kept(self, call: OpenCall) -> bool:
        """Whether it is on disk what the call's caller is told, as far as that is written at all."""
        record = self._watch.record
        if self._record is not None and self._record is not record:
            return call.ticket is None and not isinstance(call.ending, Position)  # the journal was closed meanwhile
        return record is None or call.ticket is None or record.journal.is_kept(call.ticket)

    async def _unkept(self, call: OpenCall) -> MizarError | None:
        """Wait until that is on disk; or the error which says that it is not: then it may be another's tomorrow."""
        record, ticket = self._watch.record, call.ticket
        failure: MizarError | None = NotSent("the journal was closed meanwhile")
        if record is not None and ticket is not None and self._record in {None, record}:
            failure = await record.journal.kept(ticket, self._until - loop_time())
        if failure is None:
            return None
        self._watch.abandon(call)
        opened = (call.ending.position_id,) if isinstance(call.ending, Position) else ()
        return call.unknown(f"what became of it can't be written down ({failure})", opened)

    async def _make_sure(self, call: OpenCall) -> None:
        if not self._is_kept(call) and (failure := await self._unkept(call)) is not None:
            raise failure

    def ended(self, result: Position | MizarError, at: float) -> Position | MizarError:
        call = self._call
        assert call is not None
        if isinstance(result, Position):
            return self._watch.answered(call, result, at) or result
        self._watch.failed(call, result, at)
        return result

    async def _looked_up(self, doubt: MizarError) -> Position:
        """What became of the attempt in doubt: the position, or the error that it is."""
        call = self._call
        assert call is not None
        call.failure = doubt
        if self._place is not None:
            self._place.give_back()
        ending = await self._view.follow_up.ending(call, self._until)
        await self._make_sure(call)
        if isinstance(ending, Position):
            return ending
        if isinstance(ending, NotOpened):
            raise ending
        self._watch.abandon(call)
        raise call.unknown(str(doubt), self._watch.candidates(call))

    def leave(self) -> Position | MizarError:
        """Go without waiting any longer, and say what is known: the follow-up goes on."""
        call = self._call
        if call is None and self.repeated:
            return self._unknown("its caller left before it was known what became of it")
        if call is None:
            return NotSent("not sent: cancelled while it waited for its turn", method="POST", path=OPEN_POSITION.path)
        if call.ending is None or not self._is_kept(call):
            self.abandon()
            return call.unknown("its caller left before an answer came", self._watch.candidates(call))
        assert isinstance(call.ending, (Position, MizarError))
        return call.ending

    def abandon(self) -> None:
        """Go without the ending: whatever is found later counts as unclaimed until somebody resolves it."""
        if self._call is not None:
            self._watch.abandon(self._call)
            self._view.follow_up.go_on()
