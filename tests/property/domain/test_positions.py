"""Duplicated or shuffled fills change nothing.

Exactly: the fills of one order (one side, one symbol) give the same totals and, folded in their stable order, the same
position, however often, in whatever order and in however many batches they arrive. Folded in the order of arrival
instead, the quantity, the fees and `realised_pnl - cost` (the cash that moved) are still the same to the last digit;
only the split between the two after a partial sale may differ, by at most one COST_STEP for each fill.
"""

from decimal import Decimal
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st
from tests.property.domain.generators import amounts, fills_of_one_order, positive, quick
from tests.unit.domain.examples import fill, position

from signalbox.domain.money import total
from signalbox.domain.orders import Fill, Side
from signalbox.domain.positions import COST_STEP, Position, UniqueFills, apply_fill


def _fold(start: Position, fills: list[Fill]) -> Position:
    return reduce(lambda held, one: apply_fill(held, one, quote_asset="USDT", base_asset="NEW"), fills, start)


def _cash(held: Position) -> Decimal:
    return total([held.realised_pnl, held.cost.copy_negate()])


@st.composite
def _arrivals(draw: st.DrawFn) -> tuple[list[Fill], list[list[Fill]]]:
    """The fills of an order, and how they arrive: shuffled, some again, in batches."""
    fills = draw(st.sampled_from(Side).flatmap(lambda side: fills_of_one_order(side=side)))
    again = draw(st.lists(st.sampled_from(fills), max_size=6))
    arriving = draw(st.permutations([*fills, *again]))
    batches: list[list[Fill]] = [[]]
    for one in arriving:
        if draw(st.booleans()):
            batches.append([])
        batches[-1].append(one)
    return fills, batches


@quick
@given(arrivals=_arrivals(), quantity=positive(), cost=amounts())
def test_duplicated_or_shuffled_fills_change_nothing(
    arrivals: tuple[list[Fill], list[list[Fill]]], quantity: Decimal, cost: Decimal
) -> None:
    fills, batches = arrivals
    once, received = UniqueFills(), UniqueFills()
    once.add(fills)
    new = [one for batch in batches for one in received.add(batch)]
    assert sorted(one.exchange_trade_id for one in new) == sorted(one.exchange_trade_id for one in fills)
    assert received.totals() == once.totals()
    assert received.in_order() == once.in_order()
    held = position(quantity=quantity, cost=cost)
    assert _fold(held, received.in_order()) == _fold(held, once.in_order())


@quick
@given(data=st.data(), side=st.sampled_from(Side), quantity=positive(), cost=amounts())
def test_in_any_order_the_same_quantity_fees_and_cash(
    data: st.DataObject, side: Side, quantity: Decimal, cost: Decimal
) -> None:
    fills = data.draw(fills_of_one_order(side=side))
    shuffled = data.draw(st.permutations(fills))
    held = position(quantity=quantity, cost=cost)
    one, other = _fold(held, fills), _fold(held, shuffled)
    assert (one.quantity, one.fees, _cash(one)) == (other.quantity, other.fees, _cash(other))
    assert abs(one.cost - other.cost) <= COST_STEP * len(fills)
    if side is Side.BUY or not one.quantity:
        assert one == other


@quick
@given(data=st.data(), quantity=positive(), cost=amounts())
def test_the_books_close_to_the_last_digit(data: st.DataObject, quantity: Decimal, cost: Decimal) -> None:
    """Whatever is bought and sold: realised_pnl - cost = sells - buys - quote fees; sold out means no cost is left."""
    buys = data.draw(fills_of_one_order(side=Side.BUY))
    sells = data.draw(fills_of_one_order(side=Side.SELL, most=10))
    start = position(quantity=quantity, cost=cost, realised_pnl=cost)  # cash 0
    mixed = data.draw(st.permutations([*buys, *sells]))
    rest = _fold(start, mixed)
    if rest.quantity:
        closing = fill("last", str(rest.quantity), "1", side=Side.SELL, quote_quantity=Decimal("0.01"), fee=Decimal(0))
        sells, rest = [*sells, closing], _fold(rest, [closing])
    fees = [one.fee for one in (*buys, *sells) if one.fee_asset == "USDT"]
    brought = total(one.quote_quantity for one in sells)
    paid = total(one.quote_quantity for one in buys)
    assert rest.quantity == rest.cost == 0
    assert rest.fees == total(fees)
    assert rest.realised_pnl == total([brought, paid.copy_negate(), total(fees).copy_negate()])


@quick
@given(data=st.data(), quantity=amounts(), cost=amounts())
def test_neither_quantity_nor_cost_can_fall_below_zero(data: st.DataObject, quantity: Decimal, cost: Decimal) -> None:
    held = position(quantity=quantity, cost=cost if quantity else Decimal(0))
    for one in data.draw(fills_of_one_order(side=Side.SELL)):
        after = _fold(held, [one])
        assert 0 <= after.quantity <= held.quantity
        assert 0 <= after.cost <= held.cost
        held = after
