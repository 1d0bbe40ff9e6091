"""A position is its caller's once the call has returned: what an interrupt keeps from being handed over goes back."""

from __future__ import annotations

import sys

import pytest

from mizar_async import AsyncMizar

from ..venues import RunningVenue
from .scripts import said, trading

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to itself")

# The client is one that only remembers what it was told to take back.
BEGIN = """
import asyncio, signal
from mizar_sync import BulkResult, Outcome, partial_result
class Client:
    def __init__(self): self.back = []
    def _take_back(self, value): self.back.append(value)
    async def write(self, value):
        log.append("begun")
        try: await asyncio.sleep(3600)
        except asyncio.CancelledError: pass  # the answer came just then
        return value
    async def late(self, value):
        log.append("begun")
        try: await asyncio.sleep(3600)
        except asyncio.CancelledError: log.append("cleaning up")
        while "go on" not in log: await asyncio.sleep(0.01)
        return value
    async def items(self):
        yield "seen"
        yield "unseen"
client, runtime = Client(), Runtime()
runtime.call(nothing)
def interrupt(*_): raise KeyboardInterrupt
"""


def test_a_result_that_came_with_the_interrupt_is_taken_back_by_its_client() -> None:
    assert said(
        BEGIN + "with interrupted_when(logged('begun')):\n"
        "    try: runtime.call(client.write, 'position 17')\n"
        "    except KeyboardInterrupt as error: print(client.back, 'position 17' in error.__notes__[0])"
    ) == ["['position 17'] True"]


def test_the_result_of_a_bulk_call_that_came_with_the_interrupt_travels_on_it() -> None:
    assert said(
        BEGIN + "with interrupted_when(logged('begun')):\n"
        "    try: runtime.call(client.write, BulkResult())\n"
        "    except KeyboardInterrupt as error: print(client.back, partial_result(error))"
    ) == ["[] <BulkResult 0 requests: none, 0.00 s>"]


@pytest.mark.parametrize("value", ["'position 17'", "BulkResult()"], ids=["of a call", "of a bulk call"])
def test_a_result_that_comes_after_a_second_interrupt_is_taken_back_when_it_comes(value: str) -> None:
    (line,) = said(
        BEGIN
        + f"""
with interrupted_when(logged("begun"), logged("cleaning up")):
    try: runtime.call(client.late, {value})
    except KeyboardInterrupt: at_once = list(client.back)
log.append("go on")
until(lambda: client.back)
print(at_once, client.back)
"""
    )
    assert line in {"[] ['position 17']", "[] [<BulkResult 0 requests: none, 0.00 s>]"}


def test_an_item_whose_reader_was_interrupted_when_it_had_come_is_taken_back() -> None:
    # The interrupt comes where the reader is given its turn: the item is there, and the reader is not told.
    assert said(
        BEGIN
        + """
items = BlockingIterator(runtime, client.items)
print(next(items))
class Turn:
    def __init__(self, turn): self._turn = turn
    def __getattr__(self, name): return getattr(self._turn, name)
    def acquire(self, **options):
        if not self._turn.acquire(**options): return False
        items._errand._turn = self._turn
        raise KeyboardInterrupt
items._errand._turn = Turn(items._errand._turn)
try: next(items)
except KeyboardInterrupt: print(client.back, list(items))
"""
    ) == ["seen", "['unseen'] []"]


def test_an_item_that_was_seen_is_not_taken_back_by_a_later_interrupt() -> None:
    assert said(
        BEGIN
        + """
class Slow(Client):
    async def items(self):
        yield "seen"
        log.append("begun")
        await asyncio.sleep(3600)
client = Slow()
items = BlockingIterator(runtime, client.items)
print(next(items))
with interrupted_when(logged("begun")):
    try: next(items)
    except KeyboardInterrupt: print(client.back)
"""
    ) == ["seen", "[]"]


async def test_every_position_of_interrupted_opens_is_returned_or_unclaimed(
    venue: RunningVenue, mizar: AsyncMizar
) -> None:
    text = """
        import random, signal
        def interrupt(*_): raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, interrupt)
        told, chance = [], random.Random(5)
        with Mizar(on_unclaimed=told.append) as mizar:
            got = {mizar.open_position(**ASK).position_id}
            position = None
            for _ in range(300):
                try:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(100e-6, 5e-3))
                    # An interrupt after the return, before the assignment, is no business of the call. There is no
                    # room for it here, as there is where the arguments are a dictionary.
                    position = mizar.open_position(
                        strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt: pass
                if position is not None: got.add(position.position_id)
            listed = {one.position_id for one in mizar.get_all_open_positions(strategy_id=STRATEGY)}
            unclaimed = {one.position_id for one in mizar.unclaimed_positions(STRATEGY)}
            # The callbacks of the follow-up are made soon: a call later they were.
            mizar.ping()
            print(listed == got | unclaimed, got & unclaimed, {one.position_id for one in told} == unclaimed)
        """
    async with trading(text, venue) as script:
        await script.said("True set() True")
        assert await script.ended() == (0, "")
