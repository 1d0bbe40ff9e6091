"""The figures, against examples by hand and against a slow computation with fractions that shares nothing with them."""

from __future__ import annotations

import decimal
import json
import math
import pickle
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest import mock

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import ClosedPosition, InvalidInput, Position, _fold, performance
from mizar_async.performance import Performance

DAY = 86_400_000
START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1000


def opened(
    number: int, at: int | None, *, size: Any = 1, price: Any = 100, is_long: bool = True, **more: Any
) -> Position:
    facts = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT"} | more
    exact = None if price is None else Decimal(str(price))
    when = None if at is None else START + at
    return Position(number, size=Decimal(str(size)), is_long=is_long, open_price=exact, open_timestamp=when, **facts)


def closed(position: Position, at: int | None, price: Any) -> ClosedPosition:
    facts = attrs.asdict(position, recurse=False)
    exact = None if price is None else Decimal(str(price))
    return ClosedPosition(**facts, close_price=exact, close_timestamp=None if at is None else START + at)


def trade(number: int, start: int, end: int, gain: Any, *, size: Any = 1, **more: Any) -> ClosedPosition:
    """One that gains so much of its size, in percent."""
    return closed(opened(number, start, size=size, **more), end, 100 + Decimal(str(gain)))


# -- the slow computation --------------------------------------------------------------------------------


def slow(positions: Sequence[Position], fee: Fraction = Fraction(0)) -> dict[str, Any]:
    """The definitions of docs/figures.md word for word."""
    each: dict[Any, Position] = {}
    for one in positions:
        key = one.strategy_id, one.position_id
        if key not in each or isinstance(one, ClosedPosition):
            each[key] = one
    gains, rates, spans, held, unpriced, events = [], [], [], [], [], []
    wins = losses = 0
    for one in each.values():
        begin, end = one.open_timestamp, getattr(one, "close_timestamp", None)
        if end is not None and begin is not None:
            end = max(begin, end)
            held.append(end - begin)
        events += [moment for moment in (begin, end) if moment is not None]
        is_closed = isinstance(one, ClosedPosition)
        if begin is not None and (end is not None or not is_closed):
            spans.append((begin, end, Fraction(one.size)))
        leave = getattr(one, "close_price", None)
        if begin is None or one.open_price is None or (is_closed and (end is None or leave is None)):
            unpriced.append(one)
        elif is_closed:
            change = Fraction(leave) / Fraction(one.open_price)
            rate = (change - 1) * (1 if one.is_long else -1)
            gain = Fraction(one.size) * (rate - fee / 100 * (1 + change))
            gains.append((end, gain))
            rates.append(rate)
            wins += gain > 0
            losses += gain < 0
    return {
        "each": each, "gains": gains, "rates": rates, "spans": spans, "held": held, "unpriced": unpriced,
        "wins": wins, "losses": losses, "events": events,
    }  # fmt: skip


def is_open(begin: int, end: int | None, moment: int) -> bool:
    return begin <= moment and (end is None or moment < end or begin == end == moment)


def slow_required(spans: Any, start: int, end: int) -> Fraction:
    moments = {start, *(one for span in spans for one in span[:2] if one is not None and start <= one < end)}
    if start >= end:
        return Fraction(0)
    before = sum(size for begin, leave, size in spans if begin < start and (leave is None or leave >= start))
    return max(before, *(sum(size for *span, size in spans if is_open(*span, moment)) for moment in moments))


def slow_drop(gains: Any) -> Fraction:
    high = drop = total = Fraction(0)
    for moment in sorted({when for when, _ in gains}):
        total += sum(gain for when, gain in gains if when == moment)
        high = max(high, total)
        drop = max(drop, high - total)
    return drop


