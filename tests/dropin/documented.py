"""The snippets of the user's document, in its order, and what it says that each answers.

Copied verbatim: tests run the left side as it stands, and compare keys and types with the right.
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


def shape(answer: object) -> object:
    """The keys and the types of an answer, with the decimals of numbers that are text."""
    if isinstance(answer, dict):
        return {key: shape(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [shape(item) for item in answer]
    if isinstance(answer, str) and answer.replace(".", "", 1).isdecimal():
        return "text of a number", len(answer.partition(".")[2])
    return type(answer).__name__
