"""Files of positions to be opened or closed: CSV, read whole and checked whole before anything is sent."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from .exits import WRONG_INPUT, Failure

if TYPE_CHECKING:
    from .. import OpenPosition

Ask = TypeVar("Ask")

MOST_ROWS: Final = 100_000
_SHOWN: Final = 20
_OPENED: Final = {"done", "repeated", "unknown"}
_ID: Final = "client_order_id"
_LARGEST: Final = 64 * 2**20
_SIDES: Final = {"long": True, "short": False}
_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False}


@dataclasses.dataclass(frozen=True)
class Row(Generic[Ask]):
    """One row of a file, and what it asks for."""

    line: int
    cells: Sequence[str]
    ask: Ask


@dataclasses.dataclass(frozen=True)
class Rows(Generic[Ask]):
    """A file that was read and checked."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Row[Ask]]


def read_opens(path: str) -> Rows[OpenPosition]:
    """The positions that a file wants opened, each with a name; `Failure`, which names the lines, if one can't be."""
    names: dict[tuple[int, str], int] = {}
    alike: Counter[tuple[Any, ...]] = Counter()

    def ask_of(cells: dict[str, str], line: int) -> OpenPosition:
        if cells.get("outcome") in _OPENED:
            raise ValueError(
                f"its outcome is {cells['outcome']!r}: take the row out, or what was opened is opened again"
            )
        ask = open_of(cells)
        if ask.client_order_id is None:
            what = (ask.strategy_id, ask.base_asset, ask.quote_asset, format(ask.size.normalize(), "f"), ask.is_long)
            alike[what] += 1
            ask = open_of(cells | {"client_order_id": _name(what, alike[what])})
        name = (ask.strategy_id, str(ask.client_order_id))
        if name in names:
            raise ValueError(f"client_order_id {ask.client_order_id!r} stands in line {names[name]} already")
        names[name] = line
        return ask

    return _read(path, ask_of, _check_opens)


def read_closes(path: str) -> Rows[int]:
    """The ids of the positions that a file wants closed; `Failure`, which names the lines, if one can't be."""
    lines: dict[int, int] = {}

    def ask_of(cells: dict[str, str], line: int) -> int:
        if not cells["position_id"] and cells.get("outcome"):
            raise ValueError(f"it has no position_id, since its open is {cells['outcome']!r}: take the row out")
        position_id = _whole("position_id", cells["position_id"])
        if position_id in lines:
            raise ValueError(f"position {position_id} stands in line {lines[position_id]} already")
        lines[position_id] = line
        return position_id

    def check(columns: set[str]) -> None:
        if "position_id" not in columns:
            raise ValueError(f"the columns must include position_id, not {_listed(columns)}")

    return _read(path, ask_of, check)


def open_of(cells: dict[str, str]) -> OpenPosition:
    """The open that these texts ask for; raises ValueError for what can't be."""
    from .. import OpenPosition, Symbol

    if "pair" in cells or "symbol" in cells:
        symbol = Symbol.of(cells.get("pair") or cells.get("symbol", ""))
        base, quote = symbol.base_asset, symbol.quote_asset
    else:
        base, quote = cells["base_asset"], cells["quote_asset"]
    return OpenPosition(
        strategy_id=_whole("strategy_id", cells["strategy_id"]),
        base_asset=base,
        quote_asset=quote,
        size=_number("size", cells.get("size") or "1"),
        is_long=_side(cells),
        client_order_id=cells.get("client_order_id") or None,
    )


def as_they_were(orders: Rows[Any], some: Sequence[Row[Any]]) -> Iterator[Sequence[str]]:
    """Some rows of a file as a file of their own; of opens that are alike each keeps its name."""
    known = [column.strip().lower() for column in orders.columns]
    names = [getattr(row.ask, _ID, None) for row in orders.rows]
    if _ID in known:
        place = known.index(_ID)
        yield orders.columns
        yield from ([*row.cells[:place], row.ask.client_order_id, *row.cells[place + 1 :]] for row in some)
    elif len(some) < len(names) and any(name is not None and not name.endswith("-1") for name in names):
        yield [*orders.columns, _ID]
        yield from ([*row.cells, row.ask.client_order_id] for row in some)
    else:
        yield orders.columns
        yield from (row.cells for row in some)


def body_of(ask: OpenPosition) -> dict[str, Any]:
    """An open as it stands on the wire."""
    return {
        "strategy_id": ask.strategy_id,
        "base_asset": ask.base_asset,
        "quote_asset": ask.quote_asset,
        "size": float(ask.size),
        "is_long": ask.is_long,
    }


