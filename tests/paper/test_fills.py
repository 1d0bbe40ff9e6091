"""What fills cost and when they come: the settings, the fee beside the price, and orders that wait."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
import threading
from collections.abc import AsyncIterator
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import AsyncMizar, paper
from mizar_async._api.trading import (
    CloseAll,
    ClosedPosition,
    ClosePosition,
    OfStrategy,
    OpenPosition,
    Position,
    PublishStrategy,
)
from mizar_async._clock import Clock
from mizar_async.errors import InvalidInput
from mizar_async.paper.fills import FillModel
from mizar_async.paper.rules import fill
from mizar_async.replay.loop import VirtualClock
from mizar_sync import Mizar

from ..venues import running_venue
from .conftest import OPEN, STRATEGY, client_of

PUBLISH = PublishStrategy(name="S", description="", exchanges=("binance",), symbols=("BTCUSDT",), market="FUTURES")
LONG = OpenPosition(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
PERCENTAGES = st.decimals("0", "49", places=6)


# -- the settings --------------------------------------------------------------------------------------

ODD = [-0.01, 1e300, float("nan"), float("inf"), "NaN", "much", "", True, None, [], Decimal("1e-41"), 10**500]


@pytest.mark.parametrize("name", ["spread", "slippage", "fee", "delay"])
@pytest.mark.parametrize("value", ODD, ids=str)
def test_a_setting_that_can_not_be_is_refused_by_name_and_no_file_is_made(
    tmp_path: Path, name: str, value: Any
) -> None:
    with pytest.raises(InvalidInput, match=f"{name}=.* is refused: it must be"):
        paper.Venue.of(db=tmp_path / "venue.db", **{name: value})
    assert list(tmp_path.iterdir()) == []


def test_a_delay_of_too_many_decimals_is_told_how_many_it_may_have() -> None:
    with pytest.raises(InvalidInput, match="from 0 to 3600, of at most 40 decimals"):
        FillModel(delay="1e-41")


@pytest.mark.parametrize("speed", [0, -1, 1.1e9, 1e17, 1e308, float("inf"), float("nan"), True], ids=str)
def test_a_speed_that_can_not_be_is_refused_and_no_file_is_made(tmp_path: Path, speed: float) -> None:
    with pytest.raises(InvalidInput, match="speed=.* is refused: it must be more than 0, and at most 1,000,000,000"):
        paper.Venue.of(db=tmp_path / "venue.db", speed=speed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", [{"fee": 100}, {"slippage": "100"}, {"delay": 3600.1}], ids=repr)
def test_a_setting_is_refused_at_its_bound(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(InvalidInput, match=f"{name}="):
        FillModel(**settings)


def test_half_of_the_spread_and_the_slippage_together_leave_something_of_a_price() -> None:
    assert FillModel(spread=99, slippage="50.4999").slippage == Decimal("50.4999")
    with pytest.raises(InvalidInput, match=r"slippage=.* with half of spread=99 it must stay below 100 percent"):
        FillModel(spread=99, slippage="50.5")


def test_settings_are_exact_whatever_they_are_written_as() -> None:
    for value in (0.1, "0.1", Decimal("0.100"), "1e-1"):
        assert FillModel(spread=value, slippage=value, fee=value, delay=value) == FillModel(
            spread="0.1", slippage="0.1", fee="0.1", delay="0.1"
        )
    assert FillModel(spread="-0", fee="0E+3").settings == "spread 0 %, slippage 0 %, fee 0 %, delay 0 s"
    assert FillModel(fee="2E1", delay=20).settings == "spread 0.02 %, slippage 0 %, fee 20 %, delay 20 s"


def test_one_sentence_says_what_is_modelled_and_what_is_not() -> None:
    rest = "; depth, partial fills and rejections of the exchange are not modelled: real results are worse."
    assert FillModel().sentence == f"Fills pay a spread of 0.02 %, no slippage and a fee of 0.1 %, without delay{rest}"
    costly = FillModel(spread=0, slippage="0.05", fee=0, delay=0.5)
    said = f"Fills pay no spread, a slippage of 0.05 % and no fees, after a delay of 0.5 s +-50 %{rest}"
    assert costly.sentence == said
    assert repr(paper.Venue(slippage="0.05", delay=1)).count("slippage 0.05 %, fee 0.1 %, delay 1 s") == 1


@given(price=st.decimals("1e-9", "1e15", places=9), spread=PERCENTAGES, slippage=PERCENTAGES)
def test_slippage_adds_to_half_of_the_spread_and_is_never_rounded_for_the_trader(
    price: Decimal, spread: Decimal, slippage: Decimal
) -> None:
    bought, sold = (fill(price, buys=buys, spread=spread, slippage=slippage) for buys in (True, False))
    with localcontext(prec=80):
        worse = spread / 200 + slippage / 100
        assert 0 <= bought - price * (1 + worse) < Decimal("1e-12")
        assert 0 <= price * (1 - worse) - sold < Decimal("1e-12")
    with localcontext(prec=2):  # the caller's context is not used
        assert fill(price, buys=False, spread=spread, slippage=slippage) == sold


@pytest.mark.parametrize("client", [AsyncMizar.paper, Mizar.paper])
def test_the_clients_take_the_settings_by_the_same_words(client: Any) -> None:
    client(fee=0.2, slippage=0.3, delay=0.001)
    for name in ("fee", "slippage", "delay"):
        with pytest.raises(InvalidInput, match=f"{name}=-1"):
            client(**{name: -1})


def test_a_price_that_is_worth_nothing_in_the_end_is_kept_as_unknown(tmp_path: Path) -> None:
    prices = tmp_path / "BTCUSDT.csv"
    prices.write_text("timestamp,price\n1641038400000,0.000000001\n")
    venue = paper.Venue.of(db=tmp_path / "venue.db", prices=prices, slippage="99.98")
    _, closed = traded(venue)
    assert closed.close_price is None
    assert venue.positions()[1] == closed
    venue.close()
    assert paper.read_positions(tmp_path / "venue.db")[1].position == closed


# -- the fee -------------------------------------------------------------------------------------------


def traded(venue: paper.Venue) -> tuple[Position, ClosedPosition]:
    """One position that is open, and one that is closed."""
    owner = venue.owner(venue.create_key())
    strategy = venue.publish_strategy(owner, PUBLISH).strategy_id
    ask = OpenPosition(strategy_id=strategy, base_asset="BTC", quote_asset="USDT", is_long=True)
    opened, other = (venue.open_position(owner, ask) for _ in range(2))
    return opened, venue.close_position(owner, ClosePosition(other.position_id))


def test_the_fee_is_in_no_price() -> None:
    clock = VirtualClock()
    costly, free = (paper.Venue(clock=clock, fee=fee) for fee in (5, 0))
    assert traded(costly) == traded(free)


async def test_the_fee_is_in_no_answer(venue: paper.Venue, http: httpx.AsyncClient, strategy: int) -> None:
    answers = [
        await http.post("open-position", json=OPEN),
        await http.get("all-open-positions", params={"strategy_id": strategy}),
        await http.post("close-position", json={"position_id": 1}),
        await http.post("open-position", json=OPEN),
        await http.post("close-all-positions", json={"strategy_id": strategy}),
    ]
    assert all(answer.status_code == 200 and "fee" not in answer.text for answer in answers)
    assert [one.fee for one in venue.recorded()] == [Decimal("0.1")] * 2


def test_a_position_keeps_the_fee_of_its_opening_over_restarts(tmp_path: Path) -> None:
    for fee in ("0.1", "0.250", "0"):
        venue = paper.Venue.of(db=tmp_path / "venue.db", fee=fee)
        traded(venue)
        venue.close()
    again = paper.Venue.of(db=tmp_path / "venue.db", fee=9)
    assert [str(one.fee) for one in again.recorded()] == ["0.1", "0.1", "0.25", "0.25", "0", "0"]
    assert [one.position for one in again.recorded()] == again.positions()
    assert {(one.strategy, one.owner) for one in again.recorded()} == {("S", 1), ("S", 2), ("S", 3)}
    again.close()


def make_older(path: Path) -> None:
    """Take from a file what an older version did not make."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("DROP INDEX closed_positions")
        file.execute("ALTER TABLE positions DROP COLUMN fee")
        file.commit()


