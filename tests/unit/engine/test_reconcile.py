"""The books beside the venue's: what came late, what is not ours, what moved; twice changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.unit.domain import examples
from tests.unit.engine.fake_ledger import Fault, OrderRow
from tests.unit.engine.fakes import accepted, refused, unknown, venue_order
from tests.unit.engine.virtual_time import virtual_time
from tests.unit.engine.world import Process, World, world

from signalbox.domain.configuration import OrderStyle
from signalbox.domain.errors import CredentialsRefused, VenueThrottled, VenueUnavailable
from signalbox.domain.ids import OrderId
from signalbox.domain.instruments import Instrument
from signalbox.domain.orders import Fill, Mode, Order, OrderStatus, Purpose, RefusalKind, Side
from signalbox.domain.positions import ExitPlan
from signalbox.domain.reconciliation import DifferenceKind
from signalbox.domain.runs import RunStatus
from signalbox.domain.venue_records import BalanceUpdate, OrderUpdate, VenueOrder
from signalbox.engine.books.reconcile import ROUND_S

PLAN = ExitPlan(take_profit=Decimal(1), time_limit_s=Decimal(3600))
STYLE_MARKET = examples.configuration(mode=Mode.LIVE, parameters={"exit_plan": PLAN, "order_style": OrderStyle.MARKET})
CONFIGURATION = examples.configuration(mode=Mode.LIVE, parameters={"exit_plan": PLAN})
FILLED, REJECTED, FAILED = OrderStatus.FILLED, OrderStatus.REJECTED, OrderStatus.FAILED
OVER = refused(RefusalKind.TERMINAL)
"""Ends an entry whose first attempt was not found."""

A_ROUND = timedelta(seconds=ROUND_S + 15)


@asynccontextmanager
async def live_world() -> AsyncIterator[World]:
    """A world whose account may trade live; at the end its books equal the venue's."""
    async with world(live=True, mode=Mode.LIVE, auto_trade=True) as w:
        yield w


def entry(w: World, number: int = 0) -> OrderRow:
    """An entry as the ledger has it."""
    return w.db.orders_of(Purpose.ENTRY)[number]


async def bought(w: World, symbol: str = "NEWUSDT", status: OrderStatus = FILLED) -> Process:
    """A listing was entered, and its order ended."""
    process = w.process("one")
    await w.running(CONFIGURATION)
    w.feed.show(symbol)
    await w.until(lambda: bool(w.orders()) and w.orders()[-1] is status and not w.held)
    return process


async def a_round_later(w: World) -> None:
    """Let one whole round pass."""
    rounds = len(w.db.books.done)
    await w.until(lambda: len(w.db.books.done) > rounds, within=A_ROUND)
    await asyncio.sleep(1)


def kinds(w: World) -> list[DifferenceKind]:
    """Every difference that was written down."""
    return [difference.kind for done in w.db.books.done for difference in done.differences]


def books_equal(w: World) -> None:
    """Positions, fills and spend are what the venue knows."""
    held: dict[str, Decimal] = {}
    for position in w.db.positions.values():
        held[position.symbol] = held.get(position.symbol, Decimal(0)) + position.quantity
    assert {symbol: quantity for symbol, quantity in held.items() if quantity} == w.venue.holdings()
    spent = sum((row.spent for row in w.db.reservations.values()), Decimal(0))
    assert spent == w.venue.bought()
    for row in w.db.orders.values():
        ids = [fill.exchange_trade_id for fill in row.fills]
        assert len(ids) == len(set(ids))
        assert w.db.trade_log.count(row.order.id) == row.revision


