"""MEXC's public data, typed. Needs no credentials and holds none."""

from collections.abc import Sequence

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.instruments import Instrument
from signalbox.domain.market import BookTicker, OrderBook
from signalbox.domain.ports import Clock, EventSink
from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc import parse, wire
from signalbox.venues.mexc.capabilities import WEIGHTS
from signalbox.venues.mexc.catalogue import Catalogue
from signalbox.venues.mexc.rest import RestReader
from signalbox.venues.mexc.sign import encode
from signalbox.venues.mexc.source_health import SourceHealth

_INVALID_SYMBOL = "-1121"
_TICKER_DEPTH = 5
_DEEPEST_BOOK = 5000


class MexcMarket:
    """MarketData of MEXC. Reads marked as polls leave the last part of the weight budget to everybody else."""

    def __init__(self, reads: RestReader, *, clock: Clock, events: EventSink) -> None:
        self._reads = reads
        self._clock = clock
        self._catalogue = Catalogue()
        self._health = SourceHealth("venue.mexc.market", events, clock)

    async def instruments(self) -> Sequence[Instrument]:
        """All markets with their rules, announced ones included; a market that cannot be understood is left out and
        counted. Raises VenueUnavailable."""
        response = await self._get("/api/v3/exchangeInfo")
        found, bad = self._catalogue.update(response.body, self._clock.now())
        self._report(bad)
        return found

    async def instrument(self, symbol: str, *, poll: bool = False) -> Instrument | None:
        """One market, None when the venue does not know it. Raises VenueUnavailable."""
        try:
            response = await self._reads.get(
                "/api/v3/exchangeInfo",
                f"symbol={encode(symbol)}",
                weight=WEIGHTS["/api/v3/exchangeInfo"],
                poll=poll,
            )
        except VenueRefused as error:
            if error.code == _INVALID_SYMBOL:
                return None
            raise VenueUnavailable(str(error)) from error
        found, bad = parse.instruments(response.body, self._clock.now())
        self._report(bad)
        return next((instrument for instrument in found if instrument.symbol == symbol), None)

    async def book_ticker(self, symbol: str) -> BookTicker:
        """Best prices, read from the top of the order book: that costs 3 of the weight budget, the ticker endpoint
        costs 10. Raises VenueUnavailable."""
        book = await self.order_book(symbol, _TICKER_DEPTH)
        bid = book.bids[0] if book.bids else None
        ask = book.asks[0] if book.asks else None
        return BookTicker(
            symbol=symbol,
            bid=bid.price if bid else None,
            bid_quantity=bid.quantity if bid else None,
            ask=ask.price if ask else None,
            ask_quantity=ask.quantity if ask else None,
            received_at=book.received_at,
        )

    async def order_book(self, symbol: str, depth: int, *, poll: bool = False) -> OrderBook:
        """A snapshot with up to `depth` levels a side (at most 5000). Raises VenueUnavailable."""
        limit = max(1, min(depth, _DEEPEST_BOOK))
        response = await self._get("/api/v3/depth", f"symbol={encode(symbol)}&limit={limit}", poll=poll)
        return parse.order_book(response.body, symbol, self._clock.at(response.received_ns))

    async def ticker_prices(self, *, poll: bool = False) -> tuple[list[wire.TickerPrice], int]:
        """Symbol and last price of every pair, and the monotonic time of the answer. Raises VenueUnavailable."""
        response = await self._get("/api/v3/ticker/price", poll=poll)
        prices, bad = parse.ticker_prices(response.body)
        self._report(bad)
        return prices, response.received_ns

    async def server_time(self) -> tuple[int, HttpResponse]:
        """The venue's time in milliseconds UTC, with the answer that brought it. Raises VenueUnavailable.

        It is asked for even when other reads have used up what they may: without it orders are refused.
        """
        response = await self._get("/api/v3/time", for_orders=True)
        return parse.server_time(response.body), response

    async def close(self) -> None:
        """Close the connections."""
        await self._reads.pool.close()

    async def _get(self, path: str, query: str = "", *, poll: bool = False, for_orders: bool = False) -> HttpResponse:
        try:
            return await self._reads.get(path, query, weight=WEIGHTS[path], poll=poll, for_orders=for_orders)
        except VenueRefused as error:
            raise VenueUnavailable(str(error)) from error

    def _report(self, bad: Sequence[str]) -> None:
        for what in bad:
            self._health.malformed(what)
