"""Numbered cases of the venue's limits: L0x, with the simulator enforcing them as the venue says it does."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from tests.contract.venue_mexc.conftest import LISTED, StartVenue
from tests.contract.venue_mexc.venue import ConnectedVenue
from tests.venue_examples import RecordedEvents, example_order, no_jitter

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import VenueThrottled, VenueUnavailable
from signalbox.domain.orders import Accepted, Order, RefusalKind, Rejected, StageTimes
from signalbox.domain.ports import FeedIntervals
from signalbox.domain.signals import Sighting
from signalbox.simulators.mexc.options import RateLimitOptions, SimulatorOptions
from signalbox.venues.http import parse_target
from signalbox.venues.mexc.client import MexcPublic

THROTTLED = "venue_throttled"


def foreign_client(venue: ConnectedVenue) -> MexcPublic:
    """Another program behind the same address, of whose requests we know nothing."""
    return MexcPublic(venue.endpoints, clock=venue.clock, events=RecordedEvents(), jitter=no_jitter)


async def use_up(venue: ConnectedVenue) -> None:
    """The other program spends the address's weight until the venue has enough of it."""
    other = foreign_client(venue)
    with suppress(VenueUnavailable):
        for _ in range(50):
            await other.order_book("ABCUSDT", 5)
    await other.close()


async def strict(start_venue: StartVenue, **limits: Any) -> ConnectedVenue:
    """A venue with little weight that bans whoever does not obey."""
    options = structs.replace(
        RateLimitOptions(ip_weight=60, weight_window_ms=1_500, violations_before_ban=3, first_ban_ms=30_000), **limits
    )
    return await start_venue(SimulatorOptions(listings=(LISTED,), rate_limits=options))


async def until_final(venue: ConnectedVenue, order: Order) -> None:
    """Look an order up as the engine does: often at first, slower and slower, and again when the budget is used up."""
    delays = backoff(first_s=0.02, longest_s=2.0)
    while True:
        with suppress(VenueUnavailable):
            evidence = await venue.orders.find_order(order)
            if evidence.is_final:
                await venue.orders.fills(order, evidence.exchange_order_id or "")
                return
        await asyncio.sleep(next(delays))


