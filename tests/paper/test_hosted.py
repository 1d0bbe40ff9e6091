"""A hosted strategy is stored as it came and never opened; what is too large or has no name is refused."""

from __future__ import annotations

import base64
import builtins
import contextlib
import importlib
import itertools
import json
import pickle
import sqlite3
import sys
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import paper
from mizar_async._api import hosted as limits
from mizar_async.paper.http import hosted
from mizar_async.paper.http.bodies import LARGEST_BODY
from mizar_async.paper.http.hosted import Form
from mizar_async.paper.rules import Refusal
from mizar_async.paper.venue import Upload

from ..venues import running_venue
from .conftest import client_of

Http = httpx.AsyncClient
PATH = "publish-hosted-strategy"
INFO = {"strategy_signal_name": "Momentum", "about": "\u00fcber"}
PICKLE = pickle.dumps({"any": [1, 2, 3]})
FORM = {
    "strategy-info": json.dumps(INFO),
    "strategy-file": "class Momentum:\r\n    '''\u00fc & = + %'''\n",
    "strategy": base64.encodebytes(PICKLE * 9).decode(),
}
FORM_TYPE = {"content-type": "application/x-www-form-urlencoded"}


def stored(venue: paper.Venue) -> list[tuple[Any, ...]]:
    """What stands in the table of hosted strategies, byte for byte."""
    with venue.store._transaction() as connection:
        query = "SELECT name, info, source, strategy FROM hosted_strategies ORDER BY hosted_id"
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def complained(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 422, answer.text
    return [found["loc"] for found in answer.json()["detail"]]


# -- what is done --------------------------------------------------------------------------------------


async def test_what_is_published_is_stored_byte_for_byte_and_named_in_the_answer(
    venue: paper.Venue, http: Http
) -> None:
    answer = await http.post(PATH, data=FORM)
    assert (answer.status_code, answer.json()) == (
        200, {"message": "The strategy Momentum has been published in Mizar"},
    )  # fmt: skip
    ((name, info, source, strategy),) = stored(venue)
    assert (name, info, source) == ("Momentum", FORM["strategy-info"], FORM["strategy-file"])
    assert strategy == FORM["strategy"].encode()


async def test_a_source_may_be_missing_and_one_strategy_may_be_published_twice(venue: paper.Venue, http: Http) -> None:
    for _ in range(2):
        answer = await http.post(PATH, data={name: FORM[name] for name in ("strategy-info", "strategy")})
        assert answer.status_code == 200
    assert [row[2] for row in stored(venue)] == ["", ""]


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ({"strategy_signal_name": "A", "name": "B"}, "A"),
        ({"strategy_signal_name": "", "name": "B"}, "B"),
        ({"strategy_signal_name": None, "name": "B"}, "B"),
        ({"name": "\u00dcber-Momentum \U0001f600"}, "\u00dcber-Momentum \U0001f600"),
    ],
)
async def test_the_name_is_that_of_the_signal_or_the_plain_one(http: Http, info: dict[str, Any], name: str) -> None:
    answer = await http.post(PATH, data=FORM | {"strategy-info": json.dumps(info)})
    assert answer.json() == {"message": f"The strategy {name} has been published in Mizar"}


async def test_what_was_published_outlives_the_venue_and_belongs_to_its_key(tmp_path: Path) -> None:
    venue = paper.Venue.of(db=tmp_path / "venue.db")
    key = venue.create_key()
    async with client_of(venue, venue.create_key()) as http:
        assert (await http.post(PATH, data=FORM)).status_code == 200
    venue.close()
    again = paper.Venue.of(db=tmp_path / "venue.db")
    assert len(stored(again)) == 1
    with again.store._transaction() as connection:
        assert connection.exec_driver_sql("SELECT owner FROM hosted_strategies").scalar() == 2
    assert again.knows(key)
    again.close()


