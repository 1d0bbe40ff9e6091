"""The calls of the API, a row each. The client, the venue, the tests and the docs read these rows."""

from __future__ import annotations

import enum
from typing import Any, Final, Generic, TypeVar

import attrs

from .documented import Documented
from .trading import (
    CloseAll,
    ClosedPosition,
    ClosePosition,
    Exchange,
    Nothing,
    OfMarket,
    OfStrategy,
    OpenPosition,
    Position,
    PublishStrategy,
    Strategy,
    Symbol,
)

T = TypeVar("T")

API_PREFIX: Final = "/api/v1"


class Repeat(enum.Enum):
    """What the server does with a request that it has already carried out."""

    HARMLESS = "a read: answers again"
    REFUSED = "says that it is done already, and does nothing"
    DOUBLES = "does it a second time"


HARMLESS, REFUSED, DOUBLES = Repeat


@attrs.frozen(eq=False)
class Endpoint(Generic[T]):
    """One call: how it is asked, what it answers, and what a repeat of it would do."""

    method: str
    path: str
    request: type[Any]
    answer: type[T]
    repeat: Repeat
    envelope: str | None = None
    """The key of the answer's object under which the list stands; None if the object is the answer."""


@attrs.frozen
class Pong(Documented):
    """The answer to a ping."""


@attrs.frozen
class ServerTime(Documented):
    """The server's clock, in milliseconds since the epoch, UTC."""

    server_time: int


# fmt: off
PUBLISH_STRATEGY = Endpoint("POST", "publish-self-hosted-strategy", PublishStrategy, Strategy,             DOUBLES)
OPEN_POSITION    = Endpoint("POST", "open-position",                OpenPosition,    Position,             DOUBLES)
CLOSE_POSITION   = Endpoint("POST", "close-position",               ClosePosition,   ClosedPosition,       REFUSED)
# A late repeat also closes what was opened since: it is sent once, then looked at.
CLOSE_ALL        = Endpoint("POST", "close-all-positions",          CloseAll,        list[ClosedPosition], DOUBLES,  "closed_positions")
OPEN_POSITIONS   = Endpoint("GET",  "all-open-positions",           OfStrategy,      list[Position],       HARMLESS, "open_positions")
STRATEGIES       = Endpoint("GET",  "self-hosted-strategy-info",    Nothing,         list[Strategy],       HARMLESS, "strategies")
PING             = Endpoint("GET",  "ping",                         Nothing,         Pong,                 HARMLESS)
SERVER_TIME      = Endpoint("GET",  "server-time",                  Nothing,         ServerTime,           HARMLESS)
EXCHANGES        = Endpoint("GET",  "exchanges",                    Nothing,         list[Exchange],       HARMLESS, "exchanges")
SYMBOLS          = Endpoint("GET",  "symbols",                      OfMarket,        list[Symbol],         HARMLESS, "symbols")
# fmt: on

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    PUBLISH_STRATEGY,
    OPEN_POSITION,
    CLOSE_POSITION,
    CLOSE_ALL,
    OPEN_POSITIONS,
    STRATEGIES,
    PING,
    SERVER_TIME,
    EXCHANGES,
    SYMBOLS,
)
