"""A program of 2021. The Python of the old client's environment runs it, so it imports nothing of this project."""

import json
import sys

from mizar import Mizar
from mizar.api import MizarAPIException

key, host = sys.argv[1:]
client = Mizar(key, scheme="http", host=host)
answers = {}
answers["ping"] = client.ping()
answers["server_time"] = client.server_time()
answers["exchanges"] = client.get_exchanges()
answers["symbols"] = client.get_symbols("binance", "SPOT")
answers["strategy"] = client.create_self_hosted_strategy(
    name="My Strategy",
    description="My Strategy works this way",
    exchanges=["binance"],
    symbols=["BTCUSDT"],
    market="SPOT",
)
strategy_id = answers["strategy"]["strategy_id"]
answers["position"] = client.open_position(strategy_id, "BTC", "USDT", 0.3, True)
answers["closed"] = client.close_position(answers["position"]["position_id"])
for size in (1, 1.0, 0.5):
    client.open_position(strategy_id=strategy_id, base_asset="BTC", quote_asset="USDT", size=size, is_long=True)
answers["listed"] = client.get_all_open_positions(strategy_id)
answers["all_closed"] = client.close_all_positions(strategy_id)
answers["listed_after"] = client.get_all_open_positions(strategy_id)
answers["strategies"] = client.get_all_self_hosted_strategies_info()

answers["refusals"] = {}
for name, call in {
    "closing twice": lambda: client.close_position(answers["position"]["position_id"]),
    "a short on SPOT": lambda: client.open_position(strategy_id, "BTC", "USDT", 1, False),
    "another's strategy": lambda: client.get_all_open_positions(999),
    "an unknown key": lambda: Mizar("no such key", scheme="http", host=host).get_all_self_hosted_strategies_info(),
}.items():
    try:
        call()
    except MizarAPIException as refusal:
        answers["refusals"][name] = refusal.args[0]
print(json.dumps(answers))
