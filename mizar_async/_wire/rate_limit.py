"""When a request may leave: the budget of a key, the pauses that the server asks for, and a lane for closes.

`RateLimit` is pure: it is told the time, and says how long to wait. Budgets are windows that slide: of
`requests_per_second` at most so many leave in any one second. Opens and ordinary reads share nine tenths of
each budget; closes, and the lists they need, may use all of it, so they never wait behind opens.

A pause is as long as the server asks for, up to `LONGEST_PAUSE`: one absurd header must not mute a key whose
positions are open. Who comes back earlier than it was told sends a probe, one request alone, and closes are
asked for it first. The others wait until the server has answered it: anything but 429 lets all go, a 429 begins
another pause. A probe that ends without an answer is followed by another one.

It decides when, never what: a call that could not have its turn was not sent, and nothing else.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from heapq import heappop, heappush
from typing import Final

from ..errors import InvalidInput

LONGEST_PAUSE: Final = 60.0
"""Seconds that one 429 can keep a key waiting."""

_LARGEST_BUDGET: Final = 1_000_000

_FIRST_PAUSE: Final = 1.0
_LONGEST_GUESS: Final = 30.0
# Closes go first after a pause: opens follow this much later.
_HEAD_START: Final = 0.1
# Who waits for a probe asks this often; it is less than the head start, so that the next probe is a close.
_ASKS_AGAIN: Final = 0.05


class Lane(enum.Enum):
    """Whose turn comes first: closes, with the lists they need, or everything else."""

    CLOSES = "closes"
    OTHERS = "others"


class Window:
    """At most `limit` turns in any `span` seconds."""

    def __init__(self, limit: int, span: float) -> None:
        self._span = span
        self._turns: deque[float] = deque(maxlen=limit)

    def free_at(self) -> float:
        """The earliest time of the next turn."""
        full = len(self._turns) == self._turns.maxlen
        return self._turns[0] + self._span if full else 0.0

    def take(self, at: float) -> None:
        self._turns.append(at)


def _checked(name: str, limit: int | None) -> int | None:
    if limit is None or (type(limit) is int and 1 <= limit <= _LARGEST_BUDGET):
        return limit
    raise InvalidInput(f"{name}={limit!r} is refused: it must be a whole number from 1 to {_LARGEST_BUDGET}, or None")


class RateLimit:
    """The turns of one key at one host. Times are seconds on any one clock."""

    def __init__(self, per_second: int | None = None, per_minute: int | None = None) -> None:
        self._paused_until = 0.0
        self._pauses = 0
        self._cut_short = False
        self._probe: tuple[object, float] | None = None
        self.budgets: tuple[int | None, int | None] = (None, None)
        """Turns in a second and in a minute; None for as many as are wanted."""
        self._all: list[Window] = []
        self._others: list[Window] = []
        self._given_back: list[float] = []
        self.set_budgets(per_second, per_minute)

    def set_budgets(self, per_second: int | None, per_minute: int | None) -> None:
        """Change the budgets, and count anew if they are others; a pause goes on. Raises InvalidInput."""
        budgets = (_checked("requests_per_second", per_second), _checked("requests_per_minute", per_minute))
        if budgets == self.budgets:
            return
        self.budgets = budgets
        spans = [(limit, span) for limit, span in zip(budgets, (1.0, 60.0), strict=True) if limit is not None]
        self._all = [Window(limit, span) for limit, span in spans]
        # A tenth is kept for closes, but never so much that nothing else could leave.
        self._given_back = []
        self._others = [Window(max(1, limit - max(1, limit // 10)), span) for limit, span in spans]

    def reserve(self, lane: Lane, now: float, until: float = math.inf) -> float:
        """Book the next turn of a lane, and say how long it is until then; closes need no booking.

        A turn that comes after `until` is not booked.
        """
        if lane is Lane.CLOSES or not self._others:
            return 0.0
        while self._given_back and self._given_back[0] < now:
            heappop(self._given_back)
        if self._given_back:
            return (heappop(self._given_back) if self._given_back[0] <= until else self._given_back[0]) - now
        turn = max(now, *(window.free_at() for window in self._others))
        if turn <= until:
            for window in self._others:
                window.take(turn)
        return turn - now

    def give_back(self, lane: Lane, turn: float) -> None:
        """Who had booked a turn does not want it any more: the next one has it."""
        if lane is not Lane.CLOSES and self._others:
            heappush(self._given_back, turn)

    def enter(self, lane: Lane, now: float, who: object = None, until: float = math.inf) -> float:
        """Take the turn if it may be taken now (0.0), or say how long to wait before asking again.

        A probe is waited for until its answer comes, `who` has `left`, or the time is `until`.
        """
        opens_at = self._paused_until + (0.0 if lane is Lane.CLOSES else _HEAD_START * (self._paused_until > 0))
        free = max([opens_at, *(window.free_at() for window in self._all)])
        if free > now:
            return free - now
        if self._probe is not None and now < self._probe[1]:
            return _ASKS_AGAIN
        self._probe = (who, until) if self._cut_short else None
        for window in self._all:
            window.take(now)
        return 0.0

    def left(self, who: object, now: float) -> None:
        """The exchange of `who` is over: if it was a probe, and brought no answer, another one may go."""
        if self._probe is not None and self._probe[0] is who:
            self._probe = None
            self._paused_until = max(self._paused_until, now)

    def pause(self, seconds: float | None, now: float) -> None:
        """Let nothing leave for a while, after a 429: as long as the server asked for, or longer each time."""
        if now >= self._paused_until:
            self._pauses += 1
        if seconds is None:
            seconds = min(_LONGEST_GUESS, _FIRST_PAUSE * 2.0 ** (min(self._pauses, 16) - 1))
        self._cut_short = self._cut_short or seconds > LONGEST_PAUSE
        self._probe = None
        self._paused_until = max(self._paused_until, now + min(seconds, LONGEST_PAUSE))

    def answered(self) -> None:
        """The server answered something else than 429."""
        self._pauses = 0
        # Without a probe it is an answer to what left before the pause, and says nothing of it.
        if self._probe is not None:
            self._probe, self._cut_short = None, False

    @property
    def idle(self) -> bool:
        """True while nothing has to wait."""
        return not self._all and self._paused_until == 0.0
