"""`mizar demo` and `mizar paper`: the local venue, and what its options mean."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from .commands import command
from .positions import decimal
from .session import Session

Prices = Annotated[
    Path | None, typer.Option(help="Replay this CSV file of candles or trades.", exists=True, dir_okay=False)
]
Pair = Annotated[str | None, typer.Option(help="The pair of the file, if its name does not tell: BTC/USDT.")]
Speed = Annotated[float, typer.Option(help="How many times as fast as real time the venue's clock runs.")]
Seed = Annotated[int, typer.Option(help="The seed of the simulated prices.")]
Spread = Annotated[float, typer.Option(help="Percent between buying and selling; fills are worse by half of it.")]
VolumeIn = Annotated[str, typer.Option(help="What the volume of the file's candles is counted in: base or quote.")]
TickBars = Annotated[int | None, typer.Option(help="Bars of so many trades, of a file of trades.")]
VolumeBars = Annotated[
    Decimal | None,
    typer.Option(help="Bars of so much of the base asset, of a file of trades.", parser=decimal, metavar="<amount>"),
]
DollarBars = Annotated[
    Decimal | None,
    typer.Option(help="Bars of so much of the quote asset, of a file of trades.", parser=decimal, metavar="<amount>"),
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app)(demo)
    command(app)(paper)


async def demo(
    session: Session,
    prices: Prices = None,
    pair: Pair = None,
    speed: Speed = 1.0,
    seed: Seed = 0,
    spread: Spread = 0.02,
) -> int:
    """Watch 200 positions open and close on this machine."""
    from .demo import run_demo

    return await run_demo(prices=prices, pair=pair, speed=speed, seed=seed, spread=spread)


async def paper(
    session: Session,
    prices: Prices = None,
    pair: Pair = None,
    speed: Speed = 1.0,
    seed: Seed = 0,
    spread: Spread = 0.02,
    volume_in: VolumeIn = "base",
    tick_bars: TickBars = None,
    volume_bars: VolumeBars = None,
    dollar_bars: DollarBars = None,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 is a free one.", min=0, max=65535)] = 0,
    db: Annotated[Path | None, typer.Option(help="The file of the venue; a new one is a fresh venue.")] = None,
) -> int:
    """Run the local paper venue until Ctrl-C."""
    from .paper import run_paper

    return await run_paper(
        db,
        port,
        prices=prices,
        pair=pair,
        speed=speed,
        seed=seed,
        spread=spread,
        volume_in=volume_in,
        tick_bars=tick_bars,
        volume_bars=volume_bars,
        dollar_bars=dollar_bars,
    )
