"""Exits: sold once, whatever the outcome of the send and whatever the prices do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from tests.unit.domain import examples
from tests.unit.engine.bench import Bench
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fakes import accepted, refused, unknown
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.orders import OrderStatus, Purpose, RefusalKind
from signalbox.domain.positions import ExitPlan, Position

FILLED, SUBMITTED = OrderStatus.FILLED, OrderStatus.SUBMITTED
PLAN = ExitPlan(take_profit=Decimal(1), stop_loss=Decimal("0.5"), time_limit_s=Decimal(60))


@asynccontextmanager
async def _holding() -> AsyncIterator[tuple[Bench, Position, asyncio.Task[None]]]:
    """A bench that bought 50 NEW for 25 USDT and watches it."""
    bench = Bench()
    await bench.enter(examples.configuration(parameters={"exit_plan": PLAN}))
    (position,) = bench.desk.positions.values()
    watch = asyncio.create_task(bench.exits.watch(position.id))
    yield bench, position, watch
    if not watch.done():
        watch.cancel()
    await asyncio.wait([watch])
    assert bench.venue.violations == []


def _sold(bench: Bench) -> list[OrderStatus]:
    return [status for status, _ in bench.rows(Purpose.EXIT)]


@virtual_time
async def test_each_rule_sells_and_ends_the_watch() -> None:
    for price in (Decimal(1), Decimal("0.2"), Decimal("0.5")):  # profit, loss, neither until time is over
        async with _holding() as (bench, _, watch):
            bench.market.prices["NEWUSDT"] = price
            async with asyncio.timeout(62):
                await watch
            assert _sold(bench) == [FILLED]
            assert bench.venue.holdings() == {}
            assert bench.usage().exposure == 0


@virtual_time
async def test_the_time_limit_works_without_prices_and_with_prices_that_never_come() -> None:
    for hangs in (False, True):
        async with _holding() as (bench, _, watch):
            bench.market.error = VenueUnavailable("503")
            bench.market.hangs = hangs
            async with asyncio.timeout(70):
                await watch
            assert _sold(bench) == [FILLED]


@virtual_time
async def test_an_exit_whose_outcome_is_unknown_is_not_sold_twice() -> None:
    async with _holding() as (bench, _, watch):
        bench.venue.answers = [unknown(taken=True)]
        bench.venue.find_error = VenueUnavailable("503")
        bench.exits.flatten()
        await asyncio.sleep(300)
        assert _sold(bench) == [SUBMITTED]
        bench.venue.find_error = None
        async with asyncio.timeout(30):
            await watch
        assert _sold(bench) == [FILLED]
        assert len(bench.venue.sent) == 2


@virtual_time
async def test_a_partial_exit_is_followed_by_the_rest_and_dust_is_closed() -> None:
    async with _holding() as (bench, position, watch):
        bench.venue.answers = [accepted("0.5")]
        bench.exits.flatten()
        await watch
        assert [row.order.quantity for row in bench.orders(Purpose.EXIT)] == [50, 25]
        assert bench.desk.positions == {}
        assert bench.db.positions[position.id].closed_at is not None


@virtual_time
async def test_a_refused_exit_is_tried_again_with_growing_pauses_under_new_ids() -> None:
    async with _holding() as (bench, _, watch):
        bench.venue.answers = [refused(RefusalKind.TERMINAL) for _ in range(3)]
        bench.exits.flatten()
        async with asyncio.timeout(10):
            await watch
        assert _sold(bench) == [OrderStatus.REJECTED] * 3 + [FILLED]
        assert bench.journal.told("will be tried again")


@virtual_time
async def test_an_exit_whose_commit_is_uncertain_is_not_sent_and_tried_again() -> None:
    async with _holding() as (bench, _, watch):
        bench.ledger.fail("commit", Fault.ANSWER_LOST)
        bench.exits.flatten()
        async with asyncio.timeout(10):
            await watch
        assert _sold(bench) == [OrderStatus.FAILED, FILLED]
        assert len(bench.venue.sent) == 2


@virtual_time
async def test_freeze_thrown_between_commit_and_send_stops_an_exit() -> None:
    async with _holding() as (bench, _, watch):
        bench.ledger.called["commit"].clear()
        gate = bench.ledger.hold("commit")
        bench.exits.flatten()
        await bench.ledger.called["commit"].wait()
        bench.desk.freeze = True
        gate.set()
        await asyncio.sleep(30)
        assert _sold(bench) == [OrderStatus.FAILED]
        bench.desk.freeze = False
        await watch
        assert _sold(bench) == [OrderStatus.FAILED, FILLED]


@virtual_time
async def test_flatten_wakes_a_watch_at_once_and_only_the_positions_that_were_named() -> None:
    async with _holding() as (bench, position, watch):
        bench.exits.flatten_only([])
        await asyncio.sleep(1)
        assert not watch.done()
        bench.exits.flatten_only([position.id])
        async with asyncio.timeout(0.2):
            await watch


@virtual_time
async def test_a_remainder_below_one_lot_is_told_and_not_sent() -> None:
    async with _holding() as (bench, _, watch):
        bench.desk.instruments["NEWUSDT"] = examples.instrument(lot_size=Decimal(100))
        bench.exits.flatten()
        await asyncio.sleep(60)
        assert not watch.done()
        assert _sold(bench) == []
        assert bench.journal.states["exits"] == "degraded"


def test_clock_skew_never_closes_a_position_before_it_opened() -> None:
    _skewed()


@virtual_time
async def _skewed() -> None:
    bench = Bench()
    bench.venue.ahead_s = 30.0
    await bench.enter(examples.configuration(parameters={"exit_plan": PLAN}))
    (position,) = bench.desk.positions.values()
    bench.exits.flatten()
    await bench.exits.watch(position.id)
    closed = bench.db.positions[position.id]
    assert closed.closed_at == closed.opened_at
