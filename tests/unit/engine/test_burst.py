"""After a refusal: again, at once, as a limit order, or never, and the reason why it was the last attempt."""

import asyncio
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from tests.unit.domain import examples
from tests.unit.engine.bench import Bench, with_style
from tests.unit.engine.fakes import PRICE, Answer, accepted, refused, unknown
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.configuration import OrderStyle
from signalbox.domain.money import ZERO
from signalbox.domain.orders import OrderStatus, OrderType, RefusalKind

MARKET, IOC, BOTH = OrderStyle.MARKET, OrderStyle.IOC_LIMIT, OrderStyle.MARKET_THEN_IOC
MARKET_ORDER, LIMIT_ORDER = OrderType.MARKET, OrderType.LIMIT
NOT_OPEN, NOT_LISTED = RefusalKind.NOT_OPEN_YET, RefusalKind.NOT_LISTED
EMPTY = RefusalKind.NO_OPPOSITE


async def entered(style: OrderStyle, answers: list[Answer], *, bench: Bench | None = None, **parameters: Any) -> Bench:
    """An entry to its end."""
    bench = bench or Bench()
    bench.venue.answers = answers
    configuration = with_style(style, **parameters)
    if style is IOC or parameters.get("max_price") is not None:
        bench.desk.instruments["NEWUSDT"] = examples.instrument()
    intent = bench.decide(configuration, price=PRICE)
    await bench.entries.carry(intent, configuration)
    assert bench.held == ZERO
    assert bench.venue.violations == []
    return bench


def types(bench: Bench) -> list[OrderType]:
    """The kinds of the orders that were sent."""
    return [order.order_type for order in bench.venue.sent]


def gaps_ms(bench: Bench) -> list[float]:
    """Milliseconds between the sends."""
    at = [bench.venue.sent_times[order.id] for order in bench.venue.sent]
    return [(later - earlier).total_seconds() * 1000 for earlier, later in pairwise(at)]


@pytest.mark.parametrize("style", [MARKET, BOTH])
@virtual_time
async def test_no_such_pair_is_given_up_some_seconds_after_the_opening_with_the_reason(style: OrderStyle) -> None:
    bench = await entered(style, [refused(NOT_LISTED)] * 200)
    last = bench.orders()[-1]
    assert (last.status, last.code) == (OrderStatus.REJECTED, "NOT_LISTED")
    assert last.reason is not None
    assert last.reason.endswith("(given up: still so 5.0 s after the opening)")
    assert len(bench.venue.sent) == 51


@virtual_time
async def test_not_open_yet_is_repeated_until_the_deadline_with_the_reason() -> None:
    bench = await entered(BOTH, [refused(NOT_OPEN)] * 200)
    reasons = {row.reason for row in bench.orders()[:-1]}
    assert reasons == {"refused: not_open_yet"}
    last = "refused: not_open_yet (dropped as stale: the next attempt would come after the deadline)"
    assert bench.orders()[-1].reason == last


@virtual_time
async def test_an_empty_book_is_tried_again_and_as_a_limit_as_soon_as_somebody_is_seen_to_offer() -> None:
    """The book is looked at twice a second: a look costs as much of the venue's request limit as ten orders."""
    bench = Bench()
    bench.market.prices["NEWUSDT"] = None
    entering = asyncio.create_task(entered(BOTH, [refused(EMPTY)] * 6 + [accepted()], bench=bench))
    await asyncio.sleep(0.15)
    assert types(bench) == [MARKET_ORDER] * 2
    bench.market.prices["NEWUSDT"] = PRICE
    await entering
    assert types(bench) == [MARKET_ORDER] * 6 + [LIMIT_ORDER]
    bench = await entered(BOTH, [refused(EMPTY), accepted()])
    assert types(bench) == [MARKET_ORDER, LIMIT_ORDER]
    assert gaps_ms(bench)[0] < 30, "the limit follows at once"


@pytest.mark.parametrize(("style", "kind"), [(MARKET, MARKET_ORDER), (IOC, LIMIT_ORDER)])
@virtual_time
async def test_an_empty_book_is_tried_again_where_the_style_knows_nothing_else(
    style: OrderStyle, kind: OrderType
) -> None:
    bench = await entered(style, [refused(EMPTY)] * 3 + [accepted()])
    assert types(bench) == [kind] * 4


@virtual_time
async def test_a_limit_waits_for_the_first_offer() -> None:
    bench = Bench()
    bench.market.prices["NEWUSDT"] = None
    entering = asyncio.create_task(entered(BOTH, [refused(RefusalKind.ORDER_TYPE), accepted()], bench=bench))
    await asyncio.sleep(2)
    assert types(bench) == [MARKET_ORDER]
    bench.market.prices["NEWUSDT"] = PRICE
    await entering
    assert types(bench) == [MARKET_ORDER, LIMIT_ORDER]
    assert bench.orders()[-1].status is OrderStatus.FILLED


