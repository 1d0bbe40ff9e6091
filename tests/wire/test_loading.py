"""Imports: all of them before the first call, none in the middle of a fork."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import sys
import zlib

import pytest

from .. import raw_server as raw
from ..raw_server import Behaviour, raw_server

# Its own imports come first, so that what is seen afterwards was imported by a call.
CALLS = """
import asyncio, json, os, sys
from mizar_async import AsyncMizar, OpenPosition
from mizar_async._wire.loading import STOCK, load

places = json.loads(sys.argv[1])
ask = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}

def client(url):
    return AsyncMizar("k", api_url=url, timeout=0.3, deadline=0.8, settle_time=0.05, listing_lag=0.01, max_retries=1)

async def calls(url):
    async with client(url) as mizar:
        await asyncio.gather(
            mizar.ping(),
            mizar.server_time(),
            mizar.get_exchanges(),
            mizar.get_all_self_hosted_strategies_info(),
            mizar.get_symbols(exchange="binance"),
            mizar.get_all_open_positions(strategy_id=1),
            mizar.open_position(**ask),
            mizar.close_position(position_id=4),
            mizar.close_all_positions(strategy_id=1),
            mizar.open_positions([OpenPosition(**ask)] * 2, deadline=0.8),
            mizar.flatten(2, deadline=0.3),
            mizar.market.bars(base_asset="BTC", quote_asset="USDT"),
            mizar.market.price(base_asset="BTC", quote_asset="USDT"),
            anext(mizar.market.iter_bars(base_asset="BTC", quote_asset="USDT", follow=True)),
            mizar.dca.get_position(bot_id=1, base_asset="BTC", quote_asset="USDT"),
            mizar.dca.settings(),
            mizar.dca.add_funds(bot_id=1, base_asset="BTC", quote_asset="USDT", size=1),
            mizar.tradingview.open_position(**ask),
            mizar.hosted.save_strategy(b"pickle", info={"name": "S"}),
            return_exceptions=True,
        )

async def main():
    await load(*STOCK)
    known = set(sys.modules)
    for url, environment in places["elsewhere"]:
        os.environ.update(environment)
        await calls(url)
        for name in environment:
            del os.environ[name]
    await asyncio.gather(*(calls(url) for url in places["servers"]))
    print(sorted(set(sys.modules) - known))

asyncio.run(main())
"""

POSITION = {
    "position_id": "1",
    "strategy_id": "1",
    "base_asset": "BTC",
    "quote_asset": "USDT",
    "size": "0.3",
    "is_long": "true",
    "open_price": 1.5,
    "open_timestamp": "1",
}
ODD = {
    **POSITION,
    "server_time": "1",
    "exchanges": [],
    "symbols": [{"symbol": "BTCUSDT", "base_asset": "BTC", "quote_asset": "USDT", "market": "SPOT"}],
    "strategies": [],
    "open_positions": [POSITION],
    "closed_positions": [],
}
SERVERS: list[Behaviour] = [
    raw.saying(raw.answer()),
    raw.saying(raw.answer(json.dumps(ODD).encode())),
    raw.saying(raw.answer(status=503)),
    raw.saying(raw.answer(status=429, headers="Retry-After: Mon, 01 Jan 2024 00:00:00 GMT\r\n")),
    raw.saying(raw.answer(b'{"detail": [{"loc": ["x"], "msg": "y"}]}', status=422)),
    raw.saying(raw.answer("<é>".encode("latin-1"), content_type="text/html; charset=iso-8859-1")),
    raw.saying(raw.answer(gzip.compress(b" " * 2**21), headers="Content-Encoding: gzip\r\n")),
    raw.saying(raw.answer(zlib.compress(b"{}"), headers="Content-Encoding: deflate\r\n")),
    raw.saying(raw.answer(headers="Content-Encoding: gzip\r\n")),
    raw.saying(raw.answer(headers="Content-Encoding: br\r\n")),
    raw.saying(raw.answer(headers="Set-Cookie: a=b; Expires=Mon, 01 Jan 2024 00:00:00 GMT\r\n")),
    raw.saying(b"\xff\r\n\r\n"),
    raw.closing,
    raw.resetting,
    raw.silent,
]
NOBODY = "127.0.0.1:1"
ELSEWHERE: list[tuple[str, dict[str, str]]] = [
    (f"http://{NOBODY}", {}),
    ("http://localhost:1", {}),
    (f"https://{NOBODY}", {}),
    (f"https://{NOBODY}", {"SSL_CERT_FILE": "/no/such.pem"}),
    ("https://venue.invalid", {"HTTPS_PROXY": f"http://user:password@{NOBODY}"}),
    ("https://venue.invalid", {"HTTPS_PROXY": "socks5://x"}),
]


async def said(program: str, *arguments: str) -> tuple[list[str], str]:
    """The lines that a program printed, and its errors."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SSL_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    out, err = await asyncio.wait_for(process.communicate(), 100)
    return out.decode().splitlines(), err.decode()


async def test_a_call_of_any_kind_and_whatever_becomes_of_it_imports_nothing_that_was_not_loaded_before_it() -> None:
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(raw_server(how)) for how in SERVERS]
        places = {"servers": [server.url for server in servers], "elsewhere": ELSEWHERE}
        lines, errors = await said(CALLS, json.dumps(places))
    assert lines == ["[]"], errors


FORK = """
import os, sys, threading
from mizar_async._wire import loading

begun, import_module = threading.Event(), loading.importlib.import_module

def slowly(name, package=None):
    begun.set()
    threading.Event().wait(0.1)
    return import_module(name, package)

def may_be_taken():
    taken = []
    taker = threading.Thread(target=lambda: taken.append(loading._lock.acquire(timeout=20)))
    taker.start()
    taker.join()
    return taken == [True]

loading.importlib.import_module = slowly
loader = threading.Thread(target=loading._load, args=(set(loading._MODULES),))
loader.start()
begun.wait()
child = os.fork()
if child == 0:
    os._exit(0 if loading._loaded.issuperset(loading._MODULES) and may_be_taken() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), may_be_taken())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
async def test_no_child_is_made_in_the_middle_of_an_import() -> None:
    lines, errors = await said(FORK)
    assert lines == ["0 True"], errors
