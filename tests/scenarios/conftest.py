"""Clients whose way to the venue is faulty, with the settings of these tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from mizar_async import AsyncMizar, MizarError, NotOpened, NotSent, OutcomeUnknown
from mizar_async._api.trading import ClosedPosition, OpenPosition, Position

from ..venues import VenueProcess
from .faulty_proxy import FaultyProxy

FULL: Final = bool(os.environ.get("MIZAR_FAULTS_FULL"))
"""True runs the sizes that take long."""

SETTINGS: Final[dict[str, Any]] = {
    "timeout": 0.5,
    "settle_time": 2.0,
    "deadline": 300.0,
    "max_retries": 100,
    "listing_lag": 1.0,
}
STRATEGY: Final[dict[str, Any]] = {
    "name": "S",
    "description": "",
    "exchanges": ["binance"],
    "symbols": ["BTCUSDT", "ETHUSDT"],
    "market": "FUTURES",
}


@pytest.fixture(autouse=True)
def _unmeasured(unmeasured: None) -> None:
    """Neither the clients nor their venues: other tests cover both."""


@attrs.frozen
class Scene:
    """A venue in a process of its own, the proxy before it, and a client that has published strategy 1."""

    venue: VenueProcess
    proxy: FaultyProxy
    mizar: AsyncMizar

    def client(self, **options: Any) -> AsyncMizar:
        """Another client of the same key and host."""
        return AsyncMizar(self.venue.key, api_url=self.proxy.url, **(SETTINGS | options))

    def positions(self) -> list[Position | ClosedPosition]:
        """The truth: everything that was ever opened."""
        return self.venue.positions()

    def open_ids(self) -> list[int]:
        """Ids of what is open in truth."""
        return [one.position_id for one in self.positions() if not isinstance(one, ClosedPosition)]

    async def resolved(self, within: float = 30.0) -> list[Position | ClosedPosition]:
        """Wait until nothing is held back and nothing in doubt can be found out any more, and give what was found."""
        found: list[Position | ClosedPosition] = []
        await until(lambda: not self.proxy.held)
        for error in self.mizar.unresolved():
            with contextlib.suppress(NotOpened, OutcomeUnknown):
                one = await self.mizar.resolve(error, timeout=within)
                found += one if isinstance(one, list) else [one]
        await self.mizar.get_all_open_positions(strategy_id=1)
        return found


@contextlib.asynccontextmanager
async def scene(tmp_path: Path, *, seed: int, **options: Any) -> AsyncIterator[Scene]:
    """The faults begin when a test sets `proxy.rate`."""
    async with (
        VenueProcess(tmp_path / f"venue-{seed}.db", seed=seed) as venue,
        FaultyProxy(venue.url, seed=seed) as proxy,
        AsyncMizar(venue.key, api_url=proxy.url, **(SETTINGS | options)) as mizar,
    ):
        await mizar.create_self_hosted_strategy(**STRATEGY)
        try:
            yield Scene(venue, proxy, mizar)
        finally:
            proxy.rate, proxy.plan = 0.0, None


async def looked(mizar: AsyncMizar) -> AsyncMizar:
    """A client that has listed what is open before its first open, however slow this machine is.

    Without such a list a position that turns up can't always be told from a stranger's.
    """
    await mizar.with_options(timeout=30.0).get_all_open_positions(strategy_id=1)
    return mizar


async def failed(call: Callable[[], Awaitable[object]]) -> MizarError:
    """The error of a call that has left this machine: on a slow one its time may be over before."""
    for _ in range(50):
        with pytest.raises(MizarError) as caught:
            await call()
        if not isinstance(caught.value, NotSent):
            return caught.value
    pytest.fail(f"it never left: {caught.value}")


async def opened(mizar: AsyncMizar, number: int, *, strategy_id: int = 1) -> list[int]:
    """Open so many positions, without faults, and give their ids."""
    result = await mizar.with_options(timeout=30.0).open_positions([an_open(strategy_id=strategy_id)] * number)
    result.raise_for_failures()
    return ids(result.succeeded)


async def until(condition: Callable[[], object], within: float = 240.0) -> None:
    """Wait until something holds; a TimeoutError says that it did not come to hold in time."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)


def an_open(size: float | Decimal = 0.1, *, strategy_id: int = 1) -> OpenPosition:
    """A request to open BTC/USDT."""
    return OpenPosition(strategy_id=strategy_id, base_asset="BTC", quote_asset="USDT", size=size, is_long=True)


def ids(positions: list[Any]) -> list[int]:
    """The ids of positions, in order."""
    return sorted(position.position_id for position in positions)
