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
from mizar_async._ledger.closes import CloseLedger
from mizar_async._ledger.events import (
    Absent,
    Answered,
    Cut,
    Doubted,
    Event,
    GaveUp,
    Kind,
    Listed,
    Opened,
    Refused,
    Row,
    Sending,
    Unclaimed,
    Undecidable,
    Vanished,
    Verdict,
)
from mizar_async._ledger.server_clock import ServerClock

from .closer import Closer
from .venue import COMMON, FLOATS, FOREIGN, FOUR_DIGITS, RARE, Held, Time, Venue, different

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
    echoes: dict[Kind, Kind] | None = None
    """What the server makes of a kind."""
    closes_fail: float = 0.0
    """The share of closes and close-alls that get no answer, act late, or are called closed by a 409 that lies."""
    guards: bool = False
    """Blocks that close in the end what they have opened."""
    cancels: bool = False
    """Callers that leave at the very time of the answer."""
    lies: float = 0.0
    """The share of answers that name another's position, a closed one, or one that was there before."""
    clock_steps: bool = False
    hosts: float = 0.0
    """How much the clocks of the server's hosts differ."""
    ids_grow: bool = True
    all_differ: bool = False
    """No two opens are alike, so that none can stand for another."""
    cuts: bool = False
    """Lists that for a while show the oldest positions only."""
    mixed_options: bool = False
    settle: float | None = None
    faults: float | None = None

    @property
    def absence_is_promised(self) -> bool:
        return not (self.held_too_long or self.strangers_alike)

    @property
    def dates_are_true(self) -> bool:
        return self.speed == 1.0 and not (self.clock_steps or self.hosts)


@attrs.define
class Call:
    """One open, as its caller sees it. `ended` and `followed_up` are what it was told, and when."""

    kind: Kind
    sent: float
    then: Callable[[], None]
    said_yes: bool = False
    refused: bool = False
    gave_up: bool = False
    handed_over: bool = False
    told: Verdict | None = None
    told_at: float = math.inf
    ledger_said: list[Verdict] = attrs.field(factory=list)

    @property
    def ended(self) -> bool:
        return self.refused or bool(self.ledger_said)


@attrs.define
class Guard:
    """A block that began at some time, and the calls that were made in it."""

    began: float
    calls: list[int] = attrs.field(factory=list)
    flat: bool | None = None


