"""What a server may say that is odd: it ends no command, and is shown as what it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mizar_async.cli import market, positions, strategies
from mizar_async.cli.exits import DONE
from mizar_async.cli.looks import Looks
from mizar_async.cli.output import Output
from mizar_async.cli.session import Session

from ..raw_server import answer, raw_server, saying
from .conftest import told_here

ODD: list[Any] = ["0", "-1", "1e-300", "1e300", "NaN", "Infinity", "x", "", None, 0, 1.5, [], {}, True, 10**18]
POSITION = {
    "position_id": "1",
    "strategy_id": "1",
    "base_asset": "BTC",
    "quote_asset": "USDT",
    "size": 1.0,
    "is_long": True,
    "open_price": "100",
    "open_timestamp": 1,
}
STRATEGY = {"strategy_id": 1, "name": "n", "description": "", "exchange": "binance", "symbols": [], "market": "SPOT"}
CLOSED = POSITION | {"close_price": "110", "close_timestamp": 2}
BAR = dict.fromkeys(("open", "high", "low", "close", "base_asset_volume", "quote_asset_volume"), "1")


def json_of(document: object) -> bytes:
    return json.dumps(document).encode()


async def one_look(session: Session, strategy_id: int) -> int:
    """`mizar watch`, once."""
    async with session.client() as mizar:
        looks = Looks(session, mizar, strategy_id)
        with looks.shown() as show:
            show(await looks.next())
    return DONE


LIST, CLOSE = (positions.list_positions, {"strategy_id": 1}), (positions.close_positions, {"position_ids": [1]})
LOOK, STRATEGIES = (one_look, {"strategy_id": 1}), (strategies.list_strategies, {})
BARS = (market.bars, {"pair": "BTCUSDT", "step": "1min", "start": "1970-01-01"})


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("open_price", [LIST, CLOSE, LOOK]),
        ("size", [LIST, CLOSE, LOOK]),
        ("open_timestamp", [LIST, LOOK]),
        ("close_price", [CLOSE]),
        ("close_timestamp", [CLOSE]),
        ("price", [LOOK, BARS]),
        ("creation_timestamp", [STRATEGIES]),
    ],
)
async def test_odd_numbers_end_no_command(
    name: str,
    commands: list[tuple[Any, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 10 * 60_000
    documents: dict[str, Any] = {}
    said = {
        call: saying_now(documents, call)
        for call in ("all-open-positions", "close-position", "server-time", "bars", "self-hosted-strategy-info")
    }
    async with raw_server(said) as server:
        monkeypatch.setenv("MIZAR_API_URL", server.url)
        monkeypatch.setenv("MIZAR_API_KEY", "key")
        for value in ODD:
            bar = BAR | {"time": now - 60_000, "num_ticks": 1} | ({"close": value} if name == "price" else {})
            documents |= {
                "all-open-positions": {"open_positions": [POSITION | {name: value}]},
                "close-position": CLOSED | {name: value},
                "server-time": {"server_time": now},
                "bars": {"bars": [bar]},
                "self-hosted-strategy-info": {
                    "strategies": [{"strategy_id": 1, "name": "n", "creation_timestamp": value}]
                },
            }
            for out in (Output(), Output(as_json=True), Output(as_csv=True)):
                for command, values in commands:
                    found = await told_here(command, capsys, out=out, **values)
                    assert found.code in {0, 1, 3, 5}, (value, found)
                    assert found.out or found.err


def saying_now(documents: dict[str, Any], call: str) -> Any:
    async def say(request: Any, writer: Any) -> None:
        await saying(answer(json_of(documents[call])))(request, writer)

    return say
