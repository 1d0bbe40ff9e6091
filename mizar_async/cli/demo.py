"""`mizar demo`: two hundred positions, opened, watched and closed."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import anyio
from rich.live import Live

from .. import AsyncMizar, BulkResult, ClosedPosition, MizarError, OpenPosition, Position, Strategy
from .show import bar, console, follow, profits, show_result

if TYPE_CHECKING:
    from ..paper import Venue

POSITIONS: Final = 200
WATCHED: Final = 2.0


async def run_demo(**settings: Any) -> int:
    """The demo; returns 0 only if the server counts as many closed positions as were opened."""
    from ..paper import Venue, serve

    venue = Venue.of(**settings)
    async with serve(venue) as url, AsyncMizar(venue.create_key(), api_url=url) as mizar:
        console.print(f"[bold]{mizar!r}[/bold] {venue!r}", soft_wrap=True, markup=True)
        console.print(venue.model.sentence, highlight=False, soft_wrap=True)
        strategy = await publish(mizar)
        try:
            opened, closed = await trade(mizar, venue, strategy)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await stop(mizar, strategy)
            raise
        listed = await mizar.get_all_open_positions(strategy_id=strategy.strategy_id)
    show_result(opened, closed)
    held = venue.positions()
    at_server = sum(isinstance(position, ClosedPosition) for position in held)
    console.print(f"At the server: {len(held)} opened, {at_server} closed, {len(listed)} listed as open.")
    venue.close()
    return 0 if len(held) == at_server == len(opened.succeeded) == POSITIONS and not listed else 1


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
    console.print(f"Published strategy {strategy.strategy_id} on {', '.join(one.symbol for one in strategy.symbols)}.")
    return strategy


async def trade(
    mizar: AsyncMizar, venue: Venue, strategy: Strategy
) -> tuple[BulkResult[OpenPosition, Position], BulkResult[int, ClosedPosition]]:
    """Open, watch and close."""
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
    with bar() as progress:
        opened = await mizar.open_positions(requests, on_progress=follow(progress, "Opening"))
    positions = opened.succeeded
    with Live(profits(venue, positions), console=console, refresh_per_second=8) as live:
        with anyio.move_on_after(WATCHED):
            while True:
                await anyio.sleep(0.25)
                live.update(profits(venue, positions))
    with bar() as progress:
        ids = [position.position_id for position in positions]
        closed = await mizar.close_positions(ids, on_progress=follow(progress, "Closing"))
    return opened, closed


async def stop(mizar: AsyncMizar, strategy: Strategy) -> None:
    """Ctrl-C or SIGTERM: leave nothing open."""
    console.print("\nInterrupted: flattening ...")
    try:
        console.print(repr(await mizar.flatten(strategy.strategy_id)))
    except MizarError as left:
        console.print(f"[red]{left}[/red]", soft_wrap=True)
