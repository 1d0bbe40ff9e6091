"""Bars: read, as a frame beside the client of 2021, from what is kept of them, and what a page costs the venue."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from mizar_async import paper

from .peers import ROOT, Peers
from .rows import Row, ratios, seconds, side_by_side
from .server import bars

COUNT: Final = 10_000
# It takes milliseconds: more rounds cost nothing.
TIMES: Final = 5

RECORDED: Final = ROOT.parent / "shared" / "data" / "BTCUSDT-1m-2022-01.csv"
MINUTES: Final = 45_031


def rows(peers: Peers, rounds: int) -> list[Row]:
    """Everything about bars that is asked."""
    found = [_decoding(peers, rounds)]
    if not RECORDED.exists():
        print(f"no frames: they are made of {RECORDED.name}, which is not there")
        return found
    with _venue() as venue, tempfile.TemporaryDirectory() as folder:
        found += _frames(peers, venue, Path(folder), rounds)
    return [*found, _page(rounds)]


def _decoding(peers: Peers, rounds: int) -> Row:
    body = bars(COUNT).decode()
    models, dictionaries = side_by_side(
        lambda: peers.sdk.ask("decode_bars", body=body),
        lambda: peers.sdk.ask("decode_plainly", body=body),
        rounds=TIMES * rounds,
    )
    return Row(
        "decoding 10,000 bars to exact models, against `json.loads` to dictionaries of floats",
        1.0,
        ratios(models, dictionaries),
        unit="x the time",
        detail=f"models {seconds(models)}, `json.loads` {seconds(dictionaries)}",
    )


def _frames(peers: Peers, venue: _Venue, folder: Path, rounds: int) -> list[Row]:
    numbers = itertools.count()
    cache = str(folder / "cache")

    def old() -> float:
        place = f"{folder}/old{next(numbers)}/"
        return peers.old.time("bar_frame", port=venue.port, key=venue.key, path=place, count=MINUTES)

    def ours(**settings: str) -> float:
        return peers.frames.time("bar_frame", port=venue.port, key=venue.key, count=MINUTES, **settings)

    ours()  # the venue makes each bar once
    ours(cache=cache)
    before, read, kept = side_by_side(old, ours, lambda: ours(cache=cache), rounds=min(rounds, 5))
    detail = f"{seconds(read)}, from its cache {seconds(kept)}, `get_bar_df` {seconds(before)}"
    name = f"`bars_frame` of {MINUTES:,} minutes, against `get_bar_df` of `mizar==0.1.5` without a file"
    return [
        Row(name, 3.0, ratios(before, read), at_least=True, unit="x as fast", detail=detail),
        Row("the same from its cache", 20.0, ratios(before, kept), at_least=True, unit="x as fast"),
    ]


@attrs.frozen
class _Venue:
    port: int
    key: str


@contextlib.contextmanager
def _venue() -> Iterator[_Venue]:
    """A paper venue in a process of its own, whose recording is over."""
    with tempfile.TemporaryDirectory() as folder:
        command = ("paper", "--prices", RECORDED, "--volume-in", "quote", "--speed", "1e7", "--db", f"{folder}/db")
        code = "from mizar_async.cli import main; main()"
        process = subprocess.Popen([sys.executable, "-c", code, *command], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            said: dict[str, str] = {}
            assert process.stdout is not None
            while "MIZAR_API_KEY" not in said:
                name, _, value = process.stdout.readline().removeprefix("export ").partition("=")
                said[name] = value.strip()
            with urllib.request.urlopen(f"{said['MIZAR_API_URL']}/api/v1/server-time"):
                time.sleep(0.5)  # the clock of its recording begins with the first call
            yield _Venue(int(said["MIZAR_API_URL"].rpartition(":")[2]), said["MIZAR_API_KEY"])
        finally:
            process.terminate()
            process.communicate()


def _page(rounds: int) -> Row:
    """The processor time of pages of 500 bars, without whatever a client takes."""
    venue = paper.Venue.of(prices=RECORDED, volume_in="quote", speed=1e7)
    app, key = paper.create_app(venue), venue.create_key()
    venue.clock.now()
    time.sleep(0.5)
    path = "/api/v1/bars"
    query = b"base_asset=BTC&quote_asset=USDT&bar_type=time&bar_subclass=1min&exchange=binance&limit=500"

    async def ask(start: int) -> float:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sizes.append(len(message.get("body", b"")))

        sizes: list[int] = []
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query + b"&start_timestamp=%d" % start,
            "headers": [(b"mizar-api-key", key.encode())],
        }
        began = time.process_time()
        await app(scope, receive, send)  # type: ignore[arg-type]
        took = time.process_time() - began
        assert sum(sizes) > 100_000
        return 1000 * took

    async def pages() -> list[float]:
        begin = 1_641_000_000_000
        return [await ask(begin + place * 500 * 60_000) for _ in range(rounds + 1) for place in range(85)]

    return Row(
        "processor time of a page of 500 bars in the venue",
        4.0,
        asyncio.run(pages())[85:],
        unit="ms",
        detail="each bar is written once, for whoever asks first",
    )
