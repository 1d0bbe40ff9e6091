"""DCA bots: what they hold, and what they are told."""

from __future__ import annotations

from .._api import endpoints
from .._api.checks import Size
from .._api.dca import (
    AddFunds,
    CloseOfBot,
    DcaOrder,
    DcaPosition,
    DcaSettings,
    EditTakeProfit,
    OfBot,
    OfPair,
    OfSubscription,
    OpenOfBot,
    ShiftSafetyOrders,
    Side,
    Submitted,
)
from .._api.ratio import Ratio
from .._api.trading import Nothing
from .._options import Options
from .._wire.channel import Channel
from .._wire.rate_limit import Lane


class AsyncDca:
    """The DCA bots of this key, as `mizar.dca`.

        position = await mizar.dca.get_position(bot_id=1, base_asset="BTC", quote_asset="USDT")

    Assets are named as in "BTC" and "USDT"; `side` is "long" or "short", for bots that trade both sides of a pair. A
    command is passed on to the bot's subscriptions and answered before anything is done. It is sent once: after
    `OutcomeUnknown` do not repeat it, but look at what `get_position` says. Raises `InvalidInput` for a value that
    can't be right, before anything is sent.
    """

    def __init__(self, channel: Channel, options: Options) -> None:
        self._channel = channel
        self._options = options

    # what there is

    async def get_position(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> DcaPosition | None:
        """The open position of a pair with its orders, None where the server shows none.

        A server may also answer that there is none by 404: then it raises `NotFound`.
        """
        ask = OfPair(bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side)
        return await self._channel.perform(endpoints.DCA_POSITION, ask, self._options)

    async def safety_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> list[DcaOrder]:
        """All safety orders of a pair, the filled ones too, whose status is "closed"."""
        ask = OfPair(bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side)
        return await self._channel.perform(endpoints.DCA_SAFETY_ORDERS, ask, self._options)

    async def active_safety_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> list[DcaOrder]:
        """The safety orders of a pair that rest at the exchange."""
        ask = OfPair(bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side)
        return await self._channel.perform(endpoints.DCA_ACTIVE_SAFETY_ORDERS, ask, self._options)

    async def inactive_safety_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> list[DcaOrder]:
        """The safety orders of a pair that rest no more."""
        ask = OfPair(bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side)
        return await self._channel.perform(endpoints.DCA_INACTIVE_SAFETY_ORDERS, ask, self._options)

    async def take_profit_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> list[DcaOrder]:
        """The take profit orders of the open position: the current one first, then those that it replaced."""
        position = await self.get_position(bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side)
        if position is None:
            return []
        current = [] if position.take_profit_order is None else [position.take_profit_order]
        return [*current, *position.inactive_take_profit_orders]

    async def settings(self) -> list[DcaSettings]:
        """The settings of every bot of this key."""
        return await self._channel.perform(endpoints.DCA_SETTINGS, Nothing(), self._options)

    async def subscription_positions(self, *, subscription_id: int, bot_id: int) -> list[DcaPosition]:
        """The open positions of one subscription to a bot."""
        ask = OfSubscription(subscription_id=subscription_id, bot_id=bot_id)
        return await self._channel.perform(endpoints.DCA_SUBSCRIPTION, ask, self._options)

    # what it is told

    async def open_position(
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
        delay: int | None = None,
    ) -> Submitted:
        """Have a bot open a position.

            await mizar.dca.open_position(
                bot_id=1, base_asset="BTC", quote_asset="USDT", take_profit=Ratio.percent("1.5")
            )

        `take_profit` and `stop_loss` (below 100 percent) take the place of the bot's own. `position_size` is a share of
        the bot's, more than 0 and at most 1. With `open_order_price`, in the quote asset, it rests at that price, for
        `open_position_expiration` seconds (by default of the server 300). `delay` is in seconds.
        """
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
            delay=delay,
        )
        return await self._channel.perform(endpoints.DCA_OPEN, ask, self._options)

    async def close_position(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None = None, delay: int | None = None
    ) -> Submitted:
        """Have a bot close the position of a pair at market, after `delay` seconds."""
        ask = CloseOfBot(bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side, delay=delay)
        return await self._channel.perform(endpoints.DCA_CLOSE, ask, self._options, Lane.CLOSES)

    async def close_all_positions(self, *, bot_id: int) -> Submitted:
        """Have a bot close all its positions; it goes on opening new ones."""
        return await self._channel.perform(endpoints.DCA_CLOSE_ALL, OfBot(bot_id=bot_id), self._options, Lane.CLOSES)

    async def stop_and_close_all(self, *, bot_id: int) -> Submitted:
        """Stop a bot, and have it close all its positions."""
        return await self._channel.perform(endpoints.DCA_STOP, OfBot(bot_id=bot_id), self._options, Lane.CLOSES)

    async def shift_safety_orders(
        self, *, bot_id: int, base_asset: str, quote_asset: str, start_price: Size, side: Side | None = None
    ) -> Submitted:
        """Have the safety orders of a pair begin at another price, in the quote asset."""
        ask = ShiftSafetyOrders(
            bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, start_price=start_price, side=side
        )
        return await self._channel.perform(endpoints.DCA_SHIFT_SAFETY_ORDERS, ask, self._options)

    async def edit_take_profit(
        self, *, bot_id: int, base_asset: str, quote_asset: str, side: Side | None, take_profit: Ratio
    ) -> Submitted:
        """Give an open position another take profit; `side` may be None for a bot of one side."""
        ask = EditTakeProfit(
            bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, side=side, take_profit=take_profit
        )
        return await self._channel.perform(endpoints.DCA_EDIT_TAKE_PROFIT, ask, self._options)

    async def add_funds(
        self,
        *,
        bot_id: int,
        base_asset: str,
        quote_asset: str,
        size: Size,
        side: Side | None = None,
        delay: int | None = None,
    ) -> Submitted:
        """Have a bot buy more for an open position, after `delay` seconds.

        `size` is more than 0, in the server's own measure, which is not documented: try it with little.
        """
        ask = AddFunds(bot_id=bot_id, base_asset=base_asset, quote_asset=quote_asset, size=size, side=side, delay=delay)
        return await self._channel.perform(endpoints.DCA_ADD_FUNDS, ask, self._options)


AsyncDca.__module__ = "mizar_async"
