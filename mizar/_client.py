"""The old client's calls over the new one: its parameters in its order, its dictionaries, its exception."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from mizar_async import InvalidInput
from mizar_sync import Mizar as BlockingMizar

from ._dca import DcaCalls
from ._errors import refusals_as_before
from ._hosted import HostedCalls
from ._market import MarketCalls
from ._values import Document, Id, Number, number, whole


class Mizar(MarketCalls, DcaCalls, HostedCalls):
    """The client of Mizar's documentation.

        mizar_client = Mizar()
        mizar_client.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", size=0.3, is_long=True)

    `api_key` defaults to the environment variable MIZAR_API_KEY; the address is `api_url`, or made of `scheme` and
    `host`, or that of MIZAR_API_URL. Raises `MizarAPIException` where the server said no; `OutcomeUnknown`, which means
    that nobody knows, `NotSent` and the other errors leave as they are: they are no reason to repeat a call without
    looking.
    """

    def __init__(
        self,
        api_key: str | None = None,
        api_url: str | None = None,
        scheme: str | None = None,
        host: str | None = None,
    ) -> None:
        if scheme not in {None, "http", "https"}:
            raise InvalidInput(f"scheme={scheme!r} is refused: it must be 'http' or 'https'")
        # A scheme alone chooses no host: that of the environment may be a paper venue's.
        if not api_url and (host or (scheme and not os.environ.get("MIZAR_API_URL"))):
            api_url = f"{scheme or 'https'}://{host or 'api.mizar.com'}"
        self._mizar = BlockingMizar(api_key or None, api_url=api_url or None)

    @refusals_as_before
    def ping(self) -> Document:
        """Ask whether the server is there."""
        self._mizar.ping()
        return {}

    @refusals_as_before
    def server_time(self) -> Document:
        """The server's clock: {"server_time": milliseconds since the epoch}."""
        return {"server_time": self._mizar.server_time()}

    @refusals_as_before
    def get_exchanges(self) -> Document:
        """The exchanges and their markets: {"exchanges": [...]}."""
        return {"exchanges": [exchange.to_dict() for exchange in self._mizar.get_exchanges()]}

    @refusals_as_before
    def get_symbols(self, exchange: str, market: str | None = None) -> Document:
        """The pairs of an exchange: {"symbols": [...]}."""
        return {"symbols": [symbol.to_dict() for symbol in self._mizar.get_symbols(exchange=exchange, market=market)]}

    @refusals_as_before
    def create_self_hosted_strategy(
        self, name: str, description: str, exchanges: Iterable[str], symbols: Iterable[str], market: str
    ) -> Document:
        """Publish a new strategy that this program hosts."""
        return self._mizar.create_self_hosted_strategy(
            name=name, description=description, exchanges=exchanges, symbols=symbols, market=market
        ).to_dict()

    @refusals_as_before
    def get_all_self_hosted_strategies_info(self) -> Document:
        """All strategies of this key: {"strategies": [...]}."""
        return {"strategies": [strategy.to_dict() for strategy in self._mizar.get_all_self_hosted_strategies_info()]}

    @refusals_as_before
    def open_position(
        self, strategy_id: Id, base_asset: str, quote_asset: str, size: Number, is_long: bool
    ) -> Document:
        """Open one position; `size` is more than 0 and at most 1."""
        return self._mizar.open_position(
            strategy_id=whole(strategy_id),
            base_asset=base_asset,
            quote_asset=quote_asset,
            size=number(size),
            is_long=is_long,
        ).to_dict()

    @refusals_as_before
    def close_position(self, position_id: Id) -> Document:
        """Close one position."""
        return self._mizar.close_position(position_id=whole(position_id)).to_dict()

    @refusals_as_before
    def get_all_open_positions(self, strategy_id: Id) -> Document:
        """All open positions of a strategy: {"open_positions": [...]}."""
        positions = self._mizar.get_all_open_positions(strategy_id=whole(strategy_id))
        return {"open_positions": [position.to_dict() for position in positions]}

    @refusals_as_before
    def close_all_positions(
        self, strategy_id: Id, base_asset: str | None = None, quote_asset: str | None = None
    ) -> Document:
        """Close all open positions of a strategy, or those of one pair: {"closed_positions": [...]}."""
        positions = self._mizar.close_all_positions(
            strategy_id=whole(strategy_id), base_asset=base_asset, quote_asset=quote_asset
        )
        return {"closed_positions": [position.to_dict() for position in positions]}

    def close(self) -> None:
        """Close the connections; to forget it is harmless."""
        self._mizar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._mizar)
