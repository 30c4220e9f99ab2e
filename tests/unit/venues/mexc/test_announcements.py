"""What the calendar and the exchange information announce, and what one answer may not take back."""

from datetime import datetime, timedelta
from typing import cast

import pytest
from tests.unit.venues.mexc.test_feed import SOON, market
from tests.venue_examples import NOON, ManualClock, RecordedEvents

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.instruments import InstrumentStatus
from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc.announcements import Announcements
from signalbox.venues.mexc.calendar import MexcCalendar
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.knowledge import CALENDAR, EXCHANGE_INFO, Knowledge
from signalbox.venues.mexc.parse import CalendarListing

MINUTE = timedelta(minutes=1)


class Bench:
    """Announcements beside a calendar that shows `entries`."""

    def __init__(self) -> None:
        self.entries: list[CalendarListing] = []
        self.knowledge = Knowledge()
        self.knowledge.begin({"ABCUSDT": market("ABCUSDT")}, {"ABCUSDT"}, NOON)
        clock = ManualClock()
        self.announcements = Announcements(
            self.knowledge,
            cast("MexcCalendar", self),
            offset=ClockOffset(clock, self._no_time),
            clock=clock,
            events=RecordedEvents(),
        )

    async def listings(self, now_ms: int) -> tuple[list[CalendarListing], list[str]]:
        assert now_ms > 0
        return self.entries, []

    async def read(self, *entries: tuple[str, datetime]) -> None:
        """The calendar shows these, and is read."""
        self.entries = [CalendarListing(coin_id=base, base=base, opens_at=at) for base, at in entries]
        for wanted in self.announcements.wanted.values():
            wanted.clear()
        await self.announcements.read_calendar()

    def coming(self) -> dict[str, datetime]:
        return {listing.symbol: listing.opens_at for listing in self.knowledge.schedule.coming(NOON)}

    async def _no_time(self) -> tuple[int, HttpResponse]:
        raise VenueUnavailable("not asked here")


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_entry_that_is_gone_is_asked_for_once_more_at_once(bench: Bench) -> None:
    await bench.read(("NEW", SOON), ("OTHER", SOON))
    await bench.read(("OTHER", SOON))
    assert bench.coming() == {"NEWUSDT": SOON, "OTHERUSDT": SOON}
    assert bench.announcements.wanted[CALENDAR].is_set()
    await bench.read(("OTHER", SOON))
    assert bench.coming() == {"OTHERUSDT": SOON}
    assert not bench.announcements.wanted[CALENDAR].is_set()


async def test_an_empty_calendar_between_two_full_ones_takes_nothing_back(bench: Bench) -> None:
    for _ in range(3):
        await bench.read(("NEW", SOON))
        await bench.read()
    assert bench.coming() == {"NEWUSDT": SOON}
    assert bench.knowledge.schedule.ended() == []


async def test_a_move_needs_no_second_look(bench: Bench) -> None:
    await bench.read(("NEW", SOON))
    await bench.read(("NEW", SOON + MINUTE))
    assert bench.coming() == {"NEWUSDT": SOON + MINUTE}


def test_a_market_that_one_exchange_information_lacks_is_not_taken_back(bench: Bench) -> None:
    new = market("NEWUSDT", InstrumentStatus.ANNOUNCED, SOON)
    offline = market("NEWUSDT", InstrumentStatus.OFFLINE, SOON)
    for shown, coming in (([new], True), ([], True), ([new], True), ([offline], False)):
        bench.announcements.wanted[EXCHANGE_INFO].clear()
        bench.knowledge.update({one.symbol: one for one in (market("ABCUSDT"), *shown)}, NOON)
        bench.announcements.take_exchange_info()
        assert bool(bench.coming()) is coming
        assert bench.announcements.wanted[EXCHANGE_INFO].is_set() is (shown == [])


async def test_of_two_coins_of_one_name_the_first_to_open_counts(bench: Bench) -> None:
    for order in (1, -1):
        await bench.read(*(("NEW", SOON), ("NEW", SOON + MINUTE))[::order])
        assert bench.coming() == {"NEWUSDT": SOON}
    assert not bench.knowledge.schedule.coming(NOON)[0].moves


async def test_a_coin_is_assumed_in_the_first_quote_asset_and_followed_in_those_that_are_listed(bench: Bench) -> None:
    bench.announcements.quote_assets = ("USDC", "USDT")
    await bench.read(("NEW", SOON))
    assert bench.coming() == {"NEWUSDC": SOON}
    bench.knowledge.instruments["NEWUSDT"] = market("NEWUSDT", InstrumentStatus.ANNOUNCED, None)
    await bench.read(("NEW", SOON))
    await bench.read(("NEW", SOON))
    assert bench.coming() == {"NEWUSDT": SOON}
