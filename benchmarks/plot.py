"""The plot: time against concurrency, for the SDK and its peers."""

from __future__ import annotations

import functools
import statistics
from pathlib import Path
from typing import Final

from .peers import Client, Peers
from .rows import side_by_side
from .server import SLOW_SECONDS, Ports

CONCURRENCIES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
PER_PLACE: Final = 16
MOST: Final = 1024
ROUNDS: Final = 3

Lines = dict[str, list[float]]


def measure(peers: Peers, ports: Ports) -> Lines:
    """Seconds for 1,000 closes at each concurrency, from fewer closes where there are few at a time."""
    clients = {
        "SDK": (peers.sdk, "close"),
        "aiohttp by hand": (peers.aiohttp, "close"),
        "stock httpx2, its pool's limit": (peers.httpx2, "close_by_its_pool"),
        "stock httpx, as many tasks": (peers.httpx, "close"),
        "stock httpx, its pool's limit": (peers.httpx, "close_by_its_pool"),
    }
    lines: Lines = {name: [] for name in clients}
    for concurrency in CONCURRENCIES:
        count = min(MOST, PER_PLACE * concurrency)

        samples = side_by_side(
            *(functools.partial(_close, *client, ports.slow, count, concurrency) for client in clients.values()),
            rounds=ROUNDS,
        )
        for name, times in zip(clients, samples, strict=True):
            lines[name].append(statistics.median(times))
    lines["mizar 0.1.5, one by one"] = [peers.old.time("close", port=ports.slow, count=PER_PLACE) * 1000 / PER_PLACE]
    return lines


def _close(client: Client, what: str, port: int, count: int, concurrency: int) -> float:
    return float(client.time(what, port=port, count=count, concurrency=concurrency)) * 1000 / count


def draw(lines: Lines, picture: Path) -> None:
    """Draw them on two logarithmic axes."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same picture from the same figures, byte for byte; and text that can be searched.
    mpl.rcParams.update({"svg.hashsalt": "mizar", "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for (name, times), marker in zip(lines.items(), "os^vDX", strict=True):
        axes.plot(CONCURRENCIES[: len(times)], times, marker=marker, label=name)
    ideal = [1000 * SLOW_SECONDS / concurrency for concurrency in CONCURRENCIES]
    axes.plot(CONCURRENCIES, ideal, linestyle=":", color="grey", label="ideal")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(CONCURRENCIES, [str(concurrency) for concurrency in CONCURRENCIES])
    axes.set_xlabel("closes at a time")
    axes.set_ylabel("seconds for 1,000 closes")
    axes.set_title("1,000 closes of a server that answers after 50 ms")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    figure.savefig(picture, metadata={"Date": None})
