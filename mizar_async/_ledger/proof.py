"""What lists prove of the positions that are known: whether a list is fresh, and what close-alls may have closed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from .events import Cut, Row, Sweeping, Swept, Vanished, Verdict, run_of

if TYPE_CHECKING:
    from .known import Known
    from .records import Attempt


@attrs.frozen
class UnderWay:
    """A close-all that was sent, and has not ended yet."""

    sweep: int
    at: float
    timeout: float
    settle_time: float


class Sweeps:
    """The close-alls of ours that may have closed something unseen."""

    def __init__(self) -> None:
        self.under_way: dict[int, UnderWay] = {}
        self.until = -math.inf

    def begin(self, event: Sweeping) -> None:
        """One was sent."""
        self.under_way[event.sweep] = UnderWay(event.sweep, event.at, event.timeout, event.settle_time)

    def end(self, event: Swept) -> bool:
        """Whether it may have closed anything at all: one that was refused has not."""
        sent = self.under_way.pop(event.sweep, None)
        acted = event.until > (sent.at if sent else -math.inf)
        if acted:
            self.until = max(self.until, event.until)
        return acted

    def of_run(self, run: int, at: float) -> list[Swept]:
        """How those of a run end that has ended by that time: they may act until their windows end."""
        left = [one for one in self.under_way.values() if run_of(one.sweep) == run]
        return [Swept(one.sweep, max(at, one.at + one.timeout) + one.settle_time) for one in left]

    def prolong(self, until: float) -> None:
        """What has ended may act until then, for all that is known."""
        if self.until > -math.inf:
            self.until = max(self.until, until)

    def may_have_met(self, attempt: Attempt) -> bool:
        """Whether one may have closed what the attempt opened."""
        return bool(self.under_way) or attempt.sent < self.until

    def were_over(self, as_of: float) -> bool:
        """Whether none could act any more."""
        return not self.under_way and as_of > self.until


class Proof:
    """What lists tell of the positions in `known`, and up to when."""

    def __init__(self, known: Known, sweeps: Sweeps) -> None:
        self.lag = 0.0
        self.asked_at = -math.inf  # when the last fresh list was asked for
        self.last = -math.inf  # the same, if no later list was stale
        self.was_cut = False
        self._known = known
        self._sweeps = sweeps

    @property
    def until(self) -> float:
        """The time up to which fresh lists have shown everything that was opened and was still open."""
        return self.asked_at - self.lag

    def is_of(self, asked_at: float) -> bool:
        """Whether the last list was asked for then and was fresh."""
        return self.last == asked_at

    def contradicted(self, here: dict[int, Row], asked_at: float) -> tuple[list[int], bool]:
        """What is open although it was called closed, and whether the list is stale, since it shows what is closed."""
        known = self._known
        known.note_shown(here)
        back: list[int] = []
        stale = False
        for position_id in known.contradictions(here, asked_at - self.lag):
            if position_id in known.uncertain or self._shown_for_long(position_id, asked_at):
                back.append(position_id)
            else:
                stale = True
        return back, stale

    def weigh(self, here: dict[int, Row], asked_at: float, *, stale: bool, ids_grow: bool) -> list[Verdict]:
        """Find out whether the list is fresh by what it lacks; only then does it prove absence."""
        as_of = asked_at - self.lag
        lacking = self._known.lacking(here, as_of)
        cut, self.was_cut = self.was_cut, self._known.is_cut(here, lacking, ids_grow=ids_grow)
        if self.was_cut:
            self.last = -math.inf
            return [] if cut else [Cut(len(here))]
        vanished = [position_id for position_id in lacking if self._missing_for_long(position_id, asked_at)]
        for position_id in vanished:
            self._known.put_away(position_id, as_of, certain=False)
        self._prove(here, asked_at, stale=stale or len(vanished) < len(lacking))
        return [Vanished(position_id) for position_id in vanished]

    def _missing_for_long(self, position_id: int, asked_at: float) -> bool:
        return asked_at - self._known.missing_since.setdefault(position_id, asked_at) > self._long

    def _shown_for_long(self, position_id: int, asked_at: float) -> bool:
        return asked_at - self._known.shown_since.setdefault(position_id, asked_at) > self._long

    @property
    def _long(self) -> float:
        return 4 * self.lag + 2.0

    def _prove(self, here: dict[int, Row], asked_at: float, *, stale: bool) -> None:
        self.last = -math.inf if stale else asked_at
        if not stale:
            self.asked_at = max(self.asked_at, asked_at)
            self._known.forget_gone(here, asked_at - self.lag)
            if self._sweeps.were_over(asked_at - self.lag):
                self._known.still_open(here)
