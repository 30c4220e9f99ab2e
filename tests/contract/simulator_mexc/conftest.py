"""A simulated exchange on a real socket whose clock the test owns."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest
from tests.contract.simulator_mexc.raw_client import RawClient

from signalbox.simulators.mexc.clock import ManualClock
from signalbox.simulators.mexc.main import serve
from signalbox.simulators.mexc.options import ListingOptions, SimulatorOptions
from signalbox.simulators.mexc.server import SimulatedMexc

LISTED = ListingOptions(symbol="ABCUSDT", path="flat")


class Venue:
    """A running simulator with its clock and a client of it."""

    def __init__(self, simulator: SimulatedMexc, clock: ManualClock, client: RawClient) -> None:
        self.simulator = simulator
        self.clock = clock
        self.client = client

    def advance(self, milliseconds: int) -> None:
        """Move the exchange's time and let it do what is due."""
        self.clock.advance(milliseconds)
        self.simulator.exchange.advance(self.simulator.exchange.now_ms())


StartVenue = Callable[[SimulatorOptions], Awaitable[Venue]]


@pytest.fixture
async def start_venue() -> AsyncIterator[StartVenue]:
    """Starts simulators; they are closed when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(options: SimulatorOptions) -> Venue:
            clock = ManualClock()
            simulator = await serve(options, clock)
            stack.push_async_callback(simulator.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            client = RawClient(session, simulator.rest_url, simulator.ws_url, clock.utc_ms)
            client.use(simulator.accounts[0])
            return Venue(simulator, clock, client)

        yield start


@pytest.fixture
async def venue(start_venue: StartVenue) -> Venue:
    """A simulator with one listing, ABCUSDT, that opened at 0.5 and stays there."""
    return await start_venue(SimulatorOptions(listings=(LISTED,)))
