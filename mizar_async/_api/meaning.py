"""Which error an answer means.

Which answers to a write are a refusal is a list, since another venue answered 400 to time-outs and placed
the order seconds later: every status that is not on the list leaves the outcome unknown.
"""

from __future__ import annotations

import contextlib
import json
import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

from .. import errors
from .endpoints import Endpoint, Repeat
from .exchange import Answer, NoAnswer

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
_LARGEST_ERROR: Final = 256 * 2**10


def _facts(endpoint: Endpoint[Any], attempts: int) -> dict[str, Any]:
    return {"method": endpoint.method, "path": endpoint.path, "attempts": attempts}


def _doubt(endpoint: Endpoint[Any]) -> str:
    told = "" if endpoint.told_by is None else f": {endpoint.told_by} tells"
    return f"the server may have acted all the same{told}"


def unanswered(endpoint: Endpoint[Any], result: NoAnswer, attempts: int) -> errors.MizarError:
    facts = _facts(endpoint, attempts)
    if endpoint.repeat is Repeat.HARMLESS:
        return errors.Unavailable(f"{endpoint.path}: {result.reason}", **facts)
    if not result.sent:
        return errors.NotSent(f"{endpoint.path} was not sent: {result.reason}", **facts)
    return errors.OutcomeUnknown(f"{endpoint.path}: {result.reason}; {_doubt(endpoint)}", **facts)


def declined(endpoint: Endpoint[Any], answer: Answer, now: int, attempts: int) -> errors.MizarError:
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
    return errors.OutcomeUnknown(f"{message}; {_doubt(endpoint)}", **facts)


def unreadable(
    endpoint: Endpoint[Any], answer: Answer, reason: str, decoded: object, attempts: int
) -> errors.MizarError:
    """The error of an answer that is the API's, as far as it can be told, and can't be read."""
    facts = _facts(endpoint, attempts) | {"status": answer.status, "server_says": _words(error_body(answer.body))}
    if _is_json(answer.content_type):
        message = (
            f"{endpoint.path} was done (status {answer.status}), but its answer can't be read: {_one_line(reason)}"
        )
        return errors.AnswerUnreadable(message, body=answer.body, decoded=decoded, **facts)
    return foreign(endpoint, answer, answer.content_type or "no content type", attempts)


def foreign(endpoint: Endpoint[Any], answer: Answer, why: str, attempts: int) -> errors.MizarError:
    """The error of an answer that is not the API's: it says nothing about what the server did."""
    facts = _facts(endpoint, attempts) | {"status": answer.status, "server_says": _words(error_body(answer.body))}
    message = f"{endpoint.path} was answered {answer.status} with something that is not the API's ({why})"
    if endpoint.repeat is Repeat.HARMLESS:
        return errors.Unavailable(message, **facts)
    return errors.OutcomeUnknown(f"{message}; {_doubt(endpoint)}", **facts)


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
        seconds = _seconds_until(header, now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(date: str, now: int) -> float:
    try:
        moment = parsedate_to_datetime(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now / 1000
    except (ValueError, ArithmeticError, LookupError, TypeError):  # the parser has a kind for each way to be wrong
        return math.nan


def error_body(body: bytes) -> object:
    """The body of an error, decoded if it is JSON of a size that errors have, as text otherwise."""
    if len(body) <= _LARGEST_ERROR:
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(body)
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
