"""`mizar demo`: two hundred positions, opened, watched and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import anyio

from .. import AsyncMizar, BulkResult, ClosedPosition, MizarError, OpenPosition, Position, Strategy
from .exits import DONE, NOT_DONE
from .output import Cell, Table, coloured, fitted, price_text, profit, side_text, trimmed
from .session import Session

if TYPE_CHECKING:
    from ..paper import Venue

POSITIONS: Final = 200
WATCHED: Final = 2.0
SHOWN: Final = 15


async def run_demo(session: Session, **settings: Any) -> int:
    """The demo; returns 0 only if the server counts as many closed positions as were opened."""
    from ..paper import Venue, serve

    venue = Venue.of(**settings)
    async with serve(venue) as url, AsyncMizar(venue.create_key(), api_url=url) as mizar:
        print(repr(mizar), repr(venue))
        print(venue.model.sentence)
        strategy = await publish(mizar)
        try:
            opened, closed = await trade(session, mizar, venue, strategy)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await stop(mizar, strategy)
            raise
        listed = await mizar.get_all_open_positions(strategy_id=strategy.strategy_id)
    session.out.table(closed_table(closed.succeeded))
    print(f"Opened {opened!r}", f"Closed {closed!r}", sep="\n")
    for error in [outcome.error for outcome in opened.failed] + [outcome.error for outcome in closed.failed]:
        session.out.fault(str(error))
    held = venue.recorded()
    at_server = sum(isinstance(one.position, ClosedPosition) for one in held)
    print(result(venue))
    print(f"At the server: {len(held)} opened, {at_server} closed, {len(listed)} listed as open.", flush=True)
    venue.close()
    return DONE if len(held) == at_server == len(opened.succeeded) == POSITIONS and not listed else NOT_DONE


async def publish(mizar: AsyncMizar) -> Strategy:
    """Publish a strategy on every pair of the venue, with a market that can be long and short."""
    symbols = await mizar.get_symbols(exchange="binance", market="FUTURES")
    strategy = await mizar.create_self_hosted_strategy(
        name="Demo",
        description="Opens and closes two hundred positions",
        exchanges=["binance"],
        symbols=[symbol.symbol for symbol in symbols],
        market="FUTURES",
    )
    names = ", ".join(symbol.symbol for symbol in strategy.symbols)
    print(f"Published strategy {strategy.strategy_id} on {names}.", flush=True)
    return strategy


async def trade(
    session: Session, mizar: AsyncMizar, venue: Venue, strategy: Strategy
) -> tuple[BulkResult[OpenPosition, Position], BulkResult[int, ClosedPosition]]:
    """Open, watch and close."""
    from rich.live import Live

    from .progress import bar, follow

    requests = [
        OpenPosition(
            strategy_id=strategy.strategy_id,
            base_asset=pair.base_asset,
            quote_asset=pair.quote_asset,
            size=Decimal(1 + number % 10) / 10,
            is_long=number % 3 != 0,
        )
        for number in range(POSITIONS)
        for pair in [strategy.symbols[number % len(strategy.symbols)]]
    ]
    console = session.out.console()
    with bar(console) as progress:
        opened = await mizar.open_positions(requests, on_progress=follow(progress, "Opening"))
    positions = opened.succeeded
    if console.is_terminal:
        with Live(fitted(open_table(venue, positions), console), console=console, auto_refresh=False) as live:
            with anyio.move_on_after(WATCHED):
                while True:
                    await anyio.sleep(0.25)
                    live.update(fitted(open_table(venue, positions), console), refresh=True)
    else:
        await anyio.sleep(WATCHED)
        session.out.table(open_table(venue, positions))
    with bar(console) as progress:
        ids = [position.position_id for position in positions]
        closed = await mizar.close_positions(ids, on_progress=follow(progress, "Closing"))
    return opened, closed


async def stop(mizar: AsyncMizar, strategy: Strategy) -> None:
    """Ctrl-C or SIGTERM: leave nothing open."""
    print("\nInterrupted: flattening ...", flush=True)
    try:
        print(repr(await mizar.flatten(strategy.strategy_id)), flush=True)
    except MizarError as left:
        print(left, flush=True)


def open_table(venue: Venue, positions: Sequence[Position]) -> Table:
    """The open positions at the venue's prices now."""
    prices = {symbol: venue.price(symbol) for symbol in {position.symbol for position in positions}}
    gains = [profit(position, prices[position.symbol]) for position in positions if position.open_price]
    rows: list[list[Cell]] = [
        [*cells_of(position), price_text(prices[position.symbol]), coloured(gain)]
        for position, gain in zip(positions[:SHOWN], gains, strict=False)
    ]
    total = f"profit of all {len(positions)}: {sum(gains, Decimal(0)):+.3f} %, before fees"
    return Table(title_of("Open", positions), [*COLUMNS, "price now>", "profit %>"], rows, total)


def closed_table(positions: Sequence[ClosedPosition]) -> Table:
    """What was closed, and at which price."""
    rows: list[list[Cell]] = [
        [
            *cells_of(position),
            f"{position.closed_at:%H:%M:%S}" if position.closed_at else "unknown",
            price_text(position.close_price),
            coloured(position.return_pct or Decimal(0)),
        ]
        for position in positions[:SHOWN]
    ]
    return Table(title_of("Closed", positions), [*COLUMNS, "closed>", "close price>", "return %>"], rows)


COLUMNS: Final = ("id>", "pair>", "side>", "size>", "opened>", "open price>")


def title_of(what: str, positions: Sequence[Position]) -> str:
    day = f", opened on {positions[0].opened_at:%Y-%m-%d} (UTC)" if positions else ""
    return f"{what} positions, {min(SHOWN, len(positions))} of {len(positions)} shown{day}"


def cells_of(position: Position) -> list[str]:
    opened = f"{position.opened_at:%H:%M:%S}" if position.opened_at else "unknown"
    side, price = side_text(position.is_long), price_text(position.open_price)
    return [str(position.position_id), position.symbol, side, trimmed(position.size), opened, price]


def result(venue: Venue) -> str:
    """What all of it came to."""
    from .. import performance

    fees = {one.position.position_id: one.fee for one in venue.recorded()}
    figures = performance.of(venue.positions(), fee=lambda position: fees[position.position_id])
    before, after = (100 * gain for gain in (figures.gain_before_fees, figures.gain))
    return f"Result: {before:+.3f} % of what followers allow for one position before fees, {after:+.3f} % after them."