def test_a_file_of_an_older_version_gets_the_column_and_its_positions_have_no_fee(tmp_path: Path) -> None:
    venue = paper.Venue.of(db=tmp_path / "venue.db")
    before = traded(venue)
    venue.close()
    make_older(tmp_path / "venue.db")
    again = paper.Venue.of(db=tmp_path / "venue.db", fee=1)
    assert tuple(again.positions()) == before
    traded(again)
    assert [one.fee for one in again.recorded()] == [0, 0, 1, 1]
    again.close()


def test_several_open_a_file_of_an_older_version_at_once(tmp_path: Path) -> None:
    venue = paper.Venue.of(db=tmp_path / "venue.db")
    traded(venue)
    venue.close()
    make_older(tmp_path / "venue.db")
    begin, found = threading.Barrier(6), list[int]()

    def come() -> None:
        begin.wait(60)
        one = paper.Venue.of(db=tmp_path / "venue.db")
        found.append(len(one.recorded()))
        one.close()

    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [2] * 6


# -- orders that wait ----------------------------------------------------------------------------------


class Trading:
    """A venue whose clock is the loop's, and a client of it with a strategy 1."""

    def __init__(self, venue: paper.Venue, http: httpx.AsyncClient) -> None:
        self.venue = venue
        self.http = http

    def now(self) -> int:
        return self.venue.clock.now()

    async def open(self) -> dict[str, Any]:
        """Open, and give the answer, with what the clock shows then."""
        answer = await self.http.post("open-position", json=OPEN)
        assert answer.status_code == 200
        return answer.json() | {"answered": self.now()}

    async def listed(self) -> list[str]:
        answer = await self.http.get("all-open-positions?strategy_id=1")
        return [position["position_id"] for position in answer.json()["open_positions"]]

    async def close(self, number: int) -> httpx.Response:
        return await self.http.post("close-position", json={"position_id": number})


