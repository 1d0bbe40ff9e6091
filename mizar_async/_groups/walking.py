"""A walk over pages of bars, oldest first: each bar once, and none left out.

A page begins at a time, inclusive, and bars may share one: so the next page begins at the `time` of the last bar, and
what came before is dropped by its first trade. The walk is over once a page brings nothing new, or a bar beyond the
end; for bars of a known width also once no other one has room before the end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Final

import anyio
import attrs

from .._api.market import Bar, OfBars, width_of
from ..errors import Unavailable

Asked = Callable[[OfBars], Awaitable[list[Bar]]]

_AT_ONCE: Final = 8
"""How many pages are under way."""


@attrs.frozen
class Mark:
    """How far a walk has come: the next page begins at `time`, of whose bars those with these first trades are had."""

    time: int
    had: frozenset[int | None] = frozenset()

    def new_of(self, page: list[Bar]) -> list[Bar]:
        """The bars of a page that come after this."""
        new: dict[tuple[int, int | None], Bar] = {}
        for bar in page:
            if bar.time > self.time or (bar.time == self.time and bar.first_trade_id not in self.had):
                new.setdefault((bar.time, bar.first_trade_id), bar)
        return [*new.values()]

    def after(self, bars: list[Bar]) -> Mark:
        """The mark behind these, which are new."""
        if not bars:
            return self
        last = bars[-1].time
        had = frozenset(bar.first_trade_id for bar in bars if bar.time == last)
        return Mark(last, had | self.had if last == self.time else had)


class Walk:
    """A walk over the bars that `ask` describes, from its start on."""

    def __init__(self, asked: Asked, ask: OfBars) -> None:
        self.width = width_of(ask.bar_type, ask.bar_subclass)
        self.mark = Mark(ask.start_timestamp)
        self.known_until = ask.start_timestamp
        """All bars that begin before this have been given."""
        self._asked = asked
        self._ask = ask

    async def until(self, end: int | None = None) -> AsyncGenerator[list[Bar]]:
        """Give the bars that begin before `end`, a page at a time; go on from there when it is called again.

        Those of a known width are asked for several pages at a time once the first page was full.
        """
        part = _Part(self._asked, self._ask, self.mark, end, self.width, self.known_until)
        while not part.is_over:
            bars = await part.following()
            self._came(part, bars)
            if bars:
                yield bars
            if part.was_full and not part.is_over and self.width is not None and end is not None:
                async with aclosing(self._concurrently(self.width, end)) as pages:
                    async for bars in pages:
                        yield bars
                return

    async def _concurrently(self, width: int, end: int) -> AsyncGenerator[list[Bar]]:
        tasks: deque[asyncio.Task[tuple[_Part, list[Bar]]]] = deque()
        parts = self._parts(width, end)
        try:
            while True:
                while len(tasks) < _AT_ONCE and (part := next(parts, None)) is not None:
                    tasks.append(asyncio.get_running_loop().create_task(part.whole()))
                if not tasks:
                    return
                part, bars = await tasks.popleft()
                self._came(part, bars)
                if bars:
                    yield bars
                if part.nothing_follows:
                    return
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                with anyio.CancelScope(shield=True):
                    await asyncio.wait(tasks)
                for task in tasks:  # what became of them is nobody's any more
                    if not task.cancelled():
                        task.exception()

    def _parts(self, width: int, end: int) -> Iterator[_Part]:
        mark, span = self.mark, self._ask.limit * width
        while mark.time < end:
            until = min(mark.time + span, end)
            yield _Part(self._asked, self._ask, mark, until, width, mark.time)
            # In a long gap the parts behind it are empty, too.
            mark = Mark(max(until, self.known_until))

    def _came(self, part: _Part, bars: list[Bar]) -> None:
        self.mark = self.mark.after(bars)
        self.known_until = part.known_until


class _Part:
    """A walk up to an end, in turn."""

    def __init__(
        self, asked: Asked, ask: OfBars, mark: Mark, end: int | None, width: int | None, known_until: int
    ) -> None:
        self._asked, self._ask, self._mark, self._end, self._width = asked, ask, mark, end, width
        self.known_until = known_until
        self.is_over = end is not None and known_until >= end
        self.was_full = False
        self.nothing_follows = False
        """Whether there was no bar at the end or behind it."""

    async def whole(self) -> tuple[_Part, list[Bar]]:
        """All bars of it."""
        bars: list[Bar] = []
        while not self.is_over:
            bars += await self.following()
        return self, bars

    async def following(self) -> list[Bar]:
        """The bars of the next page that are new, and begin before the end."""
        page = await self._asked(attrs.evolve(self._ask, start_timestamp=self._mark.time))
        self.was_full = len(page) >= self._ask.limit
        new = self._mark.new_of(page)
        if not new and self.was_full:
            raise Unavailable(
                f"bars: a full page from time {self._mark.time} on brings no new bar, so that nobody can tell what "
                "follows it",
                method="GET",
                path="bars",
                attempts=1,
            )
        bars = new if self._end is None else [bar for bar in new if bar.time < self._end]
        self._mark = self._mark.after(bars)
        if bars:  # of bars without a width more may come that begin when the last one does
            self.known_until = bars[-1].time + (self._width or 0)
        self._find_out_whether_it_is_over(new, bars)
        return bars

    def _find_out_whether_it_is_over(self, new: list[Bar], bars: list[Bar]) -> None:
        if len(bars) < len(new):
            self.is_over, self.known_until = True, new[len(bars)].time
        elif self._end is not None and self._width is not None and self.known_until >= self._end:
            self.is_over = True
        elif not new:
            self.is_over = self.nothing_follows = True
