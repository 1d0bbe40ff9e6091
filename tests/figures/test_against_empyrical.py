"""Drawdown and Sharpe ratio beside those of empyrical, as far as the definitions agree: `nox -s figures` runs it.

`sharpe` is its `sharpe_ratio` of the gains of the days, at 365 of them in a year; the unit makes no difference.

Its `max_drawdown` compounds, is negative, and is a share of the highest value. Of days that return e^gain - 1 the
logarithm of the value is the sum of the gains, so that the logarithm of the fall is ours in units.
"""

from __future__ import annotations

import math

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async.performance import Performance

from ..test_performance import DAY, trade

DAYS = st.lists(st.integers(-400, 400), min_size=2, max_size=80)
"""What each day gains, in hundredths of a percent."""


def of_days(days: list[int]) -> Performance:
    """The figures of one trade on each day; those that overlap make no difference to the sums."""
    figures = Performance()
    for number, gain in enumerate(days):
        figures.add(trade(number, number * DAY, number * DAY + 5, gain / 100, size="0.5"))
    return figures


def in_units(days: list[int]) -> np.ndarray:
    return np.array([gain / 10_000 * 0.5 for gain in days])


@given(DAYS)
def test_the_sharpe_ratio_is_that_of_empyrical(days: list[int]) -> None:
    ours = of_days(days).sharpe
    if len(set(days)) == 1:
        assert ours is None
    else:
        theirs = empyrical.sharpe_ratio(in_units(days), annualization=365)
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@given(DAYS)
def test_the_drawdown_is_that_of_empyrical_without_compounding(days: list[int]) -> None:
    figures = of_days(days)
    theirs = empyrical.max_drawdown(np.expm1(in_units(days)))
    assert figures.max_drawdown is not None
    in_units_of_ours = float(figures.max_drawdown * figures.required() / 100)
    assert in_units_of_ours == pytest.approx(-math.log1p(theirs), rel=1e-9, abs=1e-12)


def test_a_year_by_hand_is_the_same_in_all_three() -> None:
    days = [math.floor(300 * math.sin(number)) for number in range(365)]
    figures = of_days(days)
    assert figures.days == 365
    assert figures.sharpe == pytest.approx(empyrical.sharpe_ratio(in_units(days), annualization=365))
