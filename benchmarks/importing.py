"""What an import costs in a new interpreter."""

from __future__ import annotations

import subprocess
from typing import Final

from .peers import Peers
from .rows import Row, ratios, seconds, side_by_side

# It takes tens of milliseconds, and varies by as much.
TIMES: Final = 4

_TIMED: Final = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


def rows(peers: Peers, rounds: int) -> list[Row]:
    """The SDK against httpx, in a plain install."""

    def importing(statement: str) -> float:
        command = [peers.plain, "-I", "-c", _TIMED.format(statement)]
        return float(subprocess.run(command, capture_output=True, check=True).stdout)

    sdk, client, httpx = side_by_side(
        lambda: importing("import mizar_async"),
        lambda: importing("from mizar_async import AsyncMizar"),
        lambda: importing("import httpx"),
        rounds=TIMES * rounds,
    )
    return [
        Row(
            "`import mizar_async` against `import httpx`, in a plain install",
            1.2,
            ratios(sdk, httpx),
            unit="x the time",
            detail=f"`mizar_async` {seconds(sdk)}, its `AsyncMizar` {seconds(client)}, `httpx` {seconds(httpx)}",
        )
    ]