@virtual_time
async def test_a_fill_after_the_order_was_closed_is_booked_as_its_next_revision() -> None:
    async with live_world() as w:
        w.venue.answers = [accepted("0.5")]
        process = await bought(w)
        before = entry(w)
        assert before.result is not None
        w.venue.executes_more("NEWUSDT", "7")
        await a_round_later(w)
        row = entry(w)
        assert row.result is not None
        assert (row.status, row.revision, len(row.fills)) == (FILLED, 2, 2)
        assert row.result.executed_quantity == Decimal(32)
        (position,) = process.account.desk.positions.values()
        assert (position.quantity, position.exit_plan) == (Decimal(32), PLAN)
        usage = process.account.desk._capacity[Mode.LIVE].usage(w.clock.now())
        assert usage.spent_today == w.venue.bought()
        assert usage.exposure == Decimal(16)
        assert ("late_fill", row.order.client_order_id) in w.db.alerts
        books_equal(w)
        done = len(kinds(w))
        await a_round_later(w)
        assert len(kinds(w)) == done
        assert entry(w).revision == 2


@virtual_time
async def test_an_order_that_appears_after_it_was_not_found_is_booked_and_its_exit_armed() -> None:
    async with live_world() as w:
        w.venue.answers = [unknown(taken=True, seen_after=timedelta(seconds=20)), OVER]
        process = await bought(w, status=REJECTED)
        assert entry(w).code == "NOT_FOUND_AT_VENUE"
        assert process.account.desk.positions == {}
        await w.until(lambda: entry(w).status is FILLED, within=A_ROUND)
        await asyncio.sleep(1)
        (position,) = process.account.desk.positions.values()
        assert position.exit_plan == PLAN
        books_equal(w)
        w.market.push("NEWUSDT", Decimal(2))
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED])
        await asyncio.sleep(1)
        assert w.venue.holdings() == {}
        assert len(w.venue.sent) == 3


@virtual_time
async def test_an_order_that_appears_beside_its_own_repetition_is_counted_with_it() -> None:
    async with live_world() as w:
        w.venue.answers = [unknown(taken=True, seen_after=timedelta(seconds=20)), accepted()]
        process = await bought(w)
        await w.until(lambda: w.orders() == [FILLED, FILLED], within=A_ROUND)
        await asyncio.sleep(1)
        (position,) = process.account.desk.positions.values()
        assert {position.symbol: position.quantity} == w.venue.holdings()
        usage = process.account.desk._capacity[Mode.LIVE].usage(w.clock.now())
        assert (usage.spent_today, usage.exposure) == (w.venue.bought(), position.cost)
        assert usage.orders_last_hour == 1
        books_equal(w)


@virtual_time
async def test_a_late_fill_opens_a_sold_position_again_and_its_exit_sells_the_rest() -> None:
    async with live_world() as w:
        w.venue.answers = [accepted("0.5")]
        await bought(w)
        w.market.push("NEWUSDT", Decimal(2))
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED])
        await asyncio.sleep(1)
        (position,) = w.db.positions.values()
        assert position.closed_at is not None
        profit = position.realised_pnl
        w.venue.executes_more("NEWUSDT", "10")
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED, FILLED], within=A_ROUND)
        await asyncio.sleep(1)
        (position,) = w.db.positions.values()
        assert position.closed_at is not None
        assert position.realised_pnl > profit
        booked = sum((amount for _, _, amount in w.db.realised.values()), Decimal(0))
        assert booked == position.realised_pnl
        books_equal(w)


@virtual_time
async def test_an_order_that_was_never_sent_by_our_books_turns_up() -> None:
    """Killed on the way: the venue hides the order for longer than it takes to call it never sent."""
    async with live_world() as w:
        first = w.process("one")
        await w.running(CONFIGURATION)
        w.venue.answers = [accepted(seen_after=timedelta(seconds=30))]
        first.ledger.hold("record_submission")
        w.feed.show("NEWUSDT")
        await first.ledger.called["record_submission"].wait()
        await first.kill()
        w.process("two")
        await w.until(lambda: w.orders() == [FAILED] and not w.held)
        await w.until(lambda: w.orders() == [FILLED], within=A_ROUND * 2)
        await asyncio.sleep(1)
        books_equal(w)
        assert next(iter(w.db.reservations.values())).state == "settled"


