"""The fill model of simulated orders: walk the visible book, level by level. Pure.

What it does not know: who else would take the same liquidity, how the book reacts, and where we would stand in a queue.
So nothing rests: what the book does not give at once is cancelled.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.instruments import Instrument
from signalbox.domain.market import BookLevel
from signalbox.domain.money import ZERO, round_down
from signalbox.domain.orders import Side

FILL_MODEL = "book-walk-v1"


class WalkFill(Struct, frozen=True, kw_only=True):
    """One level's part of a simulated order. `fee` in quote."""

    price: Decimal
    quantity: Decimal
    quote: Decimal
    fee: Decimal


def buy_by_quote(levels: Sequence[BookLevel], spend: Decimal, instrument: Instrument) -> list[WalkFill]:
    """Buy from the asks, best first, until nothing more fits into `spend` (quote, fees on top of it).

    Every quantity is a multiple of the lot; the sum of the quotes never exceeds `spend`.
    """
    fills: list[WalkFill] = []
    left = spend
    for level in levels:
        affordable = round_down(left / level.price, instrument.lot_size)
        offered = round_down(level.quantity, instrument.lot_size)
        if affordable * level.price > left:  # the division was rounded up to a whole lot
            affordable -= instrument.lot_size
        quantity = min(affordable, offered)
        if quantity > 0:
            fills.append(_fill(level.price, quantity, instrument))
            left -= level.price * quantity
        if affordable < offered:
            break
    return fills


def take_quantity(
    levels: Sequence[BookLevel],
    quantity: Decimal,
    instrument: Instrument,
    *,
    side: Side,
    limit_price: Decimal | None = None,
) -> list[WalkFill]:
    """Take a base quantity, rounded down to the lot, from the opposite side, not beyond the limit price."""
    fills: list[WalkFill] = []
    left = round_down(quantity, instrument.lot_size)
    for level in levels:
        if limit_price is not None and (level.price > limit_price if side is Side.BUY else level.price < limit_price):
            break
        taken = min(left, round_down(level.quantity, instrument.lot_size))
        if taken > 0:
            fills.append(_fill(level.price, taken, instrument))
            left -= taken
        if left <= 0:
            break
    return fills


def _fill(price: Decimal, quantity: Decimal, instrument: Instrument) -> WalkFill:
    quote = price * quantity
    return WalkFill(price=price, quantity=quantity, quote=quote, fee=quote * instrument.taker_rate)


def total_quantity(fills: Sequence[WalkFill]) -> Decimal:
    """Base quantity of all fills."""
    return sum((fill.quantity for fill in fills), ZERO)


def total_quote(fills: Sequence[WalkFill]) -> Decimal:
    """Quote amount of all fills, without fees."""
    return sum((fill.quote for fill in fills), ZERO)
