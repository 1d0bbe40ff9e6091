"""The public client, mizar 0.1.5: one call after another, since it has no other way."""

from __future__ import annotations

import time

from commands import answer

from mizar import Mizar


def close(port: int, count: int) -> float:
    """The seconds that it takes to close so many positions."""
    mizar = Mizar(api_key="key", scheme="http", host=f"127.0.0.1:{port}")
    began = time.perf_counter()
    for position_id in range(1, count + 1):
        mizar.close_position(position_id)
    return time.perf_counter() - began


answer({"close": close})
