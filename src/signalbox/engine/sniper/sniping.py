"""One run at work: the feed's sightings become decisions, and decisions become entries."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from msgspec import structs

from signalbox.domain.configuration import BotConfiguration, begins_with_limit
from signalbox.domain.decisions import Intent
from signalbox.domain.errors import LedgerUnavailable
from signalbox.domain.ids import AccountId, PositionId
from signalbox.domain.ports import FeedIntervals
from signalbox.domain.signals import DetectionSource, ListingSignal, Sighting
from signalbox.engine.desk import Desk
from signalbox.engine.orders.entries import Entries
from signalbox.engine.orders.openings import DECIDE_AHEAD, Opening, Openings, report_ahead
from signalbox.engine.parts import AccountVenues, EngineParts
from signalbox.engine.sniper.intake import Intake
from signalbox.engine.sniper.listing_watch import ListingWatch
from signalbox.engine.sniper.pricing import Pricing
from signalbox.engine.sniper.upcoming import Upcoming
from signalbox.engine.sniper.venue_clock import VenueClock
from signalbox.engine.sniper.warm_up import WarmParts, WarmUp

TEST_LISTING_WINDOW = timedelta(seconds=10)
SEEN_BEFORE = timedelta(days=1)
_AHEAD_NS = (DECIDE_AHEAD + timedelta(milliseconds=50)) // timedelta(microseconds=1) * 1000

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Sniping:
    """The listing sniper of one account, one run after the other. `on_held` is called after each entry's end."""

    def __init__(
        self,
        desk: Desk,
        entries: Entries,
        parts: EngineParts,
        venues: AccountVenues,
        *,
        watch: ListingWatch,
        spawn: Spawn,
        on_held: Callable[[], None],
    ) -> None:
        self.carrying: set[PositionId] = set()
        """Positions that an entry under way may open."""
        self._desk = desk
        self._entries = entries
        self._parts = parts
        self._venues = venues
        self._watch = watch
        self._known: frozenset[str] = frozenset()
        self._spawn = spawn
        self._on_held = on_held
        self._openings = Openings(venues.feed, parts.clock)
        self._upcoming = Upcoming(desk, parts.ledger, venues, clock=parts.clock, journal=parts.journal)
        self._venue_clock = VenueClock(
            desk.rules.account.venue, venues.feed, parts.ledger, clock=parts.clock, journal=parts.journal
        )
        self._pricing = Pricing(desk, venues.market, clock=parts.clock, journal=parts.journal)
        self._warm_up = WarmUp(
            self._openings,
            WarmParts(
                desk=desk,
                ledger=parts.ledger,
                orders=venues.orders,
                clock=parts.clock,
                journal=parts.journal,
            ),
        )
        self._intake: Intake | None = None
        self._watching: list[asyncio.Task[None]] = []
        self._entering: set[asyncio.Task[None]] = set()

    async def prepare(self, account_id: AccountId, configuration: BotConfiguration) -> None:
        """Learn what is not new, and warm the ledger's path. Raises VenueUnavailable or LedgerUnavailable."""
        self._known = await self._venues.feed.known_symbols()
        since = self._parts.clock.now() - SEEN_BEFORE
        self._intake = Intake(
            freshness=timedelta(seconds=float(configuration.parameters.freshness_s)),
            decided=await self._parts.ledger.decided_listings(account_id, since),
            by_our_clock=self._openings.by_our_clock,
            on_signal=lambda signal, sighting: self._on_signal(signal, sighting, configuration),
            on_evidence=self._on_evidence,
        )
        await self._parts.ledger.rehearse(self._desk.rehearsal(configuration))

    def begin(self, configuration: BotConfiguration) -> None:
        """Watch the sources, from now until `end`."""
        if self._intake is None:
            return
        if self._desk.run is not None:
            self._watch.begin(self._desk.run, self._known)
        intervals = FeedIntervals(
            calendar_s=float(configuration.parameters.calendar_interval_s),
            ticker_s=float(configuration.parameters.ticker_interval_s),
        )
        feed = self._venues.feed.run(
            self._intake.on_sighting,
            intervals=intervals,
            ahead=report_ahead(configuration.parameters),
            on_schedule=self._on_schedule,
            quote_assets=configuration.parameters.quote_assets,
        )
        self._watching = [
            self._spawn(feed),
            self._spawn(self._warm_up.follow(configuration)),
            self._spawn(self._upcoming.follow(configuration)),
            self._spawn(self._venue_clock.follow(configuration)),
        ]

    def end(self) -> None:
        """Stop watching. Entries under way go on: their orders must be followed to their end."""
        for task in self._watching:
            task.cancel()
        self._watching = []

    async def settle_down(self, within_s: float) -> None:
        """Wait for entries under way, but not longer than this."""
        if self._entering:
            await asyncio.wait(self._entering, timeout=within_s)

    async def take_test_listings(self) -> None:
        """Feed injected test listings in; they are traded in simulation only. Raises LedgerUnavailable."""
        clock = self._parts.clock
        for sighting in await self._parts.ledger.pending_test_listings(clock.now() - TEST_LISTING_WINDOW):
            if self._intake is not None and self._desk.run_active:
                self._intake.on_sighting(structs.replace(sighting, received_ns=clock.monotonic_ns()))

    def _on_signal(self, signal: ListingSignal, sighting: Sighting, configuration: BotConfiguration) -> None:
        """The hot path: called from the feed's callback, decides at once where nothing has to be waited for."""
        opening = self._openings.expect(signal, configuration.parameters)
        unpriced = begins_with_limit(configuration.parameters) and not self._pricing.is_known(signal)
        if unpriced or opening.due_ns() - self._parts.clock.monotonic_ns() > _AHEAD_NS:
            self._enter(self._wait_then_decide(signal, sighting, configuration, opening))
        else:
            intent = self._desk.on_listing(signal, configuration, received_ns=sighting.received_ns)
            self._enter(self._carry(intent, configuration, opening))
        self._watch.saw(signal, sighting)

    async def _wait_then_decide(
        self, signal: ListingSignal, sighting: Sighting, configuration: BotConfiguration, opening: Opening
    ) -> None:
        """Decide half a second before the order is due, and not before a limit entry has its price; without one the
        decision is a recorded skip."""
        price = None
        await opening.reached(lambda: opening.due_ns() - _AHEAD_NS)
        if begins_with_limit(configuration.parameters):
            price = await self._pricing.price(signal, configuration.parameters, opening)
        if opening.called_off is not None:
            self._over(signal, opening, bought=False)
            return
        intent = self._desk.on_listing(signal, configuration, received_ns=sighting.received_ns, price=price)
        await self._carry(intent, configuration, opening)

    async def _carry(self, intent: Intent, configuration: BotConfiguration, opening: Opening) -> None:
        opens = PositionId(intent.decision.id)
        self.carrying.add(opens)
        try:
            bought = await self._entries.carry(intent, configuration, opening)
        finally:
            self.carrying.discard(opens)
            if intent.signal is not None:
                self._watch.entry_over(intent.signal)
        self._on_held()
        if intent.signal is not None:
            self._over(intent.signal, opening, bought=bought)

    def _over(self, signal: ListingSignal, opening: Opening, *, bought: bool) -> None:
        """An entry has ended: another opening of the same listing may have waited for that."""
        self._openings.forget(opening)
        self._watch.entry_over(signal, called_off=opening.called_off)
        if self._intake is not None and self._desk.run_active:
            self._intake.ended(signal, bought=bought, called_off=opening.called_off is not None)

    def _on_schedule(self) -> None:
        self._openings.on_schedule()
        self._warm_up.on_schedule()
        self._upcoming.on_schedule()

    def _on_evidence(self, signal: ListingSignal, sighting: Sighting) -> None:
        if sighting.source is not DetectionSource.CALENDAR and sighting.price is not None:
            self._openings.on_trading(sighting.symbol, sighting.price)
        self._watch.saw(signal, sighting)
        self._spawn(self._add_evidence(signal, sighting))

    async def _add_evidence(self, signal: ListingSignal, sighting: Sighting) -> None:
        try:
            await self._parts.ledger.add_evidence(signal.id, sighting)
        except LedgerUnavailable as error:
            self._parts.journal.event(
                "warning", "system", f"evidence for {signal.symbol} was not stored", reason=str(error)
            )

    def _enter(self, entry: Coroutine[Any, Any, None]) -> None:
        task = self._spawn(entry)
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)
