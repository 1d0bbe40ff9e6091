"""Writes mizar_sync/_client.py from the sources of AsyncMizar and of its groups of calls, such as AsyncMarket.

With --check it only says whether that is up to date. What becomes of a method is told by its syntax: `async def` waits
for the call; a plain method that returns an AsyncIterator, an AsyncGenerator or an AbstractAsyncContextManager becomes
the blocking one; `Self` becomes a client on the same loop; every other plain method is called as it is. Anything else
is an error, not a guess.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "mizar_async" / "_client.py"
GROUPS = {  # by the attribute of the client
    "market": "AsyncMarket",
    "dca": "AsyncDca",
    "tradingview": "AsyncTradingView",
    "hosted": "AsyncHosted",
}
TARGET = ROOT / "mizar_sync" / "_client.py"

HEADER = '''\
"""The blocking client. Generated from mizar_async/_client.py by `nox -s generate`: do not edit it by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from mizar_async import (
    AsyncDca,
    AsyncHosted,
    AsyncMarket,
    AsyncMizar,
    AsyncTradingView,
    Bar,
    BarType,
    BulkResult,
    Clock,
    ClosedPosition,
    DcaOrder,
    DcaPosition,
    DcaSettings,
    Exchange,
    FlattenReport,
    OpenPosition,
    Outcome,
    OutcomeUnknown,
    Position,
    Publication,
    Ratio,
    Reconciliation,
    Recovery,
    Strategy,
    Submitted,
    Symbol,
)
from mizar_async._api.checks import Moment, Size
from mizar_async._api.dca import Side
from mizar_async._api.market import LARGEST_PAGE
from mizar_async._groups.frames import Backend
from mizar_async._wire.address import check_maker

from ._blocking import BlockingContextManager, BlockingIterator
from ._runtime import Runtime

if TYPE_CHECKING:
    import os
    import ssl

    import httpx

Progress = Callable[[int, int | None], None]
'''

# What the machinery of the class itself becomes; its other private methods have no twin.
FIXED = '''
    @classmethod
    def _around(cls, client: AsyncMizar, runtime: Runtime) -> Self:
        mizar = cls.__new__(cls)
        mizar._use(client, runtime)
        return mizar

    def _use(self, client: AsyncMizar, runtime: Runtime) -> None:
        self._async, self._runtime = client, runtime
{groups}

    def close(self) -> None:
        {aclose_doc}
        self._runtime.close(self._async.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._async).replace("AsyncMizar", type(self).__name__, 1)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings, without the key: it is read from the environment where the client is made again."""
        return _again, (type(self), self._async)


def _again(cls: type[Mizar], client: AsyncMizar) -> Mizar:
    return cls._around(client, Runtime())
'''

GROUP = """
    def __init__(self, group: {name}, runtime: Runtime) -> None:
        self._async, self._runtime = group, runtime
"""

WORDS = [
    (r"an\s+`httpx\.AsyncClient`\s+of\s+your\s+own\s+\([^)]*\),\s+or\s+", ""),
    (r"\basync with\b", "with"),
    (r"\basync for\b", "for"),
    (r"\bawait ", ""),
    (r"\bAsync(Mizar|Market|Dca|TradingView|Hosted)\b", r"\1"),
    (r"\bmizar_async\b", "mizar_sync"),
    (r"\baclose\(\)", "close()"),
    (r"from asyncio\b", "from blocking code"),
    (r"an iterable or an async iterable", "an iterable"),
]
TYPES = [
    (r"\bAsync(Iterator|Generator)\[", "BlockingIterator["),
    (r"\bAbstractAsyncContextManager\[", "BlockingContextManager["),
    (r"\bRequests\[", "Iterable["),
    (r"\bhttpx\.AsyncClient \| Callable\b", "Callable"),
]
SPECIAL = {"__init__", "aclose", "__aenter__", "__aexit__", "__repr__", "__reduce__"}


def blocking_words(text: str) -> str:
    """A docstring of the async class, told of the blocking one."""
    return "\n\n".join(_blocking_paragraph(paragraph) for paragraph in text.split("\n\n"))


def _blocking_paragraph(text: str) -> str:
    told = text
    for pattern, word in WORDS:
        told = re.sub(pattern, word, told)
    if len(text) - len(told) < 20:
        return told
    indent = " " * (len(told) - len(told.lstrip(" ")))
    return textwrap.fill(" ".join(told.split()), 120, initial_indent=indent, subsequent_indent=indent)


def blocking_type(text: str) -> str:
    """A type of the async class, as the blocking one has it."""
    for pattern, word in TYPES:
        text = re.sub(pattern, word, text)
    if re.search(r"(?<!httpx\.)\bA(sync|waitable)", text):
        raise SystemExit(f"no blocking twin is known for the type {text}")
    return text


def forwarded(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The arguments that hand every parameter on."""
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        raise SystemExit(f"{function.name}: parameters of this kind have no rule")
    names = [argument.arg for argument in arguments.args[1:]]
    return ", ".join([*names, *(f"{argument.arg}={argument.arg}" for argument in arguments.kwonlyargs)])


