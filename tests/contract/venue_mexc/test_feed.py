"""Numbered cases of the listing feed: F0x sightings, F1x the schedule, F2x sources that fail."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from tests.contract.venue_mexc.conftest import LISTED, StartVenue
from tests.contract.venue_mexc.venue import ConnectedVenue
from tests.contract.venue_mexc.watching import CALENDAR, QUICK, SLOW, STREAM, TICKER, Watch, watching

from signalbox.domain.ports import FeedIntervals
from signalbox.domain.signals import Sighting
from signalbox.simulators.mexc.options import SimulatorOptions, Switches
from signalbox.venues.mexc.ws import StreamLimits


@pytest.fixture
async def venue(start_venue: StartVenue) -> ConnectedVenue:
    """A simulator that pushes mini tickers five times a second."""
    return await start_venue(SimulatorOptions(listings=(LISTED,), switches=Switches(mini_tickers_every_ms=200)))


async def test_f01_what_trades_at_the_start_is_not_new(venue: ConnectedVenue) -> None:
    venue.listing("SOONUSDT", open_in_ms=60_000)
    known = await venue.public.known_symbols()
    assert "ABCUSDT" in known
    assert "BTCUSDT" in known
    assert "SOONUSDT" not in known
    assert [a.symbol for a in venue.public.upcoming()] == ["SOONUSDT"]


async def test_f02_a_surprise_is_seen_by_the_stream_and_by_the_price_list_once_each(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        venue.listing("索索USDT", announced=False)
        await watch.until(lambda: watch.of("索索USDT", TICKER) and watch.of("索索USDT", STREAM))
        venue.listing("LATERUSDT", announced=False)
        await watch.until(lambda: watch.of("LATERUSDT", TICKER) and watch.of("LATERUSDT", STREAM))
        assert len(watch.of("索索USDT")) == 2
        [seen] = watch.of("索索USDT", STREAM)
        assert seen.listing_time is None
        assert seen.price is not None
        assert seen.exchange_event_at is not None
        assert abs(seen.seen_at - seen.exchange_event_at) < timedelta(seconds=8)
        assert {s.symbol for s in watch.sightings} == {"索索USDT", "LATERUSDT"}


async def test_f03_an_announced_listing_is_reported_at_its_opening(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        venue.listing("SOONUSDT", open_in_ms=700)
        await watch.until(lambda: len(watch.of("SOONUSDT")) == 3)
        [scheduled] = watch.of("SOONUSDT", CALENDAR)
        assert scheduled.listing_time is not None
        assert scheduled.seen_at >= scheduled.listing_time, "not before its time"
        times = {s.listing_time for s in watch.of("SOONUSDT")}
        assert times == {scheduled.listing_time}, "all sources name the same listing"


async def test_f04_an_announced_listing_is_followed_on_a_venue_with_another_clock(venue: ConnectedVenue) -> None:
    venue.switch(clock_offset_ms=40_000)
    async with watching(venue) as watch:
        await venue.events.until(lambda: venue.events.status("feed.clock") == "running")
        venue.listing("SOONUSDT", open_in_ms=600)
        await watch.until(lambda: watch.of("SOONUSDT", CALENDAR))
        [seen] = watch.of("SOONUSDT", CALENDAR)
        assert seen.listing_time is not None
        ahead = seen.listing_time - seen.seen_at
        assert timedelta(0) < ahead <= timedelta(seconds=40.1)


async def test_f05_a_listing_hidden_until_it_opens_is_known_from_the_calendar(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        venue.listing("HIDUSDT", open_in_ms=500, visible_before_open=False)
        await watch.until(lambda: watch.of("HIDUSDT", CALENDAR) and watch.of("HIDUSDT", STREAM))
        [scheduled] = watch.of("HIDUSDT", CALENDAR)
        assert scheduled.listing_time is not None
        times = {s.listing_time for s in watch.of("HIDUSDT")}
        assert times == {scheduled.listing_time}, "who is first at the opening is a race; what is listed is not"


async def test_f06_prices_before_the_first_trade_are_no_listing(venue: ConnectedVenue) -> None:
    venue.switch(tickers_before_trade="zero", mini_tickers_before_trade=True)
    venue.listing("SOONUSDT", open_in_ms=1_200)
    async with watching(venue) as watch:
        venue.listing("OTHERUSDT", announced=False)
        await watch.until(lambda: watch.of("OTHERUSDT", STREAM) and watch.of("OTHERUSDT", TICKER))
        assert watch.of("SOONUSDT") == []
        await watch.until(lambda: len(watch.of("SOONUSDT")) == 3)
        assert watch.of("SOONUSDT")[0].source is CALENDAR


async def test_f10_a_moved_listing_is_reported_at_its_new_time_only(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        venue.listing("MOVEUSDT", open_in_ms=1_500, moves=((600, 2_500),))
        await venue.events.until(lambda: venue.events.told("calendar: MOVEUSDT will open"))
        await venue.events.until(lambda: venue.events.told("calendar: the listing of MOVEUSDT was moved"))
        await watch.until(lambda: watch.of("MOVEUSDT", CALENDAR))
        [seen] = watch.of("MOVEUSDT", CALENDAR)
        opened_ms = venue.simulator.exchange.pairs["MOVEUSDT"].timetable.opens_at_ms
        assert seen.listing_time is not None
        assert round(seen.listing_time.timestamp() * 1000) == opened_ms


async def test_f11_a_cancelled_listing_is_not_reported(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        venue.listing("GONEUSDT", open_in_ms=1_500, moves=((500, None),))
        venue.listing("SOONUSDT", open_in_ms=1_800)
        await venue.events.until(lambda: venue.events.told("calendar: the listing of GONEUSDT"))
        await watch.until(lambda: watch.of("SOONUSDT", CALENDAR) and watch.of("SOONUSDT", STREAM))
        assert watch.of("GONEUSDT") == []


async def test_f20_a_challenge_page_instead_of_the_calendar_degrades_one_source(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        venue.listing("SOONUSDT", open_in_ms=2_000)
        await venue.events.until(lambda: venue.events.told("calendar: SOONUSDT will open"))
        venue.fault("challenge_page", target="/api/operation", times=None)
        await venue.events.until(lambda: venue.events.status("feed.calendar") == "degraded")
        assert not venue.events.told("taken back")
        venue.listing("NEWUSDT", announced=False)
        await watch.until(lambda: watch.of("NEWUSDT", STREAM) and watch.of("NEWUSDT", TICKER))
        await watch.until(lambda: watch.of("SOONUSDT", CALENDAR))


async def test_f21_a_malformed_calendar_is_not_an_empty_one(venue: ConnectedVenue) -> None:
    async with watching(venue):
        venue.listing("SOONUSDT", open_in_ms=60_000)
        await venue.events.until(lambda: venue.events.told("calendar: SOONUSDT will open"))
        venue.fault("malformed_answer", target="/api/operation", times=None)
        await venue.events.until(lambda: venue.events.status("feed.calendar") == "degraded")
        assert "malformed" in venue.events.states["feed.calendar"][1]["reason"]
        assert not venue.events.told("taken back")


async def test_f22_a_throttled_price_list_rests_and_the_stream_goes_on(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        venue.fault("rate_limited", target="/api/v3/ticker/price", retry_after=30)
        await venue.events.until(lambda: venue.events.status("feed.ticker_diff") == "degraded")
        venue.listing("NEWUSDT", announced=False)
        await watch.until(lambda: watch.of("NEWUSDT", STREAM))
        assert watch.of("NEWUSDT", TICKER) == []


async def test_f23_malformed_pushes_are_counted_and_the_stream_goes_on(venue: ConnectedVenue) -> None:
    async with watching(venue, SLOW) as watch:
        venue.fault("push_malformed", times=2)
        await venue.events.until(lambda: venue.events.told("a push cannot be decoded"))
        venue.listing("NEWUSDT", announced=False)
        await watch.until(lambda: watch.of("NEWUSDT", STREAM))
        assert {s.symbol for s in watch.sightings} == {"NEWUSDT"}


async def test_f24_a_listing_during_a_broken_connection_is_seen_after_it(venue: ConnectedVenue) -> None:
    async with watching(venue, SLOW) as watch:
        venue.simulator.hub.disconnect()
        await venue.events.until(lambda: venue.events.status("feed.websocket") == "degraded")
        venue.listing("GAPUSDT", announced=False)
        await watch.until(lambda: watch.of("GAPUSDT", STREAM))
        await venue.events.until(lambda: venue.events.status("feed.websocket") == "running")


async def test_f12_after_a_reconnect_the_price_list_is_read_at_once(venue: ConnectedVenue) -> None:
    """A listing that opened while the stream was away need not wait for the next poll, nor for a push of its own."""
    async with watching(venue, SLOW) as watch:
        await venue.events.until(lambda: venue.events.status("feed.ticker_diff") == "running")
        venue.fault("push_missing", target="spot@public.miniTickers", times=None)
        venue.simulator.hub.disconnect()
        await venue.events.until(lambda: venue.events.status("feed.websocket") == "degraded")
        venue.listing("GAPUSDT", announced=False)
        await watch.until(lambda: watch.of("GAPUSDT", TICKER))


async def test_f25_a_subscribed_but_silent_stream_is_given_up(start_venue: StartVenue) -> None:
    venue = await start_venue(SimulatorOptions(switches=Switches(mini_tickers_every_ms=60_000)))
    limits = StreamLimits(push_idle_s=0.3, ping_s=0.1)
    async with watching(venue, SLOW, limits):
        await venue.events.until(lambda: venue.events.status("feed.websocket") == "degraded")
        assert "no push came" in venue.events.states["feed.websocket"][1]["reason"]


async def test_f26_many_unknown_symbols_at_once_are_no_listings(venue: ConnectedVenue) -> None:
    async with watching(venue) as watch:
        for number in range(15):
            venue.listing(f"BULK{number}USDT", announced=False)
        await venue.events.until(lambda: venue.events.told("unknown symbols at once"))
        venue.listing("REALUSDT", announced=False)
        await watch.until(lambda: watch.of("REALUSDT"))
        assert {s.symbol for s in watch.sightings} == {"REALUSDT"}


async def test_f29_a_poll_that_would_exceed_the_venues_limit_is_slowed(venue: ConnectedVenue) -> None:
    async with watching(venue, FeedIntervals(calendar_s=60, ticker_s=0.01)):
        await venue.events.until(lambda: venue.events.told("the price list is read every 0.5 s"))


async def test_f27_an_error_of_the_receiver_ends_the_feed_and_is_not_swallowed(venue: ConnectedVenue) -> None:
    def fail(_: Sighting) -> None:
        raise LookupError("the receiver is broken")

    await venue.public.known_symbols()
    venue.listing("NEWUSDT", announced=False)
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(5):
            await venue.public.run(fail, intervals=QUICK)
    assert caught.group_contains(LookupError, match="the receiver is broken")


async def test_f28_the_feed_waits_for_a_venue_that_is_away_at_the_start(venue: ConnectedVenue) -> None:
    venue.fault("error_before_accept", target="/api/v3/exchangeInfo")
    watch = Watch(venue.public)
    task = asyncio.create_task(venue.public.run(watch.on_sighting, intervals=QUICK))
    await venue.events.until(lambda: venue.events.status("feed.exchange_info") == "degraded")
    await venue.events.until(lambda: venue.events.status("feed.exchange_info") == "running")
    assert watch.sightings == []
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
