"""What a call needs to know of its client: a value, of which `with_options` makes another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import attrs

from .._account.account import Account
from .._api.endpoints import Endpoint
from .._api.exchange import Request
from .._options import Options
from .._wire.channel import Attempt, Channel
from .._wire.rate_limit import Lane
from .._wire.retries import repeated
from .follow_up import FollowUp
from .listings import Listings

T = TypeVar("T")


class Place(Protocol):
    """The place of a call among those of a bulk."""

    def give_back(self) -> None:
        """The call is in doubt: it sends nothing for now, and another may have its place."""


@attrs.frozen(eq=False)
class View:
    """One client with one set of options."""

    channel: Channel
    account: Account
    options: Options

    follow_up: FollowUp = attrs.field(
        init=False, default=attrs.Factory(lambda view: FollowUp(view.account), takes_self=True)
    )
    listings: Listings = attrs.field(
        init=False, default=attrs.Factory(lambda view: Listings(view.channel, view.account), takes_self=True)
    )

    async def perform(self, endpoint: Endpoint[T], ask: object) -> T:
        """Make a call that needs no follow-up."""
        return await self.channel.perform(endpoint, ask, self.options)

    async def attempt(
        self, endpoint: Endpoint[T], request: Request, lane: Lane, attempts: int, until: float, notes: Attempt[T]
    ) -> T:
        """Make one attempt of a call that is followed up, with these options."""
        return await self.channel.attempt(
            endpoint, request, lane=lane, attempts=attempts, options=self.options, until=until, notes=notes
        )

    async def repeated(
        self, attempt: Callable[[int], Awaitable[T]], until: float, again: Callable[[BaseException], bool]
    ) -> T:
        """Make attempts until one works, or another may not be made."""
        return await repeated(attempt, again=again, options=self.options, until=until, rng=self.channel.rng)

    def but(self, **changes: Any) -> View:
        """The same client with some options changed; None changes nothing."""
        return View(self.channel, self.account, self.options.but(**changes))

    def within(self, left: float) -> View:
        """The same for a part of a larger call, of which so many seconds are left."""
        options = self.options.within(left)
        return self if options is self.options else View(self.channel, self.account, options)
