"""How much of a position can be sold at once, and at which lowest price."""

from decimal import Decimal

from msgspec import Struct

from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ONE, ZERO, product, round_down, round_up, share, total


class SaleTerms(Struct, frozen=True, kw_only=True):
    """What a sale meets: the market's rules, and its best bid (quote per base; None when it is not known).

    `discount`: the sale is a limit order that goes this fraction below the bid; None: it is a market order.
    """

    instrument: Instrument
    bid: Decimal | None = None
    discount: Decimal | None = None


def limit_price(terms: SaleTerms, *, at_least: Decimal = ZERO) -> Decimal | None:
    """The lowest price that a limit sale accepts, on the tick; None for a market order, or without a bid.

    Never below `at_least`, never above the bid, and within the distance that the venue allows.
    """
    if terms.discount is None or terms.bid is None:
        return None
    most = terms.instrument.sell_band
    discount = terms.discount if most is None else min(terms.discount, most)
    lowest = max(product(terms.bid, total((ONE, discount.copy_negate()))), at_least)
    return min(max(round_up(lowest, terms.instrument.tick_size), terms.instrument.tick_size), terms.bid)


def least_quantity(terms: SaleTerms) -> Decimal:
    """The smallest quantity that the venue takes at these terms: a lot, and its minimum notional where a bid tells
    what a quantity is worth."""
    rules = terms.instrument
    price = limit_price(terms) or terms.bid
    minimum = rules.min_notional_market if terms.discount is None else rules.min_notional
    if price is None or minimum <= 0:
        return rules.lot_size
    enough = share(minimum, ONE, price, step=rules.lot_size)
    if product(enough, price) < minimum:
        enough = total((enough, rules.lot_size))
    return max(enough, rules.lot_size)


def sale_quantity(terms: SaleTerms, *, held: Decimal, wanted: Decimal) -> Decimal:
    """`wanted` as the venue takes it; zero when it is too small to be sold.

    In whole lots and not more than is held; with all the rest when the rest could not be sold alone; and not more than
    the venue takes in one market order.
    """
    rules = terms.instrument
    everything = round_down(max(held, ZERO), rules.lot_size)
    part = min(round_down(max(wanted, ZERO), rules.lot_size), everything)
    least = least_quantity(terms)
    if part < least:
        return ZERO
    if ZERO < total((everything, part.copy_negate())) < least:
        part = everything
    if terms.discount is None and rules.max_notional_market and terms.bid:
        most = share(rules.max_notional_market, ONE, terms.bid, step=rules.lot_size)
        part = min(part, max(most, rules.lot_size))
    return part
