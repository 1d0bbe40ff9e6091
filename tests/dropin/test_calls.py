"""Each call on the wire, as mizar 0.1.5 sends it, and the dictionary that it gives."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest

import mizar_async
from mizar import Mizar, MizarAPIException
from mizar_async import InvalidInput, OutcomeUnknown

from .documented import BAR, CLOSED, DCA_ORDER, DCA_POSITION, POSITION, STRATEGY
from .one_answer import Server
from .test_parameters import BY_NAME, BY_POSITION, SINCE

PAIR = {"bot_id": 1, "base_asset": "BTC", "quote_asset": "USDT"}
KIND = {"bar_type": "time", "bar_subclass": "5min", "base_asset": "ADA", "exchange": "binance", "quote_asset": "USDT"}
OF_BARS = {"start_timestamp": 0, "limit": 500, "bar_type": "time", "bar_subclass": "D", "exchange": "binance"}
OPENED = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0.3, "is_long": True}
MADE = {
    "name": "My Strategy",
    "description": "My Strategy works this way",
    "exchanges": ["binance"],
    "symbols": ["BTCUSDT"],
    "market": "SPOT",
}
DONE = {"detail": "Request with action ... has been successfully submitted to bot 1 that has 1 subscriptions."}
ORDERS = {"data": [DCA_ORDER, DCA_ORDER | {"id": "2", "status": "canceled"}]}
SETTINGS = {"data": [{"strategy_id": 5083, "take_profit": 1.5, "max_safety_trades_count": 5, "anything_else": [1, {}]}]}
OPEN_NOW = {"data": [DCA_POSITION, DCA_POSITION | {"symbol": "AVAXUSDT", "take_profit_pct": 0.015}]}
SHOWN = {"data": DCA_POSITION | {"inactive_take_profit_orders": [DCA_ORDER]}}
TAKEN = {"data": [DCA_POSITION["take_profit_order"], DCA_ORDER]}
PUBLISHED = {"message": "The strategy Momentum has been published in Mizar"}
# The bytes of dill.dumps({"a": 1}), in base64 with its line ends.
FORM = {
    "strategy-info": '{"name": "Momentum"}',
    "strategy-file": "a = 1\n",
    "strategy": "gASVCgAAAAAAAAB9lIwBYZRLAXMu\n",
}

GET, POST = "GET", "POST"
# fmt: off
CALLS: list[tuple[str, Callable[[Mizar], Any], str, str, dict[str, Any] | None, object, object]] = [
    # the call, how it is made, method, path, query or body, what the server answers, what is given if it is not that
    ("ping", lambda m: m.ping(), GET, "ping", {}, {"message": "pong"}, {}),
    ("server_time", lambda m: m.server_time(), GET, "server-time", {}, {"server_time": 1623081868169}, None),
    ("get_exchanges", lambda m: m.get_exchanges(), GET, "exchanges", {}, {"exchanges": [{"name": "binance", "markets": ["SPOT"]}]}, None),
    ("get_symbols", lambda m: m.get_symbols("binance"), GET, "symbols", {"exchange": "binance"}, {"symbols": [STRATEGY["symbols"][0] | {"markets": ["SPOT"]}]}, None),
    ("get_symbols", lambda m: m.get_symbols("binance", "SPOT"), GET, "symbols", {"exchange": "binance", "market": "SPOT"}, {"symbols": []}, None),
    ("get_bar_types", lambda m: m.get_bar_types(), GET, "bar-types", {}, {"bar_types": [KIND]}, None),
    ("get_bar_types", lambda m: m.get_bar_types(**KIND), GET, "bar-types", KIND, {"bar_types": [KIND]}, None),
    ("get_bar_types", lambda m: m.get_bar_types(exchange="binance", new="é &", no=None), GET, "bar-types", {"exchange": "binance", "new": "é &"}, {"bar_types": []}, None),
    ("get_bar_data", lambda m: m.get_bar_data(base_asset="BTC", quote_asset="USDT"), GET, "bars", {"base_asset": "BTC", "quote_asset": "USDT"} | OF_BARS, {"bars": [BAR]}, None),
    ("get_bar_data", lambda m: m.get_bar_data(base_asset="BTC", quote_asset="USDT", start_timestamp="17", limit=3, new=[1, 2]), GET, "bars", {"base_asset": "BTC", "quote_asset": "USDT"} | OF_BARS | {"start_timestamp": 17, "limit": 3, "new": [1, 2]}, {"bars": []}, None),
    ("save_hosted_strategy", lambda m: m.save_hosted_strategy({"a": 1}, {"name": "Momentum"}, "a = 1\n"), POST, "publish-hosted-strategy", FORM, PUBLISHED, None),
    ("save_hosted_strategy", lambda m: m.save_hosted_strategy({"a": 1}, {"name": "Momentum"}), POST, "publish-hosted-strategy", FORM | {"strategy-file": ""}, {"creation_timestamp": 7, "name": "Momentum"}, None),
    ("create_self_hosted_strategy", lambda m: m.create_self_hosted_strategy(**MADE), POST, "publish-self-hosted-strategy", MADE, STRATEGY, None),
    ("open_position", lambda m: m.open_position(1, "BTC", "USDT", 0.3, True), POST, "open-position", OPENED, POSITION, None),
    ("open_position", lambda m: m.open_position("1", "BTC", "USDT", "0.3", is_long=True), POST, "open-position", OPENED, POSITION, None),
    ("close_position", lambda m: m.close_position("1"), POST, "close-position", {"position_id": 1}, CLOSED, None),
    ("close_all_positions", lambda m: m.close_all_positions(1), POST, "close-all-positions", {"strategy_id": 1}, {"closed_positions": [CLOSED]}, None),
    ("get_all_open_positions", lambda m: m.get_all_open_positions(1), GET, "all-open-positions", {"strategy_id": 1}, {"open_positions": [POSITION]}, None),
    ("get_all_self_hosted_strategies_info", lambda m: m.get_all_self_hosted_strategies_info(), GET, "self-hosted-strategy-info", {}, {"strategies": [STRATEGY]}, None),
    ("get_dca_bot_position", lambda m: m.get_dca_bot_position(1, "BTC", "USDT"), GET, "dca-bots/get-position", PAIR, {"data": DCA_POSITION}, None),
    ("get_dca_bot_position", lambda m: m.get_dca_bot_position("1", "BTC", "USDT", "short"), GET, "dca-bots/get-position", PAIR | {"side": "short"}, {"data": None}, None),
    ("get_dca_bot_position", lambda m: m.get_dca_bot_position(1, "BTC", "USDT"), GET, "dca-bots/get-position", PAIR, {"data": {}}, {"data": None}),
    ("get_dca_bot_safety_orders", lambda m: m.get_dca_bot_safety_orders(1, "BTC", "USDT"), GET, "dca-bots/get-safety-orders", PAIR, ORDERS, None),
    ("get_dca_bot_active_safety_orders", lambda m: m.get_dca_bot_active_safety_orders(1, "BTC", "USDT", side="long"), GET, "dca-bots/get-active-safety-orders", PAIR | {"side": "long"}, ORDERS, None),
    ("get_dca_bot_inactive_safety_orders", lambda m: m.get_dca_bot_inactive_safety_orders("1", "BTC", "USDT"), GET, "dca-bots/get-inactive-safety-orders", PAIR, {"data": []}, None),
    # The old client asks for inactive safety orders here, by mistake.
    ("get_dca_bot_take_profit_orders", lambda m: m.get_dca_bot_take_profit_orders(1, "BTC", "USDT"), GET, "dca-bots/get-position", PAIR, SHOWN, TAKEN),
    ("get_dca_bot_take_profit_orders", lambda m: m.get_dca_bot_take_profit_orders(1, "BTC", "USDT"), GET, "dca-bots/get-position", PAIR, {"data": None}, {"data": []}),
    # The old client sends null for what is left out.
    ("dca_bot_open_position", lambda m: m.dca_bot_open_position(1, "BTC", "USDT"), POST, "dca-bots/open-position", PAIR, DONE, None),
    ("dca_bot_open_position", lambda m: m.dca_bot_open_position("1", "BTC", "USDT", 0.015, "0.1"), POST, "dca-bots/open-position", PAIR | {"take_profit_pct": 0.015, "stop_loss_pct": 0.1}, DONE, None),
    ("dca_bot_open_position", lambda m: m.dca_bot_open_position(1, "BTC", "USDT", open_order_price="42000.500000000000", delay=0), POST, "dca-bots/open-position", PAIR | {"open_order_price": 42000.5, "delay": 0}, DONE, None),
    ("dca_bot_close_position", lambda m: m.dca_bot_close_position(1, "BTC", "USDT"), POST, "dca-bots/close-position", PAIR, DONE, None),
    ("dca_bot_close_position", lambda m: m.dca_bot_close_position(1, "BTC", "USDT", "short", 5), POST, "dca-bots/close-position", PAIR | {"side": "short", "delay": 5}, DONE, None),
    ("dca_bot_shift_safety_orders", lambda m: m.dca_bot_shift_safety_orders(1, "BTC", "USDT", 46000.5), POST, "dca-bots/shift-safety-orders", PAIR | {"safety_orders_start_price": 46000.5}, DONE, None),
    ("dca_bot_stop_and_close_positions", lambda m: m.dca_bot_stop_and_close_positions("1"), POST, "dca-bots/stop-bot-and-close-all-positions", {"bot_id": 1}, DONE, None),
    ("dca_bot_close_positions", lambda m: m.dca_bot_close_positions(1), POST, "dca-bots/close-all-positions", {"bot_id": 1}, DONE, None),
    ("dca_bot_edit_take_profit_pct", lambda m: m.dca_bot_edit_take_profit_pct(1, "BTC", "USDT", 0.0275, "long"), POST, "dca-bots/edit-take-profit-pct", PAIR | {"take_profit_pct": 0.0275, "side": "long"}, DONE, None),
    ("dca_bot_add_funds", lambda m: m.dca_bot_add_funds(1, "BTC", "USDT", 2), POST, "dca-bots/add-funds", PAIR | {"size": 2}, DONE, None),
    ("get_dca_bot_settings", lambda m: m.get_dca_bot_settings(), GET, "dca-bots/get-settings", {}, SETTINGS, None),
    ("get_subscription_open_positions", lambda m: m.get_subscription_open_positions("20641", 5083), GET, "subscription/get-open-positions", {"subscription_id": 20641, "bot_id": 5083}, OPEN_NOW, None),
]
# fmt: on


def test_every_call_is_in_the_table() -> None:
    assert {call for call, *_ in CALLS} == (BY_POSITION | BY_NAME | SINCE).keys()


@pytest.mark.parametrize(
    ("call", "method", "path", "said", "answer", "given"),
    [pytest.param(*row[1:], id=f"{row[0]} {number}") for number, row in enumerate(CALLS)],
)
def test_a_call_is_sent_as_the_old_client_sends_it_and_gives_the_documented_dictionary(
    call: Callable[[Mizar], Any],
    method: str,
    path: str,
    said: dict[str, Any],
    answer: object,
    given: object,
    client: Mizar,
    server: Server,
) -> None:
    server.answers(answer)
    result = call(client)
    assert result == (answer if given is None else given)
    (asked,) = [one for one in server.asked if one[0] == method]  # an open reads a list before
    if method == POST:
        assert asked[1:] == (f"/api/v1/{path}", said)
    else:
        address, _, query = asked[1].partition("?")
        assert (address, sorted(query.split("&"))) == (
            f"/api/v1/{path}",
            sorted(urlencode(said, doseq=True).split("&")),
        )
        assert asked[2] is None


def test_numbers_are_those_of_the_answer_whole_or_not(client: Mizar, server: Server) -> None:
    server.answers({"bars": [BAR | {"open": 4261, "base_asset_volume": 0, "quote_asset_volume": 0.0}]})
    (bar,) = client.get_bar_data(base_asset="BTC", quote_asset="USDT")["bars"]
    kinds = {name: type(value) for name, value in bar.items()}
    assert (kinds["open"], kinds["base_asset_volume"]) == (int, int)
    assert (kinds["high"], kinds["quote_asset_volume"], kinds["time"]) == (float, float, int)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda m: m.get_bar_data(base_asset="", quote_asset="USDT"), "base_asset"),
        (lambda m: m.get_bar_data(base_asset="BTC", quote_asset="USDT", limit=501), "limit=501"),
        (lambda m: m.get_bar_data(base_asset="BTC", quote_asset="USDT", start_timestamp=-1), "start"),
        (lambda m: m.get_bar_data(base_asset="BTC", quote_asset="USDT", start_timestamp="2022-01-01"), "start"),
        (lambda m: m.get_bar_data(base_asset="BTC", quote_asset="USDT", start_timestamp=float("nan")), "start"),
        (lambda m: m.get_bar_types(exchange=5), "exchange=5"),
        (lambda m: m.get_bar_types(new="\ud800"), "further parameters"),
        (lambda m: m.get_dca_bot_position("one", "BTC", "USDT"), "bot_id='one'"),
        (lambda m: m.get_dca_bot_safety_orders(1, "BTC", "USDT", "buy"), "side='buy'"),
        (lambda m: m.get_subscription_open_positions(None, 1), "subscription_id=None"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", "1.5%"), "take_profit_pct='1.5%'"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", True), "take_profit_pct=True"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", 0), "take_profit"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", float("nan")), "take_profit_pct=nan"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", "nan"), "take_profit_pct='nan'"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", "1e999999999"), "take_profit_pct='1e999999999'"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", stop_loss_pct=5), "stop_loss"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", stop_loss_pct="-0.1"), "stop_loss_pct='-0.1'"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", position_size="1.5"), "position_size"),
        (lambda m: m.dca_bot_open_position(1, "BTC", "USDT", delay=0.5), "delay=0.5"),
        (lambda m: m.dca_bot_shift_safety_orders(1, "BTC", "USDT", "high"), "start_price='high'"),
        (lambda m: m.dca_bot_edit_take_profit_pct(1, "BTC", "USDT", None), "take_profit_pct=None"),
        (lambda m: m.dca_bot_add_funds(1, "BTC", "USDT", 0), "size=0"),
        (lambda m: m.dca_bot_close_positions("1" * 5000), "bot_id"),
    ],
)
def test_what_can_not_be_right_is_refused_by_its_name_before_anything_is_sent(
    call: Callable[[Mizar], Any], named: str, client: Mizar, server: Server
) -> None:
    with pytest.raises(InvalidInput, match=named.replace("(", r"\(")) as refused:
        call(client)
    assert len(str(refused.value)) < 400
    assert server.asked == []


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.get_bar_types(),
        lambda m: m.get_bar_data(base_asset="BTC", quote_asset="USDT"),
        lambda m: m.get_dca_bot_position(1, "BTC", "USDT"),
        lambda m: m.get_dca_bot_settings(),
        lambda m: m.dca_bot_open_position(1, "BTC", "USDT"),
        lambda m: m.dca_bot_close_positions(1),
        lambda m: m.save_hosted_strategy({}, {"name": "Momentum"}),
    ],
)
def test_a_refusal_carries_the_servers_error_body(call: Callable[[Mizar], Any], client: Mizar, server: Server) -> None:
    server.answers({"detail": "not yours"}, 404)
    with pytest.raises(MizarAPIException) as refused:
        call(client)
    assert (refused.value.args, refused.value.status) == (({"detail": "not yours"},), 404)


@pytest.mark.parametrize("status", [400, 500, 502, 504])
@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.dca_bot_open_position(1, "BTC", "USDT"),
        lambda m: m.dca_bot_close_position(1, "BTC", "USDT"),
        lambda m: m.dca_bot_add_funds(1, "BTC", "USDT", 1),
        lambda m: m.save_hosted_strategy({}, {"name": "Momentum"}),
    ],
)
def test_a_write_with_an_uncertain_end_is_sent_once_and_is_no_refusal(
    call: Callable[[Mizar], Any], status: int, client: Mizar, server: Server
) -> None:
    server.answers({"detail": "gateway"}, status)
    with pytest.raises(OutcomeUnknown):
        call(client)
    assert len(server.asked) == 1


def test_many_threads_may_share_a_client(client: Mizar, server: Server) -> None:
    server.answers({"bars": [BAR]})
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.get_bar_data(base_asset="BTC", quote_asset="USDT"), range(40)))
    assert answers == [{"bars": [BAR]}] * 40


def test_it_is_the_drop_in_alone_that_takes_plain_fractions(client: Mizar) -> None:
    with pytest.raises(InvalidInput, match="Ratio"):
        client._mizar.dca.open_position(bot_id=1, base_asset="BTC", quote_asset="USDT", take_profit=0.015)  # type: ignore[arg-type]
    assert mizar_async.Ratio.fraction("0.015") == mizar_async.Ratio.percent("1.5")
