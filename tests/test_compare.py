"""Paper against live: who is matched with whom, what differs, and what would have made them alike."""

from __future__ import annotations

import decimal
import json
import math
import random
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import ClosedPosition, InvalidInput, Position, compare
from mizar_async.compare import Comparison, Medians
from mizar_async.paper.rules import fill

START = 1_767_225_600_000
PRICES = Decimal(100), Decimal(110)


def trade(
    number: int, at: float | None, *, prices: tuple[Any, Any] = PRICES, held: float | None = 10, is_long: bool = True,
    size: str = "1", base: str = "BTC",
) -> Position:  # fmt: skip
    """One that opens and closes at two prices; `held` is None for one that is open."""
    before, after = (None if price is None else Decimal(str(price)) for price in prices)
    moment = None if at is None else START + round(at * 1000)
    facts = (number, 1, base, "USDT", Decimal(size), is_long, before, moment)
    if held is None:
        return Position(*facts)
    return ClosedPosition(*facts, after, None if moment is None else moment + round(held * 1000))


def pairs(found: Comparison) -> list[tuple[int, int]]:
    return [(match.paper.position_id, match.live.position_id) for match in found.matched]


def test_the_same_trade_on_both_sides_is_matched_and_nothing_differs() -> None:
    found = compare.of([trade(1, 0)], [trade(2, 0)])
    assert pairs(found) == [(1, 2)]
    assert found.medians == Medians(*(Decimal(0),) * 5)
    assert (found.spread, found.slippage, found.delay) == (Decimal("0.02"), 0, 0)
    assert (found.only_paper, found.only_live) == ((), ())


@pytest.mark.parametrize("other", [{"is_long": False}, {"size": "0.5"}, {"base": "ETH"}])
def test_another_pair_side_or_size_is_another_trade(other: Any) -> None:
    found = compare.of([trade(1, 0)], [trade(2, 0, **other)])
    assert (len(found.matched), len(found.only_paper), len(found.only_live)) == (0, 1, 1)


def test_sizes_are_the_same_as_numbers() -> None:
    assert pairs(compare.of([trade(1, 0, size="0.30")], [trade(2, 0, size="0.3")])) == [(1, 2)]


def test_the_nearest_opening_counts_within_the_window() -> None:
    paper, live = [trade(1, 0), trade(2, 10)], [trade(5, 9)]
    assert pairs(compare.of(paper, live)) == [(2, 5)]
    assert pairs(compare.of([trade(1, 0)], [trade(2, 60)])) == [(1, 2)]
    assert pairs(compare.of([trade(1, 0)], [trade(2, 60.001)])) == []
    assert pairs(compare.of([trade(1, 0)], [trade(2, 0)], window=0)) == [(1, 2)]


def test_one_that_was_missed_does_not_shift_the_others() -> None:
    paper = [trade(number, number * 10) for number in range(20)]
    live = [trade(100 + number, number * 10 + 1) for number in range(20) if number != 3]
    assert pairs(compare.of(paper, live)) == [(number, 100 + number) for number in range(20) if number != 3]


def test_of_a_burst_the_first_is_matched_with_the_first() -> None:
    paper = [trade(number, number / 1000) for number in range(50)]
    live = [trade(100 + number, 5 + number / 1000) for number in range(50)]
    found = compare.of(paper, live)
    assert {match.open_delay for match in found.matched} == {Decimal(5)}


def test_entry_and_exit_are_against_the_trader() -> None:
    (long,) = compare.of([trade(1, 0)], [trade(2, 0, prices=(101, "108.9"))]).matched
    assert (long.entry, long.exit) == (100, 100)
    assert round(long.gain or 0, 20) == round(Decimal("108.9") / 101 - Decimal("1.1"), 20)
    (short,) = compare.of([trade(1, 0, is_long=False)], [trade(2, 0, prices=(99, "111.1"), is_long=False)]).matched
    assert (short.entry, short.exit) == (100, 100)
    assert short.gain is not None
    assert short.gain < 0


def test_delays_are_in_seconds_and_negative_where_live_was_first() -> None:
    (match,) = compare.of([trade(1, 5)], [trade(2, 4.5, held=12)]).matched
    assert (match.open_delay, match.close_delay) == (Decimal("-0.5"), Decimal("1.5"))


