"""Stages of an order and the order of its checks."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from signalbox.control.trades import latency_since, sorted_checks, stage_times
from signalbox.domain.risk.checks import CheckKind, CheckVerdict, RiskCheck
from signalbox.ledger.queries.trades import StageRow

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def at(micros: int) -> datetime:
    return START + timedelta(microseconds=micros)


def row(**times: datetime) -> StageRow:
    return StageRow(**{name: times.get(name) for name in StageRow.__struct_fields__})


def test_each_stage_tells_its_own_time_and_the_time_since_the_start() -> None:
    stages = stage_times(row(received_at=at(0), decided_at=at(250), durable_at=at(1_250), sent_at=at(1_500)))
    assert [(stage.name, stage.took_ms, stage.since_start_ms) for stage in stages] == [
        ("received", None, Decimal(0)),
        ("decided", Decimal("0.25"), Decimal("0.25")),
        ("durable in the ledger", Decimal(1), Decimal("1.25")),
        ("sent", Decimal("0.25"), Decimal("1.5")),
    ]


def test_the_venues_clock_may_be_ahead_of_ours() -> None:
    stages = stage_times(row(exchange_event_at=at(2_000), received_at=at(0)))
    assert stages[1].took_ms == Decimal(-2)


def test_latency_counts_from_the_due_instant_else_from_detection_else_from_the_decision() -> None:
    scheduled = row(received_at=at(0), decided_at=at(100), due_at=at(500), sent_at=at(501))
    assert latency_since(stage_times(scheduled)) == "Due"
    assert latency_since(stage_times(row(received_at=at(0), decided_at=at(100), sent_at=at(101)))) == "Detection"
    assert latency_since(stage_times(row(decided_at=at(100), sent_at=at(101)))) == "Decision"


def test_an_order_that_never_left_has_no_stages() -> None:
    assert stage_times(row()) == []


def check(name: str, verdict: CheckVerdict) -> RiskCheck:
    return RiskCheck(name=name, kind=CheckKind.LIMIT, verdict=verdict, limit=None, value=None, message="")


def test_what_decided_comes_first_and_the_rest_keeps_its_order() -> None:
    checks = [
        check("a", CheckVerdict.PASSED),
        check("b", CheckVerdict.NOT_APPLICABLE),
        check("c", CheckVerdict.FAILED),
        check("d", CheckVerdict.PASSED),
        check("e", CheckVerdict.FAILED),
    ]
    assert [item.name for item in sorted_checks(checks)] == ["c", "e", "a", "d", "b"]
