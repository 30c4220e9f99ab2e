"""Numbered cases of the account's private stream: P0x. What it tells are hints; nothing here is evidence."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

from tests.contract.venue_mexc.conftest import LISTED, StartVenue
from tests.contract.venue_mexc.venue import ConnectedVenue
from tests.venue_examples import no_jitter

from signalbox.domain.orders import OrderType, TimeInForce
from signalbox.domain.venue_records import AccountUpdate, BalanceUpdate, OrderUpdate, StreamOpened
from signalbox.simulators.mexc.listen_keys import MAX_KEYS
from signalbox.simulators.mexc.options import SimulatorOptions
from signalbox.venues.mexc.private_stream import COMPONENT, PrivateStream

ORDERS = "spot@private.orders.v3.api.pb"


class Heard:
    """Updates in the order in which they came, and a way to wait for them."""

    def __init__(self) -> None:
        self.updates: list[AccountUpdate] = []
        self._changed = asyncio.Event()

    def __call__(self, update: AccountUpdate) -> None:
        self.updates.append(update)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def of_orders(self) -> list[OrderUpdate]:
        return [update for update in self.updates if isinstance(update, OrderUpdate)]

    @property
    def openings(self) -> int:
        return sum(isinstance(update, StreamOpened) for update in self.updates)


@asynccontextmanager
async def watched(venue: ConnectedVenue) -> AsyncIterator[Heard]:
    """The first account's stream, open; closed in order at the end."""
    heard = Heard()
    task = asyncio.create_task(venue.orders.watch(heard))
    await heard.until(lambda: heard.openings == 1)
    try:
        yield heard
    finally:
        await stop(task)


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def keys(venue: ConnectedVenue) -> list[str]:
    """The living listen keys of the first account."""
    exchange = venue.simulator.exchange
    return venue.simulator._keys.of(exchange.accounts.all[0], exchange.now_ms())


async def test_p01_an_order_of_ours_is_told_by_its_client_order_id(venue: ConnectedVenue) -> None:
    async with watched(venue) as heard:
        order, _ = await venue.send()
        await heard.until(lambda: any(isinstance(update, BalanceUpdate) for update in heard.updates))
        await heard.until(lambda: len(heard.of_orders()) >= 2)
    assert {update.client_order_id for update in heard.of_orders()} == {order.client_order_id}
    assert {update.symbol for update in heard.of_orders()} == {"ABCUSDT"}
    moved = [update for update in heard.updates if isinstance(update, BalanceUpdate)]
    assert {update.asset for update in moved} == {"ABC", "USDT"}
    assert all(update.by_order for update in moved)
    assert venue.events.status(COMPONENT) == "running"


async def test_p02_what_cannot_be_decoded_is_counted_and_the_rest_goes_on(venue: ConnectedVenue) -> None:
    async with watched(venue) as heard:
        venue.fault("push_malformed", target=ORDERS, times=1)
        venue.fault("push_duplicated", target="spot@private.deals", times=1)
        order, _ = await venue.send()
        await venue.events.until(lambda: venue.events.told("cannot be decoded"))
        await heard.until(lambda: len(heard.of_orders()) >= 2)
        assert {update.client_order_id for update in heard.of_orders()} == {order.client_order_id}


async def test_p03_a_cut_connection_is_opened_again_with_the_same_key(venue: ConnectedVenue) -> None:
    async with watched(venue) as heard:
        before = keys(venue)
        venue.simulator.hub.disconnect()
        await heard.until(lambda: heard.openings == 2)
        assert keys(venue) == before
        await venue.send()
        await heard.until(lambda: bool(heard.of_orders()))
    assert len(before) == 1


async def test_p04_a_key_that_the_venue_does_not_know_any_more_is_replaced(venue: ConnectedVenue) -> None:
    async with watched(venue) as heard:
        exchange = venue.simulator.exchange
        (old,) = keys(venue)
        venue.simulator._keys.delete(exchange.accounts.all[0], old, exchange.now_ms())
        venue.simulator.hub.disconnect()
        await heard.until(lambda: heard.openings == 2)
        assert len(keys(venue)) == 1
        assert keys(venue) != [old]


async def test_p05_closing_deletes_our_key_and_leaves_those_of_others(venue: ConnectedVenue) -> None:
    exchange = venue.simulator.exchange
    other = venue.simulator._keys.create(exchange.accounts.all[0], exchange.now_ms())
    async with watched(venue):
        assert len(keys(venue)) == 2
    assert keys(venue) == [other]


async def test_p06_the_key_is_extended_while_the_stream_lives(start_venue: StartVenue) -> None:
    venue = await start_venue(SimulatorOptions(listings=(LISTED,), listen_key_ms=60_000))
    stream = PrivateStream(
        venue.endpoints.ws_url,
        venue.orders._account._requests,
        clock=venue.clock,
        events=venue.events,
        jitter=no_jitter,
        extend_every_s=0.05,
    )
    heard = Heard()
    task = asyncio.create_task(stream.run(heard))
    await heard.until(lambda: heard.openings == 1)
    key = venue.simulator._keys.find(keys(venue)[0], venue.simulator.exchange.now_ms())
    assert key is not None
    first = key.expires_ms
    async with asyncio.timeout(5):
        while key.expires_ms == first:  # noqa: ASYNC110 - the simulator says nothing when a key is extended
            await asyncio.sleep(0.02)
    await stop(task)
    assert keys(venue) == []


async def test_p07_without_a_free_key_the_stream_is_degraded_and_takes_none_away(venue: ConnectedVenue) -> None:
    exchange = venue.simulator.exchange
    for _ in range(MAX_KEYS):
        venue.simulator._keys.create(exchange.accounts.all[0], exchange.now_ms())
    task = asyncio.create_task(venue.orders.watch(Heard()))
    await venue.events.until(lambda: venue.events.status(COMPONENT) == "degraded")
    await stop(task)
    assert len(keys(venue)) == MAX_KEYS


async def test_p08_an_order_that_rests_is_told_when_somebody_cancels_it(venue: ConnectedVenue) -> None:
    other = venue.account()
    async with watched(venue) as heard:
        order, _ = await venue.send(
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            quantity=Decimal(10),
            limit_price=Decimal("0.45"),
        )
        await heard.until(lambda: bool(heard.of_orders()))
        await other.cancel(order)
        await heard.until(lambda: len(heard.of_orders()) >= 2)
    assert {update.client_order_id for update in heard.of_orders()} == {order.client_order_id}


async def test_p09_the_listen_key_is_told_to_nobody(venue: ConnectedVenue) -> None:
    async with watched(venue) as heard:
        (key,) = keys(venue)
        venue.simulator.hub.disconnect()
        await heard.until(lambda: heard.openings == 2)
    assert key not in repr(venue.events.events)
    assert key not in repr(venue.events.states)
