"""The public client, mizar 0.1.5: one call after another, since it has no other way."""

from __future__ import annotations

from commands import Stopwatch, answer

from mizar import Mizar, MizarStudio


def close(port: int, count: int) -> dict[str, float]:
    """What it takes to close so many positions."""
    mizar = Mizar(api_key="key", scheme="http", host=f"127.0.0.1:{port}")
    watch = Stopwatch()
    for position_id in range(1, count + 1):
        mizar.close_position(position_id)
    return watch.taken()


def bar_frame(port: int, key: str, path: str, count: int) -> dict[str, float]:
    """What it takes to read so many bars of a minute into a frame, and to write its file."""
    studio = MizarStudio(Mizar(api_key=key, scheme="http", host=f"127.0.0.1:{port}"), path)
    watch = Stopwatch()
    frame = studio.get_bar_df("BTC", "USDT", bar_subclass="1min")
    taken = watch.taken()
    assert len(frame) == count
    return taken


answer({"close": close, "bar_frame": bar_frame})
