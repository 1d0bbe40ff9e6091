"""Where a history of positions comes from: a CSV file, JSON, the file of a paper venue, or a venue that runs.

Mizar's own API has no call that lists closed positions: there it comes from a file that a program or a command wrote.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .exits import NO_KEY, NOT_DONE, NOT_REACHABLE, WRONG_INPUT, Failure
from .orders import check_distinct, numbered, shortened
from .session import Session

if TYPE_CHECKING:
    from .. import Position

_SQLITE: Final = b"SQLite format 3\0"
_LARGEST: Final = 2**30
_NEEDED: Final = {"position_id", "size", "open_price", "open_timestamp"}
_NOT_SPACE: Final = re.compile(r"\S")
_LISTS: Final = ("closed_positions", "open_positions", "closed", "open", "positions")


Key = tuple[int | None, int]
"""What makes a position the same: its strategy, and its id."""


@dataclasses.dataclass(frozen=True)
class History:
    """Positions, and what is known of their fees."""

    name: str
    positions: list[Position]
    fees: dict[Key, Decimal]
    """Percent of each fill, by strategy and position; those that no source told are not there."""

    def of_strategy(self, strategy_id: int | None) -> History:
        """Those of one strategy; `Failure` if there are none."""
        if strategy_id is None:
            return self
        found = [position for position in self.positions if position.strategy_id == strategy_id]
        if not found:
            raise Failure(f"{self.name} has no position of strategy {strategy_id}", NOT_DONE)
        return dataclasses.replace(self, name=f"{self.name}: strategy {strategy_id}", positions=found)

    def fee(self, position: Position) -> Decimal | None:
        """Percent of each fill of a position; None where nobody told it."""
        return self.fees.get((position.strategy_id, position.position_id))


def read(source: str) -> History:
    """The history in a file, or on stdin for `-`; `Failure`, which names the lines, if it can't be read."""
    name = "stdin" if source == "-" else source
    try:
        content = sys.stdin.buffer.read(_LARGEST + 1) if source == "-" else _content(Path(source))
    except OSError as problem:
        hint = f" (`--strategy {source}` reads that of a paper venue that runs)" if source.isdigit() else ""
        raise Failure(f"{name} can't be read: {problem.strerror}{hint}", WRONG_INPUT) from None
    if content is None:
        return _of_venue(source)
    if len(content) > _LARGEST:
        raise Failure(f"{name} is larger than {_LARGEST >> 20} MiB: split it", WRONG_INPUT)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise Failure(f"{name}, line {line}: it is no UTF-8 text", WRONG_INPUT) from None
    found = _Reading(name)
    found.take(_json(text, name) if text.lstrip()[:1] in {"{", "["} else _csv(text, name))
    return found.history()


async def read_running(session: Session, strategy_id: int) -> History:
    """The history of a strategy of a paper venue that runs: what is open, and what is closed."""
    import httpx

    host = session.address.url.partition("/api/v1")[0]
    session.client()  # which refuses a key that no header can hold
    headers = {"mizar-api-key": session.source.key}
    records: list[dict[str, Any]] = []
    try:
        # No proxy of the environment, which would see the key, and no other host that an answer names.
        async with httpx.AsyncClient(base_url=host, headers=headers, trust_env=False, timeout=30) as http:
            # What is open first: what is closed in between is in both, and is taken as closed.
            answer = await http.get("/page/open", params={"strategy_id": strategy_id})
            records += _page(answer, "open", session)[0]
            seen: set[str | None] = set()
            before: str | None = ""
            while before is not None:
                seen.add(before)
                ask = {"strategy_id": strategy_id} | ({"before": before} if before else {})
                page, before = _page(await http.get("/page/closed", params=ask), "closed", session)
                records += page
                if before in seen:
                    raise _no_history(session, "its pages repeat")
    except httpx.HTTPError as failure:
        reason = str(failure) or type(failure).__name__
        raise Failure(f"{session.place}: no answer ({reason})", NOT_REACHABLE) from None
    found = _Reading(f"{session.place}: strategy {strategy_id}")
    found.take((None, record) for record in records)
    return found.history()


