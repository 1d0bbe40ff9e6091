"""A program of 2021. The Python of the old client's environment runs it, so it imports nothing of this project."""

import json
import sys

from old_frame import told

from mizar import Mizar
from mizar.api import MizarAPIException
from mizar.studio import MizarStudio

key, host, folder = sys.argv[1:]
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

answers["bar_types"] = client.get_bar_types(exchange="binance", base_asset="BTC", bar_subclass="1H")
answers["bars"] = client.get_bar_data(base_asset="BTC", quote_asset="USDT", bar_subclass="1H", limit=3)
answers["published"] = client.save_hosted_strategy(lambda x: x, {"strategy_signal_name": "Momentum"}, "x = 'é'\n")

studio = MizarStudio(client, folder)
answers["frames"] = [told(studio.get_bar_df("BTC", "USDT", bar_subclass="1min")) for _ in range(2)]

answers["refusals"] = {}
for name, call in {
    "closing twice": lambda: client.close_position(answers["position"]["position_id"]),
    "a short on SPOT": lambda: client.open_position(strategy_id, "BTC", "USDT", 1, False),
    "another's strategy": lambda: client.get_all_open_positions(999),
    "an unknown key": lambda: Mizar("no such key", scheme="http", host=host).get_all_self_hosted_strategies_info(),
    "bars of no pair": lambda: client.get_bar_data(base_asset="BTC", quote_asset="BTC"),
    "a strategy without a name": lambda: client.save_hosted_strategy({}, {}),
}.items():
    try:
        call()
    except MizarAPIException as refusal:
        answers["refusals"][name] = refusal.args[0]
print(json.dumps(answers))
