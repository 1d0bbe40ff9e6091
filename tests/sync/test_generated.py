"""The generated client: up to date, and the same calls as the async one's, word for word."""

from __future__ import annotations

import importlib.util
import inspect
import re
from types import ModuleType

import pytest

from mizar_async import AsyncMizar
from mizar_sync import Mizar

from .scripts import ROOT

RENAMED = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


def calls_of(client: type) -> list[str]:
    """The public names of a client's own, and what `with` and the constructor use."""
    special = {"__init__", *RENAMED, *RENAMED.values()}
    return [name for name in vars(client) if not name.startswith("_") or name in special]


CALLS = calls_of(AsyncMizar)


def blocking(annotation: object) -> str:
    """A type of the async class, as the blocking class should have it."""
    text = str(annotation)
    for asynchronous, plain in (
        (r"\bAsyncIterator\[", "BlockingIterator["),
        (r"\bAbstractAsyncContextManager\[", "BlockingContextManager["),
        (r"\bRequests\[", "Iterable["),
        (r"\bhttpx\.AsyncClient \| Callable\b", "Callable"),
    ):
        text = re.sub(asynchronous, plain, text)
    return text


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_sync", ROOT / ".ci" / "generate_sync.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_client_is_the_whole_text_that_the_generator_writes() -> None:
    pytest.importorskip("ruff", reason="the generator formats with it")
    assert (ROOT / "mizar_sync" / "_client.py").read_text(encoding="utf-8") == generator().generate()


def test_both_clients_have_the_same_calls() -> None:
    assert {RENAMED.get(name, name) for name in CALLS} == set(calls_of(Mizar))


@pytest.mark.parametrize("name", [name for name in CALLS if name != "__aexit__"])  # which is the protocol's
def test_signature_is_the_same_but_for_what_is_awaited(name: str) -> None:
    ours = inspect.signature(getattr(AsyncMizar, name))
    theirs = inspect.signature(getattr(Mizar, RENAMED.get(name, name)))
    assert list(theirs.parameters) == list(ours.parameters)
    for parameter in ours.parameters.values():
        twin = theirs.parameters[parameter.name]
        assert (twin.kind, twin.default) == (parameter.kind, parameter.default)
        assert str(twin.annotation) == blocking(parameter.annotation)
    assert str(theirs.return_annotation) == blocking(ours.return_annotation)


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("_")])
def test_docstring_says_the_same_without_a_word_of_awaiting(name: str) -> None:
    ours = inspect.getdoc(getattr(AsyncMizar, name))
    theirs = inspect.getdoc(getattr(Mizar, RENAMED.get(name, name)))
    assert ours
    assert theirs
    assert not re.search(r"\b(await|async|asyncio|aclose|Async\w+|mizar_async)\b", theirs), theirs
    assert words_of(theirs) == words_of(generator().blocking_words(ours))


def words_of(text: str) -> list[str]:
    return text.split()


def test_docstring_of_the_class_speaks_of_the_blocking_one() -> None:
    assert not re.search(r"\b(await|async|asyncio|aclose|Async\w+|mizar_async)\b", inspect.getdoc(Mizar) or "async")


def test_no_call_hides_its_arguments() -> None:
    for name in calls_of(Mizar):
        kinds = {parameter.kind for parameter in inspect.signature(getattr(Mizar, name)).parameters.values()}
        assert not kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}, name
