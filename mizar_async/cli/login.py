"""`mizar login`, `logout`, `profiles`: which keys the command line knows, and where they lie."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from typing import Annotated, Any, Final

import typer

from .commands import command, group
from .exits import DONE, NOT_DONE, WRONG_INPUT, Failure
from .output import Table, counted
from .profiles import Profile, changed, check_name, file, read, shown
from .session import Session, ended_by_signals, typed_line

_LONGEST_KEY: Final = 4096

Name = Annotated[str, typer.Argument(help="The name of the profile.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app)(login)
    command(app)(logout)
    profiles = group(app, "profiles", "List the profiles, or choose the default one.", list_profiles)
    command(profiles, "list")(list_profiles)
    command(profiles)(use)


async def login(
    session: Session,
    url: Annotated[
        str | None,
        typer.Option(help="The address; else the profile's, MIZAR_API_URL, or the real venue's."),
    ] = None,
    key_stdin: Annotated[bool, typer.Option("--key-stdin", help="Read the key from stdin.")] = False,
    nothing: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
) -> int:
    """Keep a key under the name of --profile.

    It is asked for without being shown, and tried by one read first.
    """
    from .. import Address, InvalidInput
    from . import keys

    if nothing:
        raise Failure("a key is no argument, since others could read it there: it is asked for, or --key-stdin", 2)
    name = check_name(session.profile or "default")
    try:
        address = Address.find(url if url is not None else _address_of(read().by_name.get(name), session))
    except InvalidInput as refused:
        raise Failure(str(refused).replace("api_url", "--url"), WRONG_INPUT) from None
    key = await _key(session, f"{address.environment} {address.host}", key_stdin)
    count = await _tried(key, address.url)
    entry = Profile(name, address.url, keyring=True)
    with changed() as profiles:
        known = profiles.by_name.get(name)
        if known is not None and known.entry != entry.entry:
            keys.forget(known)
        profile = dataclasses.replace(entry, keyring=keys.keep(entry.entry, key, session.out.note))
        profiles.by_name[name] = profile
        profiles.default = profiles.default or name
        is_default = profiles.default == name
    place = "the keyring" if profile.keyring else str(keys.file())
    used = "the default profile" if is_default else f"used with --profile {name}"
    strategies = counted(count, "strategy", "strategies")
    session.out.note(
        f"{address.environment} {address.host}: the key is accepted ({strategies}) and lies in {place}; {used}"
    )
    return DONE


def _address_of(profile: Profile | None, session: Session) -> str | None:
    """Where a key goes without --url: to where its profile's key went before; None for a profile that is new."""
    from . import keys

    if profile is None:
        return None
    if not keys.is_kept(profile, session.out.note):
        raise Failure(
            f"profile {profile.name!r} has no key for its address, which may have been edited: say with --url where "
            "the key goes. Nothing was sent.",
            WRONG_INPUT,
        )
    return profile.url


async def _key(session: Session, place: str, from_stdin: bool) -> str:
    if from_stdin:
        with ended_by_signals():
            key = sys.stdin.readline(_LONGEST_KEY)
    elif sys.stdin.isatty():
        key = await typed_line(f"{place}: API key (it is not shown): ", hidden=True)
    else:
        raise Failure("there is no terminal to ask for the key: pipe it into `mizar login --key-stdin`", WRONG_INPUT)
    key = key.strip().removeprefix("export MIZAR_API_KEY=")  # the line that `mizar paper` prints
    if not key:
        raise Failure("no key was given: nothing is kept", WRONG_INPUT)
    return key


async def _tried(key: str, url: str) -> int:
    """Ask something that needs the key, as its first use."""
    from .. import AsyncMizar

    async with AsyncMizar(key, api_url=url) as mizar:
        return len(await mizar.get_all_self_hosted_strategies_info())


async def logout(session: Session) -> int:
    """Forget a profile and its key.

    That of --profile, or the default one.
    """
    from . import keys

    with changed() as profiles:
        name = session.profile or profiles.default
        if name is None:
            raise Failure("there is no default profile: name one with --profile", WRONG_INPUT)
        profile = profiles.named(name, WRONG_INPUT)
        failure = keys.forget(profile)
        del profiles.by_name[name]
        profiles.default = None if profiles.default == name else profiles.default
    session.out.note(f"profile {name} is forgotten")
    if failure is not None:
        raise Failure(failure, NOT_DONE)
    return DONE


async def list_profiles(session: Session) -> int:
    """List the profiles: their addresses, and where the keys lie, never the keys."""
    from .. import Address, InvalidInput
    from . import keys

    found = read()
    records: list[dict[str, Any]] = []
    for name, profile in sorted(found.by_name.items()):
        place: tuple[str, str] = "refused", "an address that can't be used"
        with contextlib.suppress(InvalidInput):
            address = Address.find(profile.url)
            place = address.environment, address.host
        records.append(
            {
                "profile": name,
                "environment": place[0],
                "host": place[1],
                "key": "keyring" if profile.keyring else str(keys.file()),
                "default": name == found.default,
            }
        )

    def lies(key: str) -> str:
        return key if key == "keyring" else shown(keys.file())

    columns = ["profile", "environment", "host", "key", "default"]
    session.out.records(
        "profiles",
        records,
        columns,
        lambda: Table(
            f"Profiles in {shown(file())}",
            columns,
            [
                [one["profile"], one["environment"], one["host"], lies(one["key"]), "default" if one["default"] else ""]
                for one in records
            ],
            "" if records else "none yet: `mizar login` makes one",
        ),
    )
    return DONE


async def use(session: Session, name: Name) -> int:
    """Choose the default profile."""
    with changed() as profiles:
        profiles.named(name, WRONG_INPUT)
        profiles.default = name
    session.out.note(f"profile {name} is used from now on where none is named")
    return DONE
