"""The journal while an intent is on its way into it."""

import asyncio

from tests.integration.ledger.conftest import Connection
from tests.integration.ledger.world import NOW, entry

from signalbox.domain.decisions import IntentResult
from signalbox.domain.signals import DetectionSource, Sighting
from signalbox.ledger.engine_ledger import EngineLedger


async def test_evidence_that_comes_before_the_commit_is_answered_waits_for_it(
    ledger: EngineLedger, sql: Connection
) -> None:
    """A second source tells of a listing while its intent is being committed: the evidence is stored, and the intent
    reaches its tables."""
    intent = entry("ALPHAUSDT")
    assert intent.signal is not None
    assert intent.order is not None
    seen = Sighting(symbol="ALPHAUSDT", source=DetectionSource.CALENDAR, seen_at=NOW, received_ns=1, listing_time=None)
    async with sql.transaction():
        await sql.execute("SELECT FROM account_ownership FOR UPDATE")
        committing = asyncio.create_task(ledger.commit(intent))
        await _until_somebody_waits(sql)
        adding = asyncio.create_task(ledger.add_evidence(intent.signal.id, seen))
        done, _ = await asyncio.wait([adding], timeout=0.2)
        assert not done, "it waits for the commit"
    assert await committing is IntentResult.INSERTED
    await adding
    await ledger.record_unsent(intent.order, at=NOW, code="STALE", reason="held up")
    assert await sql.fetchval("SELECT status FROM trade_orders") == "failed"
    assert await sql.fetchval("SELECT jsonb_array_length(evidence) FROM listing_signals") == 1
    assert await sql.fetchval("SELECT count(*) FROM intent_journal") == 0


async def test_an_intent_that_is_not_committed_yet_is_not_forgotten(ledger: EngineLedger, sql: Connection) -> None:
    """Spreading it too early moves nothing; afterwards it is spread nevertheless."""
    intent = entry("ALPHAUSDT")
    ledger._journal.hold(intent)
    await ledger._journal.spread(intent.decision.id)
    assert await ledger._committer.commit(intent) is IntentResult.INSERTED
    assert await ledger.lookup(intent.decision.id)
    await ledger._journal.spread(intent.decision.id)
    assert await sql.fetchval("SELECT count(*) FROM trade_orders") == 1
    assert await sql.fetchval("SELECT count(*) FROM intent_journal") == 0


async def _until_somebody_waits(sql: Connection) -> None:
    async with asyncio.timeout(5):
        while True:
            if await sql.fetchval("SELECT true FROM pg_locks WHERE NOT granted LIMIT 1"):
                return
