"""A walk over pages of bars, oldest first: each bar once, and none left out.

A page begins at a time, inclusive, and bars may share one: so the next page begins at the `time` of the last bar, and
what came before is dropped by its first trade. The walk is over once a page brings nothing new, or a bar beyond the
end; for bars of a known width also once no other one has room before the end.
"""

from __future__ import annotations

import asyncio
import operator
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

    def new_of(self, page: list[Bar], *, alike: bool) -> list[Bar]:
        """The bars of a page that come after this, in order; `alike` says that bars of one time are one bar."""
        new: dict[tuple[int, int | None], Bar] = {}
        for bar in page:
            name = None if alike else bar.first_trade_id
            if bar.time > self.time or (bar.time == self.time and name not in self.had):
                if not alike and name is None and (bar.time, None) in new:
                    raise _cannot_tell(f"several bars of time {bar.time} do not name their first trade")
                if bar.time > _LAST_TIME:
                    raise _cannot_tell(f"a bar begins at {bar.time}, which is no time")
                new.setdefault((bar.time, name), bar)
        return sorted(new.values(), key=_time)

    def after(self, bars: list[Bar], *, alike: bool) -> Mark:
        """The mark behind these, which are new."""
        if not bars:
            return self
        last = bars[-1].time
        had = frozenset(None if alike else bar.first_trade_id for bar in bars if bar.time == last)
        return Mark(last, had | self.had if last == self.time else had)


_LAST_TIME: Final = 10**15 - 2
_time: Final = operator.attrgetter("time")


def _cannot_tell(why: str) -> Unavailable:
    return Unavailable(f"bars: {why}, so that nobody can tell what follows", method="GET", path="bars", attempts=1)


class Walk:
    """A walk over the bars that `ask` describes, from its start on."""

    def __init__(self, asked: Asked, ask: OfBars) -> None:
        self.width = width_of(ask.bar_type, ask.bar_subclass)
        self.mark = Mark(ask.start_timestamp)
        self.known_until = ask.start_timestamp
        """All bars that begin before this have been given."""
        self._asked = asked
        self._ask = ask
        self._over: int | None = None

    async def until(self, end: int | None = None, over: int | None = None) -> AsyncGenerator[list[Bar]]:
        """Give the bars that begin before `end`, a page at a time; go on from there when it is called again.

        Those of a known width are asked for several pages at a time once the first page was full. Bars that begin at
        `over` or later may be unfinished: they do not prove that nothing comes before them any more.
        """
        self._over = over
        part = self._part(self.mark, end, self.known_until)
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
            yield self._part(mark, until, mark.time)
            # In a long gap the parts behind it are empty, too.
            mark = Mark(max(until, self.known_until))

    def _part(self, mark: Mark, end: int | None, known_until: int) -> _Part:
        return _Part(self._asked, self._ask, mark, end, self._over, self.width, known_until)

    def _came(self, part: _Part, bars: list[Bar]) -> None:
        self.mark = self.mark.after(bars, alike=self.width is not None)
        self.known_until = part.known_until


class _Part:
    """A walk up to an end, in turn."""

    def __init__(
        self,
        asked: Asked,
        ask: OfBars,
        mark: Mark,
        end: int | None,
        over: int | None,
        width: int | None,
        known_until: int,
    ) -> None:
        self._asked, self._ask, self._mark, self._end, self._over, self._width = asked, ask, mark, end, over, width
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
        page = await self._page(self._mark.time)
        self.was_full = len(page) >= self._ask.limit
        alike = self._width is not None
        new = self._mark.new_of(page, alike=alike)
        if not new:
            await self._check_that_nothing_follows(page)
        bars = new if self._end is None else [bar for bar in new if bar.time < self._end]
        self._mark = self._mark.after(bars, alike=alike)
        if bars:  # of bars without a width more may come that begin when the last one does
            self.known_until = bars[-1].time + (self._width or 0)
        self._find_out_whether_it_is_over(new, bars)
        return bars

    async def _page(self, start: int) -> list[Bar]:
        return await self._asked(attrs.evolve(self._ask, start_timestamp=start))

    async def _check_that_nothing_follows(self, page: list[Bar]) -> None:
        """That a page without a new bar is the end, and not as many bars of one time as the server gives at once."""
        start = self._mark.time
        if self.was_full or (len(page) > 1 and await self._page(start + 1)):
            raise _cannot_tell(f"a full page from time {start} on brings no new bar")

    def _find_out_whether_it_is_over(self, new: list[Bar], bars: list[Bar]) -> None:
        if len(bars) < len(new):
            self.is_over = True
            if self._over is None or new[len(bars)].time < self._over:
                self.known_until = new[len(bars)].time
        elif self._end is not None and self._width is not None and self.known_until >= self._end:
            self.is_over = True
        elif not new:
            self.is_over = self.nothing_follows = True