def slow_sharpe(found: Any) -> float | None:
    begins = [begin for begin, *_ in found["spans"]] + [
        one.open_timestamp for one in found["each"].values() if one.open_timestamp is not None
    ]
    if not begins:
        return None
    first, last = min(begins) // DAY, max(found["events"]) // DAY
    daily = [
        sum((gain for when, gain in found["gains"] if when // DAY == day), Fraction(0))
        for day in range(first, last + 1)
    ]
    if len(daily) < 2 or len(set(daily)) == 1:
        return None
    return float(statistics.mean(daily)) / statistics.stdev(map(float, daily)) * math.sqrt(365)


def near(shown: Decimal | None, exact: Fraction | None) -> bool:
    if shown is None or exact is None:
        return shown is exact
    return abs(Fraction(shown) - exact) <= Fraction(1, 10**24) * max(1, abs(exact))


PRICES = st.one_of(st.none(), st.decimals("0.001", "100000", places=3), st.sampled_from([Decimal(100), Decimal(101)]))
TIMES = st.one_of(
    st.none(), st.integers(0, 12), st.integers(0, 12 * DAY), st.integers(0, 70).map(lambda day: day * DAY)
)
SIZES = st.one_of(st.just(Decimal(1)), st.decimals("0.001", "3", places=3))


@st.composite
def positions(draw: st.DrawFn) -> list[Position]:
    found: list[Position] = []
    for number in range(draw(st.integers(0, 9))):
        begin = draw(TIMES)
        ids = {"strategy_id": draw(st.sampled_from([1, 2, None])), "base_asset": draw(st.sampled_from(["BTC", "ETH"]))}
        one = opened(number, begin, size=draw(SIZES), price=draw(PRICES), is_long=draw(st.booleans()), **ids)
        shape = draw(st.integers(0, 3))
        if shape:
            end = draw(st.one_of(TIMES, st.just(begin)))
            found.append(closed(one, end, draw(st.one_of(PRICES, st.just(one.open_price)))))
        if shape in {0, 2}:
            found.append(one)
    return draw(st.permutations(found + found[: draw(st.integers(0, 2))]))


def said(figures: Performance) -> dict[str, Any]:
    """All of it, in an order that does not depend on that of the positions."""
    told = figures.to_dict()
    told["unpriced"].sort(key=str)
    return told


@given(positions(), st.sampled_from(["0", "0.1", "3"]), TIMES, TIMES)
def test_all_figures_are_those_of_the_slow_computation(
    some: list[Position], fee: str, start: int | None, end: int | None
) -> None:
    found, figures = slow(some, Fraction(fee)), performance.of(some, fee=Decimal(fee))
    gains, spans = found["gains"], found["spans"]
    total, highest = sum(gain for _, gain in gains), slow_required(spans, 0, 2 * START)
    assert near(figures.gain, Fraction(total))
    assert near(figures.required(), highest)
    assert near(figures.returns(), 100 * total / highest if highest else None)
    assert near(figures.gain_before_fees, sum((gain for _, gain in slow(some)["gains"]), Fraction(0)))
    assert figures.trades == len(found["each"]) == figures.closed + figures.open
    assert figures.closed == sum(isinstance(one, ClosedPosition) for one in found["each"].values())
    assert (figures.wins, figures.losses) == (found["wins"], found["losses"])
    assert near(figures.hit_rate, Fraction(100 * found["wins"], figures.closed) if figures.closed else None)
    assert near(figures.best, 100 * max(found["rates"]) if found["rates"] else None)
    assert near(figures.worst, 100 * min(found["rates"]) if found["rates"] else None)
    held = found["held"]
    assert figures.holding_time == (timedelta(milliseconds=sum(held)) / len(held) if held else None)
    assert near(figures.max_drawdown, 100 * slow_drop(gains) / highest if highest else None)
    sharpe = slow_sharpe(found)
    assert figures.sharpe == (sharpe if sharpe is None else pytest.approx(sharpe, rel=1e-6, abs=1e-9))
    assert {one.position_id for one in figures.unpriced} == {one.position_id for one in found["unpriced"]}
    assert len(figures.unpriced) == len(found["unpriced"])
    one, other = START + (start or 0), START + (end or 20 * DAY)
    needed = slow_required(spans, one, other)
    within = sum(gain for when, gain in gains if one <= when < other)
    assert near(figures.required(one, other), needed)
    assert near(figures.returns(one, other), 100 * within / needed if needed else None)
    assert sum(month.closed for month in figures.months) == (len(gains) if figures.months else 0)
    for month in figures.months:
        needed = slow_required(spans, month.start, month.end)
        within = Fraction(sum(gain for when, gain in gains if month.start <= when < month.end))
        assert near(month.required, needed)
        assert near(month.gain, within)
        assert near(month.returns, 100 * within / needed if needed else None)


@given(positions(), st.randoms(use_true_random=False))
def test_adding_in_any_order_with_readings_between_gives_the_same(some: list[Position], chance: Any) -> None:
    whole = said(performance.of(some, fee=1))
    by_time = sorted(some, key=lambda one: getattr(one, "close_timestamp", None) or one.open_timestamp or 0)
    for order in (some, by_time, chance.sample(some, len(some))):
        figures = Performance(fee=1)
        for one in order:
            figures.add(one)
            if chance.random() < 0.5:
                said(figures)
        assert said(figures) == whole


EVENTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), SIZES, st.booleans(), PRICES), max_size=12)


