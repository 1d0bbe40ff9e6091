"""All that a call may import, imported together before the first call.

An import in the middle of a call holds up everything in its loop, and some of these take a third of a second. A child
that is forked while another thread imports waits for that import for ever, since the thread is not there to end it.
So they have one moment, in a thread, behind a lock that a fork waits for; after that no call imports anything.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - what runs the thread is needed before it
import importlib
import os
import threading
from typing import Final

_MODULES: Final = (
    "anyio._backends._asyncio",  # by anyio, in the first loop
    "cattrs.gen",  # by the first odd answer
    "encodings.idna",  # by the first look-up of a host's name
    "tenacity",  # by the first failure
)

# Reentrant, since a module may fork as it is imported.
_lock = threading.RLock()
_loaded = False


async def load() -> None:
    """Import what calls may need, if that is not done yet; other work of the loop goes on meanwhile."""
    if _loaded:
        return
    try:
        loading = asyncio.get_running_loop().run_in_executor(None, _load)
    except RuntimeError:  # the main thread has ended, and no other is started any more
        _load()
    else:
        await loading


def _load() -> None:
    global _loaded
    with _lock:
        if not _loaded:
            from . import transport  # noqa: F401 - with httpx and aiohttp

            for name in _MODULES:
                importlib.import_module(name)
            # httpx asks for its file, where the environment names none, and that is looked up by further modules.
            importlib.import_module("certifi").where()
            _loaded = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
