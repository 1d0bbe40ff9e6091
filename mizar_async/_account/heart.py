"""Tells a guard that the program lives, through a pipe that it was started with; see `mizar guard`.

A line with the journal and the account when a key's journal is first used, then a beat a second from the loop of the
program. The loop of a blocking client runs by itself, so that it beats only while the program waits for a call.
Where the guard has died, that is said once in the log, and the program goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from typing import Final

log = logging.getLogger("mizar_async")

PIPE: Final = "MIZAR_GUARD"
"""The environment variable that holds the pipe's descriptor."""

_EVERY: Final = 1.0


class Heart:
    """Of one process: a forked child has none."""

    def __init__(self) -> None:
        given = os.environ.get(PIPE, "")
        self._pipe = int(given) if given.isdecimal() else None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._loops: set[asyncio.AbstractEventLoop] = set()
        self._blocking: set[asyncio.AbstractEventLoop] = set()
        self._waiting = 0

    @property
    def is_guarded(self) -> bool:
        """Whether there is a guard to be told."""
        return self._pipe is not None and self._pid == os.getpid()

    def hello(self, journal: str, account: str) -> None:
        """Tell which journal and account the program uses, and beat from the running loop from now on."""
        if self.is_guarded:
            self._write(json.dumps({"journal": journal, "account": account}))
            self.beat_in(asyncio.get_running_loop())

    def beat_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat from a loop, as long as it runs."""
        if self.is_guarded and loop not in self._loops:
            self._loops = {one for one in self._loops if not one.is_closed()} | {loop}
            self._beat(loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.is_guarded:
            return
        if loop not in self._blocking or self._waiting:
            self._write("{}")
        loop.call_later(_EVERY, self._beat, loop)

    def waits(self, loop: asyncio.AbstractEventLoop) -> None:
        """Blocking code of the program begins to wait for something that runs in this loop."""
        if self.is_guarded:
            with self._lock:
                self._blocking.add(loop)
                self._waiting += 1
            self._write("{}")

    def goes_on(self) -> None:
        """It goes on."""
        if self.is_guarded:
            with self._lock:
                self._waiting = max(0, self._waiting - 1)
            self._write("{}")

    def _write(self, line: str) -> None:
        pipe = self._pipe
        if pipe is None:
            return
        try:
            os.set_blocking(pipe, False)
            os.write(pipe, f"{line}\n".encode())
        except BlockingIOError:
            pass  # it is full: the guard does not read, and knows less than it could
        except OSError:
            self._pipe = None
            log.warning("the guard of this program has ended: nobody closes its positions when it ends")


heart: Final = Heart()
