"""What old programs hand over: ids and numbers as the dictionaries hold them, maybe as text, and plain fractions."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from mizar_async import Ratio
from mizar_async._api import checks

Document = dict[str, Any]
Id = int | str
Number = float | Decimal | str

_PLAIN_NUMBER: Final = re.compile(r"\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,3})?", re.ASCII)


def whole(value: Any) -> Any:
    """An id or a time as a number, if it is text of one, or a float as pandas has it; whatever else as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and _is_plain_whole(value) else value


def _is_plain_whole(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 100


def number(value: Any) -> Any:
    """The same of a size or a price."""
    return Decimal(value) if isinstance(value, str) and _PLAIN_NUMBER.fullmatch(value) else value


def fraction(name: str, value: object) -> Ratio:
    """A plain fraction as what the calls of today take; InvalidInput for what is none."""
    exact = checks.number(number(value))
    if not exact.is_finite():
        raise checks.refuse(name, value, "it must be a finite fraction, such as 0.015 for 1.5 percent")
    return Ratio.fraction(exact)


def optional_fraction(name: str, value: object) -> Ratio | None:
    """The same, where it may be left out."""
    return None if value is None else fraction(name, value)
