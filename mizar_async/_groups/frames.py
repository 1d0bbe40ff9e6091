"""Bars as a table of pyarrow, and as the data frame that was asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import attrs

from .._api.checks import refuse
from .._api.market import Bar, is_whole
from .._api.trading import BEYOND_PRICES, LEAST_PRICE
from ..errors import Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

Backend = Literal["pandas", "polars"]

COLUMNS: Final = tuple(field.name for field in attrs.fields(Bar))
_PRICES: Final = frozenset({"open", "high", "low", "close"})


def libraries_of(backend: object) -> tuple[str, ...]:
    """What a kind of frame needs: InvalidInput for one that there is none of, ImportError if it is not installed."""
    if backend not in get_args(Backend):
        raise refuse("backend", backend, "it must be 'pandas' or 'polars'")
    for library in ("narwhals", "pyarrow", "numpy", str(backend)):
        if importlib.util.find_spec(library) is None:
            extra = "polars" if library == "polars" else "'mizar[frames]'"
            raise ImportError(f"bars_frame needs {library}, which is missing: pip install {extra}")
    return "narwhals", "pyarrow.parquet", str(backend)


def schema() -> pa.Schema:
    """The columns: `time` in milliseconds UTC, prices and volumes as floats, the rest whole numbers."""
    import pyarrow as pa

    kinds = {name: pa.int64() if is_whole(name) else pa.float64() for name in COLUMNS}
    return pa.schema(kinds | {"time": pa.timestamp("ms", tz="UTC")})


def table(bars: Sequence[Any]) -> pa.Table:
    """Bars of floats as a table; what is no number that can be used is missing."""
    import pyarrow as pa

    columns = {name: [getattr(bar, name) for bar in bars] for name in COLUMNS}
    try:
        return pa.table(
            {name: values if is_whole(name) else _usable(name, values) for name, values in columns.items()},
            schema=schema(),
        )
    except (OverflowError, pa.ArrowException) as odd:
        reason = str(odd)
    raise Unavailable(f"bars: no frame can hold what the server gave: {reason}", method="GET", path="bars", attempts=1)


def _usable(name: str, values: list[float | None]) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    least = float(LEAST_PRICE) if name in _PRICES else -np.inf
    numbers = np.array(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # NaN, which is less than nothing
        usable = np.isfinite(numbers) & (numbers >= least) & (numbers < float(BEYOND_PRICES))
    return pa.array(numbers, mask=~usable)


def joined(tables: list[pa.Table], now: int | None = None) -> pa.Table:
    """Tables one behind the other, without the bars whose last trade is not over yet by a clock."""
    import pyarrow as pa

    bars = pa.concat_tables([schema().empty_table(), *tables])
    if now is None:
        return bars
    return bars.filter(pa.array([(last or 0) <= now for last in bars["last_timestamp"].to_pylist()], pa.bool_()))


def between(bars: pa.Table, start: int, end: int) -> pa.Table:
    """The bars of a table, which is in order, that begin from one time on and before another."""
    first, last = bars["time"].cast("int64").to_numpy().searchsorted([start, end])
    return bars.slice(first, last - first)


def frame(bars: pa.Table, backend: Backend) -> Any:
    """A table as a data frame: of pandas, with `time` as its index, or of polars."""
    import narwhals as nw

    made = nw.from_arrow(bars, backend=backend).to_native()
    if backend != "pandas":
        return made
    import pandas as pd

    for name in COLUMNS:
        if is_whole(name) and bars[name].null_count:  # pandas itself makes floats of such, which are not exact
            made[name] = pd.array(bars[name].to_pylist(), dtype="Int64")
    return made.set_index("time")
