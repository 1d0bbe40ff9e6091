"""The asyncio-native SDK for trading through Mizar with self-hosted strategies.

    async with AsyncMizar() as mizar:
        position = await mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)

`mizar_sync.Mizar` is the same for blocking code.
"""

from ._bulk import BulkResult, Outcome, partial_result
from ._client import AsyncMizar
from ._clock import Clock
from ._flatten import FlattenReport
from ._models import ClosedPosition, Exchange, OpenPosition, Position, Strategy, Symbol
from ._options import Options
from ._reconcile import Reconciliation
from .errors import (
    AnswerUnreadable,
    Conflict,
    Invalid,
    InvalidInput,
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

__all__ = [
    "AnswerUnreadable",
    "AsyncMizar",
    "BulkResult",
    "Clock",
    "ClosedPosition",
    "Conflict",
    "Exchange",
    "FlattenReport",
    "Invalid",
    "InvalidInput",
    "MizarError",
    "NotFlat",
    "NotFound",
    "NotOpened",
    "NotSent",
    "OpenPosition",
    "Options",
    "Outcome",
    "OutcomeUnknown",
    "Position",
    "RateLimited",
    "Reconciliation",
    "Refused",
    "Strategy",
    "Symbol",
    "Unavailable",
    "WrongKey",
    "partial_result",
]

AsyncMizar.__module__ = __name__  # the name that a user imports
