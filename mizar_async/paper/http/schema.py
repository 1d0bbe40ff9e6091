"""From the SDK's plain classes to pydantic's: what FastAPI checks, and what the OpenAPI pages say.

`model_of` makes one pydantic model of one attrs class. How a field is written on the wire follows from its type; the
few names in `_ASKED` and `_ANSWERED` are written in another way than their type says.
"""

from __future__ import annotations

import functools
import re
import typing
from decimal import Decimal
from typing import Annotated, Any, Final

import attrs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from ..._api import dca, hosted, market, trading
from ..._api.checks import number
from ..._api.dca import AddFunds, Side
from ..._api.documented import on_the_wire, wire_name
from ..._api.market import LARGEST_PAGE, Bar
from ..._api.ratio import Ratio
from ..._api.trading import Position, Symbol
from ..store.tables import LARGEST_ID

# Sizes are echoed exactly, so their text must end somewhere; the shortest text of a usual float is within this.
_DECIMALS: Final = 40

_WHOLE: Final = re.compile(r"[0-9]{1,19}")
_SIZE: Final = re.compile(rf"1(\.0{{1,{_DECIMALS}}})?|0?\.[0-9]{{1,{_DECIMALS}}}")
_PLAIN: Final = re.compile(rf"[0-9]{{1,20}}(\.[0-9]{{1,{_DECIMALS}}})?")
_BOOLEANS: Final = {"true": True, "false": False}


def _whole(value: object) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and value.adjusted() < 19
        and value == value.to_integral_value()
    ):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_ID:
        return value
    raise PydanticCustomError("whole_number", "Input should be a whole number, 0 or more, or one as text")


def _size(value: object) -> Decimal:
    if isinstance(value, str) and _SIZE.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, int) and not isinstance(value, bool) and value == 1:
        value = Decimal(1)
    if isinstance(value, Decimal) and value.is_finite() and 0 < value <= 1:
        if typing.cast("int", value.as_tuple().exponent) < -_DECIMALS:
            raise PydanticCustomError("size", "Input should have at most 40 decimals")
        return value
    raise PydanticCustomError("size", "Input should be a number more than 0 and at most 1, or one as text")


def _amount(value: object) -> Decimal:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        value = Decimal(value)
    amount = number(value)
    if amount.is_finite() and amount > 0:
        return amount
    raise PydanticCustomError("amount", "Input should be a number more than 0, or one as text")


def _ratio(value: object) -> Ratio:
    return Ratio.fraction(_amount(value))


def _true_or_false(value: object) -> bool:
    known = value if isinstance(value, bool) else _BOOLEANS.get(value) if isinstance(value, str) else None
    if known is None:
        raise PydanticCustomError("true_or_false", "Input should be true or false")
    return known


def _unpadded(value: object) -> object:
    if isinstance(value, str) and value != value.strip():
        raise PydanticCustomError("padded", "Input should have no spaces around it")
    return value


_NUMBER_OR_TEXT: Final = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": LARGEST_ID},
        {"type": "string", "pattern": "^[0-9]{1,19}$"},
    ]
}
_SIZE_OR_TEXT: Final = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        {"type": "string", "pattern": r"^(1(\.0{1,40})?|0?\.0{0,39}[1-9][0-9]{0,39})$"},
    ]
}
_AMOUNT_OR_TEXT: Final = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^[1-9][0-9]{0,19}(\.[0-9]{1,40})?$"},
    ]
}
_PRICE: Final = {"type": "string", "pattern": r"^[0-9]{1,40}\.[0-9]{12}$"}
_ID_TEXT: Final = {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"}

_Text = Annotated[str, Field(min_length=1, max_length=1_000), BeforeValidator(_unpadded)]
_FreeText = Annotated[str, Field(max_length=10_000)]
_Whole = Annotated[int, BeforeValidator(_whole), WithJsonSchema(_NUMBER_OR_TEXT)]
_Size = Annotated[Decimal, BeforeValidator(_size), WithJsonSchema(_SIZE_OR_TEXT)]
_Bool = Annotated[
    bool,
    BeforeValidator(_true_or_false),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["true", "false"]}]}),
]


def _maybe(kind: Any) -> Any:
    return kind | None  # which may be sent: the client of 2021 does so


