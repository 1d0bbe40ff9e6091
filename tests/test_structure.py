"""The shape of the code: imports point downwards, time has one home, the public names are a list."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import mizar
import mizar_async
import mizar_sync
from mizar_async._api import endpoints
from mizar_async.cli.venue import paper as paper_command
from mizar_async.paper import Venue, in_process

from .venues import ROOT

PACKAGE = ROOT / "mizar_async"

# A module may import those above it in this list, wherever its import stands: in functions and for types alone, too.
ORDER = [
    "errors",
    "_clock",
    "_version",
    "_waiting",
    "_options",
    "replay.loop",
    "_api.checks",
    "_api.documented",
    "_api.ratio",
    "_api.trading",
    "_fold",
    "performance",
    "compare",
    "_api.market",
    "_api.dca",
    "_api.hosted",
    "_api.endpoints",
    "_api.exchange",
    "_api.meaning",
    "_api.oddities",
    "_api.codec",
    "results",
    "_ledger.events",
    "_ledger.records",
    "_ledger.sizes",
    "_ledger.known",
    "_ledger.proof",
    "_ledger.placing",
    "_ledger.carried",
    "_ledger.ledger",
    "_ledger.closes",
    "_ledger.server_clock",
    "_journal.entries",
    "_journal.lock",
    "_journal.tables",
    "_journal.timeline",
    "_journal.store",
    "_journal.writer",
    "_journal.journal",
    "_journal.reading",
    "_wire.address",
    "_wire.rate_limit",
    "_wire.turns",
    "_wire.retries",
    "_wire.unpacking",
    "_wire.http1",
    "_wire.messages",
    "_wire.pool",
    "_wire.surroundings",
    "_wire.leaving",
    "_wire.proxy",
    "_wire.clients",
    "_wire.wire",
    "_wire.loading",
    "_wire.heart",
    "_wire.channel",
    "_account.calls",
    "_account.positions",
    "_account.door",
    "_account.guards",
    "_account.record",
    "_account.left_behind",
    "_account.orders",
    "_account.agenda",
    "_account.listing",
    "_account.shared",
    "_account.close_doubts",
    "_account.watch",
    "_account.recovery",
    "_account.journaling",
    "_account.account",
    "_account.registry",
    "_writes.listings",
    "_writes.follow_up",
    "_writes.view",
    "_writes.opens",
    "_writes.closes",
    "_writes.close_all",
    "_writes.signals",
    "_writes.flatten",
    "_writes.bulk",
    "_writes.doubts",
    "_writes.recovering",
    "_groups.walking",
    "_groups.following",
    "_groups.frames",
    "_groups.bar_cache",
    "_groups.market",
    "_groups.dca",
    "_groups.tradingview",
    "_groups.hosted",
    "_client",
    "mizar_async",
    "paper.rules",
    "paper.fills",
    "paper.pending",
    "paper.keys",
    "paper.bars",
    "paper.feeds.feed",
    "paper.feeds.simulated",
    "paper.feeds.recording",
    "paper.feeds.recorded",
    "paper.feeds",
    "paper.store.tables",
    "paper.store.rows",
    "paper.store.reading",
    "paper.store.store",
    "paper.store",
    "paper.market",
    "paper.venue",
    "paper.http.schema",
    "paper.http.bodies",
    "paper.http.answers",
    "paper.http.filling",
    "paper.http.commands",
    "paper.http.hosted",
    "paper.http.page",
    "paper.http.app",
    "paper.http.server",
    "paper.http",
    "paper",
    "cli.exits",
    "cli.output",
    "cli.progress",
    "cli.profiles",
    "cli.keys",
    "cli.session",
    "cli.commands",
    "cli.login",
    "cli.doctor",
    "cli.strategies",
    "cli.orders",
    "cli.bulk",
    "cli.positions",
    "cli.looks",
    "cli.watch",
    "cli.market",
    "cli.sources",
    "cli.stats",
    "cli.journal",
    "cli.guarding",
    "cli.guard",
    "cli.demo",
    "cli.paper",
    "cli.venue",
    "cli.app",
    "cli",
]

UPWARDS = {
    ("errors", "results"): "for a type: NotFlat carries the report of a flatten",
    ("_client", "paper"): "the constructor of a paper venue, which is an extra",
}

# The libraries that have one home each; whoever else wants what they do asks there.
HOMES = {
    "httpx": {"_wire", "paper.http", "cli.sources"},
    "h11": {"_wire.http1"},
    "aiohappyeyeballs": {"_wire.pool"},
    "cattrs": {"_api.oddities"},
    "sqlite3": {"_journal.store", "_journal.reading", "paper.store"},
    "tenacity": {"_wire.retries"},
    "sqlalchemy": {"paper.store"},
    "fastapi": {"paper.http"},
    "narwhals": {"_groups.frames"},
    "pyarrow": {"_groups.frames", "_groups.bar_cache"},
}


def name_of(path: Path) -> str:
    """The name of a module below the package, such as `_wire.channel`; the package itself has its own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts).removesuffix("__init__").removesuffix(".") or PACKAGE.name


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a module imports anywhere."""
    modules = {name_of(other) for other in PACKAGE.rglob("*.py")}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            place = path.relative_to(PACKAGE).parts[: -node.level]
            module = ".".join([*place, *(node.module.split(".") if node.module else [])])
            for alias in node.names:
                inner = f"{module}.{alias.name}".removeprefix(".")
                yield inner if inner in modules else module or PACKAGE.name


def test_imports_point_downwards() -> None:
    core = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.read_text()]
    assert {name_of(path) for path in core} == set(ORDER)
    found = {(name_of(path), module) for path in core for module in imported(path)}
    upwards = {(one, other) for one, other in found if other not in ORDER[: ORDER.index(one)]}
    assert upwards == set(UPWARDS)


BY_NAME = {
    "mizar_async": "finds public names when they are first used, in a table",
    "_wire.loading": "imports libraries together, from a table; our own by a statement",
}


def test_imports_within_the_package_are_relative_statements_so_that_the_order_sees_them_all() -> None:
    hidden = re.compile(rf"^\s*(import|from) {PACKAGE.name}|\bimport_module\b|\b__import__\b", re.MULTILINE)
    assert {name_of(path) for path in PACKAGE.rglob("*.py") if hidden.search(path.read_text())} == set(BY_NAME)


PUBLIC = {"mizar_async", "paper", "performance", "compare", "_version"}


def test_the_command_line_uses_public_names_only() -> None:
    for path in (PACKAGE / "cli").glob("*.py"):
        assert {module for module in imported(path) if not module.startswith("cli.")} <= PUBLIC, path


def imported_at_its_top(path: Path) -> set[str]:
    """What is imported as soon as a module is: not in its functions, nor for types alone."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(f"{'.' * node.level}{node.module or ''}".split(".")[0 if not node.level else -1])
    return found


