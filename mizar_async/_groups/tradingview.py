"""The commands of TradingView alerts: sent by this program, or as the text of an alert."""

from __future__ import annotations

import json
from typing import Any, Final

from attrs import NOTHING

from .._api import endpoints
from .._api.checks import Size, refuse
from .._api.codec import as_text, parameters
from .._api.dca import OfBot, OfPair, OpenOfBot, Side, Submitted
from .._api.documented import on_the_wire
from .._api.endpoints import ENDPOINTS, Endpoint
from .._api.ratio import Ratio
from .._api.trading import CloseAll, ClosedPosition, ClosePosition, OpenPosition, Position
from .._options import Options
from .._wire.channel import Channel
from .._wire.rate_limit import Lane
from ..errors import OutcomeUnknown

_KEY: Final = "<API KEY>"


class AsyncTradingView:
    """The commands that alerts of TradingView send, as `mizar.tradingview`.

        text = mizar.tradingview.alert_text(
            action="open-position", strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True
        )

    Parameters and results of the commands are those of the calls of the same names. A command is sent once, and the
    client does not look for what became of it: after `OutcomeUnknown` do not repeat it, but look. What it opens belongs
    to no call: it is reported as unclaimed, and an open of the same pair, side and size that is in doubt may take it
    for its own; the door that `flatten` shuts does not hold it back. Raises `InvalidInput` before anything is sent.
    """

    def __init__(self, channel: Channel, options: Options) -> None:
        self._channel = channel
        self._options = options

    def alert_text(
        self,
        *,
        action: str,
        strategy_id: int | None = None,
        bot_id: int | None = None,
        position_id: int | None = None,
        base_asset: str | None = None,
        quote_asset: str | None = None,
        size: Size | None = None,
        is_long: bool | None = None,
        side: Side | None = None,
        take_profit: Ratio | None = None,
        stop_loss: Ratio | None = None,
        position_size: Size | None = None,
        open_order_price: Size | None = None,
        open_position_expiration: int | None = None,
    ) -> str:
        """The JSON for the message box of an alert at TradingView, with `<API KEY>` where the key goes.

        `action` is "open-position", "close-position" or "close-all-positions", for a bot also
        "stop-bot-and-close-all-positions". With `bot_id` it is a command to a DCA bot, whose alert goes to
        `dca-bots/trading-view/execute-command`, otherwise to a strategy, and to `trading-view/execute-command`. The
        other parameters are those of the command.
        """
        given = {
            "strategy_id": strategy_id,
            "bot_id": bot_id,
            "position_id": position_id,
            "base_asset": base_asset,
            "quote_asset": quote_asset,
            "size": size,
            "is_long": is_long,
            "side": side,
            "take_profit": take_profit,
            "stop_loss": stop_loss,
            "position_size": position_size,
            "open_order_price": open_order_price,
            "open_position_expiration": open_position_expiration,
        }
        said = {name: value for name, value in given.items() if value is not None}
        command = _command(action, to_bot=bot_id is not None)
        texts = parameters(command, _request(command, said), as_text)
        return json.dumps({"api_key": _KEY, "action": action} | texts, indent=4, ensure_ascii=False)

    # strategies

    async def open_position(
        self, *, strategy_id: int, base_asset: str, quote_asset: str, size: Size = 1, is_long: bool
    ) -> Position:
        """Open one position by a command, and return it as the server recorded it."""
        ask = OpenPosition(
            strategy_id=strategy_id, base_asset=base_asset, quote_asset=quote_asset, size=size, is_long=is_long
        )
        position = await self._channel.perform(endpoints.COMMAND_OPEN, ask, self._options)
        _check(endpoints.COMMAND_OPEN, position, ask, "base_asset", "quote_asset", "is_long", "strategy_id")
        return position

    async def close_position(self, *, position_id: int) -> ClosedPosition:
        """Close one position by a command, and return it as the server recorded it."""
        ask = ClosePosition(position_id)
        closed = await self._channel.perform(endpoints.COMMAND_CLOSE, ask, self._options, Lane.CLOSES)
        _check(endpoints.COMMAND_CLOSE, closed, ask, "position_id")
        return closed

    async def close_all_positions(
        self, *, strategy_id: int, base_asset: str | None = None, quote_asset: str | None = None
    ) -> list[ClosedPosition]:
        """Close all open positions of a strategy, or those of one pair, by a command."""
        ask = CloseAll(strategy_id=strategy_id, base_asset=base_asset, quote_asset=quote_asset)
        every = await self._channel.perform(endpoints.COMMAND_CLOSE_ALL, ask, self._options, Lane.CLOSES)
        for closed in every:
            _check(endpoints.COMMAND_CLOSE_ALL, closed, ask, "base_asset", "quote_asset", "strategy_id")
        return every

    # DCA bots

    async def dca_open_position(
        self,
        *,
        bot_id: int,
        base_asset: str,
        quote_asset: str,
        side: Side | None = None,
        take_profit: Ratio | None = None,
        stop_loss: Ratio | None = None,
        position_size: Size | None = None,
        open_order_price: Size | None = None,
        open_position_expiration: int | None = None,
    ) -> Submitted:
        """Have a bot open a position, by a command; the parameters are those of `dca.open_position`."""
        ask = OpenOfBot(
            bot_id=bot_id,
            base_asset=base_asset,
            quote_asset=quote_asset,
            side=side,
            take_profit=take_profit,
            stop_loss=stop_loss,
            position_size=position_size,
            open_order_price=open_order_price,
            open_position_expiration=open_position_expiration,
        )
        return await self._channel.perform(endpoints.DCA_COMMAND_OPEN, ask, self._options)

    async def dca_close_position(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> Submitted:
        """Have a bot close the position of a pair, by a command."""
        ask = OfPair(bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side)
        return await self._channel.perform(endpoints.DCA_COMMAND_CLOSE, ask, self._options, Lane.CLOSES)

    async def dca_close_all_positions(self, *, bot_id: int) -> Submitted:
        """Have a bot close all its positions, by a command; it goes on opening new ones."""
        ask = OfBot(bot_id=bot_id)
        return await self._channel.perform(endpoints.DCA_COMMAND_CLOSE_ALL, ask, self._options, Lane.CLOSES)

    async def dca_stop_and_close_all(self, *, bot_id: int) -> Submitted:
        """Stop a bot, and have it close all its positions, by a command."""
        ask = OfBot(bot_id=bot_id)
        return await self._channel.perform(endpoints.DCA_COMMAND_STOP, ask, self._options, Lane.CLOSES)


def _check(command: Endpoint[Any], position: Position, ask: object, *names: str) -> None:
    """Raise OutcomeUnknown for an answer that names something else than was asked: it may be to another call."""
    for name in names:
        wanted, found = getattr(ask, name), getattr(position, name)
        if wanted is not None and found is not None and found != wanted:
            raise OutcomeUnknown(
                f"{command.path} was answered with {name}={found!r} in place of {wanted!r}; the server may have acted "
                f"all the same: {command.told_by} tells",
                candidates=(position.position_id,),
                method=command.method,
                path=command.path,
                attempts=1,
            )


def _command(action: object, *, to_bot: bool) -> Endpoint[Any]:
    path = endpoints.DCA_COMMAND_OPEN.path if to_bot else endpoints.COMMAND_OPEN.path
    rows = {row.action: row for row in ENDPOINTS if row.path == path}
    if not isinstance(action, str) or action not in rows:
        receiver = "a bot" if to_bot else "a strategy"
        raise refuse("action", action, f"for {receiver} it must be one of {', '.join(sorted(filter(None, rows)))}")
    return rows[action]


def _request(command: Endpoint[Any], said: dict[str, Any]) -> object:
    request: Any = command.request
    # An alert has no delay: nobody says that commands take one.
    takes = {field.name: field for field in on_the_wire(request) if field.name != "delay"}
    for name, value in said.items():
        if name not in takes:
            to_bot = "" if "bot_id" in takes else "; a command to a DCA bot names its bot_id"
            raise refuse(name, value, f"{command.action} takes {', '.join(takes)}{to_bot}")
    for name, field in takes.items():
        if field.default is NOTHING and name not in said:
            raise refuse(name, None, f"{command.action} needs it")
    return request(**said)


AsyncTradingView.__module__ = "mizar_async"
