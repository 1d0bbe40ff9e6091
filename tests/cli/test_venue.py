"""The command line as a user meets it: in a process of its own, with its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from mizar_async import AsyncMizar, paper

from ..paper.test_faults import damage
from ..venues import RECORDED

MIZAR = (sys.executable, "-c", "from mizar_async.cli import main; main()")
LIMIT = 240


@contextlib.asynccontextmanager
async def started(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *MIZAR,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"COLUMNS": "100", "PYTHONUNBUFFERED": "1"} | environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def said(*arguments: str) -> tuple[int | None, str]:
    """What a command printed, and its exit code."""
    async with started(*arguments) as process:
        out, _ = await asyncio.wait_for(process.communicate(), LIMIT)
        return process.returncode, out.decode()


async def lines_until(process: asyncio.subprocess.Process, wanted: str) -> str:
    """What it prints, up to a line that holds the word."""
    assert process.stdout is not None
    seen = ""
    while wanted not in seen:
        line = await asyncio.wait_for(process.stdout.readline(), LIMIT)
        assert line, f"it ended before it printed {wanted!r}: {seen}"
        seen += line.decode()
    return seen


async def test_the_version_is_printed() -> None:
    assert await said("--version") == (0, "mizar 1.0.0.dev0\n")


MODELLED = (
    "Fills pay a spread of 0.02 %, no slippage and a fee of 0.1 %, without delay; depth, partial fills and rejections "
    "of the exchange are not modelled: real results are worse.\n"
)


async def test_the_demo_opens_and_closes_two_hundred_positions_and_says_what_is_not_modelled() -> None:
    code, out = await said("demo", "--seed", "3")
    assert code == 0
    assert "200 requests: 200 done" in out
    assert "At the server: 200 opened, 200 closed, 0 listed as open." in out
    assert MODELLED in out
    assert "local 127.0.0.1" in out


def price_at(rows: list[list[str]], time: str) -> Decimal:
    """The open of the candle in which a time of the first day lies."""
    known = [row for row in rows if row[0].split(" ")[1][:8] <= time]
    return Decimal(known[-1][1])


async def test_the_demo_replays_the_prices_of_a_file(tmp_path: Path) -> None:
    recorded = RECORDED / "BTCUSDT-1m-2022-01.csv"
    if recorded.exists():
        lines = recorded.read_text().splitlines()[:1441]
        header, rows = lines[0], [line.split(",") for line in lines[1:]]
        rows = [row for row in rows if row[0].startswith("2022-01-01")]
    else:
        print("the recorded prices are not here: a made-up file takes their place")
        header = "timestamp,open,high,low,close,volume"
        rows = [
            [f"2022-01-01 {m // 60:02}:{m % 60:02}:00", f"{46000 + m}", "", "", f"{46000 + m}", "1"] for m in range(900)
        ]
    prices = tmp_path / "BTCUSDT-1m-2022-01.csv"
    prices.write_text("\n".join([header, *(",".join(row) for row in rows)]))
    code, out = await said("demo", "--prices", str(prices), "--speed", "600")
    assert code == 0, out
    table = out[out.index("Closed positions") :]
    found = re.findall(r"BTCUSDT +(long|short) +\S+ +(\S+) +([\d.]+) +(\S+) +([\d.]+)", table)
    assert len(found) >= 10
    for side, opened, open_price, closed, close_price in found:
        worse = Decimal("1.0001") if side == "long" else Decimal("0.9999")
        assert Decimal(open_price) == pytest.approx(price_at(rows, opened) * worse, rel=Decimal("1e-9"))
        assert Decimal(close_price) == pytest.approx(price_at(rows, closed) * (2 - worse), rel=Decimal("1e-9"))


@pytest.mark.parametrize(("arguments", "reason"), [(("--spread", "-1"), "spread"), (("--speed", "0"), "speed")])
async def test_a_setting_that_cannot_be_right_is_refused_with_its_reason(
    arguments: tuple[str, ...], reason: str
) -> None:
    code, out = await said("demo", *arguments)
    assert code == 2
    assert reason in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--volume-in", "both"), "volume_in='both' is refused: it must be 'base' or 'quote'"),
        (("--tick-bars", "5"), "tick_bars is refused: it needs a recording of trades"),
        (("--volume-bars", "0.5"), "volume_bars is refused: it needs a recording of trades"),
        (("--dollar-bars", "-1"), "dollar_bars=Decimal('-1') is refused: it must be a finite number, more than 0"),
        (("--dollar-bars", "NaN"), "dollar_bars=Decimal('NaN') is refused"),
        (("--dollar-bars", "much"), "'much' is no number"),
        (("--tick-bars", "1.5"), "Invalid value for '--tick-bars'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_bars_that_can_not_be_are_refused_with_a_sentence_and_no_file_is_made(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    prices = tmp_path / "BTCUSDT.csv"
    prices.write_text("timestamp,open,close\n1641038400000,1,1\n")
    code, out = await said("paper", "--prices", str(prices), "--db", str(tmp_path / "venue.db"), *arguments)
    assert code == 2
    assert reason in out
    assert "Traceback" not in out
    assert names_in(tmp_path) == ["BTCUSDT.csv"]


def names_in(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


async def test_what_volume_is_counted_in_is_refused_without_a_file(tmp_path: Path) -> None:
    code, out = await said("paper", "--db", str(tmp_path / "venue.db"), "--volume-in", "quote")
    assert (code, "it is about a file of candles" in out) == (2, True)


async def test_the_paper_venue_makes_the_bars_that_were_asked_for(tmp_path: Path) -> None:
    prices = tmp_path / "BTCUSDT.csv"
    trades = "\n".join(f"{1641038400000 + n},{n},buy,2,0.1" for n in range(10))
    prices.write_text(f"timestamp,id,side,price,amount\n{trades}\n")
    asked = ("--tick-bars", "3", "--volume-bars", "0.5", "--dollar-bars", "0.40000000000000000000000000000000000001")
    async with started("paper", "--prices", str(prices), "--db", str(tmp_path / "venue.db"), *asked) as process:
        url, key = pasted(await lines_until(process, "MIZAR_API_KEY"))
        async with httpx.AsyncClient(base_url=f"{url}/api/v1/", headers={"mizar-api-key": key}) as http:
            await http.get("ping")
            while (await http.get("server-time")).json()["server_time"] < 1641038400010:
                pass
            for bar_type, ticks in [("tick", [3, 3, 3]), ("volume", [5, 5]), ("dollar", [3, 3, 3])]:
                pair = {"base_asset": "BTC", "quote_asset": "USDT"}
                answer = await http.get("bars", params=pair | {"bar_type": bar_type, "bar_subclass": "dynamic"})
                assert [bar["num_ticks"] for bar in answer.json()["bars"]] == ticks


async def test_a_file_that_cannot_be_replayed_is_named(tmp_path: Path) -> None:
    prices = tmp_path / "BTCUSDT.csv"
    prices.write_text("a,b\n1,2\n")
    code, out = await said("demo", "--prices", str(prices))
    assert code == 2
    assert "BTCUSDT.csv" in out


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_demo_leaves_nothing_open(number: signal.Signals) -> None:
    async with started("demo") as process:
        await lines_until(process, "Opening")
        process.send_signal(number)
        out, _ = await asyncio.wait_for(process.communicate(), LIMIT)
        assert process.returncode == 128 + number
        assert "flattening" in out.decode()
        assert "FlattenReport" in out.decode()


async def test_the_paper_venue_prints_what_to_paste_and_remembers_its_positions(tmp_path: Path) -> None:
    db = str(tmp_path / "venue.db")
    async with started("paper", "--db", db) as process:
        url, key = pasted(await lines_until(process, "MIZAR_API_KEY"))
        async with AsyncMizar(key, api_url=url) as mizar:
            await mizar.create_self_hosted_strategy(
                name="n", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
            )
            await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), LIMIT) == 0
    async with started("paper", "--db", db, MIZAR_API_KEY=key) as process:
        url, again = pasted(await lines_until(process, "MIZAR_API_KEY"))
        assert again == key
        async with AsyncMizar(key, api_url=url) as mizar:
            assert len(await mizar.get_all_open_positions(strategy_id=1)) == 1
    async with started("paper", "--db", db) as process:
        seen = await lines_until(process, "MIZAR_API_KEY")
        assert "older positions in this file belong to another one" in seen
        assert pasted(seen)[1] != key


REFUSED = [
    (("--fee", "-0.1"), "fee=-0.1 is refused: it must be a percentage, from 0 up to less than 100"),
    (("--fee", "nan"), "fee=nan is refused"),
    (("--slippage", "100"), "slippage=100.0 is refused"),
    (("--delay", "1e400"), "delay=inf is refused: it must be a number of seconds, from 0 to 3600"),
    (("--delay", "much"), "Invalid value for '--delay'"),
    (("--spread", "99", "--slippage", "60"), "with half of spread=99 it must stay below 100 percent"),
]


@pytest.mark.parametrize(
    ("arguments", "reason"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
async def test_a_fill_that_can_not_be_is_refused_with_a_sentence_and_no_file_is_made(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    code, out = await said("paper", "--db", str(tmp_path / "venue.db"), *arguments)
    assert code == 2
    assert reason in out
    assert "Traceback" not in out
    assert names_in(tmp_path) == []


async def test_the_paper_venue_shows_its_settings_and_where_its_file_lies(tmp_path: Path) -> None:
    code, out = await said_in(tmp_path, "paper", "--help")
    assert code == 0
    for option in ("--fee", "--delay", "--slippage", "--host"):
        assert option in out
    assert "paper.db" in out
    assert names_in(tmp_path) == []


async def said_in(home: Path, *arguments: str) -> tuple[int | None, str]:
    """The same for a user whose files lie elsewhere."""
    async with started(*arguments, HOME=str(home), XDG_DATA_HOME=str(home / "data"), COLUMNS="200") as process:
        out, _ = await asyncio.wait_for(process.communicate(), LIMIT)
        return process.returncode, out.decode()


@pytest.mark.parametrize("kind", ["no folder", "folder", "text", "database"])
async def test_a_file_that_can_not_be_a_venues_is_refused_with_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "no" / "venue.db" if kind == "no folder" else tmp_path / "a.db"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("no database " * 100)
    elif kind == "database":
        with contextlib.closing(sqlite3.connect(path)) as file:
            file.execute("CREATE TABLE a (b)")
    code, out = await said("paper", "--db", str(path))
    assert (code, out.count("\n")) == (2, 1)
    assert out.startswith(f"db={str(path)!r} is refused: ")


async def test_keys_that_are_damaged_are_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "venue.db"
    paper.Venue.of(db=path).close()
    damage(path, "keys")
    code, out = await said("paper", "--db", str(path))
    assert (code, out.count("\n")) == (2, 1)
    assert out.startswith(f"db={str(path)!r} is refused: database disk image is malformed")


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
async def test_a_default_file_that_can_not_be_made_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("where a folder should be")
    code, out = await said_in(tmp_path, "paper")
    assert (code, out.count("\n")) == (2, 1)
    assert "its folder does not exist" in out


@pytest.mark.parametrize("host", ["no.host.invalid", "a..b", "", "::x", "192.0.2.1"])
async def test_a_host_that_can_not_be_listened_on_is_named_in_one_line(tmp_path: Path, host: str) -> None:
    code, out = await said("paper", "--db", str(tmp_path / "venue.db"), "--host", host)
    assert (code, out.count("\n")) == (2, 1)
    assert out.startswith(f"{host}:0 can't be listened on: ")


@pytest.mark.parametrize(
    ("host", "shown", "warned"),
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("127.1", "127.0.0.1", False),
        ("localhost", "localhost", False),
        ("LOCALHOST", "localhost", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("::1", "[::1]", False),
        ("::ffff:127.0.0.1", "127.0.0.1", False),
        ("::ffff:0.0.0.0", "127.0.0.1", True),
        ("::", "[::1]", True),
    ],
)
async def test_the_venue_listens_where_it_is_told_and_warns_if_others_can_hear(
    tmp_path: Path, host: str, shown: str, warned: bool
) -> None:
    async with started("paper", "--db", str(tmp_path / "venue.db"), "--host", host) as process:
        seen = await lines_until(process, "MIZAR_API_KEY")
        url, key = pasted(seen)
        assert url.startswith(f"http://{shown}:")
        assert ("plain http" in seen) == warned
        assert MODELLED in seen
        async with AsyncMizar(key, api_url=url) as mizar:
            assert await mizar.get_all_self_hosted_strategies_info() == []
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), LIMIT) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_venue_that_ends_while_orders_wait_ends_soon_and_stores_none_of_them(
    tmp_path: Path, number: signal.Signals
) -> None:
    db = tmp_path / "venue.db"
    async with started("paper", "--db", str(db), "--delay", "3600", "--fee", "0.2") as process:
        url, key = pasted(await lines_until(process, "MIZAR_API_KEY"))
        async with AsyncMizar(key, api_url=url) as mizar:
            await mizar.create_self_hosted_strategy(
                name="n", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="SPOT"
            )
        order = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}
        async with httpx.AsyncClient(headers={"mizar-api-key": key}, timeout=LIMIT) as http:
            waiting = asyncio.create_task(http.post(f"{url}/api/v1/open-position", json=order))
            await http.get(f"{url}/api/v1/ping")  # the order came before, or is refused as it comes
            process.send_signal(number)
            with contextlib.suppress(httpx.TransportError):
                assert (await waiting).status_code == 503
        out, _ = await asyncio.wait_for(process.communicate(), LIMIT)
        assert (process.returncode, out) == (0, b"")
    assert paper.read_positions(db) == []


def pasted(seen: str) -> tuple[str, str]:
    """The address and the key of the two lines to paste."""
    found = re.findall(r"^export MIZAR_API_(?:URL|KEY)=(\S+)$", seen, re.MULTILINE)
    assert len(found) == 2, seen
    return found[0], found[1]
