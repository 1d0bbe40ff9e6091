"""One HTTP exchange as plain data."""

from __future__ import annotations

import attrs


@attrs.frozen
class Request:
    """One HTTP request, without address and key: the transport knows those."""

    method: str
    path: str
    """Path below the API's address, with its query."""
    body: bytes | None


@attrs.frozen
class Answer:
    """One complete HTTP answer."""

    status: int
    content_type: str
    body: bytes = attrs.field(repr=False)
    retry_after: str | None = None


@attrs.frozen
class NoAnswer:
    """An exchange that brought no complete answer."""

    sent: bool
    """False only if it is certain that the server cannot have acted."""
    reason: str
