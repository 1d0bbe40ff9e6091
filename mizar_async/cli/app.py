"""The commands: which there are, and what all of them share."""

from __future__ import annotations

from typing import Annotated

import typer

from . import doctor, guard, journal, login, market, positions, stats, strategies, venue, watch
from .commands import by_itself
from .exits import DONE, MEANINGS, WRONG_INPUT, Failure
from .session import Session

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # rich would double what `--help` costs
    pretty_exceptions_enable=False,
    epilog=MEANINGS,
)


async def about(
    session: Session, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> int:
    """Trade through Mizar with self-hosted strategies, or try it here, without an account.

    The options below may stand behind any command as well.
    """
    if not version:
        raise Failure("name a command: `mizar --help` lists them", WRONG_INPUT)
    from .._version import installed_version

    print(f"mizar {installed_version()}")
    return DONE


by_itself(app, about, hidden=False)
for commands in (venue, login, doctor, strategies, positions, watch, market, stats, journal, guard):
    commands.add_to(app)
