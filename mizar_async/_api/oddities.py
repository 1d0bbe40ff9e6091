"""What the fast reader refuses is read again here: the oddities that servers of this API have shown.

Ids as text, text where a number belongs, a price that is none, a lone backtick as an id, `market` for `markets`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .trading import Symbol

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")


def _whole(value: object) -> int:
    if isinstance(value, str):
        value = Decimal(value.strip())
    if isinstance(value, (float, Decimal)):
        if not (math.isfinite(value) and value == int(value)):
            raise ValueError(f"{value} is no whole number")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number")
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
    from cattrs.gen import make_dict_structure_fn

    reader = Converter(detailed_validation=False)
    reader.register_structure_hook(int, _strict(_whole))
    reader.register_structure_hook(Decimal, _strict(_decimal))
    reader.register_structure_hook(bool, _strict(_boolean))
    reader.register_structure_hook(str, _strict(_string))
    reader.register_structure_hook(int | None, _or_none(_whole))
    reader.register_structure_hook(Decimal | None, _or_none(_decimal))

    plain_symbol = make_dict_structure_fn(Symbol, reader)

    def symbol(value: Any, kind: Any) -> Symbol:
        if isinstance(value, dict) and "markets" not in value and isinstance(value.get("market"), str):
            value = value | {"markets": [value["market"]]}
        return plain_symbol(value, kind)

    reader.register_structure_hook(Symbol, symbol)
    return reader
