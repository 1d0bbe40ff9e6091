"""The publication of a hosted strategy: a form, larger than any other body, whose pickle nobody opens."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from fastapi import HTTPException, Request
from starlette.responses import Response

from ..._api.endpoints import PUBLISH_HOSTED
from ..._api.hosted import LARGEST_SOURCE, LARGEST_STRATEGY
from ..rules import invalid, too_large
from ..venue import Upload, Venue
from .answers import answered
from .bodies import LARGEST_BODY, strict_json

_FORM: Final = "application/x-www-form-urlencoded"

# A byte of a form may be written in three.
_LARGEST_FORM: Final = 3 * (LARGEST_STRATEGY + LARGEST_SOURCE) + LARGEST_BODY

BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
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
        fields = _fields(await _body(request))
        source, strategy = fields.get("strategy-file", b""), fields.get("strategy", b"")
        if len(source) > LARGEST_SOURCE:
            raise too_large("source", LARGEST_SOURCE)
        if len(strategy) > LARGEST_STRATEGY:
            raise too_large("strategy", LARGEST_STRATEGY)
        if not strategy:
            raise invalid(("body", "strategy"), "Field required", "missing")
        info = _text("strategy-info", fields.get("strategy-info", b""))
        try:
            told = strict_json(info.encode())
        except (ValueError, ArithmeticError, RecursionError):
            told = None
        upload = Upload(info, told, _text("strategy-file", source), strategy)
        return answered(PUBLISH_HOSTED, venue.publish_hosted(owner, upload))

    return publish


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise invalid(("body",), f"It should be a form, of the content type {_FORM}", "no_form")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise HTTPException(413, "The body is too large", headers={"Connection": "close"})
    return bytes(body)


def _fields(body: bytes) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    for part in filter(None, body.split(b"&")):
        name, _, value = part.partition(b"=")
        known = _unquoted(name).decode("utf-8", "replace")
        if known in fields:
            raise invalid(("body",), "A field stands twice", "twice")
        fields[known] = _unquoted(value)
    return fields


def _unquoted(text: bytes) -> bytes:
    # What base64 needs, all at once: the general way makes a piece of each.
    for written, meant in ((b"+", b" "), (b"%2B", b"+"), (b"%2F", b"/"), (b"%3D", b"="), (b"%0A", b"\n")):
        text = text.replace(written, meant)
    return unquote_to_bytes(text) if b"%" in text else text


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise invalid(("body", name), "It should be UTF-8", "no_utf_8") from None