@given(EVENTS, st.randoms(use_true_random=False), st.integers(0, 14), st.integers(0, 14), st.integers(1, 3))
def test_what_comes_in_the_order_of_time_is_folded_at_once(
    some: list[Any], chance: Any, start: int, end: int, block: int
) -> None:
    events: list[tuple[int, int, Position]] = []
    for number, (begin, held, size, is_long, price) in enumerate(some):
        one = opened(number, begin, size=size, is_long=is_long)
        events.append((begin, 0, one))
        if held < 10:
            events.append((begin + held, 1, closed(one, begin + held, price)))
    chance.shuffle(events)  # at one millisecond in any order, but that what closes was opened
    events.sort(key=lambda event: event[0])
    with mock.patch.object(_fold, "_BLOCK", block):
        figures = Performance(fee=1)
        for _, _, one in events:
            figures.add(one)
            assert figures._unsettled._in_order
            _ = figures.required(), figures.max_drawdown
        assert said(figures) == said(performance.of([one for *_, one in events], fee=1))
        spans = slow([one for *_, one in events])["spans"]
        assert near(figures.required(START + start, START + end), slow_required(spans, START + start, START + end))


@given(positions(), positions())
def test_merging_is_what_all_of_it_would_have_been(some: list[Position], others: list[Position]) -> None:
    one, other = performance.of(some, fee=1), performance.of(others, fee=1)
    before = said(one)
    assert said(one.merge(other)) == said(other + one) == said(performance.of(some + others, fee=1))
    assert said(one) == before


@given(positions())
def test_pairs_and_sides_are_the_figures_of_their_positions(some: list[Position]) -> None:
    whole = performance.of(some)
    for symbol, part in whole.pairs.items():
        alone = performance.of([one for one in some if one.symbol == symbol], until=whole.until)
        assert said(part) == said(alone)
    for side, part in whole.sides.items():
        assert said(part) == said(
            performance.of([one for one in some if one.is_long == (side == "long")], until=whole.until)
        )
    assert sum(part.trades for part in whole.pairs.values()) == sum(part.trades for part in whole.sides.values())


# -- each definition by hand -----------------------------------------------------------------------------


def test_the_example_of_mizars_article() -> None:
    """Three positions of 500 open at once, gains of 50, 50 and 10: 110 / 1500."""
    figures = performance.of([trade(1, 0, 30 * DAY, 10), trade(2, 0, 15 * DAY, 10), trade(3, 0, 5 * DAY, 2)])
    assert (figures.gain, figures.required()) == (Decimal("0.22"), 3)
    for returns in (figures.returns(), figures.last_30_days):
        assert returns is not None
        assert round(returns, 2) == Decimal("7.33")


def test_a_fee_is_paid_on_the_opened_and_on_the_closed_amount() -> None:
    figures = performance.of([trade(1, 0, 1, 20, size="0.5")], fee=1)
    assert figures.gain_before_fees == Decimal("0.1")
    assert figures.fees == Decimal("0.011")  # 0.5 x 1 % x (1 + 1.2)
    assert figures.gain == Decimal("0.089")


def test_a_gain_of_a_short_is_negated_and_its_fees_are_not() -> None:
    figures = performance.of([trade(1, 0, 1, -20, size="0.5", is_long=False)], fee=1)
    assert (figures.gain_before_fees, figures.fees) == (Decimal("0.1"), Decimal("0.009"))


def test_the_fee_may_be_that_of_each_position() -> None:
    figures = performance.of([trade(1, 0, 1, 0), trade(2, 0, 1, 0)], fee=lambda one: one.position_id)
    assert figures.fees == Decimal("0.06")


