"""The hot path: one statement, one commit."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.integration.ledger.conftest import Connection, spread
from tests.integration.ledger.watching import counts, someone_waits_for_a_lock
from tests.integration.ledger.world import ACCOUNT, FENCE, NOW, entry, order

from signalbox.domain.decisions import Intent, IntentResult, Verdict
from signalbox.domain.errors import InvariantError, LedgerUnavailable
from signalbox.domain.risk.checks import SkipCode
from signalbox.ledger.connecting import fixed_url
from signalbox.ledger.engine_ledger import EngineLedger
from signalbox.ledger.hot_connection import HotConnection
from signalbox.ledger.intent_documents import intent_from
from signalbox.ledger.writer import IntentCommitter


async def test_an_intent_is_stored_with_every_field(ledger: EngineLedger, sql: Connection) -> None:
    intent = entry("ALPHAUSDT")
    assert await ledger.commit(intent) is IntentResult.INSERTED
    await spread(ledger)

    assert set((await counts(sql)).values()) == {1}
    assert await sql.fetchval("SELECT count(*) FROM intent_journal") == 0
    signal = await sql.fetchrow("SELECT * FROM listing_signals")
    assert signal is not None
    assert intent.signal is not None
    assert (signal["id"], signal["symbol"], signal["processed"]) == (intent.signal.id, "ALPHAUSDT", True)
    assert signal["freshness_deadline"] - signal["detected_at"] == timedelta(seconds=10)
    assert signal["price"] == Decimal("1.25")
    listing = await sql.fetchrow("SELECT * FROM listings")
    assert listing is not None
    assert (listing["symbol"], listing["source"]) == ("ALPHAUSDT", "mexc_rest_api")
    decision = await sql.fetchrow(
        "SELECT *, risk_checks -> 0 ->> 'name' AS first_check, inputs #>> '{configuration,quote_amount}' AS amount"
        " FROM strategy_decisions"
    )
    assert decision is not None
    assert (decision["decision"], decision["skip_code"]) == ("execute", None)
    assert (decision["first_check"], decision["amount"]) == ("kill_switch", "20")
    stored = await sql.fetchrow("SELECT * FROM trade_orders")
    assert stored is not None
    assert intent.order is not None
    assert stored["client_order_id"] == intent.order.client_order_id
    assert (stored["status"], stored["quote_amount"], stored["quantity"]) == ("pending", Decimal(20), None)
    assert stored["received_at"] == stored["decided_at"] == NOW
    reservation = await sql.fetchrow("SELECT * FROM reservations")
    assert reservation is not None
    assert (reservation["state"], reservation["amount"], reservation["mode"]) == (
        "held",
        Decimal("20.04"),
        "simulation",
    )


async def test_an_open_order_reads_back_as_it_was_committed(ledger: EngineLedger) -> None:
    intent = entry("ALPHAUSDT")
    await ledger.commit(intent)
    await spread(ledger)
    [found] = await ledger.open_orders(ACCOUNT)
    assert found.order == intent.order
    assert found.exit_plan is not None
    assert found.exit_plan.take_profit == Decimal("0.20")


async def test_an_intent_is_durable_as_one_row_and_spread_in_one_transaction(
    ledger: EngineLedger, sql: Connection
) -> None:
    intent = entry("ALPHAUSDT")
    await ledger._committer.commit(intent)
    document = await sql.fetchval("SELECT document FROM intent_journal")
    assert intent_from(document) == intent
    await spread(ledger)
    rows = await sql.fetch(
        "SELECT xmin::text FROM listing_signals UNION SELECT xmin::text FROM strategy_decisions"
        " UNION SELECT xmin::text FROM trade_orders UNION SELECT xmin::text FROM reservations"
    )
    assert len(rows) == 1


async def test_checks_that_nobody_had_described_yet_are_stored_as_they_were(
    ledger: EngineLedger, sql: Connection
) -> None:
    intent = entry("ALPHAUSDT")
    described = list(msgspec.to_builtins(intent.decision.checks))
    await ledger.commit(structs.replace(intent, decision=structs.replace(intent.decision, checks=())))
    await spread(ledger)
    stored = await sql.fetchval("SELECT risk_checks::text FROM strategy_decisions")
    assert msgspec.json.decode(stored) == described


async def test_a_journaled_intent_that_its_tables_refuse_stays_in_the_journal(
    ledger: EngineLedger, sql: Connection
) -> None:
    """Its order may have been sent: it must not vanish."""
    intent = entry("ALPHAUSDT")
    await ledger._committer.commit(intent)
    other = structs.replace(entry("ALPHAUSDT"), signal=intent.signal, order=None, reservation=None)
    cause = intent.decision.cause
    skipped = structs.replace(other.decision, cause=cause, verdict=Verdict.SKIP, skip_code=SkipCode.STALE)
    assert await ledger.commit(structs.replace(other, decision=skipped)) is IntentResult.INSERTED
    with pytest.raises(InvariantError, match="contradicts what is stored"):
        await ledger.own(ACCOUNT, "test")
    assert await sql.fetchval("SELECT array_agg(decision_id) FROM intent_journal") == [intent.decision.id]
    assert (await counts(sql))["trade_orders"] == 0
    assert await sql.fetchval(
        "SELECT pg_try_advisory_lock(hashtextextended('signalbox account ' || $1::uuid::text, 0))", ACCOUNT
    )


async def test_intents_that_meet_share_commits(ledger: EngineLedger, sql: Connection) -> None:
    intents = [entry(f"T{n}USDT") for n in range(100)]
    results = await asyncio.gather(*(ledger._committer.commit(intent) for intent in intents))
    assert set(results) == {IntentResult.INSERTED}
    assert await sql.fetchval("SELECT count(DISTINCT xmin::text) FROM intent_journal") <= 5
    await spread(ledger)
    assert (await counts(sql))["trade_orders"] == 100


async def test_a_bad_intent_in_a_shared_commit_harms_nobody_else(ledger: EngineLedger, sql: Connection) -> None:
    good = [entry(f"T{n}USDT") for n in range(10)]
    unwritable = entry("UNWRITABLEUSDT")
    unwritable = structs.replace(unwritable, decision=structs.replace(unwritable.decision, reason="\ud800"))
    results = await asyncio.gather(
        *(ledger.commit(intent) for intent in [*good[:5], unwritable, *good[5:]]), return_exceptions=True
    )
    assert [type(result) for result in results if isinstance(result, Exception)] == [InvariantError]
    assert results.count(IntentResult.INSERTED) == 10
    await spread(ledger)
    assert (await counts(sql))["strategy_decisions"] == 10


async def test_a_listing_is_decided_once_per_account(ledger: EngineLedger, sql: Connection) -> None:
    assert await ledger.commit(entry("ALPHAUSDT")) is IntentResult.INSERTED
    assert await ledger.commit(entry("ALPHAUSDT")) is IntentResult.DUPLICATE
    both = await asyncio.gather(ledger.commit(entry("BETAUSDT")), ledger.commit(entry("BETAUSDT")))
    assert sorted(both) == [IntentResult.DUPLICATE, IntentResult.INSERTED]
    await spread(ledger)
    assert set((await counts(sql)).values()) == {2}
    assert await ledger.commit(entry("ALPHAUSDT")) is IntentResult.DUPLICATE


async def test_the_same_intent_twice_is_a_duplicate(ledger: EngineLedger) -> None:
    intent = entry("ALPHAUSDT")
    assert await ledger.commit(intent) is IntentResult.INSERTED
    assert await ledger.commit(intent) is IntentResult.DUPLICATE


async def test_p1_a_lost_connection_is_an_unclear_outcome_until_it_is_certain(world_url: str, sql: Connection) -> None:
    states: list[bool] = []
    back = asyncio.Event()

    def on_change(is_open: bool) -> None:
        states.append(is_open)
        if is_open:
            back.set()

    hot = HotConnection(fixed_url(world_url), on_change)
    await hot.open()
    back.clear()
    writer = IntentCommitter(hot)
    try:
        blocker = await asyncpg.connect(world_url)
        lost, queued = entry("ALPHAUSDT"), entry("BETAUSDT")
        async with blocker.transaction():
            await blocker.execute("SELECT FROM account_ownership FOR UPDATE")
            first = asyncio.create_task(writer.commit(lost))
            await someone_waits_for_a_lock(sql)
            second = asyncio.create_task(writer.commit(queued))
            await sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalbox intents'"
            )
            outcomes = await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 10)
        await blocker.close()
        assert [type(outcome) for outcome in outcomes] == [LedgerUnavailable, LedgerUnavailable]

        await writer.certain()
        assert await sql.fetchval("SELECT count(*) FROM intent_journal") == 0
        await asyncio.wait_for(back.wait(), 10)
        assert states == [True, False, True]
        assert await writer.commit(lost) is IntentResult.INSERTED
        assert await sql.fetchval("SELECT array_agg(decision_id) FROM intent_journal") == [lost.decision.id]
    finally:
        await writer.close()
        await hot.close()


async def test_a_rehearsal_leaves_nothing_behind_and_disturbs_nothing(world_url: str, sql: Connection) -> None:
    hot = HotConnection(fixed_url(world_url))
    await hot.open()
    writer = IntentCommitter(hot)
    try:
        intent = entry("ALPHAUSDT")
        await writer.rehearse(intent)
        assert await sql.fetchval("SELECT count(*) FROM intent_journal") == 0
        outcomes = await asyncio.gather(writer.rehearse(entry("BETAUSDT")), writer.commit(intent))
        assert outcomes[1] is IntentResult.INSERTED
        assert await sql.fetchval("SELECT array_agg(decision_id) FROM intent_journal") == [intent.decision.id]
    finally:
        await writer.close()
        await hot.close()


async def test_a_rehearsal_that_is_given_up_leaves_no_open_transaction(world_url: str, sql: Connection) -> None:
    """Else the next commits would be part of it: told as inserted, sent, and never durable."""
    back = asyncio.Event()
    hot = HotConnection(fixed_url(world_url), on_change=lambda is_open: back.set() if is_open else back.clear())
    await hot.open()
    writer = IntentCommitter(hot)
    try:
        async with sql.transaction():
            await sql.execute("LOCK TABLE intent_journal")
            rehearsal = asyncio.create_task(writer.rehearse(entry("ALPHAUSDT")))
            await someone_waits_for_a_lock(sql)
            rehearsal.cancel()
            with pytest.raises(asyncio.CancelledError):
                await rehearsal
        await asyncio.wait_for(back.wait(), 10)
        intent = entry("BETAUSDT")
        assert await writer.commit(intent) is IntentResult.INSERTED
        assert await sql.fetchval("SELECT array_agg(decision_id) FROM intent_journal") == [intent.decision.id]
    finally:
        await writer.close()
        await hot.close()


async def test_a_rehearsal_that_the_server_refuses_breaks_nothing(world_url: str, sql: Connection) -> None:
    """Only an order's own intent may stop its account."""
    back = asyncio.Event()
    hot = HotConnection(fixed_url(world_url), on_change=lambda is_open: back.set() if is_open else back.clear())
    await hot.open()
    writer = IntentCommitter(hot)
    try:
        await sql.execute("ALTER TABLE intent_journal ADD CONSTRAINT nothing_fits CHECK (false)")
        with pytest.raises(LedgerUnavailable, match="nothing_fits"):
            await writer.rehearse(entry("ALPHAUSDT"))
        await sql.execute("ALTER TABLE intent_journal DROP CONSTRAINT nothing_fits")
        await asyncio.wait_for(back.wait(), 10)
        assert await writer.commit(entry("BETAUSDT")) is IntentResult.INSERTED
    finally:
        await writer.close()
        await hot.close()