@virtual_time
async def test_an_order_that_turns_up_without_a_fill_is_told_and_spends_nothing() -> None:
    async with live_world() as w:
        w.venue.answers = [unknown(taken=True, filled=Decimal(0), seen_after=timedelta(seconds=20)), OVER]
        await bought(w, status=REJECTED)
        await w.until(lambda: entry(w).revision == 2, within=A_ROUND)
        await asyncio.sleep(1)
        assert (entry(w).status, entry(w).code) == (REJECTED, "CANCELLED_BY_VENUE")
        assert kinds(w) == [DifferenceKind.LATE_ORDER]
        books_equal(w)


@virtual_time
async def test_an_order_that_we_gave_up_and_that_lives_is_cancelled() -> None:
    async with live_world() as w:
        answer = unknown(taken=True, seen_after=timedelta(seconds=20), open_for=timedelta(seconds=100))
        w.venue.answers = [answer, OVER]
        await bought(w, status=REJECTED)
        await a_round_later(w)
        assert [order.symbol for order in w.venue.cancelled] == ["NEWUSDT"]
        assert ("reconciliation", "main") in w.db.alerts
        await w.until(lambda: entry(w).status is FILLED, within=A_ROUND * 2)
        await a_round_later(w)
        assert ("reconciliation", "main") not in w.db.alerts
        books_equal(w)


@virtual_time
async def test_what_the_venue_does_not_list_is_booked_as_one_explained_fill_until_it_does() -> None:
    async with live_world() as w:
        w.venue.unlisted = {"T1"}
        process = w.process("one")
        await w.running(CONFIGURATION)
        w.feed.show("NEWUSDT")
        took = await w.until(lambda: w.orders() == [FILLED])
        assert timedelta(seconds=29) < took < timedelta(seconds=35)
        await asyncio.sleep(1)
        assert [fill.exchange_trade_id for fill in entry(w).fills] == ["1:rest"]
        assert w.told("booked from the order's own totals")
        books_equal(w)
        spent = process.account.desk._capacity[Mode.LIVE].usage(w.clock.now()).spent_today
        w.venue.unlisted = set()
        await a_round_later(w)
        assert [fill.exchange_trade_id for fill in entry(w).fills] == ["T1"]
        assert entry(w).revision == 2
        assert process.account.desk._capacity[Mode.LIVE].usage(w.clock.now()).spent_today == spent
        books_equal(w)
        assert w.db.books.revisions[0].replaced == ("1:rest",)


@virtual_time
async def test_less_at_the_venue_than_in_our_books_is_told_and_changes_nothing() -> None:
    async with live_world() as w:
        await bought(w)
        booked = next(iter(w.venue._book.values()))
        fills, evidence = booked.fills, booked.evidence
        booked.evidence = structs.replace(evidence, executed_quantity=Decimal(1), executed_quote=Decimal("0.5"))
        await a_round_later(w)
        assert kinds(w) == [DifferenceKind.LESS_EXECUTED]
        assert entry(w).revision == 1
        assert [done.agreed for done in w.db.books.done][-1] is False
        assert w.db.health["reconciliation:main"][0] == "degraded"
        booked.fills, booked.evidence = fills, evidence
        await a_round_later(w)
        assert [done.agreed for done in w.db.books.done][-1] is True
        assert ("reconciliation", "main") not in w.db.alerts
        assert w.db.health["reconciliation:main"][0] == "running"


@virtual_time
async def test_an_order_that_is_not_ours_is_told_once_and_a_push_makes_it_known_at_once() -> None:
    async with live_world() as w:
        await bought(w)
        await asyncio.sleep(20)
        w.venue.foreign.append(venue_order("by-hand", "X1", symbol="OLDUSDT"))
        for _ in range(3):  # pushes come twice
            w.venue.push(OrderUpdate(symbol="OLDUSDT", client_order_id="by-hand", exchange_order_id="X1"))
        await w.until(lambda: bool(w.db.books.external), within=timedelta(seconds=3))
        await asyncio.sleep(1)
        assert kinds(w) == [DifferenceKind.EXTERNAL_ORDER]
        assert w.db.alerts["external_order", "main OLDUSDT"].count == 1
        w.venue.foreign.append(venue_order(None, "X2", symbol="NEWUSDT", side=Side.SELL))
        await a_round_later(w)
        await a_round_later(w)
        assert kinds(w) == [DifferenceKind.EXTERNAL_ORDER] * 2
        assert all(done.agreed for done in w.db.books.done)


