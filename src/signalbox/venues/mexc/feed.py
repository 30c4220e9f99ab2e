"""Three eyes on new listings: the calendar, the list of prices, the stream of mini tickers.

Each source works for itself. What one sees is handed on at once, inside the call that saw it; who saw it first is the
receiver's business. A source that fails waits as the venue asks, says so, and the others go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.listings import ListingSchedule, UpcomingListing
from signalbox.domain.market import ClockReading
from signalbox.domain.ports import QUOTE_ASSETS, Clock, EventSink, FeedIntervals, nothing_to_do
from signalbox.domain.signals import DetectionSource
from signalbox.venues.backoff import Backoff, Jitter
from signalbox.venues.mexc import parse
from signalbox.venues.mexc.announcements import Announcements
from signalbox.venues.mexc.calendar import MexcCalendar
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.clock_watch import ClockWatch
from signalbox.venues.mexc.detection import Detection, OnSighting
from signalbox.venues.mexc.knowledge import CALENDAR, EXCHANGE_INFO, JUST_OPENED, Knowledge
from signalbox.venues.mexc.market import MexcMarket
from signalbox.venues.mexc.polling import pause_after, poll
from signalbox.venues.mexc.source_health import SourceHealth
from signalbox.venues.mexc.ws import MarketStream

MINI_TICKERS = "spot@public.miniTickers.v3.api.pb@UTC+0"
"""All pairs every three seconds; without the time zone the venue refuses (MEXC spot docs, "MiniTickers")."""

SHORTEST_TICKER_INTERVAL_S = 0.5
"""The list of all prices weighs 10, polls may spend 220 of 300 in ten seconds."""

_RULES_INTERVAL_S = 60.0


class MexcFeed:
    """ListingFeed of MEXC spot."""

    def __init__(
        self,
        market: MexcMarket,
        calendar: MexcCalendar,
        stream: MarketStream,
        *,
        offset: ClockOffset,
        clock: Clock,
        events: EventSink,
        jitter: Jitter,
    ) -> None:
        self._market = market
        self._stream = stream
        self._offset = offset
        self._clock = clock
        self._events = events
        self._jitter = jitter
        self._knowledge = Knowledge()
        self._detection = Detection(self._knowledge, offset=offset, clock=clock, events=events)
        self._announcements = Announcements(self._knowledge, calendar, offset=offset, clock=clock, events=events)
        self._detection.on_opened = self._announcements.tell
        self._prices_wanted = asyncio.Event()

    async def known_symbols(self) -> frozenset[str]:
        """Every market that trades or traded: not new. Markets that are announced but closed are left out, because
        they are going to be listings. Forgets what an earlier run saw. Raises VenueUnavailable."""
        instruments = {instrument.symbol: instrument for instrument in await self._market.instruments()}
        prices, _ = await self._market.ticker_prices()
        priced = {entry.symbol for entry in prices if parse.optional_price(entry.price) is not None}
        self._knowledge.begin(instruments, priced, self._offset.venue_now())
        self._detection.begin()
        return frozenset(self._knowledge.known)

    def upcoming(self) -> list[UpcomingListing]:
        """The listings that are to open, earliest first; those that are overdue by more than a minute are left out."""
        now = self._offset.venue_now()
        return [one for one in self._knowledge.schedule.coming(now) if one.opens_at > now - JUST_OPENED]

    def schedule(self) -> ListingSchedule:
        """All that is known of announced listings."""
        schedule, now = self._knowledge.schedule, self._offset.venue_now()
        return ListingSchedule(
            listings=(*schedule.ended(), *schedule.coming(now)),
            markets=dict(self._knowledge.markets_to_come(now)),
            heard=schedule.heard,
        )

    def clock(self) -> ClockReading | None:
        """How far the venue's clock is from ours."""
        return self._offset.reading()

    def monotonic_ns_at(self, venue_instant: datetime) -> int:
        """When the venue's clock will show this, on our monotonic clock."""
        return self._offset.monotonic_ns_at(venue_instant)

    async def run(
        self,
        on_sighting: OnSighting,
        *,
        intervals: FeedIntervals,
        ahead: timedelta = timedelta(0),
        on_schedule: Callable[[], None] = nothing_to_do,
        quote_assets: Sequence[str] = QUOTE_ASSETS,
    ) -> None:
        """Watch all sources until cancelled. Only what the receivers raise ends it."""
        self._announcements.quote_assets = tuple(quote_assets)
        self._detection.on_sighting, self._announcements.on_schedule = on_sighting, on_schedule
        rules = SourceHealth("feed.exchange_info", self._events, self._clock)
        if not self._knowledge.is_ready:
            await self._learn_markets(rules)
        announcements = self._announcements
        watch = ClockWatch(
            self._offset,
            clock=self._clock,
            events=self._events,
            jitter=self._jitter,
            next_opening=announcements.next_opening,
            on_measured=announcements.changed.set,
        )
        wanted = announcements.wanted
        self._stream.on_open = self._prices_wanted.set  # what was listed while it was away is on the price list
        async with asyncio.TaskGroup() as sources:
            sources.create_task(watch.run())
            sources.create_task(self._stream.run(self._detection.push))
            sources.create_task(
                self._poll(
                    announcements.read_calendar, announcements.health, intervals.calendar_s, wanted=wanted[CALENDAR]
                )
            )
            prices = SourceHealth("feed.ticker_diff", self._events, self._clock)
            sources.create_task(
                self._poll(self._read_prices, prices, self._ticker_interval(intervals), wanted=self._prices_wanted)
            )
            sources.create_task(self._poll(self._read_rules, rules, _RULES_INTERVAL_S, wanted=wanted[EXCHANGE_INFO]))
            sources.create_task(announcements.follow(self._report, ahead))

    def _poll(
        self,
        read: Callable[[], Awaitable[None]],
        health: SourceHealth,
        interval_s: float,
        wanted: asyncio.Event | None = None,
    ) -> Coroutine[None, None, None]:
        return poll(read, health=health, interval_s=interval_s, clock=self._clock, jitter=self._jitter, wanted=wanted)

    def _ticker_interval(self, intervals: FeedIntervals) -> float:
        """As asked for, but never so short that the venue's weight limit would starve the poll."""
        if intervals.ticker_s >= SHORTEST_TICKER_INTERVAL_S:
            return intervals.ticker_s
        self._events.event(
            "warning",
            "trading",
            f"the price list is read every {SHORTEST_TICKER_INTERVAL_S:g} s, not every {intervals.ticker_s:g} s: "
            "the venue's request limit allows no more",
        )
        return SHORTEST_TICKER_INTERVAL_S

    async def _learn_markets(self, health: SourceHealth) -> None:
        backoff = Backoff(self._jitter)
        while not self._knowledge.is_ready:
            try:
                await self.known_symbols()
            except VenueUnavailable as error:
                health.bad(f"the markets at the start are not known yet, nothing is watched: {error}")
                await asyncio.sleep(pause_after(error, backoff))

    async def _read_rules(self) -> None:
        """The exchange information: the documented source of opening times, and a slow second look at what trades."""
        instruments = {instrument.symbol: instrument for instrument in await self._market.instruments()}
        received_ns = self._clock.monotonic_ns()
        rules_changed = self._knowledge.update(instruments, self._offset.venue_now())
        self._announcements.take_exchange_info()
        if rules_changed:
            self._announcements.on_schedule()
        self._detection.exchange_info(instruments, received_ns)

    async def _read_prices(self) -> None:
        prices, received_ns = await self._market.ticker_prices(poll=True)
        self._detection.price_list(prices, received_ns)

    def _report(self, symbol: str, opens_at: datetime) -> None:
        self._detection.saw(symbol, DetectionSource.CALENDAR, self._clock.monotonic_ns(), listing_time=opens_at)
