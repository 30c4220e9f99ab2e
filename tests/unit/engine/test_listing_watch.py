"""The record keeper: what it writes, what it makes good, and that it never costs an order anything."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from tests.unit.domain import examples
from tests.unit.engine.bench import ACCOUNT, Bench, run_of
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fake_listing_records import RecordRow
from tests.unit.engine.fakes import FEE, CountingIds, FakeFeed, FakeVenues, refused
from tests.unit.engine.virtual_time import virtual_time
from tests.unit.engine.world import World, world

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.instruments import InstrumentStatus
from signalbox.domain.listing_records import ListingOutcome, ProofSource
from signalbox.domain.market import ClockReading, OrderBook
from signalbox.domain.orders import Mode, RefusalKind
from signalbox.domain.runs import RunStatus
from signalbox.domain.signals import DetectionSource, ListingSignal, Sighting, signal_from
from signalbox.engine.account import AccountVenues, EngineParts
from signalbox.engine.sniper.hindsight import BOOK_PACE_S
from signalbox.engine.sniper.listing_watch import MOST_WAITING, ListingWatch

WEBSOCKET, TICKER, CALENDAR = DetectionSource.WEBSOCKET, DetectionSource.TICKER_DIFF, DetectionSource.CALENDAR
TRADED, MISSED, PENDING = ListingOutcome.TRADED, ListingOutcome.MISSED, ListingOutcome.PENDING


class Desk(Bench):
    """A bench with a record keeper beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.feed = FakeFeed(self.clock)
        venues = AccountVenues(market=self.market, feed=self.feed, orders={Mode.SIMULATION: self.venue})
        parts = EngineParts(
            ledger=self.ledger,
            venues=FakeVenues(venues),
            clock=self.clock,
            ids=CountingIds(9_000_000),
            journal=self.journal,
            code_version="test",
            holder="one",
        )
        self.watch = ListingWatch(ACCOUNT, self.desk, parts, venues)
        self.configuration = examples.configuration()
        self.desk.run = run_of(self.configuration)
        self.watch.begin(self.desk.run, frozenset({"OLDUSDT"}))

    def see(self, source: DetectionSource = WEBSOCKET, **changes: Any) -> tuple[ListingSignal, Sighting]:
        """A source sees NEWUSDT now."""
        values = {"price": Decimal("0.5"), **changes}
        sighting = self.feed.sighting(values.pop("symbol", "NEWUSDT"), source=source, **values)
        signal = signal_from(sighting)
        self.watch.saw(signal, sighting)
        return signal, sighting

    def record(self, symbol: str = "NEWUSDT") -> RecordRow:
        return self.db.listing_rows.of(symbol)

    async def until(self, condition: Callable[[], object], within_s: float = 60) -> None:
        """Wait for a condition of the database."""
        async with asyncio.timeout(within_s), self.db.changed:
            await self.db.changed.wait_for(lambda: bool(condition()))


@asynccontextmanager
async def keeping(*, run: bool = True) -> AsyncIterator[Desk]:
    """A desk whose record keeper is at work."""
    desk = Desk()
    task = asyncio.create_task(desk.watch.run()) if run else None
    yield desk
    if task is not None:
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])


def _has(desk: Desk, symbol: str = "NEWUSDT") -> bool:
    return any(row.symbol == symbol for row in desk.db.listing_rows.records.values())


@virtual_time
async def test_three_sources_race_and_the_listing_is_traded() -> None:
    async with world() as w:
        w.process()
        await w.running()
        for source in (WEBSOCKET, TICKER, CALENDAR):
            w.feed.show("NEWUSDT", source=source, price=Decimal("0.5") if source is not CALENDAR else None)
            await asyncio.sleep(0.1)
        await w.until(lambda: _outcome(w, "NEWUSDT") is TRADED)
        row = w.db.listing_rows.of("NEWUSDT")
        assert [(entry.source, round(entry.lag_ms)) for entry in row.sightings] == [
            (WEBSOCKET, 0),
            (TICKER, 100),
            (CALENDAR, 200),
        ]
        assert row.proof is not None
        assert row.proof.by is ProofSource.WEBSOCKET
        await w.until(lambda: len(row.bids) == 3, timedelta(minutes=16))
        assert row.book is not None
        assert (row.book.quantity, row.book.spent) == (Decimal(50), Decimal(25))
        assert row.book.read_at - row.first_seen_at < timedelta(seconds=1)
        assert set(row.bids) == {1, 5, 15}


def _outcome(w: World, symbol: str) -> ListingOutcome | None:
    rows = [row for row in w.db.listing_rows.records.values() if row.symbol == symbol]
    return rows[0].conclusion.outcome if rows else None


@virtual_time
async def test_a_listing_that_the_kill_switch_stops_is_missed_by_that_name() -> None:
    async with world() as w:
        w.process()
        await w.running()
        w.db.set_kill_switch("block")
        await asyncio.sleep(1)
        w.feed.show("NEWUSDT")
        await w.until(lambda: _outcome(w, "NEWUSDT") is MISSED)
        conclusion = w.db.listing_rows.of("NEWUSDT").conclusion
        assert (conclusion.code, conclusion.limit) == ("SAFETY_CONSTRAINT", "kill_switch")


