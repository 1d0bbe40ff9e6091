"""`mizar paper` in a process of its own, reached as its users reach it: by the two lines that it prints."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
_START_LIMIT = 120


@attrs.frozen
class PaperVenue:
    """The address and the key that the venue has printed."""

    url: str
    key: str = attrs.field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return {"MIZAR_API_URL": self.url, "MIZAR_API_KEY": self.key}


@contextlib.contextmanager
def paper_venue(db: Path) -> Iterator[PaperVenue]:
    """A fresh venue on a free port, which ends with the block."""
    command = [sys.executable, "-c", "from mizar_async.cli import main; main()", "paper", "--db", str(db)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MIZAR_")}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(_START_LIMIT, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            exports: dict[str, str] = {}
            while len(exports) < 2:
                line = process.stdout.readline()
                assert line, "the venue did not start: its reason is above"
                if line.startswith("export "):
                    name, _, value = line.removeprefix("export ").strip().partition("=")
                    exports[name] = value
            watchdog.cancel()
            yield PaperVenue(exports["MIZAR_API_URL"], exports["MIZAR_API_KEY"])
        finally:
            watchdog.cancel()
            process.kill()
