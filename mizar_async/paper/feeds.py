"""Prices: simulated from a seed, or replayed from a recording.

A feed answers what a pair costs at a time, and never looks ahead of that time. It holds no clock: the venue asks with
the very time that it writes on the position, so price and timestamp always belong together.
"""

from __future__ import annotations

import bisect
import csv
import functools
import hashlib
import itertools
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from os import PathLike
from pathlib import Path
from typing import Final, Protocol

from .._api.trading import Exchange, Symbol
from ..errors import InvalidInput
from .rules import MARKETS

_EXCHANGE: Final = Exchange("binance", MARKETS)


class Feed(Protocol):
    """Where the venue's prices come from."""

    @property
    def starts(self) -> int | None:
        """When its recording begins, in milliseconds since the epoch; None for a feed of the present."""
        ...

    def exchanges(self) -> tuple[Exchange, ...]:
        """The exchanges and their markets."""
        ...

    def symbols(self) -> tuple[Symbol, ...]:
        """Every pair that has a price, with its markets."""
        ...

    def price(self, symbol: str, at: int) -> Decimal:
        """The price of a pair as it is known at `at`, in milliseconds since the epoch."""
        ...


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
        return (_EXCHANGE,)

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


class Replay:
    """The prices of a recording: a CSV file of candles or of trades, with a line of column names.

    | kind    | columns that are read                      | others (high, low, volume, id, side, amount) |
    | ---     | ---                                        | ---                                          |
    | candles | `timestamp`, `open`, `close`               | are ignored                                  |
    | trades  | `timestamp`, `price`                       | are ignored                                  |

    A timestamp is a whole number of milliseconds since the epoch, or a date and time such as
    `2022-01-01 00:00:00`, in UTC unless it names another zone. A candle's timestamp is its opening time.

    Nothing looks ahead. Of a candle in progress only its open is known; from its end until the next one begins (a gap
    in the recording), its close. Of trades, it is the last one at or before the time. A candle lasts as long as the
    shortest distance between two of the file, one minute if there is but one. Before the first row the price is the
    first one; after the end of the recording, the last one stays, so that what is open can always be closed.

    The pair is taken from the file's name, BTCUSDT-1m-2022-01.csv for example, or from `pair`, "BTC/USDT" or "BTCUSDT".

    Raises `InvalidInput`, which names the file and the line, for what can't be read.
    """

    def __init__(self, path: str | PathLike[str], pair: str | None = None) -> None:
        self.path = Path(path)
        self._base, self._quote = _pair(self.path, pair)
        self._times, self._prices, self._after = _read(self.path)
        self._lasts = _shortest(self._times)

    def __repr__(self) -> str:
        return f"Replay({self.path.name!r}, {self._base}/{self._quote}, {len(self._times)} rows)"

    @property
    def starts(self) -> int:
        """The time of the first row, in milliseconds since the epoch."""
        return self._times[0]

    @property
    def ends(self) -> int:
        """The time at which the last row is over, in milliseconds since the epoch."""
        return self._times[-1] + (self._lasts if self._after else 0)

    def exchanges(self) -> tuple[Exchange, ...]:
        """One exchange, binance, with SPOT and FUTURES."""
        return (_EXCHANGE,)

    def symbols(self) -> tuple[Symbol, ...]:
        """The pair of the recording, on both markets."""
        return (Symbol(self._base + self._quote, self._base, self._quote, MARKETS),)

    def price(self, symbol: str, at: int) -> Decimal:
        """The price that was known at a time."""
        if symbol != self._base + self._quote:
            raise KeyError(symbol)
        row = max(0, bisect.bisect_right(self._times, at) - 1)
        if self._after and at >= self._times[row] + self._lasts:
            return self._after[row]
        return self._prices[row]


_QUOTES: Final = (
    "USDT",
    "USDC",
    "FDUSD",
    "BUSD",
    "TUSD",
    "USD",
    "DAI",
    "EUR",
    "GBP",
    "TRY",
    "BRL",
    "BTC",
    "ETH",
    "BNB",
)


def _pair(path: Path, pair: str | None) -> tuple[str, str]:
    text = re.split(r"[-_.]", path.name)[0] if pair is None else pair
    base, slash, quote = text.upper().partition("/")
    if not slash:
        quote = next((known for known in _QUOTES if base.endswith(known) and base != known), "")
        base = base.removesuffix(quote)
    if not re.fullmatch(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}", f"{base}/{quote}"):
        source = f"the name of {path.name}" if pair is None else f"pair={pair!r}"
        raise InvalidInput(f"{source} does not say which pair this is: give pair as BASE/QUOTE, such as BTC/USDT")
    return base, quote


def _read(path: Path) -> tuple[list[int], list[Decimal], list[Decimal]]:
    """Times, the price known from each, and for candles the price known when it is over."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _rows(path, file)
    except OSError as problem:
        raise InvalidInput(f"{path} can't be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} can't be read: it is no UTF-8 text") from None


def _rows(path: Path, file: Iterable[str]) -> tuple[list[int], list[Decimal], list[Decimal]]:
    times: list[int] = []
    prices: list[Decimal] = []
    after: list[Decimal] = []
    lines = csv.reader(file, strict=True)
    try:
        when, first, last = _columns([name.strip().lower() for name in next(lines, [])])
        for line in filter(None, lines):
            time = _time(_cell(line, when))
            if times and (time < times[-1] or (last is not None and time == times[-1])):
                raise ValueError("its timestamp is not after the one before: rows must be sorted by time")
            times.append(time)
            prices.append(_number(_cell(line, first)))
            if last is not None:
                after.append(_number(_cell(line, last)))
        if not times:
            raise ValueError("there is no row below the column names")
    except UnicodeDecodeError:
        raise
    except (ValueError, csv.Error) as problem:
        raise InvalidInput(f"{path}, line {max(1, lines.line_num)}: {problem}") from None
    return times, prices, after


def _columns(names: list[str]) -> tuple[int, int, int | None]:
    for wanted in (("timestamp", "open", "close"), ("timestamp", "price")):
        if all(name in names for name in wanted):
            places = [names.index(name) for name in wanted]
            return places[0], places[1], places[2] if len(places) == 3 else None
    shown = ", ".join(names)[:200] or "none"
    raise ValueError(
        f"the columns must include timestamp, open, close (candles) or timestamp, price (trades), not {shown}"
    )


def _cell(line: list[str], place: int) -> str:
    if place >= len(line):
        raise ValueError(f"it has {len(line)} columns, too few")
    return line[place].strip()


def _time(text: str) -> int:
    if text.isascii() and text.isdigit():
        if not 10**11 <= int(text[:20]) < 10**14:  # 1973 to 5138; seconds and microseconds lie outside
            raise ValueError(f"{text[:40]!r} is no time in milliseconds since the epoch")
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no timestamp") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    # Fills have twelve decimals: of a price below this, spread and rounding would leave nothing.
    if not (number.is_finite() and Decimal("1e-9") <= number < Decimal("1e20")):
        raise ValueError(f"{text[:40]!r} is no price")
    return number


def _shortest(times: list[int]) -> int:
    return min((later - earlier for earlier, later in itertools.pairwise(times)), default=60_000)
