"""Profiles: names for an address and its key, which the command line alone knows. The library reads the environment.

`profiles.toml` in the platform's folder for settings has the addresses, and says where each key lies. A key is bound to
the host that it was given for: an address that is edited finds none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .exits import NO_KEY, NOT_DONE, WRONG_INPUT, Failure

_NAME: Final = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE: Final = "keys.json"


@dataclasses.dataclass(frozen=True)
class Profile:
    """An address, and where its key lies."""

    name: str
    url: str
    keyring: bool
    """Whether the key lies in the keyring of the system; else in keys.json."""

    @property
    def entry(self) -> str:
        """What the key is kept under; of an address that is none, something under which nothing is."""
        from .. import Address, InvalidInput

        try:
            return f"{self.name}@{Address.find(self.url).host}"
        except InvalidInput:
            return f"{self.name}@"


@dataclasses.dataclass
class Profiles:
    """All profiles, and which one is used where none is named."""

    by_name: dict[str, Profile] = dataclasses.field(default_factory=dict)
    default: str | None = None

    def named(self, name: str, code: int = NO_KEY) -> Profile:
        """One of them; `Failure` if there is none of this name."""
        if name not in self.by_name:
            known = ", ".join(sorted(self.by_name)) or "none"
            raise Failure(f"there is no profile {name!r} (there are: {known}): `mizar login --profile {name}`", code)
        return self.by_name[name]


def folder() -> Path:
    """The platform's folder for settings."""
    from platformdirs import user_config_path

    return user_config_path("mizar", appauthor=False)


def file() -> Path:
    return folder() / "profiles.toml"


def shown(path: Path) -> str:
    """A path as people write it: below the home of whoever asks, with a tilde."""
    with contextlib.suppress(RuntimeError, ValueError):
        return f"~/{path.relative_to(Path.home())}"
    return str(path)


def known_names() -> list[str]:
    """The names of all profiles, as far as they can be read."""
    try:
        return sorted(read().by_name)
    except Failure:
        return []


def read() -> Profiles:
    """The profiles as they are kept; `Failure` for a file that can't be read."""
    import tomllib

    try:
        said = tomllib.loads(file().read_text(encoding="utf-8"))
        found = {name: _profile(name, entry) for name, entry in said.get("profiles", {}).items()}
        default = said.get("default")
        return Profiles(found, default if default in found else None)
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise Failure(f"{file()} can't be read ({_one_line(problem)}): mend it, or move it away", WRONG_INPUT) from None


def _profile(name: str, entry: dict[str, Any]) -> Profile:
    url = entry["url"]
    if not isinstance(url, str):
        raise TypeError(f"profile {name}: url must be text")
    return Profile(check_name(name), url, entry.get("key") != _FILE)


def check_name(name: str) -> str:
    """A name that a profile may have, or `Failure`."""
    if not _NAME.fullmatch(name):
        shown_name = name if len(name) <= 32 else "what was given"  # a key may stand there by mistake
        raise Failure(
            f"{shown_name!r} is no name of a profile: letters, digits, '.', '_' and '-', 64 at most", WRONG_INPUT
        )
    return name


@contextlib.contextmanager
def changed() -> Iterator[Profiles]:
    """The profiles to be changed, by one process at a time; they are written when the block ends without an error."""
    with _alone():
        profiles = read()
        yield profiles
        lines = [] if profiles.default is None else [f"default = {json.dumps(profiles.default)}", ""]
        for name, profile in sorted(profiles.by_name.items()):
            place = "keyring" if profile.keyring else _FILE
            lines += [f"[profiles.{json.dumps(name)}]", f"url = {json.dumps(profile.url)}", f'key = "{place}"', ""]
        replace(file(), "\n".join(lines))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    import fcntl

    try:
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder(), os.O_RDONLY)
    except OSError as problem:
        raise Failure(f"{folder()} can't be used: {problem.strerror}", NOT_DONE) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def replace(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, whole or not at all."""
    import tempfile

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 from the beginning
        try:
            with os.fdopen(number, "w", encoding="utf-8") as written:
                written.write(text)
                written.flush()
                os.fsync(written.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise Failure(f"{path} can't be written: {problem.strerror}", NOT_DONE) from None


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200]