def _page(answer: Any, name: str, session: Session) -> tuple[list[dict[str, Any]], str | None]:
    """The records of a page, and where the next one begins."""
    if answer.status_code == 401:
        raise Failure(f"{session.place}: the key is refused", NO_KEY)
    try:
        said = _loaded(answer.content.decode())
    except ValueError:
        said = None
    if answer.status_code == 404 and isinstance(said, dict) and said.get("detail") == "Strategy not found":
        raise Failure(f"{session.place}: this key has no such strategy: `mizar strategies list`", NOT_DONE)
    records, before = (said.get(name), said.get("before")) if isinstance(said, dict) else (None, None)
    is_page = answer.status_code == 200 and isinstance(before, (str, type(None)))
    if not is_page or not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise _no_history(session, f"status {answer.status_code}")
    return records, before


def _no_history(session: Session, why: str) -> Failure:
    return Failure(
        f"{session.place} gives no history ({why}): only a paper venue does, since Mizar's API has no call that lists "
        "closed positions. Name a file that your program or a command wrote",
        NOT_DONE,
    )


def _loaded(text: str) -> Any:
    """One JSON document with exact numbers; ValueError for what is none."""
    try:
        return json.loads(text, parse_float=Decimal)
    except (RecursionError, ArithmeticError) as fault:
        raise ValueError(f"it can't be read ({type(fault).__name__})") from None


def _content(path: Path) -> bytes | None:
    """What is in a file; None for the file of a venue."""
    with path.open("rb") as opened:
        begin = opened.read(len(_SQLITE))
        return None if begin == _SQLITE else begin + opened.read(_LARGEST + 1)


def _of_venue(source: str) -> History:
    from ..paper import read_positions

    recorded = read_positions(source)
    fees = {(one.position.strategy_id, one.position.position_id): one.fee for one in recorded}
    return History(source, [one.position for one in recorded], fees)


class _Reading:
    """Records made to positions, and what is wrong with them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._positions: dict[Key, Position] = {}
        self._fees: dict[Key, Decimal] = {}
        self._faults: list[str] = []

    def take(self, records: Iterable[tuple[int | None, dict[str, Any]]]) -> None:
        """Make positions of what was read."""
        for line, record in records:
            try:
                self._add(_position(record), _fee(record))
            except ValueError as fault:
                self._faults.append(f"{self._name}, line {line}: {fault}" if line else f"{self._name}: {fault}")

    def _add(self, position: Position, fee: Decimal | None) -> None:
        key = position.strategy_id, position.position_id
        known = self._positions.get(key)
        if known is not None and _is_other(known, position):
            which = "without a strategy" if key[0] is None else f"of strategy {key[0]}"
            raise ValueError(f"position {key[1]} {which} stands there already, with other values")
        if known is None or not isinstance(known, _closed_position()):
            self._positions[key] = position
        if fee is not None:
            self._fees[key] = fee

    def history(self) -> History:
        """What came of it; `Failure` if anything was wrong."""
        if self._faults:
            raise Failure("\n".join(shortened(self._faults)), WRONG_INPUT)
        return History(self._name, list(self._positions.values()), self._fees)


def _closed_position() -> type[Position]:
    from .. import ClosedPosition

    return ClosedPosition


def _is_other(one: Position, other: Position) -> bool:
    """Whether two of the same id can't be the same: one may be open yet, or know less."""
    names = ("base_asset", "quote_asset", "is_long", "size", "open_price", "open_timestamp")
    for name in (*names, "close_price", "close_timestamp"):
        values = getattr(one, name, None), getattr(other, name, None)
        if None not in values and values[0] != values[1]:
            return True
    return False