@virtual_time
async def test_after_a_clock_refusal_the_next_attempt_is_signed_anew_at_once() -> None:
    bench = await entered(BOTH, [refused(RefusalKind.CLOCK), accepted()])
    assert types(bench) == [MARKET_ORDER] * 2
    assert gaps_ms(bench)[0] < 20
    assert len({order.client_order_id for order in bench.venue.sent}) == 2


@virtual_time
async def test_the_venues_pause_is_kept_where_it_fits_the_window() -> None:
    bench = await entered(BOTH, [refused(RefusalKind.THROTTLED, retry_after_s=2.5), accepted()])
    assert gaps_ms(bench) == pytest.approx([2500], abs=101)
    assert gaps_ms(bench)[0] >= 2500
    bench = await entered(BOTH, [refused(RefusalKind.THROTTLED, retry_after_s=11.0)])
    last = "refused: throttled (dropped as stale: the next attempt would come after the deadline)"
    assert bench.orders()[-1].reason == last


@pytest.mark.parametrize(
    ("style", "cap", "limits", "reason"),
    [
        (MARKET, "0.52", [None], "(the venue allows at most 0.52, and the order style market has no price to lower)"),
        (BOTH, "0.52", [None, Decimal("0.52")], None),
        (BOTH, "0.9", [None, Decimal("0.55")], None),
        (IOC, "0.52", [Decimal("0.55"), Decimal("0.52")], None),
        (IOC, "0.9", [Decimal("0.55")], "(the venue allows at most 0.9, and refused our own highest price of 0.55)"),
        (IOC, None, [Decimal("0.55")], "(the venue names no highest price, and refused our own highest price of 0.55)"),
    ],
)
@virtual_time
async def test_s4_the_venues_highest_price_is_used_inside_our_own_else_both_are_named(
    style: OrderStyle, cap: str | None, limits: list[Decimal | None], reason: str | None
) -> None:
    price_cap = None if cap is None else Decimal(cap)
    bench = await entered(style, [refused(RefusalKind.PRICE, price_cap=price_cap), accepted()])
    assert [order.limit_price for order in bench.venue.sent] == limits
    if reason is None:
        assert bench.orders()[-1].status is OrderStatus.FILLED
    else:
        last = bench.orders()[-1].reason
        assert last is not None
        assert last.endswith(reason)


@pytest.mark.parametrize("ask", ["0.5", "0.69", "3"])
@virtual_time
async def test_s4_with_a_highest_price_no_market_order_is_sent_and_no_limit_lies_above_it(ask: str) -> None:
    bench = Bench()
    bench.market.prices["NEWUSDT"] = Decimal(ask)
    answers = [refused(NOT_OPEN), refused(RefusalKind.PRICE, price_cap=Decimal("0.68")), accepted("0")]
    bench = await entered(BOTH, answers, bench=bench, max_price=Decimal("0.7"), max_slippage=Decimal(1))
    assert set(types(bench)) == {LIMIT_ORDER}
    assert all(order.limit_price is not None and order.limit_price <= Decimal("0.7") for order in bench.venue.sent)


@pytest.mark.parametrize("style", list(OrderStyle))
@virtual_time
async def test_s4_at_most_two_sends_stay_unclear(style: OrderStyle) -> None:
    answers = [refused(NOT_OPEN), unknown(taken=False), refused(NOT_OPEN), unknown(taken=False), accepted()]
    bench = await entered(style, answers, freshness_s=Decimal(60))
    unclear = [row for row in bench.orders() if row.code == "NOT_FOUND_AT_VENUE"]
    assert len(unclear) == (2 if style is BOTH else 1)
    assert bench.orders()[-1].code == "NOT_FOUND_AT_VENUE"


@virtual_time
async def test_p1_nothing_is_sent_while_an_answer_is_unclear() -> None:
    bench = Bench()
    entering = asyncio.create_task(entered(BOTH, [unknown(taken=False), accepted()], bench=bench))
    await asyncio.sleep(4.9)
    assert len(bench.venue.sent) == 1, "not found counts only after the visibility window"
    await entering
    assert gaps_ms(bench)[0] > 5000


@virtual_time
async def test_what_was_bought_ends_the_entry_and_the_rest_is_not_chased() -> None:
    bench = await entered(IOC, [accepted("0.3"), accepted()])
    assert types(bench) == [LIMIT_ORDER]
