"""The command line: `mizar demo` shows what the SDK does, `mizar paper` runs the local venue."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, Final

import anyio

from . import AsyncMizar, BulkResult, ClosedPosition, InvalidInput, MizarError, OpenPosition, Position, Strategy

try:
    import typer
    from platformdirs import user_data_path
    from rich.console import Console
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table

    from .paper import Venue, serve, serve_forever
except ImportError as missing:
    raise SystemExit(f"the command line needs the extra 'paper' ({missing}): pip install 'mizar[paper]'") from None

POSITIONS: Final = 200
SHOWN: Final = 15
WATCHED: Final = 2.0
NOT_MODELLED: Final = "Fills pay the spread. Fees, delay and depth are not modelled yet: real results are worse."

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_show_locals=False)
console = Console()

Prices = Annotated[
    Path | None, typer.Option(help="Replay this CSV file of candles or trades.", exists=True, dir_okay=False)
]
Pair = Annotated[str | None, typer.Option(help="The pair of the file, if its name does not tell: BTC/USDT.")]
Speed = Annotated[float, typer.Option(help="How many times as fast as real time the venue's clock runs.")]
Seed = Annotated[int, typer.Option(help="The seed of the simulated prices.")]
Spread = Annotated[float, typer.Option(help="Percent between buying and selling; fills are worse by half of it.")]


def main() -> None:
    """Run the command line."""
    app()


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Trade through Mizar with self-hosted strategies: try it here, without an account."""
    if version:
        console.print(f"mizar {installed_version('mizar')}", highlight=False)
        raise typer.Exit


@app.command()
def paper(
    prices: Prices = None,
    pair: Pair = None,
    speed: Speed = 1.0,
    seed: Seed = 0,
    spread: Spread = 0.02,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 is a free one.", min=0, max=65535)] = 0,
    db: Annotated[Path | None, typer.Option(help="The file of the venue; a new one is a fresh venue.")] = None,
) -> None:
    """Run the local paper venue until Ctrl-C."""
    path = user_data_path("mizar", ensure_exists=True) / "paper.db" if db is None else db
    run(run_paper, path, port, prices=prices, pair=pair, speed=speed, seed=seed, spread=spread)


async def run_paper(path: Path, port: int, **settings: Any) -> int:
    """Serve the venue, and say how it is reached."""
    venue = Venue.of(db=path, **settings)
    used, known = not venue.is_fresh, os.environ.get("MIZAR_API_KEY", "")
    key = known if venue.knows(known) else venue.create_key()

    def announce(url: str) -> None:
        console.print(f"The paper venue listens (local, {path}). Its pages: {url}/docs", soft_wrap=True)
        console.print(NOT_MODELLED, soft_wrap=True)
        if key != known and used:
            console.print("This is a new key: older positions in this file belong to another one.", soft_wrap=True)
        print(f"export MIZAR_API_URL={url}")
        print(f"export MIZAR_API_KEY={key}", flush=True)

    try:
        await serve_forever(venue, port=port, announce=announce)
    finally:
        venue.close()
    return 0


@app.command()
def demo(prices: Prices = None, pair: Pair = None, speed: Speed = 1.0, seed: Seed = 0, spread: Spread = 0.02) -> None:
    """Open, watch and close 200 positions against a real venue on this machine."""
    run(run_demo, prices=prices, pair=pair, speed=speed, seed=seed, spread=spread)


def run(work: Callable[..., Coroutine[Any, Any, int]], *arguments: object, **settings: object) -> None:
    """Run a command; its exit code is what it returns."""

    async def begin() -> int:
        return await work(*arguments, **settings)

    try:
        code = anyio.run(begin, backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None})
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    except InvalidInput as refused:
        console.print(f"[red]{refused}[/red]", soft_wrap=True)
        code = 2
    sys.exit(code)


async def run_demo(**settings: Any) -> int:
    """The demo; returns 0 only if the server counts as many closed positions as were opened."""
    venue = Venue.of(**settings)
    task = asyncio.current_task()
    assert task is not None
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with serve(venue) as url, AsyncMizar(venue.create_key(), api_url=url) as mizar:
        console.print(f"[bold]{mizar!r}[/bold] {venue!r}", soft_wrap=True, markup=True)
        console.print(NOT_MODELLED, soft_wrap=True)
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


def bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


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
