"""Bars as the server writes them, of today and of 2021, and odd ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import AnswerUnreadable, Bar, BarType
from mizar_async._api.codec import _odd, decode, read
from mizar_async._api.endpoints import BAR_TYPES, BARS
from mizar_async._api.exchange import Answer

DOCUMENTED = {
    "time": 1502928000000, "open": 4261.48, "high": 4485.39, "low": 4200.74, "close": 4285.08,
    "base_asset_volume": 795.15, "base_asset_buy_volume": 616.24, "base_asset_sell_volume": 178.9,
    "quote_asset_volume": 3454770.05, "quote_asset_buy_volume": 2678216.4, "quote_asset_sell_volume": 776553.65,
    "first_timestamp": 1502942428322, "last_timestamp": 1503014320719, "first_trade_id": 0, "last_trade_id": 3426,
    "num_ticks": 3427, "num_buy_ticks": 2372, "num_sell_ticks": 1055,
}  # fmt: skip
ONE = Bar(**{name: Decimal(str(value)) if isinstance(value, float) else value for name, value in DOCUMENTED.items()})


def bars(*documents: dict[str, Any]) -> list[Bar]:
    return read(BARS, json.dumps({"bars": documents}).encode())


def test_the_documented_bar_is_read_exactly_and_written_as_it_was() -> None:
    assert bars(DOCUMENTED) == [ONE]
    assert ONE.to_dict() == DOCUMENTED
    assert ONE.opened_at == datetime(2017, 8, 17, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2018-04-17 04:02:00+00:00", "2018-04-17T04:02:00Z", "2018-04-17 04:02:00"])
def test_the_time_may_be_text(text: str) -> None:
    old = DOCUMENTED | {"time": text, "id": 1, "bar_type_id": 1, "base_asset_id": 184}
    assert bars(old) == [attrs.evolve(ONE, time=1523937720000)]
    assert bars(DOCUMENTED | {"time": "1523937720000"}) == [attrs.evolve(ONE, time=1523937720000)]


@pytest.mark.parametrize("odd", [0, -1, "NaN", "Infinity", float("nan"), None, 1e300, "x"])
def test_a_price_that_is_none_is_none_and_the_bar_is_there(odd: object) -> None:
    assert bars(DOCUMENTED | {"close": odd}) == [attrs.evolve(ONE, close=None)]


@pytest.mark.parametrize("odd", ["NaN", "-Infinity", float("inf"), None, "x"])
def test_a_volume_that_is_none_is_none(odd: object) -> None:
    assert bars(DOCUMENTED | {"base_asset_volume": odd}) == [attrs.evolve(ONE, base_asset_volume=None)]


def test_numbers_may_be_text_and_fields_may_be_missing_or_new() -> None:
    assert bars({name: str(value) for name, value in DOCUMENTED.items()}) == [ONE]
    assert bars({"time": 5, "open": 1.5, "new": {}}) == [Bar(5, Decimal("1.5"))]


@given(st.fixed_dictionaries({"time": st.integers(0, 10**13)}, optional={
    name: st.integers(-(10**18), 10**18) | st.floats() | st.decimals().map(str) | st.none() for name in DOCUMENTED
    if name not in ("time", "first_timestamp") and "_id" not in name and "ticks" not in name and "last" not in name
}))  # fmt: skip
def test_the_fast_reader_and_the_lenient_one_agree(document: dict[str, Any]) -> None:
    body = json.dumps({"bars": [document]}).encode()
    assert read(BARS, body) == _odd(BARS, body)


@pytest.mark.parametrize("document", [{}, {"time": None}, {"time": "noon:"}, {"time": 1.5}, [], "x"])
def test_a_bar_without_a_time_can_not_be_read_and_the_others_are_salvaged(document: Any) -> None:
    body = json.dumps({"bars": [DOCUMENTED, document]}).encode()
    with pytest.raises(AnswerUnreadable) as unreadable:
        decode(BARS, Answer(200, "application/json", body), now=0)
    assert unreadable.value.decoded == [ONE]


def test_kinds_of_bars() -> None:
    document = {
        "bar_subclass": "5min",
        "bar_type": "time",
        "base_asset": "ADA",
        "exchange": "binance",
        "quote_asset": "USDT",
    }
    [kind] = read(BAR_TYPES, json.dumps({"bar_types": [document | {"new": 1}]}).encode())
    assert kind == BarType("time", "5min", "ADA", "USDT", "binance")
    assert kind.to_dict() == document
