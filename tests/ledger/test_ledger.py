"""What the ledger concludes, rule by rule. Times are seconds on one timeline; nothing here waits."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async._ledger.events import (
    Absent,
    Answered,
    Closed,
    Closing,
    Cut,
    Doubted,
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
from mizar_async._ledger.ledger import Ledger
from mizar_async._ledger.server_clock import ServerClock

LONG = Kind("BTC", "USDT", Decimal("0.3"), True)
OTHER = Kind("ETH", "USDT", Decimal("0.3"), True)
EVER = -math.inf, math.inf


@pytest.fixture
def ledger() -> Ledger:
    """A ledger whose strategy had position 5 open at the start."""
    ledger = Ledger()
    assert listed(ledger, 0.0, 5) == []
    return ledger


@pytest.fixture
def fresh() -> Ledger:
    """A ledger that has seen no list yet."""
    return Ledger()


def send(
    ledger: Ledger,
    *attempts: int,
    at: float = 1.0,
    kind: Kind = LONG,
    others_close: bool = False,
    settle_time: float = 15.0,
) -> None:
    """Attempts with a time-out of 10 s: sent at 1, the window ends at 26, and absence is proven after 27."""
    for attempt in attempts:
        ledger.take(Sending(attempt, kind, at, 10.0, settle_time, 1.0, others_close))


def doubt(ledger: Ledger, *attempts: int, at: float = 11.0, said_yes: bool = False) -> list[Verdict]:
    return [verdict for attempt in attempts for verdict in ledger.take(Doubted(attempt, at, said_yes))]


def sweep(ledger: Ledger, at: float, until: float | None = None) -> None:
    """A close-all that acts at once, or until then."""
    ledger.take(Sweeping(1, at))
    ledger.take(Swept(1, at + 0.01 if until is None else until))


def listed(ledger: Ledger, asked_at: float, *shown: int | Row, clock_on: bool = True) -> list[Verdict]:
    rows = tuple(row if isinstance(row, Row) else Row(row, LONG, *EVER) for row in shown)
    return ledger.take(Listed(asked_at, asked_at + 0.1, rows, clock_on))


def test_an_answer_names_the_position_and_ends_the_attempt(ledger: Ledger) -> None:
    send(ledger, 1)
    assert set(ledger.in_flight) == {1}
    assert ledger.take(Answered(1, 6, 1.5)) == [Opened(1, 6, waited_for=True)]
    assert (ledger.owner(6), set(ledger.open_positions), set(ledger.in_flight), ledger.waits) == (1, {6}, set(), False)


def test_a_refused_attempt_leaves_nothing_behind(ledger: Ledger) -> None:
    send(ledger, 1)
    assert ledger.take(Refused(1)) == []
    assert (set(ledger.in_flight), set(ledger.in_doubt), ledger.waits) == (set(), set(), False)


def test_an_attempt_in_doubt_that_is_refused_after_all_opened_nothing(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    assert ledger.take(Refused(1)) == [Absent(1, waited_for=True)]
    assert ledger.waits is False


def test_an_open_that_ended_undecidable_and_opened_nothing_by_the_users_word_is_not_named_again(ledger: Ledger) -> None:
    send(ledger, 1, others_close=True)
    doubt(ledger, 1)
    listed(ledger, 28.0, 5)
    assert ledger.take(Refused(1)) == []
    assert listed(ledger, 40.0, 5, 6) == [Unclaimed(6, ())]


def test_a_new_position_belongs_to_the_attempt_in_doubt(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    assert set(ledger.in_doubt) == {1}
    assert listed(ledger, 12.0, 5, 6) == [Opened(1, 6, waited_for=True)]
    assert ledger.owner(6) == 1


def test_a_position_waits_while_an_older_attempt_in_flight_may_own_it(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1)
    assert listed(ledger, 12.0, 5, 6) == []
    assert (ledger.candidates(1), ledger.candidates(2), ledger.owner(6)) == ((6,), (6,), None)
    assert ledger.take(Answered(2, 6, 12.5)) == [Opened(2, 6, waited_for=True)]
    assert listed(ledger, 27.5, 5, 6) == [Absent(1, waited_for=True)]


def test_a_position_does_not_wait_for_an_attempt_sent_after_it_was_listed(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1)
    listed(ledger, 12.0, 5, 6)
    send(ledger, 3, at=12.5)
    assert ledger.candidates(3) == ()
    assert doubt(ledger, 2, at=13.0) == [Opened(1, 6, waited_for=True)]


def test_a_position_is_not_given_to_an_attempt_sent_after_it_was_listed(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    ledger.take(Answered(1, 3, 1.5))  # ids do not grow, so that floors tell nothing
    assert listed(ledger, 2.0, 5, 3, 6) == []
    send(ledger, 3, at=2.5)
    doubt(ledger, 3)
    assert ledger.take(Refused(2)) == [Unclaimed(6, ())]


def test_of_two_in_doubt_the_one_whose_window_ends_first_gets_the_position(ledger: Ledger) -> None:
    send(ledger, 1, settle_time=30.0)
    send(ledger, 2)
    doubt(ledger, 1, 2)
    assert listed(ledger, 12.0, 5, 6) == [Opened(2, 6, waited_for=True)]


def test_positions_go_out_in_the_order_of_their_ids(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1, 2)
    assert listed(ledger, 12.0, 7, 5, 6) == [Opened(1, 6, waited_for=True), Opened(2, 7, waited_for=True)]


def test_where_ids_do_not_grow_positions_go_out_in_the_order_of_their_times(ledger: Ledger) -> None:
    send(ledger, 1, 3)
    ledger.take(Answered(3, 2, 1.5))
    send(ledger, 2, at=20.0)
    doubt(ledger, 1, 2, at=21.5)
    shown = Row(7, LONG, 21.0, 21.1), Row(9, LONG, 2.0, 2.1)
    assert listed(ledger, 24.0, 5, 2, *shown) == [Opened(1, 9, waited_for=True), Opened(2, 7, waited_for=True)]


def test_of_two_in_doubt_the_one_to_whom_nothing_else_may_belong_gets_the_position(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    listed(ledger, 12.0, 5, 4)
    send(ledger, 2, at=13.0)
    doubt(ledger, 2, at=14.0)
    assert listed(ledger, 15.0, 5, 4, 6) == [Opened(2, 6, waited_for=True)]
    unknown = Undecidable(1, waited_for=True, candidates=(4,))
    assert listed(ledger, 28.0, 5, 4, 6) == [unknown, Unclaimed(4, (1,))]


def test_what_may_be_somebodys_who_was_given_another_may_be_that_others(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    listed(ledger, 12.0, 5, 4)  # 1 may have opened it, though its id does not fit
    send(ledger, 2, at=13.0)
    assert listed(ledger, 14.0, 5, 4, Row(6, LONG, 12.1, 12.2)) == [Opened(1, 6, waited_for=True)]
    doubt(ledger, 2, at=23.0)
    unknown = Undecidable(2, waited_for=True, candidates=(4,))
    assert listed(ledger, 40.0, 5, 4, 6) == [unknown, Unclaimed(4, (2,))]


@pytest.mark.parametrize(
    ("echo", "same"),
    [
        pytest.param(Kind("btc", "Usdt", Decimal("0.3"), True), True, id="a pair in another case"),
        pytest.param(Kind("BTC", "USDT", Decimal("0.30"), True), True, id="a size with another number of digits"),
        pytest.param(Kind("BTC", "USDT", Decimal("0.300000004"), True), True, id="a size that was rounded"),
        pytest.param(Kind("BTC", "USDT", Decimal("0.30000001"), True), True, id="a size just across the border above"),
        pytest.param(Kind("BTC", "USDT", Decimal("0.29999999"), True), True, id="a size just across the border below"),
        pytest.param(Kind("BTC", "USDT", Decimal("0.304"), True), False, id="another size"),
        pytest.param(Kind("BTC", "USDT", Decimal("0.3"), False), False, id="the other side"),
        pytest.param(Kind("BTC", "USDC", Decimal("0.3"), True), False, id="another pair"),
        pytest.param(Kind("BTC", "USDT", Decimal("NaN"), True), False, id="a size that is no number"),
        pytest.param(Kind("BTC", "USDT", Decimal("1E+99999"), True), False, id="a size beyond all numbers"),
    ],
)
def test_a_listed_position_is_of_the_attempts_kind(ledger: Ledger, echo: Kind, same: bool) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    verdicts = listed(ledger, 12.0, 5, Row(6, echo, *EVER))
    assert verdicts == ([Opened(1, 6, waited_for=True)] if same else [Unclaimed(6, ())])


@given(st.decimals(min_value="0.00000001", max_value=1, places=10), st.integers(-100, 100))
def test_sizes_within_a_hundred_millionth_are_the_same_wherever_the_border_lies(size: Decimal, off: int) -> None:
    ledger = Ledger()
    listed(ledger, 0.0, 5)
    send(ledger, 1, kind=Kind("BTC", "USDT", size, True))
    doubt(ledger, 1)
    echo = Kind("BTC", "USDT", size + Decimal(off) / 10**10, True)
    assert listed(ledger, 12.0, 5, Row(6, echo, *EVER)) == [Opened(1, 6, waited_for=True)]


def test_an_id_that_was_known_before_sending_makes_a_position_a_candidate_only(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    assert listed(ledger, 12.0, 5, 4) == []
    assert ledger.candidates(1) == (4,)
    assert listed(ledger, 28.0, 5, 4) == [Undecidable(1, waited_for=True, candidates=(4,)), Unclaimed(4, (1,))]


def test_floors_are_off_once_an_answer_has_shown_that_ids_do_not_grow(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    ledger.take(Answered(2, 3, 1.5))
    doubt(ledger, 1)
    assert listed(ledger, 12.0, 5, 3, 4) == [Opened(1, 4, waited_for=True)]


CANDIDATE = [Undecidable(1, waited_for=True, candidates=(6,)), Unclaimed(6, (1,))]


@pytest.mark.parametrize(
    ("earliest", "latest", "verdicts"),
    [
        pytest.param(0.0, 0.9, CANDIDATE, id="before it was sent"),
        pytest.param(0.0, 1.0, [Opened(1, 6, waited_for=True)], id="perhaps as it was sent"),
        pytest.param(26.0, 26.1, [Opened(1, 6, waited_for=True)], id="perhaps as its window ended"),
        pytest.param(26.1, 26.2, CANDIDATE, id="after its window had ended"),
    ],
)
def test_a_position_is_given_only_if_its_time_of_opening_lies_in_the_window(
    ledger: Ledger, earliest: float, latest: float, verdicts: list[Verdict]
) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    row = Row(6, LONG, earliest, latest)
    assert listed(ledger, 26.5, 5, row) + listed(ledger, 28.0, 5, row) == verdicts


@pytest.mark.parametrize(
    ("size", "near"),
    [
        pytest.param("0.30000003", True, id="hardly"),
        pytest.param("0.303", True, id="by one percent more"),
        pytest.param("0.297", True, id="by one percent less"),
        pytest.param("0.304", False, id="by more than that"),
        pytest.param("0.296", False, id="by less than that"),
    ],
)
def test_a_position_whose_size_differs_is_a_candidate_within_a_percent(ledger: Ledger, size: str, near: bool) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    row = Row(6, Kind("BTC", "USDT", Decimal(size), True), *EVER)
    stranger: list[Verdict] = [Unclaimed(6, ()), Absent(1, waited_for=True)]
    assert listed(ledger, 12.0, 5, row) + listed(ledger, 28.0, 5, row) == (CANDIDATE if near else stranger)


def test_sizes_are_not_relied_on_once_an_answer_has_echoed_another(ledger: Ledger) -> None:
    third, rounded = Decimal(1) / 3, Decimal("0.3333")
    send(ledger, 1, 2, kind=Kind("BTC", "USDT", third, True))
    doubt(ledger, 1)
    row = Row(6, Kind("BTC", "USDT", rounded, True), *EVER)
    assert listed(ledger, 12.0, 5, row) == []
    assert ledger.take(Answered(2, 7, 12.5, size=rounded)) == [
        Opened(2, 7, waited_for=True),
        Opened(1, 6, waited_for=True),
    ]


def test_a_rounded_size_goes_to_who_asked_for_the_nearest(ledger: Ledger) -> None:
    sizes = {1: "0.3001", 2: "0.3004", 3: "0.3007", 4: "0.2"}
    for attempt, size in sizes.items():
        send(ledger, attempt, kind=Kind("BTC", "USDT", Decimal(size), True))
    ledger.take(Answered(4, 6, 2.0, size=Decimal("0.2001")))
    doubt(ledger, 1, 2, 3)
    row = Row(7, Kind("BTC", "USDT", Decimal("0.300402"), True), *EVER)
    assert listed(ledger, 12.0, 5, 6, row) == [Opened(2, 7, waited_for=True)]


def test_a_position_that_fits_nobody_waits_for_everyone_whose_it_may_be(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    send(ledger, 2, at=25.0)
    assert listed(ledger, 28.0, 5, 4) == []
    assert (ledger.candidates(1), ledger.candidates(2)) == ((4,), (4,))
    assert doubt(ledger, 2, at=35.0) == []
    assert listed(ledger, 49.0, 5, 4) == []
    assert listed(ledger, 51.1, 5, 4) == [
        Undecidable(1, waited_for=True, candidates=(4,)),
        Undecidable(2, waited_for=True, candidates=(4,)),
        Unclaimed(4, (1, 2)),
    ]


def test_whom_a_position_may_belong_to_is_absent_once_another_has_proven_to_own_it(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    send(ledger, 2, at=25.0)
    assert listed(ledger, 28.0, 5, 4) == []
    assert ledger.take(Answered(2, 4, 28.5)) == [Opened(2, 4, waited_for=True), Absent(1, waited_for=True)]


def test_an_attempt_does_not_wait_for_what_is_seen_after_its_absence_was_proven(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    send(ledger, 2, 3, at=25.0)
    assert listed(ledger, 28.0, 5, 4) == []
    assert listed(ledger, 28.5, 5, 4, 3) == []
    assert ledger.candidates(1) == (4,)
    assert ledger.take(Answered(2, 4, 28.6)) == [Opened(2, 4, waited_for=True), Absent(1, waited_for=True)]


def test_a_stranger_does_not_wait_for_calls_that_were_sent_after_it_was_listed(ledger: Ledger) -> None:
    assert listed(ledger, 0.5, 5, 6) == [Unclaimed(6, ())]
    send(ledger, 1)
    doubt(ledger, 1)
    assert listed(ledger, 28.0, 5, 6) == [Absent(1, waited_for=True)]


@pytest.mark.parametrize(
    ("asked_at", "ends"),
    [pytest.param(27.0, False, id="within the lag"), pytest.param(27.01, True, id="after the lag")],
)
def test_absence_is_proven_by_a_list_asked_for_after_the_window_and_the_lag(
    ledger: Ledger, asked_at: float, ends: bool
) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    assert listed(ledger, asked_at, 5) == ([Absent(1, waited_for=True)] if ends else [])


@pytest.mark.parametrize(
    ("doubted_at", "window_end"),
    [pytest.param(1.5, 26.0, id="an early reset"), pytest.param(20.0, 35.0, id="given up late")],
)
def test_the_window_ends_a_settle_time_after_the_later_of_time_out_and_giving_up(
    ledger: Ledger, doubted_at: float, window_end: float
) -> None:
    send(ledger, 1)
    doubt(ledger, 1, at=doubted_at)
    assert listed(ledger, window_end + 0.9, 5) == []
    assert listed(ledger, window_end + 1.1, 5) == [Absent(1, waited_for=True)]


def test_nothing_is_absent_while_a_position_may_be_its(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    send(ledger, 2, at=20.0)
    assert listed(ledger, 28.0, 5, 6) == []
    assert ledger.waits
    assert ledger.take(Answered(2, 6, 28.5)) == [Opened(2, 6, waited_for=True), Absent(1, waited_for=True)]


def test_a_list_that_lacks_what_is_known_to_be_open_proves_no_absence(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1)
    ledger.take(Answered(2, 6, 20.0))
    assert listed(ledger, 28.0, 5) == []
    assert ledger.proven_until < 26.0
    assert listed(ledger, 28.5, 5, 6) == [Absent(1, waited_for=True)]


def test_a_list_that_shows_what_was_closed_before_proves_no_absence(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1)
    ledger.take(Answered(2, 6, 20.0))
    ledger.take(Closing(6))
    ledger.take(Closed(6, 21.0))
    assert listed(ledger, 28.0, 5, 6) == []
    assert listed(ledger, 28.5, 5) == [Absent(1, waited_for=True)]


def test_what_was_not_certainly_closed_is_open_as_soon_as_a_list_shows_it(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1)
    ledger.take(Answered(2, 6, 20.0))
    ledger.take(Closing(6))
    ledger.take(Closed(6, 21.0, certain=False))
    assert listed(ledger, 21.9, 5, 6) == []
    assert (ledger.owner(6), ledger.holder(6)) == (None, 2)
    assert listed(ledger, 28.0, 5, 6) == [Absent(1, waited_for=True)]
    assert ledger.owner(6) == 2
    assert listed(ledger, 29.0, 5) == []  # and the close may have acted since
    assert (ledger.owner(6), ledger.proves(29.0)) == (None, True)


def test_what_is_called_closed_and_shown_for_long_is_open(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1)
    ledger.take(Answered(2, 6, 20.0))
    ledger.take(Closed(6, 21.0))
    assert listed(ledger, 28.0, 5, 6) == listed(ledger, 34.0, 5, 6) == []
    assert ledger.owner(6) is None
    assert listed(ledger, 34.1, 5, 6) == [Absent(1, waited_for=True)]
    assert ledger.owner(6) == 2


def test_what_is_called_closed_and_shown_now_and_then_stays_closed(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    ledger.take(Closed(6, 2.0))
    for asked_at in (4.0, 9.0, 16.0, 21.0):
        listed(ledger, asked_at, 5, 6)
        listed(ledger, asked_at + 1.0, 5)
    assert ledger.owner(6) is None


def test_what_nobody_owns_and_is_open_after_all_is_reported_unless_it_was(ledger: Ledger) -> None:
    listed(ledger, 0.5, 5, Row(7, OTHER, *EVER))
    send(ledger, 1, 2)
    doubt(ledger, 1)
    listed(ledger, 12.0, 5, Row(7, OTHER, *EVER), 4)
    for closed in (4, 5, 7):
        ledger.take(Closed(closed, 13.0, certain=False))
    assert ledger.take(Refused(2)) == []
    assert listed(ledger, 28.0) == [Undecidable(1, waited_for=True, candidates=(4,))]
    assert listed(ledger, 29.0, 5, Row(7, OTHER, *EVER), 4) == [Unclaimed(4, (1,))]


def test_a_later_doubt_does_not_make_a_close_uncertain(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    ledger.take(Closed(6, 2.0))
    ledger.take(Closed(6, 2.5, certain=False))
    assert listed(ledger, 5.0, 5, 6) == []
    assert ledger.owner(6) is None


def test_only_the_last_list_proves_and_only_if_it_is_fresh(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    listed(ledger, 4.0, 5, 6)
    assert (ledger.proves(4.0), ledger.proves(3.0)) == (True, False)
    listed(ledger, 5.0, 5)
    assert (ledger.proves(4.0), ledger.proves(5.0)) == (False, False)


def open_ten(ledger: Ledger) -> list[int]:
    ids = list(range(11, 21))
    send(ledger, *ids)
    for position_id in ids:
        ledger.take(Answered(position_id, position_id, 1.0 + position_id / 100))
    return ids


@pytest.mark.parametrize("grow", [True, False], ids=["ids grow", "ids do not grow"])
def test_a_list_that_shows_nothing_newer_than_what_it_lacks_is_cut_and_proves_nothing(
    ledger: Ledger, grow: bool
) -> None:
    ten = open_ten(ledger)
    send(ledger, 1, 2, 3, at=2.0)
    newest = 21 if grow else 3
    ledger.take(Answered(2, newest, 2.5))
    doubt(ledger, 1, 3)
    assert listed(ledger, 28.0, *ten) == [Cut(10)]
    assert listed(ledger, 50.0, *ten) == []
    assert (ledger.owner(newest), ledger.proves(50.0), set(ledger.in_doubt)) == (2, False, {1, 3})
    end = [Absent(1, waited_for=True), Absent(3, waited_for=True)]
    assert listed(ledger, 51.0, *ten, newest) == end
    assert listed(ledger, 52.0, *ten) == [Cut(10)]


def test_a_list_that_shows_something_newer_than_what_it_lacks_is_whole(ledger: Ledger) -> None:
    ten = open_ten(ledger)
    assert listed(ledger, 28.0, 5, *ten[1:]) == []
    assert listed(ledger, 35.0, 5, *ten[1:]) == [Vanished(11)]


def test_a_list_of_a_few_rows_is_taken_to_be_whole(ledger: Ledger) -> None:
    ten = open_ten(ledger)
    assert listed(ledger, 28.0, *ten[:9]) == []
    assert listed(ledger, 35.0, *ten[:9]) == [Vanished(20)]


def test_a_list_within_the_lag_may_lack_the_new_and_show_the_closed(ledger: Ledger) -> None:
    send(ledger, 1, 2, 3)
    doubt(ledger, 1)
    ledger.take(Answered(2, 6, 27.5))
    ledger.take(Answered(3, 7, 20.0))
    ledger.take(Closing(7))
    ledger.take(Closed(7, 27.5))
    assert listed(ledger, 28.0, 5, 7) == [Absent(1, waited_for=True)]


def test_a_stale_list_proves_presence(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1)
    ledger.take(Answered(2, 7, 20.0))
    assert listed(ledger, 28.0, 5, 6) == [Opened(1, 6, waited_for=True)]


def test_what_is_missing_for_long_has_vanished(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    assert listed(ledger, 10.0, 5) == []
    assert listed(ledger, 16.0, 5) == []
    assert listed(ledger, 16.1, 5) == [Vanished(6)]
    assert (ledger.owner(6), set(ledger.open_positions)) == (None, set())


def test_what_is_missing_now_and_then_has_not_vanished(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    assert listed(ledger, 10.0, 5) == listed(ledger, 14.0, 5, 6) == listed(ledger, 17.0, 5) == []
    assert set(ledger.open_positions) == {6}


def test_what_had_vanished_and_comes_back_is_still_its_owners(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    listed(ledger, 10.0, 5)
    listed(ledger, 16.1, 5)
    assert listed(ledger, 17.0, 5, 6) == []
    assert (ledger.owner(6), set(ledger.open_positions)) == (1, {6})


def test_what_is_being_closed_may_be_missing(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 2)
    ledger.take(Answered(1, 6, 12.0))
    ledger.take(Closing(6))
    assert set(ledger.open_positions) == set()
    assert listed(ledger, 28.0, 5) == [Absent(2, waited_for=True)]


def test_an_open_that_said_yes_is_never_absent(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1, at=2.0, said_yes=True)
    assert listed(ledger, 28.0, 5) == [Undecidable(1, waited_for=True, candidates=())]


def test_an_open_that_said_yes_trades_with_an_equal_that_opened_nothing(ledger: Ledger) -> None:
    send(ledger, 1, settle_time=0.0)
    send(ledger, 2, at=1.1)
    ledger.take(Doubted(1, 1.05))
    ledger.take(Doubted(2, 20.0, said_yes=True))
    assert listed(ledger, 20.5, 5, Row(6, LONG, 5.0, 6.0)) == [Opened(1, 6, waited_for=True)]
    assert listed(ledger, 28.0, 5, 6) == [Absent(2, waited_for=True)]


def test_an_open_that_said_yes_does_not_trade_for_what_was_opened_later(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    ledger.take(Doubted(1, 2.0))
    ledger.take(Doubted(2, 2.0, said_yes=True))
    row = Row(6, LONG, 5.0, 6.0)
    assert listed(ledger, 12.0, 5, row) == [
        Opened(1, 6, waited_for=True),
        Undecidable(2, waited_for=True, candidates=()),
    ]


def test_what_others_may_have_closed_is_undecidable(ledger: Ledger) -> None:
    send(ledger, 1, others_close=True)
    doubt(ledger, 1)
    assert listed(ledger, 28.0, 5) == [Undecidable(1, waited_for=True, candidates=())]


@pytest.mark.parametrize("in_flight", [True, False], ids=["in flight", "in doubt"])
def test_a_close_all_may_have_closed_it_unseen(ledger: Ledger, in_flight: bool) -> None:
    send(ledger, 1)
    if in_flight:
        sweep(ledger, 5.0)
    doubt(ledger, 1)
    if not in_flight:
        sweep(ledger, 15.0)
    assert listed(ledger, 28.0) == [Undecidable(1, waited_for=True, candidates=())]


def test_a_close_all_under_way_may_close_it_unseen(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    ledger.take(Sweeping(1, 27.5))
    assert listed(ledger, 28.0) == [Undecidable(1, waited_for=True, candidates=())]


def test_a_close_all_does_not_matter_to_what_is_sent_after_it(ledger: Ledger) -> None:
    sweep(ledger, 0.5)
    send(ledger, 1)
    doubt(ledger, 1)
    assert listed(ledger, 28.0) == [Absent(1, waited_for=True)]


def test_a_close_all_that_may_act_late_may_close_what_is_sent_until_then(ledger: Ledger) -> None:
    sweep(ledger, 0.5, until=25.5)
    send(ledger, 1, at=25.4)
    send(ledger, 2, at=25.6)
    doubt(ledger, 1, 2, at=36.0)
    unknown = Undecidable(1, waited_for=True, candidates=())
    assert listed(ledger, 55.0) == [unknown, Absent(2, waited_for=True)]


def test_a_close_all_that_was_refused_has_closed_nothing(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    sweep(ledger, 12.0, until=12.0)
    assert listed(ledger, 28.0) == [Absent(1, waited_for=True)]


def test_what_was_opened_while_a_close_all_may_act_is_known_to_be_open_once_a_later_list_shows_it(
    ledger: Ledger,
) -> None:
    sweep(ledger, 0.5, until=25.5)
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    listed(ledger, 26.0, 6)
    assert set(ledger.open_positions) == set()
    listed(ledger, 26.6, 6)
    assert set(ledger.open_positions) == {6}


def test_the_doubt_of_a_close_all_moves_to_the_equal_whose_position_is_taken(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1, at=2.0)
    sweep(ledger, 3.0)
    send(ledger, 2, at=4.0)
    doubt(ledger, 2, at=14.0)
    assert listed(ledger, 15.0, 6) == [Opened(1, 6, waited_for=True)]
    assert listed(ledger, 31.0, 6) == [Undecidable(2, waited_for=True, candidates=())]


def test_after_a_close_all_nothing_vanishes(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    sweep(ledger, 3.0)
    assert set(ledger.open_positions) == set()
    assert listed(ledger, 10.0) == listed(ledger, 20.0) == []
    assert ledger.proven_until == 19.0


def test_what_a_close_all_has_left_is_known_to_be_open_again(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    sweep(ledger, 3.0)
    listed(ledger, 10.0, 6)
    assert set(ledger.open_positions) == {6}


def test_who_gave_up_is_followed_up(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1)
    assert ledger.take(GaveUp(1)) == ledger.take(GaveUp(2)) == []
    doubt(ledger, 2)
    assert listed(ledger, 12.0, 5, 6) == [Opened(1, 6, waited_for=False)]
    assert listed(ledger, 28.0, 5, 6) == [Absent(2, waited_for=False)]


def test_a_stranger_is_reported_once(ledger: Ledger) -> None:
    assert listed(ledger, 1.0, 5, Row(6, OTHER, *EVER)) == [Unclaimed(6, ())]
    assert listed(ledger, 2.0, 5, Row(6, OTHER, *EVER)) == []


def test_a_stranger_that_comes_and_goes_is_reported_once(ledger: Ledger) -> None:
    assert listed(ledger, 1.0, 5, 6) == [Unclaimed(6, ())]
    assert listed(ledger, 3.0, 5) == listed(ledger, 5.0, 5, 6) == []


def test_what_was_there_at_the_start_is_not_reported(fresh: Ledger) -> None:
    assert not fresh.has_baseline
    assert listed(fresh, 0.0, 5, 6) == []
    assert fresh.has_baseline
    assert listed(fresh, 1.0, 5, 6) == []


def test_a_position_that_came_too_late_names_the_call_it_may_belong_to(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    listed(ledger, 28.0, 5)
    assert listed(ledger, 40.0, 5, Row(6, LONG, 39.0, 39.1)) == [Unclaimed(6, (1,))]


def test_a_closed_position_does_not_come_back_as_unclaimed(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.5))
    ledger.take(Closing(6))
    ledger.take(Closed(6, 2.0))
    ledger.take(Closed(9, 2.0))
    assert (ledger.owner(6), set(ledger.open_positions)) == (None, set())
    assert listed(ledger, 2.1, 5, 6, 9) == listed(ledger, 100.0, 5, 6, 9) == []


def test_whoever_opened_what_was_closed_before_it_had_an_owner_is_told(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1)
    listed(ledger, 12.0, 5, 6)
    ledger.take(Closed(6, 12.5))
    assert ledger.take(Refused(2)) == [Opened(1, 6, waited_for=True)]
    assert set(ledger.open_positions) == set()


def test_what_was_closed_before_anybody_owned_it_is_not_reported(ledger: Ledger) -> None:
    send(ledger, 1)
    listed(ledger, 2.0, 5, 6)
    ledger.take(Closed(6, 2.5))
    assert ledger.take(Answered(1, 7, 3.0)) == [Opened(1, 7, waited_for=True)]
    assert not ledger.waits


def test_a_late_answer_gives_the_position_to_an_attempt_in_doubt(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    assert ledger.take(Answered(1, 6, 13.0)) == [Opened(1, 6, waited_for=True)]
    assert not ledger.in_doubt


def test_a_late_answer_after_the_end_gives_the_position_all_the_same(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    listed(ledger, 28.0, 5)
    assert ledger.take(Answered(1, 6, 29.0)) == [Opened(1, 6, waited_for=False)]
    assert listed(ledger, 31.0, 5, 6) == []


def test_a_late_answer_that_names_what_an_equal_was_given_trades_places(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1, 2)
    assert listed(ledger, 12.0, 5, 6) == [Opened(1, 6, waited_for=True)]
    assert ledger.take(Answered(2, 6, 13.0)) == []
    assert (ledger.owner(6), set(ledger.in_doubt)) == (1, {2})
    assert listed(ledger, 14.0, 5, 6, 7) == [Opened(2, 7, waited_for=True)]


def test_an_attempt_that_took_an_equals_place_waits_for_what_either_may_have_opened(ledger: Ledger) -> None:
    send(ledger, 1)
    send(ledger, 2, settle_time=60.0)
    doubt(ledger, 1, 2)
    listed(ledger, 12.0, 5, 6)
    ledger.take(Answered(2, 6, 13.0))  # which may be a proxy's
    assert listed(ledger, 28.0, 5, 6) == []
    assert listed(ledger, 74.1, 5, 6) == [Absent(2, waited_for=True)]


def test_a_late_answer_of_one_given_anothers_position_frees_its_own(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    doubt(ledger, 1, 2)
    listed(ledger, 12.0, 5, 6)
    assert ledger.take(Answered(1, 7, 13.0)) == [Opened(2, 7, waited_for=True)]
    assert (ledger.owner(6), ledger.owner(7)) == (1, 2)


def test_a_late_answer_that_frees_what_nobody_may_own_is_reported(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    listed(ledger, 12.0, 5, 6)
    assert ledger.take(Answered(1, 7, 13.0)) == [Unclaimed(7, ())]


def test_a_position_that_was_answered_to_one_is_never_given_to_another(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    ledger.take(Answered(1, 6, 2.0))
    assert ledger.take(Answered(2, 6, 2.5)) == []
    assert (ledger.owner(6), set(ledger.in_doubt)) == (1, {2})
    assert listed(ledger, 12.0, 5, 6, 7) == [Opened(2, 7, waited_for=True)]


def test_an_answer_that_names_anothers_position_says_neither_yes_nor_no(ledger: Ledger) -> None:
    send(ledger, 1, 2)
    ledger.take(Answered(1, 6, 2.0))
    ledger.take(Answered(2, 6, 2.5))
    assert listed(ledger, 26.9, 5, 6) == []
    assert listed(ledger, 27.1, 5, 6) == [Absent(2, waited_for=True)]


def test_an_answer_that_names_what_another_had_and_closed_is_not_believed(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 2.0))
    ledger.take(Closed(6, 3.0))
    send(ledger, 2, at=4.0)
    assert ledger.take(Answered(2, 6, 4.5)) == []
    assert (ledger.owner(6), ledger.holder(6), set(ledger.in_doubt)) == (None, 1, {2})


def test_an_answer_that_names_what_was_closed_before_the_sending_is_not_believed(ledger: Ledger) -> None:
    ledger.take(Closed(6, 0.5))
    send(ledger, 1)
    assert ledger.take(Answered(1, 6, 1.5)) == []
    assert set(ledger.in_doubt) == {1}


def test_an_answer_that_names_what_a_close_all_has_closed_meanwhile_is_believed(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Closed(6, 1.4))
    assert ledger.take(Answered(1, 6, 1.5)) == [Opened(1, 6, waited_for=True)]
    assert (ledger.owner(6), ledger.holder(6), set(ledger.open_positions)) == (None, 1, set())


@pytest.mark.parametrize("closed", [False, True], ids=["and is open", "and was closed since"])
def test_an_answer_that_names_what_was_listed_before_the_sending_is_not_believed(ledger: Ledger, closed: bool) -> None:
    listed(ledger, 0.5, 5, 6)
    send(ledger, 1)
    if closed:
        ledger.take(Closed(6, 1.2))
    assert ledger.take(Answered(1, 6, 1.5)) == []
    assert (set(ledger.in_doubt), ledger.candidates(1)) == ({1}, ())


def test_an_answer_that_names_what_was_listed_after_the_sending_is_believed(ledger: Ledger) -> None:
    send(ledger, 1)
    listed(ledger, 1.1, 5, 6)
    assert ledger.take(Answered(1, 6, 1.5)) == [Opened(1, 6, waited_for=True)]


@pytest.mark.parametrize(
    ("err", "end"),
    [(False, Absent(4, waited_for=True)), (True, Undecidable(4, waited_for=True, candidates=()))],
    ids=["no answer has named another's", "an answer has named another's"],
)
def test_whoever_opened_what_is_reported_may_have_been_told_anothers(ledger: Ledger, err: bool, end: Verdict) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.2))
    if err:
        send(ledger, 2)
        ledger.take(Answered(2, 6, 1.3))
        ledger.take(Refused(2))
    send(ledger, 3, at=2.0)
    assert listed(ledger, 2.1, 5, 6, 7) == []
    send(ledger, 4, at=2.3)
    assert ledger.take(Answered(3, 8, 2.4)) == [Opened(3, 8, waited_for=True), Unclaimed(7, ())]  # perhaps 4 opened 8
    doubt(ledger, 4, at=12.3)
    assert listed(ledger, 30.0, 5, 6, 7, 8) == [end]


def test_whoever_was_told_anothers_may_have_asked_for_nearly_its_size(ledger: Ledger) -> None:
    nearly = Kind("BTC", "USDT", Decimal("0.301"), True)
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.2))
    send(ledger, 2)
    ledger.take(Answered(2, 6, 1.3))
    ledger.take(Refused(2))
    send(ledger, 3, at=2.0)
    assert listed(ledger, 2.1, 5, 6, 7) == []
    send(ledger, 4, at=2.3, kind=nearly)
    assert ledger.take(Answered(3, 8, 2.4)) == [Opened(3, 8, waited_for=True), Unclaimed(7, ())]  # perhaps 4 opened 8
    doubt(ledger, 4, at=12.3)
    rows = 5, 6, 7, Row(8, nearly, *EVER)
    assert listed(ledger, 30.0, *rows) == [Undecidable(4, waited_for=True, candidates=())]


def test_an_answer_that_is_not_believed_says_nothing_of_ids(ledger: Ledger) -> None:
    send(ledger, 1)
    ledger.take(Answered(1, 6, 1.2))
    send(ledger, 2, 3, at=2.0)
    ledger.take(Answered(2, 5, 2.5))
    doubt(ledger, 3)
    assert listed(ledger, 12.0, 5, 6, 4) == []  # 4 would be theirs, did ids not grow


def test_the_same_answer_again_changes_nothing(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    listed(ledger, 12.0, 5, 6)
    assert ledger.take(Answered(1, 6, 13.0)) == ledger.take(Answered(1, 6, 14.0)) == []
    assert (ledger.owner(6), set(ledger.in_doubt)) == (1, set())


def test_without_a_baseline_a_position_is_adopted_by_its_time_of_opening(fresh: Ledger) -> None:
    send(fresh, 1)
    doubt(fresh, 1)
    assert listed(fresh, 12.0, Row(4, LONG, -9.0, -8.9), Row(6, LONG, 2.0, 2.1)) == [Opened(1, 6, waited_for=True)]


def test_without_a_baseline_an_undated_position_is_a_candidate_and_never_adopted(fresh: Ledger) -> None:
    send(fresh, 1)
    doubt(fresh, 1)
    assert listed(fresh, 12.0, 6) == []
    assert fresh.candidates(1) == (6,)
    assert listed(fresh, 28.0, 6) == [Undecidable(1, waited_for=True, candidates=(6,)), Unclaimed(6, (1,))]
    assert (fresh.owner(6), fresh.waits) == (None, False)


def test_an_undated_position_is_adopted_once_it_can_be_dated(fresh: Ledger) -> None:
    send(fresh, 1)
    doubt(fresh, 1)
    listed(fresh, 12.0, 6)
    assert listed(fresh, 13.0, Row(6, LONG, 2.0, 2.1)) == [Opened(1, 6, waited_for=True)]


@pytest.mark.parametrize("clock_on", [True, False], ids=["clock on", "clock off"])
def test_without_a_baseline_absence_needs_the_clock(fresh: Ledger, clock_on: bool) -> None:
    send(fresh, 1)
    doubt(fresh, 1)
    end = Absent(1, waited_for=True) if clock_on else Undecidable(1, waited_for=True, candidates=())
    assert listed(fresh, 28.0, clock_on=clock_on) == [end]


def test_with_a_baseline_absence_needs_no_clock(ledger: Ledger) -> None:
    send(ledger, 1)
    doubt(ledger, 1)
    assert listed(ledger, 28.0, 5, clock_on=False) == [Absent(1, waited_for=True)]


def test_a_first_list_that_comes_while_an_open_is_in_flight_does_not_report_what_was_there_before(
    fresh: Ledger,
) -> None:
    send(fresh, 1)
    assert listed(fresh, 2.0, 4, Row(5, OTHER, *EVER), clock_on=False) == []
    assert fresh.take(Answered(1, 6, 3.0)) == [Opened(1, 6, waited_for=True)]
    assert not fresh.waits


def test_events_of_attempts_that_are_not_known_change_nothing(ledger: Ledger) -> None:
    for event in (Answered(9, 6, 1.0), Refused(9), Doubted(9, 1.0), GaveUp(9), Closing(9)):
        assert ledger.take(event) == []
    assert ledger.candidates(9) == ()
    assert not ledger.waits


def test_its_repr_tells_what_is_going_on(ledger: Ledger) -> None:
    send(ledger, 1, 2, 3)
    ledger.take(Answered(1, 6, 1.5))
    doubt(ledger, 2)
    assert repr(ledger) == "<Ledger: 1 in flight, 1 in doubt, 1 open, 0 unowned, proven until -1>"


@given(st.permutations(range(6, 12)), st.integers(0, 6))
def test_the_order_of_rows_does_not_matter(ids: list[int], others: int) -> None:
    ledger = Ledger()
    listed(ledger, 0.0, 5)
    send(ledger, *range(6 - others))
    doubt(ledger, *range(6 - others))
    verdicts = listed(ledger, 12.0, 5, *ids)
    given_away = [verdict.position_id for verdict in verdicts if isinstance(verdict, Opened)]
    assert given_away == list(range(6, 12 - others))


def size_of(ledger: Ledger) -> int:
    """How many things it remembers, in all that it consists of."""
    seen: set[int] = set()
    queue: list[object] = [ledger]
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, (str, float, int, type(None), Decimal)):
            continue
        seen.add(id(thing))
        if isinstance(thing, dict):
            queue.extend(thing.values())
        elif isinstance(thing, (list, tuple, set, deque)):
            queue.extend(thing)
        else:
            fields = getattr(type(thing), "__slots__", ())
            queue.extend(getattr(thing, name) for name in fields if name != "__weakref__")
            queue.extend(vars(thing).values() if hasattr(thing, "__dict__") else ())
    return len(seen)


def open_and_close(ledger: Ledger, cycle: int, now: float) -> None:
    send(ledger, cycle, at=now)
    ledger.take(Answered(cycle, cycle, now))
    ledger.take(Closing(cycle))
    ledger.take(Closed(cycle, now))


def open_and_sweep(ledger: Ledger, cycle: int, now: float) -> None:
    send(ledger, cycle, at=now)
    ledger.take(Answered(cycle, cycle, now))
    sweep(ledger, now)
    if cycle % 10 == 0:
        listed(ledger, now + 0.5)


def doubt_and_find(ledger: Ledger, cycle: int, now: float) -> None:
    send(ledger, cycle, at=now, settle_time=1.0, kind=Kind("BTC", "USDT", Decimal(cycle) / 10**7, True))
    doubt(ledger, cycle, at=now)
    if cycle % 50 == 0:
        listed(ledger, now + 20, cycle, Row(cycle + 1, OTHER, *EVER))


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("live", [open_and_close, open_and_sweep, doubt_and_find])
def test_an_endless_run_needs_constant_memory(live: Callable[[Ledger, int, float], None]) -> None:
    ledger = Ledger()
    listed(ledger, 0.0)
    sizes = []
    for cycle in range(1, 20_001):
        live(ledger, cycle, cycle * 2.0)
        if cycle in (2_000, 20_000):
            sizes.append(size_of(ledger))
    assert sizes[1] <= sizes[0] * 1.1 + 100


def test_the_clock_is_off_until_two_samples_a_second_apart_agree() -> None:
    clock = ServerClock()
    assert clock.when(5_000, 0.0) == EVER
    clock.sample(0.0, 0.1, 5_050)
    clock.sample(0.5, 0.6, 5_550)
    assert (clock.on, clock.when(5_050, 0.6)) == (False, EVER)
    clock.sample(1.2, 1.3, 6_250)
    assert clock.on
    earliest, latest = clock.when(5_050, 1.3)
    assert -0.11 < earliest < -0.05 < 0.15 < latest < 0.21


@pytest.mark.parametrize("rate", [0.1, 1.5, 3.0, 60.0])
@pytest.mark.parametrize("apart", [0.01, 0.3, 1.5, 20.0])
def test_the_clock_of_a_venue_at_another_rate_stays_off(rate: float, apart: float) -> None:
    clock = ServerClock()
    rng = random.Random(7)
    for step in range(100):
        sent = step * apart
        clock.sample(sent, sent + 0.05, int((1_000 + (sent + rng.uniform(0, 0.05)) * rate) * 1000))
        assert not clock.on


def test_a_clock_that_contradicts_itself_is_off_until_two_new_samples_agree() -> None:
    clock = ServerClock()
    for second in range(3):
        clock.sample(second, second + 0.01, second * 1000)
    assert clock.on
    clock.sample(3.0, 3.01, 9_000)
    assert not clock.on
    clock.sample(5.0, 5.01, 11_000)
    assert clock.on
    earliest, latest = clock.when(10_000, 5.0)
    assert 3.8 < earliest < 3.9
    assert 4.1 < latest < 4.2


def test_hosts_a_tenth_of_a_second_apart_are_one_clock() -> None:
    clock = ServerClock()
    for second in range(10):
        clock.sample(second, second + 0.001, second * 1000 + 100 * (second % 2))
        assert clock.on == (second > 1)
    for ms in (5_000, 5_100):
        earliest, latest = clock.when(ms, 10.0)
        assert earliest <= 5.0 <= latest


@given(st.floats(-1e5, 1e5), st.floats(-1e-4, 1e-4), st.lists(st.floats(0.01, 20), min_size=3, max_size=30))
def test_the_clock_dates_within_its_bounds(offset: float, drift: float, gaps: list[float]) -> None:
    clock, now = ServerClock(), 100.0

    def served(at: float) -> int:
        return math.floor((2e9 + offset + at * (1 + drift)) * 1000)

    for gap in gaps:
        now += gap
        clock.sample(now - 0.005, now, served(now - 0.003))
    for ago in (0.0, 1.0, 60.0):
        earliest, latest = clock.when(served(now - ago), now)
        assert earliest <= now - ago <= latest


def test_its_clock_says_in_its_repr_what_it_knows() -> None:
    clock = ServerClock()
    assert repr(clock) == "<ServerClock: off>"
    clock.sample(0.0, 0.0, 2_000)
    clock.sample(2.0, 2.0, 4_000)
    assert repr(clock) == "<ServerClock: offset 1.900 to 2.101 s>"