async def until_it_goes(venue: ConnectedVenue, timeout_s: float = 15.0) -> None:
    """Ask again and again, without any manners of our own."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                await venue.public.order_book("ABCUSDT", 5)
            except VenueThrottled:
                await asyncio.sleep(0.05)
            else:
                return


async def test_l01_a_busy_opening_with_a_large_catalogue_never_meets_a_429(start_venue: StartVenue) -> None:
    """Ten seconds of 2500-symbol polls as fast as they go, with orders, look-ups and prices for exits: the polls slow
    down, nothing that matters does, and the venue never has to complain."""
    venue = await start_venue(SimulatorOptions(filler_pairs=2_480, listings=(LISTED,)))
    seen: list[Sighting] = []
    await venue.orders.check_credentials()
    await venue.public.known_symbols()
    intervals = FeedIntervals(calendar_s=0.2, ticker_s=0.5)
    feed = asyncio.create_task(venue.public.run(seen.append, intervals=intervals))

    async def one_entry(number: int) -> None:
        order = example_order(quote_amount=Decimal(5))
        while not isinstance(outcome := await venue.orders.submit(order, StageTimes()), Accepted):
            assert isinstance(outcome, Rejected)
            assert not outcome.sent, f"order {number}: {outcome}"
            await asyncio.sleep(outcome.retry_after_s or 0.1)
        await until_final(venue, order)

    async def prices() -> None:
        while True:
            with suppress(VenueUnavailable):
                await venue.public.book_ticker("ABCUSDT")
            await asyncio.sleep(0.25)

    watching = [asyncio.create_task(prices()) for _ in range(2)]
    try:
        async with asyncio.timeout(60):
            for start in (0, 10):
                await asyncio.gather(*(one_entry(start + n) for n in range(8)))
                venue.listing(f"NEW{start}USDT", announced=False)
                await asyncio.sleep(2)
    finally:
        for task in (feed, *watching):
            task.cancel()
        await asyncio.wait([feed, *watching])
    assert {s.symbol for s in seen} == {"NEW0USDT", "NEW10USDT"}
    assert venue.events.raised == []
    status, details = venue.events.states["venue.mexc.budget"]
    assert status == "running"
    assert details["weight_peak"] <= details["weight_limit"] == 300
    assert details["accounts"]["main"]["orders_peak"] <= 12


async def test_l02_a_429_with_a_time_is_obeyed_by_everybody_at_the_address(start_venue: StartVenue) -> None:
    venue = await strict(start_venue)
    await use_up(venue)
    with pytest.raises(VenueThrottled):
        await venue.public.order_book("ABCUSDT", 5)
    assert venue.events.raised == [(THROTTLED, f"{venue.address} public reads")]
    assert venue.events.status("venue.mexc.budget") == "degraded"
    lanes = venue.limits.address(parse_target(venue.endpoints.rest_url)).account("main")
    pause_s = lanes.reads.pause_s()
    assert 0.5 < pause_s <= 2
    assert lanes.orders.pause_s() == 0
    before_ns = venue.clock.monotonic_ns()
    await asyncio.gather(*(until_it_goes(venue) for _ in range(5)))
    assert venue.clock.monotonic_ns() - before_ns >= (pause_s - 0.01) * 1_000_000_000
    assert len(venue.events.raised) == 1, "nothing was sent in between: the next one too many would have been a ban"
    assert venue.events.alerts == {}
    assert venue.events.status("venue.mexc.budget") == "running"


async def test_l03_a_429_without_a_time_is_waited_out_longer_and_longer(start_venue: StartVenue) -> None:
    venue = await strict(start_venue, retry_after=False, weight_window_ms=3_500, violations_before_ban=5)
    await use_up(venue)
    with suppress(VenueThrottled):
        await venue.public.order_book("ABCUSDT", 5)
    before_ns = venue.clock.monotonic_ns()
    await until_it_goes(venue)
    assert venue.clock.monotonic_ns() - before_ns >= 2_900_000_000, "one second, then two"
    assert 2 <= len(venue.events.raised) <= 3


async def test_l04_a_ban_silences_reads_and_orders_alike(start_venue: StartVenue) -> None:
    venue = await strict(start_venue, violations_before_ban=1, first_ban_ms=2_000)
    await venue.orders.warm()
    await use_up(venue)
    with pytest.raises(VenueThrottled):
        await venue.public.order_book("ABCUSDT", 5)
    severity, message = venue.events.alerts[THROTTLED, venue.address]
    assert severity == "critical"
    assert "banned" in message
    outcome = await venue.orders.submit(example_order(), StageTimes())
    assert isinstance(outcome, Rejected)
    assert (outcome.kind, outcome.sent) == (RefusalKind.THROTTLED, False)
    assert outcome.retry_after_s is not None
    assert outcome.retry_after_s <= 2.1
    await asyncio.sleep(outcome.retry_after_s)
    order = example_order()
    assert isinstance(await venue.orders.submit(order, StageTimes()), Accepted)
    assert venue.received(order) == 1
    assert venue.events.alerts == {}


async def test_l05_orders_that_are_too_many_wait_and_reads_go_on(start_venue: StartVenue) -> None:
    venue = await start_venue(SimulatorOptions(listings=(LISTED,)))
    venue.fault("rate_limited", target="/api/v3/order", method="POST", retry_after=1)
    _, outcome = await venue.send()
    assert isinstance(outcome, Rejected)
    assert (outcome.kind, outcome.retry_after_s) == (RefusalKind.THROTTLED, 1)
    assert list(venue.events.alerts) == [(THROTTLED, f"{venue.address} orders of main")]
    await venue.public.order_book("ABCUSDT", 5)
    _, second = await venue.send()
    assert isinstance(second, Rejected)
    assert not second.sent
    await asyncio.sleep(1.01)
    _, third = await venue.send()
    assert isinstance(third, Accepted)
    assert venue.events.alerts == {}


@pytest.mark.parametrize(("status", "text"), [(403, "web firewall"), (451, "does not serve the region")])
async def test_l06_a_blocked_address_is_told_clearly(venue: ConnectedVenue, status: int, text: str) -> None:
    venue.fault("error_before_accept", target="/api/v3/depth", status=status)
    with pytest.raises(VenueThrottled, match=text):
        await venue.public.order_book("ABCUSDT", 5)
    assert text in venue.events.alerts[THROTTLED, venue.address][1]
    lanes = venue.limits.address(parse_target(venue.endpoints.rest_url)).account("main")
    assert min(lanes.reads.pause_s(), lanes.orders.pause_s()) > 0
