"""A long stream of closes: its time for each position, and its memory."""

from __future__ import annotations

from typing import Final

from .peers import Peers
from .rows import Row
from .server import Ports

FEW: Final = 100
MANY: Final = 100_000
CONCURRENCY: Final = 64


def rows(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    """A stream of 100,000 closes against streams of 100, in a fresh process each time."""
    streams = []
    for _ in range(rounds):
        with peers.fresh_sdk() as sdk:
            streams.append(sdk.ask("stream", port=ports.prompt, few=FEW, many=MANY, concurrency=CONCURRENCY))
    return [
        Row(
            "time per position, 100 against 100,000 positions in one stream",
            1.2,
            [stream["many"] / stream["few"] for stream in streams],
            detail=f"last round: {1e6 * streams[-1]['few']:.0f} us and {1e6 * streams[-1]['many']:.0f} us a position",
        ),
        Row(
            "peak memory of streaming 100,000 closes above the idle client",
            40,
            [stream["memory"] for stream in streams],
            unit="MB",
        ),
    ]