@virtual_time
async def test_orders_on_their_way_are_never_external_nor_lost() -> None:
    async with live_world() as w:
        w.process("one")
        await w.running(CONFIGURATION)
        w.venue.answers = [accepted(open_for=timedelta(seconds=30))]
        w.feed.show("NEWUSDT")
        await w.venue.arrived.wait()
        sent = w.venue.sent[0]
        for _ in range(10):
            w.venue.push(OrderUpdate(symbol="NEWUSDT", client_order_id=sent.client_order_id, exchange_order_id="1"))
            w.venue.push(BalanceUpdate(asset="USDT", by_order=False))
            await asyncio.sleep(2)
        await w.until(lambda: w.orders() == [FILLED])
        await a_round_later(w)
        assert w.db.books.external == {}
        assert kinds(w) == []
        books_equal(w)


@virtual_time
async def test_a_push_ends_the_wait_for_an_order() -> None:
    async with live_world() as w:
        w.process("one")
        await w.running(CONFIGURATION)
        w.venue.answers = [accepted(open_for=timedelta(seconds=4.5))]
        w.feed.show("NEWUSDT")
        await w.venue.arrived.wait()
        await asyncio.sleep(4.51)
        update = OrderUpdate(symbol="NEWUSDT", client_order_id=w.venue.sent[0].client_order_id, exchange_order_id="1")
        w.venue.push(update)
        took = await w.until(lambda: w.orders() == [FILLED])
        assert took < timedelta(milliseconds=100)


@virtual_time
async def test_a_push_that_tells_more_than_was_booked_is_looked_into_at_once_and_a_late_one_is_not() -> None:
    async with live_world() as w:
        w.venue.answers = [accepted("0.5")]
        await bought(w)
        await asyncio.sleep(20)
        name, rounds = entry(w).order.client_order_id, len(w.db.books.done)
        told = OrderUpdate(symbol="NEWUSDT", client_order_id=name, exchange_order_id="1", executed_quantity=Decimal(25))
        before = w.venue.lists
        for update in (told, structs.replace(told, executed_quantity=None), told):
            w.venue.push(update)
        await asyncio.sleep(5)
        assert w.venue.lists == before
        w.venue.executes_more("NEWUSDT", "7")
        w.venue.push(structs.replace(told, executed_quantity=Decimal(32)))
        await w.until(lambda: entry(w).revision == 2, within=timedelta(seconds=5))
        await asyncio.sleep(5)
        assert len(w.db.books.done) == rounds + 1
        books_equal(w)


@virtual_time
async def test_money_that_moved_without_us_is_written_down_and_a_missing_base_asset_is_an_alert() -> None:
    async with live_world() as w:
        await bought(w)
        await a_round_later(w)
        w.venue.moved["USDT"] = Decimal(10_500)
        await a_round_later(w)
        assert kinds(w) == [DifferenceKind.EXTERNAL_MOVEMENT]
        line = w.db.books.wallets[examples.ACCOUNT, "USDT"]
        assert line.external_movement == Decimal(500)
        w.venue.moved["NEW"] = Decimal(-20)
        await a_round_later(w)
        assert kinds(w)[1:] == [DifferenceKind.EXTERNAL_MOVEMENT, DifferenceKind.POSITION_MISMATCH]
        alert = w.db.alerts["position_mismatch", "main NEW"]
        assert "hold 50 NEW" in alert.message
        assert "only 30" in alert.message
        assert next(iter(w.db.positions.values())).quantity == Decimal(50)
        w.venue.moved["NEW"] = Decimal(0)
        await a_round_later(w)
        assert ("position_mismatch", "main NEW") not in w.db.alerts


