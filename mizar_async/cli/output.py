"""What commands print: data on stdout, all else on stderr.

On a terminal data is a table, or a block for each row where that has no room; with `--json` it is one document, with
`--csv` lines with their column names. rich is loaded for text alone.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from .exits import UNKNOWN, Failure

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console, RenderableType

    from .. import Position

Cell = str | tuple[str, str]
"""A text, or a text and the style in which a terminal shows it."""

_ANY_WIDTH: Final = 100_000


@dataclasses.dataclass
class Table:
    """Rows for people."""

    title: str
    columns: Sequence[str]
    """Their names; those of numbers end with ">", and stand to the right."""
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclasses.dataclass
class Output:
    """Where a command prints, and how."""

    as_json: bool = False
    as_csv: bool = False
    quiet: bool = False
    no_color: bool = False

    def note(self, text: str) -> None:
        """Say on stderr what is going on; `--quiet` leaves it out."""
        if not self.quiet:
            self.fault(text)

    def fault(self, text: str) -> None:
        """Say on stderr what went wrong; where nobody can be told any more, the work goes on all the same."""
        try:
            print(printable(text, "\n"), file=sys.stderr, flush=True)
        except OSError:
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process

    def records(
        self, envelope: str | None, records: Sequence[dict[str, Any]], fields: Sequence[str], table: Callable[[], Table]
    ) -> None:
        """Print records: the API's own dictionaries below `envelope`, their `fields` as CSV, or a table."""
        if self.as_json:
            self.document(records[0] if envelope is None else {envelope: records})
        elif self.as_csv:
            self.rows([fields, *([flat(record.get(name)) for name in fields] for record in records)])
        else:
            self.table(table())

    def done(
        self, envelope: str | None, records: Sequence[dict[str, Any]], fields: Sequence[str], table: Callable[[], Table]
    ) -> None:
        """The same of what was written at the server: where stdout can't be written, stderr is told of it."""
        try:
            self.records(envelope, records, fields, table)
        except OSError as failure:
            self.fault(f"stdout can't be written ({failure.strerror}): what was done is told here")
            for record in records:
                self.fault(json_text(record))
            if isinstance(failure, BrokenPipeError):
                raise
            raise Failure("look before you repeat it", UNKNOWN) from None

    def rows(self, rows: Iterable[Sequence[object]]) -> None:
        """Print rows as CSV."""
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows(rows)
        self.data(written.getvalue())

    def data(self, text: str) -> None:
        """Print data as it is; a terminal is shown nothing of it that would move its cursor."""
        print(printable(text, "\n") if sys.stdout.isatty() else text, end="", flush=True)

    def document(self, document: object) -> None:
        """Print one JSON document."""
        print(json_text(document, indent=2), flush=True)

    def line(self, document: object) -> None:
        """Print one line of JSON."""
        print(json_text(document), flush=True)

    def request(self, path: str, body: dict[str, Any]) -> None:
        """Print what would have been sent."""
        if self.as_json:
            self.line({"method": "POST", "path": path, "body": body})
        else:
            print(f"POST {path} {json.dumps(body)}", flush=True)

    def table(self, table: Table) -> None:
        """Print a table as text."""
        console = self.console()
        with console.capture() as captured:  # rich would end the process, with 1, where whoever reads has gone
            console.print(rendered(table, console))
        print(captured.get(), end="", flush=True)

    def tables(self, tables: Sequence[Table]) -> None:
        """Print those tables that have rows, and the first one in any case."""
        for number, table in enumerate(tables):
            if number and table.rows:
                print()
            if not number or table.rows:
                self.table(table)

    def console(self, file: TextIO | None = None) -> Console:
        """A console of rich on stdout, or on another file; one that is no terminal has no colours and cuts nothing."""
        from rich.console import Console

        here: TextIO = sys.stdout if file is None else file
        plain = self.no_color or bool(os.environ.get("NO_COLOR")) or not here.isatty()
        return Console(
            file=here,
            width=None if here.isatty() or os.environ.get("COLUMNS") else _ANY_WIDTH,
            color_system=None if plain else "auto",
            highlight=False,
            markup=False,
            emoji=False,
        )


