"""Ten thousand open positions, read."""

from __future__ import annotations

from typing import Final

from .peers import Peers
from .rows import Row, ratios, seconds, side_by_side
from .server import open_positions

COUNT: Final = 10_000
# It takes milliseconds: more rounds cost nothing.
TIMES: Final = 5


def rows(peers: Peers, rounds: int) -> list[Row]:
    """Typed models against the dictionaries of `json.loads`."""
    body = open_positions(COUNT).decode()
    models, dictionaries = side_by_side(
        lambda: peers.sdk.ask("decode", body=body),
        lambda: peers.sdk.ask("decode_plainly", body=body),
        rounds=TIMES * rounds,
    )
    return [
        Row(
            "decoding 10,000 open positions to typed models, against `json.loads` to dictionaries",
            1.0,
            ratios(models, dictionaries),
            unit="x the time",
            detail=f"models {seconds(models)}, `json.loads` {seconds(dictionaries)}",
        )
    ]