def test_a_win_is_one_after_fees_and_zero_is_neither_also_where_it_is_a_recurring_fraction() -> None:
    even = closed(opened(1, 0, price=99), 1, 101)  # 2/99 - 1 % x 200/99
    figures = performance.of([even, trade(2, 0, 1, 1), trade(3, 0, 1, 3)], fee=1)
    assert (figures.wins, figures.losses, figures.closed) == (1, 1, 3)
    assert performance.of([even], fee=1).gain == 0
    least = closed(opened(1, 0, size="1e-20", price="1e20"), 1, "100000000000000000000.000000000001")
    assert performance.of([least]).wins == 1


def test_closes_come_before_opens_but_a_position_counts_in_its_own_millisecond() -> None:
    assert performance.of([trade(1, 0, 5, 0), trade(2, 5, 9, 0)]).required() == 1
    assert performance.of([trade(1, 0, 5, 0), trade(2, 5, 5, 0), trade(3, 5, 9, 0)]).required() == 2
    assert performance.of([trade(1, 5, 5, 0)]).required() == 1


def test_what_is_open_counts_and_so_does_what_was_open_as_a_period_began() -> None:
    figures = performance.of([opened(1, 0, size=2), trade(2, 0, 10, 0, size=3)])
    assert figures.required() == 5
    assert figures.required(START + 10, START + 11) == 5
    assert figures.required(START + 11, START + 12) == 2
    assert figures.required(START + 12, START + 11) == 0


def test_where_nothing_was_required_percentages_are_none() -> None:
    figures = performance.of([trade(1, 0, 1, 5, size=0)])
    assert (figures.returns(), figures.max_drawdown, figures.last_30_days) == (None, None, None)
    assert figures.equity[0].percent is None
    assert figures.best == 5


def test_returns_of_a_period_are_of_what_was_closed_in_it() -> None:
    figures = performance.of([trade(1, 0, 10, 5), trade(2, 0, 20, 7)])
    assert figures.returns(START + 10, START + 20) == Decimal("2.5")
    assert figures.returns(datetime(2026, 1, 1, tzinfo=UTC)) == 6
    assert figures.returns(end=START) is None


def test_the_last_thirty_days_end_with_the_millisecond_of_until() -> None:
    figures = performance.of([trade(1, 0, DAY, 5), trade(2, 0, 31 * DAY - 1, 7)])
    assert figures.last_30_days == 6
    assert figures.at(START + 31 * DAY).last_30_days == 7


def test_months_are_calendar_months_each_of_them() -> None:
    figures = performance.of([trade(1, 0, 3 * DAY, 5), trade(2, 40 * DAY, 70 * DAY, -2)])
    shown = [(one.month, one.gain, one.required, one.returns, one.closed) for one in figures.months]
    assert shown == [
        ("2026-01", Decimal("0.05"), 1, 5, 1),
        ("2026-02", 0, 1, 0, 0),
        ("2026-03", Decimal("-0.02"), 1, -2, 1),
    ]
    assert [one.month for one in figures.at(START + 100 * DAY).months] == ["2026-01", "2026-02", "2026-03", "2026-04"]


def test_the_counts_and_rates() -> None:
    figures = performance.of([trade(1, 0, DAY, 5, size="0.1"), trade(2, 0, 3 * DAY, -7), opened(3, DAY)])
    assert (figures.trades, figures.closed, figures.open, figures.wins, figures.losses) == (3, 2, 1, 1, 1)
    assert (figures.hit_rate, figures.best, figures.worst) == (50, 5, -7)
    assert figures.holding_time == timedelta(days=2)
    assert (figures.days, figures.trades_per_week) == (4, Decimal("5.25"))
    assert (figures.first_opened, figures.until) == (START, START + 3 * DAY)


@pytest.mark.parametrize(("sides", "said"), [([], None), ([True], "long"), ([False], "short"), ([True, False], "both")])
def test_the_side_is_what_was_traded(sides: list[bool], said: str | None) -> None:
    assert performance.of(opened(number, 0, is_long=side) for number, side in enumerate(sides)).side == said