@virtual_time
async def test_a_coin_that_came_without_an_order_has_its_market_looked_at_again_at_once() -> None:
    """The first comparison sees the coin and not yet the order that bought it; the second need not wait a minute."""
    async with live_world() as w:
        w.venue.answers = [unknown(taken=True, seen_after=timedelta(seconds=60)), OVER]
        await bought(w, status=REJECTED)
        await w.until(lambda: DifferenceKind.EXTERNAL_MOVEMENT in kinds(w), within=A_ROUND)
        assert entry(w).revision == 1
        took = await w.until(lambda: entry(w).status is FILLED, within=A_ROUND)
        assert took < timedelta(seconds=10)
        await a_round_later(w)
        books_equal(w)


@virtual_time
async def test_the_wallet_is_not_judged_while_an_order_is_on_its_way() -> None:
    async with live_world() as w:
        w.process("one")
        await w.running(CONFIGURATION)
        w.venue.answers = [accepted(open_for=timedelta(seconds=200))]
        w.feed.show("NEWUSDT")
        await w.venue.arrived.wait()
        await a_round_later(w)
        await a_round_later(w)
        assert kinds(w) == []
        await w.until(lambda: w.orders() == [FILLED], within=timedelta(seconds=200))
        await a_round_later(w)
        assert kinds(w) == []
        books_equal(w)


@virtual_time
async def test_entries_wait_for_the_first_comparison() -> None:
    async with live_world() as w:
        w.venue.orders_error = w.venue.balances_error = VenueUnavailable("503")
        w.process("one")
        run_id = w.ask_for_run(CONFIGURATION)
        await asyncio.sleep(20)
        assert w.status(run_id) is RunStatus.STARTING
        w.venue.orders_error = w.venue.balances_error = None
        await w.until(lambda: w.status(run_id) is RunStatus.RUNNING)
        w.venue.balances_error = VenueUnavailable("503")
        await asyncio.sleep(200)
        assert ("reconciliation", "main") in w.db.alerts


@virtual_time
async def test_entries_wait_until_an_order_that_was_given_up_is_not_open_any_more() -> None:
    async with live_world() as w:
        w.venue.answers = [unknown(taken=True, seen_after=timedelta(seconds=20), open_for=timedelta(seconds=40)), OVER]
        process = await bought(w, status=REJECTED)
        await process.kill()
        await asyncio.sleep(16)
        w.process("two")
        run_id = w.ask_for_run(CONFIGURATION, number=2)
        await w.until(lambda: DifferenceKind.STILL_OPEN in kinds(w))
        assert w.status(run_id) is RunStatus.STARTING
        await w.until(lambda: w.status(run_id) is RunStatus.RUNNING)
        assert entry(w).status is FILLED
        books_equal(w)


@virtual_time
async def test_refused_credentials_end_the_wait_so_that_the_start_can_name_them() -> None:
    async with live_world() as w:
        refusal = CredentialsRefused("the key is unknown", code="700002")
        w.venue.balances_error = w.venue.credentials_error = refusal
        w.process("one")
        run_id = w.ask_for_run(CONFIGURATION)
        took = await w.until(lambda: w.status(run_id) is RunStatus.FAILED)
        assert took < timedelta(seconds=3)
        assert "the key is unknown" in (w.run_row(run_id).error_message or "")


@virtual_time
async def test_simulation_asks_the_venue_for_nothing() -> None:
    async with world(live=True) as w:
        w.venue.orders_error = w.venue.balances_error = VenueUnavailable("503")
        w.process("one")
        await w.running(examples.configuration())
        await asyncio.sleep(200)
        assert w.db.books.done == []
        assert w.venue.watchers == []
        assert "reconciliation:main" not in w.db.health


