"""The SDK for blocking code: `Mizar` has the calls of `mizar_async.AsyncMizar`, and waits for each.

    with Mizar() as mizar:
        position = mizar.open_position(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)

Bulk calls are as concurrent as there; it works in threads, in a notebook and after a fork.
"""

from mizar_async import (
    AnswerUnreadable,
    BulkResult,
    Clock,
    ClosedPosition,
    Conflict,
    Exchange,
    FlattenReport,
    Invalid,
    InvalidInput,
    JournalDamaged,
    JournalEntry,
    JournalInUse,
    MizarError,
    NotFlat,
    NotFound,
    NotOpened,
    NotSent,
    OpenPosition,
    Options,
    Outcome,
    OutcomeUnknown,
    Position,
    RateLimited,
    Reconciliation,
    Recovered,
    Recovery,
    Refused,
    Strategy,
    Symbol,
    Unavailable,
    WrongKey,
    partial_result,
    read_journal,
)

from ._client import Mizar

__all__ = [
    "AnswerUnreadable",
    "BulkResult",
    "Clock",
    "ClosedPosition",
    "Conflict",
    "Exchange",
    "FlattenReport",
    "Invalid",
    "InvalidInput",
    "JournalDamaged",
    "JournalEntry",
    "JournalInUse",
    "Mizar",
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
    "Recovered",
    "Recovery",
    "Refused",
    "Strategy",
    "Symbol",
    "Unavailable",
    "WrongKey",
    "partial_result",
    "read_journal",
]

Mizar.__module__ = __name__
