"""Alerts: one open per cause, counted, acknowledged, ended, never lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.integration.control.conftest import START

from signalbox.control import alerts, guardrails, records
from signalbox.control.context import Control
from signalbox.control.guardrails import KillSwitchMode
from signalbox.domain.alerts import Alert, Severity
from signalbox.domain.errors import ConflictError, InvariantError, NotFoundError
from signalbox.ledger.connecting import fixed_url
from signalbox.ledger.engine_ledger import EngineLedger


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[EngineLedger]:
    """The engine's side of the same database."""
    ledger = EngineLedger(fixed_url(database_url))
    await ledger.open()
    yield ledger
    await ledger.close()


def outage(at: datetime = START, **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "kind": "venue_outage",
        "subject": "mexc",
        "severity": Severity.WARNING,
        "message": "no answer for 10 s",
        "at": at,
        "details": {"since_s": 10},
    }
    return Alert(**{**values, **changes})


async def test_raising_again_counts_up_and_the_same_raise_counts_once(control: Control, ledger: EngineLedger) -> None:
    await ledger.raise_alert(outage(), actor="engine")
    later = outage(START + timedelta(seconds=5), message="no answer for 15 s", count=3)
    await ledger.raise_alert(later, actor="engine")
    await ledger.raise_alert(later, actor="engine")  # the answer to the first try was lost
    (alert,) = await alerts.list_alerts(control)
    assert (alert.kind, alert.subject, alert.count, alert.message) == ("venue_outage", "mexc", 4, "no answer for 15 s")
    assert (alert.first_at, alert.last_at) == (START, START + timedelta(seconds=5))
    told = [event for event in await records.list_events(control) if event.details.get("alert") == "venue_outage"]
    assert [(event.level, event.category, event.message) for event in told] == [
        ("warning", "api", "no answer for 15 s"),
        ("warning", "api", "no answer for 10 s"),
    ]


async def test_causes_do_not_mix_and_a_cause_that_comes_back_is_a_new_alert(
    control: Control, ledger: EngineLedger
) -> None:
    await ledger.raise_alert(outage(), actor="engine")
    await ledger.raise_alert(outage(subject="other"), actor="engine")
    ended = START + timedelta(seconds=9)
    await ledger.resolve_alert("venue_outage", "mexc", reason="answers again", at=ended, actor="engine")
    await ledger.resolve_alert("venue_outage", "mexc", reason="told twice", at=ended, actor="engine")
    await ledger.raise_alert(outage(START + timedelta(seconds=20)), actor="engine")
    assert {alert.subject for alert in await alerts.list_alerts(control)} == {"mexc", "other"}
    history = await alerts.list_alerts(control, also_resolved=True)
    assert [(a.subject, a.resolution) for a in history] == [("mexc", None), ("other", None), ("mexc", "answers again")]
    assert [event.message for event in await records.list_events(control, level="info")] == [
        "venue_outage mexc is over: answers again"
    ]


async def test_an_alert_that_gets_worse_asks_to_be_acknowledged_anew(
    control: Control, ledger: EngineLedger, clock: Any
) -> None:
    await ledger.raise_alert(outage(), actor="engine")
    (alert,) = await alerts.list_alerts(control)
    clock.move(1)
    seen = await alerts.acknowledge(control, alert.id)
    assert (seen.acknowledged_by, seen.acknowledged_at, seen.resolved_at) == ("ada", clock.now(), None)
    assert await alerts.acknowledge(control, alert.id) == seen
    await ledger.raise_alert(outage(START + timedelta(seconds=5)), actor="engine")
    assert (await alerts.show_alert(control, alert.id)).acknowledged_by == "ada"
    await ledger.raise_alert(outage(START + timedelta(seconds=6), severity=Severity.CRITICAL), actor="engine")
    await ledger.raise_alert(outage(START + timedelta(seconds=7), severity=Severity.INFO), actor="engine")
    worse = await alerts.show_alert(control, alert.id)
    assert (worse.severity, worse.acknowledged_by, worse.count) == (Severity.CRITICAL, None, 4)


async def test_what_tells_of_something_past_is_over_with_its_acknowledgement(
    control: Control, ledger: EngineLedger, acting_as: Callable[[str], Control]
) -> None:
    await ledger.raise_alert(outage(kind="order_blocked", subject="main: max_daily_spend"), actor="engine")
    (alert,) = await alerts.list_alerts(control)
    seen = await alerts.acknowledge(acting_as("grace"), alert.id)
    assert (seen.acknowledged_by, seen.resolution) == ("grace", "acknowledged by grace")
    assert await alerts.list_alerts(control) == []
    with pytest.raises(ConflictError, match="is over since"):
        await alerts.acknowledge(control, alert.id)
    with pytest.raises(NotFoundError, match="no alert 4711"):
        await alerts.acknowledge(control, 4711)


async def test_many_at_once_leave_one_open_alert(control: Control, ledger: EngineLedger) -> None:
    raises = [outage(START + timedelta(milliseconds=n)) for n in range(20)]
    await asyncio.gather(*(ledger.raise_alert(alert, actor="engine") for alert in raises))
    (alert,) = await alerts.list_alerts(control)
    assert alert.count == 20


async def test_what_the_ledger_cannot_take_is_refused_and_text_with_nul_is_not(
    control: Control, ledger: EngineLedger
) -> None:
    with pytest.raises(InvariantError):
        await ledger.raise_alert(outage(kind="No Kind"), actor="engine")
    with pytest.raises(InvariantError):
        await ledger.raise_alert(outage(subject=" "), actor="engine")
    await ledger.raise_alert(outage(message="a\x00b", details={"x": "\x00"}), actor="engine")
    (alert,) = await alerts.list_alerts(control)
    assert (alert.message, alert.details) == ("a␀b", {"x": "␀"})


async def test_g2_the_kill_switch_is_a_critical_alert_until_it_is_lifted(
    control: Control, acting_as: Callable[[str], Control], clock: Any
) -> None:
    await guardrails.kill_switch_on(control, mode=KillSwitchMode.BLOCK, reason="odd fills")
    clock.move(1)
    await guardrails.kill_switch_on(control, mode=KillSwitchMode.FLATTEN, reason="worse")
    (alert,) = await alerts.list_alerts(control)
    assert (alert.kind, alert.severity, alert.count) == ("kill_switch", Severity.CRITICAL, 2)
    assert "on (flatten), thrown by ada: worse" in alert.message
    clock.move(1)
    await guardrails.kill_switch_off(acting_as("grace"), reason="books agree")
    assert await alerts.list_alerts(control) == []
    (over,) = await alerts.list_alerts(control, also_resolved=True)
    assert (over.resolution, over.resolved_at) == ("lifted by grace: books agree", clock.now())
