"""The converter: every oddity that was seen, both readers agreeing, and which error an answer means."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import ClosedPosition, Position, errors
from mizar_async._api import codec, endpoints
from mizar_async._api.codec import decode, encode, read
from mizar_async._api.exchange import Answer, NoAnswer
from mizar_async._api.meaning import retry_after
from mizar_async._api.trading import CloseAll, Nothing, OfStrategy

OPEN: dict[str, Any] = {
    "base_asset": "BTC",
    "is_long": True,
    "open_price": "34209.480000000000",
    "open_timestamp": 1625572116854,
    "position_id": "1",
    "quote_asset": "USDT",
    "size": 0.3,
    "strategy_id": "1",
}
CLOSED = OPEN | {"close_price": "33914.640000000000", "close_timestamp": 1625572999043}
STRATEGY = {
    "creation_timestamp": 1625571350830,
    "exchange": "binance",
    "market": "SPOT",
    "name": "My Strategy",
    "strategy_id": 1,
    "symbols": [{"base_asset": "BTC", "quote_asset": "USDT", "symbol": "BTCUSDT"}],
}


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


def listed(**changes: Any) -> Position:
    (position,) = read(endpoints.OPEN_POSITIONS, body({"open_positions": [OPEN | changes]}))
    return position


@pytest.mark.parametrize(
    ("endpoint", "document"),
    [
        (endpoints.OPEN_POSITION, OPEN),
        (endpoints.CLOSE_POSITION, CLOSED),
        (endpoints.PUBLISH_STRATEGY, STRATEGY),
    ],
    ids=["open", "closed", "strategy"],
)
def test_a_documented_answer_comes_back_as_the_same_dictionary(endpoint: Any, document: dict[str, Any]) -> None:
    assert read(endpoint, body(document)).to_dict() == document


@pytest.mark.parametrize("text", ["0", "NaN", "Infinity", "-Infinity", "-1", "", None, "n/a"])
def test_a_price_that_is_none_does_not_fail_the_call(text: str | None) -> None:
    assert listed(open_price=text).open_price is None


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0])
def test_a_price_that_is_no_text_and_none_does_not_fail_the_call(number: float) -> None:
    assert listed(open_price=number).open_price is None


def test_a_lone_backtick_as_the_strategy_does_not_hide_that_the_positions_were_closed() -> None:
    (closed,) = read(endpoints.CLOSE_ALL, body({"closed_positions": [CLOSED | {"strategy_id": "`"}]}))
    assert closed.strategy_id is None
    assert closed.position_id == 1


@pytest.mark.parametrize("sent", [7, "7", 7.0])
def test_ids_come_as_numbers_and_as_text(sent: Any) -> None:
    assert listed(position_id=sent, strategy_id=sent) == listed(position_id=7, strategy_id=7)


@pytest.mark.parametrize("sent", [1, 1.0, "1", "1.0"])
def test_a_size_comes_in_several_forms(sent: Any) -> None:
    assert listed(size=sent).size == 1


def test_a_short_on_spot_is_shown_as_the_server_says() -> None:
    assert listed(is_long=False).is_long is False
    assert listed(is_long="false").is_long is False


def test_new_fields_are_ignored_in_every_object() -> None:
    new = {"surprise": {"deep": [1]}}
    assert listed(**new) == listed()
    strategy = STRATEGY | new | {"symbols": [STRATEGY["symbols"][0] | new]}  # type: ignore[index]
    assert read(endpoints.PUBLISH_STRATEGY, body(strategy)) == read(endpoints.PUBLISH_STRATEGY, body(STRATEGY))


@pytest.mark.parametrize("key", ["markets", "market"])
def test_the_markets_of_a_symbol_come_under_either_name(key: str) -> None:
    symbol = {"symbol": "BTCUSDT", "base_asset": "BTC", "quote_asset": "USDT"}
    value = ["SPOT"] if key == "markets" else "SPOT"
    (read_symbol,) = read(endpoints.SYMBOLS, body({"symbols": [symbol | {key: value}]}))
    assert read_symbol.markets == ("SPOT",)


@pytest.mark.parametrize("odd", ["`", None, "", 1.5, True, []])
def test_a_list_with_an_unusable_position_id_is_an_error_that_carries_the_rest(odd: Any) -> None:
    answer = Answer(200, "application/json", body({"open_positions": [OPEN, OPEN | {"position_id": odd}]}))
    with pytest.raises(errors.AnswerUnreadable) as unreadable:
        decode(endpoints.OPEN_POSITIONS, answer, now=0)
    assert unreadable.value.decoded == [listed()]
    assert unreadable.value.body == answer.body
    assert unreadable.value.happened == "yes"


def test_201_is_done_like_200() -> None:
    answer = Answer(201, "application/json", body(OPEN))
    assert decode(endpoints.OPEN_POSITION, answer, now=0).position_id == 1


NUMBERS = st.integers(0, 10**12)
PRICES = st.decimals(min_value=Decimal("1e-9"), max_value=10**9, places=12).map(lambda price: f"{price:f}")
ODD_NUMBERS = st.one_of(NUMBERS, NUMBERS.map(str), st.sampled_from(["`", None, ""]))
ROWS = st.fixed_dictionaries(
    {
        "position_id": st.one_of(NUMBERS, NUMBERS.map(str)),
        "strategy_id": ODD_NUMBERS,
        "base_asset": st.text(min_size=1, max_size=5),
        "quote_asset": st.text(min_size=1, max_size=5),
        "is_long": st.booleans(),
        "size": st.one_of(st.sampled_from([1, 1.0, "1", "0.30"]), st.floats(0.001, 1)),
        "open_price": st.one_of(PRICES, st.sampled_from(["0", "NaN", "Infinity", None, "", 0, 1.5])),
        "open_timestamp": ODD_NUMBERS,
        "close_price": st.one_of(PRICES, st.sampled_from(["0", None])),
        "close_timestamp": NUMBERS,
    }
)


@given(st.lists(ROWS, max_size=4))
def test_both_readers_agree_wherever_the_fast_one_reads(rows: list[dict[str, Any]]) -> None:
    text = body({"closed_positions": rows})
    careful = codec._odd(endpoints.CLOSE_ALL, text)
    try:
        fast = codec._usual(endpoints.CLOSE_ALL)(text)
    except ValueError:
        fast = careful
    assert fast == careful
    assert read(endpoints.CLOSE_ALL, text) == careful


@given(st.lists(ROWS, max_size=4))
def test_what_was_read_is_written_and_read_again_the_same(rows: list[dict[str, Any]]) -> None:
    first: list[ClosedPosition] = read(endpoints.CLOSE_ALL, body({"closed_positions": rows}))
    second = read(endpoints.CLOSE_ALL, body({"closed_positions": [position.to_dict() for position in first]}))
    assert [position.position_id for position in second] == [position.position_id for position in first]
    assert [position.open_price for position in second] == [position.open_price for position in first]


WRITE, READ = endpoints.OPEN_POSITION, endpoints.OPEN_POSITIONS
REFUSED = {
    401: errors.WrongKey,
    403: errors.WrongKey,
    404: errors.NotFound,
    405: errors.Invalid,
    409: errors.Conflict,
    413: errors.Invalid,
    415: errors.Invalid,
    422: errors.Invalid,
    429: errors.RateLimited,
}


@pytest.mark.parametrize("status", [*range(300, 600), 199, 700])
def test_only_what_is_listed_is_a_refusal_of_a_write_and_everything_else_is_unknown(status: int) -> None:
    with pytest.raises(errors.MizarError) as failure:
        decode(WRITE, Answer(status, "application/json", b"{}"), now=0)
    assert type(failure.value) is REFUSED.get(status, errors.OutcomeUnknown)


@pytest.mark.parametrize("status", [*range(300, 600)])
def test_for_a_read_every_4xx_is_a_refusal_and_the_rest_is_unavailable(status: int) -> None:
    with pytest.raises(errors.MizarError) as failure:
        decode(READ, Answer(status, "text/html", b"<html>"), now=0)
    expected = REFUSED.get(status, errors.Invalid) if 400 <= status < 500 else errors.Unavailable
    assert type(failure.value) is expected


def test_a_page_with_status_200_leaves_a_write_unknown_and_a_read_unavailable() -> None:
    page = Answer(200, "text/html", b"<html>Welcome</html>")
    with pytest.raises(errors.OutcomeUnknown):
        decode(WRITE, page, now=0)
    with pytest.raises(errors.Unavailable):
        decode(READ, page, now=0)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b'"\xff"', b"null", b"[]", b'{"position_id": {}}'])
def test_json_that_cannot_be_read_was_done_all_the_same(text: bytes) -> None:
    with pytest.raises(errors.AnswerUnreadable) as unreadable:
        decode(WRITE, Answer(200, "application/json; charset=utf-8", text), now=0)
    assert unreadable.value.body == text


def test_no_connection_is_not_sent_for_a_write_and_unavailable_for_a_read() -> None:
    with pytest.raises(errors.NotSent):
        decode(WRITE, NoAnswer(sent=False, reason="no connection"), now=0)
    with pytest.raises(errors.OutcomeUnknown):
        decode(WRITE, NoAnswer(sent=True, reason="reset"), now=0)
    with pytest.raises(errors.Unavailable):
        decode(READ, NoAnswer(sent=True, reason="reset"), now=0)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"detail": "no such position"}, "no such position"),
        ({"message": "old words"}, "old words"),
        ({"detail": [{"loc": ["body", "size"], "msg": "too large", "type": "x"}]}, "size: too large"),
        ("plain", "plain"),
    ],
)
def test_an_error_tells_the_servers_own_words(document: Any, words: str) -> None:
    with pytest.raises(errors.Refused) as refused:
        decode(WRITE, Answer(422, "application/json", body(document)), now=0, attempts=2)
    assert refused.value.server_says == words
    assert words in str(refused.value)
    assert refused.value.answer == document
    assert (refused.value.status, refused.value.method, refused.value.path, refused.value.attempts) == (
        422,
        "POST",
        "open-position",
        2,
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("-1", 0),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 59),
        ("soon", None),
        ("", None),
        (None, None),
        ("nan", None),
        ("9" * 400, None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None),
        ("Mon, 01 Jan 2024 00:00:99999999999999999999 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=1000) == seconds


DATE_LIKE = st.text(alphabet="0123456789:+-, /JanMoGT()é\x00", max_size=40)


@given(st.text(max_size=60) | st.builds("{}Mon, 01 Jan 2024 00:00:{} +{}".format, DATE_LIKE, DATE_LIKE, DATE_LIKE))
def test_whatever_a_retry_after_says_it_is_a_pause_or_none(header: str) -> None:
    pause = retry_after(header, now=1_700_000_000_000)
    assert pause is None or 0 <= pause < math.inf


def test_parameters_of_a_get_go_into_the_query_and_none_is_left_out() -> None:
    assert encode(READ, OfStrategy(3)).path == "all-open-positions?strategy_id=3"
    assert encode(endpoints.PING, Nothing()).path == "ping"
    assert encode(endpoints.CLOSE_ALL, CloseAll(strategy_id=3)).body == b'{"strategy_id":3}'