@contextlib.asynccontextmanager
async def trading(delay: float, seed: int = 1) -> AsyncIterator[Trading]:
    loop = asyncio.get_running_loop()
    clock: VirtualClock = loop.clock  # type: ignore[attr-defined]
    venue = paper.Venue(feed=paper.Simulated(seed), clock=clock, rng=random.Random(seed), delay=delay)
    async with client_of(venue, venue.create_key()) as http:
        assert (await http.post("publish-self-hosted-strategy", json=STRATEGY)).status_code == 200
        yield Trading(venue, http)


@pytest.mark.virtual_time
async def test_a_fill_has_time_and_price_of_arrival_and_delay_and_is_answered_then() -> None:
    async with trading(delay=2) as one:
        for number in range(1, 30):
            arrived = one.now()
            opened = await one.open()
            assert arrived + 1000 <= opened["open_timestamp"] <= arrived + 3000
            assert opened["open_timestamp"] <= opened["answered"] <= opened["open_timestamp"] + 2
            arrived = one.now()
            closed = (await one.close(number)).json()
            assert arrived + 1000 <= closed["close_timestamp"] <= arrived + 3000
            for at, price, buys in (
                (closed["open_timestamp"], closed["open_price"], True),
                (closed["close_timestamp"], closed["close_price"], False),
            ):
                assert Decimal(price) == fill(one.venue.feed.price("BTCUSDT", at), buys=buys, spread=Decimal("0.02"))


