"""Bars as a table of pyarrow, and as the data frame that was asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import attrs

from .._api.checks import refuse
from .._api.market import Bar

if TYPE_CHECKING:
    import pyarrow as pa

Backend = Literal["pandas", "polars"]

COLUMNS: Final = tuple(field.name for field in attrs.fields(Bar))
_WHOLE: Final = frozenset(name for name in COLUMNS if name.endswith(("timestamp", "_id", "_ticks")))


def libraries_of(backend: object) -> tuple[str, ...]:
    """What a kind of frame needs: InvalidInput for one that there is none of, ImportError if it is not installed."""
    if backend not in get_args(Backend):
        raise refuse("backend", backend, "it must be 'pandas' or 'polars'")
    for library in ("narwhals", "pyarrow", str(backend)):
        if importlib.util.find_spec(library) is None:
            extra = "polars" if library == "polars" else "'mizar[frames]'"
            raise ImportError(f"bars_frame needs {library}, which is missing: pip install {extra}")
    return "narwhals", "pyarrow.parquet", str(backend)


def schema() -> pa.Schema:
    """The columns: `time` in milliseconds UTC, prices and volumes as floats, the rest whole numbers."""
    import pyarrow as pa

    kinds = {"time": pa.timestamp("ms", tz="UTC")} | dict.fromkeys(_WHOLE, pa.int64())
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in COLUMNS])


def table(bars: Sequence[Bar]) -> pa.Table:
    """Bars as a table."""
    import pyarrow as pa

    def column(name: str) -> list[Any]:
        values = [getattr(bar, name) for bar in bars]
        if name == "time" or name in _WHOLE:
            return values
        return [None if value is None else float(value) for value in values]

    return pa.table({name: column(name) for name in COLUMNS}, schema=schema())


def joined(tables: list[pa.Table]) -> pa.Table:
    """Tables one behind the other."""
    import pyarrow as pa

    return pa.concat_tables([schema().empty_table(), *tables])


def between(bars: pa.Table, start: int, end: int) -> pa.Table:
    """The bars of a table, which is in order, that begin from one time on and before another."""
    first, last = bars["time"].cast("int64").to_numpy().searchsorted([start, end])
    return bars.slice(first, last - first)


def frame(bars: pa.Table, backend: Backend) -> Any:
    """A table as a data frame: of pandas, with `time` as its index, or of polars."""
    import narwhals as nw

    made = nw.from_arrow(bars, backend=backend).to_native()
    return made.set_index("time") if backend == "pandas" else made
