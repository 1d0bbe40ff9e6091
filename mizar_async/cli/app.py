"""The commands, their options, and their exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import math
import sys
from collections.abc import Callable, Coroutine
from decimal import Decimal
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import typer
from platformdirs import user_data_path
from rich.markup import escape

from .. import InvalidInput, MizarError
from .demo import run_demo
from .guard import run_guard
from .journal import show_journal
from .paper import run_paper
from .show import console

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_show_locals=False)

PAPER_FILE: Final = user_data_path("mizar") / "paper.db"

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


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise typer.BadParameter(f"{text!r} is no number") from None


VolumeBars = Annotated[
    Decimal | None,
    typer.Option(help="Bars of so much of the base asset, of a file of trades.", parser=_amount, metavar="<amount>"),
]
DollarBars = Annotated[
    Decimal | None,
    typer.Option(help="Bars of so much of the quote asset, of a file of trades.", parser=_amount, metavar="<amount>"),
]

Db = Annotated[
    Path | None,
    typer.Option(help="The file of the venue; a new one is a fresh venue.", show_default=str(PAPER_FILE)),
]


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
) -> None:
    """Run the local paper venue until Ctrl-C."""
    if db is None:
        with contextlib.suppress(OSError):  # the store says what is wrong
            PAPER_FILE.parent.mkdir(parents=True, exist_ok=True)
    run(
        run_paper,
        PAPER_FILE if db is None else db,
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


@app.command()
def demo(prices: Prices = None, pair: Pair = None, speed: Speed = 1.0, seed: Seed = 0, spread: Spread = 0.02) -> None:
    """Open, watch and close 200 positions against a real venue on this machine."""
    run(run_demo, prices=prices, pair=pair, speed=speed, seed=seed, spread=spread)


@app.command()
def journal(
    file: Annotated[Path, typer.Argument(help="The journal of a bot.", exists=True, dir_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    strategy: Annotated[int | None, typer.Option(help="Of this strategy only.")] = None,
    doubts: Annotated[bool, typer.Option("--doubts", help="Only what is not known to have ended.")] = False,
) -> None:
    """Show what a journal holds: each open that was sent, and what became of it. The bot may run meanwhile."""
    try:
        code = show_journal(file, as_json=as_json, strategy=strategy, doubts=doubts)
    except OSError as failure:  # whoever reads what it prints
        print(f"mizar journal: {failure}", file=sys.stderr)
        code = 1
    except MizarError as refused:
        console.print(f"[red]{escape(str(refused))}[/red]", soft_wrap=True)
        code = 2
    sys.exit(code)


@app.command(context_settings={"allow_interspersed_args": False})
def guard(
    command: Annotated[list[str], typer.Argument(help="The bot and its arguments, after --.")],
    strategy: Annotated[list[int], typer.Option(help="A strategy to flatten; may be given several times.", min=0)],
    silence: Annotated[
        float | None, typer.Option(help="Seconds without a sign of life after which the bot counts as dead.", min=1.5)
    ] = None,
    keep_on_success: Annotated[
        bool, typer.Option("--keep-on-success", help="Leave the positions of a bot that ends with 0.")
    ] = False,
) -> None:
    """Run a bot, and close everything it has opened when it ends, for whatever reason, or is silent.

    Exit code: the bot's (128 + n after signal n), 124 if it was silent; 3 whenever positions may be left open; 4 if the
    key is refused, 5 if the server is not reachable: then nothing is started.
    """
    if silence is not None and not math.isfinite(silence):
        raise typer.BadParameter("it must be a finite number of seconds", param_hint="--silence")
    run(run_guard, command, strategy, silence, keep_on_success)


def run(work: Callable[..., Coroutine[Any, Any, int]], *arguments: object, **settings: object) -> None:
    """Run a command; its exit code is what it returns."""

    async def begin() -> int:
        return await work(*arguments, **settings)

    try:
        code = anyio.run(begin, backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None})
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    except InvalidInput as refused:
        console.print(f"[red]{escape(str(refused))}[/red]", soft_wrap=True)
        code = 2
    sys.exit(code)
