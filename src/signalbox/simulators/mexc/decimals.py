"""Exact decimal text and truncation, as the venue writes and cuts its numbers."""

from decimal import ROUND_DOWN, Decimal


def plain(value: Decimal) -> str:
    """Decimal text without exponent and without trailing zeros: `Decimal("47.610")` -> `"47.61"`."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if text not in ("", "-0") else "0"


def fixed(value: Decimal, places: int) -> str:
    """Decimal text with exactly `places` decimals, cut, not rounded (the book endpoints keep trailing zeros)."""
    return format(truncate(value, places), "f")


def truncate(value: Decimal, places: int) -> Decimal:
    """Cut to `places` decimals towards zero."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN)


def decimals_of(value: Decimal) -> int:
    """How many decimals the value needs: `0.50` needs one."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
