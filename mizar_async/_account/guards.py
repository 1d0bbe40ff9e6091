"""What is opened inside a block, so that it can be closed when the block ends. Under the account's lock."""

from __future__ import annotations

import threading

from ..errors import OutcomeUnknown
from .calls import Call


class Guard:
    """Collects what one client opens for a strategy while a block runs."""

    def __init__(self, client: object, since: int, lock: threading.RLock) -> None:
        self._lock = lock
        self._client = client
        self._since = since
        self._opened: set[int] = set()
        self._undecidable: list[Call] = []
        self.has_ended = False
        """True once its block was left and all of it was closed: what was asked for inside is not sent any more."""

    def is_of(self, client: object) -> bool:
        return client is self._client

    def covers(self, call: Call) -> bool:
        """Whether a call was made by this client, and in this block: later calls have larger numbers."""
        return self.is_of(call.client) and call.number > self._since

    def opened(self, position_id: int) -> None:
        self._opened.add(position_id)

    def undecidable(self, call: Call) -> None:
        self._undecidable.append(call)

    def positions(self) -> set[int]:
        """What it has to close."""
        with self._lock:
            return set(self._opened)

    def unknown(self) -> list[Call]:
        """Its opens that no list can tell about, and no user has."""
        with self._lock:
            return [call for call in self._undecidable if isinstance(call.ending, OutcomeUnknown)]


class Guards:
    """The guards of a strategy."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._guards: list[Guard] = []

    def begin(self, client: object, since: int) -> Guard:
        """Guard what a client opens by calls after that of a number."""
        guard = Guard(client, since, self._lock)
        with self._lock:
            self._guards.append(guard)
        return guard

    def end(self, guard: Guard) -> None:
        with self._lock:
            self._guards.remove(guard)
            guard.has_ended = True

    def around(self, client: object) -> list[Guard]:
        """The guards whose blocks a call of this client is made in."""
        with self._lock:
            return [guard for guard in self._guards if guard.is_of(client)]

    def opened(self, call: Call, position_id: int) -> None:
        """A call has opened a position."""
        for guard in self._guards:
            if guard.covers(call):
                guard.opened(position_id)

    def undecidable(self, call: Call) -> None:
        """No list can tell what a call has opened."""
        for guard in self._guards:
            if guard.covers(call):
                guard.undecidable(call)
