"""What a ledger gives as plain data is all that it knows: whoever goes on from that concludes the same."""

from __future__ import annotations

import random

import msgspec
import pytest

from mizar_async._ledger.carried import Carried
from mizar_async._ledger.events import Event, Verdict
from mizar_async._ledger.ledger import Ledger

from ..simulation.regimes import REGIMES
from ..simulation.run import Run

pytestmark = pytest.mark.usefixtures("unmeasured")


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


@pytest.mark.parametrize("regime", REGIMES)
def test_a_ledger_made_of_what_another_carries_goes_on_as_that_one(regime: str) -> None:
    for seed in range(2):
        run = Run(seed, REGIMES[regime], Twin)
        run.violations()
        twin = run.ledger
        assert isinstance(twin, Twin)
        assert twin.copies > 0
        assert twin.differences == []
