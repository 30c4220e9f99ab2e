"""When to leave a position."""

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.unit.domain.examples import NOW, instrument, position

from signalbox.domain.positions import ExitPlan, ExitRule
from signalbox.domain.risk.checks import CheckVerdict
from signalbox.domain.strategies.exits import ExitInputs, ExitVerdict, decide_exit, exit_quantity

ALL_RULES = ExitPlan(take_profit=Decimal("0.2"), stop_loss=Decimal("0.1"), time_limit_s=Decimal(300))
SECOND = timedelta(seconds=1)


def _decide(
    plan: ExitPlan, *, bid: str | None = "0.5", held: timedelta = SECOND, quantity: str = "40", cost: str = "20"
) -> ExitVerdict | None:
    holding = position(plan=plan, held=held, quantity=Decimal(quantity), cost=Decimal(cost))
    return decide_exit(ExitInputs(position=holding, now=NOW, bid=None if bid is None else Decimal(bid)))


@pytest.mark.parametrize(
    ("bid", "held", "rule"),
    [
        ("0.5", SECOND, None),
        ("0.6", SECOND, ExitRule.TAKE_PROFIT),
        ("0.5999999", SECOND, None),
        ("0.45", SECOND, ExitRule.STOP_LOSS),
        ("0.4500001", SECOND, None),
        ("0.5", 300 * SECOND, ExitRule.TIME_LIMIT),
        ("0.5", 300 * SECOND - timedelta(microseconds=1), None),
        ("0.6", 300 * SECOND, ExitRule.TAKE_PROFIT),
        ("0.45", 300 * SECOND, ExitRule.STOP_LOSS),
        (None, SECOND, None),
        (None, 300 * SECOND, ExitRule.TIME_LIMIT),
    ],
)
def test_a_rule_fires_at_its_bound_and_stop_loss_comes_first(
    bid: str | None, held: timedelta, rule: ExitRule | None
) -> None:
    verdict = _decide(ALL_RULES, bid=bid, held=held)
    assert (verdict and verdict.rule) == rule


def test_every_rule_is_recorded_with_how_it_stood() -> None:
    verdict = _decide(ALL_RULES, bid="0.6")
    assert verdict is not None
    assert {check.name: check.verdict for check in verdict.checks} == {
        "stop_loss": CheckVerdict.WAITING,
        "take_profit": CheckVerdict.FIRED,
        "time_limit": CheckVerdict.WAITING,
    }
    assert verdict.reason == "take_profit: bid 0.6 reached 0.6"


def test_without_a_price_only_time_can_fire() -> None:
    verdict = _decide(ALL_RULES, bid=None, held=301 * SECOND)
    assert verdict is not None
    absent = [check.name for check in verdict.checks if check.verdict is CheckVerdict.NOT_APPLICABLE]
    assert absent == ["stop_loss", "take_profit"]


def test_without_a_plan_a_position_is_kept() -> None:
    assert _decide(ExitPlan(), bid="1000000", held=timedelta(days=30)) is None


@pytest.mark.parametrize("bid", ["0.8", "0.8000000000000000001"])
def test_a_bound_that_no_decimal_can_hold_is_compared_exactly(bid: str) -> None:
    # 2 / 3 × 1.2 is 0.8, but a rounded entry price of 0.66…67 would ask for a little more.
    verdict = _decide(ExitPlan(take_profit=Decimal("0.2")), bid=bid, quantity="3", cost="2")
    assert verdict is not None
    assert verdict.rule is ExitRule.TAKE_PROFIT


def test_a_position_without_holdings_has_no_price_rules() -> None:
    assert _decide(ALL_RULES, bid="0", quantity="0", cost="0") is None


@pytest.mark.parametrize(
    ("quantity", "lot", "sold"), [("40.019", "0.01", "40.01"), ("0.009", "0.01", "0"), ("7", "1", "7")]
)
def test_what_can_be_sold_is_rounded_down_to_the_lot(quantity: str, lot: str, sold: str) -> None:
    holding = position(quantity=Decimal(quantity), cost=Decimal(1))
    assert exit_quantity(holding, instrument(lot_size=Decimal(lot))) == Decimal(sold)
