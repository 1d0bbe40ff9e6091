"""Where keys come from and where they are kept: in a keyring that may fail in any way, or in a file of its owner."""

from __future__ import annotations

import json
import os
import shlex
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mizar_async import InvalidInput
from mizar_async.cli import keys, login, profiles
from mizar_async.cli.exits import NO_KEY, NOT_DONE, WRONG_INPUT, Failure
from mizar_async.cli.keys import Source
from mizar_async.cli.output import Output
from mizar_async.cli.profiles import Profile
from mizar_async.cli.session import Session

from .conftest import posix, told_here

URL = "http://127.0.0.1:1/api/v1/"
ENTRY = "a@127.0.0.1:1"


class Keyring:
    """A keyring in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, password: str) -> None:
        self.kept[service, name] = password

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[service, name]


def use(monkeypatch: pytest.MonkeyPatch, backend: object) -> None:
    """Make this the keyring of the system; None: the extra is not installed."""
    module: Any = None
    if backend is not None:
        module = types.ModuleType("keyring")
        for name in ("get_password", "set_password", "delete_password"):
            setattr(module, name, getattr(backend, name))
    monkeypatch.setitem(__import__("sys").modules, "keyring", module)


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    made = Keyring()
    use(monkeypatch, made)
    return made


@pytest.fixture
def said() -> list[str]:
    return []


def written(*names: str, default: str | None = None, keyring: bool = False, url: str = URL) -> None:
    """Keep profiles."""
    with profiles.changed() as found:
        for name in names:
            found.by_name[name] = Profile(name, url, keyring)
        found.default = default


def keep_in_file(entries: dict[str, str]) -> None:
    profiles.replace(keys.file(), json.dumps(entries))


def test_key_and_address_come_from_one_source(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    written("a", "b", "c", default="c")
    keep_in_file({f"{name}@127.0.0.1:1": f"key-of-{name}" for name in "abc"})

    def found(name: str | None = None, **environment: str) -> tuple[str, str, str | None]:
        with monkeypatch.context() as changed:
            for variable, value in environment.items():
                changed.setenv(variable, value)
            source = keys.find(name, said.append)
        return source.name, source.key, source.url

    everything = {"MIZAR_API_KEY": "k", "MIZAR_API_URL": "http://localhost:2", "MIZAR_PROFILE": "b"}
    assert found("a", **everything) == ("profile a", "key-of-a", URL)
    assert found(**everything) == ("MIZAR_API_KEY", "k", "http://localhost:2")
    assert found(MIZAR_API_KEY="k", MIZAR_PROFILE="b") == ("MIZAR_API_KEY", "k", None)
    assert found(MIZAR_PROFILE="b") == ("profile b", "key-of-b", URL)
    assert found(MIZAR_PROFILE="b", MIZAR_API_URL="http://localhost:2") == ("profile b", "key-of-b", URL)
    assert found() == found(MIZAR_API_KEY="", MIZAR_PROFILE="", MIZAR_API_URL="") == ("profile c", "key-of-c", URL)
    # Whoever has set an address would be surprised by calls that go elsewhere.
    with pytest.raises(Failure, match="MIZAR_API_URL is set without MIZAR_API_KEY") as caught:
        found(MIZAR_API_URL="http://localhost:2")
    assert caught.value.code == NO_KEY
    for name in ("", "../x", "a b", "a@b", "\x1b"):
        with pytest.raises(Failure, match="is no name of a profile") as caught:
            found(name)
        assert caught.value.code == WRONG_INPUT
    for environment in ({"MIZAR_PROFILE": "nobody"}, {"MIZAR_PROFILE": "\x1b"}):
        with pytest.raises(Failure, match="there is no profile"):
            found(**environment)
    assert said == []


def test_without_any_key_it_is_said_how_to_come_by_one(said: list[str]) -> None:
    with pytest.raises(Failure, match="no API key: `mizar login`") as caught:
        keys.find(None, said.append)
    assert caught.value.code == NO_KEY


@pytest.mark.parametrize("url", ["http://127.0.0.1:2", "http://localhost:1", "https://192.0.2.1"])
def test_an_address_that_was_edited_finds_no_key(url: str, keyring: Keyring, said: list[str]) -> None:
    written("a", default="a", keyring=True)
    assert keys.keep(ENTRY, "secret", said.append)
    keep_in_file({ENTRY: "secret"})
    assert keys.find("a", said.append).key == "secret"
    written("a", url=url, keyring=True)
    with pytest.raises(Failure, match="profile 'a' has no key for") as caught:
        keys.find("a", said.append)
    assert (caught.value.code, "secret" in str(caught.value)) == (NO_KEY, False)


@pytest.mark.parametrize("url", ["ftp://x", "", "http://api.mizar.com", "https://user:hush@x"])
async def test_an_address_that_is_none_is_named_and_can_be_mended(
    url: str, said: list[str], keyring: Keyring, capsys: pytest.CaptureFixture[str]
) -> None:
    written("a", default="a", keyring=True, url=url)
    with pytest.raises(Failure, match="profile 'a' in .*profiles.toml: api_url.* is refused") as caught:
        keys.find(None, said.append)
    assert (caught.value.code, "hush" in str(caught.value)) == (WRONG_INPUT, False)
    listed = await told_here(login.list_profiles, capsys, out=Output(as_json=True))
    assert listed.json["profiles"][0]["environment"] == "refused"
    assert (await told_here(login.logout, capsys)).code == 0
    assert profiles.read().by_name == {}


DAMAGED = [
    *("not toml", "profiles = 1", "[profiles]\na = 1", "[profiles.a]", "[profiles.a]\nurl = 1", "[profiles.'a b']"),
    *("[profiles.'a b']\nurl = 'x'", "default = []", "x = " + "[" * 5000, "\ud800"),
]


@pytest.mark.parametrize("text", DAMAGED, ids=[ascii(text[:20]) for text in DAMAGED])
def test_settings_that_are_damaged_are_one_line_and_2(settings: Path, text: str, said: list[str]) -> None:
    settings.mkdir(parents=True)
    (settings / "profiles.toml").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(Failure) as caught:
        keys.find(None, said.append)
    assert caught.value.code == WRONG_INPUT
    assert len(str(caught.value).splitlines()) == 1
    assert profiles.known_names() == []


def test_settings_that_are_no_file_are_one_line(settings: Path, said: list[str]) -> None:
    (settings / "profiles.toml").mkdir(parents=True)
    with pytest.raises(Failure, match="can't be read"):
        keys.find(None, said.append)


def test_a_default_that_is_not_there_is_none(settings: Path) -> None:
    written("a", default="a")
    path = settings / "profiles.toml"
    path.write_text(path.read_text().replace('default = "a"', 'default = "b"'))
    assert profiles.read().default is None


@pytest.mark.parametrize("text", ["", "[]", '{"a@127.0.0.1:1": 1}', "[" * 100_000, "\udcff", '{"a": "b"'])
def test_a_file_of_keys_that_is_damaged_is_one_line_and_4(text: str, said: list[str]) -> None:
    written("a")
    profiles.replace(keys.file(), "")
    keys.file().write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(Failure, match="keys.json can't be read: it is no JSON object of keys") as caught:
        keys.find("a", said.append)
    assert caught.value.code == NO_KEY
    assert len(str(caught.value).splitlines()) == 1


@posix
@pytest.mark.parametrize("rights", [0o644, 0o640, 0o602, 0o660])
def test_a_file_of_keys_that_others_can_read_is_refused_with_what_to_type(rights: int, said: list[str]) -> None:
    written("a")
    keep_in_file({ENTRY: "secret"})
    keys.file().chmod(rights)
    for asked in (lambda: keys.find("a", said.append), lambda: keys.keep(ENTRY, "other", said.append)):
        with pytest.raises(Failure) as caught:
            asked()
        assert f"chmod 600 {shlex.quote(str(keys.file()))}" in str(caught.value)
        assert (caught.value.code, "secret" in str(caught.value)) == (NO_KEY, False)
    keys.file().chmod(0o600)
    assert keys.find("a", said.append).key == "secret"


@posix
def test_the_file_of_keys_is_its_owners_alone_from_the_beginning(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, None)
    before = os.umask(0)
    try:
        assert not keys.keep(ENTRY, "secret", said.append)
        written("a")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (keys.file(), profiles.file())] == [0o600, 0o600]
    assert profiles.folder().stat().st_mode & 0o777 == 0o700
    assert sorted(one.name for one in profiles.folder().iterdir()) == ["keys.json", "profiles.toml"]


def fails(*_: str) -> str:
    raise RuntimeError("secret words of a backend")


def quits(*_: str) -> str:
    raise SystemExit(9)


@pytest.fixture
def never() -> Iterator[Callable[..., None]]:
    over = threading.Event()
    yield lambda *_: over.wait() and None
    over.set()


@pytest.mark.parametrize("way", ["fails", "quits", "keeps nothing", "hangs", "is not installed"])
def test_a_keyring_that_can_not_be_used_leads_to_the_file(
    way: str, monkeypatch: pytest.MonkeyPatch, never: Callable[..., None], said: list[str]
) -> None:
    monkeypatch.setattr(keys, "_PATIENCE", 0.2)
    backend: Any = Keyring()
    action: Any = {"fails": fails, "quits": quits, "keeps nothing": lambda *_: None, "hangs": never}.get(way)
    backend.set_password = backend.get_password = backend.delete_password = action
    use(monkeypatch, None if way == "is not installed" else backend)
    assert not keys.keep(ENTRY, "secret", said.append)
    assert len(said) == 1
    assert said[0].startswith("the keyring can't be used (")
    assert f"the key goes into {keys.file()}" in said[0]
    assert "secret" not in said[0]
    written("a")
    assert keys.find("a", said.append).key == "secret"
    assert len(said) == 1  # a key that lies in the file asks no keyring
    written("a", keyring=True)
    assert keys.find("a", said.append).key == "secret"
    assert len(said) == (1 if way == "keeps nothing" else 2)
    failure = keys.forget(profiles.read().named("a"))
    assert (failure is None) == (way == "keeps nothing")
    assert json.loads(keys.file().read_text()) == {}


def test_a_key_that_goes_into_the_keyring_leaves_the_file(keyring: Keyring, said: list[str]) -> None:
    keep_in_file({ENTRY: "old", "b@127.0.0.1:1": "other"})
    assert keys.keep(ENTRY, "new", said.append)
    assert json.loads(keys.file().read_text()) == {"b@127.0.0.1:1": "other"}
    assert keyring.kept == {("mizar", ENTRY): "new"}
    assert keys.forget(Profile("a", URL, keyring=True)) is None
    assert keyring.kept == {}


def test_a_source_does_not_show_its_key() -> None:
    assert "secret" not in repr(Source("profile a", "secret", None))


async def test_profiles_are_listed_without_keys_and_one_is_chosen(
    capsys: pytest.CaptureFixture[str], keyring: Keyring
) -> None:
    assert "none yet: `mizar login` makes one" in (await told_here(login.list_profiles, capsys)).out
    written("a", "b", default="a")
    keep_in_file({ENTRY: "secret-of-a"})
    assert (await told_here(login.use, capsys, name="b")).code == 0
    listed = await told_here(login.list_profiles, capsys, out=Output(as_json=True))
    assert [(one["profile"], one["default"]) for one in listed.json["profiles"]] == [("a", False), ("b", True)]
    assert listed.json["profiles"][0]["key"] == str(keys.file())
    table = await told_here(login.list_profiles, capsys)
    assert "secret" not in listed.out + table.out
    assert (await told_here(login.use, capsys, name="c")).code == WRONG_INPUT
    out = await told_here(login.logout, capsys)
    assert (out.code, out.err) == (0, "profile b is forgotten\n")
    out = await told_here(login.logout, capsys)
    assert out.code == WRONG_INPUT
    assert "there is no default profile" in out.err
    assert (await told_here(login.logout, capsys, profile="a")).code == 0
    assert json.loads(keys.file().read_text()) == {}


async def test_a_logout_that_leaves_something_in_the_keyring_says_so(
    capsys: pytest.CaptureFixture[str], keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    written("a", default="a", keyring=True)
    keyring.get_password = fails  # type: ignore[method-assign]
    use(monkeypatch, keyring)
    out = await told_here(login.logout, capsys)
    assert out.code == NOT_DONE
    assert "'a@127.0.0.1:1' may be left there" in out.err
    assert profiles.read().by_name == {}


@posix
def test_settings_that_can_not_be_written_are_one_line(settings: Path) -> None:
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("a file where the folder belongs")
    with pytest.raises(Failure, match="can't be used") as caught:
        written("a")
    assert caught.value.code == NOT_DONE


def test_a_change_that_fails_leaves_the_profiles_as_they_were() -> None:
    written("a", default="a")
    before = profiles.file().read_text()
    with pytest.raises(InvalidInput), profiles.changed() as found:
        found.by_name.clear()
        raise InvalidInput("no")
    assert profiles.file().read_text() == before
    assert [one.name for one in profiles.folder().iterdir()] == ["profiles.toml"]


async def test_the_journal_of_a_bot_is_not_opened_for_a_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIZAR_JOURNAL", str(tmp_path / "j"))
    monkeypatch.setenv("MIZAR_API_KEY", "key")
    session = Session(Output())
    assert session.journal == str(tmp_path / "j")
    assert "MIZAR_JOURNAL" not in os.environ
    assert "j'" not in repr(session.client())
