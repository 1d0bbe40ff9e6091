"""The calls of the API, a row each. The client, the venue, the tests and the docs read these rows."""

from __future__ import annotations

import enum
import typing
from typing import Any, Final, Generic, TypeVar

import attrs

from .dca import (
    AddFunds,
    CloseOfBot,
    DcaOrder,
    DcaPosition,
    DcaSettings,
    EditTakeProfit,
    OfBot,
    OfPair,
    OfSubscription,
    OpenOfBot,
    ShiftSafetyOrders,
    Submitted,
)
from .documented import Documented
from .hosted import Publication, PublishHosted
from .market import Bar, BarType, FloatBar, OfBars, OfKinds
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
    """The key of the answer's object under which the answer stands, a list or one object; None if it is the object."""
    action: str | None = attrs.field(default=None, kw_only=True)
    """The command that it is, of those that share a path. All of a command is text, and the key stands in its body."""
    is_form: bool = attrs.field(default=False, kw_only=True)
    """Whether its body is a form, and not JSON."""
    told_by: str | None = attrs.field(default=None, kw_only=True)
    """What tells the caller of a write that the client does not look for whether it was done."""

    @property
    def holds_list(self) -> bool:
        """Whether the answer is a list."""
        return typing.get_origin(self.answer) is list

    @property
    def item(self) -> type[Any]:
        """The class of the answer, or of the items of its list."""
        item: type[Any] = typing.get_args(self.answer)[0] if self.holds_list else self.answer
        return item


@attrs.frozen
class Pong(Documented):
    """The answer to a ping."""


@attrs.frozen
class ServerTime(Documented):
    """The server's clock, in milliseconds since the epoch, UTC."""

    server_time: int


_STRATEGIES: Final = "get_all_self_hosted_strategies_info"
_LISTED: Final = "get_all_open_positions"
_SHOWN: Final = "dca.get_position"
_SEEN: Final = "the list of strategies at Mizar"

# fmt: off
PUBLISH_STRATEGY = Endpoint("POST", "publish-self-hosted-strategy", PublishStrategy, Strategy,             DOUBLES, told_by=_STRATEGIES)
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

BAR_TYPES        = Endpoint("GET",  "bar-types",                    OfKinds,         list[BarType],        HARMLESS, "bar_types")
BARS             = Endpoint("GET",  "bars",                         OfBars,          list[Bar],            HARMLESS, "bars")

PUBLISH_HOSTED   = Endpoint("POST", "publish-hosted-strategy",      PublishHosted,   Publication,          DOUBLES, is_form=True, told_by=_SEEN)

_COMMAND: Final = "trading-view/execute-command"
COMMAND_OPEN      = Endpoint("POST", _COMMAND, OpenPosition,  Position,             DOUBLES, action="open-position", told_by=_LISTED)
COMMAND_CLOSE     = Endpoint("POST", _COMMAND, ClosePosition, ClosedPosition,       DOUBLES, action="close-position", told_by=_LISTED)
COMMAND_CLOSE_ALL = Endpoint("POST", _COMMAND, CloseAll,      list[ClosedPosition], DOUBLES, "closed_positions", action="close-all-positions", told_by=_LISTED)

DCA_POSITION: Endpoint[DcaPosition | None] = Endpoint("GET", "dca-bots/get-position", OfPair, DcaPosition, HARMLESS, "data")
DCA_SAFETY_ORDERS          = Endpoint("GET", "dca-bots/get-safety-orders",          OfPair,  list[DcaOrder],    HARMLESS, "data")
DCA_ACTIVE_SAFETY_ORDERS   = Endpoint("GET", "dca-bots/get-active-safety-orders",   OfPair,  list[DcaOrder],    HARMLESS, "data")
DCA_INACTIVE_SAFETY_ORDERS = Endpoint("GET", "dca-bots/get-inactive-safety-orders", OfPair,  list[DcaOrder],    HARMLESS, "data")
DCA_SETTINGS               = Endpoint("GET", "dca-bots/get-settings",               Nothing, list[DcaSettings], HARMLESS, "data")
DCA_SUBSCRIPTION           = Endpoint("GET", "subscription/get-open-positions", OfSubscription, list[DcaPosition], HARMLESS, "data")

# What a bot is told is passed on before anything is done, so that no repeat is refused: a late one acts again.
DCA_OPEN                = Endpoint("POST", "dca-bots/open-position",                    OpenOfBot,         Submitted, DOUBLES, told_by=_SHOWN)
DCA_CLOSE               = Endpoint("POST", "dca-bots/close-position",                   CloseOfBot,        Submitted, DOUBLES, told_by=_SHOWN)
DCA_CLOSE_ALL           = Endpoint("POST", "dca-bots/close-all-positions",              OfBot,             Submitted, DOUBLES, told_by=_SHOWN)
DCA_STOP                = Endpoint("POST", "dca-bots/stop-bot-and-close-all-positions", OfBot,             Submitted, DOUBLES, told_by=_SHOWN)
DCA_SHIFT_SAFETY_ORDERS = Endpoint("POST", "dca-bots/shift-safety-orders",              ShiftSafetyOrders, Submitted, DOUBLES, told_by=_SHOWN)
DCA_EDIT_TAKE_PROFIT    = Endpoint("POST", "dca-bots/edit-take-profit-pct",             EditTakeProfit,    Submitted, DOUBLES, told_by=_SHOWN)
DCA_ADD_FUNDS           = Endpoint("POST", "dca-bots/add-funds",                        AddFunds,          Submitted, DOUBLES, told_by=_SHOWN)

_DCA_COMMAND: Final = "dca-bots/trading-view/execute-command"
DCA_COMMAND_OPEN      = Endpoint("POST", _DCA_COMMAND, OpenOfBot, Submitted, DOUBLES, action="open-position", told_by=_SHOWN)
DCA_COMMAND_CLOSE     = Endpoint("POST", _DCA_COMMAND, OfPair,    Submitted, DOUBLES, action="close-position", told_by=_SHOWN)
DCA_COMMAND_CLOSE_ALL = Endpoint("POST", _DCA_COMMAND, OfBot,     Submitted, DOUBLES, action="close-all-positions", told_by=_SHOWN)
DCA_COMMAND_STOP      = Endpoint("POST", _DCA_COMMAND, OfBot,     Submitted, DOUBLES, action="stop-bot-and-close-all-positions", told_by=_SHOWN)
# fmt: on

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = tuple(row for row in vars().copy().values() if isinstance(row, Endpoint))

BARS_OF_FLOATS: Final[Endpoint[list[Any]]] = attrs.evolve(BARS, answer=list[FloatBar])
"""The same call, read for a data frame."""
