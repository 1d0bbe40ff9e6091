"""What each call of the groups asks, what it makes of the documented answer, and that no write is ever repeated."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import pickle
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import attrs
import httpx
import pytest
import respx

from mizar_async import (
    AnswerUnreadable,
    AsyncMizar,
    ClosedPosition,
    DcaOrder,
    DcaPosition,
    DcaSettings,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    Position,
    Publication,
    RateLimited,
    Ratio,
    Submitted,
)
from mizar_async._wire.rate_limit import Lane
from mizar_async._wire.turns import Turns
from mizar_sync import Mizar
from tests.conftest import KEY
from tests.raw_server import Behaviour, Received, Writer, answer, closing, raw_server, resetting, saying, silent
from tests.scenarios.conftest import failed

Call = Callable[[Any], Any]

PAIR: dict[str, Any] = {"bot_id": 1, "base_asset": "BTC", "quote_asset": "USDT"}
AS_TEXT = {"bot_id": "1", "base_asset": "BTC", "quote_asset": "USDT"}
EVERYTHING: dict[str, Any] = {
    "side": "long",
    "take_profit": Ratio.percent("1.5"),
    "stop_loss": Ratio.fraction(0.05),
    "position_size": 0.25,
    "open_order_price": Decimal("42000.10"),
    "open_position_expiration": 10,
}
SENTENCE = (
    b'{"detail":"Request with action open-position has been successfully submitted to bot 1 that has 1 subscriptions."}'
)
ORDER = (
    b'{"id":"30331268368","status":"open","timestamp":1630430492830,"price":46712.02,"filled":0.0,"remaining":0.003}'
)
DCA_POSITION = (
    b'{"data":{"symbol":"BTCUSDT","start_condition_datetime":"2021-08-31T17:21:02.953815","take_profit_type":"total",'
    b'"take_profit_pct":0.01,"stop_loss_pct":null,"safety_order_deviation_pct":0.015,"safety_order_step_scale":1.05,'
    b'"safety_order_quote_size":150.0,"safety_order_volume_scale":1.05,"max_num_safety_order":5,"side":"buy",'
    b'"base_orders":[],"active_safety_orders":[' + ORDER + b'],"take_profit_order":' + ORDER + b","
    b'"inactive_safety_orders":[],"inactive_take_profit_orders":[' + ORDER.replace(b"30331268368", b"7") + b"]}}"
)
POSITION = (
    b'{"base_asset":"BTC","is_long":true,"open_price":"34209.480000000000","open_timestamp":1625572116854,'
    b'"position_id":"1","quote_asset":"USDT","size":0.3,"strategy_id":"1"}'
)
CLOSED = POSITION[:-1] + b',"close_price":"33914.640000000000","close_timestamp":1625572999043}'
ONE_ORDER = DcaOrder("30331268368", "open", 1630430492830, Decimal("46712.02"), Decimal("0.0"), Decimal("0.003"))


@attrs.frozen
class Said:
    """A call, and what leaves for it: method, path, and its query or body."""

    call: Call
    method: str
    path: str
    values: dict[str, Any]
    answer: bytes
    means: object


READS = {
    "dca.get_position": Said(
        lambda m: m.dca.get_position(**PAIR, side="short"),
        "GET",
        "dca-bots/get-position",
        AS_TEXT | {"side": "short"},
        DCA_POSITION,
        DcaPosition(
            symbol="BTCUSDT",
            side="buy",
            start_condition_datetime="2021-08-31T17:21:02.953815",
            take_profit_type="total",
            take_profit_pct=Ratio.percent(1),
            safety_order_deviation_pct=Ratio.percent("1.5"),
            safety_order_step_scale=Decimal("1.05"),
            safety_order_quote_size=Decimal(150),
            safety_order_volume_scale=Decimal("1.05"),
            max_num_safety_order=5,
            active_safety_orders=(ONE_ORDER,),
            take_profit_order=ONE_ORDER,
            inactive_take_profit_orders=(attrs.evolve(ONE_ORDER, id="7"),),
        ),
    ),
    "dca.get_position of none": Said(
        lambda m: m.dca.get_position(**PAIR), "GET", "dca-bots/get-position", AS_TEXT, b'{"data":null}', None
    ),
    "dca.safety_orders": Said(
        lambda m: m.dca.safety_orders(**PAIR),
        "GET",
        "dca-bots/get-safety-orders",
        AS_TEXT,
        b'{"data":[' + ORDER + b"]}",
        [ONE_ORDER],
    ),
    "dca.active_safety_orders": Said(
        lambda m: m.dca.active_safety_orders(**PAIR, side="long"),
        "GET",
        "dca-bots/get-active-safety-orders",
        AS_TEXT | {"side": "long"},
        b'{"data":[]}',
        [],
    ),
    "dca.inactive_safety_orders": Said(
        lambda m: m.dca.inactive_safety_orders(**PAIR),
        "GET",
        "dca-bots/get-inactive-safety-orders",
        AS_TEXT,
        b'{"data":[' + ORDER + b"]}",
        [ONE_ORDER],
    ),
    "dca.take_profit_orders": Said(
        lambda m: m.dca.take_profit_orders(**PAIR),
        "GET",
        "dca-bots/get-position",
        AS_TEXT,
        DCA_POSITION,
        [ONE_ORDER, attrs.evolve(ONE_ORDER, id="7")],
    ),
    "dca.settings": Said(
        lambda m: m.dca.settings(),
        "GET",
        "dca-bots/get-settings",
        {},
        b'{"data":[{"strategy_id":5083,"take_profit":1.5,"max_safety_trades_count":5,"name":"Mine"}]}',
        [DcaSettings(bot_id=5083, take_profit=Ratio.fraction("0.015"), max_safety_trades_count=5)],
    ),
    "dca.subscription_positions": Said(
        lambda m: m.dca.subscription_positions(subscription_id=20641, bot_id=1),
        "GET",
        "subscription/get-open-positions",
        {"bot_id": "1", "subscription_id": "20641"},
        b'{"data":[{"symbol":"AVAXUSDT","take_profit_pct":0.015}]}',
        [DcaPosition(symbol="AVAXUSDT", take_profit_pct=Ratio.percent("1.5"))],
    ),
}
DONE = Submitted(json.loads(SENTENCE)["detail"])


def bot(call: Call, path: str, values: dict[str, Any]) -> Said:
    return Said(call, "POST", f"dca-bots/{path}", values, SENTENCE, DONE)


def command(call: Call, action: str, values: dict[str, Any], body: bytes, means: object) -> Said:
    """A command to a strategy."""
    text = {"api_key": KEY, "action": action} | values
    return Said(call, "POST", "trading-view/execute-command", text, body, means)


def bot_command(call: Call, action: str, values: dict[str, Any]) -> Said:
    text = {"api_key": KEY, "action": action} | values
    return Said(call, "POST", "dca-bots/trading-view/execute-command", text, SENTENCE, DONE)


OPENED = Position(1, 1, "BTC", "USDT", Decimal("0.3"), True, Decimal("34209.48"), 1625572116854)
ENDED = ClosedPosition(*attrs.astuple(OPENED), close_price=Decimal("33914.64"), close_timestamp=1625572999043)
BTC: dict[str, Any] = {"base_asset": "BTC", "quote_asset": "USDT"}
WRITES = {
    "dca.open_position": bot(lambda m: m.dca.open_position(**PAIR), "open-position", PAIR),
    "dca.open_position with everything": bot(
        lambda m: m.dca.open_position(**PAIR, **EVERYTHING, delay=0),
        "open-position",
        PAIR
        | {"side": "long", "take_profit_pct": 0.015, "stop_loss_pct": 0.05, "position_size": 0.25}
        | {"open_order_price": 42000.1, "open_position_expiration": 10, "delay": 0},
    ),
    "dca.close_position": bot(lambda m: m.dca.close_position(**PAIR, delay=5), "close-position", PAIR | {"delay": 5}),
    "dca.close_all_positions": bot(lambda m: m.dca.close_all_positions(bot_id=1), "close-all-positions", {"bot_id": 1}),
    "dca.stop_and_close_all": bot(
        lambda m: m.dca.stop_and_close_all(bot_id=1), "stop-bot-and-close-all-positions", {"bot_id": 1}
    ),
    "dca.shift_safety_orders": bot(
        lambda m: m.dca.shift_safety_orders(**PAIR, start_price=41000),
        "shift-safety-orders",
        PAIR | {"safety_orders_start_price": 41000},
    ),
    "dca.edit_take_profit": bot(
        lambda m: m.dca.edit_take_profit(**PAIR, side=None, take_profit=Ratio.percent("2.75")),
        "edit-take-profit-pct",
        PAIR | {"take_profit_pct": 0.0275},
    ),
    "dca.add_funds": bot(
        lambda m: m.dca.add_funds(**PAIR, size=250, side="short", delay=1),
        "add-funds",
        PAIR | {"size": 250, "side": "short", "delay": 1},
    ),
    "tradingview.open_position": command(
        lambda m: m.tradingview.open_position(strategy_id=1, **BTC, size=0.3, is_long=True),
        "open-position",
        BTC | {"strategy_id": "1", "size": "0.3", "is_long": "true"},
        POSITION,
        OPENED,
    ),
    "tradingview.close_position": command(
        lambda m: m.tradingview.close_position(position_id=1), "close-position", {"position_id": "1"}, CLOSED, ENDED
    ),
    "tradingview.close_all_positions": command(
        lambda m: m.tradingview.close_all_positions(strategy_id=1, **BTC),
        "close-all-positions",
        BTC | {"strategy_id": "1"},
        b'{"closed_positions":[' + CLOSED + b"]}",
        [ENDED],
    ),
    "tradingview.dca_open_position": bot_command(
        lambda m: m.tradingview.dca_open_position(**PAIR, **EVERYTHING),
        "open-position",
        AS_TEXT
        | {"side": "long", "take_profit_pct": "0.015", "stop_loss_pct": "0.05", "position_size": "0.25"}
        | {"open_order_price": "42000.1", "open_position_expiration": "10"},
    ),
    "tradingview.dca_close_position": bot_command(
        lambda m: m.tradingview.dca_close_position(**PAIR), "close-position", AS_TEXT
    ),
    "tradingview.dca_close_all_positions": bot_command(
        lambda m: m.tradingview.dca_close_all_positions(bot_id=1), "close-all-positions", {"bot_id": "1"}
    ),
    "tradingview.dca_stop_and_close_all": bot_command(
        lambda m: m.tradingview.dca_stop_and_close_all(bot_id=1), "stop-bot-and-close-all-positions", {"bot_id": "1"}
    ),
}
UPLOAD = Said(
    lambda m: m.hosted.save_strategy(b"\x00\xff" * 100, info={"name": "é"}, source="a = b & c"),
    "POST",
    "publish-hosted-strategy",
    {},
    b'{"message":"The strategy \\u00e9 has been published in Mizar"}',
    Publication("The strategy é has been published in Mizar"),
)
PUBLISH = Said(
    lambda m: m.create_self_hosted_strategy(name="S", description="", exchanges=["x"], symbols=["y"], market="SPOT"),
    "POST",
    "publish-self-hosted-strategy",
    {},
    b"",
    None,
)
ALL_WRITES = WRITES | {"hosted.save_strategy": UPLOAD, "create_self_hosted_strategy": PUBLISH}


@respx.mock
async def sent(said: Said) -> tuple[object, httpx.Request]:
    """The result of a call, and the one request that left for it."""
    route = respx.route().mock(
        return_value=httpx.Response(200, content=said.answer, headers={"content-type": "application/json"})
    )
    async with AsyncMizar(KEY, http_client=httpx.AsyncClient) as mizar:
        result = await said.call(mizar)
    [call] = route.calls
    return result, call.request


@pytest.mark.parametrize("said", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
async def test_a_call_asks_at_its_documented_path_and_reads_the_documented_answer(said: Said) -> None:
    result, request = await sent(said)
    assert result == said.means
    assert (request.method, request.url.path) == (said.method, f"/api/v1/{said.path}")
    if said.method == "GET":
        assert dict(request.url.params) == said.values
    else:
        assert json.loads(request.content) == said.values
        assert request.headers["content-type"] == "application/json"
    is_command = "api_key" in said.values
    assert ("mizar-api-key" in request.headers) is not is_command


async def test_numbers_are_written_exactly_and_never_with_an_exponent() -> None:
    said = Said(
        lambda m: m.dca.add_funds(**PAIR, size=Decimal("1E+3"), side=None),
        *("POST", "dca-bots/add-funds", {}, SENTENCE, DONE),
    )
    assert b'"size":1000,' in (await sent(said))[1].content or b'"size":1000}' in (await sent(said))[1].content
    tiny = Said(lambda m: m.dca.add_funds(**PAIR, size=1e-9), *("POST", "", {}, SENTENCE, DONE))
    assert b'"size":0.000000001}' in (await sent(tiny))[1].content


async def test_a_hosted_strategy_is_a_form_with_hyphens_and_base64_in_lines() -> None:
    result, request = await sent(UPLOAD)
    fields = {name: values for name, [values] in parse_qs(request.content.decode(), strict_parsing=True).items()}
    assert result == UPLOAD.means
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert list(fields) == ["strategy-info", "strategy-file", "strategy"]
    assert (json.loads(fields["strategy-info"]), fields["strategy-file"]) == ({"name": "é"}, "a = b & c")
    assert fields["strategy"] == base64.encodebytes(b"\x00\xff" * 100).decode()


def test_blocking_code_makes_the_same_calls() -> None:
    with Mizar.paper() as mizar:
        strategy = mizar.create_self_hosted_strategy(
            name="S", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
        )
        opened = mizar.tradingview.open_position(strategy_id=strategy.strategy_id, **BTC, is_long=True)
        assert mizar.tradingview.close_position(position_id=opened.position_id).position_id == opened.position_id
        assert mizar.hosted.save_strategy(pickle.dumps(1), info={"name": "S"}).message
        assert mizar.market.price(**BTC) > 0
        with pytest.raises(NotFound, match="The paper venue has no DCA bots yet"):
            mizar.dca.get_position(**PAIR)
        with mizar.market.iter_bars(**BTC, bar_subclass="1H") as bars:
            assert next(bars).num_ticks == 720


# -- what cannot be right


@pytest.mark.parametrize("place", ["dca", "tradingview"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"take_profit": 0.015}, r"take_profit=0.015 is refused: it must be a Ratio, such as Ratio.percent\('1.5'\)"),
        ({"stop_loss": Decimal("0.1")}, "it must be a Ratio"),
        ({"take_profit": Ratio.percent(0)}, r"take_profit=Ratio.percent\('0'\) is refused: it must be more than 0"),
        ({"take_profit": Ratio.percent(-1)}, "it must be more than 0"),
        ({"stop_loss": Ratio.percent(100)}, "it must be less than the whole"),
        *(({"position_size": size}, "position_size=") for size in (0, -1, 1.01, float("nan"), "0.5", True)),
        *(({"open_order_price": price}, "open_order_price=") for price in (0, -1, float("inf"), "42000", True)),
        *(({"open_position_expiration": time}, "whole number of seconds") for time in (-1, 1.5, float("nan"), "10")),
        ({"side": "buy"}, "side='buy' is refused: it must be 'long' or 'short'"),
        ({"side": True}, "side=True"),
        ({"bot_id": "1"}, "bot_id='1'"),
        ({"base_asset": ""}, "base_asset=''"),
    ],
)
async def test_a_bot_is_told_nothing_that_cannot_be_right(place: str, wrong: dict[str, Any], said: str) -> None:
    async with AsyncMizar(KEY, transport=httpx.MockTransport(lambda _: pytest.fail("it was sent"))) as mizar:
        opens = mizar.dca.open_position if place == "dca" else mizar.tradingview.dca_open_position
        with pytest.raises(InvalidInput, match=said):
            await opens(**(PAIR | wrong))


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.dca.open_position(**PAIR, delay=-1),
        lambda m: m.dca.close_position(**PAIR, delay=float("inf")),
        lambda m: m.dca.add_funds(**PAIR, size=0),
        lambda m: m.dca.add_funds(**PAIR, size=float("nan")),
        lambda m: m.dca.shift_safety_orders(**PAIR, start_price=-1),
        lambda m: m.dca.edit_take_profit(**PAIR, side="long", take_profit=None),
        lambda m: m.dca.edit_take_profit(**PAIR, side="long", take_profit=0.01),
        lambda m: m.dca.subscription_positions(subscription_id=True, bot_id=1),
        lambda m: m.tradingview.open_position(strategy_id=1, **BTC, size=0, is_long=True),
        lambda m: m.tradingview.open_position(strategy_id=1, **BTC, is_long="true"),
        lambda m: m.tradingview.close_all_positions(strategy_id=1, base_asset="BTC"),
        lambda m: m.hosted.save_strategy("text", info={}),
        lambda m: m.hosted.save_strategy(b"", info={}),
        lambda m: m.hosted.save_strategy(b"x", info="{}"),
        lambda m: m.hosted.save_strategy(b"x", info={"x": float("nan")}),
        lambda m: m.hosted.save_strategy(b"x", info={"x": object()}),
        lambda m: m.hosted.save_strategy(b"x", info={}, source="x" * 2_000_001),
        lambda m: m.hosted.save_strategy(b"x", info={}, source="é" * 1_000_001),
        lambda m: m.hosted.save_strategy(b"x", info={}, source="\ud800"),
        lambda m: m.hosted.save_strategy(bytes(148_051_949), info={}),
    ],
)
async def test_nothing_that_cannot_be_right_is_sent(call: Call) -> None:
    async with AsyncMizar(KEY, transport=httpx.MockTransport(lambda _: pytest.fail("it was sent"))) as mizar:
        with pytest.raises(InvalidInput):
            await call(mizar)


# -- once


async def partly(_: Received, writer: Writer) -> None:
    """An answer that is cut in the middle of its body."""
    writer.write(answer(SENTENCE)[:-40])
    writer.close()


HOSTILE: dict[str, Behaviour] = {
    "a time-out": silent,
    "a close": closing,
    "a reset": resetting,
    "a cut body": partly,
    "500": saying(answer(status=500)),
    "502 by a proxy": saying(answer(b"<html>Bad gateway</html>", 502, "text/html")),
    "400": saying(answer(b'{"detail":"timeout"}', 400)),
    "html": saying(answer(b"<html>Welcome</html>", content_type="text/html")),
}


@pytest.mark.parametrize("behaviour", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("said", ALL_WRITES.values(), ids=ALL_WRITES)
async def test_a_hostile_server_gets_each_write_once_and_its_caller_is_told_where_to_look(
    said: Said, behaviour: Behaviour
) -> None:
    call = said.path.rpartition("/")[2]
    pong = saying(answer(b'{"message":"pong"}'))
    async with raw_server({"ping": pong, call: behaviour}) as server, AsyncMizar(KEY, api_url=server.url) as patient:
        await patient.ping()  # to connect may take longer than the short time-out, on a busy machine
        mizar = patient.with_options(timeout=0.3)
        error = await failed(lambda: said.call(mizar))
        assert isinstance(error, OutcomeUnknown)
        assert (error.reference, error.candidates, error.attempts, server.paths()) == (None, (), 1, ["ping", call])
        assert str(error).endswith(" tells")
        with pytest.raises(OutcomeUnknown, match=" tells$"):
            await mizar.resolve(error)
        assert mizar.unresolved() == []
        assert server.paths() == ["ping", call]


@pytest.mark.parametrize("said", ALL_WRITES.values(), ids=ALL_WRITES)
async def test_what_certainly_did_nothing_is_sent_again_after_429_and_a_refusal_is_told(said: Said) -> None:
    busy = answer(status=429, headers="Retry-After: 0\r\n")
    behaviour = saying(busy, busy, answer(b'{"detail":"no such thing"}', 404))
    async with raw_server(behaviour) as server, AsyncMizar(KEY, api_url=server.url) as mizar:
        with pytest.raises(NotFound, match="no such thing"):
            await said.call(mizar)
        assert len(server.received) == 3
    async with raw_server(saying(busy)) as server, AsyncMizar(KEY, api_url=server.url, max_retries=0) as mizar:
        with pytest.raises(RateLimited):
            await said.call(mizar)
        assert len(server.received) == 1


@pytest.mark.parametrize("said", READS.values(), ids=READS)
async def test_a_read_is_made_again(said: Said) -> None:
    good = answer(said.answer)
    async with (
        raw_server(saying(answer(status=500), answer(status=503), good)) as server,
        AsyncMizar(KEY, api_url=server.url) as mizar,
    ):
        assert await said.call(mizar) == said.means
        assert len(server.received) == 3


@pytest.mark.parametrize("said", ALL_WRITES.values(), ids=ALL_WRITES)
async def test_a_write_whose_caller_was_cancelled_is_named_in_one_warning(
    said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    arrived = asyncio.Event()

    async def never(_: Received, __: Writer) -> None:
        arrived.set()

    async with raw_server(never) as server, AsyncMizar(KEY, api_url=server.url, grace=0.05) as mizar:
        task = asyncio.ensure_future(said.call(mizar))
        await asyncio.wait_for(arrived.wait(), 30)
        with caplog.at_level(logging.WARNING):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    [record] = caplog.records
    assert "a call was cancelled, and its outcome is unknown" in record.getMessage()
    assert record.getMessage().endswith(" tells")
    assert KEY not in caplog.text
    assert len(server.received) == 1


async def test_a_write_that_ends_within_the_grace_of_its_caller_is_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrived = asyncio.Event()

    async def slow(_: Received, writer: Writer) -> None:
        arrived.set()
        await asyncio.sleep(0.05)
        writer.write(answer(SENTENCE))

    async with raw_server(slow) as server, AsyncMizar(KEY, api_url=server.url, grace=30) as mizar:
        task = asyncio.ensure_future(mizar.dca.close_all_positions(bot_id=1))
        await asyncio.wait_for(arrived.wait(), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert caplog.records == []


@pytest.mark.parametrize("name", ALL_WRITES)
async def test_closes_take_the_lane_of_closes_and_nothing_else_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes: list[Lane] = []
    turn = Turns.turn
    monkeypatch.setattr(Turns, "turn", lambda turns, lane, until: lanes.append(lane) or turn(turns, lane, until))
    async with AsyncMizar(KEY, transport=httpx.MockTransport(lambda _: httpx.Response(404, json={}))) as mizar:
        with pytest.raises(NotFound):
            await ALL_WRITES[name].call(mizar)
    closes = "close" in name or "stop" in name
    assert lanes == [Lane.CLOSES if closes else Lane.OTHERS]


# -- the key


async def test_the_key_of_a_command_is_in_no_repr_log_or_error(caplog: pytest.LogCaptureFixture) -> None:
    commands = [said.call for said in WRITES.values() if "api_key" in said.values]

    async def repeating(received: Received, writer: Writer) -> None:
        assert KEY.encode() in received.body
        assert "mizar-api-key" not in received.headers
        writer.write(answer(b'{"detail":"' + received.body.replace(b'"', b"'") + b'"}', 422))

    told: list[object] = []
    with caplog.at_level(logging.DEBUG):
        async with raw_server(repeating) as server, AsyncMizar(KEY, api_url=server.url) as mizar:
            for call in commands:
                error = await failed(lambda call=call: call(mizar))  # type: ignore[misc]
                told += [repr(error), str(error), vars(error), error.__cause__, error.__context__]
            told += [repr(mizar), repr(mizar.tradingview), repr(vars(mizar.tradingview))]
    assert KEY not in repr(told)
    assert KEY not in caplog.text


def test_a_request_shows_neither_its_body_nor_the_key() -> None:
    from mizar_async._api.codec import encode, with_key
    from mizar_async._api.endpoints import COMMAND_CLOSE
    from mizar_async._api.trading import ClosePosition

    request = encode(COMMAND_CLOSE, ClosePosition(1))
    assert request.body is not None
    assert KEY.encode() not in request.body
    assert "position_id" not in repr(request)
    assert json.loads(with_key(request.body, 'k"\\')) == {
        "api_key": 'k"\\',
        "action": "close-position",
        "position_id": "1",
    }


def test_the_text_of_an_alert_has_a_place_for_the_key_and_all_of_it_is_text() -> None:
    mizar = AsyncMizar(KEY)
    text = mizar.tradingview.alert_text(action="open-position", strategy_id=1, **BTC, size=0.5, is_long=False)
    assert json.loads(text) == {
        "api_key": "<API KEY>",
        "action": "open-position",
        "strategy_id": "1",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "size": "0.5",
        "is_long": "false",
    }
    to_bot = mizar.tradingview.alert_text(action="open-position", bot_id=1, **BTC, **EVERYTHING)
    assert json.loads(to_bot)["take_profit_pct"] == "0.015"
    stop = mizar.tradingview.alert_text(action="stop-bot-and-close-all-positions", bot_id=7)
    assert json.loads(stop) == {"api_key": "<API KEY>", "action": "stop-bot-and-close-all-positions", "bot_id": "7"}
    assert KEY not in text + to_bot + stop


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"action": "buy", "strategy_id": 1}, "action='buy' is refused: for a strategy it must be one of close-all"),
        ({"action": "stop-bot-and-close-all-positions", "strategy_id": 1}, "for a strategy"),
        ({"action": None, "bot_id": 1}, "for a bot it must be one of"),
        ({"action": "close-position", "strategy_id": 1}, "strategy_id=1 is refused: close-position takes position_id"),
        ({"action": "open-position", "strategy_id": 1, **BTC}, "is_long=None is refused: open-position needs it"),
        ({"action": "close-all-positions", "strategy_id": 1, "base_asset": "BTC"}, "a pair is named by both"),
        ({"action": "open-position", **PAIR, "size": 1}, "size=1 is refused: open-position takes bot_id"),
        ({"action": "open-position", **PAIR, "take_profit": 0.1}, "it must be a Ratio"),
    ],
)
def test_an_alert_that_cannot_be_right_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        AsyncMizar(KEY).tradingview.alert_text(**wrong)


# -- answers that are odd


@pytest.mark.parametrize(
    ("body", "means"),
    [
        (b'{"data":{}}', None),
        (b'{"data":{"symbol":"BTCUSDT","new":[1],"side":null}}', DcaPosition(symbol="BTCUSDT")),
        (
            b'{"data":{"symbol":"BTCUSDT","take_profit_pct":"0.01","stop_loss_pct":"NaN","max_num_safety_order":"5"}}',
            DcaPosition(symbol="BTCUSDT", take_profit_pct=Ratio.percent(1), max_num_safety_order=5),
        ),
        (
            b'{"data":{"symbol":"BTCUSDT","take_profit_order":{"id":5,"status":"open","price":0,"timestamp":"7"}}}',
            DcaPosition(symbol="BTCUSDT", take_profit_order=DcaOrder("5", "open", 7)),
        ),
    ],
)
async def test_an_odd_position_of_a_bot_is_read_as_far_as_it_can_be(body: bytes, means: object) -> None:
    said = attrs.evolve(READS["dca.get_position"], answer=body)
    assert (await sent(said))[0] == means


@pytest.mark.parametrize("body", [b'{"data":[1]}', b'{"data":"x"}', b'{"data":7}', b'{"data":{"side":"buy"}}'])
async def test_what_is_no_position_of_a_bot_is_an_error(body: bytes) -> None:
    with pytest.raises(AnswerUnreadable, match=r"get-position"):
        await sent(attrs.evolve(READS["dca.get_position"], answer=body))


async def test_settings_hold_all_that_the_server_said() -> None:
    [settings] = (await sent(READS["dca.settings"]))[0]  # type: ignore[misc]
    assert settings.said == {"strategy_id": 5083, "take_profit": 1.5, "max_safety_trades_count": 5, "name": "Mine"}
    assert settings.to_dict() == settings.said


async def test_an_upload_has_a_second_more_for_each_megabyte() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        limits.append(request.extensions["timeout"]["read"])
        return httpx.Response(200, json={"message": "done"})

    limits: list[float] = []
    async with AsyncMizar(KEY, transport=httpx.MockTransport(slow), timeout=1, deadline=2) as mizar:
        await mizar.hosted.save_strategy(bytes(3_000_000), info={"name": "S"})
    assert 4.9 < limits[0] < 5.6  # base64 makes four of three
