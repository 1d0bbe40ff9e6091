"""How the venue is reached: over HTTP by uvicorn in the running loop, or in-process without any network."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from decimal import Decimal
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from ..._api.checks import Size
from ...errors import InvalidInput
from ..feeds import VolumeIn
from ..fills import FEE, SPREAD
from ..rules import ends
from ..venue import Venue
from .app import create_app

if TYPE_CHECKING:
    import httpx

_LAST_ANSWERS: Final = 2
"""Seconds for answers in flight when the server ends."""


def in_process(
    *,
    prices: str | PathLike[str] | None = None,
    pair: str | None = None,
    speed: float = 1.0,
    seed: int = 0,
    spread: Decimal | float | str = SPREAD,
    slippage: Decimal | float | str = 0,
    fee: Decimal | float | str = FEE,
    delay: Decimal | float | str = 0,
    volume_in: VolumeIn = "base",
    tick_bars: int | None = None,
    volume_bars: Size | None = None,
    dollar_bars: Size | None = None,
) -> tuple[httpx.ASGITransport, str]:
    """A fresh venue in memory: an httpx transport that leads to it, and an API key that it knows.

    There is no port and no thread, and nothing to close. It works in any loop, and in several one after another.
    """
    import httpx  # here, since a server needs none

    venue = Venue.of(
        prices=prices,
        pair=pair,
        speed=speed,
        seed=seed,
        spread=spread,
        slippage=slippage,
        fee=fee,
        delay=delay,
        volume_in=volume_in,
        tick_bars=tick_bars,
        volume_bars=volume_bars,
        dollar_bars=dollar_bars,
    )
    app = create_app(venue)

    async def in_turn(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)  # nothing else in the venue waits: a bot that only asks would leave others no turn
        await app(scope, receive, send)

    # A bug of the venue is answered 500, as over HTTP.
    return httpx.ASGITransport(in_turn, raise_app_exceptions=False), venue.create_key()


@contextlib.asynccontextmanager
async def serve(venue: Venue, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """Serve a venue over HTTP in the running loop, and give its URL as soon as it listens.

        async with serve(venue) as url:
            ...

    Port 0 is a free one; of a host that stands for all addresses, such as 0.0.0.0, the URL is that of this machine.
    There is no access log, and no signal is touched. An order that waits for its fill when the server ends is refused.
    Raises `InvalidInput` if the address can't be listened on.
    """
    listening = _bound(host, port)
    url = f"http://{_reached(host, listening)}:{listening.getsockname()[1]}"
    server = _Server(
        uvicorn.Config(
            create_app(venue),
            access_log=False,
            log_config=None,
            log_level="warning",
            lifespan="off",
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=_LAST_ANSWERS,
        ),
        venue,
    )
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await server.is_listening(running)
        yield url
    finally:
        server.should_exit = True
        try:
            await running
        finally:
            listening.close()


async def serve_forever(
    venue: Venue, host: str = "127.0.0.1", port: int = 0, *, announce: Callable[[str], object] = print
) -> None:
    """Serve a venue until SIGINT or SIGTERM; `announce` is called with the URL once it listens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with serve(venue, host, port) as url:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        try:
            announce(url)
            await stop.wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, ValueError) as problem:  # the latter of what can't be the name of a host
        reason = getattr(problem, "strerror", "it is no name of a host")
        raise InvalidInput(f"{host}:{port} can't be listened on: {reason}") from None
    try:
        # A server that was killed can be started again on its port at once.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as problem:
        listening.close()
        raise InvalidInput(f"{host}:{port} can't be listened on: {problem.strerror}") from None
    return listening


def _reached(host: str, listening: socket.socket) -> str:
    """The host by which this machine reaches what listens, as an address of the web has it."""
    bound = ipaddress.ip_address(listening.getsockname()[0].partition("%")[0])
    bound = getattr(bound, "ipv4_mapped", None) or bound
    if bound.is_unspecified:
        host = "127.0.0.1" if bound.version == 4 else "::1"
    elif bound.is_loopback:  # which has many names, and clients that take plain http know few of them
        host = "localhost" if host.lower() == "localhost" else str(bound)
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


class _Server(uvicorn.Server):
    """uvicorn within somebody else's loop: it says when it listens, and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config, venue: Venue) -> None:
        super().__init__(config)
        self._venue = venue
        self._listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listens.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Delays may last longer than anybody waits for the end, also those of requests that are still coming in.
        dropping = asyncio.create_task(self._drop_orders())
        try:
            await super().shutdown(sockets)
        finally:
            dropping.cancel()

    async def _drop_orders(self) -> None:
        while True:
            self._venue.pending.drop(ends())
            await asyncio.sleep(_LAST_ANSWERS / 20)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def is_listening(self, running: asyncio.Task[None]) -> None:
        """Wait until it listens, or raise what stopped it."""
        waiting = asyncio.create_task(self._listens.wait())
        await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            await running
