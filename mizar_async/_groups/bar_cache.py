"""Bars on disk: a folder for each server, exchange, pair and kind, of Parquet files that each hold one span.

A file's name says which: all bars that begin from the first time on and before the second. A file is written beside and
renamed, and deleted only once another one holds all of its span, so that any number of processes may read and write.
Where two overlap, the part behind the first is taken of the second: every bar once, and what no file holds is missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import attrs

from .._api.endpoints import API_PREFIX
from .._api.market import OfBars
from .._wire.channel import Channel
from ..errors import InvalidInput
from .frames import between, joined, schema

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("mizar_async")

_NAME: Final = re.compile(r"(0|[1-9]\d{0,15})-([1-9]\d{0,15})\.parquet", re.ASCII)

_FULL: Final = 50_000
"""Rows that a file is not made longer than by others, so that to add some never takes long."""


@attrs.frozen
class Span:
    """All bars that begin from `start` on and before `end`."""

    start: int
    end: int
    bars: pa.Table = attrs.field(repr=False, eq=False)

    @classmethod
    def of(cls, start: int, end: int, bars: pa.Table) -> Span:
        """Those of a table that begin within it."""
        return cls(start, end, between(bars, start, end))


def missing(spans: list[Span], start: int, end: int | None) -> Iterator[tuple[int, int | None]]:
    """What no span holds of a longer one; its end is None where that is not known."""
    for span in spans:
        if start < span.start:
            yield start, span.start
        start = span.end
    if end is None or start < end:
        yield start, end


def check_folder(cache: object) -> None:
    """Make the folder if there is none; raises InvalidInput if that can't be."""
    if not isinstance(cache, (str, os.PathLike)) or not os.fspath(cache):
        raise InvalidInput(f"cache={cache!r} is refused: it must be the path of a folder")
    try:
        Path(cache).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError, TypeError) as problem:
        raise InvalidInput(f"cache={cache!r} is refused: it can't be used ({problem})") from None


def server_of(channel: Channel) -> str:
    """Whose prices they are: a paper venue says so, since under its address and key others may stand tomorrow."""
    address = channel.address
    if address.environment == "live":
        return address.url.partition("://")[2].removesuffix(f"{API_PREFIX}/")
    if channel.prices is not None:
        return f"paper-{channel.prices[:64]}"
    return f"{address.host}-{channel.key.fingerprint()[:12]}"


class Shelf:
    """The files of one kind of bars."""

    def __init__(self, cache: str | os.PathLike[str], channel: Channel, ask: OfBars) -> None:
        server = server_of(channel)
        kind = (server, ask.exchange, ask.base_asset, ask.quote_asset, ask.bar_type, ask.bar_subclass)
        # Names that a file system, or a reader, may take for one another are told apart by a digest of them.
        digest = hashlib.sha256(repr(kind).encode()).hexdigest()[:8]
        shown = (server, ask.exchange, f"{ask.base_asset}-{ask.quote_asset}", ask.bar_type)
        parts = [*shown, f"{ask.bar_subclass}-{digest}"]
        self._folder = Path(cache, *(quote(part, safe="").replace(".", "%2E") for part in parts))

    def read(self, start: int, end: int | None) -> list[Span]:
        """What is kept of a span, in order, each bar once. Raises InvalidInput if the folder can't be used."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lost: set[tuple[int, int]] = set()
            spans = None
            while spans is None:
                spans = self._read(start, end, lost)
        except OSError as problem:
            raise InvalidInput(f"cache is refused: {self._folder} can't be used ({problem.strerror})") from None
        return spans

    def keep(self, start: int, end: int, bars: pa.Table) -> None:
        """Write all bars of a span, together with what is next to it as long as that is short."""
        span = Span.of(start, end, bars)
        try:
            span = self._with_neighbours(span)
            self._write(span)
            for first, last in self._names():
                if span.start <= first and last <= span.end and (first, last) != (span.start, span.end):
                    self._path(first, last).unlink(missing_ok=True)
        except OSError as problem:
            log.warning("bars can't be kept in %s: %s", self._folder, problem.strerror)

    def _with_neighbours(self, span: Span) -> Span:
        for start, end in self._names():
            neighbour = self._load(start, end) if span.start == end or span.end == start else None
            if neighbour is not None and len(neighbour.bars) + len(span.bars) <= _FULL:
                first, second = sorted((neighbour, span), key=lambda one: one.start)
                span = Span(first.start, second.end, joined([first.bars, second.bars]))
        return span

    def _read(self, start: int, end: int | None, lost: set[tuple[int, int]]) -> list[Span] | None:
        """The same without the files that are lost; None, and one more of these, if one is lost now."""
        spans: list[Span] = []
        known = start
        for first, last in self._names():
            if last <= known or (end is not None and first >= end) or (first, last) in lost:
                continue
            span = self._load(first, last)
            if span is None:
                lost.add((first, last))
                return None
            known, since = last if end is None else min(last, end), max(known, first)
            spans.append(span if (since, known) == (first, last) else Span.of(since, known, span.bars))
        return spans

    def _names(self) -> list[tuple[int, int]]:
        """The spans of the files, by their beginning, longer ones first."""
        found = (_NAME.fullmatch(name) for name in os.listdir(self._folder))
        spans = [(int(name[1]), int(name[2])) for name in found if name is not None]
        return sorted(spans, key=lambda span: (span[0], -span[1]))

    def _path(self, start: int, end: int) -> Path:
        return self._folder / f"{start}-{end}.parquet"

    def _load(self, start: int, end: int) -> Span | None:
        """The span of a file, None if it is gone or broken; then it is gone, too."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._path(start, end)
        try:
            bars = pq.ParquetFile(path, page_checksum_verification=True).read()
            _check(bars, start, end)
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError, ValueError) as broken:
            if getattr(broken, "errno", None) is not None:  # it is not the file that is broken
                raise
            log.warning("%s is broken, and asked for anew: %s", path, str(broken).partition("\n")[0])
            path.unlink(missing_ok=True)
            return None
        return Span(start, end, bars)

    def _write(self, span: Span) -> None:
        import pyarrow.parquet as pq

        beside = self._folder / f".{os.getpid()}-{threading.get_ident()}.tmp"
        try:
            with beside.open("wb") as file:
                pq.write_table(span.bars, file, write_page_checksum=True)
            beside.replace(self._path(span.start, span.end))
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise


def _check(bars: pa.Table, start: int, end: int) -> None:
    if not bars.schema.equals(schema()):
        raise ValueError("it has other columns")
    if len(between(bars, start, end)) < len(bars):
        raise ValueError("its bars are of another time than its name says")