def body_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The one line that does the work."""
    name, handed = function.name, forwarded(function)
    returns = ast.unparse(function.returns) if function.returns else "None"
    call = f"self._async.{name}"
    inside = f"{call}, {handed}" if handed else call
    if isinstance(function, ast.AsyncFunctionDef):
        return f"return self._runtime.call({inside})"
    decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
    if decorators == ["classmethod"] and returns == "Self":
        return f"return cls._around(AsyncMizar.{name}({handed}), Runtime())"
    if decorators:
        raise SystemExit(f"{name}: the decorators {decorators} have no rule")
    if returns == "Self":
        return f"return self._around({call}({handed}), self._runtime)"
    for kind in ("BlockingIterator", "BlockingContextManager"):
        if blocking_type(returns).startswith(f"{kind}["):
            return f"return {kind}(self._runtime, {inside})"
    return f"return {call}({handed})"


def signature(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return blocking_type(f"def {function.name}({ast.unparse(function.args)}){returns}:")


def docstring(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, indent: str) -> str:
    text = ast.get_docstring(node, clean=False)
    if not text:
        raise SystemExit(f"{node.name} has no docstring")
    return f'{indent}"""{blocking_words(text)}"""'


def method(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    decorators = [f"    @{ast.unparse(decorator)}" for decorator in function.decorator_list]
    return [
        *decorators,
        f"    {signature(function)}",
        docstring(function, " " * 8),
        f"        {body_of(function)}",
        "",
    ]


def class_in(path: Path, name: str) -> ast.ClassDef:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def functions_of(found: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in found.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def methods(found: ast.ClassDef) -> list[str]:
    lines: list[str] = []
    for function in functions_of(found):
        if function.name in SPECIAL or (function.name.startswith("_") and not function.name.startswith("__")):
            continue
        lines += method(function)
    return lines


def group(attribute: str, name: str) -> list[str]:
    """The text of one group of calls."""
    found = class_in(SOURCE.parent / "_groups" / f"{attribute}.py", name)
    head = [f"class {name.removeprefix('Async')}:", docstring(found, "    "), GROUP.format(name=name)]
    return [*head, *methods(found), ""]


def client() -> list[str]:
    """The text of the client itself."""
    found = class_in(SOURCE, "AsyncMizar")
    by_name = {function.name: function for function in functions_of(found)}
    init = by_name["__init__"]
    groups = "\n".join(
        f"        self.{attribute} = {name.removeprefix('Async')}(client.{attribute}, runtime)"
        for attribute, name in GROUPS.items()
    )
    fixed = FIXED.replace("{aclose_doc}", docstring(by_name["aclose"], "").strip()).replace("{groups}", groups)
    return [
        "class Mizar:",
        docstring(found, "    "),
        "",
        f"    {signature(init)}",
        "        check_maker(http_client)",
        f"        self._use(AsyncMizar({forwarded(init)}), Runtime())",
        "",
        *methods(found),
        fixed,
    ]


def generate() -> str:
    """The text of the blocking client."""
    groups = [line for attribute, name in GROUPS.items() for line in group(attribute, name)]
    return formatted(HEADER + "\n".join([*groups, *client()]))


def formatted(text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def main(arguments: list[str]) -> None:
    text = generate()
    if arguments == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            raise SystemExit("mizar_sync/_client.py is out of date: run `nox -s generate`")
    else:
        TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
