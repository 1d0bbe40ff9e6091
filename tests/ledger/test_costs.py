"""What the ledger costs, counted in steps of Python rather than in seconds, so that no other load can change it."""

from __future__ import annotations

import math
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest

from mizar_async._ledger.events import Answered, Closed, Closing, Doubted, Kind, Listed, Refused, Row, Sending
from mizar_async._ledger.ledger import Ledger
from mizar_async._ledger.placing import NAMED

pytestmark = pytest.mark.usefixtures("unmeasured")
KIND = Kind("BTC", "USDT", Decimal("0.3"), True)
EVER = -math.inf, math.inf
BEFORE = -5.0, -4.0
FIRST = Row(5, KIND, *EVER)


def steps(of: Callable[[], object]) -> int:
    """How many lines run."""
    count = 0

    def step(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += 1
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        of()
    finally:
        sys.settrace(before)
    return count


def begun() -> Ledger:
    ledger = Ledger()
    listed(ledger, 0.0)
    return ledger


def listed(ledger: Ledger, asked_at: float, rows: Iterable[Row] = ()) -> None:
    ledger.take(Listed(asked_at, asked_at + 0.1, (FIRST, *rows)))


def send(ledger: Ledger, attempts: range, *, at: float = 1.0, kinds: list[Kind] | None = None) -> None:
    for index, attempt in enumerate(attempts):
        ledger.take(Sending(attempt, kinds[index] if kinds else KIND, at, 10.0, 15.0, 1.0, False))


def doubt(ledger: Ledger, attempts: range, at: float = 11.0) -> None:
    for attempt in attempts:
        ledger.take(Doubted(attempt, at))


def rows(ids: Iterable[int], kinds: list[Kind] | None = None, dated: tuple[float, float] = EVER) -> list[Row]:
    return [Row(position_id, kinds[index] if kinds else KIND, *dated) for index, position_id in enumerate(ids)]


def close_together(count: int, rounded: str = "0") -> list[Kind]:
    """So many sizes within a percent."""
    apart = Decimal("0.002") / count
    return [Kind("BTC", "USDT", Decimal("0.3") + index * apart + Decimal(rounded), True) for index in range(count)]


def half_are_found(count: int) -> None:
    ledger, strangers = begun(), rows(range(100_000, 100_000 + count))
    send(ledger, range(count))
    doubt(ledger, range(count))
    found = rows(range(10, 10 + count, 2))
    for asked_at in (12.0, 28.0):
        listed(ledger, asked_at, [*found, *strangers])
    assert not ledger.waits


def the_clock_speaks_against_all(count: int) -> None:
    ledger = begun()
    send(ledger, range(count))
    doubt(ledger, range(count))
    for asked_at in (12.0, 20.0, 28.0):
        listed(ledger, asked_at, rows(range(10, 10 + count), dated=BEFORE))
    assert not ledger.waits


def the_ids_speak_against_all(count: int) -> None:
    ledger = begun()
    listed(ledger, 0.5, rows([10**6]))
    the_rest = rows([10**6, *range(10, 10 + count)])
    send(ledger, range(count))
    doubt(ledger, range(count))
    for asked_at in (12.0, 20.0, 28.0):
        listed(ledger, asked_at, the_rest)
    assert not ledger.waits


def the_sizes_speak_against_all(count: int) -> None:
    ledger = begun()
    send(ledger, range(count), kinds=close_together(count))
    doubt(ledger, range(count))
    shown = rows(range(10, 10 + count), close_together(count, rounded="0.0000001"))
    for asked_at in (12.0, 20.0, 28.0):
        listed(ledger, asked_at, shown)
    assert not ledger.waits


def sizes_are_rounded(count: int) -> None:
    ledger = begun()
    send(ledger, range(count, count + 1))
    ledger.take(Answered(count, 6, 1.1, size=Decimal("0.3001")))
    send(ledger, range(count), kinds=close_together(count))
    doubt(ledger, range(count))
    shown = rows(range(10, 10 + count), close_together(count, rounded="0.0000001"))
    for asked_at in (12.0, 28.0):
        listed(ledger, asked_at, [*rows([6]), *shown])
    assert not ledger.waits


def each_waits_for_an_answer(count: int) -> None:
    ledger, late = begun(), range(count, 2 * count)
    send(ledger, range(count))
    doubt(ledger, range(count))
    send(ledger, late, at=20.0)
    listed(ledger, 28.0, rows(range(10, 10 + count), dated=(27.0, 27.9)))
    for attempt in late:
        ledger.take(Answered(attempt, 10 + attempt - count, 28.5))
    assert not ledger.in_doubt


def each_waits_for_the_others_in_many_lists(count: int) -> None:
    ledger, late = begun(), range(count, 2 * count)
    send(ledger, range(count))
    doubt(ledger, range(count))
    send(ledger, late, at=20.0)
    for part in range(1, 21):
        listed(ledger, 26.9 + part / 50, rows(range(10, 10 + part * count // 20), dated=BEFORE))
    for attempt in late:
        ledger.take(Refused(attempt) if attempt % 2 else Doubted(attempt, 30.0))
    for asked_at in (33.0, 47.0):
        listed(ledger, asked_at, rows(range(10, 10 + count), dated=BEFORE))
    assert not ledger.waits


def equals_trade(count: int) -> None:
    ledger, said_yes = begun(), range(count, 2 * count)
    send(ledger, range(count))
    for attempt in range(count):
        ledger.take(Doubted(attempt, 1.05))
    send(ledger, said_yes, at=1.1)
    for attempt in said_yes:
        ledger.take(Doubted(attempt, 20.0, said_yes=True))
    for asked_at in (20.5, 40.0, 50.0):
        listed(ledger, asked_at, rows(range(10, 10 + count), dated=(5.0, 6.0)))
    assert not ledger.waits


@pytest.mark.parametrize(
    "live",
    [
        half_are_found,
        the_clock_speaks_against_all,
        the_ids_speak_against_all,
        the_sizes_speak_against_all,
        sizes_are_rounded,
        each_waits_for_an_answer,
        each_waits_for_the_others_in_many_lists,
        equals_trade,
    ],
)
def test_ten_times_as_many_in_doubt_cost_no_more_each(live: Callable[[int], None]) -> None:
    few, many = steps(lambda: live(NAMED)) / NAMED, steps(lambda: live(10 * NAMED)) / (10 * NAMED)
    assert many < 1.3 * few


def open_and_close(ledger: Ledger, count: int) -> None:
    for number in range(10**6, 10**6 + count):
        at = 1.0 + number / 10**6
        ledger.take(Sending(number, KIND, at, 10.0, 15.0, 1.0, False))
        ledger.take(Answered(number, number + 10**6, at))
        ledger.take(Closing(number + 10**6))
        ledger.take(Closed(number + 10**6, at))


def test_a_list_costs_by_its_rows_and_not_by_what_was_closed_before() -> None:
    ledger = begun()
    nothing = steps(lambda: listed(ledger, 0.5))
    open_and_close(ledger, 2_000)
    assert steps(lambda: listed(ledger, 4.0)) <= nothing + 10


def test_an_open_and_its_close_are_remembered_in_a_fifth_of_a_kibibyte() -> None:
    ledger = begun()
    tracemalloc.start()
    try:
        open_and_close(ledger, 40_000)
        assert tracemalloc.get_traced_memory()[0] / 40_000 < 0.2 * 1024
    finally:
        tracemalloc.stop()
