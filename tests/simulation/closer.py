"""The closes of the bot, of one position or of all, and what becomes of them on a bad network."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import attrs

from mizar_async._ledger.closes import AllClosed, CloseDoubted, CloseEvent, CloseLedger, Gone, StillOpen
from mizar_async._ledger.events import Closed, Closing, Event, Sweeping, Swept
from mizar_async._ledger.ledger import Ledger

from .venue import Time, Venue

CLOSE_FAULTS = (
    "lost",
    "answer lost",
    "answer lost",
    "held back",
    "held back",
    "refused",
    "409 though it is open",
)
SWEEP_FAULTS = "lost", "answer lost", "held back", "held back", "held back", "429"


@attrs.define
class Sent:
    """A close that left. `acts_at` is when it reaches the server at last; `then` hears whether all is closed."""

    position_ids: tuple[int, ...]
    sent: float
    acts_at: float
    then: Callable[[bool], None]


class Closer:
    """The shell of closes: events to both ledgers, verdicts to whoever waits. `faults` is the share that fails."""

    def __init__(
        self,
        time: Time,
        rng: random.Random,
        venue: Venue,
        ledger: Ledger,
        closes: CloseLedger,
        take: Callable[[Event], None],
    ) -> None:
        self.time = time
        self.rng = rng
        self.venue = venue
        self.ledger = ledger
        self.closes = closes
        self.take = take
        self.faults = 0.0
        self.latency = self.settle = self.timeout = self.lag = 0.0
        self.under_way: set[int] = set()
        self.known_closed: set[int] = set()
        self.sent: dict[int, Sent] = {}
        self.complaints: list[str] = []
        self.still_open = 0

    def close(self, position_id: int, then: Callable[[bool], None] = lambda closed: None) -> None:
        """Close it, unless that is under way."""
        if position_id in self.under_way:
            return
        self.under_way.add(position_id)
        number = self._leaves((position_id,), then)
        self.take(Closing(position_id))
        there = self.rng.expovariate(1 / self.latency)
        match self._fault(CLOSE_FAULTS):
            case None:
                self._acts(number, there, self._close_acts, position_id)
            case "lost":
                self.time.after(self.timeout, self._doubted, number)
            case "answer lost":
                self._acts(number, there, self.venue.close, position_id)
                self.time.after(self.timeout, self._doubted, number)
            case "held back":
                self._acts(number, self.timeout + self._hold(), self.venue.close, position_id)
                self.time.after(self.timeout, self._doubted, number)
            case "refused":
                self.time.after(there, self._ended, number, False)
            case _:
                self.time.after(there, self._not_certain, number, position_id)

    def _fault(self, faults: tuple[str, ...]) -> str | None:
        return self.rng.choice(faults) if self.faults and self.rng.random() < self.faults else None

    def _hold(self) -> float:
        return self.rng.uniform(0, self.settle) if self.rng.random() < 0.6 else self.settle * 0.999

    def _leaves(self, position_ids: tuple[int, ...], then: Callable[[bool], None]) -> int:
        number = len(self.sent) + 1
        self.sent[number] = Sent(position_ids, self.time.now, -math.inf, then)
        return number

    def _acts(self, number: int, delay: float, act: Callable[..., object], *args: object) -> None:
        self.sent[number].acts_at = self.time.now + delay
        self.time.after(delay, act, *args) if act == self.venue.close else self.time.after(delay, act, number, *args)

    def _close_acts(self, number: int, position_id: int) -> None:
        if self.venue.positions[position_id].closed < self.time.now:
            self.time.after(self.latency, self._not_certain, number, position_id)
        else:
            self.venue.close(position_id)
            self.time.after(self.latency, self._closed, number, position_id)

    def _closed(self, number: int, position_id: int) -> None:
        self.tell_closed(position_id)
        self._ended(number, True)

    def tell_closed(self, position_id: int) -> None:
        """An answer says that it is closed."""
        self.known_closed.add(position_id)
        self.take(Closed(position_id, self.time.now))
        self.tell(Closed(position_id, self.time.now))

    def _not_certain(self, number: int, position_id: int) -> None:
        """A 409 or an answer that can't be read: as good as closed for the ledger, and yet a list is to say so."""
        self.take(Closed(position_id, self.time.now, certain=False))
        self.tell(CloseDoubted(number, (position_id,), self.time.now, self.time.now, self.lag))

    def _doubted(self, number: int) -> None:
        sent = self.sent[number]
        self.tell(CloseDoubted(number, sent.position_ids, sent.sent, self._window_end(sent), self.lag))

    def _window_end(self, sent: Sent) -> float:
        return max(self.time.now, sent.sent + self.timeout) + self.settle

    def _ended(self, number: int, closed: bool) -> None:
        sent = self.sent[number]
        self.under_way.difference_update(sent.position_ids)
        sent.then(closed)

    # close-all

    def sweep(self, then: Callable[[bool], None]) -> None:
        """Close whatever is open at the server."""
        number = self._leaves(tuple(sorted(self.ledger.open_positions)), then)
        self.take(Sweeping(number, self.time.now))
        match self._fault(SWEEP_FAULTS):
            case None:
                self._acts(number, self.latency, self._sweep_acts)
            case "lost":
                self.time.after(self.timeout, self._sweep_doubted, number)
            case "429":
                self.time.after(self.latency, self._sweep_ended, number, self.time.now, False)
            case fault:
                delay = self.latency if fault == "answer lost" else self.timeout + self._hold()
                self._acts(number, delay, lambda _: self.venue.close_all())
                self.time.after(self.timeout, self._sweep_doubted, number)

    def _sweep_acts(self, number: int) -> None:
        closed = self.venue.close_all()
        self.time.after(self.latency, self._sweep_answered, number, closed if self.rng.random() < 0.7 else [])

    def _sweep_answered(self, number: int, closed: list[int]) -> None:
        self.take(Swept(number, self.time.now))
        for position_id in closed:
            self.tell_closed(position_id)
        self.sent[number].then(True)

    def _sweep_ended(self, number: int, until: float, closed: bool) -> None:
        self.take(Swept(number, until))
        self.sent[number].then(closed)

    def _sweep_doubted(self, number: int) -> None:
        self.take(Swept(number, self._window_end(self.sent[number])))
        self._doubted(number)

    # what became of closes

    def tell(self, event: CloseEvent) -> None:
        """Give the event to the ledger of closes, and act on its verdicts."""
        for verdict in self.closes.take(event):
            match verdict:
                case Gone():
                    self._gone(verdict.position_id)
                case AllClosed():
                    self._all_closed(verdict.call)
                case StillOpen():
                    self._still_open(verdict)

    def _gone(self, position_id: int) -> None:
        self._must_be_closed("gone", position_id)
        self.known_closed.add(position_id)
        self.take(Closed(position_id, self.time.now, certain=False))

    def _all_closed(self, number: int) -> None:
        for position_id in self.sent[number].position_ids:
            self._must_be_closed("all closed", position_id)
            self.known_closed.add(position_id)
        self._ended(number, True)

    def _must_be_closed(self, said: str, position_id: int) -> None:
        if self.venue.positions[position_id].closed == math.inf:
            self.complaints.append(f"{said}, and yet open: {position_id}")

    def _still_open(self, verdict: StillOpen) -> None:
        self.still_open += 1
        if self.sent[verdict.call].acts_at > self.time.now:
            self.complaints.append(f"called still open, and closed later: {verdict}")
        self._ended(verdict.call, False)