@pytest.mark.virtual_time
async def test_delays_are_of_all_lengths_and_no_call_waits_for_another() -> None:
    async with trading(delay=2) as one:
        arrived = one.now()
        opened = await asyncio.gather(*(one.open() for _ in range(200)))
        delays = [position["open_timestamp"] - arrived for position in opened]
        assert 1000 <= min(delays) < 1100
        assert 2900 < max(delays) <= 3000
        assert one.now() - arrived <= 3002
        by_id = sorted(opened, key=lambda position: int(position["position_id"]))
        assert [position["open_timestamp"] for position in by_id] == sorted(delay + arrived for delay in delays)


@pytest.mark.virtual_time
async def test_many_orders_that_wait_take_no_more_looks_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with trading(delay=600) as one:
        looks, settle = list[int](), one.venue.settle
        monkeypatch.setattr(one.venue, "settle", lambda: (looks.append(one.now()), settle()))
        orders = [asyncio.create_task(one.open()) for _ in range(100)]
        await asyncio.sleep(1)
        assert len(one.venue.pending) == 100
        looks.clear()
        await asyncio.sleep(200)
        assert len(one.venue.pending) == 100
        assert 0 < len(looks) <= 401
        for order in orders:
            order.cancel()
        await asyncio.wait(orders)
        looks.clear()
        await asyncio.sleep(60)
        assert not looks  # nobody waits any more
        await asyncio.sleep(900)
        assert len(await one.listed()) == 100


async def test_an_order_is_answered_though_the_clock_was_moved_on_and_nobody_calls() -> None:
    clock = VirtualClock()
    venue = paper.Venue(clock=clock, delay=60)
    async with client_of(venue, venue.create_key()) as http:
        assert (await http.post("publish-self-hosted-strategy", json=STRATEGY)).status_code == 200
        opening = asyncio.create_task(http.post("open-position", json=OPEN))
        while not venue.pending:
            await asyncio.sleep(0)
        clock.advance(100)
        async with asyncio.timeout(60):
            assert (await opening).status_code == 200


async def test_an_order_that_another_thread_fills_is_answered() -> None:
    clock = VirtualClock()
    venue = paper.Venue(clock=clock, delay=60)
    async with client_of(venue, venue.create_key()) as http:
        assert (await http.post("publish-self-hosted-strategy", json=STRATEGY)).status_code == 200
        opening = [asyncio.create_task(http.post("open-position", json=OPEN)) for _ in range(20)]
        while len(venue.pending) < 20:
            await asyncio.sleep(0)
        opening[0].cancel()
        clock.advance(100)
        await asyncio.to_thread(venue.settle)
        async with asyncio.timeout(60):
            assert {(await one).status_code for one in opening[1:]} == {200}
    assert len(venue.positions()) == 20


@pytest.mark.virtual_time
async def test_the_same_seed_delays_the_same() -> None:
    async def delays(seed: int) -> list[int]:
        async with trading(delay=3, seed=seed) as one:
            found = []
            for _ in range(10):
                arrived = one.now()
                found.append((await one.open())["open_timestamp"] - arrived)
            return found

    assert await delays(7) == await delays(7) != await delays(8)


@pytest.mark.virtual_time
async def test_nothing_but_fills_waits() -> None:
    async with trading(delay=60) as one:
        waiting = asyncio.create_task(one.open())
        await asyncio.sleep(1)
        before = one.now()
        for path in ("ping", "server-time", "self-hosted-strategy-info", "all-open-positions?strategy_id=1"):
            assert (await one.http.get(path)).status_code == 200
        bars = "bars?base_asset=BTC&quote_asset=USDT&bar_type=time&bar_subclass=1min"
        assert (await one.http.get(bars)).status_code == 200
        assert (await one.http.post("publish-self-hosted-strategy", json=STRATEGY)).status_code == 200
        assert one.now() == before
        assert await one.listed() == []
        await waiting
        assert await one.listed() == ["1"]


