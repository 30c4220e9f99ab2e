"""How one attempt of an entry is priced and sized."""

from decimal import Decimal

from msgspec import Struct

from signalbox.domain.configuration import BotConfiguration, ListingSniperParameters, begins_with_limit
from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ONE, product, round_down, share, total
from signalbox.domain.orders import OrderType, TimeInForce


class OrderShape(Struct, frozen=True, kw_only=True):
    """How one attempt is priced and sized; exactly one of `quote_amount` and `quantity` is set."""

    order_type: OrderType
    time_in_force: TimeInForce | None = None
    quote_amount: Decimal | None = None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None


def first_shape(
    configuration: BotConfiguration, *, instrument: Instrument | None, price: Decimal | None
) -> OrderShape | None:
    """How the first attempt goes out, or None when its style needs a price or a market rule that is not known yet."""
    parameters, spend = configuration.parameters, configuration.quote_amount
    if begins_with_limit(parameters):
        return ioc_shape(parameters, spend, instrument=instrument, price=price)
    return OrderShape(order_type=OrderType.MARKET, quote_amount=spend)


def ioc_shape(
    parameters: ListingSniperParameters,
    spend: Decimal,
    *,
    instrument: Instrument | None,
    price: Decimal | None,
    price_cap: Decimal | None = None,
) -> OrderShape | None:
    """An immediate-or-cancel limit buy that can never cost more than `spend` (quote) nor more than the highest price.

    The limit price is the reference price plus the allowed slippage, held under the configuration's and the venue's
    caps and rounded down to the tick; the quantity is rounded down to the lot. None when there is nothing to price
    with, or when the size would round to nothing.
    """
    candidates = [
        product(price, total((ONE, parameters.max_slippage))) if price is not None else None,
        parameters.max_price,
        price_cap,
    ]
    known = [candidate for candidate in candidates if candidate is not None]
    if instrument is None or not known or (price is None and parameters.max_price is None):
        return None
    limit_price = round_down(min(known), instrument.tick_size)
    if limit_price <= 0:
        return None
    quantity = share(spend, ONE, limit_price, step=instrument.lot_size)
    if quantity <= 0:
        return None
    return OrderShape(
        order_type=OrderType.LIMIT, time_in_force=TimeInForce.IOC, quantity=quantity, limit_price=limit_price
    )