def test_the_command_line_loads_nothing_heavy_before_it_needs_it() -> None:
    for path in (PACKAGE / "cli").glob("*.py"):
        assert not imported_at_its_top(path) & {"fastapi", "sqlalchemy", "httpx", "keyring", "paper"}, path


def test_the_ledger_imports_nothing_else_of_the_package() -> None:
    for path in (PACKAGE / "_ledger").glob("*.py"):
        assert {module for module in imported(path) if not module.startswith("_ledger")} == set()


def test_the_venue_imports_the_api_and_no_shell() -> None:
    for path in (PACKAGE / "paper").rglob("*.py"):
        outside = {module.split(".")[0] for module in imported(path)} - {"paper"}
        assert outside <= {"errors", "_clock", "_api"}, path


def test_each_library_has_one_home() -> None:
    for path in PACKAGE.rglob("*.py"):
        checked = ast.parse(path.read_text())
        for block in [node for node in ast.walk(checked) if isinstance(node, ast.If)]:
            if ast.unparse(block.test) == "TYPE_CHECKING":
                block.body = [ast.Pass()]
        for node in ast.walk(checked):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for library in {name.split(".")[0] for name in names} & HOMES.keys():
                assert any(name_of(path).startswith(home) for home in HOMES[library]), f"{path}: {library}"


def test_time_and_chance_have_one_home() -> None:
    direct = re.compile(r"\b(time\.(time|monotonic|sleep)|datetime\.(now|utcnow)|random\.(?!Random\b)\w+\(|uuid4\()")
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "mizar_sync").glob("*.py")]:
        if path.stem != "_clock":
            assert not direct.search(path.read_text()), path.name


def test_the_client_has_no_more_public_methods_than_can_be_read_in_one_go() -> None:
    public = [name for name in vars(mizar_async.AsyncMizar) if not name.startswith("_")]
    assert len(public) <= 28


