"""Follows a request through a transport of httpx's own, by what that tells of its steps (the extension `trace`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class TooLate(Exception):
    """It does not leave any more."""


class Leaving:
    """One request. It leaves once its head is about to be written; that of a proxy's tunnel is another's."""

    def __init__(self, may_leave: Callable[[], bool] | None = None) -> None:
        self._may_leave = may_leave
        self.has_left = False

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            if self._may_leave is not None and not self._may_leave():
                raise TooLate
            self.has_left = True
