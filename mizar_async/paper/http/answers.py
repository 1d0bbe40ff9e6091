"""From what was asked to the SDK's classes, and from what the venue says to JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs
import msgspec
from pydantic import BaseModel, create_model
from starlette.responses import Response

from ..._api import endpoints as calls
from ..._api.documented import on_the_wire, wire_name
from ..._api.endpoints import Endpoint
from ..._api.trading import Position
from ...errors import InvalidInput
from ..bars import Finished
from ..rules import Complaint, Refusal
from .schema import model_of


class ErrorText(BaseModel):
    """What was wrong."""

    detail: str


class InvalidField(BaseModel):
    """Where it was wrong, in words, and as a word for programs."""

    loc: list[str | int]
    msg: str
    type: str


class InvalidRequest(BaseModel):
    """Everything that was wrong with a request."""

    detail: list[InvalidField]


def asked(endpoint: Endpoint[Any], values: dict[str, Any]) -> object:
    """The request that these values are, by their names on the wire."""
    request: Any = endpoint.request
    try:
        return request(**{field.name: values[wire_name(field)] for field in on_the_wire(request)})
    except InvalidInput as problem:
        # What pydantic let through is wrong only as a whole. The message's first half shows a value: it stays here.
        reason = str(problem).rpartition(" is refused: ")[2]
        place = "query" if endpoint.method == "GET" else "body"
        raise Refusal(422, [Complaint((place,), reason, "inconsistent")]) from None


def answered(endpoint: Endpoint[Any], answer: object, headers: Mapping[str, str] | None = None) -> Response:
    """The answer of a call."""
    return Response(_encoded(endpoint, answer), headers=headers, media_type="application/json")


def _encoded(endpoint: Endpoint[Any], answer: object) -> bytes:
    if endpoint.envelope is not None and isinstance(answer, Iterable):
        return msgspec.json.encode({endpoint.envelope: [documented(item) for item in answer]})
    return msgspec.json.encode({"message": "pong"} if endpoint is calls.PING else documented(answer))


def documented(item: Any) -> Any:
    """What is written of an item."""
    if isinstance(item, Finished):
        return msgspec.Raw(item.written)
    written: dict[str, Any] = item.to_dict()
    if isinstance(item, Position):
        # A number as the document shows it, 1.0 or 0.3, but exact: what was sent comes back.
        written["size"] = msgspec.Raw(_exact(item.size).encode())
    return written


def _exact(size: Decimal) -> str:
    text = format(size, "f")
    return text if "." in text else f"{text}.0"


def answer_model(endpoint: Endpoint[Any]) -> type[BaseModel]:
    """What the pages say of an answer."""
    if endpoint is calls.PING:
        return create_model("Pong", message=(str, ...))
    if endpoint is calls.PUBLISH_HOSTED:
        return create_model("Publication", message=(str, ...))
    plain: type[attrs.AttrsInstance] = endpoint.item
    model = model_of(plain, answer=True)
    if endpoint.envelope is None:
        return model
    content: Any = list[model] if endpoint.holds_list else model  # type: ignore[valid-type]
    fields: dict[str, Any] = {endpoint.envelope: (content, ...)}
    words = (endpoint.action or endpoint.path).replace("/", "-").split("-")
    return create_model("".join(word.title() for word in words), **fields)
