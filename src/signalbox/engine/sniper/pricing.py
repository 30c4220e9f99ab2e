"""What a limit entry needs before it can be decided on: the market's rules, and a price to start from."""

from datetime import timedelta
from decimal import Decimal

from signalbox.domain.configuration import ListingSniperParameters
from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.ports import Clock, EventSink, MarketData
from signalbox.domain.signals import ListingSignal
from signalbox.engine.asking import asked
from signalbox.engine.desk import Desk
from signalbox.engine.orders.openings import Opening

LOOK_EVERY = timedelta(milliseconds=500)
"""Before an opening there may be neither rules nor offers; each look costs up to 10 of 300 weight in ten seconds."""


class Pricing:
    """Asks the venue for what it has not told yet."""

    def __init__(self, desk: Desk, market: MarketData, *, clock: Clock, journal: EventSink) -> None:
        self._desk = desk
        self._market = market
        self._clock = clock
        self._journal = journal

    def is_known(self, signal: ListingSignal) -> bool:
        """True when a limit entry can be priced without asking anybody."""
        return signal.price is not None and signal.symbol in self._desk.instruments

    async def price(
        self, signal: ListingSignal, parameters: ListingSniperParameters, opening: Opening
    ) -> Decimal | None:
        """A price to start from; the rules are with the desk then. A scheduled opening is asked about again and again,
        because both may appear at its second only. None when there is none in time: the decision says so then."""
        patience_s = float(parameters.freshness_s) / 4
        last_look = signal.freshness_deadline - LOOK_EVERY
        while True:
            price = await self._look(signal, opening, patience_s)
            enough = price is not None or parameters.max_price is not None
            if (enough and signal.symbol in self._desk.instruments) or not opening.scheduled:
                return price
            again_ns = self._clock.monotonic_ns() + LOOK_EVERY // timedelta(microseconds=1) * 1000
            if opening.called_off is not None or self._clock.at(again_ns) > last_look:
                return price
            await opening.reached(lambda: again_ns)  # noqa: B023 - it is awaited in the same turn of the loop

    async def _look(self, signal: ListingSignal, opening: Opening, patience_s: float) -> Decimal | None:
        symbol = signal.symbol
        try:
            if symbol not in self._desk.instruments:
                found = await asked(self._market.instrument(symbol), what=f"the rules of {symbol}", within_s=patience_s)
                if found is not None:
                    self._desk.instruments[symbol] = found
            known = signal.price if signal.price is not None else opening.price
            if known is not None:
                return known
            ticker = self._market.book_ticker(symbol)
            return (await asked(ticker, what=f"the price of {symbol}", within_s=patience_s)).ask
        except (VenueUnavailable, VenueRefused) as error:
            self._journal.event("warning", "trading", f"{symbol} could not be priced", reason=str(error))
            return signal.price if signal.price is not None else opening.price
