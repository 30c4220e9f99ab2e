"""Rounding never exceeds a cap, sums never lose a digit, text is read back as it was: checked against fractions."""

import re
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

from hypothesis import given
from hypothesis import strategies as st
from tests.property.domain.generators import amounts, positive, quick, steps

from signalbox.domain.money import parse_amount, plain, product, round_down, round_up, share, step_of, total

ANY = amounts(-(10**12), 10**12, places=30)


@quick
@given(value=ANY, step=steps())
def test_rounding_is_the_nearest_multiple_on_its_side(value: Decimal, step: Decimal) -> None:
    exact, unit = Fraction(value), Fraction(step)
    assert Fraction(round_down(value, step)) == floor(exact / unit) * unit
    assert Fraction(round_up(value, step)) == ceil(exact / unit) * unit


@quick
@given(count=st.integers(0, 10**15), step=steps(), below=st.integers(1, 30))
def test_a_value_just_below_a_multiple_never_reaches_it(count: int, step: Decimal, below: int) -> None:
    edge = product(Decimal(count), step)
    under = total([edge, Decimal(1).scaleb(-below - 20).copy_negate()])
    assert round_down(under, step) < edge
    assert round_up(under, step) == edge
    assert round_down(edge, step) == round_up(edge, step) == edge


@quick
@given(values=st.lists(ANY, max_size=8), precision=st.integers(1, 40))
def test_sums_and_products_are_exact_in_any_order_and_any_context(values: list[Decimal], precision: int) -> None:
    with localcontext() as context:
        context.prec = precision
        assert Fraction(total(values)) == sum(map(Fraction, values))
        assert total(values) == total(reversed(values))
        for left, right in pairwise(values):
            assert Fraction(product(left, right)) == Fraction(left) * Fraction(right)


@quick
@given(amount=amounts(), part=amounts(), whole=positive(), step=steps())
def test_a_share_is_the_largest_multiple_not_above_it(
    amount: Decimal, part: Decimal, whole: Decimal, step: Decimal
) -> None:
    exact, unit = Fraction(amount) * Fraction(part) / Fraction(whole), Fraction(step)
    assert Fraction(share(amount, part, whole, step=step)) == floor(exact / unit) * unit


@quick
@given(value=ANY | amounts().map(lambda value: value.normalize()))
def test_plain_text_is_read_back_exactly(value: Decimal) -> None:
    text = plain(value)
    assert re.fullmatch(r"-?\d+(\.\d*[1-9])?", text)
    assert Decimal(text) == value
    assert parse_amount(text, field="any") == value


@quick
@given(decimals=st.integers(-10, 20))
def test_the_step_of_decimals_is_a_power_of_ten(decimals: int) -> None:
    assert Fraction(step_of(decimals)) == Fraction(10) ** -decimals
