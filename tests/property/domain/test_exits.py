"""Exit rules fire exactly from their bound on, stop-loss before take-profit before time: checked against fractions."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.domain.generators import exit_plans, positive, quick
from tests.unit.domain.examples import NOW, position

from signalbox.domain.positions import ExitPlan, ExitRule
from signalbox.domain.strategies.exits import ExitInputs, decide_exit


def _expected(plan: ExitPlan, entry: Fraction, bid: Fraction | None, held_us: int) -> ExitRule | None:
    if plan.stop_loss is not None and bid is not None and bid <= entry * (1 - Fraction(plan.stop_loss)):
        return ExitRule.STOP_LOSS
    if plan.take_profit is not None and bid is not None and bid >= entry * (1 + Fraction(plan.take_profit)):
        return ExitRule.TAKE_PROFIT
    if plan.time_limit_s is not None and held_us >= Fraction(plan.time_limit_s) * 1_000_000:
        return ExitRule.TIME_LIMIT
    return None


@settings(quick, max_examples=300)
@given(
    plan=exit_plans(),
    quantity=positive(places=6),
    cost=positive(places=6),
    change=st.none() | st.decimals(Decimal("-0.999"), Decimal(2), places=3),
    held_ms=st.integers(0, 200_000_000),
)
def test_the_first_rule_at_its_bound_fires(
    plan: ExitPlan, quantity: Decimal, cost: Decimal, change: Decimal | None, held_ms: int
) -> None:
    bid = None if change is None else cost / quantity * (1 + change)
    held = position(plan=plan, held=timedelta(milliseconds=held_ms), quantity=quantity, cost=cost)
    verdict = decide_exit(ExitInputs(position=held, now=NOW, bid=bid))
    expected = _expected(
        plan, Fraction(cost) / Fraction(quantity), None if bid is None else Fraction(bid), held_ms * 1000
    )
    assert (verdict.rule if verdict else None) == expected
    if verdict:
        assert [check.name for check in verdict.checks] == ["stop_loss", "take_profit", "time_limit"]
