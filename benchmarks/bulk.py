"""A thousand closes, 64 at a time, of a server that takes 50 ms for each.

httpx bounds its concurrency by its pool: `Limits(max_connections=64)`, and all calls begun at once. That is what is
asked about. A program may also keep 64 tasks of its own, so that nothing waits in the pool: that is told beside it.
"""

from __future__ import annotations

from typing import Final

from .peers import Peers
from .rows import Row, ratios, seconds, side_by_side
from .server import SLOW_SECONDS, Ports

COUNT: Final = 1000
CONCURRENCY: Final = 64
IDEAL: Final = COUNT / CONCURRENCY * SLOW_SECONDS


def against_the_ideal(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    """The SDK against a client that costs nothing, with aiohttp by hand and a bare protocol beside it."""
    many = {"port": ports.slow, "count": COUNT, "concurrency": CONCURRENCY}
    sdk, by_hand, bare = side_by_side(
        lambda: peers.sdk.time("close", **many),
        lambda: peers.aiohttp.time("close", **many),
        lambda: peers.protocol.time("close", **many),
        rounds=rounds,
    )
    return [
        Row(
            "close 1,000 positions, 64 at a time, server answers after 50 ms: time against the ideal",
            1.15,
            [took / IDEAL for took in sdk],
            detail=f"SDK {seconds(sdk)}, ideal {IDEAL:.2f} s, aiohttp by hand {seconds(by_hand)}, "
            f"bare protocol {seconds(bare)}",
        )
    ]


def against_peers(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    """The SDK against the public client and stock httpx."""
    many = {"port": ports.slow, "count": COUNT, "concurrency": CONCURRENCY}
    sdk, httpx, httpx_by_tasks, old = side_by_side(
        lambda: peers.sdk.time("close", **many),
        lambda: peers.httpx.time("close_by_its_pool", **many),
        lambda: peers.httpx.time("close", **many),
        lambda: peers.old.time("close", port=ports.slow, count=COUNT),
        rounds=rounds,
    )
    return [
        Row(
            "the same against `mizar==0.1.5` closing them one by one",
            30,
            ratios(old, sdk),
            at_least=True,
            unit="x faster",
            detail=f"`mizar==0.1.5` {seconds(old)}",
        ),
        Row(
            "the same against stock httpx.AsyncClient at the same concurrency",
            8,
            ratios(httpx, sdk),
            at_least=True,
            unit="x faster",
            detail=f"httpx {seconds(httpx)} with its pool's limit, {seconds(httpx_by_tasks)} behind 64 tasks",
        ),
    ]
