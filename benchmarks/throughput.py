"""Calls a second, 32 at a time, of a server that answers at once, and the processor time of each."""

from __future__ import annotations

from typing import Final

from .peers import Client, Peers
from .rows import Row, per_second, ratios, side_by_side
from .server import Ports

COUNT: Final = 3000
CONCURRENCY: Final = 32


def rows(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    """All of it."""
    return [*_closes(peers, ports, rounds), *_opens(peers, ports, rounds), *_processor(peers, ports, rounds)]


def _closes(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    def closes(client: Client, what: str = "close") -> float:
        return client.time(what, port=ports.prompt, count=COUNT, concurrency=CONCURRENCY)

    sdk, by_hand, pyreqwest, curl, bare, httpx2, facade = side_by_side(
        lambda: closes(peers.sdk),
        lambda: closes(peers.aiohttp),
        lambda: closes(peers.pyreqwest),
        lambda: closes(peers.curl_cffi),
        lambda: closes(peers.protocol),
        lambda: closes(peers.httpx2),
        lambda: closes(peers.sdk, "close_blocking"),
        rounds=rounds,
    )

    def against(name: str, asked: float | None, other: list[float]) -> Row:
        detail = f"{name} {per_second(COUNT, other)}"
        return Row(f"the same against {name}", asked, ratios(other, sdk), at_least=True, detail=detail)

    return [
        _against_aiohttp("closes", 1.2, sdk, by_hand),
        against("pyreqwest", 0.85, pyreqwest),
        against("curl_cffi", None, curl),
        against("a bare asyncio protocol", None, bare),
        against("stock httpx2.AsyncClient", 1.5, httpx2),
        Row(
            "bulk through `mizar_sync` against bulk through `mizar_async`, both without uvloop",
            0.9,
            ratios(sdk, facade),
            at_least=True,
            detail=f"`mizar_sync` {per_second(COUNT, facade)}",
        ),
    ]


def _opens(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    how = {"port": ports.prompt, "count": COUNT, "concurrency": CONCURRENCY}
    sdk, by_hand = side_by_side(
        lambda: peers.sdk.time("open", **how, journal=None),
        lambda: peers.aiohttp.time("open", **how),
        rounds=rounds,
    )
    return [_against_aiohttp("opens", 0.9, sdk, by_hand)]


def _against_aiohttp(what: str, asked: float, sdk: list[float], by_hand: list[float]) -> Row:
    return Row(
        f"{what} at zero latency, 32 at a time: requests per second against aiohttp by hand",
        asked,
        ratios(by_hand, sdk),
        at_least=True,
        detail=f"SDK {per_second(COUNT, sdk)}, aiohttp {per_second(COUNT, by_hand)}",
    )


def _processor(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    how = {"port": ports.prompt, "count": COUNT, "concurrency": CONCURRENCY}
    sdk, by_hand = side_by_side(
        lambda: peers.sdk.ask("close", **how)["cpu"], lambda: peers.aiohttp.ask("close", **how)["cpu"], rounds=rounds
    )
    return [
        Row(
            "processor time of a close, against aiohttp by hand",
            0.85,
            ratios(sdk, by_hand),
            detail=f"SDK {_each(sdk)}, aiohttp {_each(by_hand)}",
        )
    ]


def _each(samples: list[float]) -> str:
    return f"{sorted(samples)[len(samples) // 2] / COUNT * 1e6:.0f} us"
