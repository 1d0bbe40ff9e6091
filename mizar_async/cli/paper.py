"""`mizar paper`: the local venue over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from .show import NOT_MODELLED, console


async def run_paper(db: Path | None, port: int, **settings: Any) -> int:
    """Serve the venue, and say how it is reached."""
    from ..paper import Venue, serve_forever

    path = user_data_path("mizar", ensure_exists=True) / "paper.db" if db is None else db
    venue = Venue.of(db=path, **settings)
    used, known = not venue.is_fresh, os.environ.get("MIZAR_API_KEY", "")
    key = known if venue.knows(known) else venue.create_key()

    def announce(url: str) -> None:
        console.print(f"The paper venue listens (local, {path}). Its pages: {url}/docs", soft_wrap=True)
        console.print(NOT_MODELLED, soft_wrap=True)
        if key != known and used:
            console.print("This is a new key: older positions in this file belong to another one.", soft_wrap=True)
        print(f"export MIZAR_API_URL={url}")
        print(f"export MIZAR_API_KEY={key}", flush=True)

    try:
        await serve_forever(venue, port=port, announce=announce)
    finally:
        venue.close()
    return 0
