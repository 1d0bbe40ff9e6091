"""Orders that wait for their fill.

None of them has a task or a timer of its own. Whoever comes by, to wait for an order or for anything else, has all that
is due carried out, in the order of its times: so nothing that can be seen is ever missing, an order is filled though
its client has gone, and two orders are filled in their order however late a busy machine wakes whom.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future

import attrs

from ..errors import InvalidInput


class Locked(InvalidInput):
    """Another process holds the file of the venue, and did not let go of it for as long as anybody waits."""


@attrs.frozen(order=True)
class Order:
    """An order that has come, and its answer."""

    at: int
    """When it is filled, in milliseconds since the epoch, by the venue's clock."""
    number: int
    fill: Callable[[int], object] = attrs.field(order=False)
    """Fills it at a time, and says what is answered."""
    answer: Future[object] = attrs.field(factory=Future, order=False)

    def carry_out(self) -> Locked | None:
        """Fill it. Says if it could not be, since the file is locked."""
        try:
            self.answer.set_result(self.fill(self.at))
        except Exception as failure:  # noqa: BLE001 - it is whoever waits for this order that is to get it
            self.answer.set_exception(failure)
            return failure if isinstance(failure, Locked) else None
        return None


class Pending:
    """The orders of one venue that wait."""

    def __init__(self) -> None:
        self._orders: list[Order] = []
        self._numbers = itertools.count()
        # Those who come by may live in the loops of several threads.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, at: int, fill: Callable[[int], object]) -> Order:
        """Have an order filled at a time; orders of one time are filled as they came."""
        with self._lock:
            order = Order(at, next(self._numbers), fill)
            heapq.heappush(self._orders, order)
        return order

    def first(self) -> int | None:
        """When the first of them is due; None if none waits."""
        with self._lock:
            return self._orders[0].at if self._orders else None

    def carry_out(self, until: int) -> None:
        """Fill all that is due. Once one has waited for a locked file in vain, the others are not to wait as well."""
        locked = None
        with self._lock:
            while self._orders and self._orders[0].at <= until:
                order = heapq.heappop(self._orders)
                if locked is None:
                    locked = order.carry_out()
                else:
                    order.answer.set_exception(locked)

    def drop(self, reason: Exception) -> None:
        """Answer all that wait with a reason why they are never filled."""
        with self._lock:
            dropped, self._orders = self._orders, []
        for order in dropped:
            order.answer.set_exception(reason)
