"""One blocking call after another, from one thread and from eight."""

from __future__ import annotations

from typing import Final

from .peers import Peers
from .rows import Row, per_second, ratios, side_by_side
from .server import Ports

COUNT: Final = 1000
THREADS: Final = 8


def rows(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    """The blocking facade against the public client, and against requests by hand."""
    how = {"port": ports.prompt, "count": COUNT}
    new, old, by_hand, threads, threads_by_hand = side_by_side(
        lambda: peers.sdk.time("close_one_by_one", **how, threads=1),
        lambda: peers.old.time("close", **how),
        lambda: peers.requests.time("close", **how, threads=1),
        lambda: peers.sdk.time("close_one_by_one", **how, threads=THREADS),
        lambda: peers.requests.time("close", **how, threads=THREADS),
        rounds=rounds,
    )

    def faster(what: str, asked: float, other: list[float], own: list[float], name: str) -> Row:
        detail = f"`mizar_sync` {per_second(COUNT, own)}, {name} {per_second(COUNT, other)}"
        return Row(what, asked, ratios(other, own), at_least=True, unit="x as fast", detail=detail)

    return [
        faster(
            "one blocking call after another through `mizar_sync`, against `mizar==0.1.5`",
            1.0,
            old,
            new,
            "`mizar==0.1.5`",
        ),
        faster("the same against requests by hand", 1.3, by_hand, new, "requests"),
        faster("the same from 8 threads", 3.0, threads_by_hand, threads, "requests"),
    ]
