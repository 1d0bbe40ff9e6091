"""`mizar paper`: the local venue over HTTP."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any, Final

from .session import Session

_TO_OTHERS: Final = (
    "mizar paper: other machines may reach this venue by plain http, which shows the key to everybody on the way. "
    "The SDK refuses plain http to other machines: use a tunnel, or TLS in front."
)


async def run_paper(session: Session, path: Path, host: str, port: int, **settings: Any) -> int:
    """Serve the venue, and say how it is reached."""
    from ..paper import Venue, serve_forever

    venue = Venue.of(db=path, **settings)
    known = os.environ.get("MIZAR_API_KEY", "")

    def announce(url: str) -> None:
        used = not venue.is_fresh
        key = known if venue.knows(known) else venue.create_key()
        session.out.note(f"The paper venue listens (local, {path}). Its pages: {url}/docs")
        session.out.note(venue.model.sentence)
        if key != known and used:
            session.out.note("This is a new key: older positions in this file belong to another one.")
        if not _is_this_machine(host):
            session.out.fault(_TO_OTHERS)
        print(f"export MIZAR_API_URL={url}")
        print(f"export MIZAR_API_KEY={key}", flush=True)

    try:
        await serve_forever(venue, host, port, announce=announce)
    finally:
        venue.close()
    return 0


def _is_this_machine(host: str) -> bool:
    """Whether nobody else can reach a host that is listened on, however it is written."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
    address = ipaddress.ip_address(str(found).partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
