"""Files of orders: what is read, what is refused with its line, and what the rows are named."""

from __future__ import annotations

import io
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async.cli.exits import WRONG_INPUT, Failure
from mizar_async.cli.orders import MOST_ROWS, read_closes, read_opens

HEAD = "strategy_id,pair,side,size\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "o.csv"


def refused(file: Path, content: str | bytes, read: object = read_opens) -> str:
    """Why a file is refused."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(Failure) as caught:
        read(str(file))  # type: ignore[operator]
    assert caught.value.code == WRONG_INPUT
    assert str(caught.value).splitlines()[-1].endswith("Nothing was sent.")
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        f"{HEAD}1,BTC/USDT,long,0.5\n",
        f"{HEAD}1,BTC/USDT,long,0.5",
        f"\ufeff{HEAD}1,BTC/USDT,long,0.5\n",
        f"{HEAD}1,BTC/USDT,long,0.5\n".replace("\n", "\r\n"),
        f"{HEAD}\n1,BTC/USDT,long,0.5\n\n,,,\n",
        " Strategy_ID , PAIR,side,SIZE\n 1 ,BTCUSDT, Long ,5e-1\n",
        'strategy_id,pair,side,size\n"1","BTC/USDT","LONG","0.50"\n',
        "strategy_id,base_asset,quote_asset,is_long,size\n1,BTC,USDT,true,0.5\n",
        "strategy_id,symbol,is_long,size\n1,BTCUSDT,1,.5\n",
        'strategy_id,pair,side,size,note\n1,BTC/USDT,long,0.5,"several\nlines, and ""quotes"""\n',
        "strategy_id,pair,side,size,note\n1,BTC/USDT,long,0.5,a\0b\n",
    ],
    ids=[
        *("plain", "no last line end", "a mark of byte order", "CRLF", "empty lines", "other capitals and spaces"),
        *("quotes", "the API's names", "a symbol and a digit", "a note of several lines", "a NUL in a note"),
    ],
)
def test_what_means_the_same_is_read_as_the_same_row(file: Path, content: str) -> None:
    file.write_bytes(content.encode())
    (row,) = read_opens(str(file)).rows
    ask = row.ask
    assert (ask.strategy_id, ask.base_asset, ask.quote_asset, ask.is_long) == (1, "BTC", "USDT", True)
    assert ask.size == Decimal("0.5")
    # The name depends on what is asked for alone, so that a file that is saved anew opens nothing twice.
    file.write_text(f"{HEAD}1,BTC/USDT,long,0.5\n")
    assert read_opens(str(file)).rows[0].ask.client_order_id == ask.client_order_id


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,BTC/USDT,long,NaN", "size="),
        ("1,BTC/USDT,long,sNaN", "size="),
        ("1,BTC/USDT,long,Infinity", "size="),
        ("1,BTC/USDT,long,0", "more than 0 and at most 1"),
        ("1,BTC/USDT,long,-0.1", "more than 0 and at most 1"),
        ("1,BTC/USDT,long,1.5", "more than 0 and at most 1"),
        ("1,BTC/USDT,long,1e-500000000", "size="),
        ("1,BTC/USDT,long,\uff10.\uff15", "it must be a number such as 0.3"),
        ("1,BTC/USDT,long,0_1", "it must be a number such as 0.3"),
        ('1,BTC/USDT,long,"0,5"', "it must be a number such as 0.3"),
        ("1,BTC/USDT,long,0x1", "it must be a number such as 0.3"),
        ("\uff11,BTC/USDT,long,0.5", "it must be a whole number"),
        ("-1,BTC/USDT,long,0.5", "it must be a whole number"),
        ("1.0,BTC/USDT,long,0.5", "it must be a whole number"),
        ("99999999999999999999,BTC/USDT,long,0.5", "it must be a whole number"),
        (",BTC/USDT,long,0.5", "it must be a whole number"),
        ("1,,long,0.5", "pair="),
        ("1,BTC,long,0.5", "BTC"),
        ("1,BTC/USDT,up,0.5", "side='up' is refused: it must be long or short"),
        ("1,BTC/USDT,long", "it has 3 cells, and there are 4 columns"),
        ("1,BTC/USDT,long,0.5,", "it has 5 cells, and there are 4 columns"),
        ('1,BTC/USDT,long,"0.5', "unexpected end of data"),
        ('1,BTC/USDT,long,"0.5"x', "expected after"),
    ],
)
def test_a_row_that_can_not_be_is_named_by_its_line(file: Path, row: str, reason: str) -> None:
    said = refused(file, f"{HEAD}1,BTC/USDT,long,0.5\n\n{row}\n")
    assert said.startswith(f"{file}, line 4: "), said
    assert reason in said
    assert len(said.splitlines()) == 2


def test_tiny_sizes_are_read_exactly(file: Path) -> None:
    file.write_text(f"{HEAD}1,BTC/USDT,long,1e-5\n1,BTC/USDT,long,0.00001\n1,BTC/USDT,long,{'0.' + '1' * 60}\n")
    first, second, third = (row.ask for row in read_opens(str(file)).rows)
    assert first.size == second.size == Decimal("0.00001")
    assert first.client_order_id != second.client_order_id
    assert third.size == Decimal("0." + "1" * 60)


