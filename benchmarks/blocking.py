"""One blocking call after another."""

from __future__ import annotations

from typing import Final

from .peers import Peers
from .rows import Row, per_second, ratios, side_by_side
from .server import Ports

COUNT: Final = 1000


def rows(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    """The blocking facade against the public client."""
    new, old = side_by_side(
        lambda: peers.sdk.ask("close_one_by_one", port=ports.prompt, count=COUNT),
        lambda: peers.old.ask("close", port=ports.prompt, count=COUNT),
        rounds=rounds,
    )
    return [
        Row(
            "one blocking call after another through `mizar_sync`, against `mizar==0.1.5`",
            1.0,
            ratios(old, new),
            at_least=True,
            unit="x as fast",
            detail=f"`mizar_sync` {per_second(COUNT, new)}, `mizar==0.1.5` {per_second(COUNT, old)}",
        )
    ]
