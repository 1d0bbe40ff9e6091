"""Requests to bytes, answers to models or to the error that they mean.

It is pure. msgspec decodes the usual shape straight into the models; what it refuses is read again by `oddities`.
"""

from __future__ import annotations

import functools
import json
import operator
import typing
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import attrs
import msgspec

from .documented import on_the_wire
from .endpoints import SYMBOLS, Endpoint
from .exchange import Answer, NoAnswer, Request
from .meaning import declined, foreign, unanswered, unreadable
from .oddities import converter
from .trading import BEYOND_PRICES, LEAST_PRICE, ClosedPosition, Position

T = TypeVar("T")


def _plain(number: Decimal) -> str:
    text = format(number, "f")  # never an exponent
    return text.rstrip("0").rstrip(".") if "." in text else text


def _wire(value: object) -> object:
    # A number in its shortest exact text: msgspec itself would write a Decimal as text, or with an exponent.
    return msgspec.Raw(_plain(value).encode()) if isinstance(value, Decimal) else value


@functools.cache
def _names(endpoint: Endpoint[Any]) -> tuple[str, ...]:
    request: Any = endpoint.request
    return tuple(field.name for field in on_the_wire(request))


def encode(endpoint: Endpoint[Any], ask: object) -> Request:
    """Write a request: parameters in the query of a GET, as a JSON object otherwise, None left out."""
    values = {name: _wire(value) for name in _names(endpoint) if (value := getattr(ask, name)) is not None}
    if endpoint.method != "GET":
        return Request(endpoint.method, endpoint.path, msgspec.json.encode(values))
    query = f"?{urlencode(values)}" if values else ""
    return Request(endpoint.method, endpoint.path + query, None)


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
    if endpoint is not SYMBOLS:  # whose rows were seen with `market` in place of `markets`: cattrs knows that
        try:
            answer: T = _usual(endpoint)(body)
        except (msgspec.MsgspecError, RecursionError):
            pass
        else:
            return answer
    return _odd(endpoint, body)


@functools.cache
def _usual(endpoint: Endpoint[T]) -> Callable[[bytes], T]:
    """The fast reader of an endpoint's answers."""
    prices: Prices = [(name, operator.attrgetter(name)) for name in _PRICES.get(_item(endpoint), ())]
    if endpoint.envelope is None:
        read_one = msgspec.json.Decoder(endpoint.answer, strict=False).decode

        def decode_one(body: bytes) -> T:
            answer: T = read_one(body)
            _drop_unusable((answer,), prices)
            return answer

        return decode_one
    envelope = msgspec.defstruct("Envelope", [(endpoint.envelope, endpoint.answer)])
    read_envelope = msgspec.json.Decoder(envelope, strict=False).decode
    content = operator.attrgetter(endpoint.envelope)

    def decode_list(body: bytes) -> T:
        answer: T = content(read_envelope(body))
        _drop_unusable(answer, prices)
        return answer

    return decode_list


def _item(endpoint: Endpoint[Any]) -> type[Any]:
    """The class of an answer, or of the items of its list."""
    item: type[Any] = endpoint.answer if endpoint.envelope is None else typing.get_args(endpoint.answer)[0]
    return item


_PRICES: Final[dict[type, tuple[str, ...]]] = {
    Position: ("open_price",),
    ClosedPosition: ("open_price", "close_price"),
}


Prices = list[tuple[str, Callable[[Any], Decimal | None]]]


def _drop_unusable(answers: Any, prices: Prices) -> None:
    for name, price_of in prices:
        for answer in answers:
            price = price_of(answer)
            # usable_price, written out: ten thousand calls of a function would take longer than the decoding.
            if price is not None and not (price.is_finite() and LEAST_PRICE <= price < BEYOND_PRICES):
                object.__setattr__(answer, name, None)


def _odd(endpoint: Endpoint[T], body: bytes) -> T:
    document = _document(endpoint, body)
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
    if not isinstance(document, dict) or not isinstance(document.get(endpoint.envelope), list):
        raise ValueError(f"it holds no list under {endpoint.envelope!r}")
    return document[endpoint.envelope]


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
    item = _item(endpoint)
    for entry in document:
        try:
            readable.append(converter().structure(entry, item))
        except (KeyError, ValueError, TypeError, RecursionError):
            continue
    return readable
