"""Opens: sent once each, never again while in doubt, looked up instead.

An open ends in one of three ways: the position; an error whose `happened` is "no"; OutcomeUnknown. What is
known of an attempt is in the watch before its first byte leaves, and stays there when its caller goes.
"""

from __future__ import annotations

import asyncio

from .._account.watch import OpenCall, Watch
from .._api.codec import encode
from .._api.endpoints import OPEN_POSITION
from .._api.trading import OpenPosition, Position
from .._clock import loop_time
from .._options import Options
from .._wire.channel import Channel
from .._wire.in_flight import Place, in_grace
from .._wire.rate_limit import Lane
from .._wire.retries import repeated
from ..errors import AnswerUnreadable, MizarError, NotOpened, NotSent, OutcomeUnknown
from .follow_up import FollowUp


async def open_alone(opening: Opening) -> Position:
    """Open one position; what it opened after its caller left is reported as unclaimed."""
    try:
        return await opening.run()
    except asyncio.CancelledError:
        opening.abandon()
        raise


class Opening:
    """One call of `open_position`, through all its attempts."""

    def __init__(
        self, channel: Channel, follow_up: FollowUp, options: Options, ask: OpenPosition, place: Place | None = None
    ) -> None:
        self._channel = channel
        self._follow_up = follow_up
        self._options = options
        self._ask = ask
        self._place = place
        self._request = encode(OPEN_POSITION, ask)
        self._watch: Watch = channel.account.watch(ask.strategy_id)
        self._until = loop_time() + options.deadline
        self._attempts = 0
        self._call: OpenCall | None = None

    async def run(self) -> Position:
        """Open the position, or raise what became of it."""
        watch = self._watch
        if not watch.begun:
            await self._follow_up.begin(watch, self._until)
        self._follow_up.go_on()
        while True:
            try:
                return await repeated(self._attempt, options=self._options, until=self._until, rng=self._channel.rng)
            except (OutcomeUnknown, AnswerUnreadable) as failure:
                doubt = failure
            outcome = await self._looked_up(doubt)
            if isinstance(outcome, Position):
                return outcome
            if not self._may_send_again():
                raise outcome

    def leave(self) -> Position | MizarError:
        """Go without waiting any longer, and say what is known: the follow-up goes on."""
        call = self._call
        if call is None:
            return NotSent("not sent: cancelled while it waited for its turn", method="POST", path=OPEN_POSITION.path)
        if call.outcome is None:
            self.abandon()
            return call.unknown("its caller left before an answer came", self._watch.candidates(call))
        assert isinstance(call.outcome, (Position, MizarError))
        return call.outcome

    def abandon(self) -> None:
        """Go without the outcome: whatever is found later counts as unclaimed until somebody resolves it."""
        if self._call is not None:
            self._watch.abandon(self._call)
            self._follow_up.go_on()

    async def _attempt(self, _: int) -> Position:
        await self._channel.wire()
        async with self._channel.account.turns.turn(Lane.OTHERS, self._until):
            now = loop_time()
            timeout = min(self._options.timeout, self._until - now)
            if timeout <= 0:
                raise NotSent("not sent: the deadline passed while the call waited for its turn")
            self._attempts += 1
            call = OpenCall(
                number=next(self._channel.account.numbers),
                client=self._channel,
                options=self._options,
                sent_at=now,
                loop=asyncio.get_running_loop(),
                timeout=timeout,
                attempts=self._attempts,
                ask=self._ask,
            )
            self._watch.sending(call)
            self._call = call
            return await in_grace(self._exchange(call), self._options.grace)

    async def _exchange(self, call: OpenCall) -> Position:
        watch = self._watch
        try:
            position = await self._channel.exchange(
                OPEN_POSITION, self._request, timeout=call.timeout, attempts=call.attempts
            )
        except AnswerUnreadable:
            watch.doubted(call, loop_time(), said_yes=True)
            raise
        except MizarError as failure:
            if failure.happened == "no":
                watch.refused(call, failure)
            else:
                watch.doubted(call, loop_time())
            raise
        except BaseException:  # the grace is over, or the loop ends
            watch.doubted(call, call.loop.time())
            raise
        if not watch.answered(call, position, loop_time()):
            raise call.unknown("it was answered with a position that belongs to another call", (position.position_id,))
        return position

    async def _looked_up(self, doubt: MizarError) -> Position | NotOpened:
        """What became of the attempt in doubt; raises OutcomeUnknown if nobody can tell by the deadline."""
        call = self._call
        assert call is not None
        call.failure = doubt
        if self._place is not None:
            self._place.give_back()
        outcome = await self._follow_up.outcome(call, self._until)
        if isinstance(outcome, (Position, NotOpened)):
            return outcome
        self._watch.abandon(call)
        raise call.unknown(str(doubt), self._watch.candidates(call))

    def _may_send_again(self) -> bool:
        options = self._options
        return options.resend_absent and options.max_retries > 0 and self._until - loop_time() >= options.timeout
