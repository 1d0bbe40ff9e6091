"""All that a call may import, imported together before the first call.

An import in the middle of a call holds up everything in its loop, and some of these take a tenth of a second. A child
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

from .._version import installed_version

_MODULES: Final = (
    "anyio._backends._asyncio",  # by anyio, in the first loop
    "cattrs.gen",  # by the first odd answer
    "encodings.idna",  # by the first look-up of a host's name
    "tenacity",  # by the first failure
)
STOCK: Final = ("httpcore",)
"""What the first client of httpx with a transport of its own imports."""

# Reentrant, since a module may fork as it is imported.
_lock = threading.RLock()
_loaded: set[str] = set()


async def load(*more: str) -> None:
    """Import what calls may need, and what some need beyond that, if it is not done yet.

    Other work of the loop goes on meanwhile.
    """
    modules = {*_MODULES, *more}
    if modules <= _loaded:
        return
    try:
        loading = asyncio.get_running_loop().run_in_executor(None, _load, modules)
    except RuntimeError:  # the main thread has ended, and no other is started any more
        _load(modules)
    else:
        await loading


def _load(modules: set[str]) -> None:
    with _lock:
        from . import wire  # noqa: F401 - with httpx and h11

        for name in sorted(modules - _loaded):
            importlib.import_module(name)
        installed_version()  # for the first request, which names it
        # httpx asks for its file, where the environment names none, and that is looked up by further modules.
        importlib.import_module("certifi").where()
        _loaded.update(modules)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
