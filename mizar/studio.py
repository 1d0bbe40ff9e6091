"""The old client's second class: bars as a data frame that is kept in a file, and strategies with their source."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from mizar_async import InvalidInput, Unavailable
from mizar_async._api.market import LARGEST_PAGE

from ._bar_file import BarFile, Marks, frame, is_time, joined, last_of, odd_column, table
from ._client import Mizar
from ._values import Document, Id

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MizarStudio"]


class MizarStudio:
    """Data frames of bars, and strategies that Mizar runs.

        studio = MizarStudio(Mizar(), "prices/")
        frame = studio.get_bar_df("BTC", "USDT", bar_subclass="1H")

    `path` is a folder, made if there is none; with or without a "/" at its end the files are inside it.
    """

    def __init__(self, mizar: Mizar, path: str | os.PathLike[str] = "./") -> None:
        self.mizar = mizar
        self.path = path
        os.makedirs(os.fspath(path) or ".", exist_ok=True)

    def get_bar_df(
        self,
        base_asset: str,
        quote_asset: str,
        start_timestamp: Id = 0,
        bar_type: str = "time",
        bar_subclass: str = "D",
        exchange: str = "binance",
    ) -> pd.DataFrame:
        """All bars of a kind from `start_timestamp` on, in milliseconds since the epoch, as a pandas data frame.

        It has a row for each bar, 17 columns, and as its index `time`, when the bar began, UTC and without a zone; no
        rows where there are no bars. They are kept in `bar/EXCHANGE/PAIR/BAR_TYPE/BAR_SUBCLASS_bar_data.csv`: if that
        file is there, all of it is given, whatever `start_timestamp` says, and only what came later is asked for. The
        newest bar may be unfinished where the server shows such; it is replaced when it is asked for again.

        Raises `InvalidInput` for a file that holds anything else than bars, OSError if it can't be written, and leaves
        it as it is then; `MizarAPIException` where the server said no, `Unavailable` where it gave nothing that can be
        used, and ImportError without the extra `frames`.
        """
        _check_pandas()
        file = self._file(exchange, f"{_name(base_asset)}{_name(quote_asset)}", bar_type, bar_subclass)

        def page(start: Id) -> list[Document]:
            bars: list[Document] = self.mizar.get_bar_data(
                base_asset=base_asset.upper(),
                quote_asset=quote_asset.upper(),
                start_timestamp=start,
                bar_type=bar_type,
                bar_subclass=bar_subclass,
                exchange=exchange,
            )["bars"]
            return bars

        known = file.read()
        new = _walked(page, *((start_timestamp, set()) if known.empty else last_of(known)))
        bars = joined(known, table(new))
        if odd := odd_column(bars):
            raise _unusable(f"bars have something under {odd!r} that no bar has there")
        if new:
            file.write(bars)
        return frame(bars)

    def _file(self, exchange: str, pair: str, bar_type: str, bar_subclass: str) -> BarFile:
        folder = os.path.join(self.path, "bar", _name(exchange), pair, _name(bar_type))
        file = BarFile(os.path.join(folder, f"{_name(bar_subclass)}_bar_data.csv"))
        os.makedirs(folder, exist_ok=True)
        return file

    def save_strategy(
        self,
        strategy: Any,
        strategy_file_path: str | os.PathLike[str],
        data_sources: dict[str, dict[str, str]],
        strategy_name: str,
        strategy_description: str,
    ) -> Document:
        """Publish a strategy of `mizarlabs` for Mizar to run, with the file that holds its source.

        Gives and raises what `Mizar.save_hosted_strategy` does.
        """
        with open(strategy_file_path, encoding="utf-8") as file:
            source = file.read()
        info = {
            "strategy_signal_name": strategy_name,
            "description": strategy_description,
            "data_sources": data_sources,
            "target_data_source": strategy.strategy_pipeline.align_on_,
        } | {name: getattr(strategy, name) for name in _SETTINGS}
        return self.mizar.save_hosted_strategy(strategy, strategy_info=info, strategy_file=source)


_SETTINGS: Final = (
    "num_expiration_bars",
    "trailing_take_profit_deviation",
    "trailing_stop_loss_deviation",
    "stop_loss_tick_level",
    "take_profit_tick_level",
)


def _check_pandas() -> None:
    if importlib.util.find_spec("pandas") is None:
        raise ImportError("get_bar_df needs pandas, which is missing: pip install 'mizar[frames]'")


def _name(part: object) -> str:
    if not isinstance(part, str) or part in {"", ".", ".."} or not {"/", "\\", "\0"}.isdisjoint(part):
        raise InvalidInput(f"{part!r} is refused: it names a file, and must be text without '/', '\\' and '..'")
    return part


def _walked(page: Callable[[Id], list[Document]], start: Id, had: Marks) -> list[Document]:
    """All bars from a time on: a page begins with the last bar of the one before it, until one brings nothing new."""
    found: dict[tuple[int, int | None], Document] = {}
    while True:
        bars = {(bar["time"], bar["first_trade_id"]): bar for bar in page(start)}
        found |= bars
        if bars.keys() <= had:
            break
        had |= bars.keys()
        start = max(time for time, _ in bars)
        if not all(is_time(time) for time, _ in bars):
            raise _unusable("a bar begins at a time that can't be")
    if len(bars) >= LARGEST_PAGE:
        raise _unusable(f"a full page of bars from time {start} on brings no new one")
    return [*found.values()]


def _unusable(why: str) -> Unavailable:
    return Unavailable(f"the server's answer can't be used: {why}", method="GET", path="bars", attempts=1)
