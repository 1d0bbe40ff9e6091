"""The paper venue: the server side of the API, for developing, testing and paper trading without an account.

    transport, key = in_process()                # inside this process: no port, no thread
    async with serve(venue) as url: ...          # over HTTP, in the running loop

Everything about it that needs the extra `paper` is imported through this package, so this is the one place that
says which extra is missing.
"""

from __future__ import annotations

try:
    from .feeds import Feed, Replay, Simulated
    from .fills import FillModel
    from .http import create_app, in_process, serve, serve_forever
    from .rules import Refusal
    from .store import Recorded, read_positions
    from .venue import Venue
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] not in {"fastapi", "starlette", "pydantic", "sqlalchemy", "uvicorn"}:
        raise
    raise ImportError(
        f"the paper venue needs the extra 'paper' ({missing.name} is missing): pip install 'mizar[paper]'"
    ) from missing

__all__ = [
    "Feed",
    "FillModel",
    "Recorded",
    "Refusal",
    "Replay",
    "Simulated",
    "Venue",
    "create_app",
    "in_process",
    "read_positions",
    "serve",
    "serve_forever",
]
