"""The public client, mizar 0.1.5: one call after another, since it has no other way."""

from __future__ import annotations

from commands import Stopwatch, answer

from mizar import Mizar


def close(port: int, count: int) -> dict[str, float]:
    """What it takes to close so many positions."""
    mizar = Mizar(api_key="key", scheme="http", host=f"127.0.0.1:{port}")
    watch = Stopwatch()
    for position_id in range(1, count + 1):
        mizar.close_position(position_id)
    return watch.taken()


answer({"close": close})
