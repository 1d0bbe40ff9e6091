"""Whether opens may leave. Plain state, read and changed under the account's lock."""

from __future__ import annotations

import threading

from .._api.endpoints import OPEN_POSITION
from ..errors import NotSent


class Door:
    """Opens pass while nobody keeps it shut; that of a strategy is shut with the account's, too."""

    def __init__(self, hint: str, lock: threading.RLock, outer: Door | None = None) -> None:
        self._hint = hint
        self._lock = lock
        self._outer = outer
        self._kept_shut_by: set[object] = set()

    def shut(self, by: object) -> None:
        with self._lock:
            self._kept_shut_by.add(by)

    def open(self, by: object) -> None:
        """It opens once nobody else keeps it shut."""
        with self._lock:
            self._kept_shut_by.discard(by)

    def check(self) -> None:
        """Raise NotSent while it is shut."""
        with self._lock:
            is_shut = bool(self._kept_shut_by)
        if is_shut:
            raise NotSent(f"not sent: {self._hint}", method=OPEN_POSITION.method, path=OPEN_POSITION.path)
        if self._outer is not None:
            self._outer.check()
