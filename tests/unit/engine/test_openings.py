"""Scheduled openings: the order is durable ahead, leaves at its second, or not at all."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs
from tests.unit.domain import examples
from tests.unit.engine.fake_ledger import OrderRow
from tests.unit.engine.fakes import START, accepted, refused
from tests.unit.engine.virtual_time import virtual_time
from tests.unit.engine.world import World, world

from signalbox.domain.configuration import BotConfiguration, ListingSniperParameters, OrderStyle
from signalbox.domain.ids import ConfigurationId
from signalbox.domain.listings import ListingState
from signalbox.domain.market import ClockReading
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Mode, OrderStatus, OrderType, Purpose, RefusalKind
from signalbox.domain.ports import SystemState
from signalbox.domain.positions import ExitPlan
from signalbox.domain.runs import RunStatus, StopMode
from signalbox.domain.signals import DetectionSource
from signalbox.engine.orders.openings import report_ahead

CALENDAR, WEBSOCKET = DetectionSource.CALENDAR, DetectionSource.WEBSOCKET
SYMBOL = "SOONUSDT"
OPENS_AT = START + timedelta(seconds=60)
NOT_OPEN = RefusalKind.NOT_OPEN_YET
EXACT = timedelta(microseconds=300)
"""Virtual time moves on by a tenth of a millisecond while somebody spins."""


def sniper(**parameters: Any) -> BotConfiguration:
    """Buys whatever is announced; keeps what it bought."""
    return examples.configuration(parameters={"exit_plan": ExitPlan(), "warm_s": ZERO, **parameters})


async def follow(w: World, opens_at: datetime = OPENS_AT, symbol: str = SYMBOL, **changes: Any) -> None:
    """What a feed does: the listing is announced, and reported ahead of its opening."""
    w.feed.announce(symbol, opens_at)
    await until(w, opens_at - w.feed.ahead)
    w.feed.show(symbol, source=CALENDAR, listing_time=opens_at, **changes)


async def until(w: World, venue_instant: datetime) -> None:
    """Wait for an instant of the venue's clock."""
    at = w.clock.at(w.feed.monotonic_ns_at(venue_instant))
    await asyncio.sleep(max(0.0, (at - w.clock.now()).total_seconds()))


def sent_at(w: World) -> list[datetime]:
    """When the orders left, by our clock."""
    return [w.venue.sent_times[order.id] for order in w.venue.sent if order.purpose is Purpose.ENTRY]


async def settled(w: World, count: int = 1) -> list[OrderRow]:
    """The entry orders, once so many have ended."""
    final = {OrderStatus.FILLED, OrderStatus.REJECTED, OrderStatus.FAILED}
    await w.until(lambda: sum(row.status in final for row in w.db.orders_of(Purpose.ENTRY)) >= count)
    await asyncio.sleep(0.1)
    return w.db.orders_of(Purpose.ENTRY)


@pytest.mark.parametrize("lead_ms", [0, 250, 3000, -1000])
@pytest.mark.parametrize("offset_ms", [0, 137, -2500])
@virtual_time
async def test_s2_an_order_is_durable_ahead_and_arrives_at_opening_plus_lead_by_the_venues_clock(
    lead_ms: int, offset_ms: int
) -> None:
    async with world(live=True, mode=Mode.LIVE, auto_trade=True) as w:
        w.feed.reading = ClockReading(
            offset=timedelta(milliseconds=offset_ms), error=timedelta(milliseconds=1), measured_at=START
        )
        w.venue.trip = timedelta(milliseconds=40)
        w.process()
        await w.running(examples.configuration(mode=Mode.LIVE, parameters={"opening_lead_ms": lead_ms, "warm_s": ZERO}))
        await follow(w)
        (row,) = await settled(w)
        arrives_at = OPENS_AT + timedelta(milliseconds=lead_ms) - timedelta(milliseconds=offset_ms)
        (left_at,) = sent_at(w)
        assert abs(left_at - (arrives_at - timedelta(milliseconds=20))) < EXACT
        assert arrives_at - row.order.created_at < timedelta(seconds=0.6)
        assert row.order.created_at < left_at
        (intent,) = w.db.decisions.values()
        assert intent.stages.due_at is not None
        assert abs(intent.stages.due_at - arrives_at) < EXACT
        assert intent.signal is not None
        assert intent.signal.freshness_deadline == OPENS_AT - timedelta(milliseconds=offset_ms) + timedelta(seconds=10)


