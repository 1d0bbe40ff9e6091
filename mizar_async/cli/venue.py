"""`mizar demo` and `mizar paper`: the local venue, and what its options mean."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import typer
from platformdirs import user_data_path

from .commands import command
from .positions import decimal
from .session import Session

Prices = Annotated[
    Path | None, typer.Option(help="Replay this CSV file of candles or trades.", exists=True, dir_okay=False)
]
Pair = Annotated[str | None, typer.Option(help="The pair of the file, if its name does not tell: BTC/USDT.")]
Speed = Annotated[float, typer.Option(help="How many times as fast as real time the venue's clock runs.")]
Seed = Annotated[int, typer.Option(help="The seed of simulated prices, and of delays.")]
Spread = Annotated[float, typer.Option(help="Percent between buying and selling; fills are worse by half of it.")]
Slippage = Annotated[float, typer.Option(help="Percent by which fills are worse, beside half of the spread.")]
Fee = Annotated[float, typer.Option(help="Percent of each fill, of exchange and platform; no part of its price.")]
Delay = Annotated[float, typer.Option(help="Seconds from an order to its fill, more or less by up to half of it.")]
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

FILE: Final = user_data_path("mizar") / "paper.db"

Db = Annotated[
    Path | None,
    typer.Option(help="The file of the venue; a new one is a fresh venue.", show_default=str(FILE)),
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

    return await run_demo(session, prices=prices, pair=pair, speed=speed, seed=seed, spread=spread)


async def paper(
    session: Session,
    prices: Prices = None,
    pair: Pair = None,
    speed: Speed = 1.0,
    seed: Seed = 0,
    spread: Spread = 0.02,
    slippage: Slippage = 0,
    fee: Fee = 0.1,
    delay: Delay = 0,
    volume_in: VolumeIn = "base",
    tick_bars: TickBars = None,
    volume_bars: VolumeBars = None,
    dollar_bars: DollarBars = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0 is a free one.", min=0, max=65535)] = 0,
    db: Db = None,
) -> int:
    """Run the local paper venue until Ctrl-C."""
    from .paper import run_paper

    if db is None:
        with contextlib.suppress(OSError):  # the store says what is wrong
            FILE.parent.mkdir(parents=True, exist_ok=True)
    return await run_paper(
        session,
        FILE if db is None else db,
        host,
        port,
        prices=prices,
        pair=pair,
        speed=speed,
        seed=seed,
        spread=spread,
        slippage=slippage,
        fee=fee,
        delay=delay,
        volume_in=volume_in,
        tick_bars=tick_bars,
        volume_bars=volume_bars,
        dollar_bars=dollar_bars,
    )
