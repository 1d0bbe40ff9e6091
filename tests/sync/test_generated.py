"""The generated client: up to date, and the same calls as the async one's, word for word."""

from __future__ import annotations

import importlib.util
import inspect
import re
from types import ModuleType
from typing import Any

import pytest

import mizar_async
import mizar_sync

from .scripts import ROOT

ASYNC_WORDS = re.compile(r"\b(await|async|asyncio|aclose|Async\w+|mizar_async)\b")
RENAMED = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


def calls_of(client: type) -> list[str]:
    """The public names of a client's own, and what `with` and the constructor use."""
    special = {"__init__", *RENAMED, *RENAMED.values()}
    return [name for name in vars(client) if not name.startswith("_") or name in special]


CLASSES = {
    "AsyncMizar": "Mizar",
    "AsyncMarket": "Market",
    "AsyncDca": "Dca",
    "AsyncTradingView": "TradingView",
    "AsyncHosted": "Hosted",
}
CALLS = [
    (ours, name)
    for ours in CLASSES
    for name in calls_of(getattr(mizar_async, ours))
    if ours == "AsyncMizar" or name != "__init__"  # a group is made by its client
]


def twins(ours: str, name: str) -> tuple[Any, Any]:
    """A call of the async class, and that of the blocking one."""
    blocking_class = getattr(mizar_sync, CLASSES[ours])
    return getattr(getattr(mizar_async, ours), name), getattr(blocking_class, RENAMED.get(name, name))


def blocking(annotation: object) -> str:
    """A type of the async class, as the blocking class should have it."""
    text = str(annotation)
    for asynchronous, plain in (
        (r"\bAsync(Iterator|Generator)\[", "BlockingIterator["),
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


@pytest.mark.parametrize("ours", CLASSES)
def test_both_classes_have_the_same_calls(ours: str) -> None:
    calls = {RENAMED.get(name, name) for name in calls_of(getattr(mizar_async, ours))}
    assert calls == set(calls_of(getattr(mizar_sync, CLASSES[ours])))


@pytest.mark.parametrize(("group", "name"), [call for call in CALLS if call[1] != "__aexit__"])  # the protocol's
def test_signature_is_the_same_but_for_what_is_awaited(group: str, name: str) -> None:
    ours, theirs = map(inspect.signature, twins(group, name))
    assert list(theirs.parameters) == list(ours.parameters)
    for parameter in ours.parameters.values():
        twin = theirs.parameters[parameter.name]
        assert (twin.kind, twin.default) == (parameter.kind, parameter.default)
        assert str(twin.annotation) == blocking(parameter.annotation)
    assert str(theirs.return_annotation) == blocking(ours.return_annotation)


@pytest.mark.parametrize(("group", "name"), [call for call in CALLS if not call[1].startswith("_")])
def test_docstring_says_the_same_without_a_word_of_awaiting(group: str, name: str) -> None:
    ours, theirs = map(inspect.getdoc, twins(group, name))
    assert ours
    assert theirs
    assert not ASYNC_WORDS.search(theirs), theirs
    assert words_of(theirs) == words_of(generator().blocking_words(ours))


def words_of(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("name", CLASSES.values())
def test_docstring_of_a_class_speaks_of_the_blocking_one(name: str) -> None:
    assert not ASYNC_WORDS.search(inspect.getdoc(getattr(mizar_sync, name)) or "async")


@pytest.mark.parametrize(("group", "name"), CALLS)
def test_no_call_hides_its_arguments(group: str, name: str) -> None:
    _, theirs = twins(group, name)
    kinds = {parameter.kind for parameter in inspect.signature(theirs).parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}, name


async def test_each_view_has_groups_with_its_own_options() -> None:
    mizar = mizar_async.AsyncMizar("key")
    view = mizar.with_options(timeout=1)
    assert (view.market._options.timeout, mizar.market._options.timeout) == (1, 10)
    assert view.dca._channel is mizar.dca._channel
