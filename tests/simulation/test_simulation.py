"""The ledger in virtual time, against the truth: thousands of alike opens, and faults of every kind.

In every regime and seed: no position given twice, none lost from sight, no call without an end by its deadline, none
that is never followed up; no wrong Absent, wherever the assumptions hold.

The ordinary run takes 12 seeds of each regime; with MIZAR_FAULTS_FULL in the environment all take 10,000 together.
"""

from __future__ import annotations

import os

import pytest

from .regimes import REGIMES
from .run import Run

pytestmark = pytest.mark.usefixtures("unmeasured")
CHUNKS, SEEDS = (28, 20) if os.environ.get("MIZAR_FAULTS_FULL") else (1, 12)


@pytest.mark.parametrize(
    "chunk", range(CHUNKS), ids=lambda chunk: f"seeds {chunk * SEEDS} to {(chunk + 1) * SEEDS - 1}"
)
@pytest.mark.parametrize("regime", REGIMES)
def test_nothing_is_given_twice_lost_or_wrongly_called_absent(regime: str, chunk: int) -> None:
    seeds = range(chunk * SEEDS, (chunk + 1) * SEEDS)
    broken = {seed: violations for seed in seeds if (violations := Run(seed, REGIMES[regime]).violations())}
    assert not broken


def test_the_same_seed_runs_the_same_way() -> None:
    def story(seed: int) -> list[object]:
        run = Run(seed, REGIMES["deadlines"])
        run.violations()
        return [(number, call.told_at, call.ledger_said) for number, call in run.calls.items()]

    assert story(3) == story(3)
    assert story(3) != story(4)


def test_the_simulation_exercises_every_verdict() -> None:
    said: set[str] = set()
    for regime in ("our own close-all", "deadlines", "strangers open the same"):
        run = Run(1, REGIMES[regime])
        run.violations()
        said |= {type(verdict).__name__ for call in run.calls.values() for verdict in call.ledger_said}
        said |= {type(report).__name__ for report in run.reports.values()}
    assert said == {"Opened", "Absent", "Undecidable", "Unclaimed"}
