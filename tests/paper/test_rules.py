"""Fills: exact, half of the spread worse than the feed, and never rounded in the trader's favour."""

from __future__ import annotations

from decimal import Decimal, getcontext, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import paper
from mizar_async._api.trading import CloseAll, ClosePosition, OfStrategy, OpenPosition, PublishStrategy
from mizar_async._clock import Clock
from mizar_async.errors import InvalidInput
from mizar_async.paper.rules import fill

PRICES = st.decimals("1e-9", "1e15", places=9)
SPREADS = st.decimals("0", "99", places=4)


@pytest.mark.parametrize(
    ("price", "spread", "bought", "sold"),
    [
        ("46319.0", "0.02", "46323.631900000000", "46314.368100000000"),
        ("46319.0", "0", "46319.000000000000", "46319.000000000000"),
        ("100", "10", "105.000000000000", "95.000000000000"),
        ("0.000000001", "0.02", "0.000000001001", "0.000000000999"),
    ],
)
def test_who_buys_pays_half_of_the_spread_more_and_who_sells_gets_half_less(
    price: str, spread: str, bought: str, sold: str
) -> None:
    assert f"{fill(Decimal(price), buys=True, spread=Decimal(spread)):f}" == bought
    assert f"{fill(Decimal(price), buys=False, spread=Decimal(spread)):f}" == sold


@given(price=PRICES, spread=SPREADS)
def test_a_fill_is_never_better_than_half_of_the_spread(price: Decimal, spread: Decimal) -> None:
    bought, sold = (fill(price, buys=buys, spread=spread) for buys in (True, False))
    with localcontext(prec=80):
        half = spread / 200
        assert 0 <= bought - price * (1 + half) < Decimal("1e-12")
        assert 0 <= price * (1 - half) - sold < Decimal("1e-12")
    assert sold <= price <= bought
    assert bought.as_tuple().exponent == sold.as_tuple().exponent == -12


def test_the_callers_decimal_context_changes_nothing() -> None:
    exact = fill(Decimal("46319.12345678"), buys=True, spread=Decimal("0.02"))
    with localcontext(prec=3):
        assert fill(Decimal("46319.12345678"), buys=True, spread=Decimal("0.02")) == exact
        assert getcontext().prec == 3


@pytest.mark.parametrize("is_long", [True, False], ids=["long", "short"])
def test_the_spread_costs_a_trader_on_both_sides_whichever_way(is_long: bool) -> None:
    venue = paper.Venue(clock=Clock(start=1_641_000_000_000, speed=1e-9))
    owner = venue.owner(venue.create_key())
    venue.publish_strategy(
        owner, PublishStrategy(name="S", description="", exchanges=("binance",), symbols=("BTCUSDT",), market="FUTURES")
    )
    ask = OpenPosition(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=is_long)
    opened = venue.open_position(owner, ask)
    closed = venue.close_position(owner, ClosePosition(opened.position_id))
    price = venue.price("BTCUSDT")
    assert closed.open_price is not None
    assert closed.close_price is not None
    assert (closed.open_price > price, closed.close_price < price) == (is_long, is_long)
    assert closed.return_pct is not None
    assert closed.return_pct < 0
    assert abs(closed.return_pct + Decimal("0.02")) < Decimal("0.0001")


def test_a_close_all_closes_at_one_time_and_by_each_pairs_price() -> None:
    venue = paper.Venue(spread=0)
    owner = venue.owner(venue.create_key())
    symbols = ("BTCUSDT", "ADAUSDT")
    venue.publish_strategy(
        owner, PublishStrategy(name="S", description="", exchanges=("binance",), symbols=symbols, market="SPOT")
    )
    for base in ("BTC", "ADA"):
        venue.open_position(owner, OpenPosition(strategy_id=1, base_asset=base, quote_asset="USDT", is_long=True))
    closed = venue.close_all_positions(owner, CloseAll(strategy_id=1))
    assert len({position.close_timestamp for position in closed}) == 1
    for position in closed:
        assert position.close_timestamp is not None
        assert position.close_price == venue.feed.price(position.symbol, position.close_timestamp)
    assert venue.open_positions(owner, OfStrategy(1)) == []


@pytest.mark.parametrize("spread", [-0.01, 100, "NaN", "much", True, None], ids=repr)
def test_a_spread_that_can_not_be_is_refused_by_name(spread: float) -> None:
    with pytest.raises(InvalidInput, match="spread="):
        paper.Venue(spread=spread)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan"), True], ids=repr)
def test_a_speed_that_can_not_be_is_refused_by_name(speed: float) -> None:
    with pytest.raises(InvalidInput, match="speed="):
        paper.Venue.of(speed=speed)


def test_a_pair_without_prices_is_refused() -> None:
    with pytest.raises(InvalidInput, match="pair='BTC/USDT' is refused"):
        paper.Venue.of(pair="BTC/USDT")


def test_a_venue_shows_what_it_is_and_no_key() -> None:
    venue = paper.Venue.of(seed=7, speed=60)
    assert (
        repr(venue)
        == "<Venue in memory, Simulated(seed=7), spread 0.02 %, slippage 0 %, fee 0.1 %, delay 0 s, 60 x real time>"
    )
