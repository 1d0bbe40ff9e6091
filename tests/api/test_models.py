"""Models: what requests refuse, what answers make of odd values, and the figures derived from them."""

from __future__ import annotations

import decimal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import ClosedPosition, InvalidInput, OpenPosition, Position
from mizar_async._api.codec import encode
from mizar_async._api.endpoints import OPEN_POSITION
from mizar_async._api.trading import CloseAll, ClosePosition, OfStrategy, PublishStrategy

GOOD: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0.3, "is_long": True}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("strategy_id", value) for value in (True, 1.0, 1.5, "1", None, -1, Decimal(1))),
        *(("base_asset", value) for value in ("", " BTC", "BTC ", "\n", None, 7)),
        *(("quote_asset", value) for value in ("", "USDT\t", b"USDT")),
        *(
            ("size", value)
            for value in (0, -0.1, 1.01, 2, True, False, "0.3", None, float("nan"), float("inf"), Decimal("NaN"), 1j)
        ),
        *(("is_long", value) for value in (1, 0, None, "true", "yes")),
    ],
)
def test_an_open_that_cannot_be_right_names_the_parameter_its_value_and_what_is_allowed(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        OpenPosition(**GOOD | {name: value})
    assert str(refused.value).startswith(f"{name}={value!r} is refused: ")


@pytest.mark.parametrize("symbols", [[], "BTCUSDT", None, [""], [1], ["BTCUSDT", " "]])
def test_a_strategy_needs_a_list_of_symbols(symbols: Any) -> None:
    with pytest.raises(InvalidInput, match="refused"):
        PublishStrategy(name="n", description="", exchanges=["binance"], symbols=symbols, market="SPOT")


def test_a_pair_is_named_by_both_assets_or_by_neither() -> None:
    assert CloseAll(strategy_id=1).base_asset is None
    with pytest.raises(InvalidInput, match="quote_asset"):
        CloseAll(strategy_id=1, base_asset="BTC")


@pytest.mark.parametrize("request_type", [ClosePosition, OfStrategy])
def test_an_id_is_a_whole_number_and_no_boolean(request_type: type) -> None:
    with pytest.raises(InvalidInput, match="whole number"):
        request_type(True)


@given(st.decimals(min_value=Decimal("1e-30"), max_value=1, allow_nan=False, allow_infinity=False, places=30))
def test_a_size_goes_to_the_wire_exactly_and_without_an_exponent(size: Decimal) -> None:
    if size == 0:
        return
    body = encode(OPEN_POSITION, OpenPosition(**GOOD | {"size": size})).body or b""
    text = body.split(b'"size":')[1].split(b",")[0].decode()
    assert "e" not in text.lower()
    assert Decimal(text) == size
    assert text == text.rstrip("0") or "." not in text


@given(st.floats(min_value=0, max_value=1, exclude_min=True))
def test_a_float_goes_to_the_wire_by_its_shortest_text(size: float) -> None:
    body = encode(OPEN_POSITION, OpenPosition(**GOOD | {"size": size})).body or b""
    assert float(body.split(b'"size":')[1].split(b",")[0]) == size


@pytest.mark.parametrize(
    ("size", "text"), [(1, b"1"), (1.0, b"1"), (0.3, b"0.3"), (1e-5, b"0.00001"), (Decimal("0.30"), b"0.3")]
)
def test_sizes_are_written_short(size: Any, text: bytes) -> None:
    assert b'"size":' + text + b"," in (encode(OPEN_POSITION, OpenPosition(**GOOD | {"size": size})).body or b"")


def position(**changes: Any) -> ClosedPosition:
    return ClosedPosition(
        **{
            "position_id": 1,
            "strategy_id": 1,
            "base_asset": "BTC",
            "quote_asset": "USDT",
            "size": Decimal("0.3"),
            "is_long": True,
            "open_price": Decimal(100),
            "open_timestamp": 1_625_572_116_854,
            "close_price": Decimal(110),
            "close_timestamp": 1_625_572_117_854,
        }
        | changes
    )


def test_a_long_gains_when_the_price_rises_and_a_short_loses_as_much() -> None:
    assert position().return_pct == 10
    assert position(is_long=False).return_pct == -10


def test_times_are_aware_and_exact_to_the_millisecond() -> None:
    closed = position()
    assert closed.opened_at == datetime(2021, 7, 6, 11, 48, 36, 854_000, tzinfo=UTC)
    assert closed.held_for == timedelta(seconds=1)
    assert closed.symbol == "BTCUSDT"


@pytest.mark.parametrize("price", [Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity"), Decimal("1E+999999")])
def test_a_price_that_is_none_is_none_and_so_is_the_return(price: Decimal) -> None:
    assert position(open_price=price).open_price is None
    assert position(close_price=price).return_pct is None


def test_a_time_beyond_the_calendar_is_none() -> None:
    assert position(open_timestamp=10**30).opened_at is None


def test_the_decimal_context_of_the_program_is_neither_used_nor_changed() -> None:
    with decimal.localcontext() as context:
        context.prec, context.rounding = 2, decimal.ROUND_UP
        context.clear_flags()
        assert position(close_price=Decimal("100.12345")).return_pct == Decimal("0.12345")
        assert position().to_dict()["open_price"] == "100.000000000000"
        assert not any(context.flags.values())


def test_a_position_is_frozen() -> None:
    with pytest.raises(AttributeError):
        position().size = 1  # type: ignore[misc]
    assert isinstance(position(), Position)
