"""Closes a second, 32 at a time, of a server that answers at once."""

from __future__ import annotations

from typing import Final

from .peers import Peers
from .rows import Row, per_second, ratios, side_by_side
from .server import Ports

COUNT: Final = 3000
CONCURRENCY: Final = 32


def rows(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    """The SDK against aiohttp by hand and stock httpx2, and its blocking facade against itself."""
    how = {"port": ports.prompt, "count": COUNT, "concurrency": CONCURRENCY}
    sdk, by_hand, httpx2, facade = side_by_side(
        lambda: peers.sdk.ask("close", **how),
        lambda: peers.aiohttp.ask("close", **how),
        lambda: peers.httpx2.ask("close", **how),
        lambda: peers.sdk.ask("close_blocking", **how),
        rounds=rounds,
    )
    return [
        Row(
            "zero latency, 32 at a time: requests per second against aiohttp by hand",
            0.35,
            ratios(by_hand, sdk),
            at_least=True,
            detail=f"SDK {per_second(COUNT, sdk)}, aiohttp {per_second(COUNT, by_hand)}",
        ),
        Row(
            "the same against stock httpx2.AsyncClient",
            1.5,
            ratios(httpx2, sdk),
            at_least=True,
            detail=f"httpx2 {per_second(COUNT, httpx2)}",
        ),
        Row(
            "bulk through `mizar_sync` against bulk through `mizar_async`, both without uvloop",
            0.9,
            ratios(sdk, facade),
            at_least=True,
            detail=f"`mizar_sync` {per_second(COUNT, facade)}",
        ),
    ]