class Run:
    """`violations` of one seed; none, if the ledgers keep their promises."""

    closer_type = Closer

    def __init__(
        self,
        seed: int,
        regime: Regime,
        ledger: type[shipped.Ledger] = shipped.Ledger,
        closes: type[CloseLedger] = CloseLedger,
    ) -> None:
        rng = self.rng = random.Random(seed)
        self.regime = regime
        self.time = Time()
        self.venue = Venue(self.time, rng, speed=regime.speed, hosts=regime.hosts, ids_grow=regime.ids_grow)
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
        self.closer = self.closer_type(self.time, rng, self.venue, self.ledger, closes(), self.take)
        self.closer.faults = regime.closes_fail
        self.closer.latency, self.closer.settle = self.latency, self.settle
        self.closer.timeout, self.closer.lag = self.timeout, regime.lag
        self.keeping: set[int] = set()
        self.unclaimed: set[int] = set()
        self.guards: list[Guard] = []
        self.lied: Counter[Kind] = Counter()  # how many calls were told another's position
        self.shown_first: int | None = None  # of which a list that is cut shows nothing newer
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
        self.time.run(until=10_000)  # it ends when all is done: one that is cut off would have lost what is under way
        self._watch_on()
        self._check_what_is_known()
        complaints = [*self.complaints, *self.closer.complaints]
        return [*complaints, *self._check_calls(), *self._check_positions(), *self._check_kinds()]

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
                case Cut():
                    # The newest was closed elsewhere, as far as anybody can tell: until somebody opens another.
                    self.time.after(60, self.venue.open, FOREIGN, None)
        if self.waits:
            self._list_soon()

    @property
    def waits(self) -> bool:
        return self.ledger.waits or self.closer.closes.waits

    def _told(self, verdict: Opened | Absent | Undecidable) -> None:
        call = self.calls[verdict.attempt]
        call.ledger_said.append(verdict)
        expected = not call.gave_up and len(call.ledger_said) == 1
        if verdict.waited_for != expected:
            self.complaints.append(f"waited_for is wrong: {verdict}")
        self._end(call, verdict)
        if isinstance(verdict, Opened):
            self.time.after(0.0, self._hand_over, call, verdict.position_id)

    def _hand_over(self, call: Call, position_id: int) -> None:
        """A position is unclaimed until its caller was given it."""
        if call.gave_up:
            self.unclaimed.add(position_id)
        else:
            call.handed_over = True

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
        if call.told_at == math.inf or not (call.handed_over or call.ended):
            call.gave_up = True
            self.take(GaveUp(number))
            self._end(call, None)
        elif self.regime.cancels and call.ledger_said and not call.handed_over:
            call.gave_up = True

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
        if self.regime.cancels and self.rng.random() < 0.3:
            self.time.after(back, self._give_up, number)
        if back < math.inf:
            self.time.after(back, self._answered, number, position_id)
        if self.regime.cancels and self.rng.random() < 0.3:
            self.time.after(back, self._give_up, number)

    def _lie(self, number: int, kind: Kind) -> int | None:
        """Another's position of the kind, open or closed, or one that was there when the call was sent."""
        alike = [(n, held) for n, held in self.venue.positions.items() if held.kind == kind and held.opener != number]
        remembered = [(n, held) for n, held in alike if held.closed > self.time.now - 500]
        others = [n for n, held in remembered if held.opener is not None][-20:]
        others += [n for n, held in remembered if held.opened < 0]
        return self.rng.choice(others) if others and self.rng.random() < self.regime.lies else None

    def _answered(self, number: int, position_id: int) -> None:
        in_flight = number in self.ledger.in_flight
        call = self.calls[number]
        named = (self.regime.lies and self._lie(number, call.kind)) or position_id
        self.lied[call.kind] += named != position_id
        if in_flight and named == position_id:
            self.clock.sample(call.sent, self.time.now, self.venue.positions[position_id].ms)
        if in_flight or self.regime.late_answers:
            self.take(Answered(number, named, self.time.now, self._echo(call.kind).size))

    def _refused(self, number: int) -> None:
        if number in self.ledger.in_flight:
            self.calls[number].refused = True
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
        if not self.waits and not self.door_shut:
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
        shown = self.venue.open_at(state)
        if self.shown_first in shown:
            shown = shown[: shown.index(self.shown_first)]
        self.time.after(back, self._listed, asked_at, shown)

    def _list_failed(self, asked_at: float) -> None:
        self.time.after(self.interval, self._list)

    def _listed(self, asked_at: float, shown: list[int]) -> None:
        self._look(asked_at, shown)
        if self.door_shut:
            self._close_shown(asked_at, shown)
        self.time.after(self.interval, self._list)

    def _look(self, asked_at: float, shown: list[int]) -> None:
        event = Listed(asked_at, self.time.now, self._rows(shown), self.clock.on)
        self.take(event)
        self._tell_closes(event)

    def _tell_closes(self, event: Listed) -> None:
        """Only a list that is proven fresh tells what is closed."""
        if self.ledger.proves(event.asked_at):
            self.closer.tell(event)

    def _rows(self, shown: list[int]) -> tuple[Row, ...]:
        return tuple(self._row(number, self.venue.positions[number]) for number in shown)

    def _row(self, number: int, held: Held) -> Row:
        return Row(number, self._echo(held.kind), *self.clock.when(held.ms, self.time.now))

    def _echo(self, kind: Kind) -> Kind:
        return (self.regime.echoes or {}).get(kind, kind)

    # closes

    def _close(self, position_id: int) -> None:
        """Close it until that is certain, or the run is over."""
        if position_id not in self.keeping:
            self.closer.close(position_id, lambda closed: None if closed else self._close_later(position_id))
            self._list_soon()

    def _close_later(self, position_id: int) -> None:
        self.time.after(self.rng.expovariate(1.0), self._close, position_id)

    def _sweep(self) -> None:
        if self.started < self.regime.opens:
            self.closer.sweep(lambda closed: None)
            self.time.after(self.rng.expovariate(0.1), self._sweep)

    def _flatten(self) -> None:
        if self.started < self.regime.opens:
            self.door_shut = True
            for position_id in sorted(self.ledger.open_positions):
                self._close(position_id)
            self._list_soon()

    def _close_shown(self, asked_at: float, shown: list[int]) -> None:
        left = sorted({*shown, *self.ledger.open_positions})  # a list that lags lacks what has just been answered
        for position_id in left:
            self._close(position_id)
        busy = self.ledger.in_flight or self.waits or self.closer.under_way or left
        if not busy and self.ledger.proves(asked_at):
            self._check_flat()
            self.door_shut = False
            self.time.after(self.rng.expovariate(0.2), self._flatten)

    def _check_flat(self) -> None:
        left = [p for p in self.venue.open_at(self.time.now) if self.venue.positions[p].opener is not None]
        if left:
            self.complaints.append(f"flat, and yet open: {left}")

    # blocks that close what they have opened

    def _begin_guard(self) -> None:
        if self.started < self.regime.opens:
            guard = Guard(self.time.now)
            self.guards.append(guard)
            for _ in range(self.rng.randint(1, 4)):
                self.time.after(self.rng.uniform(0, 2), self._open_guarded, guard)
            self.time.after(self.rng.uniform(2, 5), self._end_guard, guard)
            self.time.after(self.rng.expovariate(0.5), self._begin_guard)

    def _open_guarded(self, guard: Guard) -> None:
        if not self.door_shut:
            guard.calls.append(len(self.calls) + 1)
            self.open(COMMON, lambda: None)

    def _end_guard(self, guard: Guard) -> None:
        """Flat once all calls of the block have ended, none of them unknown, and what they opened is closed."""
        calls = [self.calls[number] for number in guard.calls]
        given = [v.position_id for call in calls for v in call.ledger_said if isinstance(v, Opened)]
        for position_id in given:
            if position_id not in self.closer.known_closed:
                self._close(position_id)
        if all(call.ended for call in calls) and self.closer.known_closed.issuperset(given):
            guard.flat = not any(isinstance(v, Undecidable) for call in calls for v in call.ledger_said)
            if guard.flat:
                self._check_guard(guard, given)
        else:
            self.time.after(0.3, self._end_guard, guard)

    def _check_guard(self, guard: Guard, given: list[int]) -> None:
        for position_id in given:
            held = self.venue.positions[position_id]
            if held.closed == math.inf:
                self.complaints.append(f"the guard ended flat, and yet open: {position_id}")
            if self.regime.dates_are_true and not self.regime.lies and held.opened < guard.began - 0.5:
                self.complaints.append(f"the guard closed what was opened before its block: {position_id}")

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
        if self.regime.guards:
            self.time.after(self.rng.expovariate(1), self._begin_guard)
        if self.regime.clock_steps:
            self.time.after(self.rng.uniform(2, 10), self._step_the_clock)
        if self.regime.cuts:
            self.time.after(self.rng.uniform(2, 6), self._cut)

    def _work(self) -> None:
        if self.door_shut:
            self.time.after(0.2, self._work)
        elif self.started < self.regime.opens:
            self.started += 1
            number = self.started
            common = COMMON if self.rng.random() < 0.97 else RARE
            self.open(different(number) if self.regime.all_differ else common, lambda: self._worked(number))

    def _worked(self, number: int) -> None:
        told = self.calls[number].told
        if isinstance(told, Opened) and self.rng.random() < 0.5:
            self.time.after(self.rng.expovariate(0.5), self._close, told.position_id)
        self.time.after(self.rng.expovariate(1 / self.pause), self._work)

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
        kept = sorted(set(self.ledger.open_positions) - self.closer.under_way)
        if kept and self.last_read > self.frozen[1]:
            witness = self.rng.choice(kept[-8:])
            self.keeping.add(witness)
            # For less than 4 lags + 2 s, after which a missing position is taken to be closed by somebody else.
            self.frozen = self.venue.positions[witness].opened - 1e-6, self.time.now + self.rng.uniform(2, 4.5)
        if self.started < self.regime.opens or self.ledger.waits:
            self.time.after(self.rng.uniform(0.5, 6), self._freeze)

    def _step_the_clock(self) -> None:
        self.venue.step(self.rng.choice((-3600.0, -1.0, -0.05, 0.05, 5.0, 3600.0)))
        if self.started < self.regime.opens:
            self.time.after(self.rng.uniform(2, 20), self._step_the_clock)

    def _cut(self) -> None:
        """For a while show nothing that is as new as a position that the bot knows, and keeps."""
        kept = sorted(set(self.ledger.open_positions) - self.closer.under_way)
        if len(kept) > 25:
            self.shown_first = kept[-5] if self.regime.ids_grow else max(kept, key=self._opened)
            self.keeping.add(self.shown_first)
            self.time.after(self.rng.uniform(5, 20), self._show_all)

    def _opened(self, position_id: int) -> float:
        return self.venue.positions[position_id].opened

    def _show_all(self) -> None:
        self.shown_first = None
        if self.started < self.regime.opens:
            self.time.after(self.rng.uniform(2, 6), self._cut)

    def _vanished(self, position_id: int) -> None:
        if self.venue.positions[position_id].closed == math.inf:
            self.complaints.append(f"vanished, and yet open: {position_id}")

    def _watch_on(self) -> None:
        """Whatever is still looked for must be found in lists long after."""
        for _ in range(3):
            self.time.run(until=self.time.now + 60)
            self.time.now += 60
            asked_at = self.time.now - 0.01
            self._look(asked_at, self.venue.open_at(asked_at))

    # the truth

    def _check_what_is_known(self) -> None:
        """What was given and is open is known to be open, and its caller has it or it is unclaimed."""
        for number, call in self.calls.items():
            for verdict in call.ledger_said:
                if isinstance(verdict, Opened):
                    self._check_known(number, call, verdict.position_id)
        if self.closer.closes.in_doubt:
            self.complaints.append(f"closes are still looked for: {sorted(self.closer.closes.in_doubt)}")
        self.complaints += ["a guard never ended" for guard in self.guards if guard.flat is None]

    def _check_known(self, number: int, call: Call, position_id: int) -> None:
        if self.venue.positions[position_id].closed == math.inf and self.ledger.owner(position_id) != number:
            self.complaints.append(f"open, and lost by its owner: {position_id}")
        if call.handed_over == (position_id in self.unclaimed):
            self.complaints.append(f"handed over and unclaimed, or neither: {position_id}")

    def _check_calls(self) -> list[str]:
        wrong = [f"still looked for: {sorted(self.ledger.in_doubt)}"] if self.ledger.in_doubt else []
        wrong += ["a list is still waited for"] if self.waits else []
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
        misled = regime.clock_steps or regime.hosts or regime.lies or not regime.ids_grow
        rounded = regime.echoes in (FLOATS, FOUR_DIGITS)
        # A late answer may put a call in the place of one that heard yes.
        return unseen or misled or rounded or call.said_yes or regime.late_answers

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
        dated = self.regime.dates_are_true and call.sent > 10 and not (self.regime.late_answers or self.regime.lies)
        if dated and held.opened < call.sent - 0.5:
            wrong.append(f"older than the call: {number}")
        return wrong

    def _check_kinds(self) -> list[str]:
        """Calls of one kind are alike, so what was not given is compared in number with what is undecidable."""
        wrong = []
        for kind in dict.fromkeys(call.kind for call in self.calls.values()):
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
            nameless = [n for n in lost if n in self.reports and not self.reports[n].attempts]
            # A call that was told another's position is not named: it has one.
            if not self.regime.strangers_alike and len(nameless) > self.lied[kind]:
                wrong += [f"reported without the calls that it may belong to: {n}" for n in nameless]
        return wrong