def test_a_size_that_is_left_out_is_one(file: Path) -> None:
    file.write_text("strategy_id,pair,side\n1,BTC/USDT,short\n")
    (row,) = read_opens(str(file)).rows
    assert (row.ask.size, row.ask.is_long) == (1, False)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not none"),
        ("\n\n", "not none"),
        ("1,BTC/USDT,long,0.5\n", "the columns must be strategy_id, pair, side"),
        ("strategy_id;pair;side;size\n", "its columns must be separated by commas"),
        ("strategy_id,pair,side,Size, size\n", "the column 'size' stands twice"),
        ("strategy_id,pair,side,,\n", "the column '' stands twice"),
        ("strategy_id,pair,symbol,side\n", "the columns must be"),
        ("strategy_id,pair,side,is_long\n", "the columns must be"),
        ("pair,side,size\n", "the columns must be"),
        ("strategy_id,base_asset,side\n", "the columns must be"),
    ],
)
def test_columns_that_can_not_be_are_refused(file: Path, content: str, reason: str) -> None:
    assert reason in refused(file, content)


def test_a_header_alone_is_a_file_without_rows(file: Path) -> None:
    file.write_text(HEAD)
    assert read_opens(str(file)).rows == []
    file.write_text("position_id\n")
    assert read_closes(str(file)).rows == []


def test_text_that_is_not_utf_8_is_refused_with_its_line(file: Path) -> None:
    said = refused(file, f"{HEAD}1,BTC/USDT,long,0.5\n1,BTC/USDT,long,0.5\xe9\n".encode("latin-1"))
    assert said.startswith(f"{file}, line 3: it is no UTF-8 text")
    assert "UTF-8" in refused(file, HEAD.encode("utf-16"))


def test_all_faults_are_counted_and_twenty_are_shown(file: Path) -> None:
    said = refused(file, HEAD + "1,BTC/USDT,up,0.5\n" * 25).splitlines()
    assert len(said) == 22
    assert said[0].startswith(f"{file}, line 2: ")
    assert said[20:] == ["and 5 more", "Nothing was sent."]


def test_more_rows_than_may_be_are_refused_and_as_many_as_may_be_are_read(file: Path) -> None:
    head = "position_id\n"
    file.write_text(head + "\n".join(map(str, range(MOST_ROWS))))
    assert len(read_closes(str(file)).rows) == MOST_ROWS
    said = refused(file, head + "\n".join(map(str, range(MOST_ROWS + 1))), read_closes)
    assert "more than 100,000 rows" in said
    assert f"line {MOST_ROWS + 2}" in said


def test_a_field_without_end_and_a_file_without_end_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "field larger than" in refused(file, f'{HEAD}1,"{"x" * 200_000}",long,1\n')
    monkeypatch.setattr("mizar_async.cli.orders._LARGEST", 1000)
    assert "is larger than" in refused(file, HEAD + "1,BTC/USDT,long,0.5\n" * 100)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(Failure, match="can't be read: .*Nothing was sent"):
            read_opens(str(path))


def test_a_client_order_id_that_stands_twice_is_refused_within_a_strategy_only(file: Path) -> None:
    head = "strategy_id,pair,side,client_order_id\n"
    said = refused(file, f"{head}1,BTC/USDT,long,a\n1,ETH/USDT,short,a\n")
    assert said.startswith(f"{file}, line 3: client_order_id 'a' stands in line 2 already")
    file.write_text(f"{head}1,BTC/USDT,long,a\n2,BTC/USDT,long,a\n1,BTC/USDT,long,\n")
    names = [row.ask.client_order_id for row in read_opens(str(file)).rows]
    assert names[:2] == ["a", "a"]
    assert str(names[2]).startswith("row-")
    assert "client_order_id" in refused(file, f"{head}1,BTC/USDT,long,{'x' * 65}\n")


def test_columns_that_nobody_knows_are_kept_as_they_are(file: Path) -> None:
    file.write_text('Note,strategy_id,pair,side\n" a ""b"" ",1,BTC/USDT,long\n')
    orders = read_opens(str(file))
    assert orders.columns == ["Note", "strategy_id", "pair", "side"]
    assert orders.rows[0].cells == [' a "b" ', "1", "BTC/USDT", "long"]


ASKS = st.tuples(st.integers(1, 3), st.sampled_from(["BTC/USDT", "ETHUSDT"]), st.booleans(), st.sampled_from("149"))


@given(st.lists(ASKS, max_size=12), st.lists(ASKS, max_size=3), st.randoms())
def test_names_stay_when_other_rows_are_added_moved_or_removed(
    asks: list[tuple[int, str, bool, str]], more: list[tuple[int, str, bool, str]], rng: object
) -> None:
    def names(wanted: list[tuple[int, str, bool, str]]) -> set[tuple[int, str | None]]:
        lines = [f"{number},{pair},{'long' if up else 'short'},0.{size}" for number, pair, up, size in wanted]
        source, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO("\n".join([HEAD.strip(), *lines]).encode()))
        try:
            found = [(row.ask.strategy_id, row.ask.client_order_id) for row in read_opens("-").rows]
        finally:
            sys.stdin = source
        assert len(set(found)) == len(wanted)
        return set(found)

    shuffled = [*asks, *more]
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert names(asks) <= names(shuffled)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("position_id\n1\n01\n", "line 3: position 1 stands in line 2 already"),
        ("position_id\nx\n", "line 2: position_id='x' is refused"),
        ("position_id,outcome\n,unknown\n", "line 2: it has no position_id, since its open is 'unknown'"),
        ("id\n1\n", "position_id"),
        ("", "position_id"),
    ],
)
def test_closes_that_can_not_be_are_refused(file: Path, content: str, reason: str) -> None:
    assert reason in refused(file, content, read_closes)


def test_what_an_open_printed_is_a_file_of_closes(file: Path) -> None:
    head = "strategy_id,pair,side,size,outcome,position_id,price,timestamp,error\n"
    file.write_text(f"{head}1,BTC/USDT,long,0.5,done,7,42000.5,1795862988569,\n")
    assert [row.ask for row in read_closes(str(file)).rows] == [7]