@virtual_time
async def test_s2_everything_is_warm_before_the_second() -> None:
    async with world(live=True, mode=Mode.LIVE, auto_trade=True) as w:
        process = w.process()
        await w.running(examples.configuration(mode=Mode.LIVE))
        warmed, rehearsed = len(w.venue.warmed), process.ledger.calls.count("rehearse")
        w.feed.announce(SYMBOL, OPENS_AT)
        await until(w, OPENS_AT - timedelta(seconds=6))
        assert len(w.venue.warmed) == warmed
        await until(w, OPENS_AT - timedelta(seconds=4))
        assert len(w.venue.warmed) == warmed + 1
        assert process.ledger.calls.count("rehearse") == rehearsed + 1


@virtual_time
async def test_a_newer_measurement_of_the_venues_clock_moves_the_instant() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        await follow(w)
        await asyncio.sleep(0.1)
        w.feed.reading = ClockReading(
            offset=timedelta(milliseconds=-50), error=timedelta(milliseconds=1), measured_at=START
        )
        await settled(w)
        assert abs(sent_at(w)[0] - (OPENS_AT + timedelta(milliseconds=50))) < EXACT


@virtual_time
async def test_an_order_that_waits_leaves_at_once_when_the_market_is_seen_to_trade() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        await follow(w)
        await asyncio.sleep(0.2)
        w.feed.show(SYMBOL, source=WEBSOCKET, price=Decimal("0.5"))
        await settled(w)
        assert abs(sent_at(w)[0] - (OPENS_AT - timedelta(milliseconds=300))) < timedelta(milliseconds=1)
        assert len(w.db.evidence) == 1


@virtual_time
async def test_a_listing_that_opens_late_is_tried_in_slots_and_at_once_when_it_trades() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        w.venue.answers_for[SYMBOL] = [refused(NOT_OPEN)] * 4 + [accepted()]
        await follow(w)
        await until(w, OPENS_AT + timedelta(milliseconds=333))
        w.feed.show(SYMBOL, source=WEBSOCKET, price=Decimal("0.5"))
        await settled(w, 5)
        after_ms = [(at - OPENS_AT).total_seconds() * 1000 for at in sent_at(w)]
        assert after_ms == pytest.approx([0, 100, 200, 300, 334], abs=2.5)


@virtual_time
async def test_slots_do_not_drift_with_the_time_that_answers_take() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper(burst_interval_ms=150))
        w.venue.answers_for[SYMBOL] = [refused(NOT_OPEN)] * 40
        await follow(w)
        await settled(w, 30)
        after_ms = [(at - OPENS_AT).total_seconds() * 1000 for at in sent_at(w)]
        assert after_ms == pytest.approx([150 * n for n in range(len(after_ms))], abs=2.5)


@pytest.mark.parametrize(
    ("lead_ms", "error_ms", "slots_ms"),
    [
        (0, 30, [0, 31, 100, 200]),
        (0, 2, [0, 11, 100, 200]),
        (50, 30, [50, 150, 250, 350]),
        (-200, 30, [-200, -100, 0, 31, 100]),
    ],
)
@virtual_time
async def test_an_order_that_may_have_come_too_early_is_repeated_as_soon_as_it_surely_does_not(
    lead_ms: int, error_ms: int, slots_ms: list[int]
) -> None:
    async with world() as w:
        w.feed.reading = ClockReading(
            offset=timedelta(0), error=timedelta(milliseconds=error_ms), measured_at=START, samples=5
        )
        w.process()
        await w.running(sniper(opening_lead_ms=lead_ms))
        w.venue.answers_for[SYMBOL] = [refused(NOT_OPEN)] * (len(slots_ms) - 1)
        await follow(w)
        await settled(w, len(slots_ms))
        after_ms = [(at - OPENS_AT).total_seconds() * 1000 for at in sent_at(w)]
        assert after_ms == pytest.approx(slots_ms, abs=2.5)


