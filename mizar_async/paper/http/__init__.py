"""How the venue is reached."""

from __future__ import annotations

from .app import create_app
from .server import in_process, serve, serve_forever

__all__ = ["create_app", "in_process", "serve", "serve_forever"]
