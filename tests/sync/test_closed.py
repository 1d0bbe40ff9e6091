"""A closed client has one error, and a call under way says what it may have done."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mizar_async import (
    AsyncDca,
    AsyncHosted,
    AsyncMarket,
    AsyncMizar,
    AsyncTradingView,
    NotSent,
    OpenPosition,
    OutcomeUnknown,
)
from mizar_sync import Mizar
from mizar_sync._runtime import READS

from .scripts import said

BTC = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}

CALLS: dict[str, Callable[[Any], Any]] = {
    "ping": lambda mizar: mizar.ping(),
    "server_time": lambda mizar: mizar.server_time(),
    "get_exchanges": lambda mizar: mizar.get_exchanges(),
    "get_symbols": lambda mizar: mizar.get_symbols(exchange="binance"),
    "create_self_hosted_strategy": lambda mizar: mizar.create_self_hosted_strategy(
        name="n", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
    ),
    "get_all_self_hosted_strategies_info": lambda mizar: mizar.get_all_self_hosted_strategies_info(),
    "open_position": lambda mizar: mizar.open_position(**BTC),
    "close_position": lambda mizar: mizar.close_position(position_id=1),
    "get_all_open_positions": lambda mizar: mizar.get_all_open_positions(strategy_id=1),
    "close_all_positions": lambda mizar: mizar.close_all_positions(strategy_id=1),
    "reconcile": lambda mizar: mizar.reconcile(1, []),
    "recover": lambda mizar: mizar.recover(),
    "flatten": lambda mizar: mizar.flatten(1),
    "flatten_all": lambda mizar: mizar.flatten_all(),
}
CLOSED = re.escape("not sent: this client is closed; make a new one")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_of_a_closed_client_is_not_sent(call: Callable[[AsyncMizar], Coroutine[Any, Any, Any]]) -> None:
    mizar = AsyncMizar.paper()
    await mizar.aclose()
    with pytest.raises(NotSent, match=CLOSED):
        await call(mizar)


async def test_a_guard_of_a_closed_client_is_not_entered() -> None:
    mizar = AsyncMizar.paper()
    await mizar.aclose()
    with pytest.raises(NotSent, match=CLOSED):
        async with mizar.closing_positions(1):
            pass


@pytest.mark.parametrize(
    "call",
    [
        *CALLS.values(),
        lambda mizar: mizar.open_positions([OpenPosition(**BTC)]),  # type: ignore[arg-type]
        lambda mizar: mizar.close_positions([1]),
        lambda mizar: next(mizar.stream_open_positions([OpenPosition(**BTC)])),  # type: ignore[arg-type]
        lambda mizar: next(mizar.stream_close_positions([1])),
        lambda mizar: mizar.closing_positions(1).__enter__(),
        lambda mizar: mizar.resolve(OutcomeUnknown()),
        lambda mizar: mizar.with_options(timeout=1).ping(),
    ],
    ids=[
        *CALLS,
        "open_positions",
        "close_positions",
        "stream_open_positions",
        "stream_close_positions",
        "closing_positions",
        "resolve",
        "a call of a view",
    ],
)
def test_a_call_of_a_closed_blocking_client_is_not_sent(call: Callable[[Mizar], object]) -> None:
    mizar = Mizar.paper()
    mizar.close()
    with pytest.raises(NotSent, match=CLOSED):
        call(mizar)


@pytest.mark.parametrize(
    ("name", "error"), [("get_symbols", "Unavailable no"), ("close_positions", "OutcomeUnknown perhaps")]
)
def test_a_call_under_way_when_its_client_is_closed_ends_by_what_it_may_have_done(name: str, error: str) -> None:
    assert said(f"""
        import threading
        runtime = Runtime()
        async def {name}(): await wait_for_ever()
        def blocked():
            try: runtime.call({name})
            except Exception as error: print(type(error).__name__, error.happened, str(error).startswith("{name}: "))
        thread = threading.Thread(target=blocked); thread.start()
        until(lambda: log)
        runtime.close(nothing)
        thread.join()
    """) == [f"{error} True"]


def test_the_calls_that_only_ask_are_those_that_write_nothing() -> None:
    classes = (AsyncMizar, AsyncMarket, AsyncDca, AsyncTradingView, AsyncHosted)
    calls = {name for group in classes for name, call in vars(group).items() if is_call(name, call)}
    writes = {"open_position", "close_position", "open_positions", "close_positions", "create_self_hosted_strategy"}
    writes |= {"close_all_positions", "flatten", "flatten_all", "save_strategy", "stop_and_close_all", "add_funds"}
    writes |= {"shift_safety_orders", "edit_take_profit", "dca_open_position", "dca_close_position"}
    writes |= {"dca_close_all_positions", "dca_stop_and_close_all"}
    assert calls - {"aclose"} == (READS - {"iter_bars"}) | writes


def is_call(name: str, call: object) -> bool:
    return inspect.iscoroutinefunction(call) and name[0] != "_"
