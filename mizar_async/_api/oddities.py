"""What the fast reader refuses is read again here: the oddities that servers of this API have shown.

Ids as text, text where a number belongs, a price that is none, a lone backtick as an id, `market` for `markets`.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .dca import DcaOrder, DcaPosition, DcaSettings
from .hosted import Publication
from .market import Bar, FloatBar
from .ratio import Ratio
from .trading import Symbol

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

LARGEST_WHOLE: Final = 2**63 - 1
"""No id or time is beyond it: one that is can neither be kept nor be reckoned with."""

ONLY_HERE: Final = frozenset({Symbol, DcaPosition, DcaSettings, Publication})
"""What is always read here: one call's symbols have `market` for `markets`, ratios are this module's business, and of a
publication one of two fields has to be there."""


def _whole(value: object) -> int:
    if isinstance(value, str):
        value = Decimal(value.strip())
    if isinstance(value, (float, Decimal)):
        if not (math.isfinite(value) and -LARGEST_WHOLE <= value <= LARGEST_WHOLE and value == int(value)):
            raise ValueError(f"{value} is no whole number")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_WHOLE:
        raise ValueError(f"{value!r} is no whole number that can be")
    return value


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"{value!r} is no number")
    return Decimal(repr(value) if isinstance(value, float) else value)


_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


def _boolean(value: object) -> bool:
    known = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
    if known is None:
        raise ValueError(f"{value!r} is neither true nor false")
    return known


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _id(value: object) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _string(value)


def _finite(value: object) -> Decimal:
    number = _decimal(value)
    if not number.is_finite():
        raise ValueError(f"{value!r} is no finite number")
    return number


def _milliseconds(value: object) -> int:
    if isinstance(value, str) and ":" in value:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return _whole(value)


def _or_none(convert: Callable[[object], T]) -> Callable[[object, object], T | None]:
    def lenient(value: object, _: object) -> T | None:
        try:
            return None if value is None else convert(value)
        except (ValueError, ArithmeticError):
            return None

    return lenient


def _strict(convert: Callable[[object], T]) -> Callable[[object, object], T]:
    def checked(value: object, _: object) -> T:
        try:
            return convert(value)
        except ArithmeticError:
            raise ValueError(f"{value!r} is no number") from None

    return checked


@functools.cache
def converter() -> Converter:
    # Imported by the first odd answer: most programs never need it.
    from cattrs import Converter

    reader = Converter(detailed_validation=False)
    reader.register_structure_hook(int, _strict(_whole))
    reader.register_structure_hook(Decimal, _strict(_decimal))
    reader.register_structure_hook(bool, _strict(_boolean))
    reader.register_structure_hook(str, _strict(_string))
    reader.register_structure_hook(int | None, _or_none(_whole))
    reader.register_structure_hook(Decimal | None, _or_none(_finite))
    reader.register_structure_hook(Ratio | None, _or_none(lambda value: Ratio.fraction(_finite(value))))
    _register(reader, Symbol, _with_markets)
    reader.register_structure_hook(float | None, _or_none(lambda value: float(_finite(value))))
    _register(reader, Bar, _with_milliseconds)
    _register(reader, FloatBar, _with_milliseconds)
    _register(reader, DcaOrder, lambda value: value | {"id": _id(value["id"])})
    _register(reader, DcaSettings, _of_bot)
    _register(reader, Publication, _saying_something)
    return reader


def _register(reader: Converter, model: type[T], mended: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Read objects of a model from what `mended` makes of them."""
    from cattrs.gen import make_dict_structure_fn

    plain = make_dict_structure_fn(model, reader)

    def structure(value: Any, kind: Any) -> T:
        return plain(mended(value) if isinstance(value, dict) else value, kind)

    reader.register_structure_hook(model, structure)


def _with_markets(value: dict[str, Any]) -> dict[str, Any]:
    if "markets" not in value and isinstance(value.get("market"), str):
        return value | {"markets": [value["market"]]}
    return value


def _with_milliseconds(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"time": _milliseconds(value["time"])}


def _saying_something(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("message") is None and value.get("creation_timestamp") is None:
        raise ValueError("it has neither 'message' nor 'creation_timestamp'")
    return value


def _of_bot(value: dict[str, Any]) -> dict[str, Any]:
    said = json.loads(json.dumps(value, default=float))  # as the JSON has it
    # In percent, where a position's is a fraction.
    profit = _or_none(lambda number: Ratio.percent(_finite(number)).as_fraction)(value.get("take_profit"), None)
    return value | {"bot_id": value["strategy_id"], "take_profit": profit, "said": said}