def test_days_are_calendar_days_both_included() -> None:
    assert performance.of([trade(1, DAY - 1, DAY, 0)]).days == 2
    assert performance.of([trade(1, 0, DAY - 1, 0)]).days == 1
    assert performance.of([trade(1, 0, 1, 0)], until=START + 9 * DAY).days == 10
    assert performance.of([trade(1, 0, 2 * DAY, 0)], until=START - DAY).days == 3


def test_equity_has_a_point_for_each_time_of_closing() -> None:
    figures = performance.of([trade(1, 0, 5, 10), trade(2, 0, 5, -4), trade(3, 0, 9, 3)])
    assert [(one.time - START, one.units, one.percent) for one in figures.equity] == [
        (5, Decimal("0.06"), 2),
        (9, Decimal("0.09"), 3),
    ]


def test_what_floats_is_what_a_close_at_the_price_would_give() -> None:
    figures = performance.of([opened(1, 0), trade(2, 0, 5, 1)], fee=1, prices={"BTCUSDT": 110})
    assert figures.floating == Decimal("0.079")
    assert figures.equity[-1].units == figures.gain + Decimal("0.079")
    assert figures.equity[-1].time == figures.until
    assert figures.at().floating is None
    assert figures.at(START + 7, {"BTCUSDT": 90}).floating == Decimal("-0.119")
    assert figures.max_drawdown == figures.at().max_drawdown  # of what is realised


@pytest.mark.parametrize("price", [None, 0, math.nan, math.inf, Decimal("NaN")])
def test_an_open_position_whose_price_is_unknown_is_unpriced(price: Any) -> None:
    figures = performance.of([opened(1, 0), opened(2, 0, price=None)], prices={"BTCUSDT": price})
    assert figures.floating == 0
    assert {one.position_id for one in figures.unpriced} == {1, 2}
    assert len(figures.at().unpriced) == 1


def test_a_drawdown_begins_at_zero() -> None:
    assert performance.of([trade(1, 0, 1, -5), trade(2, 2, 3, 9)]).max_drawdown == 5
    figures = performance.of([trade(1, 0, 1, 8), trade(2, 2, 3, -3), trade(3, 4, 5, -4), trade(4, 6, 7, 1)])
    assert figures.max_drawdown == 7


def test_sharpe_is_that_of_all_days_with_a_deviation_of_a_sample() -> None:
    figures = performance.of([trade(1, 0, 1, 2), trade(2, 2 * DAY, 2 * DAY + 1, 4)])
    daily = [0.02, 0.0, 0.04]
    assert figures.sharpe == pytest.approx(statistics.mean(daily) / statistics.stdev(daily) * math.sqrt(365))
    assert performance.of([trade(1, 0, 1, 2)]).sharpe is None
    assert performance.of([trade(1, 0, 1, 2), trade(2, DAY, DAY + 1, 2)]).sharpe is None


def test_days_that_are_the_same_but_for_rounding_have_no_deviation() -> None:
    thirds = [closed(opened(number, 0, price=3), 1, 4) for number in range(3)]
    whole = [closed(opened(9, DAY, price=1), DAY + 1, 2)]
    assert performance.of(thirds + whole).sharpe is None


# -- odd data --------------------------------------------------------------------------------------------


def test_nothing_at_all_has_figures() -> None:
    figures = performance.of([])
    assert (figures.returns(), figures.required(), figures.gain, figures.days, figures.sharpe) == (None, 0, 0, 0, None)
    assert (figures.equity, figures.months, figures.pairs, figures.unpriced) == ([], [], {}, [])
    assert (figures.best, figures.hit_rate, figures.holding_time, figures.trades_per_week) == (None, None, None, None)
    assert (figures.first_opened, figures.until, figures.side) == (None, None, None)
    assert json.loads(json.dumps(figures.to_dict()))["trades"] == 0
    assert repr(figures) == "<Performance 0 trades, 0 open, no returns>"


ODD = [
    opened(1, None),
    opened(2, 0, price=None),
    closed(opened(3, 0), None, 5),
    closed(opened(4, 0), 5, None),
    closed(opened(5, None), 5, 5),
    closed(opened(6, None, price=None), None, None),
    opened(7, 0, size="NaN"),
    opened(8, 0, size="-1"),
    opened(9, 0, size="1e5000"),
    closed(opened(10, 10**15), 10**15, 5),
    attrs.evolve(opened(11, 0), size=None),
]


