"""Draw docs/watch.svg and docs/doctor.svg: what the commands show in a terminal, of a venue in this process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from mizar_async import AsyncMizar, Clock, OpenPosition, paper
from mizar_async.cli.doctor import doctor
from mizar_async.cli.looks import Looks
from mizar_async.cli.output import Output, Table, rendered
from mizar_async.cli.session import Session

DOCS = Path(__file__).parents[1] / "docs"
START = 1_790_000_000_000
WIDTH = 100


class Recorded(Output):
    """Output that is drawn."""

    def table(self, table: Table) -> None:
        self.recorder = Console(file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, highlight=False)
        self.recorder.print(rendered(table, self.recorder))


async def main() -> None:
    """Open some positions, and draw what is seen of them."""
    async with served(Clock(start=START)) as venue, AsyncMizar() as mizar:
        await prepared(mizar)
        venue.clock = Clock(start=START + 300_000)
        await drawn("watch", lambda session: watched(session, mizar))
    async with served(Clock()), AsyncMizar() as mizar:
        await prepared(mizar)
        await drawn("doctor", doctor)


@contextlib.asynccontextmanager
async def served(clock: Clock) -> AsyncIterator[paper.Venue]:
    """A venue that the environment leads to."""
    venue = paper.Venue(feed=paper.Simulated(seed=7), clock=clock)
    async with paper.serve(venue, port=8000) as url:
        os.environ["MIZAR_API_URL"], os.environ["MIZAR_API_KEY"] = url, venue.create_key()
        yield venue


async def prepared(mizar: AsyncMizar) -> None:
    pairs = ("BTC", "ETH", "BNB", "SOL", "XRP", "ADA")
    symbols = [f"{base}USDT" for base in pairs]
    await mizar.create_self_hosted_strategy(
        name="Momentum", description="", exchanges=["binance"], symbols=symbols, market="FUTURES"
    )
    for number in range(12):
        await mizar.open_positions(
            [
                OpenPosition(
                    strategy_id=1,
                    base_asset=pairs[number % 6],
                    quote_asset="USDT",
                    size=round(0.1 * (1 + number % 10), 1),
                    is_long=number % 3 != 0,
                )
            ]
        )


async def watched(session: Session, mizar: AsyncMizar) -> None:
    looks = Looks(session, mizar, 1)
    session.out.table(looks.table(await looks.next()))


async def drawn(name: str, show: Callable[[Session], Coroutine[Any, Any, Any]]) -> None:
    """Draw what a command shows."""
    out = Recorded()
    await show(Session(out))
    told = out.recorder.export_svg(title=f"mizar {name}", theme=DIMMED_MONOKAI, unique_id=f"mizar-{name}")
    # Without the fonts that it would fetch from somewhere.
    (DOCS / f"{name}.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", told, flags=re.DOTALL))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        os.environ.pop("XDG_CONFIG_HOME", None)
        asyncio.run(main())
