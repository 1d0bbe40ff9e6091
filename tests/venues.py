"""Real venues for tests: over real HTTP, in the test's own loop or in a process of their own.

    async with running_venue(seed=1) as venue:
        venue.url, venue.key      # what a client needs
        venue.positions()         # the truth: everything that was ever opened, and what was closed of it

    async with VenueProcess(tmp_path / "venue.db") as venue:
        venue.kill()              # SIGKILL: nothing is cleaned up
        await venue.start()       # the same file, the same port, the same key

Nothing here waits without a limit.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import attrs

from mizar_async import paper
from mizar_async._api.trading import ClosedPosition, Position
from mizar_async.paper.store import Store

ROOT = Path(__file__).parents[1]
RECORDED = ROOT.parent / "shared" / "data"
"""Recorded prices, which stand beside the project and are no part of it: tests that want them say so without them."""

_LIMIT = 120


@attrs.frozen
class RunningVenue:
    """A venue that listens, and one key that it knows."""

    url: str
    key: str = attrs.field(repr=False)
    venue: paper.Venue

    def positions(self) -> list[Position | ClosedPosition]:
        """Everything that was ever opened, by any key, oldest first."""
        return self.venue.positions()

    def open_positions(self) -> list[Position]:
        """What is open, by any key, oldest first."""
        return [position for position in self.positions() if not isinstance(position, ClosedPosition)]

    def closed_positions(self) -> list[ClosedPosition]:
        """What is closed, by any key, oldest first."""
        return [position for position in self.positions() if isinstance(position, ClosedPosition)]


@contextlib.asynccontextmanager
async def running_venue(
    *,
    seed: int = 1,
    db: str | Path | None = None,
    prices: str | Path | None = None,
    pair: str | None = None,
    speed: float = 1.0,
    spread: Decimal | float | str = "0.02",
    delay: float = 0,
    port: int = 0,
) -> AsyncIterator[RunningVenue]:
    """A venue over real HTTP on a free port, served by the loop of the test."""
    venue = paper.Venue.of(db=db, prices=prices, pair=pair, speed=speed, seed=seed, spread=spread, delay=delay)
    try:
        async with paper.serve(venue, port=port) as url:
            yield RunningVenue(url, venue.create_key(), venue)
    finally:
        venue.close()


class VenueProcess:
    """A venue on a file, in a process of its own, that can be killed and started again."""

    def __init__(self, db: str | Path, *, seed: int = 1) -> None:
        self.db = Path(db)
        self.url = ""
        self.key = ""
        self._seed = seed
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> VenueProcess:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def start(self) -> None:
        """Start it, or start it again: on the same port, and with the same key."""
        port = self.url.rpartition(":")[2] or "0"
        # It ends with its standard input, so none outlives the tests.
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.venues", "--db", str(self.db), "--seed", str(self._seed), "--port", port),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _LIMIT)
        assert line, "the venue did not start: its reason is above"
        said = json.loads(line)
        self.url = said["url"]
        self.key = self.key or said["key"]

    def kill(self) -> None:
        """Kill it at once, as `kill -9` does."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    async def end(self) -> None:
        """Kill it, and wait until it is gone."""
        if self._process is None:
            return
        self.kill()
        with contextlib.suppress(TimeoutError):
            # Reads what is left and closes the pipes, which would otherwise be closed by the collector, with a warning.
            await asyncio.wait_for(self._process.communicate(), _LIMIT)
        self._process = None

    def positions(self) -> list[Position | ClosedPosition]:
        """Everything that stands in the file, oldest first."""
        store = Store(self.db)
        try:
            return store.positions()
        finally:
            store.close()


async def _serve_until_stdin_ends(db: str, seed: int, port: int) -> None:
    venue = paper.Venue.of(db=db, seed=seed)
    key = venue.create_key() if venue.is_fresh else None
    async with paper.serve(venue, port=port) as url:
        print(json.dumps({"url": url, "key": key}), flush=True)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1) else ended.set())
        await ended.wait()
    venue.close()


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--db", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(_serve_until_stdin_ends(options.db, options.seed, options.port))


if __name__ == "__main__":
    _main()
