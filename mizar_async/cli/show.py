"""What the command line shows: tables, bars, and sums of money."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .. import BulkResult, ClosedPosition, OpenPosition, Position

if TYPE_CHECKING:
    from ..paper import Venue

SHOWN: Final = 15

console = Console()


def bar(here: Console = console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=here)


def follow(progress: Progress, what: str) -> Callable[[int, int | None], None]:
    """A callback that moves a bar."""
    task = progress.add_task(what, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def profit(position: Position, price: Decimal) -> Decimal:
    """What a position has gained at a price, in percent of what followers allow: return times size, before fees."""
    if position.open_price is None:
        return Decimal(0)
    gain = (price / position.open_price - 1) * 100 * position.size
    return gain if position.is_long else -gain


def profits(venue: Venue, positions: list[Position]) -> Table:
    """The open positions at the venue's prices now."""
    table = table_of("Open", positions, "opened", "open price", "price now", "profit %")
    prices = {symbol: venue.price(symbol) for symbol in {position.symbol for position in positions}}
    for position in positions[:SHOWN]:
        gain = profit(position, prices[position.symbol])
        cells = (*cells_of(position), f"{prices[position.symbol]:f}", coloured(gain))
        table.add_row(*cells)
    total = sum((profit(position, prices[position.symbol]) for position in positions), Decimal(0))
    table.caption = f"profit of all {len(positions)}: {total:+.3f} %"
    return table


def table_of(what: str, positions: Sequence[Position], *columns: str) -> Table:
    day = f", opened on {positions[0].opened_at:%Y-%m-%d} (UTC)" if positions else ""
    title = f"{what} positions, {min(SHOWN, len(positions))} of {len(positions)} shown{day}"
    table = Table(title=title, box=None, padding=(0, 1), pad_edge=False, collapse_padding=True)
    for column in ("id", "pair", "side", "size", *columns):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def cells_of(position: Position) -> tuple[str, ...]:
    side = "long" if position.is_long else "short"
    opened = f"{position.opened_at:%H:%M:%S}"
    return (
        str(position.position_id),
        position.symbol,
        side,
        f"{position.size:f}",
        opened,
        price_text(position.open_price),
    )


def price_text(price: Decimal | None) -> str:
    return "unknown" if price is None else f"{price:f}".rstrip("0").rstrip(".")


def coloured(gain: Decimal) -> str:
    return f"[{'green' if gain >= 0 else 'red'}]{gain:+.3f}[/]"


def show_result(opened: BulkResult[OpenPosition, Position], closed: BulkResult[int, ClosedPosition]) -> None:
    """What was opened and closed, and how long it took."""
    table = table_of("Closed", closed.succeeded, "opened", "open price", "closed", "close price", "return %")
    for position in closed.succeeded[:SHOWN]:
        at = f"{position.closed_at:%H:%M:%S}"
        table.add_row(
            *cells_of(position), at, price_text(position.close_price), coloured(position.return_pct or Decimal(0))
        )
    console.print(table)
    gains = [profit(position, position.close_price) for position in closed.succeeded if position.close_price]
    console.print(f"Opened {opened!r}", f"Closed {closed!r}", sep="\n", highlight=False)
    console.print(f"Result: {sum(gains, Decimal(0)):+.3f} % of what followers allow for one position, before fees.")
    for error in [outcome.error for outcome in opened.failed] + [outcome.error for outcome in closed.failed]:
        console.print(f"[red]{error}[/red]", soft_wrap=True)