@virtual_time
async def test_an_order_that_nobody_follows_is_taken_up() -> None:
    async with live_world() as w:
        process = await bought(w)
        lost = structs.replace(
            entry(w).order,
            id=OrderId(examples.order(77).id),
            client_order_id=examples.order(77).client_order_id,
            symbol="LOSTUSDT",
            attempt=2,
        )
        w.db.orders[lost.id] = OrderRow(order=lost, status=OrderStatus.SUBMITTED)
        await w.until(lambda: w.db.orders[lost.id].status is REJECTED, within=A_ROUND * 4)
        assert DifferenceKind.HANGING in kinds(w)
        assert process.account.serving


@virtual_time
async def test_a_refused_entry_agrees_and_a_revision_whose_answer_was_lost_counts_once() -> None:
    async with live_world() as w:
        w.venue.answers = [refused(RefusalKind.TERMINAL)]
        process = await bought(w, status=REJECTED)
        await a_round_later(w)
        assert kinds(w) == []
        w.venue.answers = [accepted("0.5")]
        w.feed.show("BUSDT")
        await w.until(lambda: w.orders() == [REJECTED, FILLED] and not w.held)
        process.ledger.fail("revise", Fault.ANSWER_LOST, Fault.NOT_DONE)
        w.venue.executes_more("BUSDT", "3")
        await w.until(lambda: entry(w, 1).revision == 2, within=A_ROUND)
        await asyncio.sleep(5)
        assert process.ledger.calls.count("revise") == 3
        usage = process.account.desk._capacity[Mode.LIVE].usage(w.clock.now())
        assert usage.spent_today == w.venue.bought()
        assert usage.orders_last_hour == 2
        books_equal(w)


@virtual_time
async def test_a_fee_in_another_asset_is_no_spend_in_quote() -> None:
    async with live_world() as w:
        make, w.venue.moved["MX"] = w.venue._fill, Decimal(500)

        def in_mx(*values: Any) -> Any:
            return structs.replace(make(*values), fee_asset="MX", fee=Decimal("0.01"))

        w.venue._fill = in_mx  # type: ignore[method-assign,assignment]  # the venue takes its fee in its own coin
        w.process("one")
        await w.running(CONFIGURATION)
        w.feed.show("NEWUSDT")
        await w.until(lambda: w.orders() == [FILLED] and not w.held)
        (position,) = w.db.positions.values()
        assert (position.quantity, position.cost, position.fees) == (Decimal(50), Decimal(25), Decimal(0))
        assert next(iter(w.db.reservations.values())).spent == Decimal(25)
        await a_round_later(w)
        await a_round_later(w)
        assert kinds(w) == []


@virtual_time
async def test_a_fee_in_the_base_asset_reduces_what_is_held_and_sold() -> None:
    async with live_world() as w:
        w.process("one")
        await w.running(CONFIGURATION)
        make = w.venue._fill

        def in_base(*values: Any) -> Any:
            fill = make(*values)
            return structs.replace(fill, fee_asset="NEW", fee=Decimal("0.05")) if fill.side is Side.BUY else fill

        w.venue._fill = in_base  # type: ignore[method-assign,assignment]  # the venue takes its fee out of what was bought
        w.feed.show("NEWUSDT")
        await w.until(lambda: w.orders() == [FILLED] and not w.held)
        (position,) = w.db.positions.values()
        assert position.quantity == Decimal("49.95")
        assert next(iter(w.db.reservations.values())).spent == Decimal(25)
        await a_round_later(w)
        assert kinds(w) == []
        w.market.push("NEWUSDT", Decimal(2))
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED])
        assert w.venue.sent[-1].quantity == Decimal("49.95")


@virtual_time
async def test_an_engine_that_lost_the_account_without_knowing_leaves_its_run_alone() -> None:
    async with live_world() as w:
        first = w.process("one")
        run_id = await w.running(CONFIGURATION)
        first.ledger.drop_locks()
        w.db.fences[examples.ACCOUNT] += 1  # another engine took over, and goes on with the run
        await first.shut_down()
        assert w.status(run_id) is RunStatus.RUNNING


