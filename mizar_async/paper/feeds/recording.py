"""The rows of a recording: candles or trades, checked line by line."""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import attrs

from ...errors import InvalidInput
from ..bars import EXACT, Row


@attrs.frozen
class Recording:
    """The rows of a file, and whether they are trades and no candles."""

    rows: list[Row]
    is_trades: bool
    digest: str
    """Of the file's bytes."""


def read(path: Path, volume_in: str = "base") -> Recording:
    """The rows of a file; `volume_in` says what the volume of a candle is counted in, base or quote.

    Raises `InvalidInput`, which names the file and the line, for what can't be read.
    """
    try:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        with path.open(newline="", encoding="utf-8-sig") as file:
            return Recording(*_rows(path, file, volume_in), digest)
    except OSError as problem:
        raise InvalidInput(f"{path} can't be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} can't be read: it is no UTF-8 text") from None


def _rows(path: Path, file: Iterable[str], volume_in: str) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    lines = csv.reader(file, strict=True)
    try:
        columns: dict[str, int] = {}
        for place, name in enumerate(next(lines, [])):
            known = name.strip().lower()
            if known in columns and known in _READ:
                raise ValueError(f"the column {known} stands twice")
            columns.setdefault(known, place)
        is_trades = _is_trades(columns)
        for line in filter(None, lines):
            cells = {name: _cell(line, place) for name, place in columns.items() if name in _READ}
            row = _trade(cells, len(rows)) if is_trades else _candle(cells, len(rows), volume_in)
            if rows and (row.time < rows[-1].time or (not is_trades and row.time == rows[-1].time)):
                raise ValueError("its timestamp is not after the one before: rows must be sorted by time")
            rows.append(row)
        if not rows:
            raise ValueError("there is no row below the column names")
    except UnicodeDecodeError:
        raise
    except (ValueError, csv.Error) as problem:
        raise InvalidInput(f"{path}, line {max(1, lines.line_num)}: {problem}") from None
    return rows, is_trades


_READ: Final = frozenset({"timestamp", "open", "high", "low", "close", "volume", "price", "id", "side", "amount"})


def _is_trades(columns: dict[str, int]) -> bool:
    if {"timestamp", "open", "close"} <= columns.keys():
        return False
    if {"timestamp", "price"} <= columns.keys():
        return True
    shown = ", ".join(columns)[:200] or "none"
    raise ValueError(
        f"the columns must include timestamp, open, close (candles) or timestamp, price (trades), not {shown}"
    )


def _candle(cells: dict[str, str], number: int, volume_in: str) -> Row:
    first, last = _price(cells["open"]), _price(cells["close"])
    high = _price(cells["high"]) if cells.get("high") else max(first, last)
    low = _price(cells["low"]) if cells.get("low") else min(first, last)
    if high < max(first, last) or low > min(first, last):
        raise ValueError(f"high {high} and low {low} do not hold open {first} and close {last}")
    volume = _amount(cells.get("volume") or "0")
    base, quote = (volume, Decimal(0)) if volume_in == "base" else (Decimal(0), volume)
    return Row(_time(cells["timestamp"]), number, first, high, low, last, base, quote)


def _trade(cells: dict[str, str], number: int) -> Row:
    price, amount = _price(cells["price"]), _amount(cells.get("amount") or "0")
    place = _id(cells["id"]) if "id" in cells else number
    side = _SIDES.get(cells.get("side", "").lower(), "?")
    if side == "?":
        raise ValueError(f"{cells['side'][:40]!r} is no side: it must be buy or sell, or empty")
    return Row(
        _time(cells["timestamp"]), place, price, price, price, price, amount, EXACT.multiply(price, amount), side
    )


_SIDES: Final[dict[str, Any]] = {"buy": "buy", "sell": "sell", "": None}


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
    if not 0 <= since.days < 10**14 // 86_400_000:
        raise ValueError(f"{text[:40]!r} is no time from 1970 to 5138")
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def _price(text: str) -> Decimal:
    price = _number(text)
    # Fills have twelve decimals: of a price below this, spread and rounding would leave nothing.
    if not (price.is_finite() and Decimal("1e-9") <= price < Decimal("1e20")):
        raise ValueError(f"{text[:40]!r} is no price")
    return price


def _amount(text: str) -> Decimal:
    amount = _number(text)
    if not (amount.is_finite() and (amount == 0 or Decimal("1e-20") <= amount < Decimal("1e20"))):
        raise ValueError(f"{text[:40]!r} is no amount")
    return amount or Decimal(0)  # whatever the exponent of that 0


def _number(text: str) -> Decimal:
    try:  # Decimal itself also takes digits of other scripts, and underscores
        number = Decimal(text if text.isascii() and "_" not in text else "NaN")
    except InvalidOperation:
        return Decimal("NaN")
    return number if len(number.as_tuple().digits) <= 60 else Decimal("NaN")


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f"{text[:40]!r} is no id: it must be a whole number")
    return int(text)


def shortest(times: list[int]) -> int:
    """The shortest distance between two times, in milliseconds: one minute if there is but one."""
    return min((later - earlier for earlier, later in itertools.pairwise(times)), default=60_000)
