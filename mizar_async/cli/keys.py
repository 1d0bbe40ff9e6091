"""Keys: where they come from, and where they are kept, in the keyring of the system or in a file of its owner alone.

A keyring may be missing, locked, or never answer: it has 5 s, and whatever fails there is one line and leads to the
file.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import queue
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .exits import NO_KEY, WRONG_INPUT, Failure
from .profiles import Profile, check_name, folder, read, replace
from .profiles import file as file_of_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY, _URL, _PROFILE = "MIZAR_API_KEY", "MIZAR_API_URL", "MIZAR_PROFILE"
_SERVICE: Final = "mizar"
_PATIENCE: Final = 5.0


Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Source:
    """One key and its address, from one place."""

    name: str
    """What people call the place."""
    key: str = dataclasses.field(repr=False)
    url: str | None
    """None for the address of the real venue."""


class _NoKeyring(Exception):
    """The keyring can't be used; the text says why, and holds nothing of a key."""


def find(name: str | None, say: Say) -> Source:
    """Where the key and its address come from: a profile that is named, the environment, or the default profile."""
    key = os.environ.get(_KEY)
    if name is None and key:
        return Source(_KEY, key, os.environ.get(_URL) or None)
    chosen = os.environ.get(_PROFILE) or None if name is None else check_name(name)
    if chosen is None:
        chosen = read().default
        if chosen is None:
            raise Failure(
                f"no API key: `mizar login` keeps one, or set {_KEY} (`mizar paper` prints one to try with)", NO_KEY
            )
        if os.environ.get(_URL):  # whoever has set it would be surprised by calls that go elsewhere
            raise Failure(
                f"{_URL} is set without {_KEY}, and the default profile {chosen!r} has an address of its own: "
                f"set both, unset {_URL}, or name a profile with --profile",
                NO_KEY,
            )
    profile = read().named(chosen)
    _check_address(profile)
    found = _stored(profile, say)
    if found is None:
        raise Failure(
            f"profile {chosen!r} has no key for {profile.entry.partition('@')[2]}: "
            f"`mizar login --profile {chosen} --url ADDRESS`",
            NO_KEY,
        )
    return Source(f"profile {chosen}", found, profile.url)


def _check_address(profile: Profile) -> None:
    from .. import Address, InvalidInput

    try:
        Address.find(profile.url)
    except InvalidInput as refused:
        raise Failure(f"profile {profile.name!r} in {file_of_profiles()}: {refused}", WRONG_INPUT) from None


def is_kept(profile: Profile, say: Say) -> bool:
    """Whether there is a key for the address of a profile."""
    return _stored(profile, say) is not None


def _stored(profile: Profile, say: Say) -> str | None:
    """The key of a profile; None if there is none."""
    if profile.keyring:
        try:
            found = _asked(lambda keyring: keyring.get_password(_SERVICE, profile.entry))
            if found:
                return str(found)
        except _NoKeyring as reason:
            say(f"the keyring can't be used ({reason}): looking into {file()}")
    return _read().get(profile.entry)


def keep(entry: str, key: str, say: Say) -> bool:
    """Keep a key; says whether it lies in the keyring. Whatever was kept of it elsewhere is removed."""
    try:
        _asked(functools.partial(_kept, entry=entry, key=key))
    except _NoKeyring as reason:
        say(f"the keyring can't be used ({reason}): the key goes into {file()}, which you alone can read")
        _write({**_read(), entry: key})
        return False
    if file().exists():
        _forget_in_file(entry)
    return True


def forget(profile: Profile) -> str | None:
    """Remove the key of a profile wherever it lies; says what could not be done."""
    failure = None
    if profile.keyring:
        try:
            _asked(functools.partial(_removed, entry=profile.entry))
        except _NoKeyring as reason:
            failure = (
                f"the keyring can't be used ({reason}): the entry {_SERVICE!r}, {profile.entry!r} may be left there"
            )
    if file().exists():
        _forget_in_file(profile.entry)
    return failure


def file() -> Path:
    """Where keys lie that no keyring keeps."""
    return folder() / "keys.json"


def _kept(keyring: Any, *, entry: str, key: str) -> None:
    keyring.set_password(_SERVICE, entry, key)
    if keyring.get_password(_SERVICE, entry) != key:  # a backend that keeps nothing says nothing
        raise LookupError


def _removed(keyring: Any, *, entry: str) -> None:
    if keyring.get_password(_SERVICE, entry) is not None:
        keyring.delete_password(_SERVICE, entry)


def _asked(question: Callable[[Any], object]) -> object:
    """What the keyring says, asked in a thread that nobody waits for longer than it may take."""
    answers: queue.SimpleQueue[tuple[object, str | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            import keyring
        except ImportError:
            answers.put((None, "the extra 'keyring' is not installed"))
            return
        try:
            answers.put((question(keyring), None))
        except BaseException as failure:  # noqa: BLE001 - each of its backends fails in a way of its own
            answers.put((None, type(failure).__name__))  # its text may hold anything

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer, failure = answers.get(timeout=_PATIENCE)
    except queue.Empty:
        answer, failure = None, f"no answer within {_PATIENCE:g} s"
    if failure is not None:
        raise _NoKeyring(failure)
    return answer


def _read() -> dict[str, str]:
    path = file()
    try:
        opened = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return {}
    except OSError as problem:
        raise Failure(f"{path} can't be read: {problem.strerror}", NO_KEY) from None
    with os.fdopen(opened, encoding="utf-8") as content:
        if os.name == "posix" and os.fstat(opened).st_mode & 0o077:
            to_type = f"chmod 600 {shlex.quote(str(path))}"
            raise Failure(f"{path} is refused, since others can read the keys in it: {to_type}", NO_KEY)
        try:
            said = json.load(content)
        except (ValueError, OSError, RecursionError):
            said = None
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said.values()):
        raise Failure(f"{path} can't be read: it is no JSON object of keys. Move it away, and log in again", NO_KEY)
    return said


def _write(keys: Mapping[str, str]) -> None:
    replace(file(), json.dumps(keys, indent=1))


def _forget_in_file(entry: str) -> None:
    keys = _read()
    if keys.pop(entry, None) is not None:
        _write(keys)
