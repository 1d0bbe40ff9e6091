"""`mizar journal`: what a journal holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from .. import ClosedPosition, JournalEntry, read_journal
from .show import console, price_text

_DOUBTS: Final = {"sent", "in doubt", "unknown"}
_ANY_WIDTH: Final = 1000


def show_journal(path: Path, *, as_json: bool, strategy: int | None, doubts: bool) -> int:
    """Print the attempts of a journal, all or some; returns 0."""
    found = [
        entry
        for entry in read_journal(path)
        if (strategy is None or entry.strategy_id == strategy) and (not doubts or entry.end in _DOUBTS)
    ]
    if as_json:
        print(json.dumps([_as_dictionary(entry) for entry in found], indent=1))
        return 0
    table = _table(found)
    if Measurement.get(console, console.options.update(width=_ANY_WIDTH), table).maximum <= console.width:
        console.print(table)
    else:
        for entry in found:
            console.print(_block(entry), highlight=False)
    counts = {end: sum(entry.end == end for entry in found) for end in sorted({entry.end for entry in found})}
    console.print(", ".join(f"{count} {end}" for end, count in counts.items()) or "No attempts.", highlight=False)
    return 0


def _table(found: list[JournalEntry]) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, collapse_padding=True)
    for column in ("sent (UTC)", "strategy", "client order id", "pair", "side", "size", "end", "position", "price"):
        is_number = column in {"strategy", "size", "position", "price"}
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    for entry in found:
        table.add_row(*_cells(entry))
    return table


def _cells(entry: JournalEntry) -> tuple[Text, ...]:
    ask, position = entry.request, entry.position
    colour = {"open": "green", "unknown": "red", "in doubt": "yellow", "sent": "yellow"}.get(entry.end, "")
    texts = (
        f"{entry.sent_at:%m-%d %H:%M:%S}" if entry.sent_at else "",
        str(entry.strategy_id),
        entry.client_order_id or "",
        f"{ask.base_asset}/{ask.quote_asset}",
        "long" if ask.is_long else "short",
        f"{ask.size:f}",
        entry.end,
        str(position.position_id) if position else ", ".join(map(str, entry.candidates[:5])),
        price_text(position.open_price) if position else "",
    )
    # Not as markup, which has a meaning for brackets and for what stands between colons.
    return tuple(Text(text, style=colour if text is entry.end else "") for text in texts)


def _block(entry: JournalEntry) -> Text:
    """An attempt where a row has no room."""
    sent, strategy, name, pair, side, size, end, position, price = _cells(entry)
    what = Text.assemble(side, " ", size, " ", pair, ", strategy ", strategy)
    found = Text.assemble("position ", position, " at " if price else "", price) if position else Text()
    return Text("\n  ").join(
        line for line in (Text.assemble(sent, " " if sent else "", end), what, name, found) if line
    )


def _as_dictionary(entry: JournalEntry) -> dict[str, Any]:
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