class Opened:
    """A pickle that says so if anybody opens it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("setattr(__import__('builtins'), 'opened_by_the_venue', True)",)


async def test_nothing_opens_a_pickle_nor_runs_a_source(
    venue: paper.Venue, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("it was opened")

    text = base64.encodebytes(pickle.dumps(Opened())).decode()
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refused)
    monkeypatch.setattr(base64, "b64decode", refused)
    source = "import builtins; builtins.opened_by_the_venue = True"
    assert (await http.post(PATH, data=FORM | {"strategy": text, "strategy-file": source})).status_code == 200
    assert stored(venue)[0][3] == text.encode()
    assert not hasattr(builtins, "opened_by_the_venue")


def test_no_module_of_the_venue_can_open_a_pickle() -> None:
    for name in [name for name in sys.modules if name.startswith("mizar_async.paper")]:
        module = vars(importlib.import_module(name))
        assert not {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"} & module.keys()


@pytest.mark.parametrize("text", [b"not base64", b"\xff\x00\xfe", b"=", b" ", b"\n", bytes(range(256))])
async def test_the_text_of_a_strategy_is_not_read_and_may_be_any_bytes(
    venue: paper.Venue, http: Http, text: bytes
) -> None:
    body = b"strategy-info=%b&strategy=%b" % (quote_plus(json.dumps(INFO)).encode(), quote_plus(text).encode())
    assert (await http.post(PATH, content=body, headers=FORM_TYPE)).status_code == 200
    assert stored(venue)[0][3] == text


# -- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "info",
    ["", "null", "[]", "1", '"name"', "{", "{}", '{"name": ""}', '{"name": "  "}', '{"name": 5}', '{"name": ["a"]}',
     '{"name": null}', '{"name": true}', '{"strategy_signal_name": 5, "name": "B"}', '{"name": "a\\u0000b"}',
     '{"name": "\\ud800"}', '{"name": "a", "name": "b"}', '{"name": "a", "x": NaN}', '{"Name": "a"}', "{'name': 'a'}",
     '{"name": "' + "a" * 1_001 + '"}', '{"name": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}"],
    ids=lambda info: info[:30],
)  # fmt: skip
async def test_an_info_that_is_no_object_or_has_no_name_is_422(venue: paper.Venue, http: Http, info: str) -> None:
    assert complained(await http.post(PATH, data=FORM | {"strategy-info": info})) == [["body", "strategy-info"]]
    assert stored(venue) == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("", ["body", "strategy"]),
        ("strategy-info=%7B%22name%22%3A1%7D", ["body", "strategy"]),
        (urlencode(FORM | {"strategy": ""}), ["body", "strategy"]),
        (urlencode(FORM).replace("strategy-info", "strategy_info"), ["body", "strategy-info"]),
        (urlencode(FORM) + "&strategy=YQ", ["body", "strategy"]),
        (urlencode(FORM) + "&%73trategy-info=%7B%7D", ["body", "strategy-info"]),
        (urlencode(FORM) + "&strategy-file=", ["body", "strategy-file"]),
        ("strategy=YQ&strategy-info=%ff", ["body", "strategy-info"]),
        ("strategy=YQ&strategy-info={}&strategy-file=%ff", ["body", "strategy-file"]),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_form_that_can_not_be_is_422(venue: paper.Venue, http: Http, body: str, place: list[str]) -> None:
    assert complained(await http.post(PATH, content=body, headers=FORM_TYPE)) == [place]
    assert stored(venue) == []


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_another_content_type_is_422(http: Http, kind: str) -> None:
    assert complained(await http.post(PATH, content=urlencode(FORM), headers={"content-type": kind})) == [["body"]]


async def test_the_content_type_may_have_a_charset_and_any_case(http: Http) -> None:
    kind = {"content-type": "Application/X-WWW-form-urlencoded ; charset=utf-8"}
    assert (await http.post(PATH, content=urlencode(FORM), headers=kind)).status_code == 200


async def test_fields_that_nobody_knows_are_passed_over(venue: paper.Venue, http: Http) -> None:
    body = f"&&a=1&b&=&{urlencode(FORM)}&a=2&{'n' * 5_000}=x&%ff=%ff&&"
    assert (await http.post(PATH, content=body, headers=FORM_TYPE)).status_code == 200
    assert stored(venue)[0][1:3] == (FORM["strategy-info"], FORM["strategy-file"])


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET", "PUT", "PATCH", "DELETE"])
async def test_no_other_method_publishes(venue: paper.Venue, http: Http, method: str) -> None:
    answer = await http.request(method, PATH, content=urlencode(FORM), headers=FORM_TYPE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert stored(venue) == []


# -- how large it may be -------------------------------------------------------------------------------


def test_the_limits_are_those_of_the_client() -> None:
    assert hosted.LIMITS == {
        "strategy-info": LARGEST_BODY,
        "strategy-file": limits.LARGEST_SOURCE,
        "strategy": limits.LARGEST_STRATEGY,
    }
    assert (limits.LARGEST_SOURCE, limits.LARGEST_STRATEGY) == (2_000_000, 200_000_000)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"strategy-file": "\u00fc" * 1_000_000}, 200),
        ({"strategy-file": "\u00fc" * 1_000_000 + "x"}, 413),
        ({"strategy-file": "x" * 2_000_001}, 413),
        ({"strategy-info": json.dumps(INFO) + " " * LARGEST_BODY}, 413),
        ({"strategy": "A" * 3_000_000}, 200),
    ],
    ids=[
        "a source of 2 MB of UTF-8",
        "a byte more",
        "a letter more",
        "an info beyond a mebibyte",
        "a strategy of 3 MB",
    ],
)
async def test_a_source_of_more_than_2_mb_is_413(
    venue: paper.Venue, http: Http, changed: dict[str, str], status: int
) -> None:
    answer = await http.post(PATH, data=FORM | changed)
    assert answer.status_code == status
    assert len(stored(venue)) == (status == 200)


async def test_a_strategy_of_more_than_its_limit_is_413_however_it_is_written(
    venue: paper.Venue, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(hosted.LIMITS, "strategy", 1_000)
    for text, status in [("A" * 1_000, 200), ("%2B" * 1_000, 200), ("A" * 1_001, 413), ("%41" * 1_001, 413)]:
        body = f"strategy-info={quote_plus(json.dumps(INFO))}&strategy={text}"
        answer = await http.post(PATH, content=body, headers=FORM_TYPE)
        assert answer.status_code == status
    assert answer.json() == {"detail": "The strategy is larger than 1,000 bytes"}
    assert answer.headers["connection"] == "close"
    assert [len(row[3]) for row in stored(venue)] == [1_000, 1_000]


async def test_other_calls_keep_their_mebibyte(http: Http) -> None:
    answer = await http.post(
        "close-position", content=b" " * (LARGEST_BODY + 1), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


class Endless:
    """A body that goes on for ever, and how much of it was taken."""

    def __init__(self, begins: bytes, piece: bytes) -> None:
        self.taken = 0
        self._pieces = [begins, piece * (65_536 // len(piece))]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            piece = self._pieces[min(1, self.taken)]
            self.taken += len(piece)
            yield piece


@pytest.mark.parametrize(
    ("begins", "piece"),
    [(b"strategy=", b"A"), (b"strategy-info=", b"%"), (b"x=", b"%41"), (b"x", b"x"), (b"x", b"&"), (b"x", b"a=b&")],
    ids=["of a strategy", "of an info", "of an unknown field", "of a name", "of nothing", "of many fields"],
)
async def test_a_body_that_never_ends_is_413_and_is_not_kept(
    http: Http, monkeypatch: pytest.MonkeyPatch, begins: bytes, piece: bytes
) -> None:
    monkeypatch.setattr(hosted, "_LARGEST_FORM", 4_000_000)
    monkeypatch.setitem(hosted.LIMITS, "strategy", 300_000)
    body = Endless(begins, piece)
    answer = await http.post(PATH, content=body, headers=FORM_TYPE)  # type: ignore[arg-type]
    assert answer.status_code == 413
    assert body.taken <= 4_000_000 + 65_536


async def test_a_length_beyond_all_limits_is_413_before_the_body_is_read(http: Http) -> None:
    body = Endless(b"strategy=", b"A")
    answer = await http.post(PATH, content=body, headers=FORM_TYPE | {"content-length": "9" * 400})  # type: ignore[arg-type]
    assert answer.status_code == 413
    assert body.taken < 100_000


@pytest.mark.parametrize("key", ["", "nobody", None])
async def test_a_wrong_key_is_401_before_anything_of_the_body_is_read(venue: paper.Venue, key: str | None) -> None:
    body = Endless(b"strategy=", b"A")
    async with client_of(venue, key or "") as http:
        if key is None:
            del http.headers["mizar-api-key"]
        answer = await http.post(PATH, content=body, headers=FORM_TYPE)  # type: ignore[arg-type]
    assert (answer.status_code, body.taken) == (401, 0)


def test_a_form_is_held_once_while_it_is_read() -> None:
    """40 MB in pieces: what it says is kept, and little besides."""
    form, piece = Form(), b"QUJD%2BQUJD%2F" * 4_681
    tracemalloc.start()
    try:
        form.take(b"strategy=")
        for _ in range(610):
            form.take(piece)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    kept = len(form.ended()["strategy"])
    assert kept > 28_000_000
    assert most < 1.4 * kept


# -- how it is read ------------------------------------------------------------------------------------


def plainly(body: bytes) -> dict[str, bytes]:
    """The fields of a form, in the plainest way."""
    found: dict[str, bytes] = {}
    for field in body.split(b"&"):
        name, equals, value = field.partition(b"=")
        if equals:
            found[unescaped(name).decode("utf-8", "replace")] = unescaped(value)
    return {name: found.get(name, b"") for name in hosted.LIMITS}


def unescaped(text: bytes) -> bytes:
    said, place = bytearray(), 0
    while place < len(text):
        escape = text[place + 1 : place + 3]
        if (
            text[place] == ord("%")
            and len(escape) == 2
            and all(letter in b"0123456789abcdefABCDEF" for letter in escape)
        ):
            said.append(int(escape, 16))
            place += 3
        else:
            said += b" " if text[place] == ord("+") else text[place : place + 1]
            place += 1
    return bytes(said)


def pieces(body: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for begin, end in itertools.pairwise(places):
        yield body[begin:end]


VALUE = st.lists(
    st.sampled_from(
        [b"%", b"%2", b"%2B", b"%2b", b"%25", b"+", b"A", b"2B", b"%0A", b"%3D", b"=", b"\xff", b"%zz", b""]
    ),
    max_size=12,
).map(b"".join)


@given(values=st.tuples(VALUE, VALUE, VALUE, VALUE), cuts=st.lists(st.integers(0, 500), max_size=12))
def test_a_form_is_the_same_in_whatever_pieces_it_comes(values: tuple[bytes, ...], cuts: list[int]) -> None:
    names = (b"strategy-info", b"other", b"strategy-%66ile", b"strategy")
    body = b"&".join(b"%b=%b" % pair for pair in zip(names, values, strict=True))
    form = Form()
    for piece in pieces(body, cuts):
        form.take(piece)
    assert form.ended() == plainly(body)
    assert form.size == len(body)


@given(body=st.binary(max_size=200), cuts=st.lists(st.integers(0, 500), max_size=5))
def test_no_bytes_whatever_make_a_form_fail(body: bytes, cuts: list[int]) -> None:
    form = Form()
    with contextlib.suppress(Refusal):  # of a field that stands twice
        for piece in pieces(b"strategy=" + body, cuts):
            form.take(piece)
        assert form.ended() == plainly(b"strategy=" + body)


# -- over HTTP -----------------------------------------------------------------------------------------


async def test_a_strategy_comes_through_real_http_in_one_body_or_in_chunks(tmp_path: Path) -> None:
    text = base64.encodebytes(bytes(range(256)) * 8_000)
    body = urlencode(FORM | {"strategy": text.decode()}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for place in range(0, len(body), 9_999):
            yield body[place : place + 9_999]

    async with running_venue(db=tmp_path / "venue.db") as venue:
        headers = FORM_TYPE | {"mizar-api-key": venue.key}
        async with httpx.AsyncClient(base_url=f"{venue.url}/api/v1/", headers=headers, timeout=60) as http:
            for content in (body, chunks()):
                assert (await http.post(PATH, content=content)).status_code == 200
            assert (await http.post(PATH, content=body, headers={"mizar-api-key": "nobody"})).status_code == 401
            assert (await http.get("ping")).status_code == 200
        assert [row[3] for row in stored(venue.venue)] == [text, text]


def test_a_file_of_an_older_version_gets_its_table(tmp_path: Path) -> None:
    venue = paper.Venue.of(db=tmp_path / "venue.db")
    key = venue.create_key()
    venue.close()
    file = sqlite3.connect(tmp_path / "venue.db")
    file.execute("DROP TABLE hosted_strategies")
    file.commit()
    file.close()
    again = paper.Venue.of(db=tmp_path / "venue.db")
    told = Upload("{}", {"name": "Old"}, "", b"YQ")
    assert again.publish_hosted(again.owner(key), told).message == "The strategy Old has been published in Mizar"
    again.close()
