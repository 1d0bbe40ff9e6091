"""What the venue's own page asks, since the API does not tell it: history and fees. No part of its description."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI, Query
from starlette.responses import Response

from ..rules import invalid
from ..store import LARGEST_ID, Recorded
from ..venue import Venue
from .answers import documented

_MOST: Final = 200
_CURSOR: Final = re.compile(r"(-?\d{1,19})\.(\d{1,19})", re.ASCII)

StrategyId = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=_MOST)]


def add(app: FastAPI, venue: Venue, owner: Callable[..., Any]) -> None:
    """Add the routes of the page; `owner` finds out whose key came."""

    whose = Depends(owner)

    async def opened(strategy_id: StrategyId, owner: int = whose) -> Response:
        venue.strategy(owner, strategy_id)
        return _answer({"open": [_written(one) for one in venue.store.recorded_open(strategy_id)]})

    async def closed(
        strategy_id: StrategyId, before: str | None = None, limit: Limit = _MOST, owner: int = whose
    ) -> Response:
        venue.strategy(owner, strategy_id)
        found = venue.store.recorded_closed(strategy_id, _place(before), limit + 1)
        rest = _cursor(found[limit - 1]) if len(found) > limit else None
        return _answer({"closed": [_written(one) for one in found[:limit]], "before": rest})

    app.add_api_route("/page/open", opened, include_in_schema=False)
    app.add_api_route("/page/closed", closed, include_in_schema=False)


def _answer(said: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(said), media_type="application/json")


def _written(one: Recorded) -> dict[str, Any]:
    written: dict[str, Any] = documented(one.position)
    return written | {"fee": f"{one.fee:f}"}


def _cursor(last: Recorded) -> str:
    """Where the next page begins: a place in the order, which stays where it is whatever is closed meanwhile."""
    return f"{getattr(last.position, 'close_timestamp', 0)}.{last.position.position_id}"


def _place(before: str | None) -> tuple[int, int]:
    if before is None:
        return LARGEST_ID, LARGEST_ID
    found = _CURSOR.fullmatch(before)
    if found is None or max(place := (int(found[1]), int(found[2]))) > LARGEST_ID or place[0] < -LARGEST_ID:
        raise invalid(("query", "before"), "It must be what an answer says in before", "unknown_place")
    return place
