"""The old calls for DCA bots, and those that the API has got since."""

from __future__ import annotations

from collections.abc import Callable

from mizar_async import DcaOrder
from mizar_async._api.dca import Side
from mizar_sync import Mizar as BlockingMizar

from ._errors import refusals_as_before
from ._values import Document, Id, Number, fraction, number, optional_fraction, whole


class DcaCalls:
    """The calls of `Mizar` for DCA bots.

    `side` is "long" or "short", for bots that trade both sides of a pair; what is None is left out. A command is passed
    on to the bot's subscriptions and answered before anything is done: {"detail": "..."}.
    """

    _mizar: BlockingMizar

    # what there is

    @refusals_as_before
    def get_dca_bot_position(self, bot_id: Id, base_asset: str, quote_asset: str, side: Side | None = None) -> Document:
        """The open position of a pair with its orders: {"data": {...}}, or {"data": None} if there is none."""
        position = self._mizar.dca.get_position(
            bot_id=whole(bot_id), base_asset=base_asset, quote_asset=quote_asset, side=side
        )
        return {"data": None if position is None else position.to_dict()}

    @refusals_as_before
    def get_dca_bot_safety_orders(
        self, bot_id: Id, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> Document:
        """All safety orders of a pair, the filled ones too: {"data": [...]}."""
        return _listed(self._mizar.dca.safety_orders, bot_id, base_asset, quote_asset, side)

    @refusals_as_before
    def get_dca_bot_active_safety_orders(
        self, bot_id: Id, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> Document:
        """The safety orders of a pair that rest at the exchange: {"data": [...]}."""
        return _listed(self._mizar.dca.active_safety_orders, bot_id, base_asset, quote_asset, side)

    @refusals_as_before
    def get_dca_bot_inactive_safety_orders(
        self, bot_id: Id, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> Document:
        """The safety orders of a pair that rest no more: {"data": [...]}."""
        return _listed(self._mizar.dca.inactive_safety_orders, bot_id, base_asset, quote_asset, side)

    @refusals_as_before
    def get_dca_bot_take_profit_orders(
        self, bot_id: Id, base_asset: str, quote_asset: str, side: Side | None = None
    ) -> Document:
        """The take profit orders of the open position, the current one first: {"data": [...]}."""
        return _listed(self._mizar.dca.take_profit_orders, bot_id, base_asset, quote_asset, side)

    @refusals_as_before
    def get_dca_bot_settings(self) -> Document:
        """The settings of every bot of this key, as the server tells them: {"data": [...]}.

        `take_profit` is in percent there, `strategy_id` is the bot's id.
        """
        return {"data": [settings.to_dict() for settings in self._mizar.dca.settings()]}

    @refusals_as_before
    def get_subscription_open_positions(self, subscription_id: Id, bot_id: Id) -> Document:
        """The open positions of one subscription to a bot: {"data": [...]}."""
        positions = self._mizar.dca.subscription_positions(subscription_id=whole(subscription_id), bot_id=whole(bot_id))
        return {"data": [position.to_dict() for position in positions]}

    # what it is told

    @refusals_as_before
    def dca_bot_open_position(
        self,
        bot_id: Id,
        base_asset: str,
        quote_asset: str,
        take_profit_pct: Number | None = None,
        stop_loss_pct: Number | None = None,
        side: Side | None = None,
        position_size: Number | None = None,
        open_order_price: Number | None = None,
        open_position_expiration: int | None = None,
        delay: int | None = None,
    ) -> Document:
        """Have a bot open a position.

        `take_profit_pct` and `stop_loss_pct` are fractions, 0.015 for 1.5 percent, in place of the bot's own.
        `position_size` is a share of the bot's, more than 0 and at most 1. With `open_order_price`, in the quote asset,
        it rests at that price, for `open_position_expiration` seconds. `delay` is in seconds.
        """
        return self._mizar.dca.open_position(
            bot_id=whole(bot_id),
            base_asset=base_asset,
            quote_asset=quote_asset,
            side=side,
            take_profit=optional_fraction("take_profit_pct", take_profit_pct),
            stop_loss=optional_fraction("stop_loss_pct", stop_loss_pct),
            position_size=number(position_size),
            open_order_price=number(open_order_price),
            open_position_expiration=number(open_position_expiration),
            delay=number(delay),
        ).to_dict()

    @refusals_as_before
    def dca_bot_close_position(
        self, bot_id: Id, base_asset: str, quote_asset: str, side: Side | None = None, delay: int | None = None
    ) -> Document:
        """Have a bot close the position of a pair, after `delay` seconds."""
        return self._mizar.dca.close_position(
            bot_id=whole(bot_id), base_asset=base_asset, quote_asset=quote_asset, side=side, delay=number(delay)
        ).to_dict()

    @refusals_as_before
    def dca_bot_shift_safety_orders(
        self,
        bot_id: Id,
        base_asset: str,
        quote_asset: str,
        safety_orders_start_price: Number,
        side: Side | None = None,
    ) -> Document:
        """Have the safety orders of a pair begin at another price, in the quote asset."""
        return self._mizar.dca.shift_safety_orders(
            bot_id=whole(bot_id),
            base_asset=base_asset,
            quote_asset=quote_asset,
            start_price=number(safety_orders_start_price),
            side=side,
        ).to_dict()

    @refusals_as_before
    def dca_bot_edit_take_profit_pct(
        self, bot_id: Id, base_asset: str, quote_asset: str, take_profit_pct: Number, side: Side | None = None
    ) -> Document:
        """Give an open position another take profit: a fraction, 0.015 for 1.5 percent."""
        return self._mizar.dca.edit_take_profit(
            bot_id=whole(bot_id),
            base_asset=base_asset,
            quote_asset=quote_asset,
            side=side,
            take_profit=fraction("take_profit_pct", take_profit_pct),
        ).to_dict()

    @refusals_as_before
    def dca_bot_add_funds(
        self,
        bot_id: Id,
        base_asset: str,
        quote_asset: str,
        size: Number,
        side: Side | None = None,
        delay: int | None = None,
    ) -> Document:
        """Have a bot buy more for an open position; `size` is above 0, in a measure that the API does not document."""
        return self._mizar.dca.add_funds(
            bot_id=whole(bot_id),
            base_asset=base_asset,
            quote_asset=quote_asset,
            size=number(size),
            side=side,
            delay=number(delay),
        ).to_dict()

    @refusals_as_before
    def dca_bot_stop_and_close_positions(self, bot_id: Id) -> Document:
        """Stop a bot, and have it close all its positions."""
        return self._mizar.dca.stop_and_close_all(bot_id=whole(bot_id)).to_dict()

    @refusals_as_before
    def dca_bot_close_positions(self, bot_id: Id) -> Document:
        """Have a bot close all its positions; it goes on opening new ones."""
        return self._mizar.dca.close_all_positions(bot_id=whole(bot_id)).to_dict()


def _listed(
    call: Callable[..., list[DcaOrder]], bot_id: Id, base_asset: str, quote_asset: str, side: Side | None
) -> Document:
    orders = call(bot_id=whole(bot_id), base_asset=base_asset, quote_asset=quote_asset, side=side)
    return {"data": [order.to_dict() for order in orders]}
