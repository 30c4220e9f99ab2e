"""Exact money. Decimal everywhere; rounding to a step is done here and nowhere else."""

from decimal import ROUND_DOWN, ROUND_UP, Decimal, InvalidOperation

from signalbox.domain.errors import ConfigError

ZERO = Decimal(0)
ONE = Decimal(1)


def parse_amount(text: str, *, field: str) -> Decimal:
    """Read a decimal number that a person or a venue wrote; refuse NaN, infinities and anything else.

    Raises ConfigError with the field and the value.
    """
    try:
        value = Decimal(text.strip())
    except (InvalidOperation, AttributeError):
        raise ConfigError(f"{field} must be a decimal number, got {text!r}") from None
    if not value.is_finite():
        raise ConfigError(f"{field} must be a finite number, got {text!r}")
    return value


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value` (for a non-negative value). step > 0."""
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step


def round_up(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value` (for a non-negative value). step > 0."""
    return (value / step).to_integral_value(rounding=ROUND_UP) * step


def step_of(decimals: int) -> Decimal:
    """10^-decimals: the step of a venue that gives a number of decimals instead of a tick or lot size."""
    return ONE.scaleb(-decimals)


def plain(value: Decimal) -> str:
    """Decimal text without an exponent and without trailing zeros, as venues want it on the wire."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
