"""A venue in virtual time: positions, their opening on its own clock, and lists that may be behind."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from mizar_async._ledger.events import Kind

COMMON = Kind("BTC", "USDT", Decimal("0.3"), True)
RARE = Kind("BTC", "USDT", Decimal("0.6"), True)
FOREIGN = Kind("ETH", "USDT", Decimal("0.3"), False)

# What the server makes of a size and of a pair: the same kinds in other words.
ECHOED = {
    COMMON: Kind("btc", "usdt", Decimal("0.300000004"), True),
    RARE: Kind("btc", "usdt", Decimal("0.59999999"), True),
    FOREIGN: FOREIGN,
}
FLOATS = {
    COMMON: Kind("BTC", "USDT", Decimal("0.300000012"), True),
    RARE: Kind("BTC", "USDT", Decimal("0.600000024"), True),
}
FOUR_DIGITS = {
    COMMON: Kind("BTC", "USDT", Decimal("0.3001"), True),
    RARE: Kind("BTC", "USDT", Decimal("0.5997"), True),
}


def different(number: int) -> Kind:
    """A kind of its own for each number up to 150: the next is three percent smaller."""
    return Kind("BTC", "USDT", Decimal(f"{0.97 ** (number - 1):.8f}"), True)


class Time:
    """What is to happen, in order. No clock moves it: it jumps from one happening to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._count = 0

    def after(self, delay: float, do: Callable[..., object], *args: Any) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + max(0.0, delay), self._count, do, args))

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _, do, args = heapq.heappop(self._queue)
            do(*args)


@attrs.define
class Held:
    """A position as it truly is. `opener` is the attempt that opened it, None for a stranger's."""

    kind: Kind
    ms: int
    opener: int | None
    opened: float
    closed: float = math.inf


class Venue:
    """Opens and closes at once; how late a request gets here is the network's business."""

    def __init__(
        self, time: Time, rng: random.Random, *, speed: float, hosts: float = 0.0, ids_grow: bool = True
    ) -> None:
        self.time = time
        self.positions: dict[int, Held] = {}
        self._rng = rng
        self._next_id = rng.randint(1, 1000)
        self._offset = rng.uniform(-30, 30)
        self._rate = speed * (1 + rng.uniform(-1e-4, 1e-4))
        self._hosts = hosts
        self._ids_grow = ids_grow

    def ms(self) -> int:
        host = self._rng.choice((0.0, self._hosts)) if self._hosts else 0.0
        return int((1_700_000_000 + self.time.now * self._rate + self._offset + host) * 1000)

    def step(self, seconds: float) -> None:
        """Set the server's clock anew."""
        self._offset += seconds

    def _new_id(self) -> int:
        if self._ids_grow:
            self._next_id += self._rng.choice((1, 1, 1, 2, 3))
            return self._next_id
        position_id = self._rng.randrange(1, 10**9)
        return self._new_id() if position_id in self.positions else position_id

    def open(self, kind: Kind, opener: int | None) -> int:
        position_id = self._new_id()
        self.positions[position_id] = Held(kind, self.ms(), opener, self.time.now)
        return position_id

    def close(self, position_id: int) -> None:
        held = self.positions[position_id]
        held.closed = min(held.closed, self.time.now)

    def open_at(self, time: float) -> list[int]:
        return [number for number, held in self.positions.items() if held.opened <= time < held.closed]

    def close_all(self) -> list[int]:
        open_now = self.open_at(self.time.now)
        for position_id in open_now:
            self.close(position_id)
        return open_now
