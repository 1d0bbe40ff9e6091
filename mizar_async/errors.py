"""Everything that the SDK raises, sorted first by what happened to the money.

    MizarError
    ├── NotSent              nothing left this machine: nothing happened
    │   ├── JournalInUse     another process holds the journal
    │   └── JournalDamaged   the journal is not what was written to it
    ├── Refused              the server said no: nothing happened
    │   ├── WrongKey         401, 403: the key is unknown, or may not do this
    │   ├── NotFound         404: no such strategy, position or call for this key
    │   ├── Conflict         409: the position is closed already
    │   ├── Invalid          405, 413, 415, 422, for a read any other 4xx: the request itself is wrong
    │   └── RateLimited      429: too many requests; `retry_after` says when to come back
    ├── NotOpened            sent, no answer, looked for, certainly not there: nothing happened
    ├── InvalidInput         refused here, before sending (also a ValueError): nothing happened
    ├── OutcomeUnknown       it may have happened; the client goes on looking
    ├── AnswerUnreadable     it happened, and the answer cannot be read
    ├── Unavailable          a question that got no usable answer; asking again is harmless
    └── NotFlat              a flatten ended with positions open or in doubt

Each is plain data: it can be pickled, copied and compared by its attributes, holds no request, no
header and no API key, and keeps no other library's exception alive behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from .results import FlattenReport

Happened = Literal["no", "perhaps", "yes"]


class MizarError(Exception):
    """The root of all errors of this SDK.

    `happened` tells whether the call had its effect on the server: "no", "perhaps" or "yes".
    """

    happened: ClassVar[Happened] = "perhaps"

    # Everything but the message is keyword-only with a default, which is what makes an exception
    # picklable: it is rebuilt from its message, and its attributes are restored afterwards.
    def __init__(
        self,
        message: str = "",
        *,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        server_says: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message)
        self.method = method
        """The HTTP method of the call, None if the call never became a request."""
        self.path = path
        """The path of the call below the API's address, for example "open-position"."""
        self.status = status
        """The HTTP status of the last answer, None without one."""
        self.server_says = server_says
        """The server's own words, shortened to 500 characters."""
        self.attempts = attempts
        """How many requests this call has sent, or tried to send."""


class NotSent(MizarError):
    """Nothing left this machine, so nothing happened: repeat the call if you still want it."""

    happened = "no"


class JournalInUse(NotSent):
    """Another process holds the journal: one at a time may open positions by it."""

    def __init__(self, message: str = "", *, pid: int | None = None, **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.pid = pid
        """The process that holds it, as far as is known."""


class JournalDamaged(NotSent):
    """The journal is not what was written to it, so that nobody can say what was opened before."""

    def __init__(self, message: str = "", *, file: str | None = None, **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.file = file
        """The path of the journal."""


class Refused(MizarError):
    """The server said no, so nothing happened."""

    happened = "no"

    def __init__(self, message: str = "", *, answer: object = None, **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.answer = answer
        """The server's error body, decoded if it was JSON, as text otherwise."""


class WrongKey(Refused):
    """401 or 403: the server does not know the API key, or the key may not do this."""


class NotFound(Refused):
    """404: this key has no such strategy or position, or the server no such call."""


class Conflict(Refused):
    """409: the position is in another state than the call needs; usually it is closed already."""


class Invalid(Refused):
    """The server could not accept the request as it is: 405, 413, 415, 422; for reads any other 4xx."""


class RateLimited(Refused):
    """429: too many requests. `retry_after` is the pause that the server asked for, in seconds."""

    def __init__(self, message: str = "", *, retry_after: float | None = None, **facts: object) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after
        """Seconds until the server wants to be asked again, None if it did not say."""


class NotOpened(MizarError):
    """An open that was in doubt and was proven absent: nothing was opened.

    The price has moved since, so whether to open now is the caller's decision.
    """

    happened = "no"


class InvalidInput(MizarError, ValueError):
    """An argument that this SDK refuses before anything is sent. The message names it and what is allowed."""

    happened = "no"


class OutcomeUnknown(MizarError):
    """The server may have acted: do not repeat the call.

    The client goes on looking. `await mizar.resolve(error)` waits for the answer, `mizar.unresolved()`
    lists what is in doubt.
    """

    happened = "perhaps"

    def __init__(
        self,
        message: str = "",
        *,
        candidates: tuple[int, ...] = (),
        reference: int | None = None,
        **facts: object,
    ) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.candidates = candidates
        """Ids of the positions that may be the result of this call, as far as they are known."""
        self.reference = reference
        """The number under which the client keeps track of this call; `resolve` finds it by that."""


class AnswerUnreadable(MizarError):
    """The server did what was asked, and its answer cannot be read."""

    happened = "yes"

    def __init__(self, message: str = "", *, body: bytes = b"", decoded: object = None, **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.body = body
        """The answer as it came."""
        self.decoded = decoded
        """Whatever could be decoded of it: for a list the readable items, otherwise plain JSON values."""


class Unavailable(MizarError):
    """A question that got no usable answer: no connection, a time-out, a failing server. Asking again is harmless."""

    happened = "no"

    def __init__(self, message: str = "", *, retry_after: float | None = None, **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.retry_after = retry_after
        """Seconds until the server wants to be asked again, None if it did not say."""


class NotFlat(MizarError):
    """A flatten ended before the server showed that nothing is open."""

    happened = "perhaps"

    def __init__(
        self,
        message: str = "",
        *,
        report: FlattenReport | None = None,
        still_open: tuple[int, ...] = (),
        in_doubt: tuple[OutcomeUnknown, ...] = (),
        **facts: object,
    ) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.report = report
        """What became of every position that the flatten saw."""
        self.still_open = still_open
        """Ids of the positions that are open as far as is known."""
        self.in_doubt = in_doubt
        """The calls whose outcome is still unknown."""
