"""A killed engine's open business, moment by moment, as the next engine settles it."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from tests.unit.domain import examples
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fakes import accepted, refused, unknown
from tests.unit.engine.virtual_time import virtual_time
from tests.unit.engine.world import Process, World, world

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Mode, Order, OrderEvidence, OrderStatus, Purpose, RefusalKind
from signalbox.domain.positions import ExitPlan
from signalbox.domain.risk.capacity import Usage
from signalbox.domain.runs import RunStatus
from signalbox.domain.signals import signal_from

FILLED, SUBMITTED, FAILED = OrderStatus.FILLED, OrderStatus.SUBMITTED, OrderStatus.FAILED
PLAN = ExitPlan(take_profit=Decimal(1), time_limit_s=Decimal(600))
CONFIGURATION = examples.configuration(parameters={"exit_plan": PLAN})


async def _ready(process: Process) -> Usage:
    """What the limits count when the account is ready."""
    await asyncio.sleep(0.5)  # virtual: the account is being opened by then
    await process.account.ready.wait()
    return process.account.desk._capacity[Mode.SIMULATION].usage(process.account.desk._clock.now())


async def _killed_at(w: World, method: str) -> None:
    """An entry whose engine dies just before this write."""
    first = w.process("one")
    await w.running(CONFIGURATION)
    first.ledger.called[method].clear()
    first.ledger.hold(method)
    w.feed.show("NEWUSDT")
    await first.ledger.called[method].wait()
    await first.kill()


@virtual_time
async def test_p1_killed_between_commit_and_send_the_order_is_never_sent() -> None:
    async with world() as w:
        first = w.process("one")
        await w.running(CONFIGURATION)
        sighting = w.feed.sighting("NEWUSDT")
        intent = first.account.desk.on_listing(signal_from(sighting), CONFIGURATION, received_ns=sighting.received_ns)
        await first.ledger.commit(intent)
        await first.kill()
        usage = await _ready(w.process("two"))
        assert [(row.status, row.code) for row in w.db.orders.values()] == [(FAILED, "NEVER_SENT")]
        assert w.venue.sent == []
        assert w.held == usage.spent_today == usage.exposure == ZERO


@virtual_time
async def test_p1_killed_between_send_and_record_the_fill_is_found_and_not_sent_again() -> None:
    async with world() as w:
        await _killed_at(w, "record_submission")
        assert w.orders() == [OrderStatus.PENDING]
        second = w.process("two")
        usage = await _ready(second)
        assert w.orders() == [FILLED]
        assert len(w.venue.sent) == 1
        assert usage.spent_today == w.venue.bought()
        (position,) = second.account.desk.positions.values()
        assert position.exit_plan == PLAN


@virtual_time
async def test_p1_killed_before_the_result_is_recorded() -> None:
    async with world() as w:
        await _killed_at(w, "record_result")
        assert w.orders() == [SUBMITTED]
        usage = await _ready(w.process("two"))
        assert w.orders() == [FILLED]
        assert usage.spent_today == w.venue.bought()
        assert w.held == ZERO


@virtual_time
async def test_p1_a_spend_is_written_together_with_its_position() -> None:
    """Else an engine killed between the two would forget the spend of a position that is sold meanwhile."""
    async with world() as w:
        await _killed_at(w, "settle_reservation")
        assert w.orders() == [FILLED]
        assert w.held == ZERO
        usage = await _ready(w.process("two"))
        assert usage.spent_today == w.venue.bought()
        assert usage.exposure == Decimal(25)
        assert usage.orders_last_hour == 1


@virtual_time
async def test_p1_killed_before_the_reservation_of_a_refused_entry_ends_its_capacity_is_free_again() -> None:
    async with world() as w:
        w.venue.answers = [refused(RefusalKind.TERMINAL)]
        await _killed_at(w, "settle_reservation")
        assert w.held == Decimal("25.05")
        usage = await _ready(w.process("two"))
        assert w.held == usage.spent_today == usage.exposure == ZERO
        assert usage.orders_last_hour == 1


@virtual_time
async def test_p1_killed_between_two_attempts_the_first_one_counts_as_a_trade_of_its_hour() -> None:
    async with world() as w:
        first = w.process("one")
        w.venue.answers = [refused(RefusalKind.NOT_OPEN_YET)]
        await w.running(CONFIGURATION)
        first.ledger.fail("follow_up", Fault.ANSWER_LOST)
        first.ledger.hold("record_unsent")
        w.feed.show("NEWUSDT")
        await first.ledger.called["record_unsent"].wait()
        await first.kill()
        assert w.orders() == [OrderStatus.REJECTED, OrderStatus.PENDING]
        usage = await _ready(w.process("two"))
        assert w.orders() == [OrderStatus.REJECTED, FAILED]
        assert w.held == usage.spent_today == ZERO
        assert usage.orders_last_hour == 1


@virtual_time
async def test_an_exit_whose_outcome_is_unknown_is_not_sold_again_after_a_restart_and_blocks_no_other() -> None:
    async with world() as w:
        first = w.process("one")
        await w.running(CONFIGURATION)
        w.feed.show("AUSDT")
        w.feed.show("BUSDT")
        await w.until(lambda: w.orders() == [FILLED, FILLED] and not w.held)
        w.venue.answers_for["AUSDT"] = [unknown(taken=True)]
        w.venue.find_error = VenueUnavailable("503")
        w.market.prices["AUSDT"] = Decimal(2)
        await w.until(lambda: w.orders(Purpose.EXIT) == [SUBMITTED])
        await first.kill()
        w.venue.find_error = None
        hidden = _hide(w, "AUSDT")
        w.process("two")
        w.market.prices["BUSDT"] = Decimal(2)
        await w.until(lambda: w.orders(Purpose.EXIT) == [SUBMITTED, FILLED], within=timedelta(seconds=10))
        await asyncio.sleep(60)
        assert w.orders(Purpose.EXIT) == [SUBMITTED, FILLED]
        hidden.set()
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED, FILLED], within=timedelta(seconds=10))
        assert w.venue.holdings() == {}


def _hide(w: World, symbol: str) -> asyncio.Event:
    """Look-ups of this symbol fail until the event is set."""
    shown, find_order = asyncio.Event(), w.venue.look_up

    async def find(order: Order) -> OrderEvidence:
        if order.symbol == symbol and not shown.is_set():
            raise VenueUnavailable("503")
        return await find_order(order)

    w.venue.look_up = find
    return shown


@virtual_time
async def test_entries_start_only_when_the_books_agree_and_a_start_does_not_wait_for_ever() -> None:
    async with world() as w:
        await _killed_at(w, "record_submission")
        w.venue.find_error = VenueUnavailable("503")
        w.process("two")
        run_id = w.ask_for_run(CONFIGURATION, number=2)
        took = await w.until(lambda: w.status(run_id) is RunStatus.FAILED)
        assert timedelta(seconds=29) < took < timedelta(seconds=35)
        assert "orders of an earlier run are not settled" in (w.run_row(run_id).error_message or "")
        w.venue.find_error = None
        again = w.ask_for_run(CONFIGURATION, number=3)
        await w.until(lambda: w.status(again) is RunStatus.RUNNING)
        assert w.orders() == [FILLED]


@virtual_time
async def test_every_attempt_of_a_decision_is_settled_and_its_spend_added_once() -> None:
    async with world() as w:
        first = w.process("one")
        await w.running(CONFIGURATION)
        w.venue.answers = [accepted("0"), accepted("1")]
        first.ledger.hold("follow_up").set()
        w.feed.show("NEWUSDT")
        await first.ledger.called["follow_up"].wait()
        first.ledger.hold("record_result")
        w.venue.arrived.clear()
        await w.venue.arrived.wait()
        assert len(w.venue.sent) == 2
        await first.kill()
        usage = await _ready(w.process("two"))
        assert [row.status for row in w.db.orders_of(Purpose.ENTRY)] == [OrderStatus.REJECTED, FILLED]
        assert usage.spent_today == w.venue.bought()
        assert w.held == ZERO
