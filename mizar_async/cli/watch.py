"""`mizar watch`: what a strategy has open, and what it gains and loses, every few seconds."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from .commands import command
from .exits import WRONG_INPUT, Failure
from .session import Session
from .strategies import Id


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app)(watch)


async def watch(
    session: Session,
    strategy_id: Id,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="How often it looks, 0.2 s at least.")] = 2.0,
) -> int:
    """Watch what a strategy has open, until Ctrl-C.

    Newest first. Profits are in percent of what followers allow for one position, before fees, at the close of the last
    full minute, which is the newest price that the API has. With --json or --csv, or into a pipe, each look is printed.
    """
    if not (math.isfinite(every) and every >= 0.2):
        raise Failure(f"--every {every:g} is refused: it must be a finite number of seconds, 0.2 or more", WRONG_INPUT)
    import asyncio

    from .looks import Looks

    # A look that takes longer is an old one, and says so.
    patience = max(5.0, every)
    async with session.client().with_options(timeout=patience, deadline=patience, max_retries=1) as mizar:
        looks = Looks(session, mizar, strategy_id)
        with looks.shown() as show:
            while True:
                show(await looks.next())
                await asyncio.sleep(every)
