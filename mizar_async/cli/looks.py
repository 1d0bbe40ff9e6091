"""Looks at what a strategy has open: positions, the last known prices, and what they gain."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from .. import AsyncMizar, MizarError, Position, Unavailable
from .output import Cell, Table, coloured, fitted, flat, price_text, profit, side_text, time_text, trimmed

if TYPE_CHECKING:
    from .session import Session

FIELDS: Final = (
    *("time", "position_id", "symbol", "is_long", "size", "open_price", "open_timestamp", "price", "profit_pct"),
)

_MINUTE: Final = 60_000
_BACK: Final = 5
"""Minutes after which a price is none any more."""
_AT_ONCE: Final = 8
"""How many prices are asked for together."""


@dataclasses.dataclass(frozen=True)
class Price:
    """The close of a minute, and when it ended, in minutes since the epoch."""

    value: Decimal
    minute: int


@dataclasses.dataclass(frozen=True)
class Look:
    """What was open at one time."""

    at: int
    """By the server's clock, in milliseconds."""
    positions: Sequence[Position]
    """Newest first."""
    prices: dict[str, Price | None]
    trouble: str = ""
    """Why it is an old one."""

    @property
    def minute(self) -> int:
        """The end of the last full minute."""
        return self.at // _MINUTE

    def price(self, position: Position) -> Decimal | None:
        """The last known price of its pair; None if there is none."""
        found = self.prices.get(position.symbol)
        return None if found is None else found.value

    def profit(self, position: Position) -> Decimal | None:
        """What it gains at that, in percent of what followers allow for one position, before fees."""
        price = self.price(position)
        if price is None or position.open_price is None:
            return None
        gain = profit(position, price)
        return gain if math.isfinite(float(gain)) else None  # answers may have sizes that are none


@dataclasses.dataclass
class Looks:
    """One look after another. A price stays what it is for a minute, and is asked for once in it."""

    session: Session
    mizar: AsyncMizar
    strategy_id: int
    last: Look | None = None
    is_first: bool = True

    async def next(self) -> Look:
        """What is open now; the last look again, with the reason, where the server gives no answer."""
        try:
            at = await self.mizar.server_time()
            positions = await self.mizar.get_all_open_positions(strategy_id=self.strategy_id)
            self.last = Look(at, positions[::-1], await self._prices(positions, at))
        except Unavailable as failure:
            if self.last is None:
                raise
            self.last = dataclasses.replace(self.last, trouble=str(failure))
        return self.last

    async def _prices(self, positions: Sequence[Position], at: int) -> dict[str, Price | None]:
        known = self.last.prices if self.last is not None and self.last.minute == at // _MINUTE else {}
        wanted = {position.symbol: position for position in positions if position.symbol not in known}
        room = asyncio.Semaphore(_AT_ONCE)
        found: dict[str, Price | None] = {}

        async def ask(position: Position) -> None:
            # Without an answer there is no price now: the positions count, and the next look asks again.
            async with room:
                with contextlib.suppress(MizarError):
                    found[position.symbol] = await self._price(position, at)

        await asyncio.gather(*map(ask, wanted.values()))
        return {**known, **found}

    async def _price(self, position: Position, at: int) -> Price | None:
        bars = await self.mizar.market.bars(
            base_asset=position.base_asset,
            quote_asset=position.quote_asset,
            start=max(0, (at // _MINUTE - _BACK) * _MINUTE),
            bar_subclass="1min",
        )
        over = [bar for bar in bars if bar.time + _MINUTE <= at and bar.close is not None]
        if not over or over[-1].close is None:
            return None
        return Price(over[-1].close, over[-1].time // _MINUTE + 1)

    @contextlib.contextmanager
    def shown(self) -> Iterator[Callable[[Look], None]]:
        """What shows a look: the whole screen of a terminal, or a line, or rows."""
        out = self.session.out
        if out.as_json or out.as_csv or not sys.stdout.isatty():
            yield self._print
            return
        from rich.live import Live

        console = out.console()
        try:
            with Live(console=console, screen=True, auto_refresh=False) as live:
                yield lambda look: live.update(fitted(self.table(look), console), refresh=True)
        finally:
            if self.last is not None:  # the screen is as it was before: leave the last look on it
                out.table(self.table(self.last))

    def _print(self, look: Look) -> None:
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
            rows = [[flat(value) for value in _record(look, position).values()] for position in look.positions]
            self.session.out.rows([FIELDS, *rows] if self.is_first else rows)
        else:
            self.session.out.table(self.table(look))
        self.is_first = False

    def table(self, look: Look) -> Table:
        """A look as people read it."""
        columns = ["id>", "pair", "side", "size>", "opened (UTC)", "open price>", "price>", "profit %>"]
        gains = [look.profit(position) for position in look.positions]
        known = [gain for gain in gains if gain is not None]
        rows: list[list[Cell]] = [
            [
                str(position.position_id),
                position.symbol,
                side_text(position.is_long),
                trimmed(position.size),
                time_text(position.opened_at),
                price_text(position.open_price),
                _price_cell(look, look.prices.get(position.symbol)),
                "-" if gain is None else coloured(gain),
            ]
            for position, gain in zip(look.positions, gains, strict=True)
        ]
        total = f"profit of {len(known)}: {coloured(sum(known, Decimal(0)))[0]} %, before fees"
        left_out = f"; {len(gains) - len(known)} without a price" if len(known) < len(gains) else ""
        caption = f"{total}{left_out}; prices of {_minute(look.minute)} UTC, the end of the last full minute"
        title = f"{self.session.place}: strategy {self.strategy_id}, {len(gains)} open, {_clock(look.at)} UTC"
        return Table(title, columns, rows, f"{caption}. NO ANSWER: {look.trouble}" if look.trouble else caption)


def _price_cell(look: Look, price: Price | None) -> str:
    if price is None:
        return "-"
    text = price_text(price.value)
    return text if price.minute == look.minute else f"{text} ({_minute(price.minute)})"


def _record(look: Look, position: Position) -> dict[str, Any]:
    price, gain = look.price(position), look.profit(position)
    return {
        "time": look.at,
        "position_id": str(position.position_id),
        "symbol": position.symbol,
        "is_long": position.is_long,
        "size": float(position.size),
        "open_price": None if position.open_price is None else f"{position.open_price:f}",
        "open_timestamp": position.open_timestamp,
        "price": None if price is None else f"{price:f}",
        "profit_pct": None if gain is None else round(float(gain), 6),
    }


def _minute(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def _clock(milliseconds: int) -> str:
    return f"{_minute(milliseconds // _MINUTE)}:{milliseconds // 1000 % 60:02}"
