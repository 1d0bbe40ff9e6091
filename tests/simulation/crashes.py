"""A bot that is killed every few seconds and goes on from what is on disk, with a name for each open.

What it has written by then is all that is left: what it had in mind, and whatever was not committed, is gone. The
server, and what is on its way to it, go on. Against the truth: each name opens once, what a name was said to have
opened it has opened for ever, and nothing is lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import attrs
import msgspec

from mizar_async._api.trading import OpenPosition
from mizar_async._journal.entries import Changed, Entry, Shown, entry_bytes, read_entry
from mizar_async._ledger import ledger as shipped
from mizar_async._ledger.carried import Carried
from mizar_async._ledger.closes import CloseLedger
from mizar_async._ledger.events import (
    Absent,
    Event,
    Kind,
    Listed,
    Opened,
    Refused,
    RunEnded,
    Sending,
    Told,
    Unclaimed,
    Undecidable,
    Verdict,
    numbers_of,
    run_of,
)
from mizar_async._ledger.server_clock import ServerClock

from .closer import Closer
from .run import Call, Regime, Run
from .venue import COMMON, RARE, Time, different

CRASHES = {
    "crashes": Regime(opens=300),
    # Where none can stand for another, whoever is opened twice is not made up for by one that was lost.
    "crashes, and no two alike": Regime(opens=150, all_differ=True, faults=0.3),
}
SERVER = {"_act_and_answer", "_close_acts", "_read", "_strange", "_crash", "_crash_soon"}


class Lives(Time):
    """What a program was about to do is gone with it; what the server does goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.life = self.acting = 0

    def after(self, delay: float, do: Callable[..., object], *args: Any) -> None:
        super().after(delay, self._happens, self.acting, do, args)

    def _happens(self, life: int, do: Callable[..., object], args: tuple[Any, ...]) -> None:
        is_programs = isinstance(getattr(do, "__self__", None), (Run, *CLIENTS)) or not hasattr(do, "__self__")
        if is_programs and life != self.life and getattr(do, "__name__", "") not in SERVER:
            return
        self.acting = life
        do(*args)
        self.acting = self.life


CLIENTS: tuple[type, ...] = (Closer,)


@attrs.define
class Order:
    """What a name stands for: its last attempt, and what became of that."""

    attempt: int
    kind: Kind
    said: Verdict | None = None
    is_free: bool = False
    is_told: bool = False


@attrs.define
class State:
    """What stands for all entries before."""

    ledger: bytes
    rows: tuple[Any, ...]
    orders: dict[str, Order]