def test_what_is_unknown_is_in_no_gain_and_listed() -> None:
    figures = performance.of([*ODD, trade(20, 0, 5, 10)])
    assert figures.gain == Decimal("0.1")
    assert {one.position_id for one in figures.unpriced} == set(range(1, 12))
    assert figures.trades == 12
    assert figures.required() == 3  # with those of which only the price is unknown
    assert figures.best == figures.worst == 10
    json.dumps(figures.to_dict())
    assert "11 unpriced" in repr(figures)


def test_times_may_be_whole_numbers_of_any_class() -> None:
    class Whole:
        def __index__(self) -> int:
            return START

    figures = performance.of([attrs.evolve(trade(1, 0, 5, 10), open_timestamp=Whole()), opened(2, 0)])
    assert (figures.gain, figures.first_opened) == (Decimal("0.1"), START)
    for odd in (1.5, "0", math.nan):
        assert performance.of([attrs.evolve(trade(1, 0, 5, 10), open_timestamp=odd)]).unpriced


def test_a_close_before_its_opening_is_taken_as_at_its_opening() -> None:
    figures = performance.of([closed(opened(1, 10), 3, 110)])
    assert figures.holding_time == timedelta(0)
    assert figures.equity[0].time == START + 10
    assert (figures.returns(), figures.days) == (10, 1)


@given(st.lists(st.tuples(st.integers(-40, 39), st.integers(-40, 39), st.booleans()), min_size=1, max_size=6))
def test_prices_may_be_absurd(exponents: list[tuple[int, int, bool]]) -> None:
    some = [
        closed(opened(number, number * DAY, price=f"1e{before}", is_long=is_long), number * DAY + 5, f"1e{after}")
        for number, (before, after, is_long) in enumerate(exponents)
    ]
    figures = performance.of(some, fee=Decimal("0.1"))
    found = slow(some, Fraction(1, 10))
    assert near(figures.gain, sum((gain for _, gain in found["gains"]), Fraction(0)))
    assert (figures.wins, figures.losses) == (found["wins"], found["losses"])
    json.dumps(figures.to_dict(), allow_nan=False)


@pytest.mark.parametrize("at", [0, 253_402_300_799_999 - START])
def test_times_at_the_ends_of_the_calendar(at: int) -> None:
    figures = performance.of([trade(1, at, at, 5), attrs.evolve(trade(2, at, at, 6), open_timestamp=0)])
    assert figures.days > 20_000
    assert figures.months[-1].month == ("9999-12" if at else "2026-01")
    json.dumps(figures.to_dict())


def test_the_same_position_counts_once_and_the_closed_one_does() -> None:
    one = opened(1, 0)
    done = closed(one, 5, 110)
    for order in ([one, done], [done, one], [done, one, done, one]):
        figures = performance.of(order)
        assert (figures.trades, figures.closed, figures.gain) == (1, 1, Decimal("0.1"))
    other = performance.of([done, attrs.evolve(done, strategy_id=2), attrs.evolve(done, strategy_id=None)])
    assert other.trades == 3


@pytest.mark.parametrize("other", [{"size": 3}, {"price": 50}, {"is_long": False}, {"base_asset": "ETH"}])
def test_a_close_that_contradicts_the_opening_is_believed(other: Any) -> None:
    figures = Performance()
    figures.add(opened(1, 0))
    _ = figures.gain, figures.pairs
    done = closed(opened(1, 0, **other), 5, 110)
    figures.add(done)
    assert said(figures) == said(performance.of([done]))


def test_of_two_that_contradict_each_other_the_same_one_counts_in_any_order() -> None:
    known, more = closed(opened(1, 0), 5, None), closed(opened(1, 0), 5, 110)
    later = closed(opened(1, 0), 7, 90)
    for order in ([known, more, later], [later, more, known], [more, later, known]):
        assert performance.of(order).gain == Decimal("-0.1")
        figures = Performance()
        for one in order:
            figures.add(one)
            _ = figures.gain
        assert figures.gain == Decimal("-0.1")


@pytest.mark.parametrize("items", [[1], ["x"], [None], [{}], "text", 5, opened(1, 0)])
def test_what_is_no_position_is_refused(items: Any) -> None:
    with pytest.raises(InvalidInput, match="position"):
        performance.of(items)


