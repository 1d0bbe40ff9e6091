"""`mizar journal`: what a journal holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from .commands import command
from .exits import DONE, WRONG_INPUT, Failure
from .output import Output, Table, price_text, side_text, trimmed
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .. import JournalEntry

_DOUBTS: Final = {"sent", "in doubt", "unknown"}
_COLOURS: Final = {"open": "green", "unknown": "red", "in doubt": "yellow", "sent": "yellow"}
_COLUMNS: Final = (
    *("sent (UTC)", "strategy>", "client order id", "pair", "side", "size>", "end", "position>", "price>"),
)


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app)(journal)


async def journal(
    session: Session,
    file: Annotated[Path, typer.Argument(help="The journal of a bot.", exists=True, dir_okay=False)],
    strategy: Annotated[int | None, typer.Option(help="Of this strategy only.")] = None,
    doubts: Annotated[bool, typer.Option("--doubts", help="Only what is not known to have ended.")] = False,
) -> int:
    """Show what a journal holds.

    Each open that was sent, and what became of it. The bot may run meanwhile.
    """
    from .. import MizarError

    try:
        show_journal(session.out, file, strategy=strategy, doubts=doubts)
    except MizarError as refused:
        raise Failure(str(refused), WRONG_INPUT) from None
    return DONE


def show_journal(out: Output, path: Path, *, strategy: int | None = None, doubts: bool = False) -> None:
    """Print the attempts of a journal, all or some."""
    from .. import read_journal

    found = [
        entry
        for entry in read_journal(path)
        if (strategy is None or entry.strategy_id == strategy) and (not doubts or entry.end in _DOUBTS)
    ]
    documents = [_as_dictionary(entry) for entry in found]
    if out.as_json:
        out.document(documents)
        return
    nothing = "Nothing is in doubt." if doubts else "Nothing was opened by it."
    fields = ("sent_at", "strategy_id", "client_order_id", "base_asset", "quote_asset", "is_long", "size", "end")
    out.records("attempts", documents, fields, lambda: _table(found, nothing))


def _table(found: Sequence[JournalEntry], nothing: str) -> Table:
    counts = {end: sum(entry.end == end for entry in found) for end in sorted({entry.end for entry in found})}
    told = ", ".join(f"{count} {end}" for end, count in counts.items()) or nothing
    return Table("", _COLUMNS, [_cells(entry) for entry in found], told)


def _cells(entry: JournalEntry) -> list[Any]:
    ask, position = entry.request, entry.position
    return [
        f"{entry.sent_at:%m-%d %H:%M:%S}" if entry.sent_at else "",
        str(entry.strategy_id),
        entry.client_order_id or "",
        f"{ask.base_asset}/{ask.quote_asset}",
        side_text(ask.is_long),
        trimmed(ask.size),
        (entry.end, _COLOURS.get(entry.end, "")),
        str(position.position_id) if position else ", ".join(map(str, entry.candidates[:5])),
        price_text(position.open_price) if position else "",
    ]


def _as_dictionary(entry: JournalEntry) -> dict[str, Any]:
    from .. import ClosedPosition

    position = entry.position
    return {
        "strategy_id": entry.strategy_id,
        "client_order_id": entry.client_order_id,
        "sent_at": entry.sent_at.isoformat() if entry.sent_at else None,
        "base_asset": entry.request.base_asset,
        "quote_asset": entry.request.quote_asset,
        "size": float(entry.request.size),
        "is_long": entry.request.is_long,
        "end": entry.end,
        "position": position.to_dict() if position else None,
        "is_closed": isinstance(position, ClosedPosition),
        "candidates": list(entry.candidates),
    }
