"""The only converter: requests to bytes, answers to models, and which error an answer means.

It is pure: status, headers and bytes in, a model or an error out. msgspec decodes the usual shape straight
into the models. What it refuses is read again by cattrs, which knows the oddities that servers of this API
have shown: ids as text, text where a number belongs, a price that is none, a lone backtick as an id.

Which answers to a write are a refusal is a list, since another venue answered 400 to time-outs and placed
the order seconds later: every status that is not on the list leaves the outcome unknown.
"""

from __future__ import annotations

import functools
import json
import math
import operator
import typing
from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode

import attrs
import msgspec

from . import errors
from ._endpoints import SYMBOLS, Endpoint, Repeat
from ._models import BEYOND_PRICES, LEAST_PRICE, ClosedPosition, Position, Symbol

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

REFUSALS: Final[dict[int, type[errors.Refused]]] = {
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

_WORDS: Final = 500


@attrs.frozen
class Request:
    """One HTTP request, without address and key: the transport knows those."""

    method: str
    path: str
    """Path below the API's address, with its query."""
    body: bytes | None


@attrs.frozen
class Answer:
    """One complete HTTP answer."""

    status: int
    content_type: str
    body: bytes = attrs.field(repr=False)
    retry_after: str | None = None


@attrs.frozen
class NoAnswer:
    """An exchange that brought no complete answer."""

    sent: bool
    """False only if it is certain that the server cannot have acted."""
    reason: str


# -- requests ----------------------------------------------------------------------------------------


def _plain(number: Decimal) -> str:
    text = format(number, "f")  # never an exponent
    return text.rstrip("0").rstrip(".") if "." in text else text


def _wire(value: object) -> object:
    # A number in its shortest exact text: msgspec itself would write a Decimal as text, or with an exponent.
    return msgspec.Raw(_plain(value).encode()) if isinstance(value, Decimal) else value


@functools.cache
def _names(endpoint: Endpoint[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(endpoint.request))


def encode(endpoint: Endpoint[Any], ask: object) -> Request:
    """Write a request: parameters in the query of a GET, as a JSON object otherwise, None left out."""
    values = {name: _wire(value) for name in _names(endpoint) if (value := getattr(ask, name)) is not None}
    if endpoint.method != "GET":
        return Request(endpoint.method, endpoint.path, msgspec.json.encode(values))
    query = f"?{urlencode(values)}" if values else ""
    return Request(endpoint.method, endpoint.path + query, None)


# -- answers -----------------------------------------------------------------------------------------


def decode(endpoint: Endpoint[T], result: Answer | NoAnswer, *, now: int, attempts: int = 1) -> T:
    """Give the model that an answer holds, or raise the error that it means.

    `now` is the wall clock in milliseconds, for a `Retry-After` that is a date.
    """
    if isinstance(result, NoAnswer):
        raise _unanswered(endpoint, result, attempts)
    if not 200 <= result.status < 300:
        raise _declined(endpoint, result, now, attempts)
    try:
        return read(endpoint, result.body)
    except (ValueError, TypeError, RecursionError) as odd:
        reason = _one_line(str(odd) or type(odd).__name__)
    raise _unreadable(endpoint, result, reason, attempts)


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
    prices = _PRICES.get(_item(endpoint), ())
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


def _drop_unusable(answers: Any, prices: tuple[str, ...]) -> None:
    for name in prices:
        price_of = operator.attrgetter(name)
        for answer in answers:
            price = price_of(answer)
            # usable_price, written out: ten thousand calls of a function would take longer than the decoding.
            if price is not None and not (price.is_finite() and LEAST_PRICE <= price < BEYOND_PRICES):
                object.__setattr__(answer, name, None)


def _odd(endpoint: Endpoint[T], body: bytes) -> T:
    document = _document(endpoint, body)
    try:
        answer: T = _converter().structure(document, endpoint.answer)
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
            readable.append(_converter().structure(entry, item))
        except (KeyError, ValueError, TypeError, RecursionError):
            continue
    return readable


# -- which error an answer means ---------------------------------------------------------------------


def _facts(endpoint: Endpoint[Any], attempts: int) -> dict[str, Any]:
    return {"method": endpoint.method, "path": endpoint.path, "attempts": attempts}


def _unanswered(endpoint: Endpoint[Any], result: NoAnswer, attempts: int) -> errors.MizarError:
    facts = _facts(endpoint, attempts)
    if endpoint.repeat is Repeat.HARMLESS:
        return errors.Unavailable(f"{endpoint.path}: {result.reason}", **facts)
    if not result.sent:
        return errors.NotSent(f"{endpoint.path} was not sent: {result.reason}", **facts)
    return errors.OutcomeUnknown(f"{endpoint.path}: {result.reason}; the server may have acted all the same", **facts)


def _declined(endpoint: Endpoint[Any], answer: Answer, now: int, attempts: int) -> errors.MizarError:
    body = error_body(answer.body)
    says = _words(body)
    facts = _facts(endpoint, attempts) | {"status": answer.status, "server_says": says}
    kind = REFUSALS.get(answer.status)
    reading = endpoint.repeat is Repeat.HARMLESS
    if kind is None and reading and 400 <= answer.status < 500:
        kind = errors.Invalid
    message = f"{endpoint.path} was answered {answer.status}{f': {says}' if says else ''}"
    pause = retry_after(answer.retry_after, now)
    hint = "" if pause is None else f"; come back in {pause:g} s"
    if kind is errors.RateLimited:
        return errors.RateLimited(message + hint, retry_after=pause, answer=body, **facts)
    if kind is not None:
        return kind(message, answer=body, **facts)
    if reading:
        return errors.Unavailable(message + hint, retry_after=pause, **facts)
    return errors.OutcomeUnknown(f"{message}; the server may have acted all the same", **facts)


def _unreadable(endpoint: Endpoint[Any], answer: Answer, reason: str, attempts: int) -> errors.MizarError:
    facts = _facts(endpoint, attempts) | {"status": answer.status, "server_says": _words(error_body(answer.body))}
    if _is_json(answer.content_type):
        message = f"{endpoint.path} was done (status {answer.status}), but its answer can't be read: {reason}"
        return errors.AnswerUnreadable(message, body=answer.body, decoded=_salvage(endpoint, answer.body), **facts)
    kind = answer.content_type or "no content type"
    message = f"{endpoint.path} was answered {answer.status} with something that is not the API's ({kind})"
    if endpoint.repeat is Repeat.HARMLESS:
        return errors.Unavailable(message, **facts)
    return errors.OutcomeUnknown(f"{message}; the server may have acted all the same", **facts)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def retry_after(header: str | None, now: int) -> float | None:
    """The pause that a `Retry-After` header asks for, in seconds; None if there is none, or none that can be read."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now / 1000
    return max(0.0, seconds) if math.isfinite(seconds) else None


def error_body(body: bytes) -> object:
    """The body of an error, decoded if it is JSON, as text otherwise."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body[: 4 * _WORDS].decode("utf-8", "replace")


def _words(body: object) -> str | None:
    """The server's own words in an error body of one of the shapes that were seen."""
    said = body
    if isinstance(body, dict):
        said = body.get("detail", body.get("message", body))
    if isinstance(said, list):
        said = "; ".join(_complaint(item) for item in said[:10])
    return _one_line(said if isinstance(said, str) else repr(said)) or None


def _complaint(item: object) -> str:
    if isinstance(item, dict) and "msg" in item:
        place = item.get("loc")
        where = ".".join(str(part) for part in place if part != "body") if isinstance(place, list) else ""
        return f"{where}: {item['msg']}" if where else str(item["msg"])
    return str(item)


def _one_line(text: str) -> str:
    return " ".join(text[: 4 * _WORDS].split())[:_WORDS]


# -- oddities ----------------------------------------------------------------------------------------


def _whole(value: object) -> int:
    if isinstance(value, str):
        value = Decimal(value.strip())
    if isinstance(value, (float, Decimal)):
        if not (math.isfinite(value) and value == int(value)):
            raise ValueError(f"{value} is no whole number")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number")
    return value


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"{value!r} is no number")
    return Decimal(repr(value) if isinstance(value, float) else value)


_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


def _boolean(value: object) -> bool:
    known = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
    if known is None:
        raise ValueError(f"{value!r} is neither true nor false")
    return known


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _or_none(convert: Callable[[object], T]) -> Callable[[object, object], T | None]:
    def lenient(value: object, _: object) -> T | None:
        try:
            return None if value is None else convert(value)
        except (ValueError, ArithmeticError):
            return None

    return lenient


def _strict(convert: Callable[[object], T]) -> Callable[[object, object], T]:
    def checked(value: object, _: object) -> T:
        try:
            return convert(value)
        except ArithmeticError:
            raise ValueError(f"{value!r} is no number") from None

    return checked


def _twelve_decimals(price: Decimal | None) -> str | None:
    if price is None:
        return None
    whole, _, fraction = format(price, "f").partition(".")
    return f"{whole}.{fraction:0<12}"


def _id_text(number: int | None) -> str | None:
    return None if number is None else str(number)


@functools.cache
def _converter() -> Converter:
    # Imported by the first odd answer: most programs never need it.
    from cattrs import Converter
    from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(int, _strict(_whole))
    converter.register_structure_hook(Decimal, _strict(_decimal))
    converter.register_structure_hook(bool, _strict(_boolean))
    converter.register_structure_hook(str, _strict(_string))
    converter.register_structure_hook(int | None, _or_none(_whole))
    converter.register_structure_hook(Decimal | None, _or_none(_decimal))

    plain_symbol = make_dict_structure_fn(Symbol, converter)

    def symbol(value: Any, kind: Any) -> Symbol:
        if isinstance(value, dict) and "markets" not in value and isinstance(value.get("market"), str):
            value = value | {"markets": [value["market"]]}
        return plain_symbol(value, kind)

    converter.register_structure_hook(Symbol, symbol)
    as_position: dict[str, Any] = {
        "position_id": override(unstruct_hook=_id_text),
        "strategy_id": override(unstruct_hook=_id_text),
        "size": override(unstruct_hook=float),
        "open_price": override(unstruct_hook=_twelve_decimals),
    }
    converter.register_unstructure_hook(Position, make_dict_unstructure_fn(Position, converter, **as_position))
    converter.register_unstructure_hook(
        ClosedPosition,
        make_dict_unstructure_fn(
            ClosedPosition, converter, close_price=override(unstruct_hook=_twelve_decimals), **as_position
        ),
    )
    converter.register_unstructure_hook(tuple, lambda items: [converter.unstructure(item) for item in items])
    converter.register_unstructure_hook(
        Symbol, make_dict_unstructure_fn(Symbol, converter, markets=override(omit_if_default=True))
    )
    return converter


def documented(model: object) -> dict[str, Any]:
    """The dictionary that the API's documentation shows for a model, its keys in alphabetical order."""
    return dict(sorted(_converter().unstructure(model).items()))
