"""The journal: never blocks, never raises, loses as little as possible."""

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.unit.engine.fake_ledger import FakeLedger, Fault
from tests.unit.engine.fakes import ManualClock
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.errors import InvariantError
from signalbox.engine import events
from signalbox.engine.events import EventJournal
from signalbox.engine.persist import persist


@virtual_time
async def test_what_waited_while_the_ledger_was_away_is_written_once_and_in_order() -> None:
    ledger = FakeLedger()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    writing = asyncio.create_task(journal.run())
    ledger.away = True
    for number in range(3):
        journal.event("info", "system", f"event {number}", amount=Decimal("1.10"), id=UUID(int=1))
    await asyncio.sleep(10)
    assert ledger.db.events == []
    ledger.away = False
    ledger.fail("record_event", Fault.NOT_DONE)
    await journal.drain(timeout_s=60)
    assert [event["message"] for event in ledger.db.events] == ["event 0", "event 1", "event 2"]
    assert ledger.db.events[0]["details"] == {"amount": "1.10", "id": str(UUID(int=1))}
    writing.cancel()
    await asyncio.wait([writing])


@virtual_time
async def test_health_never_pushes_events_out_and_only_its_newest_state_waits() -> None:
    ledger = FakeLedger()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    journal.event("error", "trading", "worth keeping")
    for number in range(events._CAPACITY + 5):
        journal.health("ledger", "error", retry=number)
    writing = asyncio.create_task(journal.run())
    await journal.drain(timeout_s=60)
    assert [event["message"] for event in ledger.db.events] == ["worth keeping"]
    assert ledger.calls.count("record_health") == 1
    assert ledger.db.health["ledger"][1] == {"retry": events._CAPACITY + 4}
    writing.cancel()
    await asyncio.wait([writing])


class _Refusing(FakeLedger):
    async def record_health(self, component: str, status: str, at: datetime, details: dict[str, Any]) -> None:
        raise InvariantError(f"the ledger refuses {component}: {status} at {at} with {details}")


@virtual_time
async def test_an_entry_that_the_ledger_refuses_holds_up_nobody() -> None:
    ledger = _Refusing()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    journal.health("odd", "running")
    writing = asyncio.create_task(journal.run())
    await journal.drain(timeout_s=5)
    journal.event("info", "system", "still here")
    await journal.drain(timeout_s=5)
    assert [event["message"] for event in ledger.db.events] == ["still here"]
    writing.cancel()
    await asyncio.wait([writing])


@virtual_time
async def test_drain_ends_in_time_while_the_ledger_is_away() -> None:
    ledger = FakeLedger()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    ledger.away = True
    journal.event("info", "system", "never written")
    writing = asyncio.create_task(journal.run())
    began = asyncio.get_running_loop().time()
    await journal.drain(timeout_s=2)
    assert asyncio.get_running_loop().time() - began == pytest.approx(2)
    writing.cancel()
    await asyncio.wait([writing])


@virtual_time
async def test_persist_repeats_until_the_ledger_takes_it_and_ends_when_cancelled() -> None:
    ledger = FakeLedger()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    ledger.away = True
    writing = asyncio.create_task(persist(lambda: ledger.heartbeat([], ManualClock().now()), journal, "a beat"))
    await asyncio.sleep(20)
    ledger.away = False
    async with asyncio.timeout(2.1):
        await writing
    ledger.away = True
    writing = asyncio.create_task(persist(lambda: ledger.heartbeat([], ManualClock().now()), journal, "a beat"))
    await asyncio.sleep(20)
    writing.cancel()
    await asyncio.wait([writing])
    assert writing.cancelled()


@virtual_time
async def test_alerts_wait_for_the_ledger_and_count_up_meanwhile() -> None:
    ledger = FakeLedger()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    writing = asyncio.create_task(journal.run())
    ledger.away = True
    journal.alert("venue_outage", "first", "the one that is being written")
    await asyncio.sleep(1)
    for number in range(5):
        journal.alert("order_blocked", "main: max_daily_spend", f"blocked {number}", severity="critical", number=number)
        journal.alert("venue_outage", "first", f"again {number}")
    await asyncio.sleep(60)
    ledger.away = False
    await journal.drain(timeout_s=60)
    blocked = ledger.db.alerts["order_blocked", "main: max_daily_spend"]
    assert (blocked.count, blocked.message, blocked.details) == (5, "blocked 4", {"number": 4})
    assert ledger.db.alerts["venue_outage", "first"].count == 6
    assert ledger.calls.count("raise_alert") < 20, "they were folded while they waited"
    writing.cancel()
    await asyncio.wait([writing])


@virtual_time
async def test_an_alert_that_ended_and_came_back_while_the_ledger_was_away_keeps_its_history() -> None:
    ledger = FakeLedger()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    writing = asyncio.create_task(journal.run())
    ledger.away = True
    for reason in ("first", "second"):
        journal.alert("ledger_away", "ledger", f"away {reason}")
        await asyncio.sleep(1)
        journal.resolve("ledger_away", "ledger", reason)
        journal.resolve("ledger_away", "ledger", "told twice")
    journal.alert("ledger_away", "ledger", "away again")
    ledger.away = False
    await journal.drain(timeout_s=60)
    assert [(alert.message, reason) for alert, reason in ledger.db.resolved_alerts] == [
        ("away first", "first"),
        ("away second", "second"),
    ]
    assert ledger.db.alerts["ledger_away", "ledger"].message == "away again"
    writing.cancel()
    await asyncio.wait([writing])


@virtual_time
async def test_ending_what_is_over_costs_the_ledger_nothing() -> None:
    ledger = FakeLedger()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    writing = asyncio.create_task(journal.run())
    for _ in range(100):
        journal.resolve("ledger_away", "ledger", "fine")
        await journal.drain(timeout_s=5)
    assert ledger.calls.count("resolve_alert") == 1, "once, for an alert that an earlier process may have left"
    writing.cancel()
    await asyncio.wait([writing])


@virtual_time
async def test_an_end_that_found_no_room_may_be_told_again() -> None:
    ledger = FakeLedger()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    ledger.away = True
    journal.alert("venue_outage", "venue", "away")
    for number in range(events._ALERTS):
        journal.alert("order_blocked", f"main: {number}", "blocked")
    journal.resolve("venue_outage", "venue", "it answers")
    ledger.away = False
    writing = asyncio.create_task(journal.run())
    await journal.drain(timeout_s=60)
    assert ("venue_outage", "venue") in ledger.db.alerts
    journal.resolve("venue_outage", "venue", "it answers")
    await journal.drain(timeout_s=60)
    assert ("venue_outage", "venue") not in ledger.db.alerts
    writing.cancel()
    await asyncio.wait([writing])


@virtual_time
async def test_too_many_alerts_are_bounded_and_nothing_that_is_told_ever_raises() -> None:
    ledger = FakeLedger()
    journal = EventJournal(ledger, ManualClock(), actor="engine")
    ledger.away = True
    for number in range(events._ALERTS + 50):
        journal.alert("order_blocked", f"main: {number}", "blocked", severity="no such severity")
    assert len(journal._alerts) == events._ALERTS
