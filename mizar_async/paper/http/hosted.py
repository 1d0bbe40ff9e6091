"""The publication of a hosted strategy: a form, larger than any other body, whose pickle nobody opens."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from fastapi import Request
from starlette.responses import Response

from ..._api.endpoints import PUBLISH_HOSTED
from ..._api.exchange import FORM
from ..._api.hosted import LARGEST_SOURCE, LARGEST_STRATEGY
from ..rules import Refusal, invalid, too_large
from ..venue import Upload, Venue
from .answers import answered
from .bodies import LARGEST_BODY, strict_json

LIMITS: Final = {"strategy-info": LARGEST_BODY, "strategy-file": LARGEST_SOURCE, "strategy": LARGEST_STRATEGY}
"""The fields of the form, and how many bytes each may have."""

# A byte of a form may be written in three.
_LARGEST_FORM: Final = 3 * sum(LIMITS.values())
_MOST_FIELDS: Final = 1_000
_LONGEST_NAME: Final = 100  # of a field, as it is written: a longer one is none of these

BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["strategy-info", "strategy"],
                    "properties": {
                        "strategy-info": {"type": "string", "description": "A JSON object with a name."},
                        "strategy-file": {"type": "string", "description": "The source, at most 2 MB."},
                        "strategy": {"type": "string", "minLength": 1, "description": "Base64, at most 200 MB."},
                    },
                },
                "example": {
                    "strategy-info": '{"name": "My Strategy"}',
                    "strategy-file": "",
                    "strategy": "gASVBAAAAAAAAABLAS4=",
                },
            }
        },
    }
}


def published(venue: Venue) -> Callable[[Request, int], Coroutine[Any, Any, Response]]:
    """What a form is made of, and given to the venue; whose key it is has been found out before."""

    async def publish(request: Request, owner: int) -> Response:
        fields = await _fields(request)
        if not fields["strategy"]:
            raise invalid(("body", "strategy"), "Field required", "missing")
        info, source = _text("strategy-info", fields), _text("strategy-file", fields)
        try:
            told = strict_json(info.encode())
        except (ValueError, ArithmeticError, RecursionError):
            told = None
        return answered(PUBLISH_HOSTED, venue.publish_hosted(owner, Upload(info, told, source, fields["strategy"])))

    return publish


async def _fields(request: Request) -> dict[str, bytearray]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise invalid(("body",), f"It should be a form, of the content type {FORM}", "no_form")
    announced = request.headers.get("content-length", "")
    size = int(announced[:20]) if announced.isdecimal() else 0
    form = Form()
    async for chunk in request.stream():
        form.take(chunk)
        if max(size, form.size) > _LARGEST_FORM:
            raise too_large("body", _LARGEST_FORM)
    return form.ended()


class Form:
    """The fields of a form, read as its body comes, so that memory holds what they say, and the body never.

    Fields that nobody asked for are passed over. Raises the refusal of one that is too large, or that stands twice.
    """

    def __init__(self) -> None:
        self.size = 0
        """How much was read."""
        self._found: dict[str, bytearray] = {}
        self._parts = 0
        self._begin()

    def _begin(self) -> None:
        self._name = b""
        self._value: bytearray | None = None
        self._limit = 0
        self._half = b""

    def take(self, chunk: bytes) -> None:
        """Read on."""
        self.size += len(chunk)
        first, *others = chunk.split(b"&")
        self._parts += len(others)
        if self._parts > _MOST_FIELDS:
            raise Refusal(413, f"The form has more than {_MOST_FIELDS} fields")
        self._part(first)
        for part in others:
            self._end()
            self._part(part)

    def ended(self) -> dict[str, bytearray]:
        """What each field says, once the body is over: nothing for one that is missing."""
        self._end()
        return {name: self._found.get(name, bytearray()) for name in LIMITS}

    def _part(self, part: bytes) -> None:
        if self._value is None:
            name, equals, part = part.partition(b"=")
            self._name = (self._name + name)[:_LONGEST_NAME]
            if not equals:
                return
            self._value = self._field()
        part = self._half + part
        # An escape has three bytes, which may come in two pieces.
        half = part.find(b"%", max(0, len(part) - 2))
        self._half = b"" if half < 0 else part[half:]
        self._say(part if half < 0 else part[:half])

    def _end(self) -> None:
        if self._value is not None:
            self._say(self._half)
        self._begin()

    def _field(self) -> bytearray:
        known = _unquoted(self._name).decode("utf-8", "replace")
        if known in self._found:
            raise invalid(("body", known), "It stands twice", "twice")
        self._limit = LIMITS.get(known, 0)
        return self._found.setdefault(known, bytearray()) if known in LIMITS else bytearray()

    def _say(self, written: bytes) -> None:
        if self._limit and self._value is not None:
            self._value += _unquoted(written)
            if len(self._value) > self._limit:
                raise too_large(_unquoted(self._name).decode(), self._limit)


def _unquoted(text: bytes) -> bytes:
    # What base64 needs, all at once: the general way makes a piece of each.
    for written, meant in ((b"+", b" "), (b"%2B", b"+"), (b"%2F", b"/"), (b"%3D", b"="), (b"%0A", b"\n")):
        text = text.replace(written, meant)
    return unquote_to_bytes(text) if b"%" in text else text


def _text(name: str, fields: dict[str, bytearray]) -> str:
    try:
        return fields[name].decode()
    except UnicodeDecodeError:
        raise invalid(("body", name), "It should be UTF-8", "no_utf_8") from None