@virtual_time
async def test_what_a_killed_engine_did_not_record_the_next_one_does() -> None:
    async with world() as w:
        first = w.process()
        await w.running()
        w.feed.show("NEWUSDT")
        await w.until(lambda: bool(w.db.decisions))
        await first.kill()
        assert not w.db.listing_rows.records
        w.process("two")
        await w.until(lambda: _outcome(w, "NEWUSDT") in {TRADED, MISSED}, timedelta(minutes=3))


@virtual_time
async def test_what_appeared_between_two_runs_is_recorded_as_no_run() -> None:
    async with world() as w:
        w.process()
        run_id = await w.running()
        await w.until(lambda: bool(w.db.listing_rows.symbols))
        await w.stopped(run_id)
        w.feed.known = frozenset({"OLDUSDT", "BETWEENUSDT"})
        second = await w.running(number=2)
        assert w.status(second) is RunStatus.RUNNING
        await w.until(lambda: _outcome(w, "BETWEENUSDT") is MISSED)
        assert w.db.listing_rows.of("BETWEENUSDT").conclusion.code == "NO_RUN"
        await w.until(lambda: w.told("appeared while no bot was watching"))


@virtual_time
async def test_nothing_is_written_before_the_orders_had_their_time() -> None:
    async with keeping() as desk:
        began = desk.clock.now()
        desk.see()
        await desk.until(lambda: _has(desk))
        assert desk.clock.now() - began >= timedelta(milliseconds=250)


@virtual_time
async def test_a_scheduled_listing_counts_from_its_opening_and_no_book_is_read_before() -> None:
    async with keeping() as desk:
        opens_at = desk.clock.now() + timedelta(seconds=10)
        reading = ClockReading(offset=timedelta(seconds=2), error=timedelta(0), measured_at=desk.clock.now())
        desk.feed.reading = reading  # the venue is two seconds ahead: it opens in eight
        _, ahead = desk.see(CALENDAR, listing_time=opens_at, price=None)
        signal = signal_from(ahead)
        await asyncio.sleep(7.9)
        assert desk.record().book is None
        await asyncio.sleep(0.1)
        desk.watch.saw(signal, desk.feed.sighting("NEWUSDT", source=WEBSOCKET, price=Decimal("0.5")))
        await desk.until(lambda: len(desk.record().sightings) == 2)
        assert [(entry.source, round(entry.lag_ms)) for entry in desk.record().sightings] == [
            (CALENDAR, 0),
            (WEBSOCKET, 0),
        ]
        await desk.until(lambda: desk.record().book)


@virtual_time
async def test_an_opening_that_was_called_off_is_cancelled() -> None:
    async with keeping() as desk:
        signal, _ = desk.see(CALENDAR, price=None)
        desk.watch.entry_over(signal, called_off="the listing was taken back")
        await desk.until(lambda: _has(desk) and desk.record().conclusion.outcome is MISSED)
        assert (desk.record().conclusion.code, desk.record().conclusion.reason) == (
            "CANCELLED",
            "the listing was taken back",
        )


@virtual_time
async def test_writes_are_repeated_until_the_ledger_takes_them() -> None:
    async with keeping() as desk:
        desk.ledger.fail("note_listing", Fault.NOT_DONE, Fault.ANSWER_LOST, Fault.NOT_DONE)
        signal, _ = desk.see()
        desk.watch.entry_over(signal)
        await desk.until(lambda: _has(desk) and desk.record().conclusion.outcome is MISSED)
        assert desk.record().conclusion.code == "NOT_DECIDED"
        assert desk.ledger.calls.count("note_listing") == 4


@virtual_time
async def test_overload_drops_and_counts_and_never_waits() -> None:
    async with keeping(run=False) as desk:
        for number in range(MOST_WAITING + 10):
            desk.see(symbol=f"N{number}USDT")
        task = asyncio.create_task(desk.watch.run())
        await desk.until(lambda: len(desk.db.listing_rows.records) == MOST_WAITING - 1, within_s=600)
        await asyncio.sleep(60)
        assert desk.journal.told("11 notes on listings were dropped under load")
        task.cancel()
        await asyncio.wait([task])


@virtual_time
async def test_a_fault_in_one_look_costs_that_look_only() -> None:
    async with keeping() as desk:
        broken = desk.market.order_book

        async def order_book(symbol: str, depth: int, *, poll: bool = False) -> OrderBook:
            if symbol == "ODDUSDT":
                raise KeyError(symbol)
            return await broken(symbol, depth, poll=poll)

        desk.market.order_book = order_book  # type: ignore[method-assign]  # a venue's adapter with a bug
        desk.see(symbol="ODDUSDT")
        await asyncio.sleep(10)
        assert desk.journal.told("a look back at ODDUSDT was lost")
        desk.see()
        await desk.until(lambda: _has(desk) and desk.record().book)