def rendered(table: Table, console: Console) -> RenderableType:
    """A table as wide as what is in it, or blocks where the console is narrower."""
    from rich.console import Group
    from rich.measure import Measurement
    from rich.text import Text

    grid = _grid(table)
    options = console.options.update(width=_ANY_WIDTH)
    if Measurement.get(console, options, grid).maximum <= console.width:
        body: list[RenderableType] = [grid] if table.rows else []
    else:
        body = [_block(table.columns, row) for row in table.rows]
    head = [Text(printable(table.title), style="bold")] if table.title else []
    return Group(*head, *body, *([Text(printable(table.caption))] if table.caption else []))


def fitted(table: Table, console: Console) -> RenderableType:
    """A table with as many of its first rows as the console has room for."""
    shown = dataclasses.replace(table, rows=table.rows[: console.height])  # no more could be seen
    lines = len(console.render_lines(rendered(shown, console), pad=False))
    a_row = max(1, -(-(lines - 3) // max(1, len(shown.rows))))
    room = max(1, (console.height - 4) // a_row)
    if len(table.rows) > room:
        caption = f"{len(table.rows) - room} more below; {table.caption}"
        shown = dataclasses.replace(table, rows=table.rows[:room], caption=caption)
    return rendered(shown, console)


def _grid(table: Table) -> Any:
    from rich.table import Table as Grid

    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in table.columns:
        grid.add_column(name.rstrip(">"), justify="right" if name.endswith(">") else "left", no_wrap=True)
    for row in table.rows:
        grid.add_row(*map(_text, row))
    return grid


def _block(columns: Sequence[str], row: Sequence[Cell]) -> Any:
    """A row where a table has no room."""
    from rich.text import Text

    block = Text()
    for number, (name, cell) in enumerate(zip(columns, row, strict=True)):
        block.append("  " if number else "")
        block.append(f"{name.rstrip('>')} ", style="dim").append_text(_text(cell))
        block.append("" if number == len(columns) - 1 else "\n")
    return block


def _text(cell: Cell) -> Any:
    from rich.text import Text

    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(printable(text), style=style)


def printable(text: str, kept: str = "") -> str:
    """A text without what moves a terminal's cursor or colours: it may come from a server."""
    return "".join(letter if letter.isprintable() or letter in kept else "\N{REPLACEMENT CHARACTER}" for letter in text)


def json_text(document: object, indent: int | None = None) -> str:
    """A document as JSON, with null for numbers that JSON does not have, which answers may hold."""
    try:
        return json.dumps(document, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(document), indent=indent)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(value: object) -> object:
    """A value of a record as a cell of CSV."""
    if isinstance(value, list):
        return " ".join(str(item.get("symbol", item)) if isinstance(item, dict) else str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()  # as JSON has it
    return "" if value is None else value


def price_text(price: Any) -> str:
    """A price in full; "unknown" for None."""
    return "unknown" if price is None else trimmed(price)


def trimmed(number: Any) -> str:
    """A decimal in full, without zeros that say nothing."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def time_text(moment: Any) -> str:
    """A time to the second, UTC."""
    return "unknown" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def coloured(number: Any, decimals: int = 3) -> tuple[str, str]:
    """A gain with its sign, green or red; what is shown as zero has neither."""
    text = f"{number:+,.{decimals}f}"
    if not text.strip("+-0.,"):
        return text.lstrip("+-"), ""
    return text, "green" if number > 0 else "red"


def profit(position: Position, price: Decimal) -> Decimal:
    """What a position has gained at a price, in percent of what followers allow: return times size, before fees."""
    assert position.open_price is not None
    gain = (price / position.open_price - 1) * 100 * position.size
    return gain if position.is_long else -gain


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def side_text(is_long: bool) -> str:
    return "long" if is_long else "short"
