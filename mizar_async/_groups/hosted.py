"""Strategies that Mizar runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from .._api.codec import encode
from .._api.endpoints import PUBLISH_HOSTED
from .._api.hosted import Publication, PublishHosted
from .._options import Options
from .._wire.channel import Channel

_MEGABYTE: Final = 1_000_000


class AsyncHosted:
    """Strategies that Mizar runs, as `mizar.hosted`."""

    def __init__(self, channel: Channel, options: Options) -> None:
        self._channel = channel
        self._options = options

    async def save_strategy(self, strategy: bytes, *, info: Mapping[str, Any], source: str = "") -> Publication:
        """Publish a strategy: the bytes of a pickle, which nothing here makes or reads.

            await mizar.hosted.save_strategy(dill.dumps(strategy), info={"strategy_signal_name": "Momentum"})

        `info` is what JSON can hold, `source` the text of the strategy's source. The pickle may have 200 MB as base64
        text, the source 2 MB of UTF-8, a MB being 1,000,000 bytes; time-out and deadline are longer by a second for
        each. It is sent once: after `OutcomeUnknown` look at your strategies at Mizar before you publish it again.
        Raises `InvalidInput` before anything is sent.
        """
        ask = PublishHosted(strategy=strategy, info=info, source=source)
        request = await asyncio.to_thread(encode, PUBLISH_HOSTED, ask)
        longer = len(request.body or b"") / _MEGABYTE
        options = self._options.but(timeout=self._options.timeout + longer, deadline=self._options.deadline + longer)
        return await self._channel.ask(PUBLISH_HOSTED, request, options)


AsyncHosted.__module__ = "mizar_async"
