"""The MEXC adapter against the simulated exchange, each on real sockets and with the real clock."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from tests.contract.venue_mexc.venue import ConnectedVenue

from signalbox.simulators.mexc.main import serve
from signalbox.simulators.mexc.options import ListingOptions, SimulatorOptions

StartVenue = Callable[[SimulatorOptions], Awaitable[ConnectedVenue]]
LISTED = ListingOptions(symbol="ABCUSDT", path="flat")


@pytest.fixture
async def start_venue() -> AsyncIterator[StartVenue]:
    """Starts simulators with a client each; all are closed when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(options: SimulatorOptions) -> ConnectedVenue:
            simulator = await serve(options)
            stack.push_async_callback(simulator.close)
            venue = ConnectedVenue(simulator)
            stack.push_async_callback(venue.close)
            return venue

        yield start


@pytest.fixture
async def venue(start_venue: StartVenue) -> ConnectedVenue:
    """A simulator with one listing, ABCUSDT, that opened at 0.5 and stays there."""
    return await start_venue(SimulatorOptions(listings=(LISTED,)))
