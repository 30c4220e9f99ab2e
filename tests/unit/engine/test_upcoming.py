"""Listings to come get verdicts that follow the facts, and the ledger gets the newest state, whenever it can."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.unit.domain import examples
from tests.unit.engine.bench import ACCOUNT, Bench
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fakes import START, FakeFeed, modes_of
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.configuration import BotConfiguration, Venue
from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.instruments import InstrumentStatus, TradableSymbols
from signalbox.domain.listings import Eligibility, ListingState, UpcomingListing
from signalbox.domain.market import ClockReading
from signalbox.domain.orders import Mode
from signalbox.engine.account import AccountVenues
from signalbox.engine.sniper.upcoming import ASK_PAIRS_S, LOOK_AGAIN_S, Upcoming
from signalbox.engine.sniper.venue_clock import ALERT, UNMEASURED_LIMIT_S, VenueClock, is_news, trouble_with

OPENING = START + timedelta(minutes=10)


class World:
    """A bench with a feed, and the two parts that follow it."""

    def __init__(self, *, live: bool = False, **configuration: Any) -> None:
        settings: dict[str, Any] = {"mode": Mode.LIVE, "auto_trade": True} if live else {}
        self.bench = Bench(live=live, **settings)
        self.feed = FakeFeed(self.bench.clock)
        self.journal = self.bench.journal
        self.configuration: BotConfiguration = examples.configuration(
            mode=Mode.LIVE if live else Mode.SIMULATION, **configuration
        )
        venues = AccountVenues(market=self.bench.market, feed=self.feed, orders=modes_of(self.bench.venue, live=live))
        self.upcoming = Upcoming(
            self.bench.desk, self.bench.ledger, venues, clock=self.bench.clock, journal=self.journal
        )
        self.clock = VenueClock(Venue.MEXC, self.feed, self.bench.ledger, clock=self.bench.clock, journal=self.journal)
        self.feed.on_schedule = self.upcoming.on_schedule

    def stored(self, symbol: str = "SOONUSDT") -> UpcomingListing:
        """The listing as the ledger has it."""
        return next(one for one in self.bench.db.schedules[ACCOUNT.id].listings if one.symbol == symbol)

    def outcome(self, symbol: str = "SOONUSDT") -> Eligibility:
        """Its verdict there."""
        verdict = self.stored(symbol).verdict
        assert verdict is not None
        return verdict.outcome


@asynccontextmanager
async def following(world: World) -> AsyncIterator[World]:
    tasks = [
        asyncio.create_task(world.upcoming.follow(world.configuration)),
        asyncio.create_task(world.clock.follow(world.configuration)),
    ]
    yield world
    for task in tasks:
        assert not task.done(), "it ended by itself"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def announced(symbol: str = "SOONUSDT", **changes: Any) -> Any:
    return examples.instrument(symbol, **{"status": InstrumentStatus.ANNOUNCED, "opens_at": OPENING, **changes})


@virtual_time
async def test_a_verdict_follows_the_facts_as_they_become_known() -> None:
    async with following(World()) as world:
        world.feed.announce("SOONUSDT", OPENING)
        await asyncio.sleep(0.1)
        assert world.outcome() is Eligibility.UNCERTAIN
        world.feed.markets["SOONUSDT"] = announced()
        world.feed.on_schedule()
        await asyncio.sleep(0.1)
        assert world.outcome() is Eligibility.ELIGIBLE
        assert world.bench.desk.instruments["SOONUSDT"] == announced(), "the desk decides by the newest rules"
        world.feed.markets["SOONUSDT"] = announced(min_notional_market=Decimal(1000))
        world.feed.on_schedule()
        await asyncio.sleep(0.1)
        assert world.outcome() is Eligibility.INELIGIBLE
        told = [message for _, message, _ in world.journal.events if message.startswith("SOONUSDT, which is to open")]
        assert [message.split(" is ")[2].split(":")[0] for message in told] == ["uncertain", "eligible", "ineligible"]


@virtual_time
async def test_a_verdict_follows_time_and_the_exchanges_clock() -> None:
    async with following(World()) as world:
        world.feed.markets["SOONUSDT"] = announced(api_flag=False)
        world.feed.announce("SOONUSDT", OPENING)
        await asyncio.sleep(0.1)
        assert world.outcome() is Eligibility.UNCERTAIN
        world.feed.reading = ClockReading(
            offset=timedelta(minutes=11), error=timedelta(milliseconds=1), measured_at=START
        )
        await asyncio.sleep(LOOK_AGAIN_S + 0.1)
        assert world.outcome() is Eligibility.INELIGIBLE, "the exchange says closed after its opening"


@virtual_time
async def test_the_keys_pairs_count_in_live_mode_and_are_asked_again() -> None:
    async with following(World(live=True)) as world:
        world.bench.venue.tradable_error = VenueUnavailable("503")
        world.feed.markets["SOONUSDT"] = announced()
        world.feed.announce("SOONUSDT", OPENING)
        await asyncio.sleep(0.1)
        assert world.outcome() is Eligibility.UNCERTAIN
        assert world.journal.states["key_pairs"] == "degraded"
        world.bench.venue.tradable_error = None
        world.bench.venue.tradable = TradableSymbols(
            own=frozenset({"BTCUSDT"}), default=frozenset({"BTCUSDT", "ETHUSDT", "SOLUSDT"})
        )
        await asyncio.sleep(ASK_PAIRS_S)
        assert world.outcome() is Eligibility.INELIGIBLE
        assert world.journal.states["key_pairs"] == "running"


@virtual_time
async def test_the_ledger_is_waited_for_and_gets_the_newest_state_only() -> None:
    async with following(World()) as world:
        await asyncio.sleep(1)
        world.bench.ledger.away = True
        for minutes in range(1, 6):
            world.feed.announce("SOONUSDT", OPENING + timedelta(minutes=minutes))
            await asyncio.sleep(2)
        assert not world.bench.db.schedules[ACCOUNT.id].listings
        world.bench.ledger.away = False
        await asyncio.sleep(3)
        assert world.stored().opens_at == OPENING + timedelta(minutes=5)
        world.feed.announce("SOONUSDT", OPENING, state=ListingState.OPENED)
        world.bench.ledger.fail("record_schedule", Fault.ANSWER_LOST)
        await asyncio.sleep(3)
        assert world.stored().state is ListingState.OPENED


@virtual_time
async def test_nothing_is_written_while_nothing_changes() -> None:
    async with following(World()) as world:
        world.feed.announce("SOONUSDT", OPENING)
        await asyncio.sleep(1)
        before = world.bench.db.schedules[ACCOUNT.id]
        await asyncio.sleep(60)
        assert world.bench.db.schedules[ACCOUNT.id] is before


def reading(offset_ms: float = 0, error_ms: float = 1, minutes: float = 0) -> ClockReading:
    return ClockReading(
        offset=timedelta(milliseconds=offset_ms),
        error=timedelta(milliseconds=error_ms),
        measured_at=START + timedelta(minutes=minutes),
    )


def test_what_is_wrong_with_a_clock() -> None:
    assert trouble_with(reading(), 1000) is None
    assert trouble_with(reading(offset_ms=-999), 1000) is None
    assert "NTP" in (trouble_with(reading(offset_ms=-1000), 1000) or "")
    assert trouble_with(reading(error_ms=500), 1000) is None
    assert "± 501" in (trouble_with(reading(error_ms=501), 1000) or "")
    assert "window" in (trouble_with(reading(error_ms=51), 100) or "")
    assert "not known" in (trouble_with(None, 1000) or "")


def test_which_readings_are_news() -> None:
    assert is_news(reading(), None)
    assert not is_news(reading(offset_ms=1.9, minutes=0.5), reading())
    assert is_news(reading(offset_ms=2.1, minutes=0.5), reading())
    assert is_news(reading(minutes=1), reading())


@virtual_time
async def test_the_clock_is_recorded_each_minute_and_its_alert_comes_and_goes() -> None:
    async with following(World()) as world:
        alerts = world.journal.alerts
        await asyncio.sleep(UNMEASURED_LIMIT_S - 1)
        assert not alerts
        await asyncio.sleep(4)
        assert "not known" in alerts[ALERT, "mexc"][1]
        for minute in range(3):
            world.feed.reading = reading(minutes=minute)
            await asyncio.sleep(60)
        assert not alerts
        assert world.bench.db.clock_readings == [(Venue.MEXC, reading(minutes=minute)) for minute in range(3)]
        world.feed.reading = reading(offset_ms=40_000, minutes=3)
        world.bench.ledger.fail("record_clock", Fault.NOT_DONE)
        await asyncio.sleep(5)
        assert "NTP" in alerts[ALERT, "mexc"][1]
        assert world.bench.db.clock_readings[-1][1] == world.feed.reading
    assert not alerts, "nobody looks at the clock of a run that has ended"
