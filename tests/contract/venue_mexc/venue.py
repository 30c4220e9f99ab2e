"""One simulated exchange with our adapter connected to it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from tests.venue_examples import RecordedEvents, example_order, no_jitter

from signalbox.domain.credentials import Credentials, Secret
from signalbox.domain.orders import Fill, Order, OrderEvidence, StageTimes, SubmitOutcome
from signalbox.engine.clock import SystemClock
from signalbox.simulators.faults import Fault
from signalbox.simulators.mexc.options import ListingOptions, updated_switches
from signalbox.simulators.mexc.server import SimulatedMexc
from signalbox.venues.mexc.client import MexcPublic, open_orders
from signalbox.venues.mexc.endpoints import MexcEndpoints
from signalbox.venues.mexc.limits import MexcLimits
from signalbox.venues.mexc.orders import MexcOrders
from signalbox.venues.mexc.ws import StreamLimits


class ConnectedVenue:
    """The simulator, the public client and the first account's OrderVenue."""

    def __init__(self, simulator: SimulatedMexc) -> None:
        self.simulator = simulator
        self.clock = SystemClock()
        self.events = RecordedEvents()
        self.limits = MexcLimits(self.clock, self.events)
        self.endpoints = MexcEndpoints(
            rest_url=simulator.rest_url, ws_url=simulator.ws_url, calendar_url=simulator.calendar_url
        )
        self.public = self.public_client()
        self._more: list[MexcOrders | MexcPublic] = [self.public]
        self.orders = self.account()

    @property
    def address(self) -> str:
        """The REST address as reports name it."""
        return self.endpoints.rest_url.removeprefix("http://")

    def public_client(self, limits: StreamLimits | None = None) -> MexcPublic:
        """A further public client; the caller closes it."""
        return MexcPublic(
            self.endpoints,
            clock=self.clock,
            events=self.events,
            jitter=no_jitter,
            limits=self.limits,
            stream_limits=limits,
        )

    def account(self, *, timeout_s: float = 2.0, **credentials: str) -> MexcOrders:
        """The first account's OrderVenue, with other credentials if given."""
        first = self.simulator.accounts[0]
        orders = open_orders(
            self.endpoints,
            Credentials(
                api_key=credentials.get("api_key", str(first["api_key"])),
                api_secret=Secret(credentials.get("secret", str(first["secret"]))),
            ),
            clock=self.clock,
            events=self.events,
            jitter=no_jitter,
            limits=self.limits,
            label="main",
            timeout_s=timeout_s,
        )
        self._more.append(orders)
        return orders

    def switch(self, **changes: object) -> None:
        """Set what nobody knows of the real exchange."""
        self.simulator.exchange.switches = updated_switches(self.simulator.exchange.switches, changes)
        self.simulator.exchange.wake()

    def fault(self, kind: str, **changes: Any) -> None:
        """Arm a fault."""
        self.simulator.exchange.faults.arm(msgspec.convert({"kind": kind} | changes, Fault))

    def listing(self, symbol: str, **changes: Any) -> None:
        """Announce or open a pair; times in milliseconds from now."""
        options = msgspec.convert({"symbol": symbol, "path": "flat"} | changes, ListingOptions)
        self.simulator.exchange.add_listing(options)

    def received(self, order: Order) -> int:
        """How often the exchange got this order."""
        requests = self.simulator.dispatcher.order_requests
        return sum(record.params.get("newClientOrderId") == order.client_order_id for record in requests)

    async def send(self, **changes: Any) -> tuple[Order, SubmitOutcome]:
        """Submit one order on the first account."""
        order = example_order(**changes)
        return order, await self.orders.submit(order, StageTimes())

    async def settled(self, order: Order) -> tuple[OrderEvidence, Sequence[Fill]]:
        """The order's evidence, and its fills once they add up to it."""
        evidence = await self.orders.find_order(order)
        async with asyncio.timeout(5):
            while True:
                fills = await self.orders.fills(order, evidence.exchange_order_id or "")
                if sum(fill.quantity for fill in fills) == evidence.executed_quantity:
                    return evidence, fills
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Close every client."""
        for client in self._more:
            await client.close()
