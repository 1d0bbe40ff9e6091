"""The old client's exceptions, and how a refusal of today becomes the one that old programs catch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from mizar_async import InvalidInput, MizarError, Refused

P = ParamSpec("P")
T = TypeVar("T")


class MizarAPIException(MizarError):
    """The server said no. Its argument is the server's error body, as in the old client; the cause tells more."""

    happened = "no"


class MizarRequestException(MizarError):
    """Nothing raises it, as nothing did in the old client: old programs may go on naming it."""


class _TooLarge(InvalidInput):
    _what = ""

    # An exception is rebuilt from its arguments, which here are not its message.
    def __init__(self, size: float, maximum: float) -> None:
        self.size, self.maximum = size, maximum
        super().__init__(f"{self._what} has {size} MB, and may have {maximum} MB, a MB being 1,000,000 bytes")

    def __reduce__(self) -> tuple[type[_TooLarge], tuple[float, float]]:
        return type(self), (self.size, self.maximum)


class StrategySizeExceededLimit(_TooLarge):
    """The base64 text of a pickled strategy is too long, so that nothing was sent. `size` and `maximum` are in MB."""

    _what = "the pickled strategy as base64 text"


class StrategyFileSizeExceededLimit(_TooLarge):
    """The source of a strategy is too long, so that nothing was sent. `size` and `maximum` are in MB."""

    _what = "the source of the strategy as UTF-8"


def refusals_as_before(method: Callable[P, T]) -> Callable[P, T]:
    """Make a call raise `MizarAPIException` where it would raise `Refused`."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except Refused as refusal:
            error = MizarAPIException(
                refusal.answer,  # type: ignore[arg-type]
                method=refusal.method,
                path=refusal.path,
                status=refusal.status,
                server_says=refusal.server_says,
                attempts=refusal.attempts,
            )
            raise error from refusal

    return call
