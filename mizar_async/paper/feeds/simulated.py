"""Prices of pairs that move as prices do, the same from the same seed."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from ..._api.trading import Exchange, Symbol
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

_OCTAVES: Final = 23
"""The longest wave has 2**22 steps, about twelve days."""

_STEP_SIZE: Final = 0.00002
"""The standard size of one step's move, as a share of the price."""


class Simulated:
    """A random walk for each of several pairs, drawn from a seed.

        Simulated(seed=7).price("BTCUSDT", at=1_700_000_000_000)

    The walk is a sum of noises, each twice as slow as the last and larger by the square root of two. So a price
    depends on seed, pair and time alone: not on when or how often anybody asked, nor on when the venue was started.
    """

    starts: None = None

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._noise: Callable[[str, int, int], float] = functools.lru_cache(maxsize=4096)(self._drawn)
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

    def _price(self, symbol: str, step: int) -> Decimal:
        _, _, middle, tick = _PAIRS[symbol]
        wander = sum(_STEP_SIZE * 2.0 ** (octave / 2) * self._wave(symbol, octave, step) for octave in range(_OCTAVES))
        price = _PLAIN.create_decimal(repr(middle * math.exp(wander)))
        return _PLAIN.multiply(_PLAIN.divide(price, tick).to_integral_value(context=_PLAIN), tick)

    def _wave(self, symbol: str, octave: int, step: int) -> float:
        node, rest = divmod(step, 1 << octave)
        part = rest / (1 << octave)
        return self._noise(symbol, octave, node) * (1 - part) + self._noise(symbol, octave, node + 1) * part

    def _drawn(self, symbol: str, octave: int, node: int) -> float:
        digest = hashlib.blake2b(f"{self.seed}/{symbol}/{octave}/{node}".encode(), digest_size=7).digest()
        return int.from_bytes(digest) / 2**55 - 1  # 56 bits: from -1 to 1
