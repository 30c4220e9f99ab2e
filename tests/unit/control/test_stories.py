"""A listing's life in sentences, from rows as the ledger has them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from signalbox.control.stories import Facts, StepKind, Story, story
from signalbox.domain.decisions import Verdict
from signalbox.domain.ids import DecisionId, OrderId, PositionId, SignalId
from signalbox.domain.orders import Mode, OrderStatus, OrderType, Purpose, Side
from signalbox.domain.positions import ExitPlan, ExitRule
from signalbox.domain.risk.checks import CheckKind, CheckVerdict, RiskCheck
from signalbox.domain.signals import Confidence, DetectionSource
from signalbox.ledger.queries.listings import SignalRow
from signalbox.ledger.queries.positions import PositionRow
from signalbox.ledger.queries.trades import DecisionRow, StageRow, TradeRow

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ENTRY, EXIT = DecisionId(UUID(int=1)), DecisionId(UUID(int=2))


def ms(milliseconds: float) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def signal(**changes: Any) -> SignalRow:
    fields: dict[str, Any] = {
        "id": SignalId(UUID(int=9)),
        "symbol": "NEWUSDT",
        "listed_at": START,
        "detection_source": DetectionSource.CALENDAR,
        "confidence": Confidence.HIGH,
        "detected_at": ms(3),
        "listing_time": START,
        "freshness_deadline": ms(10_003),
        "processed": True,
        "exchange_event_at": None,
        "price": None,
        "evidence": [],
        "executed": 1,
        "skipped": 0,
    }
    return SignalRow(**(fields | changes))


LATER = ms(60_000)


def risk(verdict: CheckVerdict, name: str = "x", **changes: Any) -> RiskCheck:
    fields: dict[str, Any] = {"kind": CheckKind.LIMIT, "limit": None, "value": None, "message": "m"}
    return RiskCheck(name=name, verdict=verdict, **(fields | changes))


def decision(**changes: Any) -> DecisionRow:
    fields: dict[str, Any] = {
        "id": ENTRY,
        "timestamp": ms(4),
        "decision": Verdict.EXECUTE,
        "reason": "all checks agreed",
        "skip_code": None,
        "risk_checks": [risk(CheckVerdict.PASSED), risk(CheckVerdict.PASSED), risk(CheckVerdict.NOT_APPLICABLE)],
        "settings_snapshot": {},
        "exit_rule": None,
        "operator": None,
        "code_version": "1",
        "configuration": "calm",
        "configuration_version": 1,
    }
    return DecisionRow(**(fields | changes))


def trade(**changes: Any) -> TradeRow:
    fields: dict[str, Any] = dict.fromkeys(TradeRow.__struct_fields__) | {
        "id": OrderId(UUID(int=5)),
        "account": "main",
        "symbol": "NEWUSDT",
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "order_type": OrderType.MARKET,
        "mode": Mode.LIVE,
        "status": OrderStatus.FILLED,
        "attempt": 1,
        "quote_amount": Decimal(100),
        "executed_price": Decimal("0.5"),
        "executed_quantity": Decimal(190),
        "executed_quote": Decimal(95),
        "latency_ms": Decimal("4.2"),
        "created_at": ms(4),
        "submitted_at": ms(7),
        "completed_at": ms(30),
        "client_order_id": "c",
        "decision_id": ENTRY,
    }
    return TradeRow(**(fields | changes))


def position(**changes: Any) -> PositionRow:
    fields: dict[str, Any] = {
        "id": PositionId(ENTRY),
        "account": "main",
        "symbol": "NEWUSDT",
        "mode": Mode.LIVE,
        "status": "open",
        "quantity": Decimal(190),
        "average_entry_price": Decimal("0.5"),
        "cost": Decimal(95),
        "realised_pnl": Decimal("-0.05"),
        "fees": Decimal("0.05"),
        "opened_at": ms(20),
        "closed_at": None,
        "exit_plan": ExitPlan(take_profit=Decimal("0.1"), time_limit_s=Decimal(20)),
        "signal_id": None,
    }
    return PositionRow(**(fields | changes))


def stage_row(**changes: Any) -> StageRow:
    fields: dict[str, Any] = {
        "exchange_event_at": None,
        "received_at": ms(3),
        "decided_at": ms(4),
        "durable_at": ms(6),
        "sent_at": ms(7),
        "acknowledged_at": None,
    }
    return StageRow(**(fields | changes))


def told(*, now: datetime = LATER, **changes: Any) -> Story:
    fields: dict[str, Any] = {
        "signal": signal(),
        "decision": decision(),
        "entries": [trade()],
        "entry_stages": stage_row(),
        "position": position(),
        "exits": [],
        "exit_decisions": {},
    }
    return story(Facts(**(fields | changes)), now)


def text(told_story: Story, kind: StepKind) -> str:
    return next(step.text for step in told_story.steps if step.kind is kind)


def test_a_listing_that_was_only_seen() -> None:
    seen = told(decision=None, entries=[], entry_stages=None, position=None)
    assert [step.kind for step in seen.steps] == [StepKind.DETECTED]
    assert seen.steps[0].text == "NEWUSDT seen first by calendar, 3 ms after its opening"
    assert not seen.over


def test_other_sources_confirm_it() -> None:
    seen = told(signal=signal(evidence=[{"source": "websocket"}, {"source": "ticker_diff"}, {"source": "websocket"}]))
    assert text(seen, StepKind.DETECTED).endswith("; ticker_diff and websocket confirmed it")


def test_a_skip_says_why_and_ends_the_story() -> None:
    skipped = told(
        decision=decision(decision=Verdict.SKIP, skip_code="STALE", reason="freshness: late"),
        entries=[],
        entry_stages=None,
        position=None,
    )
    assert text(skipped, StepKind.DECIDED) == "not traded (STALE): freshness: late"
    assert skipped.over
    assert not skipped.closed


def test_an_entry_explains_checks_latency_and_what_was_left_unspent() -> None:
    held = told()
    assert text(held, StepKind.DECIDED) == "buy: 3 checks, 2 passed, 1 do not apply"
    assert text(held, StepKind.SENT) == (
        "market order for 100 quote, on the wire 4.2 ms after detection (the ledger had it first: 2.0 ms of these)"
    )
    assert text(held, StepKind.BOUGHT) == (
        "190 at 0.5: asked 100.00, spent 95.00 (95.0%): "
        "the exchange bounds a market buy by a protective price and sizes it at that"
    )
    assert text(held, StepKind.HELD) == "until the bid reaches 0.55 (+10%), or 20 s have passed"
    assert not held.over


def test_an_underspend_names_the_protective_price_that_the_exchange_stated() -> None:
    bought = told(entries=[trade(stated_price="0.525")])
    assert text(bought, StepKind.BOUGHT) == (
        "190 at 0.5: asked 100.00, spent 95.00 (95.0%): "
        "the exchange sizes a market buy at its protective price 0.525, 5.0% above what was paid"
    )


@pytest.mark.parametrize("stated", ["", "free", "NaN", "0", "0.4"])
def test_a_stated_price_that_explains_nothing_is_not_shown(stated: str) -> None:
    assert text(told(entries=[trade(stated_price=stated)]), StepKind.BOUGHT).endswith("and sizes it at that")


def test_a_limit_that_spent_less_blames_no_band() -> None:
    limit = trade(order_type=OrderType.LIMIT, stated_price="0.6")
    assert text(told(entries=[limit]), StepKind.BOUGHT) == "190 at 0.5: asked 100.00, spent 95.00 (95.0%)"


def test_the_latency_of_a_scheduled_order_counts_from_its_instant() -> None:
    stages = stage_row(due_at=ms(3))
    assert text(told(entry_stages=stages), StepKind.SENT) == (
        "market order for 100 quote, on the wire 4.2 ms after it was due"
    )


def test_a_full_spend_blames_no_band() -> None:
    assert text(told(entries=[trade(executed_quote=Decimal(100))]), StepKind.BOUGHT).endswith("spent 100.00 of 100")


def test_refused_attempts_before_the_good_one_are_counted() -> None:
    refused = trade(status=OrderStatus.REJECTED, error_code="30001", error_reason="not open", executed_quote=None)
    sent = told(entries=[refused, trade(attempt=2, submitted_at=ms(210))])
    assert text(sent, StepKind.SENT).endswith("; 1 earlier attempt refused (30001)")


def test_a_refused_listing_is_not_over_while_it_is_fresh() -> None:
    refused = trade(status=OrderStatus.REJECTED, error_code="30001", error_reason="not open", executed_quote=None)
    fresh = told(entries=[refused], position=None, now=ms(5_000))
    assert not fresh.over
    assert text(fresh, StepKind.REFUSED) == "nothing bought so far: 30001 not open"
    stale = told(entries=[refused], position=None, now=ms(10_004))
    assert stale.over
    assert text(stale, StepKind.REFUSED) == "nothing bought: 30001 not open"


def test_a_blocked_order_names_the_limit() -> None:
    blocked = trade(
        status=OrderStatus.REJECTED,
        submitted_at=None,
        error_code="SAFETY_CONSTRAINT",
        error_reason="max_daily_spend",
        executed_quote=None,
    )
    ended = told(entries=[blocked], entry_stages=None, position=None)
    assert text(ended, StepKind.REFUSED) == "nothing bought: SAFETY_CONSTRAINT max_daily_spend"
    assert ended.over


def test_a_sale_names_its_rule_and_the_result_counts_fees() -> None:
    fired = risk(CheckVerdict.FIRED, "take_profit", value="0.56", limit="0.5500000000000000000001")
    sold = trade(
        purpose=Purpose.EXIT,
        side=Side.SELL,
        decision_id=EXIT,
        executed_price=Decimal("0.56"),
        completed_at=ms(5_000),
    )
    closed = told(
        position=position(
            status="closed", quantity=Decimal("0.004"), realised_pnl=Decimal("11.3"), closed_at=ms(5_000)
        ),
        exits=[sold],
        exit_decisions={str(EXIT): decision(id=EXIT, exit_rule=ExitRule.TAKE_PROFIT, risk_checks=[fired])},
    )
    assert text(closed, StepKind.SOLD) == "190 at 0.56, take profit: 0.56, the plan says 0.55"
    assert text(closed, StepKind.RESULT) == (
        "+11.30 after fees of 0.0500; 0.004 are less than one lot and stay as dust"
    )
    assert closed.closed
    assert closed.over
    assert StepKind.HELD not in [step.kind for step in closed.steps]
