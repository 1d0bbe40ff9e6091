"""`mizar strategies`: list, show, create."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .commands import command, group
from .exits import DONE, NOT_DONE, Failure
from .output import Table, time_text
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .. import Strategy

FIELDS = ("strategy_id", "name", "exchange", "market", "symbols", "creation_timestamp")

Id = Annotated[int, typer.Argument(metavar="STRATEGY", help="The id of the strategy.", min=0)]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    strategies = group(app, "strategies", "List, show and create strategies.")
    command(strategies, "list")(list_strategies)
    command(strategies, "show")(show_strategy)
    command(strategies, "create")(create_strategy)


async def list_strategies(session: Session) -> int:
    """List the strategies of this key, oldest first."""
    async with session.client() as mizar:
        found = await mizar.get_all_self_hosted_strategies_info()
    documents = [strategy.to_dict() for strategy in found]
    session.out.records("strategies", documents, FIELDS, lambda: _table(f"{session.place}: strategies", found))
    return DONE


async def show_strategy(session: Session, strategy_id: Id) -> int:
    """Show one strategy."""
    async with session.client() as mizar:
        every = await mizar.get_all_self_hosted_strategies_info()
    found = [strategy for strategy in every if strategy.strategy_id == strategy_id]
    if not found:
        raise Failure(f"{session.place}: this key has no strategy {strategy_id}: `mizar strategies list`", NOT_DONE)
    session.out.records(None, *_one(session, found[0]))
    return DONE


async def create_strategy(
    session: Session,
    name: Annotated[str, typer.Option(help="Its name.")],
    symbol: Annotated[list[str], typer.Option(help="A pair that it trades, BTCUSDT; may be given several times.")],
    market: Annotated[str, typer.Option(help="SPOT (long only) or FUTURES.")],
    exchange: Annotated[str, typer.Option(help="The exchange.")] = "binance",
    description: Annotated[str, typer.Option(help="What it does.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the checked request, and send nothing.")] = False,
) -> int:
    """Publish a strategy that your own program hosts."""
    from .. import Symbol

    symbols, market = [Symbol.of(one).symbol for one in symbol], market.upper()
    if dry_run:
        ask = {"name": name, "description": description, "exchanges": [exchange], "symbols": symbols, "market": market}
        session.out.request("publish-self-hosted-strategy", ask)
        return DONE
    await session.confirm_write(f"publish strategy {name!r} on {', '.join(symbols)}, {market}?")
    async with session.client() as mizar:
        with session.interrupts.writing():
            strategy = await mizar.create_self_hosted_strategy(
                name=name, description=description, exchanges=[exchange], symbols=symbols, market=market
            )
        session.out.done(None, *_one(session, strategy))
    return DONE


def _one(session: Session, strategy: Strategy) -> tuple[list[dict[str, Any]], tuple[str, ...], Callable[[], Table]]:
    title = f"{session.place}: strategy {strategy.strategy_id}"
    return [strategy.to_dict()], FIELDS, lambda: _table(title, [strategy])


def _table(title: str, strategies: Sequence[Strategy]) -> Table:
    rows = [
        [
            str(strategy.strategy_id),
            strategy.name,
            strategy.exchange,
            strategy.market,
            _pairs(strategy),
            "unknown" if strategy.created_at is None else time_text(strategy.created_at),
        ]
        for strategy in strategies
    ]
    columns = ["id>", "name", "exchange", "market", "pairs", "created (UTC)"]
    return Table(title, columns, rows, "" if rows else "none yet: `mizar strategies create` makes one")


def _pairs(strategy: Any) -> str:
    names = [symbol.symbol for symbol in strategy.symbols]
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return " ".join(names[:6]) + more
