"""Tells a guard that the program lives, through a socket that it was started with; see `mizar guard`.

A line with the journal and the account when a key's journal is first used, then a beat a second from each loop that
calls are made in. The loop of a blocking client runs by itself, so that it beats only while the program waits for a
call. Where the guard has died, that is said once in the log, and the program goes on.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import os
import socket
import threading
from typing import Final

log = logging.getLogger("mizar_async")

SOCKET: Final = "MIZAR_GUARD"
"""The environment variable that names the socket: its descriptor, its device and its number there."""

_EVERY: Final = 1.0
_FLAGS: Final = getattr(socket, "MSG_NOSIGNAL", 0) | getattr(socket, "MSG_DONTWAIT", 0)


class Heart:
    """Of one process; a forked child has its own."""

    def __init__(self) -> None:
        found = _found(os.environ.get(SOCKET, ""))
        self._socket: socket.socket | None = None
        self._known = 0, 0
        if found is not None:
            self._socket, self._known = found
            atexit.register(self._lose)
        self.begin()

    def begin(self) -> None:
        """Beat in no loop yet."""
        self._lock = threading.Lock()
        self._loops: set[asyncio.AbstractEventLoop] = set()
        self._blocking: set[asyncio.AbstractEventLoop] = set()
        self._waiting = 0

    @property
    def is_guarded(self) -> bool:
        """Whether there is a guard to be told."""
        return self._socket is not None

    def tell(self, **what: str) -> None:
        """Tell which `account` the program uses, and which `journal`."""
        if self.is_guarded:
            self._tell(**what)

    def beat_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat from a loop from now on, as long as it runs."""
        if self.is_guarded and loop not in self._loops:
            self._loops = {one for one in self._loops if not one.is_closed()} | {loop}
            self._beat(loop, os.getpid())

    def _beat(self, loop: asyncio.AbstractEventLoop, pid: int) -> None:
        if not self.is_guarded or pid != os.getpid():  # a forked child goes on in a loop of its parent's
            return
        if loop not in self._blocking or self._waiting:
            self._tell()
        loop.call_later(_EVERY, self._beat, loop, pid)

    def waits(self, loop: asyncio.AbstractEventLoop) -> None:
        """Blocking code of the program begins to wait for something that runs in this loop."""
        if self.is_guarded:
            with self._lock:
                self._blocking.add(loop)
                self._waiting += 1
            self._tell()

    def goes_on(self) -> None:
        """It goes on."""
        if self.is_guarded:
            with self._lock:
                self._waiting = max(0, self._waiting - 1)
            self._tell()

    def _tell(self, **what: str) -> None:
        if self._socket is None:
            return
        try:
            _check(self._socket.fileno(), *self._known)
            self._socket.send(json.dumps({"pid": os.getpid(), **what}).encode() + b"\n", _FLAGS)
        except BlockingIOError:
            pass  # it is full: the guard does not read, and knows less than it could
        except OSError:
            self._lose()
            log.warning("the guard of this program has ended: nobody closes its positions when it ends")

    def _lose(self) -> None:
        """Nobody is told any more."""
        if self._socket is not None:
            self._socket.detach()  # its number may be another's by now
            self._socket = None


def _check(descriptor: int, device: int, number: int) -> None:
    """Raise OSError if a descriptor is not what it was: others may close it, and have its number then."""
    known = os.fstat(descriptor)
    if (known.st_dev, known.st_ino) != (device, number):
        raise OSError("it is another file by now")


def _found(told: str) -> tuple[socket.socket, tuple[int, int]] | None:
    """The guard's socket, and which it is, if it is still what it was when the program was started."""
    if not told:
        return None
    try:
        descriptor, device, number = map(int, told.split(":"))
        _check(descriptor, device, number)
        return socket.socket(fileno=os.dup(descriptor)), (device, number)
    except (ValueError, OSError):
        pass
    log.warning("the guard of this program can't be told anything: its socket was closed on the way here")
    return None


heart: Final = Heart()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=heart.begin)