@virtual_time
async def test_a_listing_moved_while_its_order_waits_is_bought_at_its_new_time_only() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        later = OPENS_AT + timedelta(minutes=5)
        await follow(w)
        await asyncio.sleep(0.2)
        w.feed.announce(SYMBOL, later)
        (row,) = await settled(w)
        assert (row.status, row.code) == (OrderStatus.FAILED, "CALLED_OFF")
        assert row.reason == f"the listing was moved from {OPENS_AT.isoformat()} to {later.isoformat()}"
        assert w.held == ZERO
        assert w.venue.sent == []
        await follow(w, later)
        _, second = await settled(w, 2)
        assert second.status is OrderStatus.FILLED
        assert abs(sent_at(w)[0] - later) < EXACT
        assert [signal.listed_at for signal in w.db.sessions[0].signals()] == [OPENS_AT, later]


@virtual_time
async def test_a_listing_taken_back_while_its_order_waits_is_not_bought() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        await follow(w)
        await asyncio.sleep(0.2)
        w.feed.announce(SYMBOL, OPENS_AT, state=ListingState.CANCELLED)
        (row,) = await settled(w)
        assert (row.status, row.code) == (OrderStatus.FAILED, "CALLED_OFF")
        assert w.venue.sent == []
        assert w.held == ZERO


@virtual_time
async def test_a_listing_that_opens_is_not_taken_back_by_leaving_the_announcements() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        w.venue.answers_for[SYMBOL] = [refused(NOT_OPEN), accepted()]
        await follow(w)
        await until(w, OPENS_AT + timedelta(milliseconds=50))
        w.feed.announce(SYMBOL, OPENS_AT, state=ListingState.OPENED)
        rows = await settled(w, 2)
        assert [row.status for row in rows] == [OrderStatus.REJECTED, OrderStatus.FILLED]


@virtual_time
async def test_a_time_that_only_one_source_moved_is_followed_at_both_times_and_bought_once() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        later = OPENS_AT + timedelta(seconds=5)
        w.venue.answers_for[SYMBOL] = [refused(NOT_OPEN)] * 50
        await follow(w)
        await asyncio.sleep(0.2)
        w.feed.announce(SYMBOL, OPENS_AT, disputed={"exchange_info": later})
        await until(w, later - w.feed.ahead)
        w.feed.show(SYMBOL, source=CALENDAR, listing_time=later)
        await until(w, later + timedelta(seconds=20))
        bought = [row for row in w.db.orders_of(Purpose.ENTRY) if row.status is OrderStatus.FILLED]
        assert len(bought) == 1
        assert len(w.db.decisions) == 1, "the second opening waited for the first entry's end, and it had bought"


@virtual_time
async def test_a_second_opening_seen_meanwhile_is_tried_when_the_first_entry_bought_nothing() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        later = OPENS_AT + timedelta(seconds=5)
        w.venue.answers_for[SYMBOL] = [refused(NOT_OPEN)] * 120
        await follow(w)
        w.feed.announce(SYMBOL, OPENS_AT, disputed={"exchange_info": later})
        await until(w, later - w.feed.ahead)
        w.feed.show(SYMBOL, source=CALENDAR, listing_time=later)
        assert len(w.db.decisions) == 1
        await until(w, later + timedelta(seconds=20))
        assert len(w.db.decisions) == 2
        assert [row.status for row in w.db.orders_of(Purpose.ENTRY)].count(OrderStatus.FILLED) == 1


