"""What would sell a position, in words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.unit.domain.examples import levels

from signalbox.control.exit_words import exit_text, sold_when
from signalbox.domain.ids import PositionId
from signalbox.domain.orders import Mode
from signalbox.domain.positions import ExitPlan, ExitRule
from signalbox.ledger.queries.positions import PositionRow

NOW = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)


def _position(plan: ExitPlan, **changes: Any) -> PositionRow:
    fields: dict[str, Any] = {
        "id": PositionId(UUID(int=1)),
        "account": "main",
        "symbol": "NEWUSDT",
        "mode": Mode.LIVE,
        "status": "open",
        "quantity": Decimal(200),
        "bought": Decimal(200),
        "average_entry_price": Decimal("0.5"),
        "cost": Decimal(100),
        "realised_pnl": Decimal(0),
        "fees": Decimal(0),
        "opened_at": NOW - timedelta(seconds=8),
        "closed_at": None,
        "exit_plan": plan,
        "signal_id": None,
    }
    return PositionRow(**(fields | changes))


def test_a_stop_that_fired_needs_no_price_any_more() -> None:
    plan = ExitPlan(take_profit=Decimal("0.1"), stop_loss=Decimal("0.2"), time_limit_s=Decimal(20))
    text = sold_when(_position(plan, fired_stop=ExitRule.STOP_LOSS), NOW)
    assert text == ["as soon as the exchange takes it: the stop loss has fired"]


def test_each_rule_tells_its_price_and_the_time_that_is_left() -> None:
    plan = ExitPlan(take_profit=Decimal("0.1"), stop_loss=Decimal("0.2"), time_limit_s=Decimal(20))
    assert sold_when(_position(plan), NOW) == [
        "the bid reaches 0.55 (+10%)",
        "it falls to 0.4 (-20%)",
        "12 s have passed",
    ]
    assert sold_when(_position(plan), NOW + timedelta(seconds=12))[-1] == "now: its time is over"
    assert sold_when(_position(plan))[-1] == "20 s have passed"
    assert sold_when(_position(ExitPlan()), NOW) == []


def test_levels_tell_what_they_still_sell() -> None:
    plan = ExitPlan(take_profit_levels=levels(("0.1", "0.5"), ("0.2", "0.25")))
    assert sold_when(_position(plan)) == [
        "100 when the bid reaches 0.55 (+10%)",
        "50 when the bid reaches 0.6 (+20%)",
    ]
    assert sold_when(_position(plan, quantity=Decimal(130))) == [
        "30 when the bid reaches 0.55 (+10%)",
        "50 when the bid reaches 0.6 (+20%)",
    ]
    assert sold_when(_position(plan, quantity=Decimal("100.005"))) == ["50 when the bid reaches 0.6 (+20%)"]
    assert sold_when(_position(plan, quantity=Decimal(50))) == []


def test_a_trailing_stop_tells_where_it_is_now() -> None:
    plan = ExitPlan(trailing_stop=Decimal("0.1"), trailing_activation=Decimal("0.2"))
    waiting = "it reached 0.6 (+20%) and falls 10% from its highest"
    assert sold_when(_position(plan)) == [waiting]
    assert sold_when(_position(plan, highest_bid=Decimal("0.59"))) == [waiting]
    assert sold_when(_position(plan, highest_bid=Decimal("0.8"))) == ["it falls to 0.72 (10% below the highest, 0.8)"]
    at_once = ExitPlan(trailing_stop=Decimal("0.1"))
    assert sold_when(_position(at_once)) == ["it falls 10% from its highest"]


def test_a_plan_in_a_few_words() -> None:
    plan = ExitPlan(
        take_profit_levels=levels(("0.1", "0.5")),
        stop_loss=Decimal("0.1"),
        trailing_stop=Decimal("0.05"),
        trailing_activation=Decimal("0.2"),
        time_limit_s=Decimal(60),
    )
    assert exit_text(plan) == "50% at +10% or -10% or -5% off the highest (from +20%) or 60 s"
    assert exit_text(ExitPlan(take_profit=Decimal("0.2"))) == "+20%"
    assert exit_text(ExitPlan()) == "by hand"