def _csv(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = next(lines, [])
        known = [column.strip().lower() for column in columns]
        _check_columns(known)
        for line, cells in numbered(lines):
            if cells == columns:
                continue  # of another file behind the first
            if len(cells) != len(known):
                raise csv.Error(f"it has {len(cells)} cells, and there are {len(known)} columns")
            yield line, {column: cell.strip() for column, cell in zip(known, cells, strict=True) if cell.strip()}
    except (ValueError, csv.Error) as fault:
        raise Failure(f"{name}, line {max(1, lines.line_num)}: {fault}", WRONG_INPUT) from None


def _check_columns(known: Sequence[str]) -> None:
    check_distinct(known)
    columns = set(known)
    pair = columns & {"pair", "symbol"} or {"base_asset", "quote_asset"} <= columns
    if not (columns >= _NEEDED and pair and len(columns & {"side", "is_long"}) == 1):
        told = "close_price, close_timestamp and maybe strategy_id, fee"
        raise csv.Error(f"the columns must be {', '.join(sorted(_NEEDED))}, pair, side, {told}")


def _json(text: str, name: str) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """The records of one document, of several behind each other, or of a line each."""
    reader = json.JSONDecoder(parse_float=Decimal)
    at = _skipped(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1 if at else 1
        try:
            said, end = reader.raw_decode(text, at)
            found = _records(said)
        except (ValueError, RecursionError, ArithmeticError) as fault:
            reason = f"it is no JSON ({fault})" if isinstance(fault, json.JSONDecodeError) else str(fault)
            raise Failure(f"{name}, line {line}: {reason}", WRONG_INPUT) from None
        yield from ((line, record) for record in found)
        at = _skipped(text, end)


def _skipped(text: str, at: int) -> int:
    found = _NOT_SPACE.search(text, at)
    return len(text) if found is None else found.start()


def _records(said: Any) -> list[dict[str, Any]]:
    """The positions in a document: a list, an answer of the API, one position, or what a command told of one."""
    if isinstance(said, list):
        return [record for item in said for record in _records(item)]
    if not isinstance(said, dict):
        raise ValueError("it must be an object")
    if "outcome" in said and "position" in said:
        return [] if said["position"] is None else _records(said["position"])
    lists = [said[name] for name in _LISTS if isinstance(said.get(name), list)]
    return [record for each in lists for record in _records(each)] if lists else [said]


def _position(record: dict[str, Any]) -> Position:
    from .. import ClosedPosition, Position, Symbol

    if "pair" in record or "symbol" in record:
        symbol = Symbol.of(str(record.get("pair") or record.get("symbol")))
        base, quote = symbol.base_asset, symbol.quote_asset
    else:
        base, quote = _text(record, "base_asset"), _text(record, "quote_asset")
    size = _number(record, "size")
    if size is None:
        raise ValueError("size is missing")
    number = _whole(record, "position_id")
    if number is None:
        raise ValueError("position_id is missing")
    opened = (
        *(number, _whole(record, "strategy_id"), base, quote, size, _is_long(record)),
        *(_number(record, "open_price"), _whole(record, "open_timestamp")),
    )
    if "close_price" in record or "close_timestamp" in record:
        return ClosedPosition(*opened, _number(record, "close_price"), _whole(record, "close_timestamp"))
    return Position(*opened)


def _fee(record: dict[str, Any]) -> Decimal | None:
    fee = _number(record, "fee")
    if fee is not None and not 0 <= fee < 100:
        raise ValueError(f"fee={fee} is refused: it must be a percentage, from 0 up to less than 100")
    return fee


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}={value!r} is refused: it must be text such as BTC")
    return value


def _is_long(record: dict[str, Any]) -> bool:
    value = record.get("is_long", record.get("side"))
    known = {"true": True, "long": True, "1": True, "false": False, "short": False, "0": False}
    found = value if isinstance(value, bool) else known.get(str(value).lower())
    if found is None:
        raise ValueError(f"the side is {value!r}: it must be is_long (true or false) or side (long or short)")
    return found


def _whole(record: dict[str, Any], name: str) -> int | None:
    value = record.get(name)
    if value is None:
        return None
    text = str(value)
    if isinstance(value, (bool, float)) or not text.isascii() or not text.lstrip("-").isdigit() or len(text) > 19:
        raise ValueError(f"{name}={text[:80]!r} is refused: it must be a whole number")
    return int(text)


def _number(record: dict[str, Any], name: str) -> Decimal | None:
    value = record.get(name)
    if value is None:
        return None
    try:
        text = str(value)
        number = Decimal(text if text.isascii() and "_" not in text and not isinstance(value, bool) else "-")
    except ArithmeticError:
        raise ValueError(f"{name}={str(value)[:80]!r} is refused: it must be a number") from None
    if not number.is_finite():
        raise ValueError(f"{name}={str(value)[:80]!r} is refused: it must be a finite number")
    return number