@virtual_time
async def test_an_engine_that_stands_by_does_not_speak_for_the_account() -> None:
    async with live_world() as w:
        w.process("one")
        await w.running(CONFIGURATION)
        w.process("two")
        await asyncio.sleep(10)
        assert w.db.health["account:main"][0] == "running"
        assert w.told("account main: standing by")


@virtual_time
async def test_a_used_up_request_limit_delays_the_comparison_and_does_not_starve_it() -> None:
    async with live_world() as w:
        await bought(w)
        list_orders, limited = w.venue.recent_orders, [VenueThrottled("used up", retry_after_s=3.0)] * 3

        async def recent_orders(symbol: str, since: datetime) -> Sequence[VenueOrder]:
            if limited:
                raise limited.pop()
            return await list_orders(symbol, since)

        w.venue.recent_orders = recent_orders  # type: ignore[method-assign]  # the limit is used up for a while
        await a_round_later(w)
        assert limited == []
        assert w.db.health["reconciliation:main"][0] == "running"


@virtual_time
async def test_markets_that_cannot_be_looked_at_keep_no_other_from_its_turn() -> None:
    async with live_world() as w:
        w.venue.answers = [accepted("0.5")]
        await bought(w)
        list_orders = w.venue.recent_orders

        async def recent_orders(symbol: str, since: datetime) -> Sequence[VenueOrder]:
            if symbol.startswith("BAD"):
                raise VenueUnavailable("no such market")
            return await list_orders(symbol, since)

        w.venue.recent_orders = recent_orders  # type: ignore[method-assign]  # some markets are refused
        for number in range(20):
            w.venue.push(OrderUpdate(symbol=f"BAD{number}USDT", client_order_id="x", exchange_order_id=str(number)))
        await a_round_later(w)
        w.venue.executes_more("NEWUSDT", "7")
        await w.until(lambda: entry(w).revision == 2, within=2 * A_ROUND)
        books_equal(w)


@virtual_time
async def test_more_markets_than_fit_into_a_round_all_have_their_turn() -> None:
    async with live_world() as w:
        asked_for: list[str] = []
        list_orders = w.venue.recent_orders

        async def recent_orders(symbol: str, since: datetime) -> Sequence[VenueOrder]:
            asked_for.append(symbol)
            return await list_orders(symbol, since)

        await bought(w)
        w.venue.recent_orders = recent_orders  # type: ignore[method-assign]  # to count
        template = entry(w)
        for number in range(100, 140):
            example = examples.order(number)
            order = structs.replace(
                template.order, id=example.id, client_order_id=example.client_order_id, symbol=f"S{number}USDT"
            )
            w.db.orders[order.id] = OrderRow(
                order=order, status=REJECTED, code="X", completed_at=w.clock.now() + timedelta(minutes=number / 100)
            )
        for _ in range(4):
            await a_round_later(w)
        assert {f"S{number}USDT" for number in range(100, 140)} <= set(asked_for)
        for number in range(100, 140):
            del w.db.orders[examples.order(number).id]


@virtual_time
async def test_a_late_fill_whose_executions_cannot_be_read_holds_up_no_other() -> None:
    async with live_world() as w:
        w.venue.answers = [accepted("0.5"), accepted("0.5")]
        await bought(w)
        w.feed.show("BUSDT")
        await w.until(lambda: w.orders() == [FILLED, FILLED] and not w.held)
        read = w.venue.fills

        async def fills(order: Order, exchange_order_id: str) -> Sequence[Fill]:
            if order.symbol == "NEWUSDT":
                raise VenueUnavailable("502")
            return await read(order, exchange_order_id)

        w.venue.fills = fills  # type: ignore[method-assign]  # one market's executions cannot be read
        w.venue.executes_more("NEWUSDT", "7")
        await asyncio.sleep(120)
        w.venue.executes_more("BUSDT", "3")
        await w.until(lambda: entry(w, 1).revision == 2, within=4 * A_ROUND)
        w.venue.fills = read  # type: ignore[method-assign]  # and can be read again
        await w.until(lambda: entry(w).revision == 2, within=4 * A_ROUND)
        books_equal(w)


