"""Openings that are waited for: when an order is due, what calls it off, and paths that are hot at that second.

Time is the venue's: its instant of the opening is turned into our monotonic clock by the feed's measurement, again and
again until the order leaves, so that a newer measurement counts and a step of this machine's clock does not.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from signalbox.domain.configuration import ListingSniperParameters
from signalbox.domain.listings import ListingState, UpcomingListing
from signalbox.domain.ports import Clock, ListingFeed
from signalbox.domain.signals import DetectionSource, ListingSignal

DECIDE_AHEAD = timedelta(milliseconds=500)
"""How long before it is due an order is decided on and made durable. Short against the three seconds after which a
made order does not go out any more, long against a commit."""

SURELY = timedelta(milliseconds=1)
"""On top of the clock's bound: the venue compares whole milliseconds."""

SPIN_NS = 3_000_000
"""The last stretch before an instant, in which no timer is trusted."""


def report_ahead(parameters: ListingSniperParameters) -> timedelta:
    """How long before an opening the feed has to report it, so that the order can be decided on in time."""
    return max(timedelta(0), DECIDE_AHEAD - lead_of(parameters))


def lead_of(parameters: ListingSniperParameters) -> timedelta:
    """How long after the opening the order shall arrive."""
    return timedelta(milliseconds=parameters.opening_lead_ms)


class Opening:
    """The opening of one listing, as its entry waits for it.

    `opens_at` (the venue's clock) is None for a surprise: its order is due at once. `called_off` says why no order may
    go any more. `price` is the last one at which somebody saw it trade.
    """

    def __init__(
        self,
        symbol: str,
        clock: Clock,
        *,
        opens_at: datetime | None = None,
        due: Callable[[], int] | None = None,
        travel_ns: int = 0,
        sure_ns: int | None = None,
    ) -> None:
        now_ns = clock.monotonic_ns()
        self.symbol = symbol
        self.opens_at = opens_at
        self.called_off: str | None = None
        self.price: Decimal | None = None
        self.sure_ns = sure_ns
        """An order that leaves from then on (monotonic) does not come before the opening, however wrong the measurement
        of the venue's clock is within its bound. None when no bound is known."""
        self._travel_ns = travel_ns
        self._clock = clock
        self._due = due or (lambda: now_ns)
        self._woken = asyncio.Event()
        self._trading_ns: int | None = None

    @property
    def scheduled(self) -> bool:
        """True when the opening was known ahead."""
        return self.opens_at is not None

    def due_ns(self) -> int:
        """When the first order leaves (monotonic), by the newest measurement of the venue's clock; at once when the
        market trades already."""
        due_ns = self._due()
        return due_ns if self._trading_ns is None else min(due_ns, self._trading_ns)

    def arrival_of(self, sent_ns: int) -> datetime:
        """When an order that leaves then is at the venue, by our clock."""
        return self._clock.at(sent_ns + self._travel_ns)

    def call_off(self, reason: str) -> None:
        """No order may go any more."""
        if self.called_off is None:
            self.called_off = reason
        self._woken.set()

    def trades(self, price: Decimal | None) -> None:
        """Somebody sees it trade: what waits goes at once."""
        self.price = price if price is not None else self.price
        self._trading_ns = self._clock.monotonic_ns() if self._trading_ns is None else self._trading_ns
        self._woken.set()

    async def reached(self, at_ns: Callable[[], int]) -> bool:
        """Wait until that instant of the monotonic clock, as exactly as this machine can. False when the wait ended
        earlier, because the market trades already or the opening was called off."""
        while self.called_off is None and not self._woken.is_set():
            left_ns = at_ns() - self._clock.monotonic_ns()
            if left_ns <= 0:
                return True
            if left_ns > SPIN_NS:
                await _set_within(self._woken, (left_ns - SPIN_NS) / 1_000_000_000)
            else:
                await asyncio.sleep(0)
        self._woken.clear()
        return False


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class Openings:
    """The openings that one account's entries wait for, and how far the venue is away."""

    def __init__(self, feed: ListingFeed, clock: Clock) -> None:
        self.travel_ns = 0
        """How long an order takes to the venue, as measured last."""
        self._feed = feed
        self._clock = clock
        self._live: dict[str, Opening] = {}

    def expect(self, signal: ListingSignal, parameters: ListingSniperParameters) -> Opening:
        """The opening that an entry for this signal has to wait for."""
        if signal.detection_source is DetectionSource.TEST_INJECTION:
            return Opening(signal.symbol, self._clock)
        opening = self._scheduled(signal, parameters) or Opening(signal.symbol, self._clock)
        self._live[signal.symbol] = opening
        if opening.scheduled:
            self.on_schedule()  # it may have been seen a while ago
        return opening

    def _scheduled(self, signal: ListingSignal, parameters: ListingSniperParameters) -> Opening | None:
        if signal.detection_source is not DetectionSource.CALENDAR or signal.listing_time is None:
            return None
        arrives_at, travel_ns, reading = signal.listing_time + lead_of(parameters), self.travel_ns, self._feed.clock()
        sure_ns = None
        if reading is not None:
            sure_ns = self._feed.monotonic_ns_at(signal.listing_time + reading.error + SURELY) - travel_ns
        return Opening(
            signal.symbol,
            self._clock,
            opens_at=signal.listing_time,
            due=lambda: self._feed.monotonic_ns_at(arrives_at) - travel_ns,
            travel_ns=travel_ns,
            sure_ns=sure_ns,
        )

    def forget(self, opening: Opening) -> None:
        """Its entry has ended."""
        if self._live.get(opening.symbol) is opening:
            del self._live[opening.symbol]

    def by_our_clock(self, venue_instant: datetime) -> datetime:
        """The same instant, as this machine's clock will show it."""
        return self._clock.at(self._feed.monotonic_ns_at(venue_instant))

    def on_trading(self, symbol: str, price: Decimal | None) -> None:
        """Some source sees the market trade."""
        opening = self._live.get(symbol)
        if opening is not None:
            opening.trades(price)

    def on_schedule(self) -> None:
        """The announcements changed: what is moved or taken back is called off."""
        waiting = [opening for opening in self._live.values() if opening.scheduled]
        listings = self._feed.schedule().listings if waiting else ()
        for opening in waiting:
            known = [listing for listing in listings if listing.symbol == opening.symbol]
            reason = _taken_back(opening, known) if known else None
            if reason is not None:
                opening.call_off(reason)

    def next_due_ns(self, parameters: ListingSniperParameters, wanted: Callable[[str], bool]) -> int | None:
        """When the next order for an announced listing leaves (monotonic), None when none is announced."""
        now_ns, lead = self._clock.monotonic_ns(), lead_of(parameters)
        due = (
            self._feed.monotonic_ns_at(listing.opens_at + lead) - self.travel_ns
            for listing in self._feed.upcoming()
            if wanted(listing.symbol)
        )
        return min((due_ns for due_ns in due if due_ns > now_ns), default=None)


def _taken_back(opening: Opening, listings: Iterable[UpcomingListing]) -> str | None:
    """Why the opening does not take place at its time, None while somebody still says so, or the market has opened."""
    if opening.opens_at is None:
        return None
    times = []
    for listing in listings:
        if listing.state is ListingState.OPENED and listing.opens_at == opening.opens_at:
            return None
        if listing.state is ListingState.SCHEDULED:
            times += [listing.opens_at, *listing.disputed.values()]
    if opening.opens_at in times:
        return None
    if times:
        return f"the listing was moved from {opening.opens_at.isoformat()} to {min(times).isoformat()}"
    return f"the listing at {opening.opens_at.isoformat()} was taken back"