@pytest.mark.virtual_time
async def test_what_can_be_refused_at_arrival_is_refused_at_once() -> None:
    async with trading(delay=60) as one:
        before = one.now()
        for status, path, body in (
            (404, "open-position", OPEN | {"strategy_id": 7}),
            (422, "open-position", OPEN | {"base_asset": "ADA"}),
            (422, "open-position", OPEN | {"size": 2}),
            (404, "close-position", {"position_id": 7}),
            (404, "close-all-positions", {"strategy_id": 7}),
            (422, "close-all-positions", {"strategy_id": 1, "base_asset": "ADA", "quote_asset": "USDT"}),
        ):
            assert (await one.http.post(path, json=body)).status_code == status
        assert (await one.http.post("open-position", json=OPEN, headers={"mizar-api-key": "x"})).status_code == 401
        assert one.now() == before
        await one.open()
        assert (await one.close(1)).status_code == 200
        before = one.now()
        assert (await one.close(1)).status_code == 409
        assert one.now() == before


@pytest.mark.virtual_time
async def test_of_closes_at_once_the_first_to_be_filled_wins_and_the_others_are_refused() -> None:
    async with trading(delay=2) as one:
        await one.open()
        answers = await asyncio.gather(*(one.close(1) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
        (closed,) = one.venue.positions()
        (told,) = [answer.json() for answer in answers if answer.status_code == 200]
        assert isinstance(closed, ClosedPosition)
        assert told["close_timestamp"] == closed.close_timestamp


@pytest.mark.virtual_time
async def test_a_close_all_closes_what_is_open_when_it_is_filled() -> None:
    async with trading(delay=2) as one:
        opens = [asyncio.create_task(one.open()) for _ in range(50)]
        await asyncio.sleep(0.5)
        answer = (await one.http.post("close-all-positions", json={"strategy_id": 1})).json()["closed_positions"]
        opened = await asyncio.gather(*opens)
        (at,) = {position["close_timestamp"] for position in answer}
        before = {position["position_id"] for position in opened if position["open_timestamp"] < at}
        assert {position["position_id"] for position in answer} == before
        assert 0 < len(before) < 50
        assert set(await one.listed()) == {position["position_id"] for position in opened} - before


@pytest.mark.virtual_time
async def test_a_close_that_a_close_all_forestalls_is_refused() -> None:
    async with trading(delay=2) as one:
        await one.open()
        closing = asyncio.create_task(one.http.post("close-all-positions", json={"strategy_id": 1}))
        await asyncio.sleep(0)
        answers = await asyncio.gather(*(one.close(1) for _ in range(9)))
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(200) + len((await closing).json()["closed_positions"]) == 1
        assert set(statuses) <= {200, 409}


@pytest.mark.virtual_time
async def test_the_commands_of_alerts_wait_as_well() -> None:
    async with trading(delay=2) as one:
        key = one.http.headers["mizar-api-key"]
        opening = {name: str(value).lower() for name, value in OPEN.items()} | {
            "base_asset": "BTC",
            "quote_asset": "USDT",
        }
        for body in (
            opening | {"action": "open-position"},
            {"position_id": "1", "action": "close-position"},
            {"strategy_id": "1", "action": "close-all-positions"},
        ):
            arrived = one.now()
            answer = await one.http.post("trading-view/execute-command", json=body | {"api_key": key})
            assert answer.status_code == 200, answer.text
            assert arrived + 1000 <= one.now() <= arrived + 3002


@pytest.mark.virtual_time
async def test_an_open_whose_client_has_gone_is_filled_at_its_time_all_the_same() -> None:
    async with trading(delay=2) as one:
        arrived = one.now()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await one.open()
        assert await one.listed() == []
        await asyncio.sleep(60)
        assert await one.listed() == ["1"]
        (position,) = one.venue.positions()
        assert position.open_timestamp is not None
        assert arrived + 1000 <= position.open_timestamp <= arrived + 3000
        price = one.venue.feed.price("BTCUSDT", position.open_timestamp)
        assert position.open_price == fill(price, buys=True, spread=Decimal("0.02"))


def test_an_order_outlives_the_loop_that_it_came_in() -> None:
    transport, key = paper.in_process(delay=0.2)
    headers = {"mizar-api-key": key}

    async def call(method: str, path: str, body: object = None) -> Any:
        request = httpx.Request(method, f"http://venue/api/v1/{path}", headers=headers, json=body)
        response = await transport.handle_async_request(request)
        return await response.aread()

    async def left() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await call("POST", "open-position", OPEN)

    async def seen() -> None:
        async with asyncio.timeout(60):
            while b'"position_id":"1"' not in await call("GET", "all-open-positions?strategy_id=1"):
                pass

    asyncio.run(call("POST", "publish-self-hosted-strategy", STRATEGY))
    asyncio.run(left())
    asyncio.run(seen())


def test_the_venues_own_methods_fill_at_once_and_without_a_delay_nothing_is_drawn() -> None:
    rng = random.Random(3)
    venue = paper.Venue(clock=VirtualClock(), rng=rng)
    owner = venue.owner(venue.create_key())
    venue.publish_strategy(owner, PUBLISH)
    assert venue.open_position(owner, LONG).open_timestamp == venue.clock.now()
    assert venue.close_all_positions(owner, CloseAll(strategy_id=1))[0].close_timestamp == venue.clock.now()
    assert rng.random() == random.Random(3).random()


def test_orders_that_are_due_are_filled_in_their_order_by_whoever_comes_by() -> None:
    clock = VirtualClock()
    venue = paper.Venue(clock=clock, delay=2, rng=random.Random(5))
    owner = venue.owner(venue.create_key())
    venue.publish_strategy(owner, PUBLISH)
    orders = [venue.accept(owner, LONG) for _ in range(20)]
    assert venue.positions() == []
    clock.advance(10)
    times = [position.open_timestamp for position in venue.positions()]
    assert times == sorted(order.at for order in orders)
    assert [position.position_id for position in venue.open_positions(owner, OfStrategy(1))] == [*range(1, 21)]


def test_orders_that_wait_when_the_venue_is_closed_are_refused_and_not_stored(tmp_path: Path) -> None:
    clock = VirtualClock()
    venue = paper.Venue(tmp_path / "venue.db", clock=clock, delay=2)
    owner = venue.owner(venue.create_key())
    venue.publish_strategy(owner, PUBLISH)
    order = venue.accept(owner, LONG)
    venue.close()
    with pytest.raises(paper.Refusal) as refused:
        order.answer.result(0)
    assert refused.value.status == 503
    assert paper.read_positions(tmp_path / "venue.db") == []


def test_a_clock_says_how_long_it_takes_to_show_a_time() -> None:
    clock = VirtualClock()
    assert clock.seconds_until(clock.now() + 1500) == 1.5
    assert clock.seconds_until(clock.now() - 1) == 0
    fast = Clock(start=1_000_000, speed=600)
    assert 59 < fast.seconds_until(1_000_000 + 36_000_000) <= 60


def test_orders_of_several_threads_on_one_venue_are_all_filled() -> None:
    transport, key = paper.in_process(delay=0.02)
    url, failures = "http://in-process.localhost", list[BaseException]()

    async def trade() -> None:
        async with AsyncMizar(key, api_url=url, transport=transport) as mizar:
            strategy = await mizar.create_self_hosted_strategy(
                name="S", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="FUTURES"
            )
            number = strategy.strategy_id
            for _ in range(5):
                opened = await mizar.open_position(
                    strategy_id=number, base_asset="BTC", quote_asset="USDT", is_long=True
                )
                closed = await mizar.close_position(position_id=opened.position_id)
                assert closed.strategy_id == number
            assert await mizar.get_all_open_positions(strategy_id=number) == []

    def live() -> None:
        try:
            asyncio.run(trade())
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)

    threads = [threading.Thread(target=live) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures


def test_a_look_at_the_truth_does_not_begin_a_replay(tmp_path: Path) -> None:
    prices = tmp_path / "BTCUSDT.csv"
    prices.write_text("timestamp,price\n1641038400000,1\n")
    venue = paper.Venue.of(prices=prices, speed=1e9)
    assert venue.positions() == venue.recorded() == []
    assert venue.clock.now() < 1641038400000 + 10**9


# -- over real HTTP, on a real clock --------------------------------------------------------------------


async def test_an_hour_of_delay_takes_seconds_at_a_high_speed() -> None:
    async with running_venue(speed=600, delay=120) as running:
        async with AsyncMizar(running.key, api_url=running.url) as mizar:
            await mizar.create_self_hosted_strategy(
                name="S", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="FUTURES"
            )
            before = running.venue.clock.now()
            opened = await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
            assert opened.open_timestamp is not None
            assert before + 60_000 <= opened.open_timestamp <= running.venue.clock.now()
            closed = await mizar.close_position(position_id=opened.position_id)
            assert closed.close_timestamp is not None
            assert opened.open_timestamp + 60_000 <= closed.close_timestamp <= running.venue.clock.now()
            price = running.venue.feed.price("BTCUSDT", closed.close_timestamp)
            assert closed.close_price == fill(price, buys=False, spread=Decimal("0.02"))


async def test_an_open_over_http_is_stored_though_its_client_has_gone() -> None:
    async with running_venue(delay=0.3) as running:
        headers, base = {"mizar-api-key": running.key}, f"{running.url}/api/v1/"
        async with httpx.AsyncClient(base_url=base, headers=headers) as http:
            await http.post("publish-self-hosted-strategy", json=STRATEGY)
            with pytest.raises(httpx.ReadTimeout):
                await http.post("open-position", json=OPEN, timeout=httpx.Timeout(60, read=0.05))
        async with asyncio.timeout(60):
            while not running.positions():
                await asyncio.sleep(0.01)


async def test_a_server_that_ends_refuses_what_waits_and_stores_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    venue = paper.Venue(delay=3000)
    headers = {"mizar-api-key": venue.create_key()}
    async with httpx.AsyncClient(headers=headers, timeout=120) as http:
        async with paper.serve(venue) as url:
            await http.post(f"{url}/api/v1/publish-self-hosted-strategy", json=STRATEGY)
            waiting = [asyncio.create_task(http.post(f"{url}/api/v1/open-position", json=OPEN)) for _ in range(5)]
            while len(venue.pending) < 5:
                await asyncio.sleep(0.01)
        assert [(await one).status_code for one in waiting] == [503] * 5
    assert venue.positions() == []
    assert not caplog.records


async def test_an_order_that_comes_in_while_the_server_ends_is_refused_as_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    venue = paper.Venue(delay=3000)
    key = venue.create_key()
    body = json.dumps(OPEN).encode()
    head = {"host": "x", "mizar-api-key": key, "content-type": "application/json", "expect": "100-continue"}
    lines = [f"{name}: {value}" for name, value in (head | {"content-length": str(len(body))}).items()]
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(paper.serve(venue))
        async with httpx.AsyncClient(headers={"mizar-api-key": key}) as http:
            await http.post(f"{url}/api/v1/publish-self-hosted-strategy", json=STRATEGY)
        place = "127.0.0.1", int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection(*place)
        writer.write("\r\n".join(["POST /api/v1/open-position HTTP/1.1", *lines, "", ""]).encode())
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60) == b"HTTP/1.1 100 Continue\r\n\r\n"
        ending = asyncio.create_task(stack.aclose())
        with contextlib.suppress(OSError):  # when nobody listens any more
            while True:
                (await asyncio.open_connection(*place))[1].close()
        writer.write(body)
        answer = await asyncio.wait_for(reader.read(), 60)
        await ending
        writer.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert venue.positions() == []
    assert not caplog.records
