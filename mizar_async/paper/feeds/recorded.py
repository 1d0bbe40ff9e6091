"""Prices of a recording: a CSV file of candles or of trades."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Literal

import attrs

from ..._api.trading import Exchange, Symbol
from ...errors import InvalidInput
from ..bars import Row
from ..rules import MARKETS
from .feed import BINANCE
from .recording import read, shortest

VolumeIn = Literal["base", "quote"]


class Replay:
    """The prices of a recording: a CSV file of candles or of trades, with a line of column names.

    | kind    | columns that must be there   | columns that may be there              |
    | ---     | ---                          | ---                                    |
    | candles | `timestamp`, `open`, `close` | `high`, `low`, `volume`                |
    | trades  | `timestamp`, `price`         | `id`, `side` (of the taker), `amount`  |

    Without `high` and `low`, or where their cells are empty, they are those of open and close; without volume or amount
    it is 0; without an id it is the row's number, from 0; without a side nobody knows it. `volume_in` says what a
    candle's volume is counted in, "base" or "quote"; a trade's amount is in base.

    A timestamp is a whole number of milliseconds since the epoch, or a date and time such as
    `2022-01-01 00:00:00`, in UTC unless it names another zone. A candle's timestamp is its opening time.

    Nothing looks ahead. Of a candle in progress only its open is known; from its end until the next one begins (a gap
    in the recording), its close. Of trades, it is the last one at or before the time. A candle lasts as long as the
    shortest distance between two of the file, one minute if there is but one. Before the first row the price is the
    first one; after the end of the recording, the last one stays, so that what is open can always be closed.

    The pair is taken from the file's name, BTCUSDT-1m-2022-01.csv for example, or from `pair`, "BTC/USDT" or "BTCUSDT".

    Raises `InvalidInput`, which names the file and the line, for what can't be read.
    """

    def __init__(self, path: str | PathLike[str], pair: str | None = None, volume_in: VolumeIn = "base") -> None:
        if volume_in not in ("base", "quote"):
            raise InvalidInput(f"volume_in={volume_in!r} is refused: it must be 'base' or 'quote'")
        self.path = Path(path)
        self._symbol = _symbol(self.path, pair)
        recording = read(self.path, volume_in)
        self.identity = f"{recording.digest} {self._symbol.base_asset}/{self._symbol.quote_asset} {volume_in}"
        self.has_trades = recording.is_trades
        self._rows = recording.rows
        self._times = [row.time for row in self._rows]
        self.lasts = 0 if self.has_trades else shortest(self._times)

    def __repr__(self) -> str:
        pair = f"{self._symbol.base_asset}/{self._symbol.quote_asset}"
        return f"Replay({self.path.name!r}, {pair}, {len(self._rows)} rows)"

    @property
    def starts(self) -> int:
        """The time of the first row, in milliseconds since the epoch."""
        return self._times[0]

    @property
    def ends(self) -> int:
        """The time at which the last row is over, in milliseconds since the epoch."""
        return self._times[-1] + self.lasts

    def exchanges(self) -> tuple[Exchange, ...]:
        """One exchange, binance, with SPOT and FUTURES."""
        return (BINANCE,)

    def symbols(self) -> tuple[Symbol, ...]:
        """The pair of the recording, on both markets."""
        return (self._symbol,)

    def price(self, symbol: str, at: int) -> Decimal:
        """The price that was known at a time."""
        if symbol != self._symbol.symbol:
            raise KeyError(symbol)
        row = self._rows[max(0, bisect.bisect_right(self._times, at) - 1)]
        return row.close if at >= row.time + self.lasts else row.open

    def rows(self, symbol: str, start: int) -> Iterator[Row]:
        """The rows of the recording that begin at a time or later."""
        if symbol != self._symbol.symbol:
            raise KeyError(symbol)
        return map(self._rows.__getitem__, range(bisect.bisect_left(self._times, start), len(self._rows)))


def _symbol(path: Path, pair: str | None) -> Symbol:
    try:
        known = Symbol.of(re.split(r"[-_.]", path.name)[0] if pair is None else pair)
    except InvalidInput:
        source = f"the name of {path.name}" if pair is None else f"pair={pair!r}"
        raise InvalidInput(
            f"{source} does not say which pair this is: give pair as BASE/QUOTE, such as BTC/USDT"
        ) from None
    return attrs.evolve(known, markets=MARKETS)
