"""Bars of progress."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def bar(console: Console) -> Progress:
    """A bar that says what is going on, how far it is, and how long it took."""
    width = max(8, min(40, console.width - 32))
    columns = (TextColumn("{task.description}"), BarColumn(width), MofNCompleteColumn(), TimeElapsedColumn())
    # rich would show what goes to stdout above its bar, in place of writing it there.
    return Progress(*columns, console=console, redirect_stdout=False)


def follow(progress: Progress, what: str) -> Callable[[int, int | None], None]:
    """A callback that moves a bar."""
    task = progress.add_task(what, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)
