"""Opens that their users have named, by client order id. Plain state under the account's lock.

An id never opens twice: whoever asks again is given what became of it. Only what certainly opened nothing is free to be
sent again under its name.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Collection
from contextlib import AbstractContextManager

import attrs

from .._api.trading import ClosedPosition, OpenPosition, Position
from .._journal.entries import OrderData
from .._waiting import Waiters, waiting_among, wake_all
from ..errors import InvalidInput, JournalDamaged, MizarError, OutcomeUnknown
from .calls import OpenCall, pair_of, unseen
from .left_behind import REMEMBERED
from .positions import Positions
from .record import Record


@attrs.define(eq=False)
class Order:
    """One named open. It is in doubt as long as its last attempt is, though nobody is at work on it."""

    ask: OpenPosition
    opener: object | None = None
    """Who is at work on it, and will say what became of it."""
    call: OpenCall | None = None
    """Its last attempt."""
    position: Position | None = None
    """What it opened, as it was last told."""
    refused: MizarError | None = None
    """Why the last who was at work on it has opened nothing."""
    waiters: Waiters = attrs.field(factory=list)

    @property
    def is_free(self) -> bool:
        """Whether it has certainly opened nothing so far, and nobody is about to."""
        if self.opener is not None or self.position is not None:
            return False
        ending = self.call.ending if self.call else None
        return self.call is None or (isinstance(ending, MizarError) and not isinstance(ending, OutcomeUnknown))

    def waiting(self) -> AbstractContextManager[asyncio.Future[None]]:
        """A future that wakes the caller once nobody is at work on it any more."""
        return waiting_among(self.waiters)


class Orders:
    """The named opens of a strategy."""

    def __init__(self, lock: threading.RLock, positions: Positions, strategy_id: int, record: Record | None) -> None:
        self._lock = lock
        self._positions = positions
        self._strategy_id = strategy_id
        self._record = record
        self._by_id: dict[str, Order] = {}
        self._unused: set[str] = set()
        """Ids that stand for nothing on disk, and were not used since that was seen."""
        self._looking: list[set[str]] = []
        """For each look-up that is under way the ids that are on disk alone since it began."""
        self._recalled: deque[str] = deque()
        """Ids of closed positions that were asked for again, the latest last."""
        self._of_position: dict[int, Order] = {}

    def claim(self, ask: OpenPosition, opener: object) -> Order | None:
        """The order that a request names; it is for `opener` to open it if it is the order's.

        None if the id has to be looked up first. Raises InvalidInput if it stands for something else.
        """
        name = ask.client_order_id
        assert name is not None
        with self._lock:
            order = self._by_id.get(name)
            if order is None:
                if self._record is not None and name not in self._unused:
                    return None
                self._unused.discard(name)
                order = self._by_id[name] = Order(ask)
            if order.is_free:
                order.ask, order.opener, order.call, order.refused = ask, opener, None, None
            _check_same(order.ask, ask)
            return order

    def release(self, order: Order, refused: MizarError | None) -> None:
        """Nobody is at work on it any more; `refused` tells that it has opened nothing, and will not."""
        with self._lock:
            order.opener, order.refused = None, refused
            if order.is_free:
                self._by_id.pop(order.ask.client_order_id or "", None)
            wake_all(order.waiters)

    def sending(self, call: OpenCall) -> None:
        """An attempt of its request is about to leave, or has left in an earlier run."""
        if call.ask.client_order_id is not None:
            order = self._by_id.setdefault(call.ask.client_order_id, Order(call.ask))
            order.ask, order.call = call.ask, call
            self._write(order)

    def ended(self, call: OpenCall) -> None:
        """An attempt of its request has ended without a position, or nobody can tell."""
        if order := self._of(call):
            self._write(order)

    def opened(self, call: OpenCall, position: Position) -> None:
        """An attempt of its request has opened a position."""
        if order := self._of(call):
            order.position = self._latest(order, position)
            self._of_position[position.position_id] = order
            self._write(order)

    def _of(self, call: OpenCall) -> Order | None:
        return None if call.ask.client_order_id is None else self._by_id.get(call.ask.client_order_id)

    @staticmethod
    def _latest(order: Order, position: Position) -> Position:
        known = order.position
        return known if known is not None and known.position_id == position.position_id else position

    def given(self, order: Order) -> Position:
        """What it has opened, as it is known now: a `ClosedPosition` if it is closed."""
        position = order.position
        assert position is not None
        with self._lock:
            known = self._positions.get(position.position_id)
        if known is not None or isinstance(position, ClosedPosition):
            return known or position
        return unseen(position)

    def closed_as(self, position_id: int) -> Position | None:
        """What is known of a named position that was closed."""
        with self._lock:
            order = self._of_position.get(position_id)
            return None if order is None else order.position

    def closed(self, closed: ClosedPosition) -> None:
        """A position is closed."""
        if order := self._of_position.get(closed.position_id):
            order.position = closed
            self._write(order)
            if self._record is not None and order.opener is None and not order.waiters:  # it is on disk
                del self._of_position[closed.position_id]
                self._drop(order.ask.client_order_id or "")

    def _drop(self, name: str) -> None:
        self._by_id.pop(name, None)
        for dropped in self._looking:
            dropped.add(name)

    async def look_up(self, names: Collection[str], patience: float) -> None:
        """Know what ids stand for that were used before, as far as they are on disk, so that they can be claimed.

        Raises NotSent if nobody can tell within `patience` seconds, or only that one was sent.
        """
        record = self._record
        names = [name for name in names if name not in self._by_id and name not in self._unused]
        if record is None or not names:
            return
        dropped: set[str] = set()
        with self._lock:
            self._looking.append(dropped)
        try:
            found = await record.journal.find(self._strategy_id, names, patience)
        except BaseException:
            self._looked(dropped)
            raise
        with self._lock:
            self._looked(dropped)
            for name in names:
                if name not in self._by_id and name not in dropped:
                    self._known(name, found.get(name), record)

    def _looked(self, dropped: set[str]) -> None:
        with self._lock:
            self._looking = [one for one in self._looking if one is not dropped]

    def _known(self, name: str, found: OrderData | None, record: Record) -> None:
        """What stands on disk under an id that nobody uses now."""
        if found is None or found.free:
            if len(self._unused) >= REMEMBERED:
                self._unused.clear()  # of calls that were never made: they would look again
            self._unused.add(name)
        elif found.closed is not None or found.position is not None:
            self._by_id[name] = Order(found.ask, position=found.closed or found.position)
            self._recall(name)
        else:
            raise JournalDamaged(
                f"not sent: client_order_id={name!r} was sent before, and the journal does not tell "
                "what became of it: look at the positions of the server",
                file=str(record.journal.path),
            )

    def _recall(self, name: str) -> None:
        """It stands on disk, and is kept for as long as it may be claimed in this step."""
        self._recalled.append(name)
        if len(self._recalled) > REMEMBERED:
            oldest = self._recalled.popleft()
            if (order := self._by_id.get(oldest)) and order.opener is None and order.call is None:
                self._drop(oldest)

    def _write(self, order: Order) -> None:
        if self._record is None or self._record.is_folding or order.call is None:
            return
        closed = order.position if isinstance(order.position, ClosedPosition) else None
        ending = order.call.ending
        candidates = ending.candidates if isinstance(ending, OutcomeUnknown) else None
        position = None if closed else order.position
        free = order.position is None and isinstance(ending, MizarError) and candidates is None
        data = OrderData(self._strategy_id, order.ask, order.call.number, free, position, closed, candidates)
        self._record.journal.write_order(data)


def _check_same(before: OpenPosition, ask: OpenPosition) -> None:
    same = pair_of(before) == pair_of(ask) and before.size == ask.size and before.is_long is ask.is_long
    if not same:
        raise InvalidInput(
            f"client_order_id={ask.client_order_id!r} is refused: it stands for {_in_words(before)}, "
            f"and can't stand for {_in_words(ask)} too; give each open an id of its own"
        )


def _in_words(ask: OpenPosition) -> str:
    side = "long" if ask.is_long else "short"
    return f"{side} {ask.base_asset}/{ask.quote_asset} size {ask.size:f}"
