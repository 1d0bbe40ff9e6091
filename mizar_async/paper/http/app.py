"""The venue over HTTP: a FastAPI application made by walking the table of endpoints.

A row gives the path, the method, and the classes of request and answer. What is added here is which method of the venue
carries it out and what it may refuse; a row without an entry in `_ROUTES` fails when the application is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

import attrs
import msgspec
from fastapi import Body, Depends, FastAPI, Query
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, create_model
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..._api import endpoints as calls
from ..._api.endpoints import API_PREFIX, ENDPOINTS, Endpoint
from ..._api.trading import Position
from ...errors import InvalidInput
from ..rules import Complaint, Refusal
from ..venue import Venue
from .bodies import StrictRoute
from .schema import model_of

_KEY: Final = APIKeyHeader(name="mizar-api-key", auto_error=False, description="The API key that `mizar paper` prints.")


@attrs.frozen
class _Route:
    perform: Callable[[Venue, Any, Any], object]
    needs_key: bool = True
    refuses: tuple[int, ...] = ()
    """Statuses beyond 401 for a key, and 413 and 422 for parameters."""


# fmt: off
_ROUTES: Final[dict[Endpoint[Any], _Route]] = {
    calls.PUBLISH_STRATEGY: _Route(Venue.publish_strategy),
    calls.OPEN_POSITION:    _Route(Venue.open_position,       refuses=(404,)),
    calls.CLOSE_POSITION:   _Route(Venue.close_position,      refuses=(404, 409)),
    calls.CLOSE_ALL:        _Route(Venue.close_all_positions, refuses=(404,)),
    calls.OPEN_POSITIONS:   _Route(Venue.open_positions,      refuses=(404,)),
    calls.STRATEGIES:       _Route(Venue.strategies),
    calls.PING:             _Route(Venue.ping,        needs_key=False),
    calls.SERVER_TIME:      _Route(Venue.server_time, needs_key=False),
    calls.EXCHANGES:        _Route(Venue.exchanges,   needs_key=False),
    calls.SYMBOLS:          _Route(Venue.symbols,     needs_key=False),
}
_MEANS: Final = {
    401: "The key is missing or unknown.",
    404: "This key has no such strategy or position.",
    409: "The position is closed already.",
    413: "The body is larger than 1 MiB.",
    422: "The request can't be right.",
}
# fmt: on


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


def create_app(venue: Venue) -> FastAPI:
    """The ASGI application of a venue: the API below /api/v1, its pages at /docs, /redoc and /openapi.json."""
    app = FastAPI(
        title="Mizar, the paper venue",
        version="1",  # of the API
        redirect_slashes=False,  # clients do not follow redirects
    )
    app.router.route_class = StrictRoute
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(AnyHTTPException, _http_error)

    # The parameter is named as in the description; None stands for a header that was not sent.
    async def owner(key: Annotated[str | None, Depends(_KEY)]) -> int:
        return venue.owner(key)

    for endpoint in ENDPOINTS:
        _add(app, endpoint, venue, owner)
    return app


def _add(app: FastAPI, endpoint: Endpoint[Any], venue: Venue, owner: Callable[..., Any]) -> None:
    route = _ROUTES[endpoint]
    asks = bool(attrs.fields(endpoint.request))
    refuses = (401,) * route.needs_key + route.refuses + (413,) * (asks and endpoint.method != "GET") + (422,) * asks
    app.add_api_route(
        f"{API_PREFIX}/{endpoint.path}",
        _endpoint(endpoint, route, venue, owner),
        methods=[endpoint.method],
        operation_id=endpoint.path,
        summary=inspect.getdoc(route.perform),
        response_model=_answer_model(endpoint),
        responses={
            status: {"model": InvalidRequest if status == 422 else ErrorText, "description": _MEANS[status]}
            for status in sorted(refuses)
        },
    )


def _endpoint(endpoint: Endpoint[Any], route: _Route, venue: Venue, owner: Callable[..., Any]) -> Callable[..., Any]:
    async def carry_out(ask: BaseModel | None = None, owner: int | None = None) -> Response:
        values = {} if ask is None else dict(ask)
        answer = route.perform(venue, owner, _checked(endpoint, values))
        return Response(_encoded(endpoint, answer), media_type="application/json")

    # FastAPI reads the signature to learn what the row says.
    parameters = []
    if attrs.fields(endpoint.request):
        where = Query() if endpoint.method == "GET" else Body()
        request: type[attrs.AttrsInstance] = endpoint.request
        parameters.append(_keyword("ask", Annotated[model_of(request), where]))
    if route.needs_key:
        parameters.append(_keyword("owner", Annotated[int, Depends(owner)]))
    carry_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return carry_out


def _keyword(name: str, kind: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)


def _checked(endpoint: Endpoint[Any], values: dict[str, Any]) -> object:
    try:
        return endpoint.request(**values)
    except InvalidInput as problem:
        # What pydantic let through is wrong only as a whole. The message's first half shows a value: it stays here.
        reason = str(problem).partition(" is refused: ")[2]
        raise Refusal(422, [Complaint(("body",), reason, "inconsistent")]) from None


def _encoded(endpoint: Endpoint[Any], answer: object) -> bytes:
    if endpoint.envelope is not None and isinstance(answer, Iterable):
        return msgspec.json.encode({endpoint.envelope: [_documented(item) for item in answer]})
    return msgspec.json.encode({"message": "pong"} if endpoint is calls.PING else _documented(answer))


def _documented(item: Any) -> dict[str, Any]:
    written: dict[str, Any] = item.to_dict()
    if isinstance(item, Position):
        # A number as the document shows it, 1.0 or 0.3, but exact: what was sent comes back.
        written["size"] = msgspec.Raw(_exact(item.size).encode())
    return written


def _exact(size: Decimal) -> str:
    text = format(size, "f")
    return text if "." in text else f"{text}.0"


def _answer_model(endpoint: Endpoint[Any]) -> type[BaseModel]:
    if endpoint is calls.PING:
        return create_model("Pong", message=(str, ...))
    plain: type[attrs.AttrsInstance] = endpoint.answer if endpoint.envelope is None else endpoint.answer.__args__[0]
    model = model_of(plain, answer=True)
    if endpoint.envelope is None:
        return model
    fields: dict[str, Any] = {endpoint.envelope: (list[model], ...)}  # type: ignore[valid-type]
    return create_model("".join(word.title() for word in endpoint.path.split("-")), **fields)


def _error(status: int, detail: object, headers: Mapping[str, str] | None = None) -> Response:
    body = msgspec.json.encode({"detail": detail})
    return Response(body, status_code=status, headers=headers, media_type="application/json")


async def _refused(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Refusal)
    challenge = {"WWW-Authenticate": "APIKey"} if problem.status == 401 else None
    return _error(problem.status, problem.detail, challenge)


async def _not_valid(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)
    # The stock handler repeats what was sent: it would print keys, and fails at what JSON can't hold.
    return _error(422, [Complaint(tuple(found["loc"]), found["msg"], found["type"]) for found in problem.errors()])


async def _http_error(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, AnyHTTPException)
    return _error(problem.status_code, problem.detail, problem.headers)
