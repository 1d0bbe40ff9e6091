"""What the ledger of closes concludes, rule by rule. Times are seconds on one timeline; nothing here waits."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from mizar_async._ledger.closes import AllClosed, CloseDoubted, CloseLedger, CloseVerdict, Forgotten, Gone, StillOpen
from mizar_async._ledger.events import Closed, Kind, Listed, Row

KIND = Kind("BTC", "USDT", Decimal("0.3"), True)


@pytest.fixture
def closes() -> CloseLedger:
    """Close 7, of positions 1 and 2, is in doubt: sent at 10, its window ends at 35, the lag is 1 s."""
    closes = CloseLedger()
    assert doubt(closes, 7, 1, 2) == []
    return closes


def doubt(closes: CloseLedger, call: int, *position_ids: int, sent: float = 10.0) -> list[CloseVerdict]:
    return closes.take(CloseDoubted(call, position_ids, sent, sent + 25.0, 1.0))


def listed(closes: CloseLedger, asked_at: float, *shown: int) -> list[CloseVerdict]:
    rows = tuple(Row(position_id, KIND, -math.inf, math.inf) for position_id in shown)
    return closes.take(Listed(asked_at, asked_at + 0.1, rows))


def test_a_close_in_doubt_is_done_once_a_list_lacks_all_that_it_was_to_close(closes: CloseLedger) -> None:
    assert listed(closes, 11.1, 1) == [Gone(2)]
    assert (closes.left(7), closes.waits) == ((1,), True)
    assert listed(closes, 12.0) == [Gone(1), AllClosed(7)]
    assert (closes.left(7), closes.waits) == ((), False)


def test_a_list_within_the_lag_tells_nothing_of_a_close(closes: CloseLedger) -> None:
    assert listed(closes, 11.0) == []


@pytest.mark.parametrize(("asked_at", "ends"), [(36.0, False), (36.1, True)], ids=["within the lag", "after the lag"])
def test_what_is_shown_after_the_window_and_the_lag_was_not_closed(
    closes: CloseLedger, asked_at: float, ends: bool
) -> None:
    assert listed(closes, asked_at, 1) == ([Gone(2), StillOpen(7, (1,))] if ends else [Gone(2)])
    assert closes.waits is not ends


def test_a_close_in_doubt_is_done_once_all_that_it_was_to_close_was_closed_otherwise(closes: CloseLedger) -> None:
    assert closes.take(Closed(1, 12.0)) == []
    assert closes.take(Closed(9, 12.0)) == []
    assert closes.take(Closed(2, 12.0)) == [AllClosed(7)]


def test_an_uncertain_close_decides_nothing_until_a_list_does(closes: CloseLedger) -> None:
    closes.take(Closed(1, 12.0))
    assert closes.take(Closed(2, 12.0, certain=False)) == []
    assert listed(closes, 13.5, 2) == []
    assert listed(closes, 36.1, 2) == [StillOpen(7, (2,))]


def test_a_position_that_several_are_to_close_is_gone_once(closes: CloseLedger) -> None:
    doubt(closes, 8, 2, sent=11.0)
    assert listed(closes, 11.5, 1) == [Gone(2), AllClosed(8)]
    assert listed(closes, 20.0, 1) == []
    assert listed(closes, 21.0) == [Gone(1), AllClosed(7)]


def test_a_close_that_is_in_doubt_again_has_the_window_of_its_last_sending(closes: CloseLedger) -> None:
    closes.take(Closed(1, 12.0))
    doubt(closes, 7, 1, 2, sent=30.0)
    assert closes.left(7) == (2,)
    assert listed(closes, 36.1, 2) == []
    assert listed(closes, 56.1, 2) == [StillOpen(7, (2,))]


def test_a_close_all_of_nothing_is_done_with_the_first_list_after_it() -> None:
    closes = CloseLedger()
    doubt(closes, 7)
    assert closes.waits
    assert listed(closes, 11.1, 5) == [AllClosed(7)]


def test_a_call_that_was_forgotten_is_not_looked_for(closes: CloseLedger) -> None:
    doubt(closes, 8, 2)
    for call in (7, 7, 9):
        assert closes.take(Forgotten(call)) == []
    assert set(closes.in_doubt) == {8}
    assert listed(closes, 12.0) == [Gone(2), AllClosed(8)]


def test_its_repr_tells_how_much_is_in_doubt(closes: CloseLedger) -> None:
    assert repr(closes) == "<CloseLedger: 1 in doubt>"
