"""What a request may bring: a body that is bounded, and is one unambiguous JSON document or none."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from fastapi import HTTPException
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

LARGEST_BODY: Final = 2**20


class _StrictRequest(Request):
    """A request whose body is bounded, and is one unambiguous JSON document or none."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            chunks, size = [], 0
            announced = self.headers.get("content-length", "")
            if announced.isdecimal() and int(announced[:20]) > LARGEST_BODY:
                raise _too_large()
            async for chunk in self.stream():
                size += len(chunk)
                if size > LARGEST_BODY:
                    raise _too_large()
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> object:
        body = await self.body()
        try:
            return strict_json(body)
        except (ValueError, ArithmeticError, RecursionError):
            # FastAPI answers 422 to this class, and 400 to any other; nothing of the body is kept in it.
            raise json.JSONDecodeError("not a JSON document that this API takes", "", 0) from None


def _too_large() -> HTTPException:
    # What was not read of the body can't be told from a next request: the connection ends with the answer.
    return HTTPException(413, "The body is too large", headers={"Connection": "close"})


def strict_json(body: bytes) -> object:
    """One unambiguous JSON document; raises ValueError, ArithmeticError or RecursionError for anything else."""
    # Decimals, since sizes are exact; NaN and Infinity are no JSON.
    return json.loads(
        body.decode("utf-8"), parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_distinct
    )


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice: programs disagree about which of the values counts")
    return values


class StrictRoute(APIRoute):
    """A route that reads bodies strictly."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            answer: Response = await handle(_StrictRequest(request.scope, request.receive))
            return answer

        return handle_strictly
