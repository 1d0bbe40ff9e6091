"""What a ledger makes of runs that end, of clocks that can't be compared, and of what callers were told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mizar_async._ledger.events import (
    Absent,
    Answered,
    Doubted,
    Kind,
    Listed,
    Opened,
    Prolonged,
    Row,
    RunEnded,
    Sending,
    Sweeping,
    Told,
    Undecidable,
    Verdict,
    numbers_of,
    run_of,
)
from mizar_async._ledger.ledger import Ledger

FIRST, SECOND = numbers_of(1), numbers_of(2)
ONE, OTHER, LATER = next(FIRST), next(FIRST), next(SECOND)
LONG = Kind("BTC", "USDT", Decimal("0.3"), True)


@pytest.fixture
def ledger() -> Ledger:
    """A ledger of a strategy that had nothing open at the start."""
    ledger = Ledger()
    listed(ledger, 0.0)
    return ledger


def listed(ledger: Ledger, at: float, *position_ids: int) -> list[Verdict]:
    rows = tuple(Row(position_id, LONG, -float("inf"), float("inf")) for position_id in position_ids)
    return ledger.take(Listed(at - 0.1, at, rows))


def send(ledger: Ledger, *numbers: int, at: float = 1.0) -> None:
    for number in numbers:
        ledger.take(Sending(number, LONG, at, timeout=10.0, settle_time=15.0, listing_lag=1.0, others_close=False))


def test_numbers_are_unique_over_runs_and_grow() -> None:
    assert [run_of(number) for number in (ONE, OTHER, LATER)] == [1, 1, 2]
    assert ONE < OTHER < LATER < 2**63


def test_what_a_run_that_ended_had_in_flight_is_in_doubt_from_then_on(ledger: Ledger) -> None:
    send(ledger, ONE)
    ledger.take(RunEnded(1, at=100.0))
    assert list(ledger.in_doubt) == [ONE]
    assert listed(ledger, 115.9) == []  # counted from the sending, its window would have passed long ago
    assert listed(ledger, 116.2) == [Absent(ONE, waited_for=False)]


def test_a_run_ends_once(ledger: Ledger) -> None:
    send(ledger, ONE)
    ledger.take(RunEnded(1, at=100.0))
    ledger.take(RunEnded(1, at=500.0))
    assert listed(ledger, 116.2) == [Absent(ONE, waited_for=False)]


def test_what_another_run_has_in_flight_stays_so(ledger: Ledger) -> None:
    send(ledger, ONE, LATER)
    ledger.take(RunEnded(1, at=100.0))
    assert list(ledger.in_flight) == [LATER]


def test_what_was_in_doubt_before_its_run_ended_keeps_its_window(ledger: Ledger) -> None:
    send(ledger, ONE)
    ledger.take(Doubted(ONE, at=11.0))
    ledger.take(RunEnded(1, at=20.0))
    assert listed(ledger, 27.2) == [Absent(ONE, waited_for=False)]


def test_after_its_end_a_run_sends_and_tells_nothing_but_its_facts_are_welcome(ledger: Ledger) -> None:
    send(ledger, ONE)
    ledger.take(RunEnded(1, at=100.0))
    send(ledger, OTHER, at=100.5)
    assert OTHER not in ledger.in_flight
    assert ledger.take(Told(ONE, "absent", by=1)) == []
    assert ledger.take(Answered(ONE, 7, at=101.0)) == [Opened(ONE, 7, waited_for=False)]


def test_a_close_all_of_a_run_that_ended_may_act_until_its_window_ends(ledger: Ledger) -> None:
    ledger.take(Sweeping(ONE, at=1.0, timeout=10.0, settle_time=15.0))
    ledger.take(RunEnded(1, at=100.0))
    send(ledger, LATER, at=114.0)
    ledger.take(Doubted(LATER, at=115.0))
    assert listed(ledger, 150.0) == [Undecidable(LATER, waited_for=True, candidates=())]


def test_a_close_all_of_a_run_that_ended_acts_no_more_after_its_window(ledger: Ledger) -> None:
    ledger.take(Sweeping(ONE, at=1.0, timeout=10.0, settle_time=15.0))
    ledger.take(RunEnded(1, at=100.0))
    send(ledger, LATER, at=116.0)
    ledger.take(Doubted(LATER, at=117.0))
    assert listed(ledger, 150.0) == [Absent(LATER, waited_for=True)]


def test_where_it_is_not_known_how_long_ago_it_was_sent_a_window_begins_anew(ledger: Ledger) -> None:
    send(ledger, ONE)
    ledger.take(Doubted(ONE, at=11.0))
    ledger.take(Prolonged(at=1000.0))
    assert listed(ledger, 1025.9) == []
    assert listed(ledger, 1026.2) == [Absent(ONE, waited_for=True)]


def test_where_clocks_can_not_be_compared_dates_exclude_nobody(ledger: Ledger) -> None:
    send(ledger, ONE, at=5000.0)
    ledger.take(Doubted(ONE, at=5001.0))
    ledger.take(Prolonged(at=5002.0))
    assert ledger.take(Listed(5002.5, 5002.6, (Row(7, LONG, 900.0, 901.0),))) == [Opened(ONE, 7, waited_for=True)]


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (Told(ONE, "opened", 7), Opened(ONE, 7, waited_for=True)),
        (Told(ONE, "absent"), Absent(ONE, waited_for=True)),
        (Told(ONE, "undecidable", candidates=(8,)), Undecidable(ONE, waited_for=True, candidates=(8,))),
    ],
)
def test_what_a_caller_was_told_stands_though_less_is_known_here(ledger: Ledger, told: Told, verdict: Verdict) -> None:
    send(ledger, ONE)
    ledger.take(Doubted(ONE, at=11.0))
    assert ledger.take(told) == [verdict]
    assert ledger.take(told) == []
    assert not ledger.in_doubt


def test_a_later_run_may_tell_what_became_of_an_earlier_ones(ledger: Ledger) -> None:
    send(ledger, ONE)
    ledger.take(RunEnded(1, at=100.0))
    assert ledger.take(Told(ONE, "absent", by=2)) == [Absent(ONE, waited_for=False)]


def test_what_was_told_of_an_attempt_in_flight_stands_when_its_run_ends(ledger: Ledger) -> None:
    send(ledger, ONE, OTHER)
    ledger.take(Told(ONE, "opened", 7))
    ledger.take(RunEnded(1, at=100.0))
    assert ledger.owner(7) == ONE
    assert list(ledger.in_doubt) == [OTHER]
