"""The snippets of the user's document, in its order, and what it says that each answers.

Copied verbatim: tests run the left side as it stands, and compare keys and types with the right. What its other pages
show of bars and DCA bots stands behind them.
"""

from __future__ import annotations

from typing import Any

CREATE = """
from mizar import Mizar

mizar_client = Mizar()

mizar_client.create_self_hosted_strategy(
    name="My Strategy",
    description="My Strategy works this way",
    exchanges=["binance"],
    symbols=["BTCUSDT"],
    market="SPOT"
)
"""

OPEN = """
mizar_client.open_position(
    strategy_id=1,
    base_asset="BTC",
    quote_asset="USDT",
    size=0.3,
    is_long=True
)
"""

CLOSE = """
mizar_client.close_position(
    position_id=1
)
"""

LIST = """
mizar_client.get_all_open_positions(
    strategy_id=1
)
"""

# The document prints the name of the call before once more; the answer that it shows is that of this one.
CLOSE_ALL = LIST.replace("get_all_open_positions", "close_all_positions")

STRATEGY: dict[str, Any] = {
    "creation_timestamp": 1625571350830,
    "exchange": "binance",
    "market": "SPOT",
    "name": "My Strategy",
    "strategy_id": 1,
    "symbols": [{"base_asset": "BTC", "quote_asset": "USDT", "symbol": "BTCUSDT"}],
}

POSITION: dict[str, Any] = {
    "base_asset": "BTC",
    "is_long": True,
    "open_price": "34209.480000000000",
    "open_timestamp": 1625572116854,
    "position_id": "1",
    "quote_asset": "USDT",
    "size": 0.3,
    "strategy_id": "1",
}

CLOSED: dict[str, Any] = POSITION | {"close_price": "33914.640000000000", "close_timestamp": 1625572999043}

BAR: dict[str, Any] = {
    "time": 1502928000000,
    "open": 4261.48,
    "high": 4485.39,
    "low": 4200.74,
    "close": 4285.08,
    "base_asset_volume": 795.15,
    "base_asset_buy_volume": 616.24,
    "base_asset_sell_volume": 178.9,
    "quote_asset_volume": 3454770.05,
    "quote_asset_buy_volume": 2678216.4,
    "quote_asset_sell_volume": 776553.65,
    "first_timestamp": 1502942428322,
    "last_timestamp": 1503014320719,
    "first_trade_id": 0,
    "last_trade_id": 3426,
    "num_ticks": 3427,
    "num_buy_ticks": 2372,
    "num_sell_ticks": 1055,
}

DCA_ORDER: dict[str, Any] = {
    "id": "30331268368",
    "status": "open",
    "timestamp": 1630430492830,
    "price": 46712.02,
    "filled": 0.0,
    "remaining": 0.003,
}

DCA_POSITION: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "start_condition_datetime": "2021-08-31T17:21:02.953815",
    "take_profit_type": "total",
    "take_profit_pct": 0.01,
    "stop_loss_pct": None,
    "safety_order_deviation_pct": 0.015,
    "safety_order_step_scale": 1.05,
    "safety_order_quote_size": 150.0,
    "safety_order_volume_scale": 1.05,
    "max_num_safety_order": 5,
    "side": "buy",
    "base_orders": [DCA_ORDER | {"id": "30331268000", "status": "closed", "filled": 0.002, "remaining": 0.0}],
    "active_safety_orders": [DCA_ORDER],
    "take_profit_order": DCA_ORDER | {"id": "30331268400", "price": 47897.6},
    "inactive_safety_orders": [],
    "inactive_take_profit_orders": [],
}


def shape(answer: object) -> object:
    """The keys and the types of an answer, with the decimals of numbers that are text."""
    if isinstance(answer, dict):
        return {key: shape(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [shape(item) for item in answer]
    if isinstance(answer, str) and answer.replace(".", "", 1).isdecimal():
        return "text of a number", len(answer.partition(".")[2])
    return type(answer).__name__
