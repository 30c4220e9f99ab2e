"""A limit entry never costs more than it may, at no price above any cap, in whole ticks and lots."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import event, given
from hypothesis import strategies as st
from tests.property.domain.generators import amounts, positive, quick, steps
from tests.unit.domain.examples import instrument, position

from signalbox.domain.configuration import ListingSniperParameters
from signalbox.domain.money import product, total
from signalbox.domain.order_shapes import ioc_shape
from signalbox.domain.strategies.exits import exit_quantity


@quick
@given(
    spend=positive(),
    price=st.none() | positive(100000, places=30),
    max_price=st.none() | positive(100000),
    price_cap=st.none() | positive(100000),
    slippage=amounts(most=2, places=30),
    tick=steps(),
    lot=steps(),
)
def test_rounding_never_exceeds_a_cap(
    spend: Decimal,
    price: Decimal | None,
    max_price: Decimal | None,
    price_cap: Decimal | None,
    slippage: Decimal,
    tick: Decimal,
    lot: Decimal,
) -> None:
    shape = ioc_shape(
        ListingSniperParameters(max_price=max_price, max_slippage=slippage),
        spend,
        instrument=instrument(tick_size=tick, lot_size=lot),
        price=price,
        price_cap=price_cap,
    )
    bounds = [Fraction(bound) for bound in (max_price, price_cap) if bound is not None]
    if price is not None:
        bounds.append(Fraction(price) * (1 + Fraction(slippage)))
    if shape is None:
        event("no shape")
        assert price is None or min(bounds) < Fraction(tick) or Fraction(spend) < min(bounds) * Fraction(lot)
        return
    assert shape.limit_price is not None
    assert shape.quantity is not None
    limit_price, quantity = Fraction(shape.limit_price), Fraction(shape.quantity)
    assert limit_price > 0
    assert quantity > 0
    assert all(limit_price <= bound for bound in bounds)
    assert quantity * limit_price <= Fraction(spend)
    assert (limit_price / Fraction(tick)).denominator == 1
    assert (quantity / Fraction(lot)).denominator == 1
    assert limit_price + Fraction(tick) > min(bounds)
    assert (quantity + Fraction(lot)) * limit_price > Fraction(spend)


@quick
@given(
    count=st.integers(1, 10**12),
    price=positive(places=8),
    lot=steps(),
    below=st.integers(20, 35),
)
def test_a_spend_just_below_a_number_of_lots_buys_one_lot_less(
    count: int, price: Decimal, lot: Decimal, below: int
) -> None:
    edge = product(product(Decimal(count), lot), price)
    spend = total([edge, product(edge, Decimal(f"-1E-{below}"))])
    shape = ioc_shape(
        ListingSniperParameters(max_slippage=Decimal(0)),
        spend,
        instrument=instrument(tick_size=Decimal("1e-8"), lot_size=lot),
        price=price,
    )
    assert (shape.quantity if shape and shape.quantity else 0) == product(Decimal(count - 1), lot)


@quick
@given(held=amounts(places=30), lot=steps())
def test_no_more_is_sold_than_is_held(held: Decimal, lot: Decimal) -> None:
    quantity = exit_quantity(position(quantity=held, cost=held), instrument(lot_size=lot))
    assert 0 <= quantity <= held
    assert Fraction(held) - Fraction(quantity) < Fraction(lot)
