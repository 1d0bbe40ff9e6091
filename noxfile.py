"""What is done to this project, each in a virtual environment of its own: `nox -l` lists it."""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")


def group(name: str) -> list[str]:
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, with branch coverage: `nox -s tests -- -k open` runs some, without it."""
    session.install("-e", ".[paper,speed,frames,hosted]", *group("tests"), *group("lint"))
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("coverage", "erase")
    # More than there are cores, since many tests wait: for settle times, and for servers that never answer.
    session.run("pytest", "-n", "6", "--dist", "worksteal", "--cov", "--cov-report=", "tests")
    session.run("coverage", "report", "--fail-under=90")
    session.run("coverage", "report", "--fail-under=95", "--omit=mizar_async/paper/*,mizar_async/cli/*")


@nox.session
def faults(session: nox.Session) -> None:
    """The same against faults at full length: simulation, mutation, network, wire, kills, damage, the schema."""
    session.install("-e", ".[paper,speed,frames,hosted]", *group("tests"), *group("faults"))
    places = ("tests/simulation", "tests/scenarios", "tests/paper", "tests/faults", "tests/journal", "tests/wire")
    session.run("pytest", "-n", "2", "--dist", "worksteal", *places, env={"MIZAR_FAULTS_FULL": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Types, by mypy --strict and by pyright."""
    session.install("-e", ".[paper,keyring,frames,hosted]", *group("types"))
    session.run("mypy")
    session.run("pyright")


@nox.session
def generate(session: nox.Session) -> None:
    """Write mizar_sync/_client.py anew; `-- --check` only says whether it is up to date."""
    session.install(*group("lint"))
    session.run("python", ".ci/generate_sync.py", *session.posargs)


@nox.session
def interop(session: nox.Session) -> None:
    """The public client of 2021, unmodified, against the venue."""
    old = Path(session.create_tmp()).resolve() / "old"
    session.run("python", "-m", "venv", "--clear", str(old), silent=True)
    python = str(old / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", "--no-deps", "mizar==0.1.5", external=True)
    session.run(python, "-m", "pip", "install", "--quiet", "requests", "dill", "pandas", external=True)
    session.install("-e", ".[paper,frames]", *group("tests"))
    session.run("pytest", "tests/interop", env={"MIZAR_OLD_PYTHON": python})


@nox.session
def figures(session: nox.Session) -> None:
    """Drawdown and Sharpe ratio beside those of empyrical."""
    session.install("-e", ".[paper]", *group("tests"), *group("figures"))
    session.run("pytest", "tests/figures", *session.posargs)


@nox.session
def pictures(session: nox.Session) -> None:
    """Draw the pictures of the command line in docs/ anew."""
    session.install("-e", ".[paper,speed]")
    session.run("python", ".ci/pictures.py")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks: ratios, taken side by side in one run."""
    session.install(".[paper,speed,frames]", *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples of the README and of docs/ against the paper venue."""
    session.install("-e", ".[paper,frames]", *group("tests"))
    session.run("pytest", "tests/test_docs.py")
