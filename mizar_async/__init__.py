"""The asyncio-native SDK for trading through Mizar with self-hosted strategies.

    async with AsyncMizar() as mizar:
        position = await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)

`mizar_sync.Mizar` is the same for blocking code.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import compare as compare
    from . import performance as performance
    from ._api.checks import Moment
    from ._api.dca import DcaOrder, DcaPosition, DcaSettings, Side, Submitted
    from ._api.hosted import Publication
    from ._api.market import Bar, BarType
    from ._api.ratio import Ratio
    from ._api.trading import ClosedPosition, Exchange, OpenPosition, Position, Strategy, Symbol
    from ._client import AsyncMizar
    from ._clock import Clock
    from ._groups.dca import AsyncDca
    from ._groups.hosted import AsyncHosted
    from ._groups.market import AsyncMarket
    from ._groups.tradingview import AsyncTradingView
    from ._journal.reading import JournalEntry, read_journal
    from ._options import Options
    from ._wire.address import Address
    from .errors import (
        AnswerUnreadable,
        Conflict,
        Invalid,
        InvalidInput,
        JournalDamaged,
        JournalInUse,
        MizarError,
        NotFlat,
        NotFound,
        NotOpened,
        NotSent,
        OutcomeUnknown,
        RateLimited,
        Refused,
        Unavailable,
        WrongKey,
    )
    from .results import BulkResult, FlattenReport, Outcome, Reconciliation, Recovered, Recovery, partial_result

__all__ = [
    "Address",
    "AnswerUnreadable",
    "AsyncDca",
    "AsyncHosted",
    "AsyncMarket",
    "AsyncMizar",
    "AsyncTradingView",
    "Bar",
    "BarType",
    "BulkResult",
    "Clock",
    "ClosedPosition",
    "Conflict",
    "DcaOrder",
    "DcaPosition",
    "DcaSettings",
    "Exchange",
    "FlattenReport",
    "Invalid",
    "InvalidInput",
    "JournalDamaged",
    "JournalEntry",
    "JournalInUse",
    "MizarError",
    "Moment",
    "NotFlat",
    "NotFound",
    "NotOpened",
    "NotSent",
    "OpenPosition",
    "Options",
    "Outcome",
    "OutcomeUnknown",
    "Position",
    "Publication",
    "RateLimited",
    "Ratio",
    "Reconciliation",
    "Recovered",
    "Recovery",
    "Refused",
    "Side",
    "Strategy",
    "Submitted",
    "Symbol",
    "Unavailable",
    "WrongKey",
    "partial_result",
    "read_journal",
]

# Public names come from here when they are first used: `import mizar_async` alone costs next to nothing.
_HOMES = {
    "._client": ("AsyncMizar",),
    "._clock": ("Clock",),
    "._api.checks": ("Moment",),
    "._api.dca": ("DcaOrder", "DcaPosition", "DcaSettings", "Side", "Submitted"),
    "._api.hosted": ("Publication",),
    "._api.market": ("Bar", "BarType"),
    "._api.ratio": ("Ratio",),
    "._groups.dca": ("AsyncDca",),
    "._groups.hosted": ("AsyncHosted",),
    "._groups.market": ("AsyncMarket",),
    "._groups.tradingview": ("AsyncTradingView",),
    "._api.trading": ("ClosedPosition", "Exchange", "OpenPosition", "Position", "Strategy", "Symbol"),
    "._journal.reading": ("JournalEntry", "read_journal"),
    "._options": ("Options",),
    "._wire.address": ("Address",),
    ".results": ("BulkResult", "FlattenReport", "Outcome", "Reconciliation", "Recovered", "Recovery", "partial_result"),
    ".errors": (
        "AnswerUnreadable",
        "Conflict",
        "Invalid",
        "InvalidInput",
        "JournalDamaged",
        "JournalInUse",
        "MizarError",
        "NotFlat",
        "NotFound",
        "NotOpened",
        "NotSent",
        "OutcomeUnknown",
        "RateLimited",
        "Refused",
        "Unavailable",
        "WrongKey",
    ),
}

# Modules of functions that go by the module's name: `performance.of(...)`.
_MODULES = ("compare", "performance")


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(home, __name__), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