def test_what_is_unknown_is_none_and_stands_in_no_median() -> None:
    found = compare.of(
        [trade(1, 0), trade(2, 100, held=None), trade(3, None), trade(4, 300, prices=(None, 5))],
        [trade(11, 1), trade(12, 101), trade(13, None), trade(14, 301)],
    )
    assert pairs(found) == [(1, 11), (2, 12), (4, 14)]
    assert [match.entry for match in found.matched] == [0, 0, None]
    assert [match.close_delay for match in found.matched] == [1, None, 1]
    assert [match.gain for match in found.matched] == [0, None, None]
    assert [one.position_id for one in found.only_paper] == [3]
    assert found.medians.open_delay == 1


def test_sizes_that_are_none_are_not_the_same() -> None:
    assert pairs(compare.of([trade(1, 0, size="NaN")], [trade(2, 0, size="NaN")])) == []


def test_an_open_position_that_comes_again_as_closed_counts_once() -> None:
    assert pairs(compare.of([trade(1, 0, held=None), trade(1, 0)], [trade(2, 0), trade(2, 0)])) == [(1, 2)]


def test_nothing_that_matches_gives_no_figures() -> None:
    for found in (compare.of([], []), compare.of([trade(1, 0)], []), compare.of([], [trade(1, 0)])):
        assert found.medians == Medians(None, None, None, None, None)
        assert (found.fill_cost, found.spread, found.slippage, found.delay) == (None, None, None, None)
        json.dumps(found.to_dict())


# -- what would have made them alike -----------------------------------------------------------------------


def filled(number: int, at: float, cost: str, *, is_long: bool, level: str = "1") -> Position:
    """A trade at 40,000 and 41,000 with so much percent between buying and selling."""
    spread, factor = Decimal(cost), Decimal(level)
    before = fill(40_000 * factor, buys=is_long, spread=spread)
    after = fill(41_000 * factor, buys=not is_long, spread=spread)
    return trade(number, at, prices=(before, after), is_long=is_long)


def both(cost: str, **more: Any) -> list[Position]:
    return [filled(number, number * 100, cost, is_long=number % 2 == 0, **more) for number in range(10)]


def about(number: Decimal | None) -> Decimal | None:
    return None if number is None else round(number, 3)


def test_a_dearer_live_is_slippage_on_top_of_the_spread() -> None:
    found = compare.of(both("0.02"), both("0.12"))
    assert about(found.fill_cost) == 5  # basis points: half of what the spread is wider
    assert (found.spread, about(found.slippage)) == (Decimal("0.02"), Decimal("0.05"))
    again = compare.of(both("0.12"), both("0.12"), spread=0.02, slippage=0.05)
    assert (again.spread, about(again.slippage)) == (Decimal("0.02"), Decimal("0.05"))


def test_a_cheaper_live_is_less_slippage_and_then_a_smaller_spread() -> None:
    less = compare.of(both("0.2"), both("0.12"), spread=0.1, slippage=0.05)
    assert (less.spread, about(less.slippage)) == (Decimal("0.1"), Decimal("0.01"))
    smaller = compare.of(both("0.2"), both("0.06"), spread=0.1, slippage=0.05)
    assert (about(smaller.spread), smaller.slippage) == (Decimal("0.06"), 0)
    none = compare.of(both("0.2"), both("0"), spread=0.1)
    assert (none.spread, none.slippage) == (0, 0)


def test_another_level_of_prices_is_no_cost() -> None:
    found = compare.of(both("0.02")[::2], both("0.02", level="1.001")[::2])
    assert found.medians.entry is not None
    assert round(found.medians.entry, 1) == 10
    assert found.fill_cost is not None
    assert abs(found.fill_cost) < Decimal("0.01")


def test_a_later_live_is_delay_on_top_of_that_of_paper() -> None:
    late = [trade(10 + number, number * 100 + 2) for number in range(3)]
    assert compare.of([trade(number, number * 100) for number in range(3)], late, delay=0.5).delay == Decimal("2.5")
    early = [trade(10 + number, number * 100 - 2) for number in range(3)]
    assert compare.of([trade(number, number * 100) for number in range(3)], early).delay == 0


