"""Figures of a hundred thousand positions: the processor time, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from .peers import ROOT
from .rows import Row

COUNT: Final = 100_000

_TIMED: Final = f"""
import random, time
from decimal import Decimal
from mizar_async import ClosedPosition, Position, performance

chance, at, positions = random.Random(1), 1_700_000_000_000, []
for number in range({COUNT}):
    at += chance.randrange(60_000)
    price = Decimal(chance.randrange(1, 10**12)) / 10**6
    base, size = chance.choice(["BTC", "ETH", "XRP"]), Decimal(chance.randrange(1, 100)) / 100
    facts = number, 1, base, "USDT", size, chance.random() < 0.5
    if number % 10:
        after = round(price * Decimal(chance.randrange(95_000, 105_000)) / 100_000, 6)
        positions.append(ClosedPosition(*facts, price, at, after, at + chance.randrange(10_000_000)))
    else:
        positions.append(Position(*facts, price, at))
chance.shuffle(positions)
began = time.process_time()
figures = performance.of(positions, fee=0.1)
read = figures.returns(), figures.max_drawdown, figures.sharpe, figures.hit_rate, figures.months, figures.last_30_days
print(time.process_time() - began)
"""


def rows(rounds: int) -> list[Row]:
    """Positions in no order, with a fee, and the figures read."""

    def spent() -> float:
        return float(subprocess.run([sys.executable, "-c", _TIMED], capture_output=True, check=True, cwd=ROOT).stdout)

    return [
        Row(
            f"processor time of `performance.of` {COUNT:,} positions in no order, with a fee",
            1.5,
            [spent() for _ in range(rounds)],
            unit="s",
            detail="with returns, drawdown, Sharpe ratio, hit rate and months read",
        )
    ]
