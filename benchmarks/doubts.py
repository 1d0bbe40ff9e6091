"""Many opens in doubt at once: every answer is lost, and 10,000 other positions are open."""

from __future__ import annotations

from typing import Final

from .peers import Peers
from .rows import Row, ratios, seconds, side_by_side
from .server import Ports

FEW: Final = 100
MANY: Final = 5000


def rows(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    """5,000 against 100, from the first request until each call has its position."""
    few, many = side_by_side(
        lambda: peers.sdk.ask("resolve", port=ports.losing, count=FEW) / FEW,
        lambda: peers.sdk.ask("resolve", port=ports.losing, count=MANY) / MANY,
        rounds=rounds,
    )
    return [
        Row(
            "100 and 5,000 calls in doubt at once, 10,000 other positions open: time to resolve, per call",
            2.0,
            ratios(many, few),
            detail=f"{seconds(few)} and {seconds(many)} a call",
        )
    ]
