"""One seed of the simulation: a bot with 64 workers, a faulty network, and the truth to compare with.

The bot stands for the client's shell: it gives the ledger every event, lists while the ledger waits for a list, one
at a time, and notes every verdict. The truth knows which position was opened by which attempt.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import attrs

from mizar_async._ledger import ledger as shipped
from mizar_async._ledger.ledger import (
    Absent,
    Answered,
    Closed,
    Closing,
    Doubted,
    Event,
    GaveUp,
    Kind,
    Listed,
    Opened,
    Refused,
    Row,
    Sending,
    Sweeping,
    Swept,
    Unclaimed,
    Undecidable,
    Vanished,
    Verdict,
)
from mizar_async._ledger.server_clock import ServerClock

from .venue import COMMON, ECHOED, FOREIGN, RARE, Held, Time, Venue

FAULTS = (
    "refused",
    "reset before it acts",
    "reset after it acted",
    "answer lost",
    "request lost",
    "held back",
    "held back",
    "reset, then held back",
    "body lost",
    "5xx before it acts",
    "5xx after it acted",
    "504, then it acts",
    "429",
)


@attrs.frozen(kw_only=True)
class Regime:
    """What goes on beside the faults of every run, and which promises still hold then."""

    opens: int = 300
    workers: int = 64
    deadline: float = math.inf
    lag: float = 1.0
    """What the ledger is told."""
    true_lag: float = 1.0
    """Up to which the lists are behind; None of it in half of the seeds."""
    held_too_long: float = 0.0
    """The share of the requests held back that is delivered only after the settle time."""
    late_answers: bool = False
    """Answers that come after the time-out reach the ledger, too."""
    strangers_alike: bool = False
    others_close: bool = False
    sweeps: bool = False
    flattens: bool = False
    replica_freezes: bool = False
    baseline: bool = True
    speed: float = 1.0
    echoes: bool = False
    mixed_options: bool = False
    settle: float | None = None
    faults: float | None = None

    @property
    def absence_is_promised(self) -> bool:
        return not (self.held_too_long or self.strangers_alike)


@attrs.define
class Call:
    """One open, as its caller sees it. `ended` and `followed_up` are what it was told, and when."""

    kind: Kind
    sent: float
    then: Callable[[], None]
    said_yes: bool = False
    gave_up: bool = False
    told: Verdict | None = None
    told_at: float = math.inf
    ledger_said: list[Verdict] = attrs.field(factory=list)


class Run:
    """`violations` of one seed; none, if the ledger keeps its promises."""

    def __init__(self, seed: int, regime: Regime, ledger: type[shipped.Ledger] = shipped.Ledger) -> None:
        rng = self.rng = random.Random(seed)
        self.regime = regime
        self.time = Time()
        self.venue = Venue(self.time, rng, speed=regime.speed)
        self.clock = ServerClock()
        self.ledger = ledger()
        self.fault_rate = regime.faults or rng.choice((0.05, 0.15, 0.3, 0.6))
        self.list_fault_rate = rng.choice((0.0, 0.2, 0.5))
        self.slow_answers = rng.choice((0.1, 0.5, 0.9)) / 2
        self.behind = rng.random() < 0.5
        self.latency = rng.choice((0.005, 0.03, 0.1))
        self.list_latency = rng.choice((0.02, 0.2, 1.0))
        self.interval = rng.choice((0.1, 0.5, 1.0))
        self.pause = rng.choice((0.2, 2.0))
        self.settle = regime.settle or rng.choice((0.5, 2.0, 5.0))
        self.timeout = rng.choice((1.0, 3.0))
        self.calls: dict[int, Call] = {}
        self.reported: Counter[int] = Counter()
        self.reports: dict[int, Unclaimed] = {}
        self.complaints: list[str] = []
        self.closing: set[int] = set()
        self.keeping: set[int] = set()
        self.started = 0
        self.listing = False
        self.door_shut = False
        self.last_read = 0.0
        self.frozen: tuple[float, float] = (math.inf, -math.inf)  # the state that is shown, and until when
        self.outages = self._draw_outages()

    def _draw_outages(self) -> list[tuple[float, float]]:
        outages, begin = [], 0.0
        for _ in range(3):
            begin += self.rng.expovariate(1 / 15)
            length = self.rng.choice((1, 5, 15))
            outages.append((begin, begin + length))
            begin += length
        return outages

    def violations(self) -> list[str]:
        self._begin()
        self.time.run(until=3000)
        self._watch_on()
        return [*self.complaints, *self._check_calls(), *self._check_positions(), *self._check_kinds()]

    # the bot

    def take(self, event: Event) -> None:
        for verdict in self.ledger.take(event):
            match verdict:
                case Opened() | Absent() | Undecidable():
                    self._told(verdict)
                case Unclaimed():
                    self.reported[verdict.position_id] += 1
                    self.reports[verdict.position_id] = verdict
                case Vanished():
                    self._vanished(verdict.position_id)
        if self.ledger.waits:
            self._list_soon()

    def _told(self, verdict: Opened | Absent | Undecidable) -> None:
        call = self.calls[verdict.attempt]
        call.ledger_said.append(verdict)
        expected = not call.gave_up and len(call.ledger_said) == 1
        if verdict.waited_for != expected:
            self.complaints.append(f"waited_for is wrong: {verdict}")
        self._end(call, verdict)

    def _end(self, call: Call, verdict: Verdict | None) -> None:
        if call.told_at == math.inf:
            call.told, call.told_at = verdict, self.time.now
            call.then()

    def open(self, kind: Kind, then: Callable[[], None]) -> None:
        number = len(self.calls) + 1
        self.calls[number] = Call(kind, self.time.now, then)
        settle, lag = self.settle, self.regime.lag
        if self.regime.mixed_options and self.rng.random() < 0.3:
            settle, lag = settle * 4, lag * 3
        self.take(Sending(number, kind, self.time.now, self.timeout, settle, lag, self.regime.others_close))
        if self.regime.deadline < math.inf:
            self.time.after(self.regime.deadline, self._give_up, number)
        self._send(number, kind)

    def _give_up(self, number: int) -> None:
        call = self.calls[number]
        if call.told_at == math.inf:
            call.gave_up = True
            self.take(GaveUp(number))
            self._end(call, None)

    # the network

    def _send(self, number: int, kind: Kind) -> None:
        rng, after = self.rng, self.time.after
        there, back = rng.expovariate(1 / self.latency), rng.expovariate(1 / self.latency)
        answered = there + back
        after(self.timeout, self._doubted, number)
        fault = rng.choice(FAULTS) if rng.random() < self.fault_rate else None
        match fault:
            case None:
                if rng.random() < self.slow_answers:
                    back = rng.uniform(0, self.timeout * 1.05)
                after(there, self._act_and_answer, number, kind, back)
            case "refused" | "429":
                after(answered, self._refused, number)
            case "reset before it acts":
                after(answered, self._doubted, number)
            case "5xx before it acts":
                after(answered, self._server_error, number)
            case "reset after it acted":
                after(there, self.venue.open, kind, number)
                after(answered, self._doubted, number)
            case "5xx after it acted":
                after(there, self.venue.open, kind, number)
                after(answered, self._server_error, number)
            case "answer lost":
                late = rng.uniform(0.0, 8.0) + self.timeout
                after(there, self._act_and_answer, number, kind, late if self.regime.late_answers else math.inf)
            case "request lost":
                pass
            case "held back" | "reset, then held back" | "504, then it acts":
                gone = self.timeout if fault == "held back" else min(self.timeout, answered)
                after(gone, self._doubted, number)
                if rng.random() < 0.7:
                    after(rng.choice((gone, self.timeout)) + self._hold(), self.venue.open, kind, number)
            case "body lost":
                after(there, self.venue.open, kind, number)
                after(answered, self._body_lost, number)

    def _hold(self) -> float:
        rng = self.rng
        if rng.random() < self.regime.held_too_long:
            return rng.uniform(self.settle * 1.5, self.settle * 4)
        return rng.uniform(0, self.settle) if rng.random() < 0.6 else self.settle * 0.999

    def _act_and_answer(self, number: int, kind: Kind, back: float) -> None:
        position_id = self.venue.open(kind, number)
        if back < math.inf:
            self.time.after(back, self._answered, number, position_id)

    def _answered(self, number: int, position_id: int) -> None:
        in_flight = number in self.ledger.in_flight
        if in_flight:
            self.clock.sample(self.calls[number].sent, self.time.now, self.venue.positions[position_id].ms)
        if in_flight or self.regime.late_answers:
            self.take(Answered(number, position_id, self.time.now))

    def _refused(self, number: int) -> None:
        if number in self.ledger.in_flight:
            self.take(Refused(number))
            self._end(self.calls[number], None)

    def _doubted(self, number: int, said_yes: bool = False) -> None:
        if number in self.ledger.in_flight:
            self.calls[number].said_yes = said_yes
            self.take(Doubted(number, self.time.now, said_yes))

    def _server_error(self, number: int) -> None:
        self._doubted(number)

    def _body_lost(self, number: int) -> None:
        self._doubted(number, said_yes=True)

    # lists

    def _list_soon(self) -> None:
        if not self.listing:
            self.listing = True
            self.time.after(self.interval * self.rng.random(), self._list)

    def _list(self) -> None:
        if not self.ledger.waits and not self.door_shut:
            self.listing = False
            return
        rng, asked_at = self.rng, self.time.now
        there, back = rng.expovariate(1 / self.list_latency), rng.expovariate(1 / self.list_latency)
        out = any(begin <= asked_at < end for begin, end in self.outages)
        if out or rng.random() < self.list_fault_rate or there + back > 4:
            self.time.after(min(4.0, there + back), self._list_failed, asked_at)
        else:
            self.time.after(there, self._read, asked_at, back)

    def _read(self, asked_at: float, back: float) -> None:
        state, until = self.frozen
        if self.time.now > until:
            self.last_read = state = self.time.now - (self.rng.uniform(0, self.regime.true_lag) if self.behind else 0.0)
        self.time.after(back, self._listed, asked_at, self.venue.open_at(state))

    def _list_failed(self, asked_at: float) -> None:
        self.time.after(self.interval, self._list)

    def _listed(self, asked_at: float, shown: list[int]) -> None:
        self.take(Listed(asked_at, self.time.now, self._rows(shown), self.clock.on))
        if self.door_shut:
            self._close_shown(asked_at, shown)
        self.time.after(self.interval, self._list)

    def _rows(self, shown: list[int]) -> tuple[Row, ...]:
        return tuple(self._row(number, self.venue.positions[number]) for number in shown)

    def _row(self, number: int, held: Held) -> Row:
        kind = ECHOED[held.kind] if self.regime.echoes else held.kind
        return Row(number, kind, *self.clock.when(held.ms, self.time.now))

    # closes

    def close(self, position_id: int) -> None:
        if position_id in self.closing:
            return
        self.closing.add(position_id)
        self.take(Closing(position_id))
        self.time.after(self.rng.expovariate(1 / self.latency), self._close_acts, position_id)

    def _close_acts(self, position_id: int) -> None:
        self.venue.close(position_id)
        self.time.after(self.latency, lambda: self.take(Closed(position_id, self.time.now)))

    def _sweep(self) -> None:
        if self.started < self.regime.opens:
            self.take(Sweeping(1, self.time.now))
            self.time.after(self.latency, self._sweep_acts)

    def _sweep_acts(self) -> None:
        closed = self.venue.close_all()
        self.time.after(self.latency, self._sweep_answered, closed if self.rng.random() < 0.7 else [])
        self.time.after(self.rng.expovariate(0.1), self._sweep)

    def _sweep_answered(self, closed: list[int]) -> None:
        self.take(Swept(1, self.time.now))
        for position_id in closed:
            self.take(Closed(position_id, self.time.now))

    def _flatten(self) -> None:
        if self.started < self.regime.opens:
            self.door_shut = True
            for position_id in sorted(self.ledger.open_positions):
                self.close(position_id)
            self._list_soon()

    def _close_shown(self, asked_at: float, shown: list[int]) -> None:
        for position_id in shown:
            self.close(position_id)
        busy = (
            self.ledger.in_flight or self.ledger.waits or shown or self.ledger.proven_until < asked_at - self.regime.lag
        )
        if not busy:
            self._check_flat()
            self.door_shut = False
            self.time.after(self.rng.expovariate(0.2), self._flatten)

    def _check_flat(self) -> None:
        left = [p for p in self.venue.open_at(self.time.now) if self.venue.positions[p].opener is not None]
        if left:
            self.complaints.append(f"flat, and yet open: {left}")

    # what else goes on

    def _begin(self) -> None:
        self.time.now = -100.0
        for kind in (COMMON,) * 5 + (RARE,) * 3:
            self.venue.open(kind, None)
        self.time.now = 0.0
        if self.regime.baseline:
            self.clock.sample(0.0, 0.02, self.venue.ms())
            self.take(Listed(0.0, 0.02, self._rows(self.venue.open_at(0.0))))
        self.time.now = 0.02
        for _ in range(self.regime.workers):
            self.time.after(self.rng.random() * 0.5, self._work)
        self.time.after(self.rng.expovariate(1), self._strange)
        if self.regime.sweeps:
            self.time.after(self.rng.expovariate(0.2), self._sweep)
        if self.regime.flattens:
            self.time.after(self.rng.expovariate(0.2), self._flatten)
        if self.regime.replica_freezes:
            self.time.after(self.rng.uniform(1, 5), self._freeze)

    def _work(self) -> None:
        if self.door_shut:
            self.time.after(0.2, self._work)
        elif self.started < self.regime.opens:
            self.started += 1
            number = self.started
            self.open(COMMON if self.rng.random() < 0.97 else RARE, lambda: self._worked(number))

    def _worked(self, number: int) -> None:
        told = self.calls[number].told
        if isinstance(told, Opened) and self.rng.random() < 0.5:
            self.time.after(self.rng.expovariate(0.5), self._close_own, told.position_id)
        self.time.after(self.rng.expovariate(1 / self.pause), self._work)

    def _close_own(self, position_id: int) -> None:
        if position_id not in self.keeping:
            self.close(position_id)

    def _strange(self) -> None:
        if self.started >= self.regime.opens and self.time.now > 40:
            return
        alike = self.regime.strangers_alike and self.rng.random() < 0.5
        position_id = self.venue.open(COMMON if alike else FOREIGN, None)
        if self.rng.random() < 0.5:
            self.time.after(self.rng.expovariate(0.3), self.venue.close, position_id)
        if self.regime.others_close and self.rng.random() < 0.6:
            ours = [p for p in self.venue.open_at(self.time.now) if self.venue.positions[p].opener is not None]
            if ours:
                self.venue.close(self.rng.choice(ours[-8:]))
        self.time.after(self.rng.expovariate(1), self._strange)

    def _freeze(self) -> None:
        """Show the state before a position that the bot knows, and keeps: the list is wrong, and can be seen to be."""
        kept = sorted(set(self.ledger.open_positions) - self.closing)
        if kept and self.last_read > self.frozen[1]:
            witness = self.rng.choice(kept[-8:])
            self.keeping.add(witness)
            # For less than 4 lags + 2 s, after which a missing position is taken to be closed by somebody else.
            self.frozen = self.venue.positions[witness].opened - 1e-6, self.time.now + self.rng.uniform(2, 4.5)
        if self.started < self.regime.opens or self.ledger.waits:
            self.time.after(self.rng.uniform(0.5, 6), self._freeze)

    def _vanished(self, position_id: int) -> None:
        if self.venue.positions[position_id].closed == math.inf:
            self.complaints.append(f"vanished, and yet open: {position_id}")

    def _watch_on(self) -> None:
        """Whatever is still looked for must be found in lists long after."""
        for _ in range(3):
            self.time.now += 60
            asked_at = self.time.now - 0.01
            self.take(Listed(asked_at, self.time.now, self._rows(self.venue.open_at(asked_at)), self.clock.on))

    # the truth

    def _check_calls(self) -> list[str]:
        wrong = [f"still looked for: {sorted(self.ledger.in_doubt)}"] if self.ledger.in_doubt else []
        wrong += ["a list is still waited for"] if self.ledger.waits else []
        for number, call in self.calls.items():
            ends = [type(verdict) for verdict in call.ledger_said]
            if call.told_at > call.sent + self.regime.deadline + 0.01 or call.told_at == math.inf:
                wrong.append(f"no end by its deadline: {number}")
            if call.gave_up and not ends:
                wrong.append(f"never followed up: {number}")
            if ends.count(Opened) > 1 or (len(ends) > 1 and not self.regime.late_answers):
                wrong.append(f"ended twice: {number} {call.ledger_said}")
            if Undecidable in ends and not self._may_be_undecidable(call):
                wrong.append(f"undecidable without a reason: {number}")
        return wrong

    def _may_be_undecidable(self, call: Call) -> bool:
        regime = self.regime
        unseen = regime.sweeps or regime.others_close or not regime.baseline or not regime.absence_is_promised
        # A late answer may put a call in the place of one that heard yes.
        return unseen or call.said_yes or regime.late_answers

    def _check_positions(self) -> list[str]:
        wrong = [f"reported twice: {number}" for number, times in self.reported.items() if times > 1]
        given: set[int] = set()
        for number, call in self.calls.items():
            for verdict in call.ledger_said:
                if isinstance(verdict, Opened):
                    if verdict.position_id in given:
                        wrong.append(f"given twice: {verdict.position_id}")
                    given.add(verdict.position_id)
                    wrong += self._check_given(number, call, self.venue.positions[verdict.position_id])
        old = [n for n in self.reports if self.venue.positions[n].opened < 0 and self.regime.baseline]
        wrong += [f"reported, but there at the start: {number}" for number in old]
        for number, held in self.venue.positions.items():
            foreign_for_long = held.kind == FOREIGN and held.closed == math.inf
            if foreign_for_long and held.opened > 0 and number not in self.reported and self.regime.baseline:
                wrong.append(f"never reported: {number}")
        return wrong

    def _check_given(self, number: int, call: Call, held: Held) -> list[str]:
        wrong = []
        if held.kind != call.kind:
            wrong.append(f"of another kind: {number}")
        if held.opener is None and not self.regime.strangers_alike:
            wrong.append(f"a stranger's: {number}")
        # A late answer makes calls trade their places, and their times with them.
        dated = self.regime.speed == 1.0 and call.sent > 10 and not self.regime.late_answers
        if dated and held.opened < call.sent - 0.5:
            wrong.append(f"older than the call: {number}")
        return wrong

    def _check_kinds(self) -> list[str]:
        """Calls of one kind are alike, so what was not given is compared in number with what is undecidable."""
        wrong = []
        for kind in (COMMON, RARE):
            calls = [call for call in self.calls.values() if call.kind == kind]
            given = {v.position_id for call in calls for v in call.ledger_said if isinstance(v, Opened)}
            unsure = sum(any(isinstance(v, Undecidable) for v in call.ledger_said) for call in calls)
            ours = [n for n, held in self.venue.positions.items() if held.kind == kind and held.opener is not None]
            lost = [number for number in ours if number not in given]
            hidden = [number for number in lost if number not in self.reported]
            if len(hidden) > unsure:
                wrong.append(f"lost from sight: {hidden}, and only {unsure} undecidable")
            if self.regime.absence_is_promised and len(lost) > unsure:
                wrong.append(f"absent, and yet opened: {lost}, and only {unsure} undecidable")
            if not self.regime.strangers_alike:
                nameless = [n for n in lost if n in self.reports and not self.reports[n].attempts]
                wrong += [f"reported without the calls that it may belong to: {n}" for n in nameless]
        return wrong
