"""The tree of errors: as it is drawn, as plain data, and without the key."""

from __future__ import annotations

import copy
import pickle

import pytest

from mizar_async import errors

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MizarError)]


def drawn() -> dict[str, str]:
    """Each class of the drawing in the module's docstring, and the class that it hangs from."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        branch = line.rstrip().lstrip("│├└─ ")
        if line.strip() == "MizarError":
            above = ["MizarError"]
        elif "── " in line:
            depth = (line.index("── ") - 5) // 4 + 1
            above[depth:] = [branch.split()[0]]
            parents[above[depth]] = above[depth - 1]
    return parents


def test_the_tree_is_the_one_that_is_drawn() -> None:
    actual = {kind.__name__: kind.__mro__[1].__name__ for kind in CLASSES if kind is not errors.MizarError}
    assert drawn() == actual


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_copying_and_pickling_with_all_that_it_tells(kind: type[errors.MizarError], again) -> None:
    error = kind("what was wrong", method="POST", path="open-position", status=500, server_says="no", attempts=3)
    twin = again(error)
    assert type(twin) is kind
    assert str(twin) == "what was wrong"
    assert vars(twin) == vars(error)
    assert twin.happened == error.happened


@pytest.mark.parametrize(
    ("kind", "happened"),
    [
        (errors.NotSent, "no"),
        (errors.Refused, "no"),
        (errors.RateLimited, "no"),
        (errors.NotOpened, "no"),
        (errors.InvalidInput, "no"),
        (errors.Unavailable, "no"),
        (errors.OutcomeUnknown, "perhaps"),
        (errors.NotFlat, "perhaps"),
        (errors.AnswerUnreadable, "yes"),
    ],
)
def test_each_error_says_whether_it_happened(kind: type[errors.MizarError], happened: str) -> None:
    assert kind("x").happened == happened


def test_an_unknown_outcome_is_no_kind_of_refusal_and_bad_input_is_a_value_error() -> None:
    assert not issubclass(errors.OutcomeUnknown, errors.Refused)
    assert issubclass(errors.InvalidInput, ValueError)