@virtual_time
async def test_a_moved_listing_is_not_old_after_a_restart() -> None:
    async with world() as w:
        first = w.process()
        await w.running(sniper())
        await follow(w)
        await asyncio.sleep(0.2)
        later = OPENS_AT + timedelta(minutes=5)
        w.feed.announce(SYMBOL, later)
        await settled(w)
        await first.shut_down()
        w.process("two")
        await w.running(sniper(), 2)
        w.feed.show(SYMBOL, source=CALENDAR, listing_time=OPENS_AT)
        await follow(w, later)
        rows = await settled(w, 2)
        assert [row.status for row in rows] == [OrderStatus.FAILED, OrderStatus.FILLED]


@pytest.mark.parametrize("heard", [True, False])
@virtual_time
async def test_g2_the_kill_switch_stops_an_order_that_waits(heard: bool) -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        await follow(w)
        await asyncio.sleep(0.2)
        if heard:
            w.db.set_kill_switch("block")
        else:  # the notification is lost
            w.db.system = SystemState(kill_switch=True, kill_switch_mode="block")
        (row,) = await settled(w)
        assert (row.status, row.code, row.reason) == (OrderStatus.FAILED, "SAFETY_CONSTRAINT", "kill_switch")
        assert w.venue.sent == []
        assert w.held == ZERO


@virtual_time
async def test_no_order_leaves_while_the_ledger_is_away_at_its_second() -> None:
    async with world() as w:
        process = w.process()
        await w.running(sniper())
        await follow(w)
        await asyncio.sleep(0.2)
        process.ledger.away = True
        await asyncio.sleep(5)
        assert w.venue.sent == []
        process.ledger.away = False
        (row,) = await settled(w)
        assert (row.status, row.code) == (OrderStatus.FAILED, "LEDGER_UNAVAILABLE")


@virtual_time
async def test_a_ledger_that_is_slow_at_that_second_does_not_hold_the_order_back() -> None:
    async with world() as w:
        process = w.process()
        await w.running(sniper())
        await follow(w)
        await asyncio.sleep(0.2)
        gate = process.ledger.hold("system_state")
        await until(w, OPENS_AT + timedelta(milliseconds=10))
        gate.set()
        await settled(w)
        assert abs(sent_at(w)[0] - OPENS_AT) < EXACT


@virtual_time
async def test_a_stop_keeps_an_order_that_waits_from_leaving() -> None:
    async with world() as w:
        w.process()
        run_id = await w.running(sniper())
        await follow(w)
        await asyncio.sleep(0.2)
        assert await w.stopped(run_id, StopMode.ENTRIES) < timedelta(seconds=5)
        (row,) = await settled(w)
        assert (row.status, row.code, row.reason) == (OrderStatus.FAILED, "SAFETY_CONSTRAINT", "run_active")
        assert w.venue.sent == []
        assert w.status(run_id) is RunStatus.STOPPED


@virtual_time
async def test_p1_killed_while_its_order_waits_the_next_engine_records_it_as_never_sent() -> None:
    async with world() as w:
        first = w.process()
        await w.running(sniper())
        await follow(w)
        await asyncio.sleep(0.3)
        assert w.orders() == [OrderStatus.PENDING]
        await first.kill()
        w.process("two")
        (row,) = await settled(w)
        assert (row.status, row.code) == (OrderStatus.FAILED, "NEVER_SENT")
        assert w.venue.sent == []
        assert w.held == ZERO


@virtual_time
async def test_three_listings_at_the_same_second_leave_together() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper())
        symbols = [f"S{n}USDT" for n in range(3)]
        for symbol in symbols:
            w.feed.announce(symbol, OPENS_AT)
        await until(w, OPENS_AT - w.feed.ahead)
        for symbol in symbols:
            w.feed.show(symbol, source=CALENDAR, listing_time=OPENS_AT)
        await settled(w, 3)
        assert sorted(order.symbol for order in w.venue.sent) == symbols
        assert all(abs(at - OPENS_AT) < EXACT for at in sent_at(w))


