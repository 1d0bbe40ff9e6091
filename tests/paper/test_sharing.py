"""Several processes on one file, several threads on one venue, and files that an older version made."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mizar_async import paper
from mizar_async._api.market import OfBars
from mizar_async._clock import Clock

from ..venues import ROOT
from .conftest import client_of

pytestmark = pytest.mark.usefixtures("unmeasured")

AT_ONCE = """
import sys
from mizar_async import paper
sys.stdin.readline()
for number in range(30):
    venue = paper.Venue.of(db=f"{sys.argv[1]}.{number}")
    venue.create_key()
    venue.close()
"""


def test_several_processes_make_one_new_file_at_once(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, str(tmp_path / "venue.db")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    for number in range(30):
        venue = paper.Venue.of(db=f"{tmp_path / 'venue.db'}.{number}")
        assert venue.store.count_keys() == 4
        venue.close()


def test_threads_ask_for_the_bars_of_one_venue_at_once(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.csv"
    path.write_text("timestamp,price,amount\n" + "\n".join(f"{10**12 + n * 50},{n % 90 + 1},1" for n in range(5_000)))
    venue = paper.Venue(feed=paper.Replay(path), clock=Clock(), tick_bars=3)
    kinds = [("tick", "dynamic"), ("time", "1min")]
    found: list[list[bytes]] = []
    begin = threading.Barrier(8)

    def ask(bar_type: str, bar_subclass: str) -> None:
        begin.wait(60)
        page = OfBars(base_asset="BTC", quote_asset="USDT", bar_type=bar_type, bar_subclass=bar_subclass)
        found.append([bar.written for bar in venue.bars(1, page)])

    threads = [threading.Thread(target=ask, args=kinds[number % 2]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    assert len({tuple(bars) for bars in found}) == 2


async def test_many_requests_at_once_are_answered_the_same(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.csv"
    path.write_text("timestamp,price\n" + "\n".join(f"{10**12 + n},{n + 1}" for n in range(999)))
    venue = paper.Venue(feed=paper.Replay(path), clock=Clock(), tick_bars=1)
    query = "bars?base_asset=BTC&quote_asset=USDT&bar_type=tick&bar_subclass=dynamic"
    async with client_of(venue, venue.create_key()) as http:
        answers = await asyncio.gather(*(http.get(query) for _ in range(50)))
    assert len({answer.content for answer in answers}) == 1
