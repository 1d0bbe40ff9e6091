"""The shape of the code: imports point downwards, time has one home, the public names are a list."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import mizar
import mizar_async
import mizar_sync

from .venues import ROOT

PACKAGE = ROOT / "mizar_async"

# A module may import those above it in this list.
ORDER = [
    "errors",
    "_models",
    "_endpoints",
    "_options",
    "_clock",
    "_address",
    "_codec",
    "_ledger_events",
    "_ledger_records",
    "_ledger",
    "_server_clock",
    "_in_flight",
    "_rate_limit",
    "_retries",
    "_transport",
    "_watch",
    "_account",
    "_channel",
    "_follow_up",
    "_opens",
    "_closes",
    "_close_all",
    "_signals",
    "_flatten",
    "_reconcile",
    "_bulk",
    "_client",
]


def imports(path: Path) -> set[str]:
    """The modules of the package that a module needs when it is imported."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
    return {name for name in found if name}


def test_imports_point_downwards() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "cli"}
    assert modules == set(ORDER)
    for place, module in enumerate(ORDER):
        assert imports(PACKAGE / f"{module}.py") <= set(ORDER[:place]), module


def test_only_one_module_imports_the_http_libraries() -> None:
    for path in PACKAGE.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert path.stem == "_transport" or not {"httpx", "aiohttp"} & set(names), path.name


def test_time_and_chance_have_one_home() -> None:
    direct = re.compile(r"\b(time\.(time|monotonic|sleep)|datetime\.(now|utcnow)|random\.(?!Random\b)\w+\(|uuid4\()")
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "mizar_sync").glob("*.py")]:
        if path.stem != "_clock":
            assert not direct.search(path.read_text()), path.name


def test_the_client_has_no_more_public_methods_than_can_be_read_in_one_go() -> None:
    public = [name for name in vars(mizar_async.AsyncMizar) if not name.startswith("_")]
    assert len(public) <= 25


def test_the_public_names_are_a_list_and_both_packages_share_them() -> None:
    both = set(mizar_async.__all__) - {"AsyncMizar"}
    assert both == set(mizar_sync.__all__) - {"Mizar"}
    for name in both:
        assert getattr(mizar_sync, name) is getattr(mizar_async, name)
    assert mizar.__all__ == ["Mizar", "MizarAPIException"]


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
