"""Closes: repeated while in doubt, since a position that is closed can't be closed again.

The server refuses the second close of a position with 409, so after a doubt that refusal is success. Otherwise a doubt
stays one, whatever a later attempt has to say of itself, until a list decides: of a position that was seen open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from .._account.calls import CloseCall, same_pair, unseen
from .._account.watch import Watch
from .._api.codec import encode
from .._api.endpoints import CLOSE_POSITION
from .._api.trading import ClosedPosition, ClosePosition, Position
from .._clock import loop_time
from .._journal.journal import Journal
from .._ledger import events
from .._wire.channel import Attempt
from .._wire.rate_limit import Lane
from .._wire.retries import is_harmless
from ..errors import AnswerUnreadable, Conflict, MizarError, NotSent, OutcomeUnknown
from .view import Place, View


def written(watch: Watch, ticket: int, patience: float) -> Awaitable[None] | None:
    """To be waited for before a close leaves. It leaves though it can't be written down, with one warning."""
    record = watch.record
    return None if record is None else _written(record.journal, ticket, patience)


async def _written(journal: Journal, ticket: int, patience: float) -> None:
    if (failure := await journal.kept(ticket, patience)) is not None:
        journal.warn_once(failure)


async def close_alone(closing: Closing) -> ClosedPosition:
    """Close one position; what its caller leaves in doubt is followed up."""
    try:
        return await closing.run()
    except asyncio.CancelledError:
        closing.abandon()
        raise


class Closing(Attempt[ClosedPosition]):
    """One call of `close_position`, through all its attempts."""

    repeated = is_prompt = False

    def __init__(self, view: View, ask: ClosePosition, place: Place | None = None) -> None:
        self._view = view
        self._id = ask.position_id
        self._place = place
        self._request = encode(CLOSE_POSITION, ask)
        self._watch: Watch | None = None
        self._known: Position | None = None
        self._until = 0.0
        self._sent: tuple[int, float, float] | None = None
        self._told: ClosedPosition | MizarError | None = None
        self._call: CloseCall | None = None
        """The doubt about it, if there is one."""

    async def run(self) -> ClosedPosition:
        """Close the position, or raise what became of it."""
        self._until = await self._view.channel.begin(self._view.options.deadline)
        if found := self._view.account.watch_of(self._id):
            self._watch, self._known = found
        self._view.follow_up.go_on()
        try:
            return await self._view.repeated(self._attempt, self._until, self._may_go_again)
        except MizarError as failure:
            last = failure
        if self._call is None:
            raise last
        if not isinstance(last, (AnswerUnreadable, Conflict)):
            return await self._decided(self._call)
        self._view.account.acknowledge(self._call, None)
        if isinstance(last, AnswerUnreadable):
            raise last
        return self._closed_unseen()

    def _may_go_again(self, failure: BaseException) -> bool:
        if isinstance(failure, OutcomeUnknown):
            # What is left after that is for the list that decides.
            return self._until - loop_time() > self._view.options.timeout
        return is_harmless(failure)

    async def _attempt(self, attempts: int) -> ClosedPosition:
        try:
            return await self._view.attempt(CLOSE_POSITION, self._request, Lane.CLOSES, attempts, self._until, self)
        except OutcomeUnknown:
            if self._place is not None:
                self._place.give_back()
            raise

    def leaving(self, attempts: int, at: float, timeout: float) -> Awaitable[NotSent | None] | None:
        self._sent, self._told = (attempts, at, timeout), None
        if self._watch is None:
            return None
        options = self._view.options
        event = events.Closing(self._id, at, timeout, options.settle_time, options.listing_lag)
        return written(self._watch, self._watch.take(event), timeout / 2)

    def told(self) -> None:
        """A close that was forgotten is found again: nothing has to be on disk."""

    def ended(self, result: ClosedPosition | MizarError, at: float) -> ClosedPosition | MizarError:
        assert self._sent is not None
        if isinstance(result, ClosedPosition) and (wrong := self._contradiction(result)):
            result = self._unknown(f"it was answered with {wrong}")
        self._told = result
        if isinstance(result, ClosedPosition):
            self._view.account.closed(result, at, certain=True)
            if result.close_timestamp is not None:
                self._view.account.sample(self._sent[1], at, result.close_timestamp)
        elif isinstance(result, (AnswerUnreadable, Conflict)):
            if self._known is not None:
                self._view.account.closed(unseen(self._known), at, certain=False)
        elif isinstance(result, OutcomeUnknown):
            self._doubt(result, at)
        return result

    def _contradiction(self, told: ClosedPosition) -> str | None:
        if told.position_id != self._id:
            return f"position {told.position_id}"
        known = self._known
        if known is not None and not same_pair(told, known):
            return f"a position of {told.base_asset}/{told.quote_asset}"
        if known is not None and told.strategy_id not in {None, known.strategy_id}:
            return f"a position of strategy {told.strategy_id}"
        return None

    def _doubt(self, doubt: OutcomeUnknown, at: float) -> None:
        """Hand the doubt to the watch: it looks for what became of it, and never closes."""
        assert self._sent is not None
        attempts, sent_at, timeout = self._sent
        if self._call is None:
            self._call = CloseCall(
                number=next(self._view.account.shared.numbers),
                client=self._view.channel,
                options=self._view.options,
                sent_at=sent_at,
                timeout=timeout,
                loop=asyncio.get_running_loop(),
                path=CLOSE_POSITION.path,
                watch=self._watch,
                positions={} if self._known is None else {self._id: self._known},
                target=f"position {self._id}",
            )
        call = self._call
        call.doubted_again(attempts, sent_at, timeout, doubt)
        if self._watch is None:
            self._view.account.cannot_trace(call, self._id)
        else:
            self._watch.closes.follow(call, at)

    def _closed_unseen(self) -> ClosedPosition:
        if self._known is None:
            raise AnswerUnreadable(
                f"position {self._id} is closed, at a price that nobody told: the answer to its close was lost, "
                "and this client knew of no such position that was open",
                method=CLOSE_POSITION.method,
                path=CLOSE_POSITION.path,
                attempts=self._sent[0] if self._sent else 0,
            )
        return unseen(self._known)

    async def _decided(self, call: CloseCall) -> ClosedPosition:
        """What lists say of the position, once the close can't be repeated any more."""
        if self._watch is None and self._view.account.shared.is_closed(self._id):
            return self._closed_unseen()
        if self._watch is None:
            raise call.unknown(str(call.failure), (self._id,))
        ending = await self._view.follow_up.ending(call, self._until)
        if isinstance(ending, tuple):
            return ending[0]
        self._watch.abandon(call)
        raise call.unknown(str(call.failure), (self._id,))

    def _unknown(self, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"close position {self._id}: {why}",
            candidates=(self._id,),
            method=CLOSE_POSITION.method,
            path=CLOSE_POSITION.path,
            attempts=self._sent[0] if self._sent else 0,
        )

    def leave(self) -> ClosedPosition | MizarError:
        """Go without waiting any longer, and say what is known: the follow-up goes on."""
        call, told = self._call, self._told
        if isinstance(told, (ClosedPosition, AnswerUnreadable)) or (told is not None and call is None):
            return told
        if call is None:
            return NotSent("not sent: cancelled while it waited for its turn", method="POST", path=CLOSE_POSITION.path)
        self.abandon()
        return call.unknown("its caller left before an answer came", (self._id,))

    def abandon(self) -> None:
        """Go without the ending; what is in doubt is followed up."""
        if self._call is not None:
            self._view.account.abandon(self._call)
            self._view.follow_up.go_on()
