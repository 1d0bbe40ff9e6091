"""A bot under a guard: opens many positions, and then ends or goes on as it is told.

python -m tests.journal.guarded WHAT [JOURNAL]
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from typing import Any

from mizar_async import AsyncMizar, OpenPosition
from mizar_sync import Mizar

NUMBER = 60


def requests() -> list[OpenPosition]:
    return [
        OpenPosition(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True, client_order_id=f"n{number}")
        for number in range(NUMBER)
    ]


async def trade(what: str, **options: Any) -> None:
    async with AsyncMizar(**options) as mizar:
        if what == "killed in the middle":
            if "journal" in options:
                await mizar.ping()  # which makes the file, however busy the machine is
            asyncio.get_running_loop().call_later(
                float(os.environ.get("MOMENT", "0.05")), os.kill, os.getpid(), signal.SIGKILL
            )
        await mizar.open_positions(requests(), max_concurrency=8)
        print("opened", flush=True)
        match what:
            case "hangs":
                time.sleep(600)  # noqa: ASYNC251
            case "fails":
                sys.exit(1)
            case "has a worker that has ended":
                worker = multiprocessing.get_context("fork").Process(target=ask)
                worker.start()
                await asyncio.sleep(5)  # longer than it may be silent, and nobody has asked yet how the worker ended
                worker.join()
            case "waits" | "killed in the middle":
                await asyncio.sleep(600)


def ask() -> None:
    with Mizar() as mizar:
        mizar.ping()


def main(what: str, *journal: str) -> None:
    if what == "imports for long":
        time.sleep(4)
    if what == "is blocking and hangs":
        with Mizar() as mizar:
            mizar.open_positions(requests())
            print("opened", flush=True)
            time.sleep(600)
    options: dict[str, Any] = {"journal": journal[0]} if journal else {}
    if what == "has another key":
        options["api_key"] = os.environ["ANOTHER_KEY"]
    asyncio.run(trade(what, **options))


if __name__ == "__main__":
    main(*sys.argv[1:])
