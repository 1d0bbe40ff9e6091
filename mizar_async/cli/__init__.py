"""The command line: trade, look, and try it all against the local venue. `mizar --help` lists the commands."""

from __future__ import annotations

import io
import sys

try:
    from .app import app
except ImportError as missing:
    raise SystemExit(f"the command line needs the extra 'cli' ({missing}): pip install 'mizar[cli]'") from None

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal can't show ends no command
    app()
