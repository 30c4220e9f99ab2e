"""Numbered cases of how executions are collected from the exchange: X0x."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from tests.contract.venue_mexc.venue import ConnectedVenue

from signalbox.domain.explained_fills import is_explained
from signalbox.domain.instruments import Instrument
from signalbox.domain.orders import Mode, Order, OrderEvidence
from signalbox.domain.positions import UniqueFills
from signalbox.engine.books.executions import Executions
from signalbox.engine.books.hints import Hints


async def bought(venue: ConnectedVenue) -> tuple[Order, OrderEvidence, Instrument]:
    """A filled market buy, and what the exchange says of it."""
    order, _ = await venue.send()
    instrument = await venue.public.instrument("ABCUSDT")
    assert instrument is not None
    return order, await venue.orders.find_order(order), instrument


def executions(venue: ConnectedVenue, window_s: float) -> Executions:
    window = timedelta(seconds=window_s)
    return Executions({Mode.LIVE: venue.orders}, Hints(), clock=venue.clock, journal=venue.events, window=window)


async def test_x01_executions_that_are_listed_late_are_awaited(venue: ConnectedVenue) -> None:
    venue.switch(trades_visible_after_ms=700)
    order, evidence, instrument = await bought(venue)
    fills = await executions(venue, 20).complete(order, evidence, instrument)
    assert sum(fill.quantity for fill in fills) == evidence.executed_quantity
    assert not any(is_explained(fill) for fill in fills)


async def test_x02_what_is_not_listed_in_time_is_one_fill_that_equals_the_real_ones(venue: ConnectedVenue) -> None:
    venue.switch(trades_visible_after_ms=2_500)
    order, evidence, instrument = await bought(venue)
    (rest,) = await executions(venue, 0.2).complete(order, evidence, instrument)
    assert rest.exchange_trade_id == f"{evidence.exchange_order_id}:rest"
    assert venue.events.told("booked from the order's own totals")
    async with asyncio.timeout(10):  # the exchange does not tell when it lists them
        while not (real := await venue.orders.fills(order, evidence.exchange_order_id or "")):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.5)
    unique = UniqueFills()
    unique.add(real)
    assert unique.totals() == (rest.quantity, rest.quote_quantity, {rest.fee_asset: rest.fee})


async def test_x03_a_part_that_is_not_listed_pays_the_fee_of_the_rest(venue: ConnectedVenue) -> None:
    """Of 250 executions within one second only 100 can be read."""
    order, evidence, instrument = await bought(venue)
    (real, *_) = await executions(venue, 20).complete(order, evidence, instrument)
    half = OrderEvidence(
        state=evidence.state,
        exchange_order_id=evidence.exchange_order_id,
        executed_quantity=evidence.executed_quantity * 2,
        executed_quote=evidence.executed_quote * 2,
    )
    fills = await executions(venue, 0.2).complete(order, half, instrument)
    rest = fills[-1]
    assert is_explained(rest)
    assert rest.fee_asset == real.fee_asset
    assert rest.fee / rest.quote_quantity == Decimal("0.0005")
    assert sum(fill.quantity for fill in fills) == half.executed_quantity
    assert sum(fill.quote_quantity for fill in fills) == half.executed_quote
