"""`mizar exchanges`, `symbols`, `bars`: what there is to trade, and its prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .commands import command
from .exits import DONE, WRONG_INPUT, Failure
from .output import Table, price_text, time_text, trimmed
from .session import Session

if TYPE_CHECKING:
    from datetime import datetime

    from .. import Moment

BAR_FIELDS = ("time", "open", "high", "low", "close", "base_asset_volume", "quote_asset_volume", "num_ticks")

Exchange = Annotated[str, typer.Option(help="The exchange.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app)(exchanges)
    command(app)(symbols)
    command(app)(bars)


async def exchanges(session: Session) -> int:
    """List the exchanges and their markets."""
    async with session.client() as mizar:
        found = await mizar.get_exchanges()
    rows = [[exchange.name, " ".join(exchange.markets)] for exchange in found]
    documents = [exchange.to_dict() for exchange in found]
    title = f"{session.place}: exchanges"
    session.out.records(
        "exchanges", documents, ("name", "markets"), lambda: Table(title, ["exchange", "markets"], rows)
    )
    return DONE


async def symbols(
    session: Session,
    exchange: Exchange = "binance",
    market: Annotated[str | None, typer.Option(help="Of this market only: SPOT or FUTURES.")] = None,
) -> int:
    """List the pairs of an exchange."""
    async with session.client() as mizar:
        found = await mizar.get_symbols(exchange=exchange, market=None if market is None else market.upper())
    fields = ("symbol", "base_asset", "quote_asset", "markets")
    rows = [[symbol.symbol, symbol.base_asset, symbol.quote_asset, " ".join(symbol.markets)] for symbol in found]
    title = f"{session.place}: {len(rows)} pairs of {exchange}"
    documents = [symbol.to_dict() for symbol in found]
    session.out.records("symbols", documents, fields, lambda: Table(title, ["pair", "base", "quote", "markets"], rows))
    return DONE


async def bars(
    session: Session,
    pair: Annotated[str, typer.Argument(help="BTC/USDT or BTCUSDT.")],
    step: Annotated[str, typer.Option(help="1min, 3min, 5min, 15min, 30min, 1H, 4H, 12H or D.")] = "1H",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="From here on, 2026-01-31 or 2026-01-31T12:00, UTC.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 24,
    exchange: Exchange = "binance",
) -> int:
    """Show bars of a pair.

    The newest that are over, or those from a time on.
    """
    from .. import Symbol

    symbol = Symbol.of(pair)
    begin: Moment | None = None if start is None else _moment(start)
    asked: dict[str, Any] = {"base_asset": symbol.base_asset, "quote_asset": symbol.quote_asset}
    asked |= {"bar_subclass": step, "exchange": exchange}
    found = []
    async with session.client() as mizar:
        if begin is None:
            now = await mizar.server_time()
            begin = max(0, now - (limit + 1) * _width(step))
            found = [bar async for bar in mizar.market.iter_bars(**asked, start=begin, end=now - _width(step) + 1)]
        else:
            async for bar in mizar.market.iter_bars(**asked, start=begin):
                found.append(bar)
                if len(found) == limit:
                    break
    found = found[-limit:]
    rows = [
        [
            time_text(bar.opened_at),
            *(price_text(price) for price in (bar.open, bar.high, bar.low, bar.close)),
            "-" if bar.quote_asset_volume is None else trimmed(bar.quote_asset_volume),
        ]
        for bar in found
    ]
    columns = ["opened (UTC)", "open>", "high>", "low>", "close>", f"volume {symbol.quote_asset}>"]
    title = f"{session.place}: {symbol.symbol}, {step}"
    session.out.records("bars", [bar.to_dict() for bar in found], BAR_FIELDS, lambda: Table(title, columns, rows))
    return DONE


_WIDTHS = {"1min": 1, "3min": 3, "5min": 5, "15min": 15, "30min": 30, "1H": 60, "4H": 240, "12H": 720, "D": 1440}


def _width(step: str) -> int:
    if step not in _WIDTHS:
        raise Failure(f"--step {step!r} is refused: it must be one of {', '.join(_WIDTHS)}", WRONG_INPUT)
    return _WIDTHS[step] * 60_000


def _moment(text: str) -> datetime:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f"--start {text!r} is refused: it must be a time such as 2026-01-31T12:00", WRONG_INPUT) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
