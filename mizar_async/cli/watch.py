"""`mizar watch`: what a strategy has open, and what it gains and loses, every few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from .commands import command
from .exits import WRONG_INPUT, Failure
from .output import Table, coloured, price_text, side_text, time_text, trimmed
from .session import Session
from .strategies import Id

if TYPE_CHECKING:
    from .. import AsyncMizar, Position

_MINUTE: Final = 60_000
_AT_ONCE: Final = 8
"""How many prices are asked for together."""

FIELDS: Final = (
    "time",
    "position_id",
    "symbol",
    "is_long",
    "size",
    "open_price",
    "open_timestamp",
    "price",
    "profit_pct",
)


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
    async with session.client() as mizar:
        looks = _Looks(session, mizar, strategy_id)
        with looks.shown() as show:
            while True:
                show(await looks.next())
                await asyncio.sleep(every)


@dataclasses.dataclass
class _Look:
    at: int
    """By the server's clock, in milliseconds."""
    positions: Sequence[Position]
    prices: dict[str, Decimal | None]
    minute: int
    trouble: str = ""
    """Why it is old."""


@dataclasses.dataclass
class _Looks:
    """One look after another. A price stays what it is for a minute, and is asked for once in it."""

    session: Session
    mizar: AsyncMizar
    strategy_id: int
    last: _Look | None = None
    is_first: bool = True

    async def next(self) -> _Look:
        """What is open now; the last look again, with the reason, where the server gives no answer."""
        from .. import Unavailable

        try:
            at = await self.mizar.server_time()
            positions = await self.mizar.get_all_open_positions(strategy_id=self.strategy_id)
            self.last = _Look(at, positions[::-1], await self._prices(positions, at), at // _MINUTE)
        except Unavailable as failure:
            if self.last is None:
                raise
            self.last = dataclasses.replace(self.last, trouble=str(failure))
        return self.last

    async def _prices(self, positions: Sequence[Position], at: int) -> dict[str, Decimal | None]:
        known = self.last.prices if self.last is not None and self.last.minute == at // _MINUTE else {}
        wanted = {position.symbol: position for position in positions if known.get(position.symbol) is None}
        room = asyncio.Semaphore(_AT_ONCE)

        async def price(position: Position) -> Decimal | None:
            from .. import MizarError

            async with room:
                try:
                    bars = await self.mizar.market.bars(
                        base_asset=position.base_asset,
                        quote_asset=position.quote_asset,
                        start=max(0, (at // _MINUTE - 5) * _MINUTE),
                        bar_subclass="1min",
                    )
                except MizarError:  # no bars of this pair, or no answer: there is no price, and the positions count
                    return None
            over = [bar for bar in bars if bar.time + _MINUTE <= at]
            return over[-1].close if over else None

        found = await asyncio.gather(*map(price, wanted.values()))
        return {**known, **dict(zip(wanted, found, strict=True))}

    @contextlib.contextmanager
    def shown(self) -> Iterator[Any]:
        """What shows a look: the whole screen of a terminal, or a line, or rows."""
        out = self.session.out
        if out.as_json or out.as_csv or not sys.stdout.isatty():
            yield self._print
            return
        from rich.live import Live

        from .output import fitted

        console = out.console()
        with Live(console=console, screen=True, auto_refresh=False) as live:
            yield lambda look: live.update(fitted(self._table(look), console), refresh=True)

    def _print(self, look: _Look) -> None:
        if self.session.out.as_json:
            self.session.out.line(
                {
                    "time": look.at,
                    "environment": self.session.address.environment,
                    "host": self.session.address.host,
                    "positions": [_record(look, position) for position in look.positions],
                    "trouble": look.trouble or None,
                }
            )
        elif self.session.out.as_csv:
            rows = [list(_record(look, position).values()) for position in look.positions]
            self.session.out.rows([FIELDS, *rows] if self.is_first else rows)
        else:
            self.session.out.table(self._table(look))
        self.is_first = False

    def _table(self, look: _Look) -> Table:
        columns = ["id>", "pair", "side", "size>", "opened (UTC)", "open price>", "price>", "profit %>"]
        gains = [_profit(look, position) for position in look.positions]
        known = [gain for gain in gains if gain is not None]
        rows: list[list[Any]] = [
            [
                str(position.position_id),
                position.symbol,
                side_text(position.is_long),
                trimmed(position.size),
                time_text(position.opened_at),
                price_text(position.open_price),
                "-" if look.prices.get(position.symbol) is None else price_text(look.prices[position.symbol]),
                "-" if gain is None else coloured(gain),
            ]
            for position, gain in zip(look.positions, gains, strict=True)
        ]
        total = f"profit of {len(known)}: {coloured(sum(known, Decimal(0)))[0]} %"
        left_out = f", {len(gains) - len(known)} without a price" if len(known) < len(gains) else ""
        minute = f"{look.minute % 1440 // 60:02}:{look.minute % 60:02}"
        title = f"{self.session.place}: strategy {self.strategy_id}, {len(gains)} open, {_clock(look.at)} UTC"
        caption = f"{total}{left_out}, before fees; prices as of {minute} UTC, the end of the last full minute"
        return Table(title, columns, rows, f"{caption}. NO ANSWER: {look.trouble}" if look.trouble else caption)


def _profit(look: _Look, position: Position) -> Decimal | None:
    """The return of the price times the size, in percent of what followers allow for one position."""
    price = look.prices.get(position.symbol)
    if price is None or position.open_price is None:
        return None
    gain = (price / position.open_price - 1) * 100 * position.size
    if not math.isfinite(float(gain)):  # of a size that is none, as answers may have it
        return None
    return gain if position.is_long else -gain


def _record(look: _Look, position: Position) -> dict[str, Any]:
    price, gain = look.prices.get(position.symbol), _profit(look, position)
    return {
        "time": look.at,
        "position_id": position.position_id,
        "symbol": position.symbol,
        "is_long": position.is_long,
        "size": float(position.size),
        "open_price": None if position.open_price is None else f"{position.open_price:f}",
        "open_timestamp": position.open_timestamp,
        "price": None if price is None else f"{price:f}",
        "profit_pct": None if gain is None else round(float(gain), 6),
    }


def _clock(milliseconds: int) -> str:
    seconds = milliseconds // 1000 % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