def test_without_the_settings_of_paper_there_is_nothing_to_suggest_but_the_cost_is_told() -> None:
    found = compare.of(both("0.02"), both("0.12"), spread=None, delay=None)
    assert (found.spread, found.slippage, found.delay) == (None, None, None)
    assert about(found.fill_cost) == 5
    assert compare.of(both("0.02"), both("0.12"), slippage=None).slippage is None


def test_without_a_close_the_cost_of_a_fill_cannot_be_told() -> None:
    found = compare.of([trade(1, 0, held=None)], [trade(2, 1, held=None, prices=(101, None))])
    assert found.medians.entry == 100
    assert (found.fill_cost, found.slippage, found.delay) == (None, None, 1)


# -- odd data ----------------------------------------------------------------------------------------------

TIMES = st.lists(st.integers(0, 200), max_size=14)


@given(TIMES, TIMES, st.integers(0, 60))
def test_nobody_is_matched_twice_and_nothing_is_left_that_could_be(
    ours: list[int], theirs: list[int], window: int
) -> None:
    paper = [trade(number, at) for number, at in enumerate(ours)]
    live = [trade(100 + number, at) for number, at in enumerate(theirs)]
    found = compare.of(paper, live, window=window)
    for side in zip(*pairs(found), strict=True):
        assert len(set(side)) == len(side)
    assert len(found.matched) + len(found.only_paper) == len(paper)
    assert len(found.matched) + len(found.only_live) == len(live)
    assert all(abs(match.open_delay or 0) <= window for match in found.matched)
    for one in found.only_paper:
        for other in found.only_live:
            assert abs((one.open_timestamp or 0) - (other.open_timestamp or 0)) > window * 1000


@given(TIMES, TIMES)
def test_the_order_of_the_positions_makes_no_difference(ours: list[int], theirs: list[int]) -> None:
    paper = [trade(number, at, prices=(100 + number, 110)) for number, at in enumerate(ours)]
    live = [trade(100 + number, at) for number, at in enumerate(theirs)]
    plain = compare.of(paper, live)
    other = compare.of(paper[::-1], live[::-1])
    delays = [sorted(str(match.open_delay) for match in found.matched) for found in (plain, other)]
    assert delays[0] == delays[1]


@pytest.mark.parametrize("items", [[1], ["x"], "text", 5, None, trade(1, 0)])
def test_what_is_no_position_is_refused(items: Any) -> None:
    with pytest.raises(InvalidInput, match="live="):
        compare.of([], items)
    with pytest.raises(InvalidInput, match="paper="):
        compare.of(items, [])


@pytest.mark.parametrize("setting", ["window", "spread", "slippage", "delay"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "1", True])
def test_a_setting_that_cannot_be_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{setting}="):
        compare.of([], [], **{setting: value})


def test_the_dictionary_is_plain_json_and_names_what_is_alone() -> None:
    found = compare.of([trade(1, 0), trade(2, 500)], [trade(3, 1), trade(4, 900)])
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["matched"][0]["pair"] == "BTCUSDT"
    assert told["only_paper"] == [{"strategy_id": "1", "position_id": "2"}]
    assert told["medians"]["open_delay"] == told["suggested"]["delay"] == "1"
    assert repr(found) == "<Comparison 1 matched, 1 on paper only, 1 live only>"


def test_the_decimal_context_is_neither_used_nor_changed() -> None:
    plain = compare.of(both("0.02"), both("0.12")).to_dict()
    paper, live = both("0.02"), both("0.12")
    with decimal.localcontext(decimal.Context(prec=1, traps=[decimal.Inexact])) as context:
        assert compare.of(paper, live).to_dict() == plain
        assert not any(context.flags.values())


@pytest.mark.parametrize("span", [10, 100_000])
def test_ten_thousand_against_ten_thousand_take_seconds(span: int) -> None:
    chance = random.Random(1)
    paper = [trade(number, chance.uniform(0, span)) for number in range(10_000)]
    live = [trade(number, chance.uniform(0, span)) for number in range(10_000)]
    began = time.process_time()
    found = compare.of(paper, live)
    _ = found.medians
    assert time.process_time() - began < 10
    assert len(found.matched) > 8_000
