"""Builds the parts of the MEXC adapter. What is public and what can send are different types."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from signalbox.domain.credentials import Credentials
from signalbox.domain.errors import ConfigError
from signalbox.domain.instruments import Instrument
from signalbox.domain.listings import ListingSchedule, UpcomingListing
from signalbox.domain.market import BookTicker, ClockReading, OrderBook
from signalbox.domain.ports import QUOTE_ASSETS, Clock, EventSink, FeedIntervals, nothing_to_do
from signalbox.domain.signals import Sighting
from signalbox.venues.backoff import Jitter
from signalbox.venues.http import parse_target
from signalbox.venues.http_pool import HttpPool, PoolLimits
from signalbox.venues.mexc.account import MexcAccount
from signalbox.venues.mexc.calendar import HEADERS, MexcCalendar
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.endpoints import MexcEndpoints
from signalbox.venues.mexc.feed import MINI_TICKERS, MexcFeed
from signalbox.venues.mexc.limits import MexcLimits
from signalbox.venues.mexc.market import MexcMarket
from signalbox.venues.mexc.orders import MexcOrders, request_headers
from signalbox.venues.mexc.private_stream import PrivateStream
from signalbox.venues.mexc.rest import RestReader
from signalbox.venues.mexc.sign import Signer
from signalbox.venues.mexc.signed import SignedRequests
from signalbox.venues.mexc.source_health import SourceHealth
from signalbox.venues.mexc.ticker_stream import TickerStream
from signalbox.venues.mexc.ws import MarketStream, StreamLimits

_PUBLIC_HEADERS = {"Accept": "application/json", "User-Agent": "signalbox"}
_READ_POOL = PoolLimits(keep_warm=1, most=4)
_ORDER_POOL = PoolLimits(keep_warm=2, most=8, max_body_bytes=1024 * 1024)
_CALENDAR_POOL = PoolLimits(keep_warm=0, most=1)
_CALENDAR_PER_10_S = 20


class MexcPublic:
    """MarketData and ListingFeed of MEXC spot, without credentials: this type cannot send an order."""

    def __init__(
        self,
        endpoints: MexcEndpoints,
        *,
        clock: Clock,
        events: EventSink,
        jitter: Jitter,
        limits: MexcLimits | None = None,
        stream_limits: StreamLimits | None = None,
    ) -> None:
        limits = limits or MexcLimits(clock, events)
        pool = HttpPool(parse_target(endpoints.rest_url), clock, limits=_READ_POOL, jitter=jitter)
        page = HttpPool(parse_target(endpoints.calendar_url), clock, limits=_CALENDAR_POOL, jitter=jitter)
        reads = RestReader(pool, clock, limits.address(pool.target).reads, headers=_PUBLIC_HEADERS)
        site = limits.address(page.target, weight=_CALENDAR_PER_10_S, quiet=True)
        self._market = MexcMarket(reads, clock=clock, events=events)
        self._tickers = TickerStream(
            _stream_url(endpoints.ws_url), self._market.book_ticker, clock=clock, events=events, jitter=jitter
        )
        self._calendar = MexcCalendar(RestReader(page, clock, site.reads, headers=HEADERS))
        self.offset = ClockOffset(clock, self._market.server_time)
        """The venue's clock, measured while the feed runs; orders to the same address go by it as well."""
        self._feed = MexcFeed(
            self._market,
            self._calendar,
            MarketStream(
                _stream_url(endpoints.ws_url),
                [MINI_TICKERS],
                clock=clock,
                jitter=jitter,
                health=SourceHealth("feed.websocket", events, clock),
                limits=stream_limits,
            ),
            offset=self.offset,
            clock=clock,
            events=events,
            jitter=jitter,
        )

    async def instruments(self) -> Sequence[Instrument]:
        """All markets with their rules, announced ones included."""
        return await self._market.instruments()

    async def instrument(self, symbol: str, *, poll: bool = False) -> Instrument | None:
        """One market, None when the venue does not know it (yet)."""
        return await self._market.instrument(symbol, poll=poll)

    async def book_ticker(self, symbol: str) -> BookTicker:
        """Best prices of a market."""
        return await self._market.book_ticker(symbol)

    async def order_book(self, symbol: str, depth: int, *, poll: bool = False) -> OrderBook:
        """A snapshot of the book with up to `depth` levels a side."""
        return await self._market.order_book(symbol, depth, poll=poll)

    async def watch_ticker(self, symbol: str, on_ticker: Callable[[BookTicker], None]) -> None:
        """Best prices of a market as they change, until cancelled; see TickerStream.watch."""
        await self._tickers.watch(symbol, on_ticker)

    async def known_symbols(self) -> frozenset[str]:
        """Every symbol that is not new; see MexcFeed.known_symbols."""
        return await self._feed.known_symbols()

    def upcoming(self) -> Sequence[UpcomingListing]:
        """The announced listings that the feed follows, earliest first."""
        return self._feed.upcoming()

    def schedule(self) -> ListingSchedule:
        """All that the feed knows of announced listings."""
        return self._feed.schedule()

    def clock(self) -> ClockReading | None:
        """How far the venue's clock is from ours."""
        return self._feed.clock()

    def monotonic_ns_at(self, venue_instant: datetime) -> int:
        """When the venue's clock will show this, on our monotonic clock."""
        return self._feed.monotonic_ns_at(venue_instant)

    async def run(
        self,
        on_sighting: Callable[[Sighting], None],
        *,
        intervals: FeedIntervals,
        ahead: timedelta = timedelta(0),
        on_schedule: Callable[[], None] = nothing_to_do,
        quote_assets: Sequence[str] = QUOTE_ASSETS,
    ) -> None:
        """Watch all sources until cancelled; see MexcFeed.run."""
        await self._feed.run(
            on_sighting, intervals=intervals, ahead=ahead, on_schedule=on_schedule, quote_assets=quote_assets
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._market.close()
        await self._calendar.close()


def open_orders(
    endpoints: MexcEndpoints,
    credentials: Credentials,
    *,
    clock: Clock,
    events: EventSink,
    jitter: Jitter,
    limits: MexcLimits | None = None,
    label: str = "account",
    offset: ClockOffset | None = None,
    timeout_s: float = 5.0,
) -> MexcOrders:
    """The OrderVenue of one account. Raises ConfigError when the credentials are empty or cannot stand in a header.

    Orders and cancels have connections of their own, so no read ever stands before them. `label` names the account;
    its limits are those of the account and of the address, whoever else uses them. `offset` is the venue's clock when
    somebody measures it already.
    """
    headers = request_headers(credentials)
    limits = limits or MexcLimits(clock, events)
    target = parse_target(endpoints.rest_url)
    lanes = limits.address(target).account(label)
    orders = RestReader(
        HttpPool(target, clock, limits=_ORDER_POOL, jitter=jitter), clock, lanes.orders, headers=headers
    )
    reads = RestReader(HttpPool(target, clock, limits=_READ_POOL, jitter=jitter), clock, lanes.reads, headers=headers)
    offset = offset or ClockOffset(clock, MexcMarket(reads, clock=clock, events=events).server_time)
    signer = Signer(credentials.api_secret)
    requests = SignedRequests(reads, signer, offset)
    return MexcOrders(
        credentials,
        signer,
        orders,
        reads,
        offset=offset,
        clock=clock,
        events=events,
        account=MexcAccount(requests),
        stream=PrivateStream(_stream_url(endpoints.ws_url), requests, clock=clock, events=events, jitter=jitter),
        timeout_s=timeout_s,
    )


def _stream_url(url: str) -> str:
    if not url.startswith(("ws://", "wss://")):
        raise ConfigError(f"the market stream's address must begin with ws:// or wss://, got {url!r}")
    return url
