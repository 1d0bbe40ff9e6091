"""The old calls for bars. What they are given beyond their parameters stands in the query, as in the old client."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from mizar_async._api.checks import refuse
from mizar_async._api.market import LARGEST_PAGE, OfBars, OfKinds
from mizar_sync import Mizar as BlockingMizar

from ._errors import refusals_as_before
from ._values import Document, Id, whole


class MarketCalls:
    """The calls of `Mizar` for bars."""

    _mizar: BlockingMizar

    @refusals_as_before
    def get_bar_types(
        self,
        *,
        base_asset: str | None = None,
        quote_asset: str | None = None,
        bar_type: str | None = None,
        bar_subclass: str | None = None,
        exchange: str | None = None,
        **further: object,
    ) -> Document:
        """The kinds of bars that there are: {"bar_types": [...]}. Further keywords are parameters of the query.

        The server needs `exchange`, such as "binance", and says no without it.
        """
        ask = OfKinds(
            exchange=exchange,
            base_asset=base_asset,
            quote_asset=quote_asset,
            bar_type=bar_type,
            bar_subclass=bar_subclass,
            further=_given(further),
        )
        return {"bar_types": [kind.to_dict() for kind in self._asked("_kinds", ask)]}

    @refusals_as_before
    def get_bar_data(
        self,
        *,
        base_asset: str,
        quote_asset: str,
        start_timestamp: Id | None = 0,
        limit: Id | None = 500,
        bar_type: str = "time",
        bar_subclass: str = "D",
        exchange: str = "binance",
        **further: object,
    ) -> Document:
        """One page of bars, oldest first: {"bars": [...]}. Further keywords are parameters of the query.

        They begin at `start_timestamp`, milliseconds since the epoch, UTC, or later; `limit` is 1 to 500. `bar_type` is
        "time", with a `bar_subclass` from "1min" to "D", or "tick", "volume" or "dollar", with "dynamic".
        """
        ask = OfBars(
            base_asset=base_asset,
            quote_asset=quote_asset,
            start_timestamp=0 if start_timestamp is None else whole(start_timestamp),
            limit=LARGEST_PAGE if limit is None else whole(limit),
            bar_type=bar_type,
            bar_subclass=bar_subclass,
            exchange=exchange,
            further=_given(further),
        )
        return {"bars": [bar.to_dict() for bar in self._asked("_page", ask)]}

    def _asked(self, call: str, ask: OfBars | OfKinds) -> list[Any]:
        # The public calls take no further parameters.
        market = self._mizar.market
        answer: list[Any] = market._runtime.call(getattr(market._async, call), ask)  # noqa: SLF001
        return answer


def _given(further: dict[str, object]) -> dict[str, object]:
    given = {name: value for name, value in further.items() if value is not None}
    try:
        urlencode(given, doseq=True)
    except UnicodeEncodeError:
        raise refuse("further parameters", given, "they must be text that can be written as UTF-8") from None
    return given