def test_a_group_of_calls_stands_on_the_channel_and_the_options_alone() -> None:
    for path in (PACKAGE / "_groups").glob("*.py"):
        outside = {module.split(".")[0] for module in imported(path) if not module.startswith("_groups")}
        assert outside <= {"errors", "_clock", "_options", "_api", "_wire"}, path
    for name in ("AsyncMarket", "AsyncDca", "AsyncTradingView", "AsyncHosted"):
        group = getattr(mizar_async, name)
        assert list(inspect.signature(group).parameters) == ["channel", "options"]
        assert len([call for call in vars(group) if not call.startswith("_")]) <= 16


def test_every_row_of_the_api_stands_in_its_table() -> None:
    rows = {id(row) for row in vars(endpoints).values() if isinstance(row, endpoints.Endpoint)}
    assert rows - {id(row) for row in endpoints.ENDPOINTS} == {id(endpoints.BARS_OF_FLOATS)}  # one, read in two ways


def test_a_paper_venue_is_described_by_the_same_words_wherever_one_is_made() -> None:
    made = [list(inspect.signature(of).parameters) for of in (mizar_async.AsyncMizar.paper, in_process)]
    assert made[0] == made[1] == [name for name in inspect.signature(Venue.of).parameters if name != "db"]
    by_hand = {"store", "feed", "clock", "rng", *made[0]} - {"prices", "pair", "speed", "seed", "volume_in"}
    assert set(inspect.signature(Venue).parameters) == by_hand
    assert set(inspect.signature(paper_command).parameters) == {*made[0], "session", "db", "host", "port"}


def test_no_other_class_has_more_than_twenty_public_methods() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name != "AsyncMizar":
                methods = [one for one in node.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
                assert sum(not one.name.startswith("_") for one in methods) <= 20, node.name


def test_the_public_names_are_a_list_and_both_packages_share_them() -> None:
    clients = {name for name in mizar_async.__all__ if name.startswith("Async")}
    both = set(mizar_async.__all__) - clients
    assert both == set(mizar_sync.__all__) - {name.removeprefix("Async") for name in clients}
    for name in both:
        assert getattr(mizar_sync, name) is getattr(mizar_async, name)
    assert mizar.__all__ == ["Mizar", "MizarAPIException", "MizarStudio"]


def test_a_traceback_shows_the_public_name() -> None:
    for package in (mizar_async, mizar_sync, mizar):
        for name in package.__all__:
            thing = getattr(package, name)
            if isinstance(thing, type) and (issubclass(thing, Exception) or "Mizar" in name):
                assert "._" not in thing.__module__, thing


def test_the_names_are_found_when_they_are_used_and_no_others() -> None:
    homes = [name for names in mizar_async._HOMES.values() for name in names]
    assert sorted(homes) == mizar_async.__all__ == dir(mizar_async)
    assert not hasattr(mizar_async, "Elsewhere")


def test_every_package_is_typed() -> None:
    for package in ("mizar_async", "mizar_sync", "mizar"):
        assert (ROOT / package / "py.typed").exists()


# A line may end this much before its last column for the sake of a phrase; one that ends earlier is an orphan.
FULL_LINE = 100


def documentation(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each paragraph of each docstring of a module, and the column in which its text begins."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for paragraph in inspect.cleandoc(node.value.value).split("\n\n"):
                yield node.col_offset, paragraph.splitlines()


def orphans(column: int, paragraph: list[str]) -> Iterator[str]:
    """The lines of a paragraph that end early in the middle of a sentence."""
    for line, following in itertools.pairwise(paragraph):
        prose = line[:1].isalnum() or line[:1] in "`*(\"'"
        goes_on = prose and not line.endswith((".", ":")) and not following.startswith(" ")
        if goes_on and column + len(f"{line} {following.split()[0]}") <= FULL_LINE:
            yield line


def is_code(paragraph: list[str]) -> bool:
    """Whether a paragraph is a statement: an example that stands where prose belongs."""
    try:
        ast.parse("async def example():\n" + "\n".join(f"    {line}" for line in paragraph))
    except SyntaxError:
        return False
    return not paragraph[0].startswith(" ") and any(mark in paragraph[0] for mark in "(=")


def test_docstrings_are_wrapped_where_their_lines_are_full_and_their_examples_are_indented() -> None:
    sources = {path for name in ("mizar_async", "mizar_sync", "mizar") for path in (ROOT / name).rglob("*.py")}
    for path in sources:
        for column, paragraph in documentation(path):
            assert [*orphans(column, paragraph)] == [], path
            assert not is_code(paragraph), path
