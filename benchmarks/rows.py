"""Ratios taken side by side, and the table that compares them with what is asked."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs

ROUNDS: Final = 9

Measure = Callable[[], float]


def side_by_side(*measures: Measure, rounds: int) -> list[list[float]]:
    """Take each measure once in every round, so that whatever else the machine does hits all of them alike.

    Every second round goes backwards: none is always the first.
    """
    samples: list[list[float]] = [[] for _ in measures]
    for number in range(rounds):
        order = range(len(measures)) if number % 2 == 0 else reversed(range(len(measures)))
        for index in order:
            samples[index].append(measures[index]())
    return samples


@attrs.frozen
class Row:
    """One number that is asked, and what was measured for it, once in each round."""

    what: str
    asked: float | None
    """None where nothing is asked, and it is shown to compare."""
    measured: Sequence[float]
    at_least: bool = False
    unit: str = "x"
    detail: str = ""

    @property
    def median(self) -> float:
        """The figure that counts."""
        return statistics.median(self.measured)

    @property
    def reached(self) -> bool:
        """Whether the median is what was asked, or better."""
        if self.asked is None:
            return True
        return self.median >= self.asked if self.at_least else self.median <= self.asked

    def cells(self) -> list[str]:
        """What the table shows."""
        bound = "at least" if self.at_least else "at most"
        spread = f"{min(self.measured):.3g} to {max(self.measured):.3g}"
        if self.asked is None:
            return [self.what, "", f"{self.median:.3g} {self.unit}", spread, "", self.detail]
        verdict = "reached" if self.reached else f"**missed by {abs(self.median / self.asked - 1):.0%}**"
        return [
            self.what,
            f"{bound} {self.asked:g} {self.unit}",
            f"{self.median:.3g} {self.unit}",
            spread,
            verdict,
            self.detail,
        ]


def ratios(above: Iterable[float], below: Iterable[float]) -> list[float]:
    """The ratio of each round."""
    return [upper / lower for upper, lower in zip(above, below, strict=True)]


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    head = ["what", "asked", "measured", "rounds", "", "medians behind it"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def seconds(samples: Iterable[float]) -> str:
    """A median in seconds, or what suits its size."""
    median = statistics.median(samples)
    return f"{median:.2f} s" if median >= 1 else f"{1000 * median:.3g} ms"


def per_second(count: int, samples: Iterable[float]) -> str:
    """How many a second, at the median."""
    return f"{count / statistics.median(samples):,.0f}/s"
