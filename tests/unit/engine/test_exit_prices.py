"""Exits follow pushed prices at once, asked-for prices when nothing is pushed, and remember the highest of them."""

import asyncio
from decimal import Decimal

from tests.unit.domain.examples import levels
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fakes import accepted
from tests.unit.engine.holding import SYMBOL, holding
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.orders import OrderStatus
from signalbox.domain.positions import ExitPlan, ExitRule
from signalbox.domain.strategies.exits import ExitInputs
from signalbox.engine.exits.prices import OLD_S, POLL_S, PUSHED_POLL_S, SILENCE_S

FILLED = OrderStatus.FILLED
STOP = ExitPlan(stop_loss=Decimal("0.2"))
TRAILING = ExitPlan(trailing_stop=Decimal("0.1"))


@virtual_time
async def test_a_pushed_price_is_acted_on_at_once() -> None:
    async with holding(STOP) as held:
        await held.until(lambda: held.bench.market.listeners[SYMBOL])
        began = held.bench.clock.now()
        held.push("0.4")
        await held.until(held.sales, within_s=0.05)
        assert (held.sales()[0].order.created_at - began).total_seconds() < 0.001
        await held.closed()


@virtual_time
async def test_without_pushes_the_price_is_asked_for() -> None:
    async with holding(STOP) as held:
        await asyncio.sleep(20)
        asked = [at for at, _ in held.bench.market.asked]
        assert len(asked) >= 20 / POLL_S - 2
        held.bench.market.prices[SYMBOL] = Decimal("0.4")
        await held.until(held.sales, within_s=POLL_S + 0.1)


@virtual_time
async def test_while_pushes_come_the_price_is_asked_for_seldom_and_again_when_they_stop() -> None:
    async with holding(STOP) as held:
        market = held.bench.market
        for _ in range(100):
            await asyncio.sleep(0.2)
            held.push("0.5")
        asked = len(market.asked)
        assert asked <= 20 / PUSHED_POLL_S + 2
        market.prices[SYMBOL] = Decimal("0.4")  # and nobody pushes it
        await held.until(held.sales, within_s=SILENCE_S + 2 * POLL_S)


@virtual_time
async def test_an_answer_that_a_push_overtook_is_not_believed() -> None:
    async with holding(STOP) as held:
        market = held.bench.market
        await held.until(lambda: held.bench.market.listeners[SYMBOL])
        await asyncio.sleep(POLL_S - 0.001)
        market.prices[SYMBOL] = Decimal("0.4")
        await held.until(lambda: len(market.asked) > 1)
        held.push("0.6")  # while the question is on its way
        market.prices[SYMBOL] = Decimal("0.4")
        await asyncio.sleep(0.1)
        assert held.sales() == []


@virtual_time
async def test_an_old_price_fires_nothing_and_time_still_does() -> None:
    plan = ExitPlan(stop_loss=Decimal("0.2"), time_limit_s=Decimal(60))
    async with holding(plan) as held:
        await asyncio.sleep(1)
        held.bench.desk.freeze = True
        held.push("0.4")
        held.bench.market.error = VenueUnavailable("503")
        await asyncio.sleep(OLD_S + 1)
        held.bench.desk.freeze = False
        await asyncio.sleep(10)
        assert held.sales() == []
        await held.closed(70)
        decision = held.bench.db.decisions[held.sales()[0].order.decision_id].decision
        assert decision.cause.exit_rule is ExitRule.TIME_LIMIT


@virtual_time
async def test_levels_sell_their_parts_on_the_way_up_and_the_stop_the_rest() -> None:
    plan = ExitPlan(take_profit_levels=levels(("0.1", "0.5"), ("0.2", "0.3")), stop_loss=Decimal("0.1"))
    async with holding(plan) as held:
        held.bench.venue.answers = [accepted("0.4")]
        for price in ("0.55", "0.55", "0.56", "0.6", "0.54"):
            held.push(price)
            await asyncio.sleep(1)
        assert held.sold() == [(FILLED, 25, None), (FILLED, 15, None), (FILLED, 15, None)]
        held.push("0.45")
        await held.closed(5)
        assert [row.order.quantity for row in held.sales()] == [25, 15, 15, 10]
        rules = [held.bench.db.decisions[row.order.decision_id].decision.cause.exit_rule for row in held.sales()]
        assert rules == ["take_profit", "take_profit", "take_profit", "stop_loss"]
        assert held.bench.journal.told("level 2 of 2")


@virtual_time
async def test_a_trailing_stop_stores_its_highest_bid_at_most_once_a_second() -> None:
    async with holding(TRAILING) as held:
        ledger = held.bench.ledger
        await asyncio.sleep(2)
        ledger.calls.clear()
        for step in range(100):
            held.push(str(Decimal("0.5") + Decimal(step) / 1000))
            await asyncio.sleep(0.05)
        assert 4 <= ledger.calls.count("record_highest_bid") <= 6
        held.push("0.6")
        held.push("0.58")
        await asyncio.sleep(1.1)
        assert held.bench.db.positions[held.position.id].highest_bid == Decimal("0.6")
        calls = ledger.calls.count("record_highest_bid")
        await asyncio.sleep(30)
        assert ledger.calls.count("record_highest_bid") == calls
        held.push("0.54")
        await held.closed(5)


@virtual_time
async def test_the_peak_is_stored_with_the_decision_to_sell() -> None:
    async with holding(TRAILING) as held:
        await held.until(lambda: held.bench.db.positions[held.position.id].highest_bid)
        held.push("0.9")
        held.push("0.7")
        held.bench.venue.fills_error = VenueUnavailable("503")  # the sale is not settled soon
        await held.until(held.sales)
        decision = held.bench.db.decisions[held.sales()[0].order.decision_id].decision
        assert isinstance(decision.inputs, ExitInputs)
        assert decision.inputs.position.highest_bid == Decimal("0.9")
        await held.until(lambda: held.bench.db.positions[held.position.id].highest_bid == Decimal("0.9"), within_s=0.1)
        held.bench.venue.fills_error = None
        await held.closed()


@virtual_time
async def test_a_peak_that_the_ledger_did_not_take_is_stored_later() -> None:
    async with holding(TRAILING) as held:
        await asyncio.sleep(1.5)
        held.bench.ledger.fail("record_highest_bid", Fault.NOT_DONE, Fault.ANSWER_LOST)
        held.push("0.8")
        await asyncio.sleep(5)
        assert held.bench.db.positions[held.position.id].highest_bid == Decimal("0.8")


@virtual_time
async def test_after_a_restart_a_peak_from_before_it_counts() -> None:
    async with holding(TRAILING) as held:
        held.push("0.8")
        await asyncio.sleep(1.5)
        held.watch.cancel()
        await asyncio.wait([held.watch])
        bench = held.bench
        (position,) = await bench.ledger.open_positions(held.position.account_id)
        bench.desk.positions[position.id] = position  # as an account that opens reads it
        bench.market.prices[SYMBOL] = Decimal("0.73")
        held.watch = asyncio.create_task(bench.exits.watch(position.id))
        await asyncio.sleep(5)
        assert held.sales() == []
        held.push("0.72")
        await held.closed(5)
        reason = bench.db.decisions[held.sales()[0].order.decision_id].decision.reason
        assert reason == "trailing_stop: bid 0.72 fell to 0.72, the highest was 0.8"
