"""When to leave a position."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import structs
from tests.unit.domain.examples import NOW, instrument, levels, position

from signalbox.domain.positions import ExitPlan, ExitRule
from signalbox.domain.risk.checks import CheckVerdict, EntryInputs, RiskCheck
from signalbox.domain.strategies.exits import ExitInputs, ExitVerdict, decide_exit, exit_quantity, exit_shape

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


def _inputs(plan: ExitPlan, bid: str, **changes: Any) -> ExitInputs:
    """40 bought at 0.5."""
    held: dict[str, Any] = {"quantity": Decimal(40), "cost": Decimal(20), "bought": Decimal(40)}
    held |= {name: changes.pop(name) for name in list(changes) if name in {"quantity", "cost", "highest_bid"}}
    holding = position(plan=plan, held=SECOND, **held)
    return ExitInputs(
        position=holding, now=NOW, bid=Decimal(bid), instrument=changes.pop("instrument", instrument()), **changes
    )


def _check(verdict: ExitVerdict | None, name: str) -> RiskCheck:
    assert verdict is not None
    return next(check for check in verdict.checks if check.name == name)


LEVELS = ExitPlan(take_profit_levels=levels(("0.1", "0.5"), ("0.2", "0.25")))


@pytest.mark.parametrize(
    ("bid", "held", "level", "quantity"),
    [
        ("0.5499", "40", None, None),
        ("0.55", "40", 1, "20"),
        ("0.55", "25", 1, "5"),  # 15 were sold already, whoever sold them
        ("0.55", "20", None, None),
        ("0.55", "20.005", None, None),  # less than a lot is missing
        ("0.6", "40", 2, "30"),
        ("0.6", "20", 2, "10"),
        ("9", "10", None, None),
    ],
)
def test_a_level_is_due_while_less_was_sold_than_it_asks_for(
    bid: str, held: str, level: int | None, quantity: str | None
) -> None:
    left = Decimal(held)
    verdict = decide_exit(_inputs(LEVELS, bid, quantity=left, cost=left / 2))
    assert (verdict and verdict.level) == level
    assert (verdict and verdict.quantity) == (None if quantity is None else Decimal(quantity))


def test_a_level_says_which_it_is_and_how_much_is_due() -> None:
    verdict = decide_exit(_inputs(LEVELS, "0.61"))
    assert verdict is not None
    assert verdict.reason == "take_profit: bid 0.61 reached level 2 of 2 at 0.6: 30 of 40 are due"
    assert (_check(verdict, "take_profit").limit, _check(verdict, "take_profit").value) == ("0.6", "0.61")


@pytest.mark.parametrize(
    ("minimum", "share", "sold"),
    [
        ("1", "0.5", "20"),
        ("12", "0.6", "40"),  # 8.8 would be left, which could not be sold
        ("1", "0.96", "40"),
        ("12", "0.3", None),  # 6.6 cannot be sold alone: the next level has it too
        ("25", "1", None),
    ],
)
def test_no_remainder_is_left_that_could_not_be_sold(minimum: str, share: str, sold: str | None) -> None:
    rules = instrument(min_notional=Decimal(minimum), min_notional_market=Decimal(minimum))
    plan = ExitPlan(take_profit_levels=levels(("0.1", share)))
    verdict = decide_exit(_inputs(plan, "0.55", instrument=rules))
    assert (verdict and verdict.quantity) == (None if sold is None else Decimal(sold))


def test_a_level_that_is_too_small_does_not_hide_the_time_limit() -> None:
    rules = instrument(min_notional=Decimal(12), min_notional_market=Decimal(12))
    plan = ExitPlan(take_profit_levels=levels(("0.1", "0.3")), time_limit_s=Decimal(1))
    verdict = decide_exit(_inputs(plan, "0.55", instrument=rules))
    assert verdict is not None
    assert (verdict.rule, verdict.quantity) == (ExitRule.TIME_LIMIT, Decimal(40))


@pytest.mark.parametrize(
    ("peak", "bid", "activation", "fires"),
    [
        (None, "0.5", None, False),
        ("0.8", "0.7200001", None, False),
        ("0.8", "0.72", None, True),
        ("0.5", "0.4", None, True),
        ("0.7499", "0.6", "0.5", False),
        ("0.75", "0.675", "0.5", True),
        ("0.75", "0.6751", "0.5", False),
        ("0.6", "0.8", "0.5", False),
    ],
)
def test_a_trailing_stop_follows_the_highest_bid(
    peak: str | None, bid: str, activation: str | None, *, fires: bool
) -> None:
    plan = ExitPlan(
        trailing_stop=Decimal("0.1"), trailing_activation=None if activation is None else Decimal(activation)
    )
    verdict = decide_exit(_inputs(plan, bid, highest_bid=None if peak is None else Decimal(peak)))
    assert (verdict and verdict.rule) == (ExitRule.TRAILING_STOP if fires else None)
    assert (verdict and verdict.quantity) == (Decimal(40) if fires else None)


def test_the_order_of_the_rules_and_a_record_of_each() -> None:
    plan = ExitPlan(
        take_profit=Decimal("0.1"), stop_loss=Decimal("0.5"), trailing_stop=Decimal("0.1"), time_limit_s=Decimal(1)
    )
    peak = Decimal(1)
    fired = []
    for bid, flatten in (("0.2", True), ("0.2", False), ("0.6", False), ("0.95", False), ("0.52", False)):
        top = None if bid == "0.52" else peak
        verdict = decide_exit(_inputs(plan, bid, highest_bid=top, flatten=flatten))
        assert verdict is not None
        fired.append(verdict.rule)
        names = [check.name for check in verdict.checks]
        assert names == [*(["flatten"] if flatten else []), "stop_loss", "trailing_stop", "take_profit", "time_limit"]
    assert fired == ["flatten", "stop_loss", "trailing_stop", "take_profit", "time_limit"]
    assert _check(decide_exit(_inputs(plan, "0.6", highest_bid=peak)), "trailing_stop").limit == "0.9"


def test_what_the_wallet_has_bounds_what_is_sold() -> None:
    plan = ExitPlan(stop_loss=Decimal("0.1"))
    for free, sold in (("39.998", "39.99"), ("50", "40"), ("0", "0"), ("1", "0")):  # 0.4 quote are under the minimum
        verdict = decide_exit(_inputs(plan, "0.4", free=Decimal(free)))
        assert verdict is not None
        assert verdict.quantity == Decimal(sold)


@pytest.mark.parametrize(
    ("discount", "bid", "band", "price"),
    [
        ("0.05", "0.45", None, "0.4275"),
        ("0.05", "0.45", "0.02", "0.441"),
        ("0.5", "0.45", "0.2", "0.36"),
        ("0.05", "0.0001", None, "0.0001"),
    ],
)
def test_a_limit_sale_goes_below_the_bid_as_far_as_the_venue_allows(
    discount: str, bid: str, band: str | None, price: str
) -> None:
    rules = instrument(sell_band=None if band is None else Decimal(band), min_notional=Decimal(0))
    inputs = _inputs(ExitPlan(stop_loss=Decimal("0.1")), bid, instrument=rules, discount=Decimal(discount))
    verdict = decide_exit(inputs)
    assert verdict is not None
    shape = exit_shape(inputs, verdict)
    assert shape is not None
    assert (shape.order_type, shape.time_in_force, shape.limit_price) == ("limit", "IOC", Decimal(price))


def test_a_take_profit_by_limit_asks_for_its_target_at_least() -> None:
    for plan, target in ((ExitPlan(take_profit=Decimal("0.15")), "0.575"), (LEVELS, "0.55")):
        inputs = _inputs(plan, "0.58", discount=Decimal("0.2"))
        verdict = decide_exit(inputs)
        assert verdict is not None
        shape = exit_shape(inputs, verdict)
        assert shape is not None
        assert shape.limit_price == Decimal(target)


def test_a_market_sale_is_cut_at_the_venues_largest_order() -> None:
    rules = instrument(max_notional_market=Decimal(10))
    verdict = decide_exit(_inputs(ExitPlan(stop_loss=Decimal("0.1")), "0.4", instrument=rules))
    assert verdict is not None
    assert verdict.quantity == Decimal(25)


def test_plans_and_inputs_of_earlier_versions_are_read_and_say_the_same() -> None:
    before = b"""{"kind": "exit", "bid": "0.6", "now": "2026-03-14T12:00:00Z", "position": {
        "id": "00000000-0000-0000-0000-000000000009", "account_id": "00000000-0000-0000-0000-000000000001",
        "symbol": "NEWUSDT", "mode": "simulation", "opened_at": "2026-03-14T11:59:59Z", "quantity": "40", "cost": "20",
        "exit_plan": {"take_profit": "0.2", "stop_loss": "0.1", "time_limit_s": "300"}, "signal_id": null,
        "realised_pnl": "-0.02", "fees": "0.02", "closed_at": null}}"""
    inputs = msgspec.json.decode(before, type=EntryInputs | ExitInputs)
    assert isinstance(inputs, ExitInputs)
    verdict = decide_exit(inputs)
    assert verdict is not None
    assert verdict.reason == "take_profit: bid 0.6 reached 0.6"
    assert [check.name for check in verdict.checks] == ["stop_loss", "take_profit", "time_limit"]
    assert verdict.quantity is None


@pytest.mark.parametrize("bid", ["0.9", None])
@pytest.mark.parametrize("stop", [ExitRule.STOP_LOSS, ExitRule.TRAILING_STOP])
def test_a_stop_that_fired_stays_fired_however_the_price_recovers(stop: ExitRule, bid: str | None) -> None:
    plan = ExitPlan(take_profit=Decimal("0.2"), stop_loss=Decimal("0.1"), trailing_stop=Decimal("0.1"))
    inputs = _inputs(plan, "0.9")
    inputs = structs.replace(
        inputs,
        position=structs.replace(inputs.position, fired_stop=stop),
        bid=None if bid is None else Decimal(bid),
    )
    verdict = decide_exit(inputs)
    assert verdict is not None
    assert (verdict.rule, verdict.quantity) == (stop, Decimal(40))
    at = "nobody bids at present" if bid is None else "the bid is 0.9 now"
    assert verdict.reason == f"{stop}: fired before and stays so until everything is sold; {at}"


def test_a_stop_that_fired_counts_only_while_the_plan_has_it() -> None:
    inputs = _inputs(ExitPlan(take_profit=Decimal(1)), "0.5")
    fired = structs.replace(inputs.position, fired_stop=ExitRule.STOP_LOSS)
    assert decide_exit(structs.replace(inputs, position=fired)) is None
