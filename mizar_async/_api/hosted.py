"""Strategies that Mizar runs: a pickle, its source, and what is to be known of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import attrs

from . import checks
from .documented import LEFT_OUT_IF_EMPTY, Documented, on_the_wire_as

LARGEST_STRATEGY: Final = 200_000_000
LARGEST_SOURCE: Final = 2_000_000

_LINE: Final = 57  # bytes to a line of 76 letters, as base64 is written in mails and by the client of 2021


def written_length(size: int) -> int:
    """How long the base64 text of so many bytes is, with its line ends."""
    lines, rest = divmod(size, _LINE)
    return lines * 77 + (4 * -(-rest // 3) + 1 if rest else 0)


def _strategy(value: object) -> bytes:
    if not isinstance(value, bytes) or not value:
        shown = type(value) if value else value
        raise checks.refuse("strategy", shown, "it must be the bytes of a pickle, such as dill.dumps(strategy)")
    if (length := written_length(len(value))) > LARGEST_STRATEGY:
        raise checks.refuse(
            "strategy",
            f"{len(value):,} bytes",
            f"its base64 text has {length:,} bytes, and may have {LARGEST_STRATEGY:,}",
        )
    return value


def _source(value: object) -> str:
    if not isinstance(value, str):
        raise checks.refuse("source", type(value), "it must be the text of the strategy's source")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise checks.refuse("source", "...", "it must be text that can be written as UTF-8") from None
    if length > LARGEST_SOURCE:
        raise checks.refuse("source", f"{length:,} bytes", f"it may have {LARGEST_SOURCE:,} bytes of UTF-8")
    return value


def _info(value: object) -> str:
    allowed = "it must be a dictionary that JSON can hold, with a name, such as {'strategy_signal_name': 'Momentum'}"
    if not isinstance(value, Mapping):
        raise checks.refuse("info", value, allowed)
    try:
        return json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise checks.refuse("info", value, allowed) from None


@attrs.frozen(kw_only=True)
class PublishHosted:
    """A strategy for Mizar to run."""

    info: str = attrs.field(converter=_info, metadata=on_the_wire_as("strategy-info"))
    source: str = attrs.field(default="", converter=_source, repr=False, metadata=on_the_wire_as("strategy-file"))
    strategy: bytes = attrs.field(converter=_strategy, repr=False)


@attrs.frozen
class Publication(Documented):
    """What became of a hosted strategy: the server's sentence, or when it was made, in milliseconds, UTC."""

    message: str | None = attrs.field(default=None, metadata=LEFT_OUT_IF_EMPTY)
    creation_timestamp: int | None = attrs.field(default=None, metadata=LEFT_OUT_IF_EMPTY)
