"""Requests to bytes, answers to models or to the error that they mean.

It is pure. msgspec decodes the usual shape straight into the models; what it refuses is read again by `oddities`.
"""

from __future__ import annotations

import base64
import functools
import json
import operator
from collections.abc import Callable
from decimal import Decimal
from types import NoneType
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote_plus, urlencode

import attrs
import msgspec

from .dca import DcaOrder
from .documented import further_parameters, on_the_wire, wire_name
from .endpoints import Endpoint
from .exchange import FORM, Answer, NoAnswer, Request
from .market import Bar
from .meaning import declined, foreign, unanswered, unreadable
from .oddities import LARGEST_WHOLE, ONLY_HERE, converter
from .ratio import Ratio
from .trading import BEYOND_PRICES, LEAST_PRICE, ClosedPosition, Position

T = TypeVar("T")


def _itself(value: Any) -> Any:
    return value


def _plain(number: Decimal) -> str:
    text = format(number, "f")  # never an exponent
    return text.rstrip("0").rstrip(".") if "." in text else text


def _wire(value: object) -> object:
    # A number in its shortest exact text: msgspec itself would write a Decimal as text, or with an exponent.
    if isinstance(value, Decimal):
        return msgspec.Raw(_plain(value).encode())
    return _wire(value.as_fraction) if isinstance(value, Ratio) else value  # every write takes fractions


