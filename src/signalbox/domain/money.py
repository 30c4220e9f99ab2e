"""Exact money. Decimal everywhere; rounding to a step is done here and nowhere else."""

import re
from collections.abc import Iterable
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow

from signalbox.domain.errors import ConfigError

ZERO = Decimal(0)
ONE = Decimal(1)

_WIDE = Context(prec=100, traps=[InvalidOperation, DivisionByZero, Overflow])
"""Python's default context rounds to 28 digits, and whoever runs us may have set another one. 100 digits hold every
sum and product of amounts that parse_amount lets in, so these are exact."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_MOST_DIGITS = 40


def parse_amount(text: object, *, field: str) -> Decimal:
    """Read a decimal number that a person or a venue wrote; refuse NaN, infinities and anything else.

    More than 40 digits before or after the point are refused too: no amount of money has them.
    Raises ConfigError with the field and the value.
    """
    if not isinstance(text, str) or not _NUMBER.fullmatch(text.strip()):
        raise ConfigError(f"{field} must be a decimal number, got {_excerpt(text)}")
    value = Decimal(text.strip())
    if value.adjusted() >= _MOST_DIGITS or int(value.as_tuple().exponent) < -_MOST_DIGITS:
        raise ConfigError(f"{field} must have at most {_MOST_DIGITS} digits on each side, got {_excerpt(text)}")
    return value


def _excerpt(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else shown[:80] + "…"


def plus(left: Decimal, right: Decimal) -> Decimal:
    """The exact sum of two."""
    return _WIDE.add(left, right)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    result = ZERO
    for amount in amounts:
        result = _WIDE.add(result, amount)
    return result


def product(left: Decimal, right: Decimal) -> Decimal:
    """The exact product."""
    return _WIDE.multiply(left, right)


def share(amount: Decimal, part: Decimal, whole: Decimal, *, step: Decimal) -> Decimal:
    """`part`/`whole` of an amount, rounded down to a multiple of `step`. All not negative, whole and step > 0."""
    return _WIDE.multiply(_WIDE.divide_int(product(amount, part), product(whole, step)), step)


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`. step > 0."""
    count, rest = _WIDE.divmod(value, step)
    return _WIDE.multiply(_WIDE.subtract(count, ONE) if rest < 0 else count, step)


def round_up(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`. step > 0."""
    count, rest = _WIDE.divmod(value, step)
    return _WIDE.multiply(_WIDE.add(count, ONE) if rest > 0 else count, step)


def step_of(decimals: int) -> Decimal:
    """10^-decimals: the step of a venue that gives a number of decimals instead of a tick or lot size."""
    return ONE.scaleb(-decimals)


def plain(value: Decimal) -> str:
    """Decimal text without an exponent and without trailing zeros, as venues want it on the wire."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