class CrashRun(Run):
    """`violations` of one seed."""

    counts_window_from_the_crash = False
    forgets_what_was_in_flight = False
    writes_after_sending = False
    tells_before_it_is_on_disk = False
    names_only_what_was_answered = False

    def __init__(
        self,
        seed: int,
        regime: Regime,
        ledger: type[shipped.Ledger] = shipped.Ledger,
        closes: type[CloseLedger] = CloseLedger,
    ) -> None:
        self.ledger_type, self.closes_type = ledger, closes
        super().__init__(seed, regime, ledger, closes)
        lives = Lives()
        self.time = self.venue.time = self.closer.time = lives
        self.lives = lives
        self.dice = random.Random(seed + 10**6)
        self.run_number = 1
        self.numbers = numbers_of(1)
        self.crash_at_next_open = self.is_down = False
        self.in_the_kernel: dict[int, Kind] = {}
        """What leaves a program that was stopped only when it is killed."""
        self.disk: list[tuple[str, bytes]] = []
        self.buffer: list[tuple[str, bytes]] = []
        self.waiting: list[Callable[[], None]] = []
        self.state: State | None = None
        self.shown = Shown()
        self.has_list = False
        self.orders: dict[str, Order] = {}
        self.names: dict[int, str] = {}
        self.asking: dict[str, Callable[[Verdict | None], None]] = {}
        self.seen: dict[str, int] = {}
        self.unknown: set[str] = set()
        self.left: list[str] = []
        """The names that are still to be opened."""
        self.crashes = 0

    # the journal

    def _append(self, entry: Entry) -> None:
        if not self.buffer:
            self.time.after(self.dice.uniform(0, 0.05), self._commit)
        self.buffer.append((entry.name, entry_bytes(entry)))

    def _once_on_disk(self, do: Callable[[], None]) -> None:
        self.waiting.append(do)
        self.time.after(self.dice.choice((0.0005, 0.002, 0.02)), self._commit)

    def _commit(self) -> None:
        self.disk += self.buffer
        waiting, self.buffer, self.waiting = self.waiting, [], []
        if self.dice.random() < 0.02:
            self._write_state()
        for do in waiting:
            do()

    def _write_state(self) -> None:
        orders = {name: attrs.evolve(order) for name, order in self.orders.items()}
        data = msgspec.msgpack.encode(self.ledger.carried())
        self.state, self.disk = State(data, tuple(self.shown.rows.values()), orders), []

    def take(self, event: Event) -> None:
        verdicts = self.ledger.take(event)
        self._write(event, verdicts)
        for verdict in verdicts:
            match verdict:
                case Opened() | Absent() | Undecidable():
                    self._said(verdict)
                case Unclaimed():
                    self.reported[verdict.position_id] += 1
                case _:
                    pass
        if self.waits:
            self._list_soon()

    def _write(self, event: Event, verdicts: list[Verdict]) -> None:
        if not isinstance(event, Listed):
            request = self._request(event) if isinstance(event, Sending) else None
            self._append(Entry(event, request))
            return
        changed, is_first = self.shown.changed(event), not self.has_list
        self.has_list = True
        if changed.rows or changed.gone or verdicts or is_first:
            self._append(Entry(changed))

    def _request(self, event: Sending) -> OpenPosition:
        kind, name = event.kind, self.names[event.attempt]
        return OpenPosition(
            strategy_id=1,
            base_asset=kind.base_asset,
            quote_asset=kind.quote_asset,
            size=kind.size,
            is_long=kind.is_long,
            client_order_id=None if self.names_only_what_was_answered else name,
        )

    # opens

    def ask(self, name: str, kind: Kind, then: Callable[[Verdict | None], None]) -> None:
        """What a call with that client order id does."""
        order = self.orders.get(name)
        if order is not None and not order.is_free:
            if order.said is not None:
                self._tell(name, order, then)
            else:
                self.asking[name] = then
            return
        number = next(self.numbers)
        self.names[number] = name
        self.asking[name] = then
        self.orders[name] = Order(number, kind)
        self.calls[number] = Call(kind, self.time.now, lambda: None)
        if self.crash_at_next_open:
            self.crash_at_next_open = False
            self.time.after(self.dice.uniform(0, 0.03), self._crash)
        settle, lag = self.settle, self.regime.lag
        self.take(Sending(number, kind, self.time.now, self.timeout, settle, lag, self.regime.others_close))
        if self.writes_after_sending:
            self.time.after(0.0, self._send, number, kind)
        else:
            self._once_on_disk(lambda: self._send(number, kind))

    def _send(self, number: int, kind: Kind) -> None:
        if self.dice.random() < 0.1:
            self.in_the_kernel[number] = kind
            self.time.after(self.timeout, self._doubted, number)
        else:
            super()._send(number, kind)

    def _said(self, verdict: Opened | Absent | Undecidable) -> None:
        name = self.names.get(verdict.attempt)
        order = self.orders.get(name) if name else None
        if name is None or order is None or order.attempt != verdict.attempt:
            return
        order.said = verdict
        if then := self.asking.pop(name, None):
            self._tell(name, order, then)

    def _tell(self, name: str, order: Order, then: Callable[[Verdict | None], None]) -> None:
        verdict = order.said
        assert verdict is not None
        if not order.is_told:
            order.is_told = True
            self._append(Entry(_told(verdict, self.run_number)))
        if self.tells_before_it_is_on_disk:
            self._see(name, verdict, then)
        else:
            self._once_on_disk(lambda: self._see(name, verdict, then))

    def _see(self, name: str, verdict: Verdict, then: Callable[[Verdict | None], None]) -> None:
        order = self.orders[name]
        if isinstance(verdict, Opened):
            if self.seen.setdefault(name, verdict.position_id) != verdict.position_id:
                self.complaints.append(f"{name} was {self.seen[name]}, and is {verdict.position_id}")
        elif isinstance(verdict, Absent):
            order.is_free = True
        else:
            self.unknown.add(name)
        then(verdict)

    def _refused(self, number: int) -> None:
        if number in self.ledger.in_flight:
            self.take(Refused(number))
            name = self.names[number]
            self.orders[name].is_free = True
            if then := self.asking.pop(name, None):
                then(None)

    # the bot

    def _begin(self) -> None:
        self.left = [f"entry-{number}" for number in range(self.regime.opens)]
        super()._begin()
        self.time.after(self.dice.expovariate(1 / 8), self._crash_soon)

    def _work(self) -> None:
        if self.left:
            name = self.left.pop(self.dice.randrange(len(self.left)) if self.dice.random() < 0.1 else 0)
            self.ask(name, self._kind(int(name[6:])), lambda verdict: self._asked(name, verdict))

    def _kind(self, number: int) -> Kind:
        if self.regime.all_differ:
            return different(number + 1)
        return COMMON if number % 30 else RARE

    def _asked(self, name: str, verdict: Verdict | None) -> None:
        if verdict is None or isinstance(verdict, Absent):
            self.left.append(name)
        elif isinstance(verdict, Opened) and self.dice.random() < 0.3:
            self.time.after(self.dice.expovariate(0.5), self._close, verdict.position_id)
        self.time.after(self.dice.expovariate(1 / self.pause), self._work)

    def _done(self) -> bool:
        return len(self.seen.keys() | self.unknown) == self.regime.opens

    # the crash

    def _crash_soon(self) -> None:
        """At once, or in the middle of an open."""
        if self.dice.random() < 0.5 and self.left:
            self.crash_at_next_open = True
        else:
            self._crash()

    def _crash(self) -> None:
        if self._done() or self.is_down:
            return
        self.crashes += 1
        self.is_down = True
        self.lives.life += 1
        self.lives.acting = self.lives.life
        if self.dice.random() < 0.5:  # the commit was under way, and nobody heard that it ended
            self.disk += self.buffer
        self.buffer, self.waiting, self.asking, self.listing = [], [], {}, False
        self.closer.under_way.clear()
        self.closer.closes = self.closes_type()
        self.clock = ServerClock()
        crashed_at, pause = self.time.now, self.dice.choice((0.05, 0.5, 5.0))
        for number in [one for one in self.in_the_kernel if one in self.ledger.in_flight]:
            self.time.after(pause + self._hold(), self.venue.open, self.in_the_kernel.pop(number), number)
        self.time.after(pause, self._begin_again, crashed_at)

    def _begin_again(self, crashed_at: float) -> None:
        self.is_down = False
        self.time.after(self.dice.expovariate(1 / 8), self._crash_soon)
        self._fold()
        last, self.run_number = self.run_number, self.run_number + 1
        self.numbers = numbers_of(self.run_number)
        if self.forgets_what_was_in_flight:
            for number in list(self.ledger.in_flight):
                self.take(Refused(number))
        # Whoever took over before may have crashed before that was on disk.
        for run in sorted({last, *map(run_of, self.ledger.in_flight)}):
            self.take(RunEnded(run, crashed_at if self.counts_window_from_the_crash else self.time.now))
        for name, position_id in self.seen.items():
            order = self.orders.get(name)
            if order is None or not isinstance(order.said, Opened) or order.said.position_id != position_id:
                self.complaints.append(f"{name} was {position_id}, and after a crash is {order and order.said}")
        ended = self.seen.keys() | self.unknown
        self.left = [f"entry-{one}" for one in range(self.regime.opens) if f"entry-{one}" not in ended]
        for _ in range(self.regime.workers):
            self.time.after(self.dice.random() * 0.5, self._work)

    def _fold(self) -> None:
        state, self.orders = self.state, {}
        self.ledger = self.closer.ledger = self.ledger_type()
        self.shown = Shown(state.rows if state else ())
        if state is not None:
            self.ledger = self.closer.ledger = self.ledger_type.of(msgspec.msgpack.decode(state.ledger, type=Carried))
            self.orders = {name: attrs.evolve(order) for name, order in state.orders.items()}
        for kind, data in self.disk:
            entry = read_entry(kind, data)
            event = self.shown.listed(entry.event) if isinstance(entry.event, Changed) else entry.event
            if isinstance(event, Sending) and entry.request and entry.request.client_order_id:
                self.orders[entry.request.client_order_id] = Order(event.attempt, event.kind)
            by_attempt = {order.attempt: order for order in self.orders.values()}
            if isinstance(event, Refused) and event.attempt in by_attempt:
                by_attempt[event.attempt].is_free = True
            if isinstance(event, Told) and event.attempt in by_attempt:
                by_attempt[event.attempt].is_told = True
            for verdict in self.ledger.take(event):  # type: ignore[arg-type]
                number = getattr(verdict, "attempt", None)
                if number in by_attempt:
                    by_attempt[number].said = verdict
                    by_attempt[number].is_free = isinstance(verdict, Absent)

    # the truth

    def violations(self) -> list[str]:
        self._begin()
        self.time.run(until=3_000)
        return [*self.complaints, *self.closer.complaints, *self._twice_or_lost()]

    def _twice_or_lost(self) -> list[str]:
        wrong = [] if self._done() else [f"never ended: {self.regime.opens - len(self.seen)} names"]
        ours = [held for held in self.venue.positions.values() if held.opener is not None]
        if len(ours) > self.regime.opens:
            wrong.append(f"{len(ours)} were opened by {self.regime.opens} names")
        if len(set(self.seen.values())) != len(self.seen):
            wrong.append("two names have one position")
        if len(ours) - len(self.seen) > len(self.unknown):
            wrong.append(f"{len(ours)} were opened, {len(self.seen)} seen, {len(self.unknown)} unknown")
        said_yes = sum(call.said_yes for call in self.calls.values())
        if len(self.unknown) > said_yes:
            wrong.append(f"{len(self.unknown)} unknown, and {said_yes} heard yes")
        return wrong


def _told(verdict: Verdict, by: int) -> Told:
    match verdict:
        case Opened():
            return Told(verdict.attempt, "opened", verdict.position_id, by=by)
        case Undecidable():
            return Told(verdict.attempt, "undecidable", candidates=verdict.candidates, by=by)
        case _:
            assert isinstance(verdict, Absent)
            return Told(verdict.attempt, "absent", by=by)
