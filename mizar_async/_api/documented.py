"""A model as the dictionary that the API's documentation shows, from what each field says of itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar, Final

import attrs

_WRITTEN: Final = "written"
_LEFT_OUT_IF_EMPTY: Final = "left out if empty"

LEFT_OUT_IF_EMPTY: Final = {_LEFT_OUT_IF_EMPTY: True}
"""The metadata of a field that the documentation does not show where it has nothing to say."""


_OFF_THE_WIRE: Final = "off the wire"

OFF_THE_WIRE: Final = {_OFF_THE_WIRE: True}
"""The metadata of a field of a request that is the client's own business."""


_FURTHER: Final = "further"

FURTHER: Final = {_FURTHER: True}
"""The metadata of a field that holds further parameters, by their names."""

_WIRE_NAME: Final = "wire name"


def on_the_wire_as(name: str) -> dict[str, Any]:
    """The metadata of a field of a request that has another name on the wire."""
    return {_WIRE_NAME: name}


def wire_name(field: attrs.Attribute[Any]) -> str:
    """What a field is called on the wire."""
    name: str = field.metadata.get(_WIRE_NAME, field.name)
    return name


def further_parameters(ask: Any) -> dict[str, Any]:
    """What a request was given beyond its own parameters."""
    found: dict[str, Any] = {}
    for field in attrs.fields(type(ask)):
        if _FURTHER in field.metadata:
            found.update(getattr(ask, field.name))
    return found


@functools.cache
def on_the_wire(model: Any) -> tuple[attrs.Attribute[Any], ...]:
    """The fields of a model that the server is told."""
    return tuple(field for field in attrs.fields(model) if not {_OFF_THE_WIRE, _FURTHER} & field.metadata.keys())


def written(way: Callable[[Any], object]) -> dict[str, Any]:
    """The metadata of a field that the documentation shows in another form than that of the model."""
    return {_WRITTEN: way}


def id_text(number: int | None) -> str | None:
    """An id as text, as positions have it."""
    return None if number is None else str(number)


def twelve_decimals(price: Decimal | None) -> str | None:
    """A price as text with twelve decimals, or more where it has more."""
    if price is None:
        return None
    whole, _, fraction = format(price, "f").partition(".")
    return f"{whole}.{fraction:0<12}"


_ONE: Final = Decimal(1)


def as_number(number: Decimal | None) -> float | None:
    """A number as JSON has it: one that was written without a fraction is whole."""
    if number is None:
        return None
    return int(number) if number.same_quantum(_ONE) else float(number)


class Documented:
    """A model that the documentation shows as a dictionary."""

    __slots__ = ()

    _in_order: ClassVar[bool] = False
    """Whether the documentation shows its keys in the order of the fields; otherwise it does by the alphabet."""

    def to_dict(self) -> dict[str, Any]:
        """Give the dictionary of the API's documentation, its keys in the order that is shown there."""
        model: Any = type(self)
        values = ((name, getattr(self, name), way, optional) for name, way, optional in _fields(model))
        return {name: way(value) for name, value, way, optional in values if value or not optional}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.to_dict() if isinstance(value, Documented) else value


@functools.cache
def _fields(model: Any) -> list[tuple[str, Callable[[Any], object], bool]]:
    fields = list(attrs.fields(model))
    if not model._in_order:  # noqa: SLF001 - its own
        fields.sort(key=lambda field: field.name)
    return [
        (field.name, field.metadata.get(_WRITTEN, _plain), _LEFT_OUT_IF_EMPTY in field.metadata) for field in fields
    ]
