"""The last gate: fence numbers and the kill switch, also when they change at the same instant."""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from msgspec import structs
from tests.integration.ledger.conftest import Connection
from tests.integration.ledger.watching import counts, someone_waits_for_a_lock
from tests.integration.ledger.world import ACCOUNT, FENCE, NOW, entry, exit_of, order

from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.ids import PositionId
from signalbox.ledger import connecting
from signalbox.ledger.connecting import fixed_url
from signalbox.ledger.engine_ledger import EngineLedger
from signalbox.ledger.ownership import _TAKE
from signalbox.ledger.queries.status import lift_kill_switch, throw_kill_switch
from signalbox.ledger.sessions import Sessions

SECOND = UUID(int=8)
_SWITCHES = "SELECT array_agg(DISTINCT kill_switch) FROM account_ownership"


async def throw(url: str, mode: str) -> None:
    """Switch the kill switch on, as an operator does."""
    sessions = Sessions(fixed_url(url))
    try:
        async with sessions.write() as session:
            await throw_kill_switch(session, mode=mode, reason="test", by="tester", at=NOW)
    finally:
        await sessions.close()


async def lift(url: str) -> None:
    """Switch it off."""
    sessions = Sessions(fixed_url(url))
    try:
        async with sessions.write() as session:
            await lift_kill_switch(session, reason="over", by="tester", at=NOW)
    finally:
        await sessions.close()


@pytest.mark.parametrize("fence", [FENCE - 1, FENCE + 1])
async def test_another_fence_number_writes_nothing(ledger: EngineLedger, sql: Connection, fence: int) -> None:
    assert await ledger.commit(entry("ALPHAUSDT", fence=fence)) is IntentResult.FENCED_OUT
    assert set((await counts(sql)).values()) == {0}


async def test_an_account_without_owner_writes_nothing(ledger: EngineLedger, sql: Connection) -> None:
    await sql.execute("ALTER TABLE account_ownership DISABLE TRIGGER USER")
    await sql.execute("DELETE FROM account_ownership")
    assert await ledger.commit(entry("ALPHAUSDT")) is IntentResult.FENCED_OUT
    assert set((await counts(sql)).values()) == {0}


async def open_position(sql: Connection) -> PositionId:
    """An open position for exits to sell."""
    position = PositionId(UUID(int=77))
    await sql.execute(
        "INSERT INTO positions (id, account_id, symbol, mode, quantity, cost, opened_at)"
        " VALUES ($1, $2, 'HELDUSDT', 'simulation', 16, 20, $3)",
        position,
        ACCOUNT,
        NOW,
    )
    return position


@pytest.mark.parametrize("mode", ["block", "cancel", "flatten", "freeze"])
async def test_g2_the_kill_switch_stops_entries_at_the_last_gate(
    ledger: EngineLedger, sql: Connection, world_url: str, mode: str
) -> None:
    position = await open_position(sql)
    await throw(world_url, mode)
    assert await ledger.commit(entry("ALPHAUSDT")) is IntentResult.KILL_SWITCH
    assert set((await counts(sql)).values()) == {0}
    exit_result = await ledger.commit(exit_of(position, "HELDUSDT"))
    freezes = mode == "freeze"
    assert exit_result is (IntentResult.KILL_SWITCH if freezes else IntentResult.INSERTED)

    await lift(world_url)
    assert await ledger.commit(entry("ALPHAUSDT")) is IntentResult.INSERTED


async def test_g2_the_kill_switch_waits_for_what_is_being_committed(
    ledger: EngineLedger, sql: Connection, world_url: str
) -> None:
    """Once `activate` has returned, nothing that got past the gate is missing from the ledger."""
    committing = await asyncpg.connect(world_url)
    try:
        async with committing.transaction():
            await committing.execute("SELECT FROM account_ownership FOR SHARE")
            throwing = asyncio.create_task(throw(world_url, "block"))
            await someone_waits_for_a_lock(sql)
            assert not (await ledger.system_state()).kill_switch
        await throwing
        assert (await ledger.system_state()).kill_switch
    finally:
        await committing.close()


async def test_g2_an_intent_that_waited_for_the_switch_sees_it(
    ledger: EngineLedger, sql: Connection, world_url: str
) -> None:
    operator = await asyncpg.connect(world_url)
    try:
        async with operator.transaction():
            await operator.execute("SELECT FROM account_ownership FOR UPDATE")
            committing = asyncio.create_task(ledger.commit(entry("ALPHAUSDT")))
            await someone_waits_for_a_lock(sql)
            await operator.execute(
                "UPDATE system_status SET kill_switch = true, kill_switch_mode = 'block',"
                " kill_switch_activated_at = now(), kill_switch_activated_by = 'tester'"
            )
        assert await committing is IntentResult.KILL_SWITCH
    finally:
        await operator.close()


