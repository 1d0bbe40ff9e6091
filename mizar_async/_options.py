"""What a user can set, documented once."""

from __future__ import annotations

import math
from typing import Any

import attrs

from .errors import InvalidInput


def amount(unit: str, minimum: float, *, inclusive: bool) -> Any:
    """A validator of a field: a finite number of that unit."""

    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < minimum or (value == minimum and not inclusive):  # type: ignore[operator]
            bound = f"{minimum:g} or more" if inclusive else f"more than {minimum:g}"
            raise InvalidInput(f"{field.name}={value!r} is refused: it must be a finite number of {unit}, {bound}")

    return check


def seconds(name: str, value: object) -> float:
    """A time that a call was given, or InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise InvalidInput(f"{name}={value!r} is refused: it must be a finite number of seconds, 0 or more")
    return float(value)


def _count(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(f"{field.name}={value!r} is refused: it must be a whole number, 0 or more")


def _flag(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidInput(f"{field.name}={value!r} is refused: it must be True or False")


_LEAST_DEADLINE = 0.05

_positive = amount("seconds", 0, inclusive=False)
_not_negative = amount("seconds", 0, inclusive=True)


@attrs.frozen(kw_only=True)
class Options:
    """How patient calls are. A client has one set; `with_options` gives a view of it with another."""

    timeout: float = attrs.field(default=10.0, validator=_positive)
    """Seconds for one attempt in all, from taking a connection to the last byte of the answer."""

    deadline: float = attrs.field(default=30.0, validator=_positive)
    """Seconds for one call in all, with its repeats, waits and look-ups. Every call ends by then."""

    max_retries: int = attrs.field(default=3, validator=_count)
    """How often a call is repeated; 0 means that its own request is on the wire at most once."""

    settle_time: float = attrs.field(default=15.0, validator=_not_negative)
    """Seconds after which a server that got a request, and gave no answer, no longer acts on it."""

    listing_lag: float = attrs.field(default=1.0, validator=_not_negative)
    """Seconds that a list of open positions may be behind."""

    others_close: bool = attrs.field(default=False, validator=_flag)
    """True if somebody else may close positions of these strategies: then an open that is not found
    may have been opened and closed, and ends as OutcomeUnknown in place of NotOpened."""

    resend_absent: bool = attrs.field(default=False, validator=_flag)
    """True repeats an open whose absence was proven, within the deadline; otherwise it ends as NotOpened."""

    grace: float = attrs.field(default=2.0, validator=_not_negative)
    """Seconds that a write in flight may go on after its caller was cancelled."""

    def __attrs_post_init__(self) -> None:
        needed = 2 * self.timeout + self.settle_time + self.listing_lag
        if self.resend_absent and self.deadline < needed:
            raise InvalidInput(
                f"resend_absent=True with deadline={self.deadline:g} is refused: to prove an open absent and send "
                "it again takes 2 x timeout + settle_time + listing_lag, so the deadline must be at least "
                f"{needed:g} s"
            )

    def but(self, **changes: Any) -> Options:
        """These options with some changed; None changes nothing."""
        return attrs.evolve(self, **{name: value for name, value in changes.items() if value is not None})

    def within(self, left: float) -> Options:
        """These options for a part of a larger call, of which so many seconds are left."""
        if left >= self.deadline:
            return self
        deadline = max(left, _LEAST_DEADLINE)
        return self.but(deadline=deadline, timeout=min(self.timeout, deadline), resend_absent=False)
