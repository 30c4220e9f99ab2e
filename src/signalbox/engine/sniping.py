"""One run at work: the feed's sightings become decisions, and decisions become entries."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from msgspec import structs

from signalbox.domain.configuration import BotConfiguration, OrderStyle
from signalbox.domain.decisions import Intent
from signalbox.domain.errors import LedgerUnavailable, VenueRefused, VenueUnavailable
from signalbox.domain.ids import AccountId, PositionId
from signalbox.domain.ports import FeedIntervals
from signalbox.domain.signals import ListingSignal, Sighting
from signalbox.engine.asking import asked
from signalbox.engine.desk import Desk
from signalbox.engine.entries import Entries
from signalbox.engine.intake import Intake
from signalbox.engine.listing_watch import ListingWatch
from signalbox.engine.parts import AccountVenues, EngineParts

TEST_LISTING_WINDOW = timedelta(seconds=10)
SEEN_BEFORE = timedelta(days=1)

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
        self._intake: Intake | None = None
        self._feed: asyncio.Task[None] | None = None
        self._entering: set[asyncio.Task[None]] = set()

    async def prepare(self, account_id: AccountId, configuration: BotConfiguration) -> None:
        """Learn what is not new, and warm the ledger's path. Raises VenueUnavailable or LedgerUnavailable."""
        self._known = await self._venues.feed.known_symbols()
        since = self._parts.clock.now() - SEEN_BEFORE
        self._intake = Intake(
            freshness=timedelta(seconds=float(configuration.parameters.freshness_s)),
            decided=await self._parts.ledger.decided_symbols(account_id, since),
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
        self._feed = self._spawn(self._venues.feed.run(self._intake.on_sighting, intervals=intervals))

    def end(self) -> None:
        """Stop watching. Entries under way go on: their orders must be followed to their end."""
        if self._feed is not None:
            self._feed.cancel()
        self._feed = None

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
        """The hot path: called from the feed's callback, decides at once."""
        needs_price = configuration.parameters.order_style is OrderStyle.IOC_LIMIT
        if needs_price and (signal.price is None or signal.symbol not in self._desk.instruments):
            self._enter(self._price_then_decide(signal, sighting, configuration))
        else:
            intent = self._desk.on_listing(signal, configuration, received_ns=sighting.received_ns)
            self._enter(self._carry(intent, configuration))
        self._watch.saw(signal, sighting)

    async def _price_then_decide(
        self, signal: ListingSignal, sighting: Sighting, configuration: BotConfiguration
    ) -> None:
        """A limit entry needs the market's rules and price first; without them the decision is a recorded skip."""
        market, price = self._venues.market, signal.price
        patience_s = float(configuration.parameters.freshness_s) / 4
        try:
            found = await asked(
                market.instrument(signal.symbol), what=f"the rules of {signal.symbol}", within_s=patience_s
            )
            if found is not None:
                self._desk.instruments[signal.symbol] = found
            if price is None:
                ticker = market.book_ticker(signal.symbol)
                price = (await asked(ticker, what=f"the price of {signal.symbol}", within_s=patience_s)).ask
        except (VenueUnavailable, VenueRefused) as error:
            self._parts.journal.event("warning", "trading", f"{signal.symbol} could not be priced", reason=str(error))
        intent = self._desk.on_listing(signal, configuration, received_ns=sighting.received_ns, price=price)
        await self._carry(intent, configuration)

    async def _carry(self, intent: Intent, configuration: BotConfiguration) -> None:
        opens = PositionId(intent.decision.id)
        self.carrying.add(opens)
        try:
            await self._entries.carry(intent, configuration)
        finally:
            self.carrying.discard(opens)
            if intent.signal is not None:
                self._watch.entry_over(intent.signal)
        self._on_held()

    def _on_evidence(self, signal: ListingSignal, sighting: Sighting) -> None:
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
