"""Keeps the record of every listing that an account's sources saw: the race, the outcome, and what was missed.

It is fed by plain calls after an entry was decided and handed on, waits until the orders are out, and works from what
is durable already: an outcome is concluded from decision and orders. So it may drop, break or be killed at any time;
what is missing afterwards is made good from the ledger by its own sweep.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

from msgspec import Struct, structs

from signalbox.domain.backoff import backoff
from signalbox.domain.configuration import Account
from signalbox.domain.errors import SignalboxError
from signalbox.domain.ids import SignalId
from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.listing_records import (
    ListingNote,
    MarketSeen,
    Race,
    Unfinished,
    Watch,
    conclude,
)
from signalbox.domain.runs import Run
from signalbox.domain.signals import DetectionSource, ListingSignal, Sighting
from signalbox.engine.desk import Desk
from signalbox.engine.parts import AccountVenues, EngineParts
from signalbox.engine.persist import persist
from signalbox.engine.sniper.hindsight import Hindsight

T = TypeVar("T")

MOST_WAITING = 2000
"""Notes that wait at most. More are dropped and counted: the sweep makes up for all but the lags of late sources."""

MOST_REMEMBERED = 2000
"""Listings whose race is still in memory."""

QUIET_S = 0.25
LONGEST_QUIET_S = 5.0
"""Nothing is done before so long no further note came (but not longer than this): orders go first."""

SWEEP_S = 10.0
FIRST_SWEEP_BACK = timedelta(days=30)
SWEEP_BACK = timedelta(hours=1)

FIRST_LOOK_S = 3.0
"""An entry that takes longer does not keep us from looking at the book."""

_NS = 1_000_000_000
_UNDER_WAY_AT_MOST_NS = 900 * _NS


class _Saw(Struct, frozen=True):
    signal: ListingSignal
    sighting: Sighting
    watch: Watch


class _Over(Struct, frozen=True):
    listing_id: SignalId
    called_off: str | None


class _Began(Struct, frozen=True):
    watch: Watch
    known: frozenset[str]


class _Listing(Struct):
    """A listing in memory. `over` False: its entry is still under way."""

    note: ListingNote
    race: Race
    noted_ns: int
    over: bool = False
    called_off: str | None = None


class ListingWatch:
    """The record keeper of one account. `begin`, `saw` and `entry_over` are plain calls that only put a note down."""

    def __init__(self, account: Account, desk: Desk, parts: EngineParts, venues: AccountVenues) -> None:
        self._account = account
        self._desk = desk
        self._ledger = parts.ledger
        self._clock = parts.clock
        self._journal = parts.journal
        self._feed = venues.feed
        self._watch = Watch(account_id=account.id, venue=account.venue)
        self._waiting: deque[_Saw | _Over | _Began] = deque()
        self._listings: OrderedDict[SignalId, _Listing] = OrderedDict()
        self._recheck: set[SignalId] = set()
        self._wake = asyncio.Event()
        self._put_down = 0
        self._dropped = 0
        self._hindsight = Hindsight(
            account.id,
            parts,
            venues.market,
            rules=self._rules_of,
            on_closed=self._on_closed,
        )

    def begin(self, run: Run, known: frozenset[str]) -> None:
        """A run watches from now on; `known` is what its venue showed when it started."""
        self._watch = Watch(
            account_id=self._account.id,
            venue=self._account.venue,
            run_id=run.id,
            quote_amount=run.configuration.quote_amount,
        )
        self._put(_Began(self._watch, known))

    def saw(self, signal: ListingSignal, sighting: Sighting) -> None:
        """A source saw a listing, the first or a later one. To be called after the order is on its way."""
        self._put(_Saw(signal, sighting, self._watch))

    def entry_over(self, signal: ListingSignal, *, called_off: str | None = None) -> None:
        """Nothing more will be tried for this listing, whatever came of it. `called_off`: why its opening did not take
        place."""
        self._put(_Over(signal.id, called_off))

    async def run(self) -> None:
        """Keep the record until cancelled. A fault here is told and the work begun anew: it must never end trading."""
        for pause_s in backoff():
            self._wake.set()  # something may wait from before
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._write())
                    tasks.create_task(self._sweep())
                    tasks.create_task(self._hindsight.run())
            except Exception as error:  # noqa: BLE001 - keeping the record must never end trading
                reason = repr(error.exceptions[0] if isinstance(error, ExceptionGroup) else error)
                self._journal.event("error", "system", "keeping the record of listings failed", reason=reason)
            await asyncio.sleep(pause_s)

    def _put(self, note: _Saw | _Over | _Began) -> None:
        self._put_down += 1
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append(note)
        self._wake.set()

    def _rules_of(self, symbol: str) -> Instrument | None:
        return self._desk.instruments.get(symbol)

    def _on_closed(self, listing_id: SignalId) -> None:
        self._recheck.add(listing_id)
        self._wake.set()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            await self._until_quiet()
            self._wake.clear()
            for listing_id in await self._take_notes():
                await self._note(listing_id)
            over = [listing_id for listing_id in self._recheck if listing_id not in self._under_way()]
            if over:
                self._recheck.difference_update(over)
                await self._conclude(over)
            self._tell_dropped()

    async def _until_quiet(self) -> None:
        for _ in range(round(LONGEST_QUIET_S / QUIET_S)):
            before = self._put_down
            await asyncio.sleep(QUIET_S)
            if self._put_down == before:
                return

    async def _take_notes(self) -> Sequence[SignalId]:
        """Work through what waits; the listings whose race has changed."""
        changed: dict[SignalId, None] = {}
        while self._waiting:
            match self._waiting.popleft():
                case _Saw() as saw:
                    if self._take_sighting(saw):
                        changed[saw.signal.id] = None
                case _Over(listing_id, called_off):
                    self._recheck.add(listing_id)
                    if listing_id in self._listings:
                        listing = self._listings[listing_id]
                        listing.over, listing.called_off = True, called_off or listing.called_off
                        changed.setdefault(listing_id)
                case _Began() as began:
                    for listing_id in changed:  # what an earlier run saw must be known before
                        await self._note(listing_id)
                    changed.clear()
                    await self._compare(began)
        return list(changed)

    def _take_sighting(self, saw: _Saw) -> bool:
        signal, sighting = saw.signal, self._raced(saw.sighting)
        known = self._listings.get(signal.id)
        if known is None:
            note = ListingNote(
                watch=saw.watch,
                listing_id=signal.id,
                symbol=signal.symbol,
                listed_at=signal.listed_at,
                sightings=(),
                opens_at=signal.listing_time,
            )
            known = self._listings[signal.id] = _Listing(note, Race(), self._clock.monotonic_ns())
            while len(self._listings) > MOST_REMEMBERED:
                self._listings.popitem(last=False)
        if not known.race.add(sighting):
            return False
        opens_at = known.note.opens_at or sighting.listing_time
        known.note = structs.replace(known.note, sightings=known.race.entries(), opens_at=opens_at)
        return True

    def _raced(self, sighting: Sighting) -> Sighting:
        """A scheduled listing is reported ahead of its opening, so that its order can wait for the second. In the race
        it counts from the opening on."""
        if sighting.source is not DetectionSource.CALENDAR or sighting.listing_time is None:
            return sighting
        opening_ns = self._feed.monotonic_ns_at(sighting.listing_time)
        if opening_ns <= sighting.received_ns:
            return sighting
        return structs.replace(sighting, received_ns=opening_ns, seen_at=self._clock.at(opening_ns))

    async def _note(self, listing_id: SignalId) -> None:
        listing = self._listings.get(listing_id)
        if listing is None or not listing.note.sightings:
            return
        note = listing.note
        await self._persist(lambda: self._ledger.note_listing(note, at=self._clock.now()), note.symbol)
        if note.is_test or note.watch.quote_amount is None:
            return
        patience_s = 0.0 if listing.over else FIRST_LOOK_S
        not_before_ns = self._clock.monotonic_ns() + int(patience_s * _NS)
        if note.opens_at is not None:  # a book that is shown before the opening is nobody's price
            not_before_ns = max(not_before_ns, self._feed.monotonic_ns_at(note.opens_at))
        unfinished = Unfinished(
            account_id=note.watch.account_id,
            listing_id=listing_id,
            symbol=note.symbol,
            first_seen_at=note.sightings[0].seen_at,
            quote_amount=note.watch.quote_amount,
        )
        self._hindsight.plan(unfinished, not_before_ns=not_before_ns)

    async def _compare(self, began: _Began) -> None:
        """What the venue shows at the start of a run, against everything that was ever seen there."""
        known = self._desk.instruments
        markets = []
        for symbol in began.known:
            rules = known.get(symbol)
            if rules is None:
                markets.append(MarketSeen(symbol=symbol))
            elif rules.status is not InstrumentStatus.OFFLINE:
                tradable = rules.api_tradable and rules.status is InstrumentStatus.TRADING
                markets.append(MarketSeen(symbol=symbol, opens_at=rules.opens_at, tradable=tradable))
        found = await self._persist(
            lambda: self._ledger.note_markets(began.watch, markets, at=self._clock.now()), "the venue's list"
        )
        if found:
            self._journal.event(
                "warning",
                "trading",
                f"{len(found)} symbols appeared while no bot was watching: 'signalbox listings missed'",
                symbols=list(found[:20]),
            )
            await self._plan_unfinished()

    async def _conclude(self, also: Sequence[SignalId] = ()) -> None:
        at = self._clock.now()
        under_way = self._under_way()
        found = await self._persist(
            lambda: self._ledger.listing_facts(self._account.id, also=also, at=at), "the outcomes of listings"
        )
        for facts in found or ():
            here = self._listings.get(facts.listing_id)
            conclusion = conclude(
                facts,
                entry_over=facts.listing_id not in under_way,
                called_off=None if here is None else here.called_off,
            )
            if conclusion is not None:
                await self._persist(
                    partial(self._ledger.conclude_listing, self._account.id, facts.listing_id, conclusion, at=at),
                    facts.symbol,
                )

    def _under_way(self) -> frozenset[SignalId]:
        """Listings whose entry this process still works on."""
        since_ns = self._clock.monotonic_ns() - _UNDER_WAY_AT_MOST_NS
        return frozenset(key for key, one in self._listings.items() if not one.over and one.noted_ns > since_ns)

    async def _sweep(self) -> None:
        """Make good what is missing or open: from before this engine's start, or dropped since."""
        back = FIRST_SWEEP_BACK
        while True:
            at = self._clock.now()
            await self._persist(
                partial(self._ledger.adopt_listings, self._account.id, since=at - back, at=at),
                "listings without a record",
            )
            await self._conclude()
            if back is FIRST_SWEEP_BACK:
                await self._plan_unfinished()
            back = SWEEP_BACK
            await asyncio.sleep(SWEEP_S)

    async def _plan_unfinished(self) -> None:
        at = self._clock.now()
        found = await self._persist(
            lambda: self._ledger.unfinished_listings(self._account.id, at=at), "looks back at listings"
        )
        for one in found or ():
            self._hindsight.plan(one)

    async def _persist(self, write: Callable[[], Awaitable[T]], what: str) -> T | None:
        """Repeated until the ledger takes it. What the ledger refuses is told and given up."""
        try:
            return await persist(write, self._journal, f"the record of {what}")
        except SignalboxError as error:
            self._journal.event("error", "system", f"the record of {what} was refused: {error}")
            return None

    def _tell_dropped(self) -> None:
        dropped, self._dropped = self._dropped + self._hindsight.take_dropped(), 0
        if dropped:
            self._journal.event(
                "warning",
                "system",
                f"{dropped} notes on listings were dropped under load: times of late sources or looks back are missing",
                dropped=dropped,
            )
