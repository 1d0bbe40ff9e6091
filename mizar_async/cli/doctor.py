"""`mizar doctor`: what stands between this machine and the API, each point ok or with what to do."""

from __future__ import annotations

import dataclasses
import os
import platform
import shlex
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import typer

from .commands import command
from .exits import DONE, NOT_DONE, Failure, code_of
from .output import Cell, Table, counted
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .. import AsyncMizar

_CLOCK: Final = 2.0
"""Seconds that a clock may differ; nothing depends on it, but times in logs do."""


@dataclasses.dataclass(frozen=True)
class _Point:
    what: str
    found: str
    to_do: str = ""
    """Empty where it is well."""
    code: int = DONE


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app)(doctor)


async def doctor(session: Session) -> int:
    """Check the installation, the key, and the connection."""
    points = [_version(), _uvloop(), _settings()]
    points += await _of_server(session, points)
    documents = [{"check": one.what, "ok": not one.to_do, "found": one.found, "to_do": one.to_do} for one in points]
    session.out.records("checks", documents, ("check", "ok", "found", "to_do"), lambda: _table("mizar doctor", points))
    return next((one.code for one in points if one.code), DONE)


async def _of_server(session: Session, points: Sequence[_Point]) -> list[_Point]:
    if any(one.code for one in points):
        return []
    from .. import InvalidInput

    try:
        source, place = session.source, session.place
    except (Failure, InvalidInput) as failure:
        code = failure.code if isinstance(failure, Failure) else code_of(failure)
        return [_Point("key", "none", str(failure), code)]
    found = [_Point("key", source.name), _Point("address", place), _proxy(session)]
    try:
        async with session.client() as mizar:
            return [*found, *await _asked(mizar, session)]
    except Failure as failure:
        return [*found, _Point("key accepted", "refused here", str(failure), failure.code)]


async def _asked(mizar: AsyncMizar, session: Session) -> list[_Point]:
    """What the server says: that it is there, its time, and whether it knows the key."""
    import time

    from .. import Clock, MizarError

    once = mizar.with_options(max_retries=0)
    clock = Clock()
    try:
        await once.ping()
        began = time.perf_counter()
        server = await once.server_time()
        took = time.perf_counter() - began
        found = [_Point("connection", f"an answer within {1000 * took:.0f} ms"), _clock(server - clock.now(), took)]
    except MizarError as failure:
        to_do = "look at the address, the proxy and the network; a paper venue runs with `mizar paper`"
        return [_Point("connection", str(failure), to_do, code_of(failure))]
    try:
        strategies = await once.get_all_self_hosted_strategies_info()
    except MizarError as failure:
        is_environment = session.source.name == "MIZAR_API_KEY"
        to_do = f"{'set MIZAR_API_KEY to' if is_environment else '`mizar login` with'} a key of this server"
        return [*found, _Point("key accepted", str(failure), to_do, code_of(failure))]
    return [*found, _Point("key accepted", f"yes, {counted(len(strategies), 'strategy', 'strategies')}")]


def _clock(difference: int, took: float) -> _Point:
    seconds = (difference + 500 * took) / 1000
    is_well = abs(seconds) <= _CLOCK + took
    to_do = "" if is_well else "set this machine's clock (a paper venue that replays prices has a time of its own)"
    return _Point("clock", f"{abs(seconds):.1f} s from the server's", to_do)


def _version() -> _Point:
    from .._version import installed_version

    return _Point("version", f"mizar {installed_version()}, Python {platform.python_version()}, {platform.system()}")


def _uvloop() -> _Point:
    import importlib.util

    if importlib.util.find_spec("uvloop") is not None:
        return _Point("uvloop", "used by the command line")
    return _Point("uvloop", "not installed: the standard event loop is used")


def _settings() -> _Point:
    from .profiles import file, read, shown

    try:
        profiles = read()
    except Failure as failure:
        return _Point("settings", str(file()), str(failure), failure.code)
    if not file().exists():
        return _Point("settings", f"{shown(file())} is not there: no profiles")
    rights = file().stat().st_mode & 0o777
    to_do = f"chmod 600 {shlex.quote(str(file()))}" if os.name == "posix" and rights & 0o022 else ""
    count = counted(len(profiles.by_name), "profile")
    found = f"{shown(file())} ({rights:03o}), {count}, default {profiles.default or 'none'}"
    return _Point("settings", found, to_do, NOT_DONE if to_do else DONE)


def _proxy(session: Session) -> _Point:
    """The proxy of the environment: its host, since the rest may be a password."""
    import urllib.request  # half of what `--help` costs

    parts = urlsplit(session.address.url)
    if session.address.environment != "live" or urllib.request.proxy_bypass(parts.netloc):
        return _Point("proxy", "none")
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return _Point("proxy", "none")
    try:
        named = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return _Point("proxy", f"{named.hostname}:{named.port or '-'}")
    except ValueError:
        return _Point("proxy", "can't be read", "set HTTPS_PROXY to an address such as http://host:3128")


def _table(title: str, points: Sequence[_Point]) -> Table:
    rows: list[list[Cell]] = []
    for one in points:
        rows.append([one.what, ("LOOK", "bold red") if one.to_do else ("ok", "green"), one.found])
        if one.to_do:
            rows.append(["", "", one.to_do])
    return Table(title, ["check", "", "found"], rows)
