"""`mizar positions`: what is open; opening and closing, one by one or by a file; closing all."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .commands import command, group
from .exits import DONE, WRONG_INPUT, Failure
from .output import Table, price_text, side_text, time_text, trimmed
from .session import Session
from .strategies import Id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .. import ClosedPosition, Position

OPEN_FIELDS = (
    *("position_id", "strategy_id", "base_asset", "quote_asset", "size", "is_long", "open_price", "open_timestamp"),
)
CLOSED_FIELDS = (*OPEN_FIELDS, "close_price", "close_timestamp")

Pair = Annotated[str | None, typer.Option(help="Of this pair only: BTC/USDT or BTCUSDT.")]
File = Annotated[str | None, typer.Option("--from", metavar="FILE", help="A CSV file; - is stdin.")]
NotDone = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the rows that may be submitted again, as they were.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the checked requests, and send nothing.")]


def decimal(text: str) -> Decimal:
    """A number of an option, exact."""
    try:
        return Decimal(text)
    except ArithmeticError:
        raise typer.BadParameter(f"{text[:80]!r} is no number such as 0.3") from None


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    positions = group(app, "positions", "What is open: list, open, close.")
    command(positions, "list")(list_positions)
    command(positions, "open")(open_positions)
    command(positions, "close")(close_positions)
    command(positions, "close-all")(close_all)


async def list_positions(session: Session, strategy_id: Id, pair: Pair = None) -> int:
    """List what is open of a strategy, oldest first."""
    from .. import Symbol

    only = None if pair is None else Symbol.of(pair).symbol
    async with session.client() as mizar:
        every = await mizar.get_all_open_positions(strategy_id=strategy_id)
    found = [position for position in every if only in {None, position.symbol}]
    title = f"{session.place}: strategy {strategy_id}, {len(found)} open{'' if only is None else f' of {only}'}"
    session.out.records(
        "open_positions", [position.to_dict() for position in found], OPEN_FIELDS, lambda: open_table(title, found)
    )
    return DONE


async def open_positions(
    session: Session,
    strategy_id: Annotated[
        int | None, typer.Argument(metavar="[STRATEGY]", help="The id of the strategy.", min=0)
    ] = None,
    pair: Annotated[str | None, typer.Argument(metavar="[PAIR]", help="BTC/USDT or BTCUSDT.")] = None,
    side: Annotated[str | None, typer.Option(help="long or short.")] = None,
    size: Annotated[
        Decimal | None,
        typer.Option(
            parser=decimal, metavar="SHARE", help="Share of what followers allow, up to 1, which is the default."
        ),
    ] = None,
    from_file: File = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keeps what was opened, so that nothing is opened twice; else MIZAR_JOURNAL, else FILE.journal.",
        ),
    ] = None,
    client_order_id: Annotated[
        str | None, typer.Option(metavar="NAME", help="A name for this open: the same one never opens twice.")
    ] = None,
    not_done: NotDone = None,
    dry_run: DryRun = False,
) -> int:
    """Open a position, or with --from those of a file.

    A file has the columns strategy_id, pair, side, size. It may also have the column client_order_id. A command that
    was killed is run again as it stands: what was done says so, and is not done again. To open the same rows anew, give
    another --journal.
    """
    if from_file is not None:
        if (strategy_id, pair, side, size, client_order_id) != (None,) * 5:
            raise Failure("--from excludes STRATEGY, PAIR and what else stands in the file", WRONG_INPUT)
        from .bulk import open_from

        return await open_from(session, from_file, journal=journal, not_done=not_done, dry_run=dry_run)
    if strategy_id is None or pair is None or side is None:
        raise Failure("give STRATEGY, PAIR and --side, or a file with --from", WRONG_INPUT)
    if not_done is not None:
        raise Failure("--not-done belongs to --from", WRONG_INPUT)
    from .orders import body_of, open_of

    size_text = "1" if size is None else str(size)
    cells = {"strategy_id": str(strategy_id), "pair": pair, "side": side, "size": size_text}
    ask = open_of(cells | ({} if client_order_id is None else {"client_order_id": client_order_id}))
    if dry_run:
        session.out.request("open-position", body_of(ask))
        return DONE
    kept = journal or session.journal
    if client_order_id is not None and kept is None:
        raise Failure("--client-order-id needs a journal: give --journal FILE, or set MIZAR_JOURNAL", WRONG_INPUT)
    what = f"{side_text(ask.is_long)} {trimmed(ask.size)} {ask.base_asset}/{ask.quote_asset}"
    await session.confirm_write(f"open {what} with strategy {strategy_id}?")
    async with session.client(journal=kept) as mizar:
        with session.interrupts.writing():
            (outcome,) = (await mizar.open_positions([ask])).outcomes  # which says whether it was there before
            if outcome.error is not None:
                raise outcome.error
        position = outcome.position
        assert position is not None
        title = f"{session.place}: {'repeated, and opened before' if outcome.repeated else 'opened'}"
        session.out.done(None, [position.to_dict()], OPEN_FIELDS, lambda: open_table(title, [position]))
    return DONE


async def close_positions(
    session: Session,
    position_ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Ids of positions.", min=0)
    ] = None,
    from_file: File = None,
    not_done: NotDone = None,
    dry_run: DryRun = False,
) -> int:
    """Close positions, or with --from those of a file.

    A file has the column position_id.
    """
    if bool(position_ids) == (from_file is not None):
        raise Failure("give the ids of positions, or a file with --from", WRONG_INPUT)
    from .bulk import close_from, close_ids

    if from_file is not None:
        return await close_from(session, from_file, not_done=not_done, dry_run=dry_run)
    assert position_ids is not None
    if len(position_ids) > 1:
        return await close_ids(session, position_ids, not_done=not_done, dry_run=dry_run)
    position_id = position_ids[0]
    if dry_run:
        session.out.request("close-position", {"position_id": position_id})
        return DONE
    await session.confirm_write(f"close position {position_id}?")
    async with session.client() as mizar:
        with session.interrupts.writing():
            position = await mizar.close_position(position_id=position_id)
        title = f"{session.place}: closed"
        session.out.done(None, [position.to_dict()], CLOSED_FIELDS, lambda: closed_table(title, [position]))
    return DONE


async def close_all(session: Session, strategy_id: Id, pair: Pair = None, dry_run: DryRun = False) -> int:
    """Close all that a strategy has open, and prove it.

    With --pair what it has of that pair. Programs elsewhere can open again: stop them first.
    """
    from .. import Symbol

    symbol = None if pair is None else Symbol.of(pair)
    assets = {} if symbol is None else {"base_asset": symbol.base_asset, "quote_asset": symbol.quote_asset}
    if dry_run:
        session.out.request("close-all-positions", {"strategy_id": strategy_id, **assets})
        return DONE
    async with session.client() as mizar:
        held = await mizar.get_all_open_positions(strategy_id=strategy_id)
        count = sum(symbol is None or position.symbol == symbol.symbol for position in held)
        what = "" if symbol is None else f" of {symbol.symbol}"
        now = f"{count} open now" if count else "though nothing is open now"
        await session.confirm(f"close all positions{what} of strategy {strategy_id}, {now}?")
        with session.interrupts.writing():
            if symbol is None:
                report = await mizar.flatten(strategy_id)
                closed, elsewhere = report.closed, report.closed_elsewhere
            else:
                closed = await mizar.close_all_positions(
                    strategy_id=strategy_id,
                    base_asset=symbol.base_asset,
                    quote_asset=symbol.quote_asset,
                    verify=True,
                )
                elsewhere = []
        closed = sorted(closed, key=lambda position: position.position_id)
        documents = [position.to_dict() for position in closed]
        title = f"{session.place}: strategy {strategy_id}, closed{what}"
        proof = (
            f"{len(closed)} closed{f', {len(elsewhere)} closed elsewhere' if elsewhere else ''}; a list of the server "
        )
        proof += f"that was asked for afterwards shows nothing open{what}."
        session.out.done("closed_positions", documents, CLOSED_FIELDS, lambda: closed_table(title, closed, proof))
        if session.out.as_json or session.out.as_csv:
            session.out.note(f"{session.place}: {proof}")
        session.out.note("Programs elsewhere can open again: stop them first if that is not what you want.")
    return DONE


def open_table(title: str, positions: Sequence[Position]) -> Table:
    """Open positions as people read them."""
    columns = ["id>", "strategy>", "pair", "side", "size>", "opened (UTC)", "open price>"]
    return Table(title, columns, [_cells(position) for position in positions])


def closed_table(title: str, positions: Sequence[ClosedPosition], caption: str = "") -> Table:
    """Closed positions as people read them."""
    from .output import coloured

    columns = ["id>", "pair", "side", "size>", "open price>", "closed (UTC)", "close price>", "return %>"]
    rows: list[list[Any]] = []
    for position in positions:
        number, _, pair, side, size, _, price = _cells(position)
        gain = "unknown" if position.return_pct is None else coloured(position.return_pct)
        closed_at = time_text(position.closed_at)
        rows.append([number, pair, side, size, price, closed_at, price_text(position.close_price), gain])
    return Table(title, columns, rows, caption)


def _cells(position: Position) -> list[str]:
    return [
        str(position.position_id),
        "unknown" if position.strategy_id is None else str(position.strategy_id),
        position.symbol,
        side_text(position.is_long),
        trimmed(position.size),
        time_text(position.opened_at),
        price_text(position.open_price),
    ]
