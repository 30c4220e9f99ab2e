"""Numbered cases of announced listings: F3x how they move, F4x the clock, F5x many at once, F6x the key's pairs."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.venue_mexc.conftest import LISTED, StartVenue
from tests.contract.venue_mexc.venue import ConnectedVenue
from tests.contract.venue_mexc.watching import CALENDAR, QUICK, SLOW, STREAM, TICKER, Watch, watching

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.instruments import InstrumentStatus
from signalbox.domain.listings import ListingState
from signalbox.domain.ports import FeedIntervals
from signalbox.simulators.mexc.options import AccountOptions, SimulatorOptions, Switches

CALM = FeedIntervals(calendar_s=0.1, ticker_s=1.0)


@pytest.fixture
async def venue(start_venue: StartVenue) -> ConnectedVenue:
    """A simulator that pushes mini tickers five times a second."""
    return await start_venue(SimulatorOptions(listings=(LISTED,), switches=Switches(mini_tickers_every_ms=200)))


def opening(venue: ConnectedVenue, symbol: str) -> datetime:
    """When it opens, as nobody but the exchange knows."""
    milliseconds = venue.simulator.exchange.pairs[symbol].timetable.opens_at_ms
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


async def known(watch: Watch, symbol: str) -> None:
    """Wait until the feed follows it."""
    await watch.until(lambda: any(one.symbol == symbol for one in watch.public.upcoming()))


async def test_f30_a_listing_that_moves_twice_is_reported_once_and_keeps_its_history(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        venue.listing("MOVEUSDT", open_in_ms=60_000, moves=((600, 90_000), (1_500, 3_000)))
        await watch.until(lambda: watch.of("MOVEUSDT", CALENDAR))
        assert watch.reported("MOVEUSDT") == [opening(venue, "MOVEUSDT")]
        listing = watch.listing("MOVEUSDT")
        assert [move.new for move in listing.moves] == [
            listing.moves[0].old + timedelta(seconds=30),
            opening(venue, "MOVEUSDT"),
        ]
        await watch.until(lambda: watch.listing("MOVEUSDT").state is ListingState.OPENED)


async def test_f31_a_listing_is_reported_ahead_and_again_when_it_is_moved_after_that(venue: ConnectedVenue) -> None:
    async with watching(venue, ahead_s=2.0) as watch:
        venue.listing("MOVEUSDT", open_in_ms=2_500, moves=((1_500, 4_500),))
        await watch.until(lambda: len(watch.reported("MOVEUSDT")) == 2)
        first, second = watch.of("MOVEUSDT", CALENDAR)
        assert first.listing_time is not None
        assert second.listing_time == opening(venue, "MOVEUSDT") == first.listing_time + timedelta(seconds=2)
        for sighting in (first, second):
            assert sighting.listing_time is not None
            assert timedelta(seconds=1) < sighting.listing_time - sighting.seen_at <= timedelta(seconds=2.1)
        assert [one.opens_at for one in watch.public.upcoming()] == [second.listing_time]
        await watch.until(lambda: len(watch.of("MOVEUSDT")) == 4)
        assert {s.listing_time for s in watch.of("MOVEUSDT")[2:]} == {second.listing_time}


async def test_f32_a_listing_that_is_cancelled_after_it_was_reported_is_taken_out(venue: ConnectedVenue) -> None:
    async with watching(venue, ahead_s=60.0) as watch:
        venue.listing("GONEUSDT", open_in_ms=10_000, moves=((1_200, None),))
        await watch.until(lambda: watch.of("GONEUSDT", CALENDAR))
        changes = watch.schedule_changes
        await watch.until(lambda: not watch.public.upcoming())
        assert watch.schedule_changes > changes, "whoever prepared for it is told"
        gone = watch.listing("GONEUSDT")
        assert (gone.state, gone.moves[-1].new) == (ListingState.CANCELLED, None)


async def test_f33_a_move_in_the_last_seconds_is_found_although_the_polls_are_slow(venue: ConnectedVenue) -> None:
    venue.listing("MOVEUSDT", open_in_ms=4_000, moves=((1_500, 5_500),))
    async with watching(venue, SLOW) as watch:
        await known(watch, "MOVEUSDT")
        early = watch.listing("MOVEUSDT").opens_at
        await watch.until(lambda: watch.of("MOVEUSDT", CALENDAR))
        assert watch.reported("MOVEUSDT") == [early + timedelta(seconds=1.5)] == [opening(venue, "MOVEUSDT")]


async def test_f34_a_cancellation_in_the_last_seconds_is_found_although_the_polls_are_slow(
    venue: ConnectedVenue,
) -> None:
    venue.listing("GONEUSDT", open_in_ms=4_000, moves=((2_000, None),))
    async with watching(venue, SLOW) as watch:
        await known(watch, "GONEUSDT")
        await watch.until(lambda: not watch.public.upcoming())
        assert watch.of("GONEUSDT") == []


async def test_f35_with_a_stale_calendar_both_times_are_followed(venue: ConnectedVenue) -> None:
    async with watching(venue, QUICK, ahead_s=60.0) as watch:
        venue.listing("MOVEUSDT", open_in_ms=3_200)
        await watch.until(lambda: watch.of("MOVEUSDT", CALENDAR))
        early = watch.listing("MOVEUSDT").opens_at
        venue.switch(calendar_frozen=True)
        pair = venue.simulator.exchange.pairs["MOVEUSDT"]
        pair.timetable.move_to((pair.timetable.published_open_ms or 0) + 4_000)
        await watch.until(lambda: len(watch.reported("MOVEUSDT")) == 2)
        assert watch.reported("MOVEUSDT") == [early, opening(venue, "MOVEUSDT")]
        listing = watch.listing("MOVEUSDT")
        assert set(listing.disputed.values()) | {listing.opens_at} == {early, opening(venue, "MOVEUSDT")}


async def test_f36_a_challenge_page_instead_of_the_calendar_leaves_the_exchange_information(
    venue: ConnectedVenue,
) -> None:
    venue.fault("challenge_page", target="/api/operation", times=None)
    venue.listing("SOONUSDT", open_in_ms=1_500)
    async with watching(venue, CALM) as watch:
        await venue.events.until(lambda: venue.events.status("feed.calendar") == "degraded")
        assert watch.listing("SOONUSDT").origins == ("exchange_info",)
        assert watch.public.schedule().heard == {"exchange_info"}
        await watch.until(lambda: watch.of("SOONUSDT", CALENDAR))
        assert watch.reported("SOONUSDT") == [opening(venue, "SOONUSDT")]


async def test_f37_without_the_opening_in_the_exchange_information_the_calendars_counts(
    venue: ConnectedVenue,
) -> None:
    venue.listing("SOONUSDT", open_in_ms=1_500, publish_first_open_time=False)
    async with watching(venue, CALM) as watch:
        await known(watch, "SOONUSDT")
        assert watch.listing("SOONUSDT").origins == ("calendar",)
        assert watch.public.schedule().markets["SOONUSDT"].opens_at is None
        await watch.until(lambda: len(watch.of("SOONUSDT")) == 3)
        assert {s.listing_time for s in watch.of("SOONUSDT")} == {opening(venue, "SOONUSDT")}


async def test_f38_a_hidden_listing_with_an_odd_name_is_reported_ahead(venue: ConnectedVenue) -> None:
    async with watching(venue, ahead_s=1.0) as watch:
        venue.listing("狗头(2)USDT", open_in_ms=2_000, visible_before_open=False)
        await watch.until(lambda: watch.of("狗头(2)USDT", CALENDAR))
        assert watch.reported("狗头(2)USDT") == [opening(venue, "狗头(2)USDT")]
        assert watch.public.schedule().markets == {}, "nobody but the calendar knows it"
        await watch.until(lambda: watch.of("狗头(2)USDT", STREAM) and watch.of("狗头(2)USDT", TICKER))


async def test_f39_the_rules_of_a_market_to_come_are_told_and_their_change_too(venue: ConnectedVenue) -> None:
    async with watching(venue, CALM) as watch:
        venue.listing("SOONUSDT", open_in_ms=5_500, api_tradable=False)
        await watch.until(lambda: "SOONUSDT" in watch.public.schedule().markets)
        market = watch.public.schedule().markets["SOONUSDT"]
        assert (market.status, market.api_tradable, market.api_flag) == (InstrumentStatus.ANNOUNCED, True, False)
        timetable = venue.simulator.exchange.pairs["SOONUSDT"].timetable
        timetable.api_from_ms = 0
        await watch.until(lambda: watch.public.schedule().markets["SOONUSDT"].api_flag)


async def test_f40_the_exchanges_clock_is_known_within_its_bound_and_told(venue: ConnectedVenue) -> None:
    venue.switch(clock_offset_ms=-7_300)
    async with watching(venue) as watch:
        await venue.events.until(lambda: venue.events.states.get("feed.clock", ("", {}))[1].get("samples", 0) >= 5)
        reading = watch.public.clock()
        assert reading is not None
        assert abs(reading.offset + timedelta(seconds=7.3)) <= reading.error + timedelta(milliseconds=1)
        assert reading.error < timedelta(milliseconds=250)
        status, figures = venue.events.states["feed.clock"]
        assert status == "running"
        assert figures["error_ms"] > 0
        at = watch.public.monotonic_ns_at(venue.clock.now() + reading.offset)
        assert abs(at - venue.clock.monotonic_ns()) < 50_000_000


async def test_f41_a_step_of_the_exchanges_clock_is_followed(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        await venue.events.until(lambda: venue.events.status("feed.clock") == "running")
        venue.switch(clock_offset_ms=5_000)
        venue.listing("SOONUSDT", open_in_ms=30_000)
        await venue.events.until(lambda: venue.events.told("the exchange's clock made a step"), timeout_s=10)
        reading = watch.public.clock()
        assert reading is not None
        assert abs(reading.offset - timedelta(seconds=5)) <= reading.error + timedelta(milliseconds=1)


async def test_f42_a_failing_clock_is_told_and_the_last_measurement_stays(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        await venue.events.until(lambda: venue.events.status("feed.clock") == "running")
        venue.fault("error_before_accept", target="/api/v3/time", times=None)
        await venue.events.until(lambda: venue.events.status("feed.clock") == "degraded", timeout_s=10)
        reading = watch.public.clock()
        assert reading is not None
        assert venue.events.states["feed.clock"][1]["samples"] == reading.samples


async def test_f50_many_listings_in_one_instant_of_a_large_catalogue_are_all_seen(start_venue: StartVenue) -> None:
    venue = await start_venue(SimulatorOptions(filler_pairs=1_000, switches=Switches(mini_tickers_every_ms=500)))
    async with watching(venue, CALM) as watch:
        await venue.events.until(lambda: venue.events.status("feed.websocket") == "running")
        names = {f"N{number}USDT" for number in range(50)}
        for name in names:
            venue.listing(name, announced=False)
        await watch.until(lambda: {s.symbol for s in watch.sightings if s.source is STREAM} == names)
        await watch.until(lambda: {s.symbol for s in watch.sightings if s.source is TICKER} == names)
        assert {s.symbol for s in watch.sightings} == names
        assert not venue.events.told("unknown symbols at once")


async def test_f51_fifty_announced_listings_of_one_instant_are_all_reported(venue: ConnectedVenue) -> None:
    names = {f"N{number}USDT" for number in range(50)}
    for name in names:
        venue.listing(name, open_in_ms=2_500)
    async with watching(venue, CALM, ahead_s=1.0) as watch:
        await watch.until(lambda: {s.symbol for s in watch.sightings if s.source is CALENDAR} == names)
        await watch.until(lambda: {s.symbol for s in watch.sightings if s.source is STREAM} == names)
        assert not venue.events.told("unknown symbols at once")


async def test_f60_what_a_key_may_trade_can_be_asked(start_venue: StartVenue) -> None:
    venue = await start_venue(
        SimulatorOptions(listings=(LISTED,), accounts=(AccountOptions(symbols=("BTCUSDT",)), AccountOptions(label="b")))
    )
    bound = await venue.orders.tradable_symbols()
    assert bound.own == frozenset({"BTCUSDT"})
    assert bound.is_bound is True
    assert bound.default is not None
    assert "索拉拉USDT" in bound.default
    assert "WEBONLYUSDT" not in bound.default
    second = venue.simulator.accounts[1]
    other = await venue.account(api_key=str(second["api_key"]), secret=str(second["secret"])).tradable_symbols()
    assert other.is_bound is False


async def test_f61_a_key_whose_pairs_cannot_be_read_is_unavailable(venue: ConnectedVenue) -> None:
    venue.fault("malformed_answer", target="/api/v3/selfSymbols")
    with pytest.raises(VenueUnavailable):
        await venue.orders.tradable_symbols()
