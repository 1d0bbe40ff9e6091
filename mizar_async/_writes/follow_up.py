"""Follows up what is in doubt: one follower for each account and process, in any loop that lives.

It runs while something is to be looked for, takes the way of any client that is not closed, ends silently with its
loop, and is started again, there or elsewhere, by the next call. It looks, and never writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import Final

import anyio
import attrs

from .._account.account import Account
from .._account.calls import Call, Ending
from .._account.watch import Watch
from .._clock import BREATH, loop_time
from .._wire.channel import Channel
from .listings import Listings

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 1.0
# Who waits for an ending looks this often whether there still is a follower: another loop's may have ended.
_CHECK: Final = 2.0


@attrs.define(eq=False)
class Follower:
    """The task that looks, and the loop that it lives in."""

    loop: asyncio.AbstractEventLoop
    awake: asyncio.Event = attrs.field(factory=asyncio.Event)
    idle: bool = False
    """True while it sleeps until something is due that was put off."""
    task: asyncio.Task[None] | None = None

    def is_alive(self) -> bool:
        return self.task is not None and not self.task.done() and self.loop.is_running()


class FollowUp:
    """Sees to it that an account has a follower, and waits for endings."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def go_on(self) -> None:
        """Have somebody look, if anything is to be looked for. Every call does this, and whoever leaves a doubt."""
        account, now = self._account, loop_time()
        if account.pause(now) is None:
            return
        with account.shared.lock:
            follower = account.follower
            if follower is None or not follower.is_alive():
                account.follower = self._started()
            elif isinstance(follower, Follower) and follower.idle and account.pause(now) == 0.0:
                with contextlib.suppress(RuntimeError):  # its loop has ended just now
                    follower.loop.call_soon_threadsafe(follower.awake.set)

    def _started(self) -> Follower:
        loop = asyncio.get_running_loop()
        follower = Follower(loop)
        # A context of its own: the caller's variables are none of its business.
        follower.task = loop.create_task(
            _follow(self._account, follower), name="mizar follow-up", context=contextvars.Context()
        )
        # It ends in silence, also with a loop that is closed while the last calls leave their doubts behind.
        follower.task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
        return follower

    async def ending(self, call: Call, until: float) -> Ending | None:
        """What became of a call; None if nobody knows at the deadline."""
        with call.waiting() as woken:
            while call.ending is None and (left := until - loop_time()) > 0:
                self.go_on()
                await asyncio.wait([woken], timeout=min(left, _CHECK))
        return call.ending

    async def finish(self, channel: Channel, patience: float) -> None:
        """Before a client is closed: give what it has in doubt a moment to be found out, and name what is left."""
        until = loop_time() + patience
        for call in self._account.in_doubt():
            if call.client is channel and call.ending is None:
                await self.ending(call, until)
        self._account.warn_once("a client was closed")


async def _follow(account: Account, me: Follower) -> None:
    pause = _FIRST_PAUSE
    while account.follower is me and (channel := account.open_channel()) is not None:
        wait = account.pause(loop_time())
        if wait is None:
            return
        if wait > 0:
            me.idle = True
            with anyio.move_on_after(max(wait, BREATH)):
                await me.awake.wait()
            me.idle, pause = False, _FIRST_PAUSE
            me.awake.clear()
            continue
        await _look(account, Listings(channel, account))
        del channel  # a client that is dropped goes at once
        await anyio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


async def _look(account: Account, listings: Listings) -> None:
    watches = account.due(loop_time())
    async with anyio.create_task_group() as looks:
        for watch in watches:
            looks.start_soon(listings.once, watch)
        if not account.clock_is_on and any(needs_the_clock(watch) for watch in watches):
            looks.start_soon(listings.sample_the_clock)


def needs_the_clock(watch: Watch) -> bool:
    """Without a baseline only the time of opening tells what is ours, and it takes two samples a second apart."""
    return not watch.had_baseline