async def test_commits_are_refused_at_once_while_the_ledger_is_away(world_url: str) -> None:
    urls = [world_url]

    async def source() -> str:
        return urls[0]

    hot = HotConnection(source)
    await hot.open()
    writer = IntentCommitter(hot)
    urls[0] = "postgresql://nobody@127.0.0.1:1/none"
    try:
        hot.lost(hot.connection)
        with pytest.raises(LedgerUnavailable, match="is lost"):
            await writer.commit(entry("ALPHAUSDT"))
        with pytest.raises(LedgerUnavailable, match="is lost"):
            await writer.follow_up(order(entry("X").decision.id, "X"), FENCE)
    finally:
        await writer.close()
        await hot.close()


async def test_a_caller_that_gives_up_does_not_stop_the_others(ledger: EngineLedger, sql: Connection) -> None:
    tasks = [asyncio.create_task(ledger.commit(entry(f"T{n}USDT"))) for n in range(20)]
    await asyncio.sleep(0)  # let them queue
    for n in (0, 3, 7):
        tasks[n].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(result is IntentResult.INSERTED for result in results) == 17
    await spread(ledger)
    assert (await counts(sql))["strategy_decisions"] in {17, 18}  # the first one may have been committed


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["fresh", "again", "stale"])), max_size=60))
async def test_p1_concurrent_commits_all_land_exactly_once(
    ledger: EngineLedger, sql: Connection, plan: list[tuple[int, str]]
) -> None:
    """Whatever meets in a batch: each decision is stored once if it was reported inserted, and never otherwise."""
    before = await sql.fetchval("SELECT count(*) FROM strategy_decisions")
    offset = before * 1000
    asked: list[Intent] = []
    for n, kind in plan:
        symbol = f"P{offset}N{n}USDT"
        asked.append(entry(symbol, fence=FENCE - 1 if kind == "stale" else FENCE))
    results = await asyncio.gather(*(ledger.commit(intent) for intent in asked))
    inserted = {intent.decision.id for intent, result in zip(asked, results, strict=True) if result == "inserted"}
    await spread(ledger)
    fresh_symbols = {n for n, kind in plan if kind != "stale"}
    assert len(inserted) == len(fresh_symbols)
    stored: list[Any] = await sql.fetch(
        "SELECT d.id, count(o.id) AS orders, count(r.decision_id) AS reservations FROM strategy_decisions d"
        " JOIN trade_orders o ON o.decision_id = d.id JOIN reservations r ON r.decision_id = d.id"
        " WHERE d.id = ANY ($1) GROUP BY d.id",
        [intent.decision.id for intent in asked],
    )
    assert {row["id"] for row in stored} == inserted
    assert all((row["orders"], row["reservations"]) == (1, 1) for row in stored)


