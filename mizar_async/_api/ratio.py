"""A share of a price: a take profit, a stop loss. The API has it in percent here and as a fraction there."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final, Never, Self

import attrs

from . import checks

# Enough for any number that `checks.number` lets through, so that a hundredth of it and a hundred of it are exact.
_EXACT: Final = Context(prec=500, Emin=-999999, Emax=999999, traps=[])


@attrs.frozen(init=False, repr=False, order=True)
class Ratio:
    """A share that says whether it is meant in percent or as a fraction: the two are a hundred apart.

        Ratio.percent("1.5") == Ratio.fraction("0.015")

    Numbers are exact; a float means its shortest decimal. Raises `InvalidInput` for what is no finite number.
    """

    as_fraction: Decimal
    """0.015 for one and a half percent."""

    def __init__(self, *_: Never) -> None:
        raise TypeError('write Ratio.percent("1.5") or Ratio.fraction("0.015"), which are the same')

    @classmethod
    def percent(cls, value: float | Decimal | str) -> Self:
        """So many hundredths."""
        return cls._of(_EXACT.scaleb(_finite("percent", value), -2))

    @classmethod
    def fraction(cls, value: float | Decimal | str) -> Self:
        """So much of the whole."""
        return cls._of(_finite("fraction", value))

    @property
    def as_percent(self) -> Decimal:
        """1.5 for one and a half percent."""
        return _EXACT.scaleb(self.as_fraction, 2)

    @classmethod
    def _of(cls, fraction: Decimal) -> Self:
        ratio = object.__new__(cls)
        object.__setattr__(ratio, "as_fraction", fraction)
        return ratio

    def __repr__(self) -> str:
        return f"Ratio.percent('{self.as_percent.normalize(_EXACT):f}')"


def _finite(name: str, value: object) -> Decimal:
    try:
        exact = checks.number(Decimal(value) if isinstance(value, str) else value)
    except ArithmeticError:
        exact = Decimal("NaN")
    if not exact.is_finite():
        raise checks.refuse(name, value, "it must be a finite number, such as 1.5 or '1.5'")
    return exact
