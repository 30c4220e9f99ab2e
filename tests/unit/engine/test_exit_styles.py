"""A refused exit is told, and tried again in another style or after a pause, until it is sold: once, and not more."""

import asyncio
import itertools
from decimal import Decimal

import pytest
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fakes import accepted, refused, unknown
from tests.unit.engine.holding import SYMBOL, Held, holding
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.orders import OrderStatus, OrderType, RefusalKind
from signalbox.domain.positions import ExitPlan, ExitRule

FILLED, REJECTED = OrderStatus.FILLED, OrderStatus.REJECTED
STOP = ExitPlan(stop_loss=Decimal("0.2"))
PROFIT = ExitPlan(take_profit=Decimal("0.1"))


def _times(held: Held) -> list[float]:
    """Seconds between the attempts."""
    made = [row.order.created_at for row in held.sales()]
    return [round((later - earlier).total_seconds(), 1) for earlier, later in itertools.pairwise(made)]


@virtual_time
async def test_a_market_order_that_is_refused_becomes_a_limit_below_the_bid() -> None:
    async with holding(STOP) as held:
        held.bench.venue.answers = [refused(RefusalKind.ORDER_TYPE)]
        held.push("0.4")
        await held.closed(1)
        assert held.sold() == [(REJECTED, 50, None), (FILLED, 50, Decimal("0.38"))]
        assert [row.order.order_type for row in held.sales()] == [OrderType.MARKET, OrderType.LIMIT]
        assert held.bench.journal.raised == [("exit_refused", "main/NEWUSDT (simulation)")]
        assert held.alerts() == {}


@virtual_time
async def test_a_market_without_market_orders_is_sold_by_limit_from_the_start() -> None:
    async with holding(STOP, market_orders=False) as held:
        held.push("0.4")
        await held.closed(1)
        assert held.sold() == [(FILLED, 50, Decimal("0.38"))]


@virtual_time
async def test_what_is_taken_and_cancelled_goes_lower_as_far_as_the_venue_allows_and_then_begins_anew() -> None:
    async with holding(STOP, sell_band=Decimal("0.15")) as held:
        held.bench.venue.answers = [accepted("0") for _ in range(6)]
        held.push("0.4")
        await held.closed(10)
        prices = [price for _, _, price in held.sold()]
        assert prices == [
            None, Decimal("0.38"), Decimal("0.36"), Decimal("0.34"), None, Decimal("0.38"), Decimal("0.36"),
        ]  # fmt: skip
        assert _times(held) == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]


@virtual_time
async def test_a_limit_outside_the_venues_band_goes_nearer_to_the_bid() -> None:
    async with holding(STOP) as held:
        held.bench.venue.answers = [refused(RefusalKind.ORDER_TYPE), *[refused(RefusalKind.PRICE) for _ in range(2)]]
        held.push("0.4")
        await held.closed(1)
        assert [price for _, _, price in held.sold()] == [None, Decimal("0.38"), Decimal("0.39"), Decimal("0.395")]


@virtual_time
async def test_each_attempt_is_made_on_the_price_of_its_moment() -> None:
    async with holding(STOP) as held:

        async def falls() -> None:
            held.push("0.3")

        held.bench.venue.answers = [refused(RefusalKind.ORDER_TYPE, before=falls)]
        held.push("0.4")
        await held.closed(1)
        assert held.sold()[-1] == (FILLED, 50, Decimal("0.285"))


@virtual_time
async def test_a_take_profit_by_limit_never_sells_below_its_target_and_is_given_up_when_the_price_goes_back() -> None:
    async with holding(PROFIT, market_orders=False) as held:
        held.bench.venue.answers = [accepted("0"), refused(RefusalKind.NOT_OPEN_YET)]
        held.push("0.56")
        await held.until(lambda: len(held.sales()) == 2)
        assert {price for _, _, price in held.sold()} == {Decimal("0.55")}
        await held.until(lambda: "exit_refused" in held.alerts())
        held.push("0.5")
        await asyncio.sleep(30)
        assert len(held.sales()) == 2
        assert held.alerts() == {}


@virtual_time
async def test_a_direction_that_is_not_allowed_is_waited_for_with_growing_pauses_and_an_open_alert() -> None:
    async with holding(STOP) as held:
        held.bench.venue.answers = [refused(RefusalKind.NOT_OPEN_YET) for _ in range(7)]
        held.push("0.4")
        await held.until(lambda: len(held.sales()) == 4)
        assert "NEWUSDT is to be sold (stop_loss" in held.alerts()["exit_refused"]
        assert held.bench.journal.alerts["exit_refused", "main/NEWUSDT (simulation)"][0] == "critical"
        await held.closed(60)
        assert _times(held) == [1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0]
        assert {price for _, _, price in held.sold()} == {None}
        assert held.alerts() == {}


