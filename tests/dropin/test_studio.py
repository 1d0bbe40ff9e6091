"""`MizarStudio.get_bar_df`: the old frame, and the old client's file."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pandas as pd
import pytest

from mizar import MizarStudio
from mizar_async import InvalidInput, MizarError, Unavailable

from .documented import BAR

COLUMNS = list(BAR)
HOUR = 3_600_000
FILE = Path("bar", "binance", "BTCUSDT", "time", "D_bar_data.csv")


def bar(time: int, first: int | None, **other: object) -> dict[str, Any]:
    return BAR | {"time": time, "first_trade_id": first} | other


@attrs.define
class Bars:
    """A client that has these bars, a page of so many at a time."""

    bars: list[dict[str, Any]]
    page: int = 500
    asked: list[dict[str, Any]] = attrs.field(factory=list)

    def get_bar_data(self, **ask: Any) -> dict[str, Any]:
        self.asked.append(ask)
        found = [dict(sorted(one.items())) for one in self.bars if one["time"] >= ask["start_timestamp"]]
        return {"bars": found[: self.page]}


def studio(bars: Bars, path: object) -> MizarStudio:
    return MizarStudio(bars, path)  # type: ignore[arg-type]


HOURS = [bar(n * HOUR, n * 10, open=4000 + n) for n in range(1, 8)]


def test_the_frame_is_the_old_one(tmp_path: Path) -> None:
    frame = studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")
    assert list(frame.columns) == COLUMNS[1:]
    assert len(frame.columns) == 17
    assert (frame.index.name, frame.index.tz, frame.index[0]) == ("time", None, pd.Timestamp("1970-01-01 01:00"))
    assert frame.index.is_monotonic_increasing
    assert frame["open"].tolist() == [4000 + n for n in range(1, 8)]
    assert (frame["open"].dtype, frame["high"].dtype, frame["num_ticks"].dtype) == ("int64", "float64", "int64")


@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_pages_begin_with_the_last_bar_of_the_one_before_until_one_brings_nothing_new(
    page: int, tmp_path: Path
) -> None:
    bars = Bars(HOURS[:1] if page == 1 else HOURS, page)
    frame = studio(bars, tmp_path).get_bar_df("btc", "usdt", 0)
    assert len(frame) == len(bars.bars)
    starts = [ask["start_timestamp"] for ask in bars.asked]
    assert starts == sorted(starts)
    assert starts[-1] == bars.bars[-1]["time"]
    assert bars.asked[0] == {
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "start_timestamp": 0,
        "bar_type": "time",
        "bar_subclass": "D",
        "exchange": "binance",
    }


def test_bars_of_ticks_that_share_a_time_are_each_there_once(tmp_path: Path) -> None:
    ticks = [bar(time, first) for time, first in [(1, 1), (2, 2), (2, 3), (2, 4), (3, 5)]]
    tables = [studio(Bars(ticks[:end], 4), tmp_path).get_bar_df("BTC", "USDT") for end in (3, 5, 5)]
    assert [table["first_trade_id"].tolist() for table in tables] == [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]


def test_a_full_page_that_brings_nothing_new_is_an_error_and_not_an_end(tmp_path: Path) -> None:
    same = [bar(7, first) for first in range(501)]
    with pytest.raises(Unavailable, match="from time 7 on"):
        studio(Bars(same), tmp_path).get_bar_df("BTC", "USDT")
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("odd", [{"time": -5}, {"time": 10**13}, {"first_trade_id": 2**70}])
def test_a_bar_that_no_file_could_hold_is_an_unusable_answer(odd: dict[str, int], tmp_path: Path) -> None:
    studio(Bars(HOURS[:2]), tmp_path).get_bar_df("BTC", "USDT")
    before = (tmp_path / FILE).read_bytes()

    class Odd(Bars):
        def get_bar_data(self, **_: Any) -> dict[str, Any]:
            return {"bars": self.bars}

    with pytest.raises(Unavailable, match="can't be used"):
        studio(Odd([HOURS[1], HOURS[2] | odd]), tmp_path).get_bar_df("BTC", "USDT")
    assert (tmp_path / FILE).read_bytes() == before


def test_no_bars_are_an_empty_frame_and_no_file(tmp_path: Path) -> None:
    frame = studio(Bars([]), tmp_path).get_bar_df("BTC", "USDT")
    assert (len(frame), list(frame.columns), frame.index.name) == (0, COLUMNS[1:], "time")
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert not (tmp_path / FILE).exists()


def test_the_second_time_it_asks_once_from_the_last_bar_on_whatever_the_start_is(tmp_path: Path) -> None:
    first = studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")
    later = Bars(HOURS)
    second = studio(later, tmp_path).get_bar_df("BTC", "USDT", start_timestamp=10**12)
    pd.testing.assert_frame_equal(first, second)
    assert [ask["start_timestamp"] for ask in later.asked] == [7 * HOUR]


def test_bars_stay_though_the_server_has_them_no_more(tmp_path: Path) -> None:
    first = studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")
    pd.testing.assert_frame_equal(first, studio(Bars([]), tmp_path).get_bar_df("BTC", "USDT"))


def test_a_bar_that_was_not_over_is_replaced_when_it_is_asked_for_again(tmp_path: Path) -> None:
    studio(Bars([*HOURS[:-1], HOURS[-1] | {"close": 1.5}]), tmp_path).get_bar_df("BTC", "USDT")
    frame = studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")
    assert (len(frame), frame["close"].iloc[-1]) == (7, BAR["close"])


def test_numbers_come_back_from_the_file_exactly(tmp_path: Path) -> None:
    odd = [bar(1, 1, open=0.1 + 0.2, close=1e-9, high=123456789.12345679, low=5e-324)]
    first = studio(Bars(odd), tmp_path).get_bar_df("BTC", "USDT")
    pd.testing.assert_frame_equal(first, studio(Bars([]), tmp_path).get_bar_df("BTC", "USDT"), check_exact=True)


def test_what_the_server_did_not_say_is_no_number(tmp_path: Path) -> None:
    silent = [bar(n, None, open=None, num_ticks=None) for n in (1, 2)]
    for _ in range(2):
        frame = studio(Bars(silent), tmp_path).get_bar_df("BTC", "USDT")
        assert len(frame) == 2
        assert frame[["open", "num_ticks", "first_trade_id"]].isna().all(axis=None)
        assert frame["open"].dtype == "float64"


@pytest.mark.parametrize("path", ["there", "there/", "there/again", Path("there"), "", "./"])
def test_the_file_is_inside_the_folder_with_and_without_a_slash(
    path: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = studio(Bars(HOURS), path)
    assert (tmp_path / path).is_dir()
    made.get_bar_df("btc", "Usdt", bar_type="tick", bar_subclass="dynamic", exchange="other")
    file = tmp_path / path / "bar" / "other" / "btcUsdt" / "tick" / "dynamic_bar_data.csv"
    assert file.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert [one.name for one in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "a\\b", "", ".", "a\0b", None, 5])
@pytest.mark.parametrize("parameter", ["bar_type", "exchange", "bar_subclass"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: Any, parameter: str, tmp_path: Path) -> None:
    bars = Bars(HOURS)
    with pytest.raises(InvalidInput, match="it names a file"):
        studio(bars, tmp_path).get_bar_df("BTC", "USDT", **{parameter: name})
    assert (bars.asked, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("pair", [("BTC/", "USDT"), (None, "USDT"), ("", "USDT"), ("BTC", 5), (".", ".")])
def test_a_pair_that_names_no_file_is_refused(pair: tuple[Any, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="it names a file"):
        studio(Bars(HOURS), tmp_path).get_bar_df(*pair)
    assert list(tmp_path.iterdir()) == []


HEAD = ",".join(COLUMNS) + "\n"
LINE = ",".join(str(value) for value in BAR.values()) + "\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ((HEAD + LINE)[:-5], "its last line is cut off"),
        (HEAD + LINE + "\0" * 50, "its last line is cut off"),
        ("\0" * 50 + "\n", "no column 'time'"),
        ("date,price\n2022-01-01,5\n", "no column 'time'"),
        (HEAD.replace("open,", "opened,") + LINE, "no column 'open'"),
        (HEAD + LINE + LINE[:-1] + ",7,8\n", "Expected 18 fields"),
        (HEAD + LINE[:-1] + ",7\n", "as many fields"),
        (HEAD + LINE.replace("1502928000000", "2018-04-17 04:02:00+00:00"), "under 'time'"),
        (HEAD + LINE.replace("1502928000000", ""), "under 'time'"),
        (HEAD + LINE.replace("1502928000000", "-1"), "under 'time'"),
        (HEAD + LINE.replace("1502928000000", "1" + "0" * 13), "under 'time'"),
        (HEAD + LINE.replace("3427", "True"), "under 'num_ticks'"),
        (HEAD + LINE + LINE[:20] + "\n", "as many fields"),
        (HEAD + LINE.replace("795.15", "much"), "under 'base_asset_volume'"),
        ("\xff\xfe\n", "codec"),
    ],
)
def test_a_file_that_holds_anything_else_is_named_and_left_as_it_is(content: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(content.encode("latin-1"))
    bars = Bars(HOURS)
    with pytest.raises(InvalidInput) as refused:
        studio(bars, tmp_path).get_bar_df("BTC", "USDT")
    assert why in str(refused.value)
    assert str(file) in str(refused.value)
    assert (file.read_bytes(), bars.asked) == (content.encode("latin-1"), [])


@pytest.mark.parametrize("content", ["", HEAD], ids=["no byte", "names alone"])
def test_a_file_without_bars_is_as_none(content: str, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert len(studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")) == 7
    assert len(file.read_text().splitlines()) == 8


def test_columns_that_an_older_server_gave_are_kept(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.parent.mkdir(parents=True)
    file.write_text(f"id,{HEAD}1249,{','.join(str(value) for value in HOURS[0].values())}\n")
    frame = studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")
    assert list(frame.columns) == ["id", *COLUMNS[1:]]
    assert (len(frame), frame["num_ticks"].dtype) == (7, "int64")


def test_a_disk_that_is_full_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio(Bars(HOURS[:3]), tmp_path).get_bar_df("BTC", "USDT")
    before = (tmp_path / FILE).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")
    assert (tmp_path / FILE).read_bytes() == before
    assert [one.name for one in (tmp_path / FILE).parent.iterdir()] == [FILE.name]


def test_a_link_in_the_place_of_the_file_stays_one(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.csv"
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).symlink_to(elsewhere)
    studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")
    assert (tmp_path / FILE).is_symlink()
    assert len(elsewhere.read_text().splitlines()) == 8


def test_threads_on_one_file_leave_a_whole_one(tmp_path: Path) -> None:
    ready = threading.Barrier(6, timeout=60)

    def get(count: int) -> int:
        ready.wait()
        return len(studio(Bars(HOURS[:count]), tmp_path).get_bar_df("BTC", "USDT"))

    with ThreadPoolExecutor(6) as threads:
        lengths = list(threads.map(get, range(2, 8)))
    assert all(length >= count for length, count in zip(lengths, range(2, 8), strict=True))
    assert len(studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")) == 7
    assert [one.name for one in (tmp_path / FILE).parent.iterdir()] == [FILE.name]


def test_a_failure_in_the_middle_keeps_the_file_as_it_was(tmp_path: Path) -> None:
    studio(Bars(HOURS[:3]), tmp_path).get_bar_df("BTC", "USDT")
    before = (tmp_path / FILE).read_bytes()

    class Failing(Bars):
        def get_bar_data(self, **ask: Any) -> dict[str, Any]:
            if len(self.asked) == 1:
                raise MizarError("gone")
            return super().get_bar_data(**ask)

    with pytest.raises(MizarError, match="gone"):
        studio(Failing(HOURS, 3), tmp_path).get_bar_df("BTC", "USDT")
    assert (tmp_path / FILE).read_bytes() == before


def test_without_pandas_it_says_which_extra_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"mizar\[frames\]"):
        studio(Bars(HOURS), tmp_path).get_bar_df("BTC", "USDT")
