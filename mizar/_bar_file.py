"""The CSV file of the old client, which either client reads and writes on: a line for each bar, `time` in milliseconds.

It is written beside and renamed, so that whatever ends the writing, the file holds what it held or what it should.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import attrs

from mizar_async import Bar, InvalidInput

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Final = [field.name for field in attrs.fields(Bar)]

_ONCE: Final = ["time", "first_trade_id"]
"""What no two bars have in common; several bars of ticks may begin at one time."""

_LAST_TIME: Final = 10**13
"""No bar begins so late; what a data frame can hold ends before."""

Marks = set[tuple[int, int | None]]


class BarFile:
    """The bars of one kind in a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> pd.DataFrame:
        """The bars as they were written; without a row if there is no file, or nothing in it.

        Raises InvalidInput, and leaves the file alone, if it holds anything else than bars.
        """
        try:
            with open(self.path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            content = b""
        if not content:
            return table([])
        if not content.endswith(b"\n"):
            raise self._refused("its last line is cut off")
        return self._checked(content)

    def write(self, bars: pd.DataFrame) -> None:
        """Put these bars in the place of what it holds. Raises OSError, and leaves the file as it was."""
        path = os.path.realpath(self.path)
        beside = f"{path}.{secrets.token_hex(8)}.part"
        try:
            with open(beside, "x", encoding="utf-8", newline="") as file:
                bars.to_csv(file, index=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise

    def _checked(self, content: bytes) -> pd.DataFrame:
        import pandas as pd

        try:
            bars = pd.read_csv(io.BytesIO(content), **_exactly(pd.__version__))
        except ValueError as problem:
            raise self._refused(" ".join(str(problem).split())) from None
        if lacking := [name for name in COLUMNS if name not in bars]:
            raise self._refused(f"it has no column {lacking[0]!r}")
        if content.count(b",") != content.count(b"\n") * (len(bars.columns) - 1):
            raise self._refused("not all of its lines have as many fields as it has columns")
        if bars.empty:
            return table([])
        if odd := odd_column(bars):
            raise self._refused(f"what it has under {odd!r} is not what bars have there")
        return bars

    def _refused(self, why: str) -> InvalidInput:
        return InvalidInput(
            f"{self.path} is not a file of bars: {why}. It was left as it is; move it away or delete it, and the bars "
            "are asked for anew"
        )


def _exactly(version: str) -> dict[str, Any]:
    """What makes pandas read a float as it was written; from 3.1 on it does so by itself, and warns of the word."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return {} if (major, minor) >= (3, 1) else {"float_precision": "round_trip"}


def table(bars: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Bars as they stand in a file."""
    import pandas as pd

    rows = [{name: float("nan") if bar[name] is None else bar[name] for name in COLUMNS} for bar in bars]
    return pd.DataFrame(rows, columns=COLUMNS) if rows else pd.DataFrame(columns=COLUMNS, dtype="float64")


def odd_column(bars: pd.DataFrame) -> str | None:
    """The first column that holds what bars do not have there; None where all is well, as it is of no bars."""
    for name in () if bars.empty else COLUMNS:
        if bars[name].dtype.kind not in ("i" if name == "time" else "if"):
            return name
    return None if all(map(is_time, bars["time"].tolist())) else "time"


def is_time(milliseconds: int) -> bool:
    """Whether a bar may begin then."""
    return 0 <= milliseconds < _LAST_TIME


def joined(known: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The bars of both, in order, each once: as the second has it, since it may not have been over in the first."""
    import pandas as pd

    if known.empty or new.empty:
        bars = new if known.empty else known
    else:
        bars = pd.concat([known, new]).drop_duplicates(_ONCE, keep="last")
    return bars.sort_values("time", kind="stable", ignore_index=True)


def last_of(bars: pd.DataFrame) -> tuple[int, Marks]:
    """The last time at which bars of a table begin, and what tells those that begin then from others."""
    times, firsts = bars["time"].tolist(), bars["first_trade_id"].tolist()
    last = max(times)
    at_last = (first for time, first in zip(times, firsts, strict=True) if time == last)
    return last, {(last, int(first) if math.isfinite(first) else None) for first in at_last}


def frame(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars by their time, which has no zone and is UTC."""
    import pandas as pd

    return bars.set_index(pd.to_datetime(bars["time"], unit="ms")).drop(columns="time")
