"""One process at a time holds a journal, by a record lock on a file beside it, which also keeps how far it was written.

A record lock (not flock) goes with its process and is not inherited. It also goes as soon as the process closes any
descriptor of the file, so that this is the only place that opens it for a process that may hold it.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Final

from ..errors import JournalDamaged, JournalInUse, NotSent

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LENGTH: Final = 64


def _line(number: int, pid: int) -> bytes:
    text = f"{number:020d} {pid:010d}"
    return f"{text} {zlib.crc32(text.encode()):08x}\n".encode().ljust(_LENGTH)


def parsed(line: bytes) -> tuple[int, int]:
    """The highest number that was committed, and the process that did so; ValueError for anything else."""
    text, _, check = line[:_LENGTH].strip().rpartition(b" ")
    if int(check, 16) != zlib.crc32(text):
        raise ValueError("its checksum is wrong")
    number, pid = text.split()
    return int(number), int(pid)


class Lock:
    """Holds the journal for this process, until it is released or the process ends."""

    def __init__(self, journal: Path) -> None:
        """Raises JournalInUse, NotSent if there can be no such file, JournalDamaged if it is not what it was."""
        if fcntl is None:
            raise NotSent("not sent: a journal needs record locks, which this system does not have")
        self.path = journal.with_name(f"{journal.name}-lock")
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as failure:
            reason = failure.strerror
        else:
            self.highest = self._taken(journal)
            return
        raise NotSent(f"not sent: the journal {journal} can't be locked: {reason} ({self.path})")

    def _taken(self, journal: Path) -> int | None:
        assert fcntl is not None
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            found = self._read(journal)
            os.close(self._file)
        else:
            found = self._read(journal)
            if found is not None:
                self.note(found[0])
            return None if found is None else found[0]
        pid = found[1] if found else None
        raise JournalInUse(
            f"not sent: the journal {journal} is in use by process {pid}: one process at a time may open positions "
            "by it; end that one, or give this one a journal and a key of its own",
            pid=pid,
        )

    def _read(self, journal: Path) -> tuple[int, int] | None:
        line = os.pread(self._file, _LENGTH, 0)
        try:
            return parsed(line) if line else None
        except ValueError as odd:
            reason = str(odd)
        os.close(self._file)
        raise JournalDamaged(
            f"not sent: {self.path}, which tells how far the journal {journal} was written, can't be read: {reason}",
            file=str(journal),
        )

    def note(self, number: int) -> None:
        """Keep the highest number that is committed."""
        os.pwrite(self._file, _line(number, os.getpid()), 0)

    def is_there(self) -> bool:
        """Whether the file is still where another process would look for it."""
        return is_file(self.path, os.fstat(self._file))

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._file)


def is_file(path: Path, known: os.stat_result) -> bool:
    """Whether a path still leads to the file that it led to."""
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (known.st_dev, known.st_ino)
