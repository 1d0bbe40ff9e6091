"""How a command is made: its own arguments, and the options of all commands, which may stand before or behind it."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import typer

from .exits import WRONG_INPUT, Failure
from .output import Output
from .session import Session, carry_out

Command = Callable[..., Awaitable[int | None]]


def _profile_names() -> list[str]:
    """What completion offers: it reads a file, and asks nobody."""
    from .profiles import known_names

    return known_names()


# fmt: off
_SHARED: Final[dict[str, Any]] = {
    "profile":  (str,  "--profile",  "Use the key and address of this profile."),
    "as_json":  (bool, "--json",     "Print JSON."),
    "as_csv":   (bool, "--csv",      "Print CSV."),
    "yes":      (bool, "--yes",      "Answer questions with yes."),
    "quiet":    (bool, "--quiet",    "Print results and faults alone."),
    "no_color": (bool, "--no-color", "Print no colours; so does NO_COLOR."),
}
# fmt: on


_FURTHER: Final = f"Beside these: {', '.join(option for _, option, _ in _SHARED.values())} (`mizar --help`)."


def _shared(*, hidden: bool) -> dict[str, Any]:
    """The options of all commands, as typer has them; None where one was not given."""
    found = {}
    for name, (kind, option, explained) in _SHARED.items():
        completion = _profile_names if name == "profile" else None
        told = typer.Option(option, help=explained, hidden=hidden, autocompletion=completion)
        found[name] = Annotated[kind | None, told]
    return found


def group(app: typer.Typer, name: str, explained: str, alone: Command | None = None) -> typer.Typer:
    """A group of commands below a name; `alone` is what it does where none of them is named."""
    made = typer.Typer(rich_markup_mode=None, help=explained, no_args_is_help=alone is None)

    async def nameless(_: Session) -> int:
        raise Failure(f"name a command: `mizar {name} --help` lists them", WRONG_INPUT)

    nameless.__doc__ = explained
    by_itself(made, alone or nameless)
    app.add_typer(made, name=name)
    return made


def command(app: typer.Typer, name: str | None = None, **settings: Any) -> Callable[[Command], Command]:
    """Make a coroutine function a command: it is given the `Session`, then its arguments."""

    def register(function: Command) -> Command:
        app.command(name, epilog=_FURTHER, **settings)(_entry(function))
        return function

    return register


def by_itself(app: typer.Typer, function: Command, *, hidden: bool = True) -> None:
    """What a group does where none of its commands is named; `hidden` keeps the options of all out of its help."""
    app.callback(invoke_without_command=True)(_entry(function, hidden=hidden))


def _entry(function: Command, *, hidden: bool = True) -> Callable[..., None]:
    """What typer is given: a plain function with the arguments of both."""
    hints = typing.get_type_hints(function, include_extras=True)
    own = [
        one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for one in list(inspect.signature(function).parameters.values())[1:]
    ]
    options = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for option, annotation in _shared(hidden=hidden).items()
    ]
    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    parameters += [*own, *options]

    def entry(*, context: typer.Context, **values: Any) -> None:
        given = dict(context.obj or {}) | {name: values[name] for name in _SHARED if values[name] is not None}
        if context.invoked_subcommand is not None:
            context.obj = given
            return
        sys.exit(_run(function, given, {one.name: values[one.name] for one in own}))

    entry.__name__, entry.__doc__ = function.__name__, function.__doc__
    entry.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    entry.__annotations__ = {one.name: one.annotation for one in parameters}
    return entry


def _run(function: Command, given: dict[str, Any], values: dict[str, Any]) -> int:
    profile, yes = given.pop("profile", None), given.pop("yes", False)
    session = Session(Output(**given), profile=profile, yes=yes)
    if session.out.as_json and session.out.as_csv:
        session.out.fault("--json and --csv exclude each other: give one of them")
        return WRONG_INPUT
    return carry_out(functools.partial(function, session, **values), session)
