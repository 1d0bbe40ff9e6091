"""What a value must be before it is sent: each check returns it as the wire has it, or raises InvalidInput."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ..errors import InvalidInput

if TYPE_CHECKING:
    from attrs import Attribute

Size = int | float | Decimal
Moment = int | datetime
"""Milliseconds since the epoch, UTC, or a datetime with a zone."""

# Numbers are written out in full: of one that is beyond these, nobody could read the digits.
_MOST_DIGITS: Final = 400
_LARGEST: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MOMENT: Final = 10**15


def refuse(name: str, value: object, allowed: str) -> InvalidInput:
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - whatever can't be shown: a whole number of ten thousand digits, for one
        shown = f"<{type(value).__name__}>"
    if len(shown) > 80:
        shown = f"{shown[:77]}..."
    return InvalidInput(f"{name}={shown} is refused: {allowed}")


def whole_number(name: str, value: object) -> int:
    """Return `value` as an int, or raise InvalidInput: booleans, floats and text are no ids."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if isinstance(value, bool) or not 0 <= number <= _LARGEST:
        raise refuse(name, value, "it must be a whole number, 0 or more, such as 17")
    return int(number)


def plain(value: Any) -> Any:
    """Text as such, where it is of a class that is derived from it, such as numpy's."""
    return str.__str__(value) if isinstance(value, str) else value


def number(value: object) -> Decimal:
    """Any number as it is, exactly; NaN for what is none, and for one that nobody could write out."""
    if isinstance(value, float):
        # The shortest decimal that reads back as it: 0.3, not 0.299999999999999988...
        # float(...) first, since subclasses such as numpy's have another repr.
        exact = Decimal(repr(float(value)))
        return exact if exact.is_finite() else Decimal("NaN")
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return Decimal("NaN")
    exact = value if type(value) is Decimal else Decimal(value)
    if not exact.is_finite():
        return Decimal("NaN")
    digits, exponent = exact.as_tuple()[1:]
    return exact if max(exact.adjusted(), -int(exponent), len(digits)) < _MOST_DIGITS else Decimal("NaN")


def exact_size(name: str, value: object) -> Decimal:
    size = number(value)
    if not (size.is_finite() and 0 < size <= 1):
        raise refuse(name, value, "it must be a finite number, more than 0 and at most 1")
    return size


def exact_amount(name: str, value: object) -> Decimal:
    """A size that may be above 1, or a price."""
    amount = number(value)
    if not (amount.is_finite() and amount > 0):
        raise refuse(name, value, "it must be a finite number, more than 0")
    return amount


def whole_seconds(name: str, value: object) -> int:
    seconds = number(value)
    if not (seconds.is_finite() and seconds >= 0 and seconds == seconds.to_integral_value()):
        raise refuse(name, value, "it must be a whole number of seconds, 0 or more")
    return int(seconds)


def milliseconds(name: str, value: object) -> int:
    """A time since the epoch: the first whole millisecond that is not before it."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = -((_EPOCH - value) // timedelta(milliseconds=1))
    try:
        moment = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        moment = -1
    if isinstance(value, bool) or not 0 <= moment < _LAST_MOMENT:
        raise refuse(
            name,
            value,
            "it must be milliseconds since the epoch, or a datetime with a zone: datetime(2026, 1, 1, tzinfo=UTC)",
        )
    return moment


def strategy_id(value: object) -> int:
    return whole_number("strategy_id", value)


def position_id(value: object) -> int:
    return whole_number("position_id", value)


def size(value: object) -> Decimal:
    return exact_size("size", value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
        raise refuse(
            name, value, "it must be printable text that is not empty, without spaces around it, such as 'BTC'"
        )
    return str.__str__(value)


def is_text(_: object, field: Attribute[Any], value: object) -> None:
    _text(field.name, value)


def is_any_text(_: object, field: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise refuse(field.name, value, "it must be text that can be written as UTF-8")


def is_optional_text(_: object, field: Attribute[Any], value: object) -> None:
    if value is not None:
        _text(field.name, value)


_LONGEST_ID = 64


def is_client_order_id(_: object, field: Attribute[Any], value: object) -> None:
    if value is None:
        return
    fits = isinstance(value, str) and 0 < len(value) <= _LONGEST_ID and value == value.strip() and value.isprintable()
    if not fits:
        raise refuse(
            field.name, value, f"it must be text of 1 to {_LONGEST_ID} printable characters without spaces around it"
        )


def is_side(_: object, field: Attribute[Any], value: object) -> None:
    if value is not True and value is not False:
        raise refuse(field.name, value, "it must be True (long) or False (short)")


def texts(name: str, value: object) -> tuple[str, ...]:
    allowed = "it must be a list of at least one text, such as ['BTCUSDT']"
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise refuse(name, value, allowed)
    texts = tuple(value)
    if not texts:
        raise refuse(name, value, allowed)
    return tuple(_text(name, text) for text in texts)


def exchange_names(value: object) -> tuple[str, ...]:
    return texts("exchanges", value)


def symbol_names(value: object) -> tuple[str, ...]:
    return texts("symbols", value)
