"""What is repeated, and when: one policy, in one loop for each call, so that `max_retries` counts every repeat.

    no connection was made   repeated, whatever the call: nothing was sent
    it may not leave         never: the door is shut, the client closed, or the deadline too near
    429                      repeated, whatever the call: nothing was done
    a read that failed       repeated: connection errors, time-outs, 5xx
    an open in doubt         never while it is; proven absent, only if the user wants that (`resend_absent`)
    a close in doubt         repeated: the server refuses the second close of a position
    a close-all in doubt     never: a late one would close what was opened since

Waits grow exponentially with full jitter (a random part of 0.25 s, 0.5 s, 1 s, ... up to 8 s), are at least what
`Retry-After` asks for, and never reach beyond the deadline: then the last error leaves instead.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from .._options import Options
from ..errors import MizarError, NotSent, RateLimited, Unavailable
from .rate_limit import LONGEST_PAUSE

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 8.0


def backoff(repeat: int, rng: random.Random) -> float:
    """Seconds before the n-th repeat, counted from 1."""
    return rng.uniform(0.0, min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(repeat - 1, 16)))


def is_harmless(failure: BaseException) -> bool:
    """Whether a call that failed so may be made again without any doubt about the first one."""
    if isinstance(failure, (NotSent, Unavailable)):
        return not _final(failure)
    return isinstance(failure, RateLimited)


def _final(failure: NotSent | Unavailable) -> bool:
    # What was not even tried, since a door is shut or the client closed, is not tried again.
    return failure.attempts == 0 or (failure.status is not None and failure.status < 500)


async def repeated(
    attempt: Callable[[int], Awaitable[T]],
    *,
    again: Callable[[BaseException], bool],
    options: Options,
    until: float,
    rng: random.Random,
) -> T:
    """Make a call until it works, or may not be made `again`; `attempt` gets the number of the attempt, from 1."""
    try:
        return await attempt(1)
    except MizarError as failure:
        first = failure
    if options.max_retries == 0 or not again(first):
        raise first
    return await _repeated_after(first, attempt, again, options, until, rng)


async def _repeated_after(
    first: MizarError,
    attempt: Callable[[int], Awaitable[T]],
    again: Callable[[BaseException], bool],
    options: Options,
    until: float,
    rng: random.Random,
) -> T:
    # Imported by the first failure, since a good day needs none of it.
    from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

    def wait(state: RetryCallState) -> float:
        assert state.outcome is not None
        asked = getattr(state.outcome.exception(), "retry_after", None)
        return max(backoff(state.attempt_number, rng), min(asked or 0.0, LONGEST_PAUSE))

    def beyond_deadline(state: RetryCallState) -> bool:
        return asyncio.get_running_loop().time() + state.upcoming_sleep >= until

    enough = stop_after_attempt(options.max_retries + 1)
    retrying = AsyncRetrying(
        sleep=anyio.sleep,
        stop=lambda state: enough(state) or beyond_deadline(state),
        wait=wait,
        retry=retry_if_exception(again),
        reraise=True,
    )

    async def numbered() -> T:
        number: int = retrying.statistics["attempt_number"]
        if number == 1:
            raise first  # it has been made already: tenacity begins with its failure
        return await attempt(number)

    return await retrying(numbered)
