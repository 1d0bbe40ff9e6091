"""The commands of TradingView alerts: one path, a row for each action, the key in the body, and all of it text.

The key is looked for in `api_key` alone, and first. Nothing of a body is repeated in an answer, since the key may stand
at a wrong place of it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import attrs
from fastapi import Request
from pydantic import BaseModel, ValidationError, create_model
from starlette.responses import Response

from ..._api.endpoints import Endpoint
from ..._api.exchange import JSON
from ..rules import Complaint, Refusal, invalid
from .answers import answered, asked
from .filling import Filling, Perform
from .schema import model_of


@attrs.frozen(eq=False)
class Command:
    """One action: its row, what carries it out, and what its body must be."""

    endpoint: Endpoint[Any]
    perform: Perform
    model: type[BaseModel]

    @classmethod
    def of(cls, endpoint: Endpoint[Any], perform: Perform) -> Command:
        """The command of a row."""
        request: type[attrs.AttrsInstance] = endpoint.request
        return cls(endpoint, perform, model_of(request))


def carried_out(filling: Filling, commands: dict[str, Command]) -> Callable[..., Coroutine[Any, Any, Response]]:
    """The endpoint of the commands of one path."""

    async def carry_out(request: Request) -> Response:
        said = await _object(request)
        key = said.get("api_key")
        owner = filling.venue.owner(key if isinstance(key, str) else None)
        action = said.get("action")
        command = commands.get(action) if isinstance(action, str) else None
        if command is None:
            known = ", ".join(sorted(commands))
            raise invalid(("body", "action"), f"It must be one of {known}", "unknown_action")
        ask = asked(command.endpoint, _values(command.model, said))
        return answered(command.endpoint, await filling.performed(command.perform, owner, ask))

    return carry_out


async def _object(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        said = await request.json() if kind == JSON else None
    except json.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise invalid(("body",), "It should be a JSON object, of the content type application/json", "no_object")
    return said


def _values(model: type[BaseModel], said: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(model.model_validate(said))
    except ValidationError as problem:
        found = [Complaint(("body", *each["loc"]), each["msg"], each["type"]) for each in problem.errors()]
    raise Refusal(422, found)


@functools.cache
def _described(command: Endpoint[Any]) -> dict[str, Any]:
    """The schema of the body of one action."""
    words = "".join(word.title() for word in (command.action or "").split("-"))
    fields: dict[str, Any] = {"api_key": (str, ...), "action": (Literal[command.action], ...)}
    request: type[attrs.AttrsInstance] = command.request
    return create_model(words, __base__=model_of(request), **fields).model_json_schema()


def body_of(commands: dict[str, Command]) -> dict[str, Any]:
    """What the pages say of the body."""
    schema = {"oneOf": [_described(command.endpoint) for command in commands.values()]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
