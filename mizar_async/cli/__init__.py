"""The command line: `mizar demo` shows what the SDK does, `mizar paper` runs the local venue."""

from __future__ import annotations

try:
    from .app import app
except ImportError as missing:
    raise SystemExit(f"the command line needs the extra 'paper' ({missing}): pip install 'mizar[paper]'") from None

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    app()
