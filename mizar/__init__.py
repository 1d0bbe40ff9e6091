"""The client of Mizar's documentation: the same calls, and the very dictionaries that it shows.

    from mizar import Mizar

It is for programs that were written for `mizar` 0.1.5. New ones use `mizar_sync.Mizar` or `mizar_async.AsyncMizar`.
"""

from ._client import Mizar, MizarAPIException

__all__ = ["Mizar", "MizarAPIException"]

for _public in (Mizar, MizarAPIException):
    _public.__module__ = __name__
