"""A running feed and what it reported."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from tests.contract.venue_mexc.venue import ConnectedVenue

from signalbox.domain.listings import UpcomingListing
from signalbox.domain.ports import FeedIntervals
from signalbox.domain.signals import DetectionSource, Sighting
from signalbox.venues.mexc.client import MexcPublic
from signalbox.venues.mexc.ws import StreamLimits

QUICK = FeedIntervals(calendar_s=0.1, ticker_s=0.5)
SLOW = FeedIntervals(calendar_s=60, ticker_s=60)
CALENDAR, TICKER, STREAM = DetectionSource.CALENDAR, DetectionSource.TICKER_DIFF, DetectionSource.WEBSOCKET


class Watch:
    """What the feed reported so far."""

    def __init__(self, public: MexcPublic) -> None:
        self.public = public
        self.sightings: list[Sighting] = []
        self.schedule_changes = 0
        self._new = asyncio.Event()

    def on_sighting(self, sighting: Sighting) -> None:
        """Remember."""
        self.sightings.append(sighting)
        self._new.set()

    def on_schedule(self) -> None:
        """Count."""
        self.schedule_changes += 1
        self._new.set()

    def of(self, symbol: str, source: DetectionSource | None = None) -> list[Sighting]:
        """The sightings of a symbol, by one source if given."""
        return [s for s in self.sightings if s.symbol == symbol and source in (None, s.source)]

    def reported(self, symbol: str) -> list[datetime | None]:
        """The openings for which the schedule reported a symbol."""
        return [sighting.listing_time for sighting in self.of(symbol, CALENDAR)]

    def listing(self, symbol: str) -> UpcomingListing:
        """What the feed knows of an announced listing; the newest record of it."""
        return [one for one in self.public.schedule().listings if one.symbol == symbol][-1]

    async def until(self, condition: Callable[[], object], timeout_s: float = 8.0) -> None:
        """Wait until the condition holds; it is looked at after each sighting and each change of the schedule."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._new.clear()
                await self._new.wait()


@asynccontextmanager
async def watching(
    venue: ConnectedVenue,
    intervals: FeedIntervals = QUICK,
    limits: StreamLimits | None = None,
    *,
    ahead_s: float = 0.0,
) -> AsyncIterator[Watch]:
    """Run the feed; it must not end by itself."""
    public = venue.public_client(limits)
    watch = Watch(public)
    await public.known_symbols()
    task = asyncio.create_task(
        public.run(
            watch.on_sighting,
            intervals=intervals,
            ahead=timedelta(seconds=ahead_s),
            on_schedule=watch.on_schedule,
        )
    )
    try:
        await venue.events.until(lambda: venue.events.status("feed.websocket") is not None)
        yield watch
        assert not task.done(), "the feed ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await public.close()
