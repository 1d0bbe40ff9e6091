"""Opens named positions until each is open, and says so of each: a program that may be killed at any time.

    python -m tests.journal.trader NUMBER [CLOSED_EVERY]

With a second number it closes every so many-th as soon as it is open. The key, the address and the journal come from
the environment. Every line on stdout is an outcome that the program has been given.
"""

from __future__ import annotations

import asyncio
import json
import sys

from mizar_async import AsyncMizar, ClosedPosition, Conflict, MizarError, NotOpened, NotSent, OpenPosition

# They fit the server of the tests: it holds a request back for 1.5 s at most, and its lists are a second behind.
SETTINGS = {"timeout": 0.5, "settle_time": 2.0, "deadline": 60.0, "listing_lag": 1.0}


def requests(number: int) -> list[OpenPosition]:
    return [
        OpenPosition(
            strategy_id=1, base_asset="BTC", quote_asset="USDT", size=0.1, is_long=True, client_order_id=f"entry-{name}"
        )
        for name in range(number)
    ]


def say(what: str, name: str | None, position_id: int | None) -> None:
    print(json.dumps({"what": what, "name": name, "position_id": position_id}), flush=True)


async def closed(mizar: AsyncMizar, position_id: int) -> None:
    while True:
        try:
            await mizar.close_position(position_id=position_id)
        except Conflict:
            return
        except MizarError as failure:
            if failure.happened == "yes":
                return
            await asyncio.sleep(0.05)
        else:
            return


async def trade(number: int, every: int) -> None:
    left = requests(number)
    async with AsyncMizar(max_retries=100, **SETTINGS) as mizar, asyncio.TaskGroup() as closing:
        while left:
            again = []
            async for outcome in mizar.stream_open_positions(left):
                name, position = outcome.request.client_order_id, outcome.position
                if position is not None:
                    say("opened", name, position.position_id)
                    wanted = every and int((name or "").rpartition("-")[2]) % every == 0
                    if wanted and not isinstance(position, ClosedPosition):
                        closing.create_task(closed(mizar, position.position_id))
                elif isinstance(outcome.error, (NotSent, NotOpened)):
                    again.append(outcome.request)
                else:
                    say(repr(outcome.error), name, None)
                    again.append(outcome.request)
            left = again
            await asyncio.sleep(0.01)
    say("done", None, None)


if __name__ == "__main__":
    asyncio.run(trade(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
