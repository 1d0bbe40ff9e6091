"""`mizar stats` and `mizar compare`: what a history of positions comes to, and how paper differs from real trading."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from .commands import command
from .exits import DONE, NOT_DONE, WRONG_INPUT, Failure
from .output import Table, coloured, counted, side_text, trimmed
from .positions import decimal, open_table
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .. import Position
    from ..compare import Comparison
    from ..performance import Performance
    from .sources import History

_SHOWN: Final = 20

Fee = Annotated[
    Decimal | None,
    typer.Option(parser=decimal, metavar="PERCENT", help="Of each fill; by default what the source says, else 0."),
]

Setting = Annotated[Decimal, typer.Option(parser=decimal, metavar="NUMBER", help="As paper was traded with.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app)(stats)
    command(app)(compare)


async def stats(
    session: Session,
    source: Annotated[
        str | None,
        typer.Argument(help="CSV or JSON lines of closed positions, the file of a paper venue, or - for stdin."),
    ] = None,
    strategy: Annotated[
        int | None,
        typer.Option(metavar="ID", help="Of this strategy; without SOURCE, on a paper venue that runs.", min=0),
    ] = None,
    fee: Fee = None,
) -> int:
    """Show what positions have gained, at what risk.

    docs/figures.md says what each figure means. Percent are of what was needed at most at one instant.
    """
    from .. import performance

    history = await _history(session, source, strategy)
    figures = performance.of(history.positions, fee=_fee_of(history, fee))
    without_fee = 0 if fee is not None else sum(history.fee(position) is None for position in history.positions)
    if session.out.as_json:
        session.out.document({"source": history.name, **figures.to_dict(), "without_fee": without_fee})
    elif session.out.as_csv:
        told = {name: value for name, value in figures.to_dict().items() if not isinstance(value, (list, dict))}
        told |= {"unpriced": len(figures.unpriced), "without_fee": without_fee}
        session.out.rows([("figure", "value"), *told.items()])
    else:
        session.out.tables(_tables(_titled(history), figures, without_fee))
    return DONE


def _titled(history: History) -> str:
    count = len({position.strategy_id for position in history.positions})
    return history.name if count < 2 else f"{history.name}: {count} strategies together"


async def _history(session: Session, source: str | None, strategy: int | None) -> History:
    from .sources import read, read_running

    if source is not None:
        return read(source).of_strategy(strategy)
    if strategy is None:
        raise Failure("name a SOURCE, or a strategy of a running paper venue with --strategy", WRONG_INPUT)
    return await read_running(session, strategy)


def _fee_of(history: History, fee: Decimal | None) -> Any:
    if fee is not None:
        return fee
    return lambda position: history.fee(position) or Decimal(0)


def _left_out(figures: Performance, without_fee: int) -> str:
    """What the figures do not have in them."""
    unpriced, told = len(figures.unpriced), []
    if unpriced:
        are = "is" if unpriced == 1 else "are"
        told.append(f"{counted(unpriced, 'position')} with an unknown price or time {are} in no gain.")
    if not figures.fees:
        told.append("No fees are subtracted: --fee 0.1 subtracts 0.1 % of each fill.")
    elif without_fee:
        told.append(f"Of {counted(without_fee, 'position')} no fee is known, and none is subtracted: see --fee.")
    else:
        told.append("Fees are subtracted.")
    return " ".join(told)


def _tables(name: str, figures: Performance, without_fee: int) -> list[Table]:
    return [
        Table(f"{name}: {_span(figures)}", ["figure", "value>", ""], _rows(figures), _left_out(figures, without_fee)),
        _parts(
            "Months (UTC)",
            "month",
            [(month.month, month.gain, month.returns, month.closed) for month in figures.months],
        ),
        _parts("Sides", "side", _of_parts(figures.sides)),
        _parts("Pairs", "pair", _of_parts(figures.pairs)),
    ]


def _rows(figures: Performance) -> list[list[Any]]:
    before = _ratio(figures.gain_before_fees, figures.required())
    hits = f"{figures.wins:,} wins, {figures.losses:,} losses of {figures.closed:,} closed"
    return [
        ["return", _percent(figures.returns()), f"before fees {_percent(before)[0]}"],
        ["last 30 days", _percent(figures.last_30_days), ""],
        ["max drawdown", _plain(figures.max_drawdown, " %"), "realised"],
        ["Sharpe", "unknown" if figures.sharpe is None else f"{figures.sharpe:.2f}", "of a year, by days"],
        ["hit rate", _plain(figures.hit_rate, " %", 1), hits],
        ["gain", coloured(figures.gain, 4), f"units, after fees of {figures.fees:.4f}"],
        ["required", f"{figures.required():.4f}", "units open at once, at most"],
        ["trades", f"{figures.trades:,}", f"{figures.open:,} open; {_plain(figures.trades_per_week, ' a week', 1)}"],
        ["held", _held(figures.holding_time), "on average"],
        ["best trade", _percent(figures.best), "return of the price, before fees"],
        ["worst trade", _percent(figures.worst), ""],
    ]


def _span(figures: Performance) -> str:
    if figures.first_opened is None or figures.until is None:
        return counted(figures.trades, "trade")
    first, last = (datetime.fromtimestamp(at / 1000, UTC).date() for at in (figures.first_opened, figures.until))
    return f"{counted(figures.trades, 'trade')}, {figures.side}, {first} to {last} ({counted(figures.days, 'day')})"


def _of_parts(parts: dict[str, Performance]) -> list[tuple[str, Decimal, Decimal | None, int]]:
    return [(name, part.gain, part.returns(), part.closed) for name, part in parts.items()]


def _parts(title: str, what: str, parts: list[tuple[str, Decimal, Decimal | None, int]]) -> Table:
    rows: list[list[Any]] = [
        [name, coloured(gain, 4), _percent(returns), f"{closed:,}"] for name, gain, returns, closed in parts
    ]
    return Table(title, [what, "gain>", "return>", "closed>"], rows)


def _ratio(gain: Decimal, required: Decimal) -> Decimal | None:
    return 100 * gain / required if required else None


def _percent(number: Decimal | None) -> tuple[str, str]:
    if number is None:
        return "unknown", ""
    text, style = coloured(number, 2)
    return f"{text} %", style


def _plain(number: Decimal | None, unit: str, decimals: int = 2) -> str:
    return "unknown" if number is None else f"{number:,.{decimals}f}{unit}"


def _held(time: timedelta | None) -> str:
    return "unknown" if time is None else str(timedelta(seconds=round(time.total_seconds())))


async def compare(
    session: Session,
    paper: Annotated[str, typer.Argument(help="What was traded on paper: a SOURCE of `mizar stats`.")],
    live: Annotated[str, typer.Argument(help="What was traded for real.")],
    window: Annotated[float, typer.Option(metavar="SECONDS", help="How far apart two openings may be.")] = 60.0,
    spread: Setting = Decimal("0.02"),
    slippage: Setting = Decimal(0),
    delay: Setting = Decimal(0),
) -> int:
    """Compare paper trading with real trading.

    Matched are trades of the same pair, side and size by the nearest time of opening. Basis points are against the
    trader: positive where live was worse. --spread, --slippage and --delay are those that paper was traded with.
    """
    from .. import compare as comparing
    from .sources import read

    found = comparing.of(
        read(paper).positions, read(live).positions, window=window, spread=spread, slippage=slippage, delay=delay
    )
    if not found.matched:
        raise Failure(
            f"nothing matches: none of {len(found.only_paper)} trades of {paper} has one of the same pair, side and "
            f"size within {window:g} s among {len(found.only_live)} of {live}; --window widens it",
            NOT_DONE,
        )
    if session.out.as_json:
        session.out.document(found.to_dict())
    elif session.out.as_csv:
        fields = ("pair", "paper", "live", "entry", "exit", "open_delay", "close_delay", "gain")
        session.out.records("matched", found.to_dict()["matched"], fields, lambda: _matched(found))
    else:
        alone = [_alone(*one) for one in (("on paper only", found.only_paper), ("live only", found.only_live))]
        session.out.tables([_matched(found), _suggested(found), *alone])
    return DONE


def _matched(found: Comparison) -> Table:
    columns = ["pair", "side", "paper>", "live>", "entry bp>", "exit bp>", "later s>", "closed later s>", "gain>"]
    rows: list[list[Any]] = [
        [
            match.paper.symbol,
            side_text(match.paper.is_long),
            str(match.paper.position_id),
            str(match.live.position_id),
            *_differences(match),
        ]
        for match in found.matched
    ]
    rows.append(["median", "", "", "", *_differences(found.medians)])
    return Table(f"{len(found.matched)} trades on both sides", columns, rows)


def _differences(of: Any) -> list[Any]:
    """Differences as they are shown: of the first two, which are costs, less is better."""
    costs = [_signed(of.entry, 2, costs=True), _signed(of.exit, 2, costs=True)]
    return [*costs, _signed(of.open_delay, 3)[0], _signed(of.close_delay, 3)[0], _signed(of.gain, 5)]


def _signed(number: Decimal | None, decimals: int, *, costs: bool = False) -> tuple[str, str]:
    if number is None:
        return "unknown", ""
    text, style = coloured(number, decimals)
    return text, {"green": "red", "red": "green"}.get(style, "") if costs else style


def _alone(name: str, positions: Sequence[Position]) -> Table:
    """Trades that have no match, some of them."""
    some = sorted(positions, key=lambda position: position.open_timestamp or 0)[:_SHOWN]
    table = open_table(f"{len(positions)} {name}", some)
    more = len(positions) - len(some)
    return dataclasses.replace(table, caption=f"and {more} more" if more else "")


def _suggested(found: Comparison) -> Table:
    had = found.settings
    known = [
        ("--spread", had.spread, found.spread),
        ("--slippage", had.slippage, found.slippage),
        ("--delay", had.delay, found.delay),
    ]
    rows = [
        [option, *("unknown" if value is None else trimmed(round(value, 4)) for value in values)]
        for option, *values in known
    ]
    told = "What paper had is what these options say here. Slippage holds what the price moved while live was later."
    return Table("Paper like live", ["option", "paper had>", "like live>"], rows, told)
