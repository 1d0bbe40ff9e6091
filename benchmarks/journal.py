"""What a journal costs: opens with it against opens without, a loop beside them, and one that has become large."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

from .peers import Peers
from .rows import Row, ratios, side_by_side
from .server import Ports

SLOW_COUNT, SLOW_CONCURRENCY = 1000, 64
COUNT, CONCURRENCY = 3000, 32
SETTLED: Final = 1_000_000
LATENESS_ROUNDS: Final = 9


def rows(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    """All of it."""
    return [*_opens(peers, ports, rounds), *_lateness(peers, ports), *_large(peers, ports, rounds)]


def _open(peers: Peers, port: int, count: int, concurrency: int, *, journal: str | None) -> dict[str, float]:
    told: dict[str, float] = peers.sdk.ask("open", port=port, count=count, concurrency=concurrency, journal=journal)
    return told


def _opens(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        fresh = _names(folder)
        slow, slow_kept, plain, kept = side_by_side(
            lambda: _open(peers, ports.slow, SLOW_COUNT, SLOW_CONCURRENCY, journal=None)["took"],
            lambda: _open(peers, ports.slow, SLOW_COUNT, SLOW_CONCURRENCY, journal=next(fresh))["took"],
            lambda: _open(peers, ports.prompt, COUNT, CONCURRENCY, journal=None)["took"],
            lambda: _open(peers, ports.prompt, COUNT, CONCURRENCY, journal=next(fresh))["took"],
            rounds=rounds,
        )
        cpu = [_open(peers, ports.prompt, COUNT, CONCURRENCY, journal=one)["cpu"] for one in (None, next(fresh))]
    without, with_it = (f"{used / COUNT * 1e6:.0f} us" for used in cpu)
    return [
        Row("1,000 opens at 50 ms, 64 at a time, with a journal against without", 1.2, ratios(slow_kept, slow)),
        Row(
            "opens at zero latency, 32 at a time, with a journal: requests per second against without",
            0.35,
            ratios(plain, kept),
            at_least=True,
            detail=f"processor time a call: {with_it} with, {without} without",
        ),
    ]


def _lateness(peers: Peers, ports: Ports) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        fresh = _names(folder)
        without, with_it = side_by_side(
            lambda: _open(peers, ports.slow, SLOW_COUNT, SLOW_CONCURRENCY, journal=None)["late"],
            lambda: _open(peers, ports.slow, SLOW_COUNT, SLOW_CONCURRENCY, journal=next(fresh))["late"],
            rounds=LATENESS_ROUNDS,
        )
    before, now = statistics.median(without), statistics.median(with_it)
    return [
        Row(
            "a loop beside 1,000 opens at 50 ms: the 99th percentile of its lateness, more than without a journal",
            1.0,
            [(now - before) * 1000],
            unit="ms",
            detail=f"medians of {LATENESS_ROUNDS}: {now * 1000:.2f} ms with, {before * 1000:.2f} ms without",
        )
    ]


def _large(peers: Peers, ports: Ports, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        large = str(Path(folder) / "large")
        peers.sdk.ask("fill_journal", port=ports.prompt, path=large, count=SETTLED)
        fresh = _names(folder)

        def open_journal(path: str) -> float:
            took: float = peers.sdk.ask("open_journal", port=ports.prompt, path=path)
            return took

        empty, full = side_by_side(lambda: open_journal(next(fresh)), lambda: open_journal(large), rounds=rounds)
        call, call_of_full = side_by_side(
            lambda: _open(peers, ports.prompt, COUNT, CONCURRENCY, journal=next(fresh))["cpu"],
            lambda: _open(peers, ports.prompt, COUNT, CONCURRENCY, journal=large)["cpu"],
            rounds=rounds,
        )
    return [
        Row(
            "to open a journal of a million settled positions, against an empty one",
            3.0,
            ratios(full, empty),
            detail=f"{statistics.median(full) * 1000:.0f} ms, empty {statistics.median(empty) * 1000:.0f} ms",
        ),
        Row("processor time of a named open with that journal, against an empty one", 1.2, ratios(call_of_full, call)),
    ]


def _names(folder: str) -> Any:
    return (str(Path(folder) / f"journal-{number}") for number in range(10_000))
