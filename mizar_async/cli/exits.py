"""How a command ends: its exit code, which scripts read, and the one line that people do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .. import MizarError

DONE: Final = 0
NOT_DONE: Final = 1
WRONG_INPUT: Final = 2
UNKNOWN: Final = 3
NO_KEY: Final = 4
NOT_REACHABLE: Final = 5
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141

MEANINGS: Final = """Exit codes: 0 done; 1 something was refused or not done; 2 wrong input, nothing was sent;
3 the outcome of a write is unknown: look before you repeat it; 4 the key is missing or refused; 5 not reachable,
nothing was sent; 130 Ctrl-C, 143 SIGTERM; 141 whoever read the output has gone."""


class Failure(Exception):
    """A command can't go on: one line, and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: MizarError) -> int:
    """The exit code that an error means."""
    from .. import InvalidInput, JournalDamaged, JournalInUse, NotFlat, NotSent, Unavailable, WrongKey

    for kinds, code in (
        ((InvalidInput,), WRONG_INPUT),
        ((WrongKey,), NO_KEY),
        ((JournalInUse, JournalDamaged), NOT_DONE),
        ((NotSent, Unavailable), NOT_REACHABLE),
    ):
        if isinstance(error, kinds):
            return code
    if isinstance(error, NotFlat):
        return UNKNOWN if error.in_doubt else NOT_DONE
    if error.happened == "yes" and "close" in (error.path or ""):
        return DONE  # a close that is certain, whose price nobody told
    # What was done and can't be read must not be done again, as what is refused may be.
    return NOT_DONE if error.happened == "no" or error.method == "GET" else UNKNOWN


def code_of_all(errors: Iterable[MizarError | None]) -> int:
    """The exit code of many calls: an unknown outcome beats everything; what is the same for all is the code of all."""
    codes = Counter(DONE if error is None else code_of(error) for error in errors)
    if UNKNOWN in codes:
        return UNKNOWN
    return next(iter(codes), DONE) if len(codes) < 2 else NOT_DONE
