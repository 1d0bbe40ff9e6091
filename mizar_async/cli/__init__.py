"""The command line: trade, look, and try it all against the local venue. `mizar --help` lists the commands."""

from __future__ import annotations

import io
import os
import signal
import sys

try:
    from .app import app
except ImportError as missing:
    raise SystemExit(f"the command line needs the extra 'cli' ({missing}): pip install 'mizar[cli]'") from None
except KeyboardInterrupt:
    raise SystemExit(130) from None

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # until a command has handlers: nothing was sent yet
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # it is closed; its number would be given to a connection
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal can't show ends no command
    try:
        app()
    except OSError:  # of its help, which nobody reads
        os._exit(141)
