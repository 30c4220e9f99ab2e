"""Listings to come, as people see them: each with its current verdict, kept in the ledger. Off the hot path.

A verdict informs; whether an order goes out is decided at the opening, by the checks of that second.
"""

import asyncio
from datetime import datetime
from typing import Final

from msgspec import structs

from signalbox.domain.backoff import backoff
from signalbox.domain.configuration import BotConfiguration, effective_mode
from signalbox.domain.eligibility import judge
from signalbox.domain.errors import LedgerUnavailable, SignalboxError, VenueRefused, VenueUnavailable
from signalbox.domain.instruments import Instrument, TradableSymbols
from signalbox.domain.listings import EligibilityVerdict, ListingSchedule, ListingState, UpcomingListing
from signalbox.domain.orders import Mode
from signalbox.domain.ports import Clock, EventSink, Ledger
from signalbox.engine.asking import asked
from signalbox.engine.desk import Desk
from signalbox.engine.parts import AccountVenues
from signalbox.engine.persist import LONGEST_PAUSE_S

LOOK_AGAIN_S: Final = 5.0
"""Time alone changes a verdict: what may still happen before an opening cannot after it."""

ASK_PAIRS_S: Final = 30.0
UNKNOWN: Final = TradableSymbols()


class Upcoming:
    """The listings to come of one account's run. Nothing here is waited for by the feed or by an entry."""

    def __init__(self, desk: Desk, ledger: Ledger, venues: AccountVenues, *, clock: Clock, journal: EventSink) -> None:
        self._desk = desk
        self._ledger = ledger
        self._venues = venues
        self._clock = clock
        self._journal = journal
        self._changed = asyncio.Event()
        self._pairs: dict[Mode, TradableSymbols] = {}
        self._given: dict[str, Instrument] = {}
        self._verdicts: dict[str, EligibilityVerdict] = {}

    def on_schedule(self) -> None:
        """The announcements, or the rules of a market to come, changed."""
        self._changed.set()

    async def follow(self, configuration: BotConfiguration) -> None:
        """Keep verdicts and ledger current until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_record(configuration))
            tasks.create_task(self._ask_for_pairs(configuration))

    def judged(self, configuration: BotConfiguration) -> ListingSchedule:
        """What the feed knows, each listing to come with its verdict. A changed verdict is told."""
        schedule = self._venues.feed.schedule()
        self._pass_on(schedule.markets)
        now = self._venue_now()
        pairs = self._pairs.get(self._mode(configuration), UNKNOWN)
        listings = []
        for listing in schedule.listings:
            if listing.state is not ListingState.SCHEDULED:
                listings.append(listing)
                continue
            instrument = schedule.markets.get(listing.symbol) or self._desk.instruments.get(listing.symbol)
            verdict = judge(listing, instrument, configuration, pairs, now)
            self._tell(listing, verdict)
            listings.append(structs.replace(listing, verdict=verdict))
        coming = {listing.symbol for listing in listings if listing.state is ListingState.SCHEDULED}
        for symbol in self._verdicts.keys() - coming:
            del self._verdicts[symbol]
        return structs.replace(schedule, listings=tuple(listings))

    async def _keep_record(self, configuration: BotConfiguration) -> None:
        """Write the newest state whenever it differs from what was written; a state that was overtaken is left out."""
        written: ListingSchedule | None = None
        pauses = backoff(first_s=0.25, longest_s=LONGEST_PAUSE_S)
        while True:
            self._changed.clear()
            schedule = structs.replace(self.judged(configuration), markets={})
            if schedule != written:
                try:
                    await self._ledger.record_schedule(self._desk.rules.account.id, schedule, at=self._clock.now())
                except LedgerUnavailable as error:
                    self._journal.health("ledger", "error", waiting_for="the listing schedule", reason=str(error))
                    await asyncio.sleep(next(pauses))
                    continue
                except SignalboxError as error:  # repeating it would not help, and nobody must die of it
                    self._journal.event("error", "system", "the listing schedule was refused", reason=str(error))
                written, pauses = schedule, backoff(first_s=0.25, longest_s=LONGEST_PAUSE_S)
            await self._changed_within(LOOK_AGAIN_S)

    async def _ask_for_pairs(self, configuration: BotConfiguration) -> None:
        """What the key may trade changes seldom, and by an operator's hand."""
        while True:
            mode = self._mode(configuration)
            venue = self._venues.orders.get(mode)
            if venue is not None:
                try:
                    self._pairs[mode] = await asked(venue.tradable_symbols(), what="the key's pairs")
                except (VenueUnavailable, VenueRefused) as error:
                    self._journal.health("key_pairs", "degraded", reason=str(error))
                else:
                    self._journal.health("key_pairs", "running")
                    self._changed.set()
            await asyncio.sleep(ASK_PAIRS_S)

    async def _changed_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _pass_on(self, markets: dict[str, Instrument]) -> None:
        """The feed reads the rules of markets to come shortly before they open: the desk decides by those."""
        for symbol, instrument in markets.items():
            if self._given.get(symbol) != instrument:
                self._desk.instruments[symbol] = instrument
        self._given = dict(markets)

    def _tell(self, listing: UpcomingListing, verdict: EligibilityVerdict) -> None:
        before = self._verdicts.get(listing.symbol)
        self._verdicts[listing.symbol] = verdict
        if before is not None and before.outcome is verdict.outcome:
            return
        why = f": {verdict.main_reason.message}" if verdict.main_reason else ""
        self._journal.event(
            "info",
            "trading",
            f"{listing.symbol}, which is to open at {listing.opens_at.isoformat(timespec='seconds')},"
            f" is {verdict.outcome}{why}",
            symbol=listing.symbol,
            verdict=verdict.outcome.value,
            was=before.outcome.value if before else None,
        )

    def _mode(self, configuration: BotConfiguration) -> Mode:
        return effective_mode(configuration, self._desk.settings)

    def _venue_now(self) -> datetime:
        reading = self._venues.feed.clock()
        now = self._clock.now()
        return now + reading.offset if reading else now
