"""A 429 in the middle of a bulk."""

from __future__ import annotations

import time
from pathlib import Path

from .conftest import an_open, scene
from .faulty_proxy import Fault, Seen


async def test_one_429_stops_everything_for_as_long_as_it_asks(tmp_path: Path) -> None:
    async with scene(tmp_path, seed=41, timeout=20.0) as scenery:
        proxy, said_at = scenery.proxy, 0.0

        def the_hundredth_open(seen: Seen) -> Fault | None:
            nonlocal said_at
            if seen.call != "open-position" or proxy.counts["open-position"] != 100:
                return None
            said_at = time.monotonic()
            return Fault.TOO_MANY

        proxy.plan, proxy.retry_afters = the_hundredth_open, (3,)
        result = await scenery.mizar.open_positions([an_open()] * 500)
        assert len(result.succeeded) == 500 == len(scenery.positions())
        # What was on its way when the answer was written still comes in, and what leaves before it is read.
        in_the_pause = [one for one in proxy.seen if said_at < one.at < said_at + 3.0]
        assert len(in_the_pause) <= 2 * 64
        assert sum(one.shown == 429 for one in proxy.seen) == 1
        assert len(proxy.seen) < 510
