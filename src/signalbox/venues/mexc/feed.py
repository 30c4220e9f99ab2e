"""Three eyes on new listings: the calendar, the list of prices, the stream of mini tickers.

Each source works for itself. What one sees is handed on at once, inside the call that saw it; who saw it first is the
receiver's business. A source that fails waits as the venue asks, says so, and the others go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter

from msgspec import Struct

from signalbox.domain.errors import VenueRefused, VenueThrottled, VenueUnavailable
from signalbox.domain.instruments import InstrumentStatus
from signalbox.domain.ports import Clock, EventSink, FeedIntervals
from signalbox.domain.signals import DetectionSource, Sighting
from signalbox.venues.backoff import Backoff, Jitter
from signalbox.venues.mexc import parse
from signalbox.venues.mexc.calendar import MexcCalendar
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.knowledge import (
    CALENDAR,
    EXCHANGE_INFO,
    JUST_OPENED,
    Knowledge,
    is_announced,
    is_coming,
    is_symbol,
)
from signalbox.venues.mexc.market import MexcMarket
from signalbox.venues.mexc.push_pb2 import Push
from signalbox.venues.mexc.schedule import TOLERANCE, Announcement, ScheduleChange
from signalbox.venues.mexc.source_health import SourceHealth
from signalbox.venues.mexc.ws import MarketStream

MINI_TICKERS = "spot@public.miniTickers.v3.api.pb@UTC+0"
"""All pairs every three seconds; without the time zone the venue refuses (MEXC spot docs, "MiniTickers")."""

MOST_NEW_AT_ONCE = 10
"""More new symbols than this in one answer are no listings but a hole in what we knew: learned, not traded."""

SHORTEST_TICKER_INTERVAL_S = 0.5
"""The list of all prices weighs 10, polls may spend 220 of 300 in ten seconds."""

_RULES_INTERVAL_S = 60.0
_CLOCK_INTERVAL_S = 60.0
_CONFIRM_AHEAD = timedelta(seconds=5)
_LONGEST_SLEEP_S = 60.0
_NS = 1_000_000_000
_symbol_of = attrgetter("symbol")

OnSighting = Callable[[Sighting], None]


class FeedSettings(Struct, frozen=True, kw_only=True):
    """`quote_assets`: what a calendar entry is assumed to be quoted in while the exchange information does not know it.
    `lead`: how much before its opening a scheduled listing is reported."""

    quote_assets: tuple[str, ...] = ("USDT",)
    lead: timedelta = timedelta(0)


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
        settings: FeedSettings | None = None,
    ) -> None:
        self._market = market
        self._calendar = calendar
        self._stream = stream
        self._offset = offset
        self._clock = clock
        self._events = events
        self._jitter = jitter
        self._settings = settings or FeedSettings()
        self._knowledge: Knowledge | None = None
        self._rescheduled = asyncio.Event()
        self._rules_wanted = asyncio.Event()
        self._on_sighting: OnSighting | None = None
        self._calendar_health = SourceHealth("feed.calendar", events, clock)
        self._odd_symbols = SourceHealth("feed.symbols", events, clock)

    async def known_symbols(self) -> frozenset[str]:
        """Every market that trades or traded: not new. Markets that are announced but closed are left out, because
        they are going to be listings. Forgets what an earlier run saw. Raises VenueUnavailable."""
        instruments = {instrument.symbol: instrument for instrument in await self._market.instruments()}
        prices, _ = await self._market.ticker_prices()
        priced = {entry.symbol for entry in prices if parse.optional_price(entry.price) is not None}
        now = self._venue_now()
        coming = {symbol for symbol, instrument in instruments.items() if is_coming(instrument, now, priced)}
        knowledge = Knowledge((instruments.keys() | priced) - coming)
        knowledge.instruments = instruments
        knowledge.schedule.update(EXCHANGE_INFO, knowledge.announcements(now))
        self._knowledge = knowledge
        return frozenset(knowledge.known)

    def upcoming(self) -> list[Announcement]:
        """The announced listings, earliest first."""
        return self._knowledge.schedule.upcoming() if self._knowledge else []

    async def run(self, on_sighting: OnSighting, *, intervals: FeedIntervals) -> None:
        """Watch all sources until cancelled. Only what `on_sighting` raises ends it."""
        self._on_sighting = on_sighting
        prices = SourceHealth("feed.ticker_diff", self._events, self._clock)
        rules = SourceHealth("feed.exchange_info", self._events, self._clock)
        clock = SourceHealth("feed.clock", self._events, self._clock)
        if self._knowledge is None:
            await self._learn_markets(rules)
        async with asyncio.TaskGroup() as sources:
            sources.create_task(self._stream.run(self._on_push))
            sources.create_task(self._poll(self._read_calendar, self._calendar_health, intervals.calendar_s))
            sources.create_task(self._poll(self._read_prices, prices, self._ticker_interval(intervals)))
            sources.create_task(self._poll(self._read_rules, rules, _RULES_INTERVAL_S, self._rules_wanted))
            sources.create_task(self._poll(self._measure_clock, clock, _CLOCK_INTERVAL_S))
            sources.create_task(self._follow_schedule())

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
        while self._knowledge is None:
            try:
                await self.known_symbols()
            except VenueUnavailable as error:
                health.bad(f"the markets at the start are not known yet, nothing is watched: {error}")
                await asyncio.sleep(_pause(error, backoff))

    async def _poll(
        self,
        read: Callable[[], Awaitable[None]],
        health: SourceHealth,
        interval_s: float,
        wanted: asyncio.Event | None = None,
    ) -> None:
        """Read again and again, earlier when `wanted` is set; after a failure wait 1, 2, 4 … 30 s, or as long as the
        venue asks."""
        backoff = Backoff(self._jitter)
        wanted = wanted or asyncio.Event()
        while True:
            wanted.clear()
            started_ns = self._clock.monotonic_ns()
            try:
                await read()
            except (VenueUnavailable, VenueRefused) as error:
                health.bad(str(error))
                await asyncio.sleep(max(interval_s, _pause(error, backoff)))
                continue
            backoff.reset()
            health.good()
            spent_s = (self._clock.monotonic_ns() - started_ns) / _NS
            await _wait(wanted, max(0.0, interval_s - spent_s))

    # Source 1: the calendar, and the schedule that comes out of it

    async def _read_calendar(self) -> None:
        listings, bad = await self._calendar.listings(self._offset.server_ms())
        for what in bad:
            self._calendar_health.malformed(what)
        knowledge = self._ready()
        earliest = self._venue_now() - JUST_OPENED
        announced = [
            Announcement(symbol=symbol, opens_at=entry.opens_at, origin=CALENDAR)
            for entry in listings
            if entry.opens_at > earliest
            for symbol in self._symbols_of(entry.base)
            if symbol not in knowledge.known
        ]
        changes = knowledge.schedule.update(CALENDAR, announced)
        self._rescheduled_by(changes, CALENDAR)
        if changes:
            self._rules_wanted.set()  # what the calendar changes, the documented source should confirm

    def _symbols_of(self, base: str) -> list[str]:
        """The pairs of a coin. The calendar does not tell the quote asset: the exchange information decides when it
        knows the coin, else the first configured quote asset is assumed."""
        quotes = self._settings.quote_assets
        instruments = self._ready().instruments
        confirmed = [base + quote for quote in quotes if base + quote in instruments]
        return confirmed or [base + quotes[0]] if quotes else []

    async def _read_rules(self) -> None:
        """The exchange information: the documented source of opening times, and a slow second look at what trades."""
        instruments = {instrument.symbol: instrument for instrument in await self._market.instruments()}
        received_ns = self._clock.monotonic_ns()
        knowledge, now = self._ready(), self._venue_now()
        knowledge.instruments = instruments
        for symbol, instrument in instruments.items():
            if symbol in knowledge.known and is_announced(instrument, now):
                knowledge.forget(symbol)
        self._rescheduled_by(knowledge.schedule.update(EXCHANGE_INFO, knowledge.announcements(now)), EXCHANGE_INFO)
        source = DetectionSource.TICKER_DIFF
        trading = {s for s, instrument in instruments.items() if instrument.status is InstrumentStatus.TRADING}
        for symbol in self._plausible(trading - knowledge.reported(source), source):
            if not self._opens_later(symbol):
                self._saw(symbol, source, received_ns)

    def _rescheduled_by(self, changes: list[ScheduleChange], origin: str) -> None:
        for change in changes:
            old, new = _text(change.old), _text(change.new)
            match change.old, change.new:
                case None, _:
                    message = f"{change.symbol} will open at {new}"
                case _, None:
                    message = f"the listing of {change.symbol} at {old} was taken back"
                case _:
                    message = f"the listing of {change.symbol} was moved from {old} to {new}"
            text = f"{origin}: {message}"
            self._events.event("info", "trading", text, symbol=change.symbol, origin=origin, old=old, new=new)
        if changes:
            self._rescheduled.set()

    async def _follow_schedule(self) -> None:
        """Report each scheduled listing at its opening, by the venue's clock. A few seconds ahead the exchange
        information is read once more: times move."""
        confirmed: Announcement | None = None
        while True:
            self._rescheduled.clear()
            schedule = self._ready().schedule
            for due in schedule.take_due(self._venue_now() + self._settings.lead):
                self._saw(due.symbol, DetectionSource.CALENDAR, self._clock.monotonic_ns(), listing_time=due.opens_at)
            upcoming = schedule.upcoming()
            wait_s = _LONGEST_SLEEP_S
            if upcoming:
                ahead = upcoming[0].opens_at - self._settings.lead - self._venue_now()
                until_check_s = (ahead - _CONFIRM_AHEAD).total_seconds()
                if until_check_s <= 0 and upcoming[0] != confirmed:
                    confirmed = upcoming[0]
                    self._rules_wanted.set()
                wait_s = min(wait_s, until_check_s if until_check_s > 0 else max(0.0, ahead.total_seconds()))
            await _wait(self._rescheduled, wait_s)

    async def _measure_clock(self) -> None:
        await self._offset.measure()
        self._rescheduled.set()  # what is due next depends on the venue's clock

    # Source 2: the list of prices

    async def _read_prices(self) -> None:
        prices, received_ns = await self._market.ticker_prices(poll=True)
        source = DetectionSource.TICKER_DIFF
        fresh = {entry.symbol: entry for entry in prices if entry.symbol not in self._ready().reported(source)}
        for symbol in self._plausible(fresh.keys(), source):
            price = parse.optional_price(fresh[symbol].price)
            if price is not None and not self._opens_later(symbol):
                self._saw(symbol, source, received_ns, price=price)

    # Source 3: the stream

    def _on_push(self, push: Push, received_ns: int) -> None:
        """Runs inside the frame's callback. Two thousand tickers are looked through once, and in C."""
        items = push.public_mini_tickers.items
        source = DetectionSource.WEBSOCKET
        symbols = list(map(_symbol_of, items))
        fresh = set(symbols) - self._ready().reported(source)
        if not fresh:
            return
        event_at = _event_time(push)
        for symbol in self._plausible(fresh, source):
            item = items[symbols.index(symbol)]
            price = parse.optional_price(item.price)
            has_traded = parse.optional_price(item.quantity) is not None
            if price is not None and (has_traded or not self._opens_later(symbol)):
                self._saw(symbol, source, received_ns, price=price, event_at=event_at)

    # Common

    def _saw(
        self,
        symbol: str,
        source: DetectionSource,
        received_ns: int,
        *,
        price: Decimal | None = None,
        event_at: datetime | None = None,
        listing_time: datetime | None = None,
    ) -> None:
        knowledge = self._ready()
        knowledge.reported(source).add(symbol)
        if listing_time is None:
            now = self._venue_now()
            listing_time = knowledge.schedule.opening_of(symbol, now)
            if listing_time is not None and listing_time > now + TOLERANCE:
                listing_time = None  # it trades before its time: the announcement is void
            knowledge.schedule.opened(symbol, now)
        if self._on_sighting is not None:
            self._on_sighting(
                Sighting(
                    symbol=symbol,
                    source=source,
                    seen_at=self._clock.at(received_ns),
                    received_ns=received_ns,
                    listing_time=listing_time,
                    exchange_event_at=event_at,
                    price=price,
                )
            )

    def _plausible(self, symbols: Iterable[str], source: DetectionSource) -> list[str]:
        """Unknown symbols that may be listings; what cannot be a symbol is counted once and never traded."""
        found = sorted(symbols)
        odd = [symbol for symbol in found if not is_symbol(symbol)]
        if odd:
            self._ready().learn(odd)
            self._odd_symbols.malformed(f"not a symbol, from {source}: {odd[0][:60]!r}")
            found = [symbol for symbol in found if symbol not in odd]
        if len(found) <= MOST_NEW_AT_ONCE:
            return found
        self._ready().learn(found)
        self._events.event(
            "error",
            "trading",
            f"{len(found)} unknown symbols at once from {source}: taken as known, not as listings",
            symbols=found[:20],
        )
        return []

    def _opens_later(self, symbol: str) -> bool:
        now = self._venue_now()
        opens_at = self._ready().schedule.opening_of(symbol, now)
        return opens_at is not None and opens_at > now + TOLERANCE

    def _ready(self) -> Knowledge:
        if self._knowledge is None:
            raise VenueUnavailable("the markets at the start are not known yet")
        return self._knowledge

    def _venue_now(self) -> datetime:
        return self._offset.venue_now()


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    """Until the event is set, at most so long."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


def _pause(error: Exception, backoff: Backoff) -> float:
    asked_s = error.retry_after_s if isinstance(error, VenueThrottled) else None
    return max(backoff.next_s(), asked_s or 0.0)


def _event_time(push: Push) -> datetime | None:
    """When the venue sent the push; None when it says nothing, or nothing that is a time."""
    if push.send_time <= 0:
        return None
    try:
        return parse.instant(push.send_time)
    except OverflowError:
        return None


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat(timespec="seconds") if instant else None
