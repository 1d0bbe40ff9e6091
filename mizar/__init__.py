"""The client of Mizar's documentation: the same calls, and the very dictionaries that it shows.

    from mizar import Mizar, MizarStudio

It is for programs that were written for `mizar` 0.1.5. New ones use `mizar_sync.Mizar` or `mizar_async.AsyncMizar`;
docs/migration.md has a row for each call.
"""

from .api import Mizar, MizarAPIException
from .studio import MizarStudio

__all__ = ["Mizar", "MizarAPIException", "MizarStudio"]

for _public in (Mizar, MizarAPIException, MizarStudio):
    _public.__module__ = __name__