def _name(what: tuple[Any, ...], number: int) -> str:
    """A name for the n-th row that asks for this. It stays the same when other rows of the file are changed."""
    return f"row-{hashlib.sha256(repr(what).encode()).hexdigest()[:32]}-{number}"


def _check_opens(columns: set[str]) -> None:
    pairs = [{"pair"}, {"symbol"}, {"base_asset", "quote_asset"}]
    sides = [{"side"}, {"is_long"}]
    ways = [sum(way <= columns for way in each) for each in (pairs, sides)]
    if any(";" in column for column in columns):
        raise ValueError("its columns must be separated by commas")
    if "strategy_id" not in columns or ways != [1, 1]:
        raise ValueError(
            f"the columns must be strategy_id, pair, side and maybe size, client_order_id, not {_listed(columns)}"
        )


def _listed(columns: set[str]) -> str:
    return ", ".join(sorted(columns))[:200] or "none"


def _read(path: str, ask_of: Callable[[dict[str, str], int], Ask], check: Callable[[set[str]], None]) -> Rows[Ask]:
    name = "stdin" if path == "-" else path
    faults: list[str] = []
    rows: list[Row[Ask]] = []
    lines = csv.reader(io.StringIO(_text(path, name), newline=""), strict=True)
    columns: list[str] = []
    try:
        columns = next(lines, [])
        known = [column.strip().lower() for column in columns]
        check_distinct(known)
        check(set(known))
        for line, cells in numbered(lines):
            if len(rows) + len(faults) == MOST_ROWS:
                raise ValueError(f"it has more than {MOST_ROWS:,} rows: split it")
            try:
                rows.append(Row(line, cells, ask_of(_by_name(known, cells), line)))
            except ValueError as fault:
                faults.append(f"{name}, line {line}: {fault}")
    except (ValueError, csv.Error) as fault:
        faults.append(f"{name}, line {max(1, lines.line_num)}: {fault}")
    if faults:
        raise Failure("\n".join([*shortened(faults), "Nothing was sent."]), WRONG_INPUT)
    return Rows(name, columns, rows)


def shortened(faults: Sequence[str]) -> list[str]:
    """The first faults of a file, and how many more there are."""
    more = len(faults) - _SHOWN
    return [*faults[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]


def _text(path: str, name: str) -> str:
    try:
        content = sys.stdin.buffer.read(_LARGEST + 1) if path == "-" else _bytes(Path(path))
    except OSError as problem:
        raise Failure(f"{name} can't be read: {problem.strerror}. Nothing was sent.", WRONG_INPUT) from None
    if len(content) > _LARGEST:
        raise Failure(f"{name} is larger than {_LARGEST >> 20} MiB: split it. Nothing was sent.", WRONG_INPUT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise Failure(f"{name}, line {line}: it is no UTF-8 text. Nothing was sent.", WRONG_INPUT) from None


def _bytes(path: Path) -> bytes:
    with path.open("rb") as content:
        return content.read(_LARGEST + 1)


def check_distinct(columns: Sequence[str]) -> None:
    """Raise ValueError for a column that stands twice, of which nobody knows which counts."""
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"the column {twice[0]!r} stands twice")


def numbered(lines: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, and the lines in which they begin: a row may have several."""
    line = lines.line_num + 1
    for cells in lines:
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = lines.line_num + 1


def _by_name(known: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(known):
        raise ValueError(f"it has {len(cells)} cells, and there are {len(known)} columns")
    return {name: cell.strip() for name, cell in zip(known, cells, strict=True)}


def _whole(name: str, text: str) -> int:
    from .. import InvalidInput

    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < 2**63):
        raise InvalidInput(f"{name}={text[:80]!r} is refused: it must be a whole number, 0 or more, such as 17")
    return int(text)


def _number(name: str, text: str) -> Decimal:
    from .. import InvalidInput

    try:
        return Decimal(text if text.isascii() and "_" not in text else "no number")
    except ArithmeticError:
        raise InvalidInput(f"{name}={text[:80]!r} is refused: it must be a number such as 0.3") from None


def _side(cells: dict[str, str]) -> bool:
    if "side" in cells:
        return _one_of("side", cells["side"], _SIDES)
    return _one_of("is_long", cells["is_long"], _FLAGS)


def _one_of(name: str, text: str, allowed: dict[str, bool]) -> bool:
    from .. import InvalidInput

    found = allowed.get(text.lower())
    if found is None:
        raise InvalidInput(f"{name}={text[:80]!r} is refused: it must be {' or '.join(list(allowed)[:2])}")
    return found
