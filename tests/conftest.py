"""What every test may use."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import settings

from mizar_async import AsyncMizar
from mizar_async.replay.loop import VirtualLoop

from .venues import RunningVenue, running_venue

settings.register_profile("short", max_examples=60, deadline=None)
settings.register_profile("full", max_examples=2_000, deadline=None)
settings.load_profile("full" if os.environ.get("MIZAR_FAULTS_FULL") else "short")

KEY = "test-key-3f9c71"


def pytest_configure() -> None:
    """Undo what a shell does to programs in the background: they and all that they start ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What is marked `virtual_time` runs in a loop whose clock jumps, so that back-off and settle times take none."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "MIZAR_API_KEY",
        "MIZAR_API_URL",
        "MIZAR_JOURNAL",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "SSL_CERT_FILE",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No coverage: it would take three times as long, and the test covers nothing that others do not."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    before = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(cast(Any, None))
    yield
    sys.settrace(before[0])
    threading.settrace(cast(Any, before[1]))


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    """A fresh venue over real HTTP."""
    async with running_venue() as running:
        yield running


@pytest.fixture
async def mizar(venue: RunningVenue) -> AsyncIterator[AsyncMizar]:
    """A client of that venue, with a strategy 1 on FUTURES."""
    # The venue lives in this loop: its lists show everything at once.
    async with AsyncMizar(venue.key, api_url=venue.url, listing_lag=0.01) as client:
        await client.create_self_hosted_strategy(
            name="Tests", description="", exchanges=["binance"], symbols=["BTCUSDT", "ETHUSDT"], market="FUTURES"
        )
        yield client
