"""The calls of mizar 0.1.5 with their parameters, their order and their defaults."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from mizar import Mizar, MizarStudio

from .one_answer import Server
from .paper_venue import ROOT

# An "=" tells what a parameter is where it is left out; the constructor's and get_symbols' "None" stands for less.
BY_POSITION = {
    "ping": "",
    "server_time": "",
    "get_exchanges": "",
    "get_symbols": "exchange, market=None",
    "create_self_hosted_strategy": "name, description, exchanges, symbols, market",
    "open_position": "strategy_id, base_asset, quote_asset, size, is_long",
    "close_position": "position_id",
    "close_all_positions": "strategy_id",
    "get_all_open_positions": "strategy_id",
    "get_all_self_hosted_strategies_info": "",
    "save_hosted_strategy": "strategy, strategy_info, strategy_file=''",
    "get_dca_bot_position": "bot_id, base_asset, quote_asset",
    "get_dca_bot_safety_orders": "bot_id, base_asset, quote_asset",
    "get_dca_bot_active_safety_orders": "bot_id, base_asset, quote_asset",
    "get_dca_bot_inactive_safety_orders": "bot_id, base_asset, quote_asset",
    "get_dca_bot_take_profit_orders": "bot_id, base_asset, quote_asset",
    "dca_bot_open_position": "bot_id, base_asset, quote_asset, take_profit_pct=None, stop_loss_pct=None",
    "dca_bot_close_position": "bot_id, base_asset, quote_asset",
    "dca_bot_shift_safety_orders": "bot_id, base_asset, quote_asset, safety_orders_start_price",
    "dca_bot_stop_and_close_positions": "bot_id",
    "dca_bot_close_positions": "bot_id",
}
BY_NAME = {
    "get_bar_types": "base_asset=None, quote_asset=None, bar_type=None, bar_subclass=None, exchange=None",
    "get_bar_data": (
        "base_asset, quote_asset, start_timestamp=0, limit=500, bar_type='time', bar_subclass='D', exchange='binance'"
    ),
}
OF_STUDIO = {
    "__init__": "mizar, path='./'",
    "get_bar_df": ("base_asset, quote_asset, start_timestamp=0, bar_type='time', bar_subclass='D', exchange='binance'"),
    "save_strategy": "strategy, strategy_file_path, data_sources, strategy_name, strategy_description",
}
# What the API has got since, with the parameters of the issue.
SINCE = {
    "dca_bot_edit_take_profit_pct": "bot_id, base_asset, quote_asset, take_profit_pct, side=None",
    "dca_bot_add_funds": "bot_id, base_asset, quote_asset, size, side=None, delay=None",
    "get_dca_bot_settings": "",
    "get_subscription_open_positions": "subscription_id, bot_id",
}


def parameters(owner: type, method: str) -> list[inspect.Parameter]:
    return list(inspect.signature(getattr(owner, method)).parameters.values())[1:]


def written(parameters: list[inspect.Parameter]) -> str:
    """Names and defaults alone."""
    return ", ".join(
        one.name if one.default is inspect.Parameter.empty else f"{one.name}={one.default!r}" for one in parameters
    )


@pytest.mark.parametrize(
    ("owner", "method", "old"),
    [
        *((Mizar, method, old) for method, old in (BY_POSITION | SINCE).items()),
        *((MizarStudio, method, old) for method, old in OF_STUDIO.items()),
    ],
)
def test_parameters_stand_in_the_old_order_and_may_be_given_by_position(owner: type, method: str, old: str) -> None:
    now = parameters(owner, method)
    count = len(old.split(", ")) if old else 0
    assert written(now[:count]) == old
    assert {one.kind for one in now} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert all(one.default is not inspect.Parameter.empty for one in now[count:])


@pytest.mark.parametrize("method", BY_NAME)
def test_parameters_of_the_calls_for_bars_are_given_by_name_and_take_further_ones(method: str) -> None:
    *now, further = parameters(Mizar, method)
    assert written(now) == BY_NAME[method]
    assert {one.kind for one in now} == {inspect.Parameter.KEYWORD_ONLY}
    assert further.kind is inspect.Parameter.VAR_KEYWORD


def test_the_constructor_has_the_old_parameters() -> None:
    assert [one.name for one in parameters(Mizar, "__init__")] == ["api_key", "api_url", "scheme", "host"]


def test_there_are_all_23_calls_of_the_old_client() -> None:
    assert len(BY_POSITION | BY_NAME) == 23


def test_a_call_by_position_sends_each_value_under_its_name(client: Mizar, server: Server) -> None:
    server.answers({"detail": "Request has been successfully submitted."})
    client.dca_bot_open_position(1, "BTC", "USDT", 0.015, 0.1, "long", 0.5, 42000, 10, 3)
    sent = {
        "bot_id": 1,
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "side": "long",
        "take_profit_pct": 0.015,
        "stop_loss_pct": 0.1,
        "position_size": 0.5,
        "open_order_price": 42000,
        "open_position_expiration": 10,
        "delay": 3,
    }
    assert server.asked == [("POST", "/api/v1/dca-bots/open-position", sent)]


def test_to_import_it_imports_neither_pandas_nor_dill() -> None:
    code = "import mizar, mizar.api, mizar.studio, sys; print({'pandas', 'dill'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "set()\n"
