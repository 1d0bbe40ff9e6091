"""Servers that page, name and order bars oddly, that quote keys, and readers that are closed in the middle."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from mizar_async import AsyncMizar, InvalidInput, MizarError, OutcomeUnknown, Ratio, Unavailable
from mizar_sync import Mizar
from tests.conftest import KEY
from tests.raw_server import Received, Writer, answer, raw_server

from .bar_server import BTC, MINUTE, MINUTES, TICKS, BarServer, bar, minutes


async def walked(server: BarServer, **ask: Any) -> list[int]:
    async with server.client() as mizar:
        return [one.time // MINUTE async for one in mizar.market.iter_bars(**ask)]


# -- pages


@pytest.mark.virtual_time
async def test_a_page_out_of_order_is_put_in_order() -> None:
    server = BarServer(minutes([1, 2, 3, 5, 4]), now=lambda: 6.5 * MINUTE)
    assert await walked(server, **MINUTES) == [1, 2, 3, 4, 5]
    async with server.client() as mizar:
        assert await mizar.market.price(**BTC) == 5.5


@pytest.mark.virtual_time
async def test_a_price_is_the_last_one_also_where_pages_are_shorter_than_was_asked_for() -> None:
    server = BarServer(minutes(range(1_000)), now=lambda: 1_000.5 * MINUTE, largest_page=100)
    async with server.client() as mizar:
        assert [await mizar.market.price(**BTC, max_age=age) for age in (300, 3_600, 86_400, 10**7)] == [999.5] * 4


@pytest.mark.virtual_time
async def test_a_time_bar_is_one_bar_whatever_its_trades_are_called_by_now() -> None:
    server = BarServer([*minutes(range(4)), bar(4 * MINUTE, first_trade_id=None)])
    seen: list[int] = []
    async with server.client() as mizar:
        async for one in mizar.market.iter_bars(**MINUTES):
            seen.append(one.time // MINUTE)
            server.bars[4]["first_trade_id"] = 44
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("bars", "largest"),
    [
        ([bar(5, 1, first_trade_id=None), bar(5, 2, first_trade_id=None)], 500),
        ([*(bar(5, trade) for trade in range(150)), *(bar(9, 150 + trade) for trade in range(50))], 100),
        ([bar(10**16, 1)], 500),
    ],
    ids=["bars of one time without a name", "more of one time than the server gives at once", "no time"],
)
async def test_where_nobody_can_tell_what_follows_it_says_so(bars: list[dict[str, object]], largest: int) -> None:
    with pytest.raises(Unavailable, match="nobody can tell what follows"):
        await walked(BarServer(bars, now=lambda: 10**17, largest_page=largest), **TICKS)


@pytest.mark.virtual_time
async def test_two_bars_of_one_time_at_the_end_are_the_end() -> None:
    server = BarServer([bar(5, 1), bar(5, 2)])
    async with server.client() as mizar:
        assert len([one async for one in mizar.market.iter_bars(**TICKS)]) == 2


@pytest.mark.virtual_time
async def test_a_late_bar_is_followed_up_also_while_an_unfinished_one_stands_behind_it() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    server = BarServer(minutes([999]), now=lambda: 1_000 * MINUTE + 55_000 + (loop.time() - began) * 1000)
    loop.call_later(6, lambda: server.bars.append(bar(1_001 * MINUTE)))  # the one that has just begun
    loop.call_later(8, lambda: server.bars.insert(1, bar(1_000 * MINUTE)))  # 3 s late
    came: list[tuple[int, float]] = []
    async with server.client() as mizar:
        bars = mizar.market.iter_bars(**MINUTES, start=999 * MINUTE, follow=True)
        async for one in bars:
            came.append((one.time // MINUTE, loop.time() - began))
            if len(came) == 3:
                break
        await bars.aclose()
    assert [minute for minute, _ in came] == [999, 1_000, 1_001]
    assert 8 <= came[1][1] < 13
    assert 65 <= came[2][1] < 66


# -- what is kept


async def frames(mizar: AsyncMizar, cache: Path, **ask: Any) -> list[float]:
    pytest.importorskip("pyarrow")
    frame = await mizar.market.bars_frame(**(MINUTES | ask), cache=cache)
    return [float(price) for price in frame["close"]]


async def test_what_is_kept_is_never_of_the_future_of_the_servers_clock(tmp_path: Path) -> None:
    server = BarServer(minutes(range(1_000)), now=lambda: 1_000.5 * MINUTE)
    async with server.client() as mizar:
        assert len(await frames(mizar, tmp_path)) == 1_000
        server.now = lambda: 500.5 * MINUTE
        assert len(await frames(mizar, tmp_path)) == 500
        assert len(await frames(mizar, tmp_path, start=0, end=900 * MINUTE)) == 500


async def test_paper_venues_of_other_prices_have_files_of_their_own_and_those_of_the_same_share_them(
    tmp_path: Path,
) -> None:
    hour = {"bar_subclass": "1H"}
    kept = [await frames(AsyncMizar.paper(seed=seed), tmp_path, **hour) for seed in (1, 2, 1)]
    plain = [await frames(AsyncMizar.paper(seed=seed), tmp_path / str(seed), **hour) for seed in (1, 2)]
    assert kept == [plain[0], plain[1], plain[0]]
    assert kept[0] != kept[1]
    assert len([*tmp_path.glob("paper-*")]) == 2


async def test_no_two_names_share_a_folder(tmp_path: Path) -> None:
    server = BarServer(minutes(range(10)))
    pairs = [{"base_asset": "A-B", "quote_asset": "C"}, {"base_asset": "A", "quote_asset": "B-C"}]
    transport = httpx.MockTransport(server.answer)
    for url in ("https://gw.example.com/one", "https://gw.example.com/two"):
        async with AsyncMizar(KEY, api_url=url, transport=transport) as mizar:
            for pair in pairs:
                assert len(await frames(mizar, tmp_path, **pair)) == 10
    assert len({file.parent for file in tmp_path.rglob("*.parquet")}) == 4


async def test_stray_files_are_passed_over(tmp_path: Path) -> None:
    server = BarServer(minutes(range(10)), now=lambda: 10 * MINUTE)
    async with server.client() as mizar:
        first = await frames(mizar, tmp_path)
        [file] = tmp_path.rglob("*.parquet")
        (file.parent / f"007-{9 * MINUTE}.parquet").write_text("")
        (file.parent / f"5-{99 * MINUTE}.parquet").symlink_to("nowhere")
        assert await asyncio.wait_for(frames(mizar, tmp_path), 30) == first
        for wrong in ("", "a\0b"):
            with pytest.raises(InvalidInput, match="cache="):
                await frames(mizar, wrong)  # type: ignore[arg-type]


async def test_whole_numbers_stay_exact_where_one_is_missing() -> None:
    pytest.importorskip("pyarrow")
    large = 2**60 + 1
    server = BarServer([bar(0, first_trade_id=large), bar(MINUTE, first_trade_id=None)])
    async with server.client() as mizar:
        frame = await mizar.market.bars_frame(**MINUTES)
        assert frame["first_trade_id"].tolist()[0] == large
        server.bars[0]["first_trade_id"] = 2**63
        with pytest.raises(MizarError, match="bars"):
            await mizar.market.bars_frame(**MINUTES)


# -- readers and writers in the middle


@pytest.mark.usefixtures("unmeasured")
def test_a_blocking_iterator_can_be_closed_while_another_thread_waits_for_its_next_item() -> None:
    ended = threading.Event()

    def read(bars: Any) -> None:
        for _ in bars:
            came.set()
        ended.set()

    came = threading.Event()
    with Mizar.paper() as mizar:
        with mizar.market.iter_bars(**MINUTES, start=mizar.server_time() - 4 * MINUTE, follow=True) as bars:
            thread = threading.Thread(target=read, args=(bars,), daemon=True)
            thread.start()
            assert came.wait(30)
        assert ended.wait(30)
        mizar.ping()


async def test_a_paper_venue_in_this_process_leaves_others_their_turn() -> None:
    async with AsyncMizar.paper() as mizar:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for _ in range(20):
            await mizar.server_time()
        task.cancel()
    assert turns >= 20


async def test_a_large_body_arrives_whole_and_leaves_others_their_turn() -> None:
    steps: list[float] = []

    async def watch() -> None:
        while True:
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(0)
            steps.append(asyncio.get_running_loop().time() - began)

    async def done(_: Received, writer: Writer) -> None:
        writer.write(answer(b'{"message":"done"}'))

    async with raw_server(done) as server, AsyncMizar(KEY, api_url=server.url) as mizar:
        task = asyncio.create_task(watch())
        await mizar.hosted.save_strategy(bytes(range(256)) * 20_000, info={"name": "S"})
        task.cancel()
    [received] = server.received
    assert len(received.body) == int(received.headers["content-length"]) > 7_000_000
    assert len(steps) > 20


# -- answers


@pytest.mark.parametrize("body", [b"{}", b'{"error":"quota"}', b'{"ok":true}', b'{"message":null}'])
async def test_a_publication_that_says_nothing_is_no_success(body: bytes) -> None:
    document = json.loads(body)
    async with AsyncMizar(KEY, transport=httpx.MockTransport(lambda _: httpx.Response(200, json=document))) as mizar:
        with pytest.raises(MizarError) as odd:
            await mizar.hosted.save_strategy(b"x", info={"name": "S"})
    assert odd.value.happened != "no"


@pytest.mark.parametrize("status", [200, 422, 401, 500])
@pytest.mark.parametrize(
    "spelled",
    [
        lambda key: json.dumps({"detail": f"bad {key}"}).encode(),
        lambda key: json.dumps({"detail": f"bad {key}"}).replace("/", "\\/").encode(),
        lambda key: ('{"detail":"' + "".join(f"\\u{ord(letter):04x}" for letter in key) + '"}').encode(),
        lambda key: json.dumps({"detail": [{"loc": [key], "msg": key, "input": {key: [key]}}]}).encode("utf-16"),
    ],
    ids=["escaped", "slashes", "by numbers", "UTF-16"],
)
async def test_a_key_that_a_server_quotes_is_hidden_however_it_is_spelled(status: int, spelled: Any) -> None:
    key = 'se"cret\\key/with<&>'

    def quoting(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=spelled(key), headers={"content-type": "application/json"})

    told: object
    async with AsyncMizar(key, transport=httpx.MockTransport(quoting), max_retries=0) as mizar:
        try:
            told = await mizar.tradingview.dca_close_all_positions(bot_id=1)
        except MizarError as error:
            told = [str(error), vars(error)]
    assert "cret" not in repr(told)


@pytest.mark.parametrize(
    ("call", "changed"),
    [
        (lambda m: m.tradingview.close_position(position_id=1), {"position_id": "9"}),
        (lambda m: m.tradingview.open_position(strategy_id=1, **BTC, is_long=True), {"base_asset": "DOGE"}),
        (lambda m: m.tradingview.open_position(strategy_id=1, **BTC, is_long=True), {"is_long": False}),
        (lambda m: m.tradingview.open_position(strategy_id=1, **BTC, is_long=True), {"strategy_id": "7"}),
    ],
)
async def test_an_answer_to_a_command_that_names_something_else_is_a_doubt(call: Any, changed: dict[str, Any]) -> None:
    position = {"base_asset": "BTC", "quote_asset": "USDT", "is_long": True, "size": 1, "position_id": "1"}
    position |= {"strategy_id": "1", "open_price": "1.0", "open_timestamp": 5} | changed
    async with AsyncMizar(KEY, transport=httpx.MockTransport(lambda _: httpx.Response(200, json=position))) as mizar:
        with pytest.raises(OutcomeUnknown, match="get_all_open_positions tells$"):
            await call(mizar)


# -- input


class Alike:
    """Equal to everything."""

    def __eq__(self, _: object) -> bool:
        return True

    __hash__ = object.__hash__


@pytest.mark.parametrize("side", [Alike(), ["long"], b"long", 1])
async def test_a_side_is_text(side: Any) -> None:
    async with AsyncMizar(KEY, transport=httpx.MockTransport(lambda _: pytest.fail("it was sent"))) as mizar:
        with pytest.raises(InvalidInput, match="side="):
            await mizar.dca.close_position(bot_id=1, **BTC, side=side)


@pytest.mark.parametrize("digits", [5_000, 300, 19])
async def test_a_number_beyond_all_ids_is_refused_by_its_name(digits: int) -> None:
    number = 10**digits
    async with AsyncMizar(KEY, transport=httpx.MockTransport(lambda _: pytest.fail("it was sent"))) as mizar:
        with pytest.raises(InvalidInput, match="bot_id="):
            await mizar.dca.close_all_positions(bot_id=number)
        with pytest.raises(InvalidInput, match="position_id="):
            await mizar.close_position(position_id=number)
    if number > 10**400:
        with pytest.raises(InvalidInput, match="percent="):
            Ratio.percent(number)


def test_bars_are_written_in_the_order_of_the_documentation() -> None:
    from mizar_async import Bar

    assert [*Bar(5).to_dict()][:6] == ["time", "open", "high", "low", "close", "base_asset_volume"]