def as_text(value: object) -> str:
    """A value as a command has it, whose every value is text."""
    if isinstance(value, Ratio):
        value = value.as_fraction
    if isinstance(value, Decimal):
        return _plain(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


@functools.cache
def _names(endpoint: Endpoint[Any]) -> tuple[tuple[str, str], ...]:
    request: Any = endpoint.request
    return tuple((field.name, wire_name(field)) for field in on_the_wire(request))


def parameters(endpoint: Endpoint[Any], ask: object, written: Callable[[Any], Any] = _itself) -> dict[str, Any]:
    """What a request says, by the names of the wire, each value as `written` writes it; None is left out."""
    return {wire: written(value) for name, wire in _names(endpoint) if (value := getattr(ask, name)) is not None}


def encode(endpoint: Endpoint[Any], ask: object) -> Request:
    """Write a request: its parameters in the query of a GET, as a JSON object or a form otherwise, None left out."""
    method, path = endpoint.method, endpoint.path
    if method == "GET":
        values = parameters(endpoint, ask) | further_parameters(ask)
        query = f"?{urlencode(values, doseq=True)}" if values else ""
        return Request(method, path + query, None)
    if endpoint.is_form:
        return Request(method, path, _form(parameters(endpoint, ask)), FORM)
    if endpoint.action is not None:
        command = {"action": endpoint.action} | parameters(endpoint, ask, as_text)
        return Request(method, path, msgspec.json.encode(command), key_in_body=True)
    return Request(method, path, msgspec.json.encode(parameters(endpoint, ask, _wire)))


def with_key(body: bytes, key: str) -> bytes:
    """The JSON of a command with the key in it, as the wire alone may have it."""
    return b'{"api_key":%b,%b' % (msgspec.json.encode(key), body[1:])


def _form(values: dict[str, Any]) -> bytes:
    return b"&".join(
        b"%b=%b" % (name.encode(), _base64(value) if isinstance(value, bytes) else quote_plus(value).encode())
        for name, value in values.items()
    )


# Lines of 76 letters, as the client of 2021 writes them, in pieces that leave other threads their turn.
_PIECE: Final = 57 * 8192


def _base64(data: bytes) -> bytes:
    pieces = (base64.encodebytes(data[start : start + _PIECE]) for start in range(0, len(data), _PIECE))
    return b"".join(
        piece.replace(b"+", b"%2B").replace(b"/", b"%2F").replace(b"=", b"%3D").replace(b"\n", b"%0A")
        for piece in pieces
    )


def decode(endpoint: Endpoint[T], result: Answer | NoAnswer, *, now: int, attempts: int = 1) -> T:
    """Give the model that an answer holds, or raise the error that it means.

    `now` is the wall clock in milliseconds, for a `Retry-After` that is a date.
    """
    if isinstance(result, NoAnswer):
        raise unanswered(endpoint, result, attempts)
    if not 200 <= result.status < 300:
        raise declined(endpoint, result, now, attempts)
    try:
        return read(endpoint, result.body)
    except (ValueError, TypeError, RecursionError) as odd:
        reason = str(odd) or type(odd).__name__
    if not _may_be_the_apis(endpoint, result.body):
        raise foreign(endpoint, result, "which has none of its fields", attempts)
    raise unreadable(endpoint, result, reason, _salvage(endpoint, result.body), attempts)


def read(endpoint: Endpoint[T], body: bytes) -> T:
    """Decode the body of an answer; raises ValueError (or a subclass) when that can't be done."""
    try:
        answer: T = _usual(endpoint)(body)
    except (msgspec.MsgspecError, RecursionError):
        return _odd(endpoint, body)
    return answer


@functools.cache
def _usual(endpoint: Endpoint[T]) -> Callable[[bytes], T]:
    """The fast reader of an endpoint's answers, where they have one."""
    if endpoint.item in ONLY_HERE:
        return functools.partial(_odd, endpoint)
    prices: Numbers = [(name, operator.attrgetter(name)) for name in _PRICES.get(endpoint.item, ())]
    amounts: Numbers = [(name, operator.attrgetter(name)) for name in _AMOUNTS.get(endpoint.item, ())]
    quotes = 2 * len(attrs.fields(endpoint.item))  # those of the names, if no value is text: then none is NaN
    whole: Any = endpoint.answer
    if endpoint.envelope is not None:
        whole = msgspec.defstruct("Envelope", [(endpoint.envelope, endpoint.answer)])
    read_whole = msgspec.json.Decoder(whole, strict=False).decode
    content: Callable[[Any], T] = operator.attrgetter(endpoint.envelope) if endpoint.envelope else _itself
    holds_list = endpoint.holds_list

    wholes = () if holds_list else _WHOLES.get(endpoint.item, ())

    def decode_usual(body: bytes) -> T:
        answer = content(read_whole(body))
        if any(abs(getattr(answer, name) or 0) > LARGEST_WHOLE for name in wholes):
            return _odd(endpoint, body)
        items: Any = answer if holds_list else (answer,)
        if amounts and body.count(b'"') == quotes * len(items) + 2 and _are_usable(items, prices):
            return answer
        _drop_unusable(items, prices)
        _drop_endless(items, amounts)
        return answer

    return decode_usual


_PRICES: Final[dict[type, tuple[str, ...]]] = {
    Position: ("open_price",),
    ClosedPosition: ("open_price", "close_price"),
    Bar: ("open", "high", "low", "close"),
    DcaOrder: ("price",),
}
# Of one position, which is reckoned with at once; a look at each of ten thousand would take a tenth of the decoding.
_WHOLES: Final[dict[type, tuple[str, ...]]] = {
    Position: ("position_id", "strategy_id", "open_timestamp"),
    ClosedPosition: ("position_id", "strategy_id", "open_timestamp", "close_timestamp"),
}
_AMOUNTS: Final[dict[type, tuple[str, ...]]] = {
    Bar: tuple(field.name for field in attrs.fields(Bar) if field.name.endswith("_volume")),
    DcaOrder: ("filled", "remaining"),
}


Numbers = list[tuple[str, Callable[[Any], Decimal | None]]]


def _drop_unusable(answers: Any, prices: Numbers) -> None:
    for name, price_of in prices:
        for answer in answers:
            price = price_of(answer)
            # usable_price, written out: ten thousand calls of a function would take longer than the decoding.
            if price is not None and not (price.is_finite() and LEAST_PRICE <= price < BEYOND_PRICES):
                object.__setattr__(answer, name, None)


def _are_usable(answers: Any, prices: Numbers) -> bool:
    """Whether all prices are, where none is NaN: told in a third of the time."""
    try:
        for _, price_of in prices:
            found: list[Any] = [*map(price_of, answers)]
            if found and not (min(found) >= LEAST_PRICE and max(found) < BEYOND_PRICES):
                return False
    except (TypeError, ArithmeticError):  # one of them is None
        return False
    return True


def _drop_endless(answers: Any, amounts: Numbers) -> None:
    for name, amount_of in amounts:
        for answer in answers:
            amount = amount_of(answer)
            if amount is not None and not amount.is_finite():
                object.__setattr__(answer, name, None)


def _odd(endpoint: Endpoint[T], body: bytes) -> T:
    document = _document(endpoint, body)
    if document is None and endpoint.envelope is not None:
        return cast("T", None)  # in place of the one object
    try:
        answer: T = converter().structure(document, endpoint.answer)
    except KeyError as missing:
        reason = f"it has no {missing}"
    else:
        return answer
    raise ValueError(reason)


def _document(endpoint: Endpoint[Any], body: bytes) -> Any:
    document = json.loads(body, parse_float=Decimal)
    if endpoint.envelope is None:
        return document
    if not isinstance(document, dict) or endpoint.envelope not in document:
        raise ValueError(f"it holds nothing under {endpoint.envelope!r}")
    content = document[endpoint.envelope]
    if not endpoint.holds_list and not content and isinstance(content, (dict, list, NoneType)):
        return None
    if not isinstance(content, list if endpoint.holds_list else dict):
        raise ValueError(f"it holds no {'list' if endpoint.holds_list else 'object'} under {endpoint.envelope!r}")
    return content


def _may_be_the_apis(endpoint: Endpoint[Any], body: bytes) -> bool:
    """Whether a body that can't be read may be an answer to this call: an object without any of its fields is not."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return True  # cut off, as it may be
    names = {endpoint.envelope} if endpoint.envelope else {field.name for field in attrs.fields(endpoint.answer)}
    return not isinstance(document, dict) or not names.isdisjoint(document)


def _salvage(endpoint: Endpoint[Any], body: bytes) -> object:
    """Whatever can be read of a body that can't be read as a whole."""
    try:
        document = _document(endpoint, body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, list):
        return document
    readable = []
    for entry in document:
        try:
            readable.append(converter().structure(entry, endpoint.item))
        except (KeyError, ValueError, TypeError, RecursionError):
            continue
    return readable
