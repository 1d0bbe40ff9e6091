"""What the venue's fills are like: what they cost, when they come, and what of a real exchange they leave out."""

from __future__ import annotations

import random
from decimal import Context, Decimal
from typing import Final

import attrs

from .._api import checks
from . import rules

SPREAD: Final = Decimal("0.02")
"""Percent between buying and selling, half of it on each fill."""

FEE: Final = Decimal("0.1")
"""Percent of each fill, of exchange and platform together."""

LONGEST_DELAY: Final = 3600
"""Seconds."""

_EXACT: Final = Context(prec=80, Emin=-999999, Emax=999999, traps=[])
_MOST_DECIMALS: Final = 40


def _setting(value: object) -> Decimal:
    """A number or its text, exactly and without needless zeros; NaN for what is none, and for endless decimals."""
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except ArithmeticError:
            return Decimal("NaN")
    exact = checks.number(value)
    if not exact.is_finite() or exact.as_tuple().exponent < -_MOST_DECIMALS:  # type: ignore[operator]
        return Decimal("NaN")
    return exact


def _percentage(name: str, value: object) -> Decimal:
    percent = _setting(value)
    if not (percent.is_finite() and 0 <= percent < 100):
        allowed = f"it must be a percentage, from 0 up to less than 100, of at most {_MOST_DECIMALS} decimals"
        raise checks.refuse(name, value, allowed)
    return percent.copy_abs().normalize(_EXACT)


def _spread(value: object) -> Decimal:
    return _percentage("spread", value)


def _slippage(value: object) -> Decimal:
    return _percentage("slippage", value)


def _fee(value: object) -> Decimal:
    return _percentage("fee", value)


def _delay(value: object) -> Decimal:
    seconds = _setting(value)
    if not (seconds.is_finite() and 0 <= seconds <= LONGEST_DELAY):
        allowed = f"it must be a number of seconds, from 0 to {LONGEST_DELAY}, of at most {_MOST_DECIMALS} decimals"
        raise checks.refuse("delay", value, allowed)
    return seconds.copy_abs().normalize(_EXACT)


@attrs.frozen(kw_only=True)
class FillModel:
    """How orders are filled.

        FillModel(slippage="0.05", delay=0.5).sentence

    Half of `spread` and all of `slippage`, both in percent of the price, make a fill worse. `fee` is in percent of each
    fill, and is no part of its price. `delay` is in seconds: a fill comes that much after its order, more or less by up
    to half of it. Raises `InvalidInput` for percentages that are not from 0 up to, not including, 100, for a spread and
    a slippage that would leave nothing of a price, and for a delay that is not from 0 to an hour.
    """

    spread: Decimal = attrs.field(default=SPREAD, converter=_spread)
    slippage: Decimal = attrs.field(default=Decimal(0), converter=_slippage)
    fee: Decimal = attrs.field(default=FEE, converter=_fee)
    delay: Decimal = attrs.field(default=Decimal(0), converter=_delay)

    def __attrs_post_init__(self) -> None:
        if _EXACT.add(_EXACT.divide(self.spread, Decimal(2)), self.slippage) >= 100:
            allowed = f"together with half of spread={self.spread:f} it must stay below 100 percent"
            raise checks.refuse("slippage", self.slippage, allowed)

    @property
    def settings(self) -> str:
        """All of it in a few words, for a repr."""
        percentages = f"spread {self.spread:f} %, slippage {self.slippage:f} %, fee {self.fee:f} %"
        return f"{percentages}, delay {self.delay:f} s"

    @property
    def sentence(self) -> str:
        """What is modelled, and what is not."""
        spread = f"a spread of {self.spread:f} %" if self.spread else "no spread"
        slippage = f"a slippage of {self.slippage:f} %" if self.slippage else "no slippage"
        fees = f"a fee of {self.fee:f} %" if self.fee else "no fees"
        delay = f"after a delay of {self.delay:f} s +-50 %" if self.delay else "without delay"
        return (
            f"Fills pay {spread}, {slippage} and {fees}, {delay}; depth, partial fills and rejections of the exchange "
            "are not modelled: real results are worse."
        )

    def price(self, price: Decimal, *, buys: bool) -> Decimal:
        """The price of a fill, of the feed's."""
        return rules.fill(price, buys=buys, spread=self.spread, slippage=self.slippage)

    def drawn_delay(self, rng: random.Random) -> int:
        """How long one fill takes, in milliseconds."""
        return round(float(self.delay) * 1000 * rng.uniform(0.5, 1.5))