@virtual_time
async def test_all_that_was_ever_traded_costs_one_question_after_a_start() -> None:
    async with live_world() as w:
        long_ago = w.clock.now() - timedelta(days=30)
        for number in range(100, 130):
            order = structs.replace(examples.order(number), symbol=f"S{number}USDT", mode=Mode.LIVE)
            sold = w.venue._fill(order, f"t{number}", Decimal(1), Decimal(1), long_ago)
            w.db.orders[order.id] = OrderRow(order=order, status=FILLED, completed_at=long_ago, fills=(sold,))
        single, asked_for = w.market.instrument, []

        async def instrument(symbol: str, *, poll: bool = False) -> Instrument | None:
            asked_for.append(symbol)
            return await single(symbol, poll=poll)

        w.market.instrument = instrument  # type: ignore[method-assign]  # to count
        w.process()
        await w.running(CONFIGURATION)
        assert asked_for == []
        assert "S100" in {asset for _, asset in w.db.books.wallets}


@virtual_time
async def test_an_order_that_is_finished_twice_is_counted_once() -> None:
    async with live_world() as w:
        process = await bought(w)
        account, order = process.account, entry(w).order
        (before,) = account.desk.positions.values()
        settled = await account.dispatcher._settlement.finish(order, order.created_at)
        assert list(account.desk.positions.values()) == [before]
        assert settled.spent == w.venue.bought()
        books_equal(w)


EVENTS = st.lists(
    st.sampled_from(["more of A", "more of B", "push A", "push B", "external", "money", "restart", "round"]),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(events=EVENTS, seed=st.integers(0, 1_000))
def test_whatever_comes_late_the_books_end_as_the_venues_and_a_further_round_changes_nothing(
    events: list[str], seed: int
) -> None:
    """Late executions, late, doubled and unknown pushes, restarts at any time."""

    async def story() -> None:
        async with live_world() as w:
            w.venue.answers_for["AUSDT"], w.venue.answers_for["BUSDT"] = [accepted("0.5")], [accepted("0")]
            process = w.process("one")
            await w.running(STYLE_MARKET)
            for symbol in ("AUSDT", "BUSDT"):
                w.feed.show(symbol)
            await w.until(lambda: len(w.orders()) == 2 and not w.held and OrderStatus.SUBMITTED not in w.orders())
            for number, event in enumerate(events):
                symbol = f"{event[-1]}USDT"
                match event.split()[0]:
                    case "more":
                        w.venue.executes_more(symbol, str(1 + (seed + number) % 7))
                    case "push":
                        order = next(order for order in w.venue.sent if order.symbol == symbol)
                        name, told = order.client_order_id, Decimal(seed % 90)
                        for executed in (told, None):
                            w.venue.push(
                                OrderUpdate(
                                    symbol=symbol,
                                    client_order_id=name,
                                    exchange_order_id="1",
                                    executed_quantity=executed,
                                )
                            )
                    case "external":
                        w.venue.foreign.append(venue_order(f"hand-{number}", f"X{number}", symbol="AUSDT"))
                    case "money":
                        w.venue.moved["USDT"] = Decimal(20_000 + number)
                    case "restart":
                        await process.kill()
                        process = w.process(f"again {number}")
                    case _:
                        await a_round_later(w)
                await asyncio.sleep((seed % 5) * 0.7)
            await a_round_later(w)
            await a_round_later(w)
            books_equal(w)
            before = (dict(w.db.positions), list(w.db.trade_log), dict(w.db.books.external), len(kinds(w)))
            await a_round_later(w)
            assert (dict(w.db.positions), list(w.db.trade_log), dict(w.db.books.external), len(kinds(w))) == before
            assert [done.agreed for done in w.db.books.done][-1]

    virtual_time(story)()
