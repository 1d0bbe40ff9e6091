"""A bot that is killed every eight seconds on average, and goes on by the events on disk, against the truth.

With MIZAR_FAULTS_FULL in the environment 2,000 seeds are taken. Faults that are built in on purpose are caught.
"""

from __future__ import annotations

import os

import pytest

from .crashes import CRASHES, CrashRun

pytestmark = pytest.mark.usefixtures("unmeasured")
CHUNKS, SEEDS = (40, 25) if os.environ.get("MIZAR_FAULTS_FULL") else (1, 12)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("regime", CRASHES)
def test_each_name_opens_once_and_stays_what_it_was_said_to_be(regime: str, chunk: int) -> None:
    seeds = range(chunk * SEEDS, (chunk + 1) * SEEDS)
    broken = {seed: violations for seed in seeds if (violations := CrashRun(seed, CRASHES[regime]).violations())}
    assert not broken


def test_bots_crash_many_times_in_these_runs() -> None:
    run = CrashRun(3, CRASHES["crashes"])
    run.violations()
    assert run.crashes > 1


@pytest.mark.parametrize(
    "fault",
    [
        "counts_window_from_the_crash",
        "forgets_what_was_in_flight",
        "writes_after_sending",
        "tells_before_it_is_on_disk",
        "names_only_what_was_answered",
    ],
)
def test_a_bot_that_recovers_wrongly_is_caught(fault: str) -> None:
    faulty = type(fault, (CrashRun,), {fault: True})
    regimes = list(CRASHES.values())
    assert any(faulty(seed, regimes[seed % len(regimes)]).violations() for seed in range(300))
