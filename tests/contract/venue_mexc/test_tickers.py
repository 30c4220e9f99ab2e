"""Numbered cases of pushed prices: K0x."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from decimal import Decimal

import pytest
from tests.contract.venue_mexc.conftest import StartVenue
from tests.contract.venue_mexc.venue import ConnectedVenue

from signalbox.domain.market import BookTicker
from signalbox.simulators.mexc.options import SimulatorOptions
from signalbox.venues.mexc.ticker_stream import COMPONENT

PATIENCE_S = 10.0


class Watched:
    """What a watcher heard of one market."""

    def __init__(self, venue: ConnectedVenue, symbol: str) -> None:
        self.heard: list[BookTicker] = []
        self._changed = asyncio.Event()
        self._venue = venue
        self.task = asyncio.create_task(venue.public.watch_ticker(symbol, self._on_ticker))

    def _on_ticker(self, ticker: BookTicker) -> None:
        self.heard.append(ticker)
        self._changed.set()

    async def until(self, condition: Callable[[BookTicker], bool]) -> BookTicker:
        """The first ticker that fits, from now on or the last one."""
        seen = max(len(self.heard) - 1, 0)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for ticker in self.heard[seen:]:
                    if condition(ticker):
                        return ticker
                seen = len(self.heard)
                self._changed.clear()
                await self._changed.wait()

    async def stop(self) -> None:
        """Watch no more."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


Watch = Callable[[str], Watched]


@pytest.fixture
async def watch(venue: ConnectedVenue) -> AsyncIterator[Watch]:
    """Begins watches, all of which end with the test."""
    async with AsyncExitStack() as stack:

        def begin(symbol: str) -> Watched:
            watched = Watched(venue, symbol)
            stack.push_async_callback(watched.stop)
            return watched

        yield begin


def move(venue: ConnectedVenue, symbol: str, price: str) -> None:
    """Move the market."""
    exchange = venue.simulator.exchange
    exchange.move_price(exchange.pairs[symbol], Decimal(price), hold=True)


def near(price: str) -> Callable[[BookTicker], bool]:
    """Bid and ask lie around this price."""
    middle = Decimal(price)
    return lambda t: t.bid is not None and t.ask is not None and middle * Decimal("0.98") < t.bid < middle < t.ask


async def test_k01_each_change_of_price_is_pushed(venue: ConnectedVenue, watch: Watch) -> None:
    watched = watch("ABCUSDT")
    await watched.until(near("0.5"))
    await venue.events.until(lambda: venue.events.status(COMPONENT) == "running")
    for price in ("0.6", "0.3", "2.5"):
        move(venue, "ABCUSDT", price)
        ticker = await watched.until(near(price))
        assert ticker.symbol == "ABCUSDT"
        assert ticker.bid == (await venue.public.book_ticker("ABCUSDT")).bid


async def test_k02_a_price_that_moved_while_the_stream_was_cut_is_told_after_it(
    venue: ConnectedVenue, watch: Watch
) -> None:
    watched = watch("ABCUSDT")
    await venue.events.until(lambda: venue.events.status(COMPONENT) == "running")
    await watched.until(near("0.5"))
    venue.simulator.hub.disconnect()
    move(venue, "ABCUSDT", "0.7")
    await venue.events.until(lambda: venue.events.status(COMPONENT) == "degraded")
    await watched.until(near("0.7"))
    move(venue, "ABCUSDT", "0.8")
    await watched.until(near("0.8"))
    assert venue.events.status(COMPONENT) == "running"


async def test_k03_a_market_that_is_refused_is_asked_for_again_and_disturbs_no_other(
    venue: ConnectedVenue, watch: Watch
) -> None:
    known, unknown = watch("ABCUSDT"), watch("LATEUSDT")
    await venue.events.until(lambda: venue.events.status(COMPONENT) == "degraded")
    move(venue, "ABCUSDT", "0.6")
    await known.until(near("0.6"))
    assert unknown.heard == []
    venue.listing("LATEUSDT", price="3")
    await unknown.until(near("3"))
    await venue.events.until(lambda: venue.events.status(COMPONENT) == "running")


async def test_k04_more_markets_than_one_connection_takes(start_venue: StartVenue) -> None:
    venue = await start_venue(SimulatorOptions(filler_pairs=40))
    symbols = [symbol for symbol in venue.simulator.exchange.pairs if symbol.endswith("USDT")][:35]
    watches = [Watched(venue, symbol) for symbol in symbols]
    for watched in watches:
        await watched.until(lambda ticker: ticker.bid is not None)
    assert venue.simulator.hub.connections == 2
    for watched in watches:
        await watched.stop()


async def test_k05_two_watchers_share_a_subscription_and_the_last_one_ends_it(
    venue: ConnectedVenue, watch: Watch
) -> None:
    first, second = watch("ABCUSDT"), watch("ABCUSDT")
    await first.until(near("0.5"))
    await second.until(near("0.5"))
    await first.stop()
    move(venue, "ABCUSDT", "0.6")
    await second.until(near("0.6"))
    assert venue.simulator.hub.connections == 1
    await second.stop()
    assert venue.events.status(COMPONENT) == "stopped"
    async with asyncio.timeout(PATIENCE_S):
        while venue.simulator.hub.connections:  # noqa: ASYNC110 - the exchange tells nobody
            await asyncio.sleep(0.01)


async def test_k06_a_market_without_buyers_has_no_bid(venue: ConnectedVenue, watch: Watch) -> None:
    watched = watch("ABCUSDT")
    await watched.until(near("0.5"))
    exchange = venue.simulator.exchange
    pair = exchange.pairs["ABCUSDT"]
    pair.timetable.halted = True  # nobody quotes anew
    pair.book.remove_house()
    exchange.publisher.book_changed(pair)
    ticker = await watched.until(lambda ticker: ticker.bid is None)
    assert (ticker.ask, ticker.bid_quantity) == (None, None)
