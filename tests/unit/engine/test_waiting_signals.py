"""G5: signals wait for the ledger and for the venue as long as they are fresh; each one that is dropped is recorded."""

import asyncio
from datetime import timedelta

from tests.unit.domain import examples
from tests.unit.engine.bench import Bench
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fakes import accepted, refused
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.decisions import Verdict
from signalbox.domain.orders import OrderStatus, RefusalKind

CONFIGURATION = examples.configuration()
THROTTLED = RefusalKind.THROTTLED


@virtual_time
async def test_a_signal_waits_for_the_ledger_and_is_bought_when_it_is_back() -> None:
    bench = Bench()
    bench.ledger.away = True
    entering = asyncio.create_task(bench.enter(CONFIGURATION))
    await asyncio.sleep(4)
    bench.ledger.away = False
    async with asyncio.timeout(5):
        await entering
    assert bench.rows() == [(OrderStatus.FILLED, None)]
    (intent,) = bench.db.decisions.values()
    assert intent.stages.received_at is not None
    assert intent.stages.received_at < intent.decision.decided_at - timedelta(seconds=3), "it was heard of long before"
    assert bench.venue.violations == []


@virtual_time
async def test_one_that_went_stale_while_the_ledger_was_away_is_a_recorded_skip() -> None:
    bench = Bench()
    bench.ledger.away = True
    entering = asyncio.create_task(bench.enter(CONFIGURATION))
    await asyncio.sleep(30)
    assert bench.held > 0, "what may have been written holds its capacity until the ledger says no"
    bench.ledger.away = False
    async with asyncio.timeout(10):
        await entering
    assert bench.venue.sent == []
    (intent,) = bench.db.decisions.values()
    assert (intent.decision.verdict, intent.decision.skip_code) == (Verdict.SKIP, "STALE")
    assert bench.journal.told("the ledger was away, and then: ")
    assert bench.held == 0


@virtual_time
async def test_limits_are_asked_anew_when_the_ledger_is_back() -> None:
    bench = Bench()
    bench.ledger.away = True
    entering = asyncio.create_task(bench.enter(CONFIGURATION))
    await asyncio.sleep(2)
    bench.desk.kill_switch = True
    bench.ledger.away = False
    async with asyncio.timeout(10):
        await entering
    assert bench.venue.sent == []
    assert bench.rows() == [(OrderStatus.REJECTED, "SAFETY_CONSTRAINT")]
    assert list(bench.journal.alerts) == [("order_blocked", "main: kill_switch")]


@virtual_time
async def test_what_the_ledger_had_stored_after_all_is_not_decided_twice() -> None:
    bench = Bench()
    bench.ledger.fail("commit", Fault.ANSWER_LOST)
    await bench.enter(CONFIGURATION)
    assert bench.venue.sent == []
    assert len(bench.db.decisions) == 1
    assert bench.rows() == [(OrderStatus.FAILED, "LEDGER_UNAVAILABLE")]


@virtual_time
async def test_a_signal_waits_while_the_venue_wants_silence_and_is_sent_when_that_ends() -> None:
    bench = Bench()
    bench.venue.answers = [refused(THROTTLED, retry_after_s=4), accepted()]
    began = bench.clock.now()
    await bench.enter(CONFIGURATION)
    first, second = bench.venue.sent
    assert second.created_at - first.created_at >= timedelta(seconds=3.9)
    assert bench.clock.now() - began < timedelta(seconds=6)
    assert bench.rows()[-1] == (OrderStatus.FILLED, None)


@virtual_time
async def test_a_silence_beyond_the_deadline_drops_the_signal_with_a_record() -> None:
    bench = Bench()
    bench.venue.answers = [refused(THROTTLED, retry_after_s=120, sent=False)]
    began = bench.clock.now()
    await bench.enter(CONFIGURATION)
    assert bench.clock.now() - began < timedelta(seconds=11)
    ((status, code),) = bench.rows()
    assert (status, code) == (OrderStatus.FAILED, "STALE")
    assert bench.journal.told("dropped as stale")
    assert bench.held == 0
