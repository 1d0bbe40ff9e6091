"""`mizar login` as it is met: through a pipe, at a terminal, and by several processes at once."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import os
from pathlib import Path

import pytest

from mizar_async.cli import keys, login, profiles, strategies
from mizar_async.cli.output import Output

from ..venues import RunningVenue
from .conftest import at_a_terminal, posix, told, told_here

BACKEND = '''
import json, os, pathlib, time
from keyring.backend import KeyringBackend

FILE = pathlib.Path(os.environ["TEST_KEYRING"])

class Kept(KeyringBackend):
    """A keyring in a file."""

    priority = 1

    def _all(self):
        return json.loads(FILE.read_text()) if FILE.exists() else {}

    def get_password(self, service, username):
        return self._all().get(f"{service} {username}")

    def set_password(self, service, username, password):
        FILE.write_text(json.dumps({**self._all(), f"{service} {username}": password}))

    def delete_password(self, service, username):
        FILE.write_text(json.dumps({name: key for name, key in self._all().items() if name != f"{service} {username}"}))

class Hangs(Kept):
    def get_password(self, service, username):
        time.sleep(600)

    set_password = get_password
'''


def everything_in(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in folder.rglob("*") if one.is_file())


async def test_a_key_is_tried_kept_used_and_forgotten(
    venue: RunningVenue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = await told("login", "--key-stdin", "--url", venue.url, stdin=f"{venue.key}\n".encode())
    assert (made.code, made.out) == (0, "")
    host = venue.url.removeprefix("http://")
    assert f"local {host}: the key is accepted (0 strategies) and lies in " in made.err
    assert "the default profile" in made.err
    kept = json.loads(keys.file().read_text())
    assert kept == {f"default@{host}": venue.key}
    # In that one file alone, and in nothing that was printed.
    assert venue.key not in made.err
    assert everything_in(tmp_path).count(venue.key.encode()) == 1
    again = await told("login", "--profile", "b", "--key-stdin", "--url", venue.url, stdin=venue.key.encode())
    assert "used with --profile b" in again.err
    used = await told_here(strategies.list_strategies, capsys, out=Output(as_json=True))
    assert (used.code, used.json) == (0, {"strategies": []})
    gone = await told("logout")
    assert (gone.code, gone.out) == (0, "")
    assert json.loads(keys.file().read_text()) == {f"b@{host}": venue.key}
    assert (await told_here(strategies.list_strategies, capsys)).code == 4


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (b"another key", 2),
        (b"another-key-of-nobody", 4),
        (b"\n", 2),
        (b"", 2),
        (b"\xff\xfe\n", 2),
        (b"x" * 100_000, 4),
    ],
    ids=["spaces", "wrong", "an empty line", "nothing", "not UTF-8", "far too long"],
)
async def test_a_key_that_is_refused_is_not_kept(
    venue: RunningVenue,
    key: bytes,
    code: int,
    settings: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(key), "utf-8", errors="replace"))
    found = await told_here(login.login, capsys, key_stdin=True, url=venue.url)
    assert (found.code, found.out) == (code, "")
    assert len(found.err.splitlines()) == 1
    assert len(found.err) < 400
    assert not settings.exists()


async def test_a_server_that_is_not_there_keeps_nothing(
    settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("some-key"))
    found = await told_here(login.login, capsys, key_stdin=True, url="http://127.0.0.1:1")
    assert (found.code, settings.exists()) == (5, False)
    found = await told_here(login.login, capsys, url="http://127.0.0.1:1")
    assert (found.code, settings.exists()) == (2, False)
    assert "`mizar login --key-stdin`" in found.err


@posix
async def test_a_key_that_is_typed_is_not_shown(venue: RunningVenue) -> None:
    async with at_a_terminal("login", "--url", venue.url) as terminal:
        await terminal.shows("API key (it is not shown): ")
        terminal.type(f"{venue.key}\n")
        assert await terminal.ended() == 0
    assert "the key is accepted" in terminal.seen
    assert venue.key not in terminal.raw
    assert json.loads(keys.file().read_text()) == {f"default@{venue.url.removeprefix('http://')}": venue.key}


@posix
@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 2), ("half of a k\x04\x03", 130)])
async def test_a_key_that_is_not_typed_to_its_end_is_not_kept(typed: str, code: int, settings: Path) -> None:
    async with at_a_terminal("login", "--url", "http://127.0.0.1:1") as terminal:
        await terminal.shows("API key (it is not shown): ")
        terminal.type(typed)
        assert await terminal.ended() == code
    assert not settings.exists()
    assert "half" not in terminal.raw


async def test_logins_at_once_all_stay(venue: RunningVenue) -> None:
    names = ["one", "two", "three"]
    found = await asyncio.gather(
        *(
            told("login", "--profile", name, "--key-stdin", "--url", venue.url, stdin=venue.key.encode())
            for name in names
        )
    )
    assert {one.code for one in found} == {0}
    assert sorted(profiles.read().by_name) == sorted(names)
    assert profiles.read().default in names
    assert len(json.loads(keys.file().read_text())) == 3
    assert sorted(one.name for one in profiles.folder().iterdir()) == ["keys.json", "profiles.toml"]


@pytest.mark.skipif(importlib.util.find_spec("keyring") is None, reason="keyring is an extra")
@pytest.mark.parametrize("backend", ["Kept", "Hangs", "keyring.backends.null.Keyring"])
async def test_a_real_keyring_keeps_the_key_or_fails_within_its_time(
    venue: RunningVenue, backend: str, tmp_path: Path
) -> None:
    (tmp_path / "backend_of_a_test.py").write_text(BACKEND)
    env = {
        "PYTHON_KEYRING_BACKEND": backend if "." in backend else f"backend_of_a_test.{backend}",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]),
        "TEST_KEYRING": str(tmp_path / "keyring.json"),
    }
    made = await told("login", "--key-stdin", "--url", venue.url, stdin=venue.key.encode(), env=env)
    assert made.code == 0
    entry = f"default@{venue.url.removeprefix('http://')}"
    if backend == "Kept":
        assert "lies in the keyring" in made.err
        assert json.loads((tmp_path / "keyring.json").read_text()) == {f"mizar {entry}": venue.key}
        assert not keys.file().exists()
    else:
        assert len(made.err.splitlines()) == 2
        assert made.err.startswith("the keyring can't be used (")
        assert json.loads(keys.file().read_text()) == {entry: venue.key}
        return
    used = await told("strategies", "list", "--json", env=env)
    assert (used.code, used.json, used.err) == (0, {"strategies": []}, "")
    gone = await told("logout", env=env)
    assert gone.code == 0
    assert venue.key.encode() not in everything_in(tmp_path)


async def test_a_key_that_is_typed_as_an_argument_is_refused_and_not_shown() -> None:
    found = await told("login", "secret-of-an-argument")
    assert (found.code, "a key is no argument" in found.err) == (2, True)
    assert "secret" not in found.out + found.err


async def test_a_guard_takes_no_profile_since_the_bot_has_none() -> None:
    found = await told("--profile", "a", "guard", "--strategy", "1", "--", "true")
    assert (found.code, "Nothing is started" in found.err) == (2, True)