@virtual_time
@pytest.mark.parametrize("plan", [STOP, ExitPlan(trailing_stop=Decimal("0.1"))])
async def test_a_stop_that_fired_is_carried_out_even_when_the_price_recovers_first(plan: ExitPlan) -> None:
    async with holding(plan) as held:

        async def recovers() -> None:
            held.push("2")

        held.bench.venue.answers = [refused(RefusalKind.NOT_OPEN_YET, before=recovers)]
        await held.until(lambda: held.bench.market.listeners[SYMBOL])
        held.push("0.5")
        await asyncio.sleep(1)
        held.push("0.4")
        await held.until(lambda: "exit_refused" in held.alerts())
        await held.closed(2)
        assert [row.status for row in held.sales()] == [REJECTED, FILLED]
        assert held.alerts() == {}


@virtual_time
async def test_what_a_stop_left_unsold_is_sold_even_when_the_price_recovers_first() -> None:
    async with holding(STOP) as held:

        async def recovers() -> None:
            held.push("2")

        held.bench.venue.answers = [accepted("0.4", before=recovers)]
        held.push("0.4")
        await held.closed(2)
        assert [quantity for _, quantity, _ in held.sold()] == [50, 30]


@virtual_time
async def test_a_restart_knows_from_the_ledger_that_a_stop_fired() -> None:
    async with holding(STOP) as held:
        held.bench.venue.answers = [refused(RefusalKind.NOT_OPEN_YET)]
        held.push("0.4")
        await held.until(lambda: "exit_refused" in held.alerts())
        held.watch.cancel()
        held.push("2")
        (position,) = await held.bench.ledger.open_positions(held.position.account_id)
        assert position.fired_stop is ExitRule.STOP_LOSS
        held.bench.desk.take_position(position)
        await held.bench.exits.watch(position.id)
        assert [row.status for row in held.sales()] == [REJECTED, FILLED]


@virtual_time
async def test_while_a_freeze_lasts_no_stop_fires() -> None:
    async with holding(STOP) as held:
        held.bench.desk.freeze = True
        held.push("0.4")
        await asyncio.sleep(1)
        held.push("0.5")
        held.bench.desk.freeze = False
        await asyncio.sleep(2)
        assert held.sales() == []


@virtual_time
async def test_prices_do_not_cut_a_pause_short_and_an_operator_does() -> None:
    async with holding(STOP) as held:
        held.bench.venue.answers = [refused(RefusalKind.TERMINAL) for _ in range(5)]
        held.push("0.4")
        await held.until(lambda: len(held.sales()) == 5)
        for _ in range(20):
            await asyncio.sleep(0.1)
            held.push("0.39")
        assert len(held.sales()) == 5
        held.bench.exits.flatten()
        await held.closed(0.2)


@virtual_time
async def test_a_throttled_exit_comes_again_when_the_venue_says() -> None:
    async with holding(STOP) as held:
        held.bench.venue.answers = [refused(RefusalKind.THROTTLED, retry_after_s=7.0)]
        held.push("0.4")
        await held.closed(10)
        assert _times(held) == [7.0]


@virtual_time
async def test_an_unknown_outcome_is_settled_before_anything_else_is_sent() -> None:
    async with holding(STOP) as held:
        held.bench.venue.answers = [unknown(taken=True, filled=Decimal("0.4"))]
        held.bench.venue.find_error = VenueUnavailable("503")
        held.push("0.4")
        await asyncio.sleep(60)
        assert len(held.bench.venue.sent) == 2
        held.bench.venue.find_error = None
        await held.closed(5)
        assert [quantity for _, quantity, _ in held.sold()] == [50, 30]


@virtual_time
async def test_attempts_without_a_pause_are_bounded() -> None:
    async with holding(STOP) as held:
        held.bench.venue.answers = [refused(RefusalKind.ORDER_TYPE) for _ in range(20)]
        held.push("0.4")
        await held.closed(60)
        assert _times(held).count(0.0) == 18
        assert [pause for pause in _times(held) if pause] == [1.0, 2.0]


