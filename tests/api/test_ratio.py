"""A ratio says whether it is meant in percent or as a fraction."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import InvalidInput, Ratio


@pytest.mark.parametrize(
    ("percent", "fraction"),
    [("1.5", "0.015"), (1.5, 0.015), (Decimal("1.5"), Decimal("0.015")), (100, 1), ("0", "-0.0"), (2.75, "0.0275")],
)
def test_percent_and_fraction_are_a_hundred_apart(percent: Any, fraction: Any) -> None:
    assert Ratio.percent(percent) == Ratio.fraction(fraction)
    assert hash(Ratio.percent(percent)) == hash(Ratio.fraction(fraction))
    assert Ratio.percent(percent).as_percent == Ratio.percent(percent).as_fraction * 100


@given(st.decimals(min_value=-(10**30), max_value=10**30, allow_nan=False, allow_infinity=False))
def test_it_is_exact_whatever_the_context(number: Decimal) -> None:
    with localcontext(prec=3):
        assert Ratio.percent(number).as_percent.compare_total(number) == 0 or Ratio.percent(number).as_percent == number
        assert Ratio.fraction(number).as_fraction == number
        assert Ratio.percent(number) == Ratio.percent(str(number))


def test_it_shows_itself_as_it_is_written_and_is_ordered_copied_and_pickled() -> None:
    ratio = Ratio.fraction("0.0150")
    assert repr(ratio) == "Ratio.percent('1.5')"
    assert repr(Ratio.percent(100)) == "Ratio.percent('100')"
    assert Ratio.percent(1) < ratio <= Ratio.percent(2)
    assert pickle.loads(pickle.dumps(ratio)) == copy.deepcopy(ratio) == ratio


@pytest.mark.parametrize(
    "wrong", ["", "x", "1.5 %", None, True, float("nan"), float("inf"), "1e999999999", b"1", 1j, []]
)
def test_what_is_no_finite_number_is_refused(wrong: Any) -> None:
    for make in (Ratio.percent, Ratio.fraction):
        with pytest.raises(InvalidInput, match="it must be a finite number"):
            make(wrong)


def test_a_plain_one_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="write Ratio.percent"):
        Ratio(0.015)  # type: ignore[call-arg]
