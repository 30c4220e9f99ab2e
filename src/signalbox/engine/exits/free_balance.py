"""What can be sold of an asset, asked for when an order says that the books are wrong."""

from decimal import Decimal

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.money import ZERO
from signalbox.domain.ports import EventSink, OrderVenue
from signalbox.engine.asking import asked


async def free_balance(venue: OrderVenue, asset: str, journal: EventSink) -> Decimal | None:
    """The free balance of one asset; None when the venue does not say."""
    try:
        balances = await asked(venue.balances(), what="the account's balances")
    except (VenueUnavailable, VenueRefused) as error:
        journal.health("balances", "degraded", asset=asset, reason=str(error))
        return None
    journal.health("balances", "running")
    return next((balance.free for balance in balances if balance.asset == asset), ZERO)