@virtual_time
async def test_a_limit_entry_waits_for_the_rules_and_offers_that_appear_at_the_opening() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper(order_style=OrderStyle.IOC_LIMIT))
        w.market.unknown.add(SYMBOL)
        w.market.prices[SYMBOL] = None
        await follow(w)
        await until(w, OPENS_AT + timedelta(milliseconds=700))
        assert w.db.decisions == {}
        w.market.unknown.clear()
        w.market.prices[SYMBOL] = Decimal("0.5")
        (row,) = await settled(w)
        assert (row.status, row.order.order_type) == (OrderStatus.FILLED, OrderType.LIMIT)
        assert row.order.limit_price == Decimal("0.55")


@pytest.mark.parametrize("style", [OrderStyle.IOC_LIMIT, OrderStyle.MARKET_THEN_IOC])
@virtual_time
async def test_with_a_highest_price_a_limit_entry_is_ready_before_anybody_offers(style: OrderStyle) -> None:
    async with world() as w:
        w.market.prices[SYMBOL] = None
        w.market.known[SYMBOL] = examples.instrument(SYMBOL)
        w.process()
        await w.running(sniper(order_style=style, max_price=Decimal("0.7")))
        await follow(w)
        await settled(w)
        (order,) = w.venue.sent
        assert (order.order_type, order.limit_price) == (OrderType.LIMIT, Decimal("0.7"))
        assert abs(sent_at(w)[0] - OPENS_AT) < EXACT


@virtual_time
async def test_a_limit_entry_that_nobody_could_price_in_time_is_a_recorded_skip() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper(order_style=OrderStyle.IOC_LIMIT))
        w.market.prices[SYMBOL] = None
        await follow(w)
        await w.until(lambda: bool(w.db.decisions))
        (intent,) = w.db.decisions.values()
        assert intent.decision.skip_code == "NO_PRICE"
        assert w.clock.now() < OPENS_AT + timedelta(seconds=10)


@virtual_time
async def test_the_feed_is_told_what_the_configuration_pays_with() -> None:
    async with world() as w:
        w.process()
        await w.running(sniper(quote_assets=("USDC", "USDT")))
        await w.until(w.feed.running.is_set)
        assert w.feed.quote_assets == ("USDC", "USDT")


@pytest.mark.parametrize(("lead_ms", "ahead_ms"), [(0, 500), (300, 200), (500, 0), (9000, 0), (-1000, 1500)])
def test_the_feed_reports_early_enough_for_every_lead(lead_ms: int, ahead_ms: int) -> None:
    assert report_ahead(ListingSniperParameters(opening_lead_ms=lead_ms)) == timedelta(milliseconds=ahead_ms)


@virtual_time
async def test_a_run_that_was_stopped_sends_nothing_while_the_next_one_is_at_work() -> None:
    """Its burst goes on for seconds; a stop waits for it for one second only, and another run may begin after that."""
    async with world() as w:
        w.process()
        run_id = await w.running(sniper())
        held = asyncio.Event()
        w.venue.answers_for[SYMBOL] = [refused(NOT_OPEN, before=held.wait)]
        await follow(w)
        await w.venue.arrived.wait()
        assert await w.stopped(run_id, StopMode.ENTRIES) < timedelta(seconds=5)
        await w.running(sniper(), 2)
        held.set()
        await settled(w)
        await asyncio.sleep(5)
        assert len(w.venue.sent) == 1


@virtual_time
async def test_a_run_that_was_stopped_decides_nothing_while_the_next_one_is_at_work() -> None:
    """An entry that waits for its price outlives its run; by the next run's configuration it was never asked for."""
    async with world() as w:
        w.process()
        run_id = await w.running(sniper(order_style=OrderStyle.IOC_LIMIT, freshness_s=Decimal(20)))
        w.market.unknown.add(SYMBOL)
        await follow(w)
        await asyncio.sleep(1)
        assert await w.stopped(run_id, StopMode.ENTRIES) < timedelta(seconds=5)
        other = structs.replace(sniper(), id=ConfigurationId(UUID(int=4711)))
        await w.running(other, 2)
        w.market.unknown.discard(SYMBOL)
        await asyncio.sleep(25)
        assert w.venue.sent == []
