"""Prices of pairs that move as prices do, the same from the same seed."""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import threading
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from ..._api.trading import Exchange, Symbol
from ..bars import Row
from ..rules import MARKETS
from .feed import BINANCE

_PLAIN: Final = Context(prec=28, rounding=ROUND_HALF_EVEN, traps=[])

# fmt: off
_PAIRS: Final = {  # base, quote, price around which the walk wanders, tick
    "BTCUSDT": ("BTC", "USDT", 40_000.0, Decimal("0.01")),
    "ETHUSDT": ("ETH", "USDT",  2_500.0, Decimal("0.01")),
    "BNBUSDT": ("BNB", "USDT",    400.0, Decimal("0.01")),
    "SOLUSDT": ("SOL", "USDT",    100.0, Decimal("0.001")),
    "XRPUSDT": ("XRP", "USDT",      0.6, Decimal("0.00001")),
    "ADAUSDT": ("ADA", "USDT",      0.5, Decimal("0.00001")),
}
# fmt: on

_STEP: Final = 250
"""Milliseconds between two prices of the simulation."""

_ROW: Final = 5_000
"""Milliseconds between two rows of its bars."""

_OCTAVES: Final = 23
"""The longest wave has 2**22 steps, about twelve days."""

_STEP_SIZE: Final = 0.00002
"""The standard size of one step's move, as a share of the price."""


_WAVES: Final = tuple((octave, 1 << octave, _STEP_SIZE * 2.0 ** (octave / 2)) for octave in range(_OCTAVES))
"""Number, length in steps and height of each wave."""


class Simulated:
    """A random walk for each of several pairs, drawn from a seed.

        Simulated(seed=7).price("BTCUSDT", at=1_700_000_000_000)

    The walk is a sum of noises, each twice as slow as the last and larger by the square root of two. So a price
    depends on seed, pair and time alone: not on when or how often anybody asked, nor on when the venue was started.
    """

    starts: None = None
    has_trades: bool = False
    lasts: int = 0

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.identity = f"simulated {seed}"
        self._walks = {symbol: self._walk(symbol) for symbol in _PAIRS}
        self._walking = threading.Lock()
        self._prices: Callable[[str, int], Decimal] = functools.lru_cache(maxsize=256)(self._price)

    def __repr__(self) -> str:
        return f"Simulated(seed={self.seed})"

    def exchanges(self) -> tuple[Exchange, ...]:
        """One exchange, binance, with SPOT and FUTURES."""
        return (BINANCE,)

    def symbols(self) -> tuple[Symbol, ...]:
        """Six pairs against USDT, on both markets."""
        return tuple(Symbol(name, base, quote, MARKETS) for name, (base, quote, _, _) in _PAIRS.items())

    def price(self, symbol: str, at: int) -> Decimal:
        """The price of a pair at a time; it changes every quarter of a second."""
        return self._prices(symbol, at // _STEP)

    def rows(self, symbol: str, start: int) -> Iterator[Row]:
        """The prices at whole multiples of 5 s, from a time on and without end; nothing is known of amounts."""
        walk = self._walk(symbol)
        for number in itertools.count(-(-start // _ROW)):
            price = walk(number * _ROW // _STEP)
            yield Row(number * _ROW, number, price, price, price, price)

    def _price(self, symbol: str, step: int) -> Decimal:
        with self._walking:
            return self._walks[symbol](step)

    def _walk(self, symbol: str) -> Callable[[int], Decimal]:
        """The prices of a pair, by steps: for one who asks for them in their order, most noises stay the same."""
        _, _, middle, tick = _PAIRS[symbol]
        nodes = [-1] * _OCTAVES
        firsts: list[float] = [0.0] * _OCTAVES
        seconds: list[float | None] = [None] * _OCTAVES
        drawn = [self._drawn(symbol, octave) for octave in range(_OCTAVES)]

        def price(step: int) -> Decimal:
            wander = 0.0
            for octave, length, height in _WAVES:
                node, rest = step >> octave, step & (length - 1)
                if nodes[octave] != node:
                    nodes[octave], firsts[octave], seconds[octave] = node, drawn[octave](node), None
                noise = firsts[octave]
                if rest:  # at a node the next one does not count, and is not drawn
                    second = seconds[octave]
                    if second is None:
                        second = seconds[octave] = drawn[octave](node + 1)
                    part = rest / length
                    noise = noise * (1 - part) + second * part
                wander += height * noise
            return _PLAIN.quantize(_PLAIN.create_decimal(repr(middle * math.exp(wander))), tick)

        return price

    def _drawn(self, symbol: str, octave: int) -> Callable[[int], float]:
        """The noise at the nodes of a wave, from -1 to 1."""
        begun = hashlib.blake2b(f"{self.seed}/{symbol}/{octave}/".encode(), digest_size=7)

        def noise(node: int) -> float:
            digest = begun.copy()
            digest.update(b"%d" % node)
            return int.from_bytes(digest.digest()) / 2**55 - 1  # 56 bits

        return noise
