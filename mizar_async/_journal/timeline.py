"""One timeline for a journal, in seconds since the epoch, though each run has a monotonic clock of its own.

A run maps its clock to the timeline once, when it opens the journal. Whether the wall clock was stepped between two
runs is seen by a clock that nobody steps, and that goes on while the machine sleeps; where there is none, or the
machine was started anew, it is not known, and taken to be so.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import attrs

from .._clock import Instant

T = TypeVar("T")

STEP: Final = 1.0
"""Seconds by which two clocks may differ before one is taken to be stepped."""

_MARGIN: Final = 1e-3
"""Seconds, far more than the reading of two clocks takes, by which what is compared over runs is widened."""

_BEGINNINGS: Final = frozenset({"earliest", "sent"})
_ENDS: Final = frozenset({"latest", "window_end", "until", "swept_until"})
_TIMES: Final = frozenset({"at", "asked_at", "last", "now", "began", "ended_at", "seen_at", "sent_at"})
_BY_ID: Final = frozenset({"open", "leaving", "perhaps_closed", "missing_since", "shown_since", "ended_runs"})


def shifted(value: T, by: float) -> T:
    """An event or a state of another run, on the clock of this one; what begins or ends a window is widened."""
    changes: dict[str, Any] = {}
    kind: Any = type(value)
    for field in attrs.fields(kind):
        name, known = field.name, getattr(value, field.name)
        if name in _BY_ID and isinstance(known, dict):
            changes[name] = {key: at + by for key, at in known.items()}
        elif isinstance(known, float):
            if (moved := _moved(name, by)) is not None:
                changes[name] = known + moved
        elif isinstance(known, tuple):
            changes[name] = tuple(shifted(one, by) if attrs.has(type(one)) else one for one in known)
        elif attrs.has(type(known)):
            changes[name] = shifted(known, by)
    known_as: Any = value
    return attrs.evolve(known_as, **changes) if changes else value


def _moved(name: str, by: float) -> float | None:
    if name in _BEGINNINGS:
        return by - _MARGIN
    if name in _ENDS:
        return by + _MARGIN
    return by if name in _TIMES else None


def was_stepped(before: Instant, now: Instant) -> bool:
    """Whether the wall clock can't tell how long ago another run was."""
    if before.boot != now.boot or not now.boot:
        return True
    return abs((now.wall - before.wall) - (now.unstepped - before.unstepped)) > STEP
