"""What a ledger gives as plain data is all that it knows: whoever goes on from that concludes the same."""

from __future__ import annotations

import math
import random
from decimal import Decimal

import msgspec
import pytest

from mizar_async._ledger.carried import Carried
from mizar_async._ledger.events import Answered, Closed, Event, Kind, Listed, Row, Sending, Verdict
from mizar_async._ledger.ledger import Ledger

from ..simulation.regimes import REGIMES
from ..simulation.run import Run


class Twin(Ledger):
    """Has a copy, made anew every now and then from what it gives as data, that takes the same events."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = random.Random(1)
        self.copy: Ledger | None = None
        self.copies = 0
        self.differences: list[tuple[Event, list[Verdict], list[Verdict]]] = []

    def take(self, event: Event) -> list[Verdict]:
        ours = super().take(event)
        if self.copy is not None:
            theirs = self.copy.take(event)
            if sorted(map(repr, ours)) != sorted(map(repr, theirs)):
                self.differences.append((event, ours, theirs))
                self.copy = None
        if self.rng.random() < 0.01:
            self.copies += 1
            self.copy = Ledger.of(msgspec.msgpack.decode(msgspec.msgpack.encode(self.carried()), type=Carried))
        return ours


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("regime", REGIMES)
def test_a_ledger_made_of_what_another_carries_goes_on_as_that_one(regime: str) -> None:
    for seed in range(2):
        run = Run(seed, REGIMES[regime], Twin)
        run.violations()
        twin = run.ledger
        assert isinstance(twin, Twin)
        assert twin.copies > 0
        assert twin.differences == []


@pytest.mark.parametrize(
    "regime",
    [
        "lists that are cut",
        "no two alike, and close-alls in doubt",
        "sizes echoed with four digits",
        "answers after the time-out",
        "few at a time",
    ],
)
def test_so_it_does_where_much_is_remembered(regime: str) -> None:
    run = Run(5, REGIMES[regime], Twin)
    assert run.violations() == []
    assert isinstance(run.ledger, Twin)
    assert run.ledger.differences == []


def test_what_is_over_for_long_is_forgotten_and_not_carried() -> None:
    twin = Twin()
    twin.take(Listed(0.0, 0.1, ()))
    for number in range(1, 701):
        kind, at = Kind("BTC", "USDT", Decimal(number) / 1000, True), float(number)
        twin.take(Sending(number, kind, at, 10.0, 15.0, 1.0, False))
        twin.take(Answered(number, number, at + 0.1))
        twin.take(Closed(number, at + 0.2, certain=number % 2 == 0))
        if number % 50 == 0:
            # A close that was only believed is contradicted, and stands again later.
            twin.take(Listed(at + 2.5, at + 2.6, (Row(number - 1, kind, -math.inf, math.inf),)))
            twin.take(Closed(number - 1, at + 2.7))
    twin.take(Listed(2000.0, 2000.1, ()))
    assert twin.differences == []
    assert twin.copies > 0
    assert not any(twin.is_closed(number) for number in range(1, 701))
    assert Ledger.of(twin.carried()).carried() == twin.carried()