def test_a_refused_addition_changes_nothing() -> None:
    figures = performance.of([trade(1, 0, 5, 10)], fee=lambda one: one.position_id)
    before = said(figures)
    for one in (trade(200, 6, 7, 5), "text"):
        with pytest.raises(InvalidInput):
            figures.add(one)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput):
            figures.extend([trade(3, 6, 7, 5), one])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="other="):
        figures.merge(5)  # type: ignore[arg-type]
    assert said(figures) == before


@pytest.mark.parametrize("fee", [-1, 100, math.nan, math.inf, "0.1", None, True, lambda _: None])
def test_a_fee_that_cannot_be_is_refused(fee: Any) -> None:
    with pytest.raises(InvalidInput, match="fee="):
        performance.of([trade(1, 0, 1, 1)], fee=fee)


@pytest.mark.parametrize("until", ["2026", -1, datetime(2026, 1, 1), 10**15, 1.5, 260_000_000_000_000])
def test_a_time_that_cannot_be_is_refused(until: Any) -> None:
    with pytest.raises(InvalidInput, match="until="):
        performance.of([], until=until)


@pytest.mark.parametrize("prices", [5, [("BTCUSDT", 1)], {"BTCUSDT": "1"}, {"BTCUSDT": True}])
def test_prices_that_cannot_be_are_refused(prices: Any) -> None:
    with pytest.raises(InvalidInput, match="prices"):
        performance.of([], prices=prices)


def test_the_decimal_context_is_neither_used_nor_changed() -> None:
    some = [trade(number, number, number + 5, Decimal(number) / 7) for number in range(20)] + [opened(99, 3)]
    plain = said(performance.of(some, fee=0.1, prices={"BTCUSDT": 99}))
    with decimal.localcontext(decimal.Context(prec=1, traps=[decimal.Inexact, decimal.Rounded])) as context:
        assert said(performance.of(some, fee=0.1, prices={"BTCUSDT": 99})) == plain
        assert not any(context.flags.values())


def test_numbers_are_exact_text_in_the_dictionary() -> None:
    told = performance.of([trade(1, 0, DAY, "0.1"), trade(2, 0, 2 * DAY, 5)], fee=0.1).to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["gain"] == "0.046949"
    assert told["required"] == "2"
    assert told["holding_time"] == 129_600
    assert told["equity"][0] == {"time": START + DAY, "units": "-0.001001", "percent": "-0.05005"}
    assert told["pairs"]["BTCUSDT"]["gain"] == told["sides"]["long"]["gain"] == told["gain"]
    assert repr(performance.of([trade(1, 0, 1, 5)])) == "<Performance 1 trades, 0 open, returns 5.00 %>"


def test_figures_can_be_pickled() -> None:
    figures = performance.of([trade(1, 0, DAY, 1), opened(2, 0)], fee=1)
    assert said(pickle.loads(pickle.dumps(figures))) == said(figures)


def test_reading_after_an_addition_does_not_grow_with_what_there_is() -> None:
    def spent(behind: int) -> float:
        figures = performance.of([trade(number, number, number + 5, 1) for number in range(behind)])
        _ = [part.gain for part in (figures, *figures.pairs.values(), *figures.sides.values())]
        began = time.process_time()
        for number in range(behind, behind + 300):
            one = opened(number, number + 10)
            figures.add(one)
            figures.add(closed(one, number + 10, 101))
            _ = (figures.gain, figures.returns(), figures.max_drawdown, figures.sharpe, figures.hit_rate)
            _ = (figures.last_30_days, figures.sides["long"].gain, figures.pairs["BTCUSDT"].gain)
        return time.process_time() - began

    assert min(spent(30_000) for _ in range(3)) < 5 * min(spent(300) for _ in range(3))


def test_a_view_sees_what_is_added_and_changes_nothing() -> None:
    figures = Performance()
    seen = figures.at(START + 9 * DAY, {"BTCUSDT": 90})
    figures.add(opened(1, 0))
    assert (seen.open, seen.floating, seen.days) == (1, Decimal("-0.1"), 10)
    assert (figures.floating, figures.days) == (None, 1)
