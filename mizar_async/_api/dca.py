"""DCA bots: what is asked of them and told to them, and what they answer.

A bot buys in steps: a base order, then safety orders below it (above it, for a short) for a better average price.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

import attrs

from . import checks
from .documented import OFF_THE_WIRE, Documented, as_number, on_the_wire_as, written
from .ratio import Ratio
from .trading import usable_price, utc

Side = Literal["long", "short"]

_IS_FRACTION: Final = "it must be a Ratio, such as Ratio.percent('1.5'), which is Ratio.fraction('0.015')"


def _side(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (isinstance(value, str) and value in ("long", "short")):
        raise checks.refuse(field.name, value, "it must be 'long' or 'short'")


def _ratio(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Ratio):
        raise checks.refuse(field.name, value, _IS_FRACTION)
    if value.as_fraction <= 0:
        raise checks.refuse(field.name, value, "it must be more than 0")


def _loss(place: object, field: attrs.Attribute[Any], value: object) -> None:
    _ratio(place, field, value)
    if isinstance(value, Ratio) and value.as_fraction >= 1:
        raise checks.refuse(field.name, value, "it must be less than the whole, 100 percent")


def _bot_id(value: object) -> int:
    return checks.whole_number("bot_id", value)


def _subscription_id(value: object) -> int:
    return checks.whole_number("subscription_id", value)


def _position_size(value: object) -> Decimal | None:
    return None if value is None else checks.exact_size("position_size", value)


def _open_order_price(value: object) -> Decimal | None:
    return None if value is None else checks.exact_amount("open_order_price", value)


def _expiration(value: object) -> int | None:
    return None if value is None else checks.whole_seconds("open_position_expiration", value)


def _delay(value: object) -> int | None:
    return None if value is None else checks.whole_seconds("delay", value)


def _start_price(value: object) -> Decimal:
    return checks.exact_amount("start_price", value)


def _added(value: object) -> Decimal:
    return checks.exact_amount("size", value)


@attrs.frozen(kw_only=True)
class OfBot:
    """One bot."""

    bot_id: int = attrs.field(converter=_bot_id)


@attrs.frozen(kw_only=True)
class OfPair(OfBot):
    """One pair of a bot; `side` where it trades both sides of it."""

    base_asset: str = attrs.field(converter=checks.plain, validator=checks.is_text)
    quote_asset: str = attrs.field(converter=checks.plain, validator=checks.is_text)
    side: Side | None = attrs.field(default=None, converter=checks.plain, validator=_side)


@attrs.frozen(kw_only=True)
class OfSubscription(OfBot):
    """A follower's subscription to a bot."""

    subscription_id: int = attrs.field(converter=_subscription_id)


@attrs.frozen(kw_only=True)
class OpenOfBot(OfPair):
    """A position that a bot is told to open."""

    take_profit: Ratio | None = attrs.field(default=None, validator=_ratio, metadata=on_the_wire_as("take_profit_pct"))
    stop_loss: Ratio | None = attrs.field(default=None, validator=_loss, metadata=on_the_wire_as("stop_loss_pct"))
    position_size: Decimal | None = attrs.field(default=None, converter=_position_size)
    open_order_price: Decimal | None = attrs.field(default=None, converter=_open_order_price)
    open_position_expiration: int | None = attrs.field(default=None, converter=_expiration)
    delay: int | None = attrs.field(default=None, converter=_delay)


@attrs.frozen(kw_only=True)
class CloseOfBot(OfPair):
    """A position that a bot is told to close."""

    delay: int | None = attrs.field(default=None, converter=_delay)


@attrs.frozen(kw_only=True)
class ShiftSafetyOrders(OfPair):
    """Safety orders that begin at another price."""

    start_price: Decimal = attrs.field(
        converter=_start_price,
        metadata=on_the_wire_as("safety_orders_start_price"),
    )


@attrs.frozen(kw_only=True)
class EditTakeProfit(OfPair):
    """Another take profit of an open position."""

    take_profit: Ratio = attrs.field(validator=_ratio, metadata=on_the_wire_as("take_profit_pct"))

    def __attrs_post_init__(self) -> None:
        if self.take_profit is None:
            raise checks.refuse("take_profit", None, _IS_FRACTION)


@attrs.frozen(kw_only=True)
class AddFunds(OfPair):
    """More bought for an open position."""

    size: Decimal = attrs.field(converter=_added)
    delay: int | None = attrs.field(default=None, converter=_delay)


@attrs.frozen
class Submitted(Documented):
    """A command was passed on to the subscriptions of a bot, which have not acted on it yet."""

    detail: str
    """The server's sentence, which counts the subscriptions."""


def _fraction(ratio: Ratio | None) -> float | None:
    return None if ratio is None else float(ratio.as_fraction)


_NUMBER: Final = written(as_number)
_SHARE: Final = written(_fraction)


@attrs.frozen
class DcaOrder(Documented):
    """An order of a bot at the exchange.

    `status` is "open", "closed" (filled) or "canceled"; `timestamp` is its last change, in milliseconds since the
    epoch, UTC. `price` is in the quote asset, `filled` and `remaining` are in the base asset; None where the server
    gave none that can be used.
    """

    _in_order = True

    id: str
    status: str
    timestamp: int | None = None
    price: Decimal | None = attrs.field(default=None, converter=usable_price, metadata=_NUMBER)
    filled: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    remaining: Decimal | None = attrs.field(default=None, metadata=_NUMBER)

    @property
    def changed_at(self) -> datetime | None:
        """When it last changed, UTC, timezone-aware."""
        return utc(self.timestamp)


@attrs.frozen(kw_only=True)
class DcaPosition(Documented):
    """An open position of a bot, with its orders.

    `side` is as the server names it, "buy" for a long. Sizes are in the quote asset, scales multiply each next step.
    What the server left out is None, or empty.
    """

    _in_order = True

    symbol: str
    start_condition_datetime: str | None = None
    """When the bot was told to open, as the server writes it."""
    take_profit_type: str | None = None
    """"total": of the whole position; "base": of the base order."""
    take_profit_pct: Ratio | None = attrs.field(default=None, metadata=_SHARE)
    stop_loss_pct: Ratio | None = attrs.field(default=None, metadata=_SHARE)
    safety_order_deviation_pct: Ratio | None = attrs.field(default=None, metadata=_SHARE)
    safety_order_step_scale: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    safety_order_quote_size: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    safety_order_volume_scale: Decimal | None = attrs.field(default=None, metadata=_NUMBER)
    max_num_safety_order: int | None = None
    side: str | None = None
    base_orders: tuple[DcaOrder, ...] = ()
    active_safety_orders: tuple[DcaOrder, ...] = ()
    take_profit_order: DcaOrder | None = None
    inactive_safety_orders: tuple[DcaOrder, ...] = ()
    inactive_take_profit_orders: tuple[DcaOrder, ...] = ()


@attrs.frozen(kw_only=True)
class DcaSettings(Documented):
    """The settings of a bot, as far as the server's names are known; `said` has all that it told."""

    bot_id: int
    take_profit: Ratio | None = None
    max_safety_trades_count: int | None = None
    said: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False, metadata=OFF_THE_WIRE)

    def to_dict(self) -> dict[str, Any]:
        """Give what the server said of this bot."""
        return dict(self.said)
