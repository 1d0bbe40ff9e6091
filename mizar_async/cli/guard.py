"""`mizar guard`: a dead man's switch around a bot."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from .commands import command
from .exits import WRONG_INPUT, Failure
from .session import Session


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app, context_settings={"allow_interspersed_args": False})(guard)


async def guard(
    session: Session,
    command: Annotated[list[str], typer.Argument(help="The bot and its arguments, after --.")],
    strategy: Annotated[list[int], typer.Option(help="A strategy to flatten; may be given several times.", min=0)],
    silence: Annotated[
        float | None, typer.Option(help="Seconds without a sign of life after which the bot counts as dead.", min=1.5)
    ] = None,
    keep_on_success: Annotated[
        bool, typer.Option("--keep-on-success", help="Leave the positions of a bot that ends with 0.")
    ] = False,
) -> int:
    """Run a bot, and flatten its strategies when it ends.

    For whatever reason that is, and also if it is silent: all that is open is closed, whoever opened it, and nobody is
    asked. Key and address are those of the environment, which are the bot's as well. Exit code: the bot's (128 + n
    after signal n), 124 if it was silent; 3 whenever positions may be left open; 4 if the key is refused, 5 if the
    server is not reachable: then nothing is started.
    """
    if silence is not None and not math.isfinite(silence):
        raise Failure(f"--silence {silence} is refused: it must be a finite number of seconds", WRONG_INPUT)
    if session.profile is not None:
        raise Failure(
            "guard takes key and address from the environment, since they are the bot's as well: set MIZAR_API_KEY and "
            "MIZAR_API_URL in place of --profile. Nothing is started.",
            WRONG_INPUT,
        )
    from .guarding import run_guard

    return await run_guard(command, strategy, silence, keep_on_success, session.journal)
