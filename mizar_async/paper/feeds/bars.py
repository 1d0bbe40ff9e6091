"""The rows of a recording: candles or trades, checked line by line."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from ...errors import InvalidInput


def read(path: Path) -> tuple[list[int], list[Decimal], list[Decimal]]:
    """Times, the price known from each, and for candles the price known when it is over.

    Raises `InvalidInput`, which names the file and the line, for what can't be read.
    """
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


def shortest(times: list[int]) -> int:
    """The shortest distance between two times, in milliseconds: one minute if there is but one."""
    return min((later - earlier for earlier, later in itertools.pairwise(times)), default=60_000)