@virtual_time
async def test_a_fault_in_the_record_keeping_is_told_and_it_begins_anew() -> None:
    async with keeping() as desk:
        working = desk.feed.monotonic_ns_at

        def broken(venue_instant: datetime) -> int:
            raise ZeroDivisionError(venue_instant)

        desk.feed.monotonic_ns_at = broken  # type: ignore[method-assign]  # a feed with a bug
        desk.see(CALENDAR, listing_time=desk.clock.now())
        await asyncio.sleep(10)
        assert desk.journal.told("keeping the record of listings failed")
        desk.feed.monotonic_ns_at = working  # type: ignore[method-assign]  # it was mended
        desk.see(symbol="OTHERUSDT")
        await desk.until(lambda: _has(desk, "OTHERUSDT"))


@virtual_time
async def test_looks_are_paced_two_at_a_time_and_each_leaves_the_limit_to_others() -> None:
    async with keeping() as desk:
        under_way, most, asked_at = 0, 0, []
        real = desk.market.order_book

        async def order_book(symbol: str, depth: int, *, poll: bool = False) -> OrderBook:
            nonlocal under_way, most
            assert poll
            asked_at.append(desk.clock.now())
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.5)
            under_way -= 1
            return await real(symbol, depth, poll=poll)

        desk.market.order_book = order_book  # type: ignore[method-assign]  # counts who asks
        for number in range(10):
            desk.see(symbol=f"N{number}USDT")
        await desk.until(lambda: all(row.book for row in desk.db.listing_rows.records.values()) and most)
        assert most == 2
        assert min(b - a for a, b in pairwise(asked_at)) >= timedelta(seconds=BOOK_PACE_S)
        assert len(desk.db.listing_rows.records) == 10


@virtual_time
async def test_a_venue_that_is_away_is_asked_again_and_a_minute_that_passed_stays_unknown() -> None:
    async with keeping() as desk:
        desk.market.error = VenueUnavailable("503")
        desk.see()
        await asyncio.sleep(20)
        desk.market.error = None
        await desk.until(lambda: desk.record().book)
        book = desk.record().book
        assert book is not None
        assert book.read_at - desk.record().first_seen_at > timedelta(seconds=20)
        desk.market.error = VenueUnavailable("503")
        await asyncio.sleep(100)
        desk.market.error = None
        await asyncio.sleep(16 * 60)
        assert set(desk.record().bids) == {5, 15}


@virtual_time
async def test_a_market_that_is_closed_to_us_explains_the_refusal() -> None:
    async with world() as w:
        closed = examples.instrument(taker_rate=FEE, api_tradable=False, status=InstrumentStatus.TRADING)
        w.market.known["NEWUSDT"] = closed
        w.process()
        await w.running()
        w.venue.answers = [refused(RefusalKind.TERMINAL)]
        w.feed.show("NEWUSDT")
        await w.until(lambda: _outcome(w, "NEWUSDT") is MISSED)
        row = w.db.listing_rows.of("NEWUSDT")
        await w.until(lambda: row.conclusion.code == "NOT_API_TRADABLE")
        assert row.api_tradable is False
        assert row.proof is None or row.proof.by is not ProofSource.MARKET_RULES


@virtual_time
async def test_the_next_engine_finishes_the_looks_back() -> None:
    async with world() as w:
        first = w.process()
        await w.running()
        w.feed.show("NEWUSDT", price=Decimal("0.5"), source=WEBSOCKET)
        await w.until(lambda: _outcome(w, "NEWUSDT") is TRADED and w.db.listing_rows.of("NEWUSDT").book is not None)
        await first.kill()
        await asyncio.sleep(120)  # nobody looked after one minute
        w.process("two")
        row = w.db.listing_rows.of("NEWUSDT")
        await w.until(lambda: len(row.bids) == 2, timedelta(minutes=20))
        assert set(row.bids) == {5, 15}


@virtual_time
async def test_injected_listings_are_recorded_and_not_looked_back_at() -> None:
    async with keeping() as desk:
        signal, _ = desk.see(DetectionSource.TEST_INJECTION, listing_time=desk.clock.now(), price=None)
        desk.watch.entry_over(signal)
        await asyncio.sleep(60)
        assert desk.record().sightings[0].source is DetectionSource.TEST_INJECTION
        assert desk.record().book is None


def test_the_clock_is_not_read_when_a_note_is_put_down() -> None:
    """What the hot path calls only appends: it does not look at the clock, the ledger or the venue."""

    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"the hot path touched {name}")

    async def put() -> None:
        desk = Desk()
        signal, sighting = desk.see()
        watch = desk.watch
        for part in ("_clock", "_ledger", "_journal", "_feed", "_hindsight"):
            setattr(watch, part, Untouchable())
        watch.saw(signal, sighting)
        watch.entry_over(signal)

    asyncio.run(put())