_Amount = Annotated[Decimal, BeforeValidator(_amount), WithJsonSchema(_AMOUNT_OR_TEXT)]
_Fraction = Annotated[Any, BeforeValidator(_ratio), WithJsonSchema(_AMOUNT_OR_TEXT)]
_Page = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=LARGEST_PAGE)]
_Start = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=10**15)]

_ASKED: Final[dict[Any, Any]] = {
    int: _Whole,
    Decimal: _Size,
    bool: _Bool,
    str: _Text,
    str | None: Annotated[str | None, Field(min_length=1, max_length=1_000), BeforeValidator(_unpadded)],
    tuple[str, ...]: Annotated[list[_Text], Field(min_length=1, max_length=1_000)],
    int | None: _maybe(_Whole),
    Ratio: _Fraction,
    Ratio | None: _maybe(_Fraction),
    Side | None: Side | None,
    "description": _FreeText,
    "limit": _Page,
    "start_timestamp": _Start,
    "position_size": _maybe(_Size),
    "open_order_price": _maybe(_Amount),
    "start_price": _Amount,
    "size of AddFunds": _Amount,
}
_PriceText = Annotated[str, WithJsonSchema(_PRICE)]
_IdText = Annotated[str, WithJsonSchema(_ID_TEXT)]
_Shown = Annotated[float, Field(gt=0, le=1)]
_Time = Annotated[int, Field(ge=0)]
_ANSWERED: Final[dict[Any, Any]] = {
    int: _Time,
    int | None: _Time,
    Decimal: _Shown,
    Decimal | None: _PriceText,
    bool: bool,
    str: str,
    tuple[str, ...]: list[str],
    "position_id": _IdText,
    "strategy_id of a position": _IdText,
}


# What the pages fill in to be tried out, and schemathesis begins with.
_EXAMPLES: Final[dict[str, Any]] = {
    "name": "My Strategy",
    "exchange": "binance",
    "exchanges": ["binance"],
    "symbols": ["BTCUSDT"],
    "market": "SPOT",
    "strategy_id": 1,
    "position_id": 1,
    "base_asset": "BTC",
    "quote_asset": "USDT",
    "size": 0.3,
    "is_long": True,
    "bar_type": "time",
    "bar_subclass": "1min",
    "bot_id": 1,
}


_NAMES: Final = vars(trading) | vars(market) | vars(dca) | vars(hosted)


class _Asked(BaseModel):
    # Unknown fields are ignored, as the real server does.
    model_config = ConfigDict(extra="ignore")


class _Answered(BaseModel):
    # The documented fields and no others: some foreign decoders refuse unknown ones.
    model_config = ConfigDict(extra="forbid")


@functools.cache
def model_of(plain: type[attrs.AttrsInstance], *, answer: bool = False) -> type[BaseModel]:
    """The pydantic model of an attrs class: of a request, or of an answer as it stands on the wire."""
    # The public classes name the public package as their module; the types of their fields are known in their own.
    hints = typing.get_type_hints(plain, localns=_NAMES)
    fields: dict[str, Any] = {}
    for field in on_the_wire(plain):
        written = _written(plain, field.name, hints[field.name], answer=answer)
        shown = [_EXAMPLES[field.name]] if field.name in _EXAMPLES and not answer else None
        default = ... if answer or field.default is attrs.NOTHING else field.default
        fields[wire_name(field)] = (written, Field(default, examples=shown))
    if plain is Symbol:  # a strategy's symbols have none
        fields["markets"] = (list[str], Field(default_factory=list))
    base = _Answered if answer else _Asked
    return create_model(plain.__name__, __base__=base, __doc__=(plain.__doc__ or "").partition("\n")[0], **fields)


def _written(plain: type[attrs.AttrsInstance], name: str, kind: object, *, answer: bool) -> object:
    table = _ANSWERED if answer else _ASKED
    if answer and issubclass(plain, Position):
        name = f"{name} of a position" if name == "strategy_id" else name
    if answer and plain is Bar:
        return int if kind in (int, int | None) else float
    name = f"size of {plain.__name__}" if plain is AddFunds and name == "size" else name
    if name in table:
        return table[name]
    if kind in table:
        return table[kind]
    item = typing.get_args(kind)[0]  # the remaining kind: a tuple of other plain classes
    return list[model_of(item, answer=answer)]  # type: ignore[misc]