@virtual_time
async def test_less_in_the_wallet_than_in_the_books_is_told_and_what_is_there_is_sold() -> None:
    async with holding(STOP) as held:
        bench = held.bench
        bench.venue.moved["NEW"] = Decimal("-19.995")  # taken away by somebody else
        bench.venue.answers = [refused(RefusalKind.BALANCE)]
        held.push("0.4")
        await held.until(lambda: len(held.sales()) == 2)
        assert [quantity for _, quantity, _ in held.sold()] == [50, Decimal("30.00")]
        assert "the wallet has 30.005 free" in held.alerts()["position_mismatch"]
        await asyncio.sleep(120)  # the rest is not there at all
        assert len(held.sales()) == 2
        assert "exit_refused" not in held.alerts()
        bench.venue.moved["NEW"] = Decimal(0)
        await held.closed(60)
        assert held.alerts() == {}


@virtual_time
async def test_a_wallet_that_cannot_be_read_is_no_reason_to_stop() -> None:
    async with holding(STOP) as held:
        held.bench.venue.balances_error = VenueUnavailable("503")
        held.bench.venue.answers = [refused(RefusalKind.BALANCE)]
        held.push("0.4")
        await held.closed(5)
        assert _times(held) == [1.0]
        assert held.bench.journal.states["balances"] == "degraded"


@virtual_time
async def test_a_position_below_the_venues_minimum_is_told_once_and_sold_when_the_price_allows() -> None:
    async with holding(STOP, min_notional_market=Decimal(19)) as held:
        for _ in range(300):
            held.push("0.37")  # 18.50
            await asyncio.sleep(0.2)
        assert held.sales() == []
        told = [message for _, message, _ in held.bench.journal.events if "sellable" in message]
        assert told == [
            (
                "50 NEW are to be sold (stop_loss: bid 0.37 fell to 0.4), but the venue takes no less than 51.36: kept"
                " until the price makes them sellable"
            )
        ]
        assert held.bench.journal.states["exits"] == "degraded"
        held.push("0.38")
        await held.closed(1)
        assert held.bench.journal.states["exits"] == "running"


@virtual_time
async def test_a_minimum_that_only_the_refusal_tells_is_learned() -> None:
    async with holding(STOP) as held:
        held.bench.venue.answers = [refused(RefusalKind.TERMINAL, least_notional=Decimal("18.6"))]
        held.push("0.37")
        await asyncio.sleep(300)
        assert len(held.sales()) == 1
        held.push("0.38")
        await held.closed(1)


@virtual_time
async def test_an_exit_while_the_ledger_is_away_is_an_alert_and_comes_as_soon_as_it_is_back() -> None:
    async with holding(STOP) as held:
        held.bench.ledger.away = True
        held.push("0.4")
        await asyncio.sleep(30)
        assert len(held.bench.venue.sent) == 1
        assert "the ledger" in held.alerts()["exit_refused"]
        held.bench.ledger.away = False
        await held.closed(2.1)
        assert held.sold() == [(FILLED, 50, None)]
        assert held.alerts() == {}


@virtual_time
async def test_a_commit_that_does_not_return_is_told_while_it_lasts() -> None:
    async with holding(STOP) as held:
        gate = held.bench.ledger.hold("commit")
        held.push("0.4")
        await held.until(lambda: "exit_refused" in held.alerts(), within_s=1.1)
        gate.set()
        await held.closed(5)


@virtual_time
async def test_a_commit_whose_answer_is_lost_is_undone_and_made_again_at_once() -> None:
    async with holding(STOP) as held:
        held.bench.ledger.fail("commit", Fault.ANSWER_LOST)
        held.push("0.4")
        await held.closed(0.5)
        assert [status for status, _, _ in held.sold()] == [OrderStatus.FAILED, FILLED]


@virtual_time
async def test_a_limit_sale_needs_a_bid() -> None:
    plan = ExitPlan(time_limit_s=Decimal(5))
    async with holding(plan, market_orders=False) as held:
        held.bench.market.prices[SYMBOL] = None
        await asyncio.sleep(10)
        assert held.sales() == []
        assert "no bid" in held.alerts()["exit_refused"]
        held.push("0.5")
        await held.closed(10)


@virtual_time
async def test_a_market_that_the_venue_does_not_know_any_more_is_told_and_sold_when_it_is_back() -> None:
    async with holding(STOP) as held:
        held.bench.market.unknown.add(SYMBOL)
        del held.bench.desk.instruments[SYMBOL]
        held.bench.exits.flatten()
        await held.until(lambda: "cannot be sold" in held.alerts().get("exit_refused", ""))
        assert held.sales() == []
        held.bench.market.unknown.clear()
        await held.closed(10)
        assert [row.status for row in held.sales()] == [FILLED]
        assert held.alerts() == {}