async def test_g2_an_account_that_is_taken_while_the_switch_is_thrown_has_it_on(
    sql: Connection, world_url: str
) -> None:
    """Whoever comes first, nobody waits for ever and no row says that the switch is off."""
    await sql.execute("INSERT INTO accounts (id, venue, label) SELECT $1, 'mexc', 'second'", SECOND)
    newcomer = await asyncpg.connect(world_url)
    try:
        async with newcomer.transaction():
            await newcomer.execute(_TAKE, SECOND, "newcomer")
            throwing = asyncio.create_task(throw(world_url, "block"))
            await someone_waits_for_a_lock(sql)
        await throwing
        assert await sql.fetchval(_SWITCHES) == ["block"]
        await newcomer.execute(_TAKE, SECOND, "newcomer")
        await sql.execute("INSERT INTO accounts (id, venue, label) SELECT $1, 'mexc', 'third'", UUID(int=9))
        await newcomer.execute(_TAKE, UUID(int=9), "newcomer")
        assert await sql.fetchval(_SWITCHES) == ["block"]
        await lift(world_url)
        assert await sql.fetchval(_SWITCHES) == ["off"]
    finally:
        await newcomer.close()


async def test_g2_a_change_of_mode_reaches_the_gate(ledger: EngineLedger, sql: Connection, world_url: str) -> None:
    position = await open_position(sql)
    await throw(world_url, "freeze")
    await throw(world_url, "block")
    assert await ledger.commit(entry("ALPHAUSDT")) is IntentResult.KILL_SWITCH
    assert await ledger.commit(exit_of(position, "HELDUSDT")) is IntentResult.INSERTED


async def test_an_intent_that_waited_for_a_new_owner_is_fenced_out(
    ledger: EngineLedger, sql: Connection, world_url: str
) -> None:
    successor = await asyncpg.connect(world_url)
    try:
        async with successor.transaction():
            await successor.execute("UPDATE account_ownership SET fence = fence + 1")
            committing = asyncio.create_task(ledger.commit(entry("ALPHAUSDT")))
            await someone_waits_for_a_lock(sql)
        assert await committing is IntentResult.FENCED_OUT
    finally:
        await successor.close()
    assert set((await counts(sql)).values()) == {0}


async def test_a_skip_and_a_blocked_order_pass_the_switch(
    ledger: EngineLedger, sql: Connection, world_url: str
) -> None:
    await throw(world_url, "freeze")
    blocked = _blocked(entry("ALPHAUSDT"), limit="max_trades_per_hour")
    assert await ledger.commit(blocked) is IntentResult.INSERTED
    row = await sql.fetchrow("SELECT * FROM trade_orders")
    assert row is not None
    assert (row["status"], row["error_code"], row["error_reason"]) == (
        "rejected",
        "SAFETY_CONSTRAINT",
        "max_trades_per_hour",
    )
    assert (row["submitted_at"], row["completed_at"]) == (None, NOW)
    assert (await counts(sql))["reservations"] == 0
    skip = structs.replace(_blocked(entry("BETAUSDT"), limit="-"), blocked=None, blocked_limit=None)
    assert await ledger.commit(skip) is IntentResult.INSERTED


async def test_a_follow_up_is_gated_and_stored_once(ledger: EngineLedger, sql: Connection, world_url: str) -> None:
    intent = entry("ALPHAUSDT")
    await ledger.commit(intent)
    second = order(intent.decision.id, "ALPHAUSDT", attempt=2)
    assert await ledger.follow_up(second, FENCE + 1) is IntentResult.FENCED_OUT
    assert await ledger.follow_up(second, FENCE) is IntentResult.INSERTED
    assert await ledger.follow_up(second, FENCE) is IntentResult.DUPLICATE
    assert await sql.fetchval("SELECT array_agg(attempt ORDER BY attempt) FROM trade_orders") == [1, 2]
    await throw(world_url, "block")
    assert await ledger.follow_up(order(intent.decision.id, "ALPHAUSDT"), FENCE) is IntentResult.KILL_SWITCH


def _blocked(intent: Intent, *, limit: str) -> Intent:
    return structs.replace(
        intent,
        decision=structs.replace(intent.decision, verdict="skip", skip_code="SAFETY_CONSTRAINT"),
        order=None,
        reservation=None,
        blocked=intent.order,
        blocked_limit=limit,
    )


@pytest.mark.parametrize("purpose", ["intents", "engine"])
async def test_g2_an_engine_that_is_frozen_within_a_transaction_does_not_hold_the_switch(
    world_url: str, sql: Connection, monkeypatch: pytest.MonkeyPatch, purpose: str
) -> None:
    """A rehearsal has the gate's row locked between two round trips, a record the row of the switch itself."""
    monkeypatch.setattr(connecting, "IDLE_IN_TRANSACTION_S", 0.2)
    frozen = await connecting.connect(fixed_url(world_url), purpose)
    try:
        await frozen.execute("BEGIN")
        await frozen.execute("SELECT FROM account_ownership FOR SHARE")
        await frozen.execute("UPDATE system_status SET last_order_time = now()")
        await asyncio.wait_for(throw(world_url, "block"), 5)
        assert await sql.fetchval(_SWITCHES) == ["block"]
    finally:
        frozen.terminate()
