"""Closes: repeated while in doubt, since a position that is closed can't be closed again.

The server refuses the second close of a position with 409, so after a doubt that refusal is success. After any
other a list decides, if the position was ever seen open; otherwise that refusal is the answer.
"""

from __future__ import annotations

import asyncio
import itertools

import anyio

from .._account.watch import CloseCall, unseen
from .._api.codec import encode
from .._api.endpoints import CLOSE_POSITION
from .._api.trading import ClosedPosition, ClosePosition
from .._clock import loop_time
from .._options import Options
from .._wire.channel import Channel
from .._wire.in_flight import Place, in_grace
from .._wire.rate_limit import Lane
from .._wire.retries import backoff, repeated
from ..errors import AnswerUnreadable, Conflict, MizarError, NotSent, OutcomeUnknown, RateLimited, Refused
from .follow_up import FollowUp


class Closing:
    """One call of `close_position`, through all its attempts."""

    def __init__(
        self, channel: Channel, follow_up: FollowUp, options: Options, ask: ClosePosition, place: Place | None = None
    ) -> None:
        self._channel = channel
        self._account = channel.account
        self._follow_up = follow_up
        self._options = options
        self._id = ask.position_id
        self._place = place
        self._request = encode(CLOSE_POSITION, ask)
        self._known = self._account.seen.get(ask.position_id)
        self._watch = self._account.watch_of(ask.position_id)
        self._until = loop_time() + options.deadline
        self._attempts = 0
        self._sent_at = 0.0
        self._timeout = options.timeout
        self._doubt: OutcomeUnknown | None = None
        self._result: ClosedPosition | MizarError | None = None
        self._call: CloseCall | None = None

    async def run(self) -> ClosedPosition:
        """Close the position, or raise what became of it."""
        self._follow_up.go_on()
        for repeat in itertools.count(1):
            result = await self._tried()
            if isinstance(result, ClosedPosition):
                return result
            if self._doubt is None and not isinstance(result, OutcomeUnknown):
                raise result
            if isinstance(result, Conflict):
                return self._closed_unseen()
            if isinstance(result, OutcomeUnknown):
                self._in_doubt(result)
            elif isinstance(result, AnswerUnreadable):
                raise result
            refused = isinstance(result, Refused) and not isinstance(result, RateLimited)
            if refused or not self._may_repeat():
                return await self._decided(result)
            await anyio.sleep(backoff(repeat, self._channel.rng))
        raise AssertionError("unreachable")

    async def _tried(self) -> ClosedPosition | MizarError:
        try:
            return await repeated(self._attempt, options=self._options, until=self._until, rng=self._channel.rng)
        except MizarError as failure:
            return failure

    async def _attempt(self, _: int) -> ClosedPosition:
        await self._channel.wire()
        async with self._account.turns.turn(Lane.CLOSES, self._until):
            now = loop_time()
            self._timeout = min(self._options.timeout, self._until - now)
            if self._timeout <= 0:
                raise NotSent("not sent: the deadline passed while the call waited for its turn")
            self._attempts += 1
            self._sent_at = now
            self._result = None
            if self._watch is not None:
                self._watch.closing(self._id)
            return await in_grace(self._exchange(), self._options.grace)

    async def _exchange(self) -> ClosedPosition:
        try:
            closed = await self._channel.exchange(
                CLOSE_POSITION, self._request, timeout=self._timeout, attempts=self._attempts
            )
            if closed.position_id != self._id:
                raise self._unknown(f"it was answered with position {closed.position_id}")
        except (AnswerUnreadable, Conflict) as told:
            self._result = told
            self._forget()
            raise
        except MizarError as failure:
            self._result = failure
            raise
        now = loop_time()
        if closed.close_timestamp is not None:
            self._account.clock.sample(self._sent_at, now, closed.close_timestamp)
        self._account.closed(closed, now)
        self._result = closed
        return closed

    def _forget(self) -> None:
        """The position is closed, without an answer that tells more."""
        if self._known is not None:
            self._account.closed(unseen(self._known), loop_time())

    def _in_doubt(self, doubt: OutcomeUnknown) -> None:
        self._doubt = doubt
        if self._place is not None:
            self._place.give_back()

    def _may_repeat(self) -> bool:
        # What is left then is for the list that decides.
        return self._options.max_retries > 0 and self._until - loop_time() > self._options.timeout

    def _closed_unseen(self) -> ClosedPosition:
        if self._known is None:
            raise AnswerUnreadable(
                f"position {self._id} is closed, at a price that nobody told: the answer to its close was lost, "
                "and this client never saw it open",
                method=CLOSE_POSITION.method,
                path=CLOSE_POSITION.path,
                attempts=self._attempts,
            )
        return unseen(self._known)

    async def _decided(self, failure: MizarError) -> ClosedPosition:
        """What lists say of the position, once the close can't be repeated any more."""
        if self._watch is None or self._known is None:
            if isinstance(failure, OutcomeUnknown):
                raise self._tracked().unknown(str(failure), (self._id,))
            raise failure
        call = self._tracked()
        outcome = await self._follow_up.outcome(call, self._until)
        if isinstance(outcome, tuple):
            return outcome[0]
        self._watch.abandon(call)
        raise call.unknown(str(failure), (self._id,))

    def _tracked(self) -> CloseCall:
        """Hand the doubt to the watch: it looks for what became of it, and never closes."""
        if self._call is not None:
            return self._call
        call = self._call = CloseCall(
            number=next(self._account.numbers),
            client=self._channel,
            options=self._options,
            sent_at=self._sent_at,
            loop=asyncio.get_running_loop(),
            timeout=self._timeout,
            attempts=self._attempts,
            failure=self._doubt,
            positions={} if self._known is None else {self._id: self._known},
            target=f"position {self._id}",
            path=CLOSE_POSITION.path,
        )
        if self._watch is None or self._known is None:
            self._account.cannot_trace(self._id, call)
        else:
            self._watch.follow(call)
        return call

    def _unknown(self, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"close position {self._id}: {why}",
            candidates=(self._id,),
            method=CLOSE_POSITION.method,
            path=CLOSE_POSITION.path,
            attempts=self._attempts,
        )

    def leave(self) -> ClosedPosition | MizarError:
        """Go without waiting any longer, and say what is known: the follow-up goes on."""
        if self._attempts == 0:
            return NotSent("not sent: cancelled while it waited for its turn", method="POST", path=CLOSE_POSITION.path)
        told = self._result
        if isinstance(told, (ClosedPosition, AnswerUnreadable)):
            return told
        if self._doubt is None and told is not None and not isinstance(told, OutcomeUnknown):
            return told
        call = self._tracked()
        if self._watch is not None:
            self._watch.abandon(call)
        self._follow_up.go_on()
        return call.unknown("its caller left before an answer came", (self._id,))

    def abandon(self) -> None:
        """Go without the outcome; what is in doubt is followed up."""
        if self._attempts > 0 and not isinstance(self._result, (ClosedPosition, AnswerUnreadable)):
            self.leave()


async def close_alone(closing: Closing) -> ClosedPosition:
    """Close one position; what its caller leaves in doubt is followed up."""
    try:
        return await closing.run()
    except asyncio.CancelledError:
        closing.abandon()
        raise
