"""One HTTP exchange as plain data."""

from __future__ import annotations

from typing import Final

import attrs

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
"""The two content types of bodies."""

PRICES: Final = "mizar-prices"
"""The header by which a paper venue says, with its time, which prices it has."""


@attrs.frozen
class Request:
    """One HTTP request, without address and key: the transport knows those."""

    method: str
    path: str
    """Path below the API's address, with its query."""
    body: bytes | None = attrs.field(repr=lambda body: "None" if body is None else f"{len(body)} bytes")
    content_type: str = JSON
    key_in_body: bool = False
    """Whether the key belongs into its JSON, as `api_key`, and no header."""


@attrs.frozen
class Answer:
    """One complete HTTP answer."""

    status: int
    content_type: str
    body: bytes = attrs.field(repr=False)
    retry_after: str | None = None
    prices: str | None = None
    """Which prices a paper venue says that it has, whose address may have others tomorrow."""


@attrs.frozen
class NoAnswer:
    """An exchange that brought no complete answer."""

    sent: bool
    """False only if it is certain that the server cannot have acted."""
    reason: str
