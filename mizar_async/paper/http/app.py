"""The venue over HTTP: a FastAPI application made by walking the table of endpoints.

A row gives the path, the method, and the classes of request and answer. What is added here is which method of the venue
carries it out and what it may refuse; a row without an entry in `_ROUTES` fails when the application is made.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import attrs
import msgspec
from fastapi import Body, Depends, FastAPI, Query
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..._api import endpoints as calls
from ..._api.endpoints import API_PREFIX, ENDPOINTS, Endpoint
from ..._api.exchange import PRICES
from ..rules import Complaint, Refusal
from ..venue import Venue
from . import hosted, page
from .answers import ErrorText, InvalidRequest, answer_model, answered, asked
from .bodies import StrictRoute
from .commands import Command, body_of, carried_out
from .filling import Filling, Perform
from .schema import model_of

_KEY: Final = APIKeyHeader(name="mizar-api-key", auto_error=False, description="The API key that `mizar paper` prints.")


@attrs.frozen
class _Route:
    perform: Perform
    needs_key: bool = True
    refuses: tuple[int, ...] = ()
    """Statuses beyond 401 for a key, and 413 and 422 for parameters."""
    is_done: bool = True
    """Whether the venue carries it out."""


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

    calls.BAR_TYPES:        _Route(Venue.bar_types),
    calls.BARS:             _Route(Venue.bars),

    calls.PUBLISH_HOSTED:   _Route(Venue.publish_hosted),

    calls.COMMAND_OPEN:      _Route(Venue.open_position,       refuses=(404,)),
    calls.COMMAND_CLOSE:     _Route(Venue.close_position,      refuses=(404, 409)),
    calls.COMMAND_CLOSE_ALL: _Route(Venue.close_all_positions, refuses=(404,)),

    **dict.fromkeys(
        (row for row in ENDPOINTS if row.path.startswith(("dca-bots/", "subscription/"))),
        _Route(Venue.dca_bots, refuses=(404,), is_done=False),
    ),
}
_MEANS: Final = {
    401: "The key is missing or unknown.",
    404: "This key has no such strategy or position, or the venue does not carry out this call.",
    409: "The position is closed already.",
    413: "The body is larger than 1 MiB; for a hosted strategy, its source than 2 MB or its pickle than 200 MB.",
    422: "The request can't be right.",
}
# fmt: on


def create_app(venue: Venue) -> FastAPI:
    """The ASGI application of a venue: the API below /api/v1, its pages at /docs, /redoc and /openapi.json."""

    async def begin() -> None:
        venue.clock.now()  # a replay begins with the first call, also with one that asks for no time
        venue.settle()

    app = FastAPI(
        title="Mizar, the paper venue",
        version="1",  # of the API
        redirect_slashes=False,  # clients do not follow redirects
        dependencies=[Depends(begin)],
    )
    app.router.route_class = StrictRoute
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(AnyHTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)

    # The parameter is named as in the description; None stands for a header that was not sent.
    async def owner(key: Annotated[str | None, Depends(_KEY)]) -> int:
        return venue.owner(key)

    filling = Filling(venue)
    for endpoint in ENDPOINTS:
        if endpoint.action is None:
            _add(app, endpoint, filling, owner)
    for path in {row.path: None for row in ENDPOINTS if row.action is not None}:
        _add_commands(app, path, filling)
    page.add(app, venue, owner)
    return app


def _add(app: FastAPI, endpoint: Endpoint[Any], filling: Filling, owner: Callable[..., Any]) -> None:
    route = _ROUTES[endpoint]
    asks = bool(attrs.fields(endpoint.request))
    refuses = (401,) * route.needs_key + route.refuses + (413,) * (asks and endpoint.method != "GET") + (422,) * asks
    app.add_api_route(
        f"{API_PREFIX}/{endpoint.path}",
        _form(filling.venue, owner) if endpoint.is_form else _endpoint(endpoint, route, filling, owner),
        methods=[endpoint.method],
        operation_id=endpoint.path,
        summary=inspect.getdoc(route.perform),
        response_model=answer_model(endpoint) if route.is_done else None,
        responses=_refusals(*refuses),
        openapi_extra=hosted.BODY if endpoint.is_form else None,
    )


def _add_commands(app: FastAPI, path: str, filling: Filling) -> None:
    rows = [row for row in ENDPOINTS if row.path == path]
    commands = {str(row.action): Command.of(row, _ROUTES[row].perform) for row in rows}
    answers = [answer_model(row) for row in rows if _ROUTES[row].is_done]
    refuses = {status for row in rows for status in _ROUTES[row].refuses}
    app.add_api_route(
        f"{API_PREFIX}/{path}",
        carried_out(filling, commands),
        methods=["POST"],
        operation_id=path,
        summary="A command of a TradingView alert, with the key in its body.",
        response_model=functools.reduce(operator.or_, answers) if answers else None,
        responses=_refusals(401, 413, 422, *refuses),
        openapi_extra=body_of(commands),
    )


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": InvalidRequest if status == 422 else ErrorText, "description": _MEANS[status]}
        for status in sorted(statuses)
    }


def _endpoint(
    endpoint: Endpoint[Any], route: _Route, filling: Filling, owner: Callable[..., Any]
) -> Callable[..., Any]:
    headers = {PRICES: filling.venue.prices} if endpoint is calls.SERVER_TIME else None

    async def carry_out(ask: BaseModel | None = None, owner: int | None = None) -> Response:
        values = {} if ask is None else dict(ask)
        answer = await filling.performed(route.perform, owner, asked(endpoint, values))
        return answered(endpoint, answer, headers)

    # FastAPI reads the signature to learn what the row says.
    parameters = []
    if attrs.fields(endpoint.request):
        where = Query() if endpoint.method == "GET" else Body()
        request: type[attrs.AttrsInstance] = endpoint.request
        parameters.append(_keyword("ask", Annotated[model_of(request), where]))
    return _signed(carry_out, parameters, owner if route.needs_key else None)


def _form(venue: Venue, owner: Callable[..., Any]) -> Callable[..., Any]:
    return _signed(hosted.published(venue), [_keyword("request", Request)], owner)


def _signed(
    function: Callable[..., Any], parameters: list[inspect.Parameter], owner: Callable[..., Any] | None
) -> Callable[..., Any]:
    needs_key = [] if owner is None else [_keyword("owner", Annotated[int, Depends(owner)])]
    function.__signature__ = inspect.Signature([*parameters, *needs_key])  # type: ignore[attr-defined]
    return function


def _keyword(name: str, kind: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)


_HEADERS: Final = {
    401: {"WWW-Authenticate": "APIKey"},
    # What was not read of the body can't be told from a next request: the connection ends with the answer.
    413: {"Connection": "close"},
}


def _error(status: int, detail: object, headers: Mapping[str, str] | None = None) -> Response:
    body = msgspec.json.encode({"detail": detail})
    return Response(body, status_code=status, headers=headers, media_type="application/json")


async def _refused(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Refusal)
    return _error(problem.status, problem.detail, _HEADERS.get(problem.status))


async def _not_valid(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)
    # The stock handler repeats what was sent: it would print keys, and fails at what JSON can't hold.
    return _error(422, [Complaint(tuple(found["loc"]), found["msg"], found["type"]) for found in problem.errors()])


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # which nobody reads: the client has gone in the middle of its body


async def _http_error(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, AnyHTTPException)
    return _error(problem.status_code, problem.detail, problem.headers)