async def test_p1_what_a_dead_engine_left_in_the_journal_is_spread_by_its_successor(
    ledger: EngineLedger, world_url: str, sql: Connection
) -> None:
    """Killed between the commit and the spread: the next owner finds signal, decision, order and reservation."""
    intent = entry("ALPHAUSDT")
    await ledger._committer.commit(intent)
    assert await ledger.accounts_with_open_business() == [ACCOUNT]
    assert await ledger.lookup(intent.decision.id)
    successor = EngineLedger(fixed_url(world_url))
    await successor.open()
    try:
        assert await successor.own(ACCOUNT, "successor") == FENCE + 1
        [found] = await successor.open_orders(ACCOUNT)
        assert found.order == intent.order
        assert set((await counts(sql)).values()) == {1}
    finally:
        await successor.close()


async def test_a_row_that_a_table_refuses_stays_in_the_journal_and_is_told(
    ledger: EngineLedger, sql: Connection
) -> None:
    first, second = entry("ALPHAUSDT"), entry("BETAUSDT")
    assert first.order is not None
    assert second.order is not None
    twin = structs.replace(second, order=structs.replace(second.order, client_order_id=first.order.client_order_id))
    await ledger.commit(first)
    await spread(ledger)
    await ledger._committer.commit(twin)
    ledger._journal.hold(twin)
    assert twin.order is not None
    with pytest.raises(InvariantError, match="client_order_id"):
        await ledger.record_unsent(twin.order, at=NOW, code="X", reason="x")
    assert await sql.fetchval("SELECT array_agg(decision_id) FROM intent_journal") == [twin.decision.id]


async def test_a_committed_intent_is_in_its_tables_a_moment_later(ledger: EngineLedger, sql: Connection) -> None:
    """Nobody has to ask for it: readers see the order while its answer is still awaited."""
    await ledger.commit(entry("ALPHAUSDT"))
    async with asyncio.timeout(10):
        while ledger._journal._held:  # noqa: ASYNC110 - nobody tells when it is done
            await asyncio.sleep(0.001)
    assert set((await counts(sql)).values()) == {1}
