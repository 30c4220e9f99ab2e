"""Runs, ownership, listings, events and notifications as the engine uses them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec import structs
from tests.integration.ledger.conftest import Connection, spread
from tests.integration.ledger.world import ACCOUNT, CONFIGURATION, FENCE, NOW, RUN, configuration, entry, new_id

from signalbox.domain.configuration import AccountSettings
from signalbox.domain.decisions import IntentResult
from signalbox.domain.errors import ConflictError, LedgerUnavailable, NotFoundError
from signalbox.domain.ids import AccountId, RunId, listing_signal_id
from signalbox.domain.runs import RunStatus
from signalbox.domain.signals import DetectionSource, Sighting
from signalbox.ledger import ownership
from signalbox.ledger.chain import SYSTEM_EVENTS, verify
from signalbox.ledger.connecting import fixed_url
from signalbox.ledger.engine_ledger import EngineLedger


@asynccontextmanager
async def another_engine(url: str) -> AsyncIterator[EngineLedger]:
    """A second engine's ledger."""
    ledger = EngineLedger(fixed_url(url))
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()


async def test_a_run_lives_and_ends(ledger: EngineLedger, sql: Connection) -> None:
    [run] = await ledger.runs_to_act_on()
    assert (run.id, run.status, run.configuration) == (RUN, RunStatus.STARTING, configuration())
    await ledger.set_run_status(RUN, RunStatus.RUNNING, at=NOW)
    await ledger.heartbeat([RUN], NOW + timedelta(seconds=5))
    assert (await ledger.run(RUN)).last_heartbeat == NOW + timedelta(seconds=5)
    await ledger.heartbeat([RUN], NOW)  # a late one does not set it back
    assert (await ledger.run(RUN)).last_heartbeat == NOW + timedelta(seconds=5)
    for _ in range(2):
        await ledger.set_run_status(RUN, RunStatus.FAILED, at=NOW, error_message="crashed")
    assert await ledger.runs_to_act_on() == []
    ended = await sql.fetchrow("SELECT error_message, stopped_at > started_at FROM bot_runs")
    assert ended is not None
    assert tuple(ended) == ("crashed", True)


async def test_an_illegal_step_of_a_run_is_refused(ledger: EngineLedger) -> None:
    with pytest.raises(ConflictError, match="cannot go from starting to stopped"):
        await ledger.set_run_status(RUN, RunStatus.STOPPED, at=NOW)
    with pytest.raises(NotFoundError):
        await ledger.set_run_status(RunId(new_id()), RunStatus.RUNNING, at=NOW)


async def test_an_account_has_one_owner(ledger: EngineLedger, world_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "PATIENCE_S", 0.2)
    fence = await ledger.own(ACCOUNT, "first")
    assert fence == FENCE + 1
    async with another_engine(world_url) as second:
        with pytest.raises(ConflictError, match="run by another engine \\(first\\)"):
            await second.own(ACCOUNT, "second")
        await ledger.disown(ACCOUNT)
        assert await second.own(ACCOUNT, "second") == fence + 1
        assert await ledger.commit(entry("ALPHAUSDT", fence=fence)) is IntentResult.FENCED_OUT
        assert await second.commit(entry("ALPHAUSDT", fence=fence + 1)) is IntentResult.INSERTED


async def test_an_owner_that_is_closed_gives_its_accounts_back(ledger: EngineLedger, world_url: str) -> None:
    async with another_engine(world_url) as first:
        fence = await first.own(ACCOUNT, "first")
    assert await ledger.own(ACCOUNT, "second") == fence + 1


async def test_an_unknown_account_cannot_be_owned(ledger: EngineLedger) -> None:
    with pytest.raises(ConflictError, match="does not exist"):
        await ledger.own(AccountId(new_id()), "first")
    assert await ledger.own(ACCOUNT, "first") == FENCE + 1  # the session is still good


async def test_an_owner_whose_session_is_cut_locks_again_under_the_same_number(
    ledger: EngineLedger, sql: Connection
) -> None:
    fence = await ledger.own(ACCOUNT, "first")
    await sql.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'signalbox ownership'"
    )
    locked = (
        "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE locktype = 'advisory' AND datname = current_database())"
    )
    async with asyncio.timeout(10):
        while not await sql.fetchval(locked):  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.01)
    assert await ledger.commit(entry("ALPHAUSDT", fence=fence)) is IntentResult.INSERTED


async def test_injected_listings_wait_until_a_signal_exists(ledger: EngineLedger, sql: Connection) -> None:
    for symbol in ("TESTONE", "TESTTWO"):
        await sql.execute(
            "INSERT INTO listings (symbol, listed_at, source, created_at) VALUES ($1, $2, 'test_injection', $3)",
            symbol,
            NOW.replace(second=0, microsecond=0),
            NOW,
        )
    await sql.execute("INSERT INTO listings (symbol, listed_at, source) VALUES ('REALUSDT', $1, 'mexc_websocket')", NOW)
    waiting = await ledger.pending_test_listings(NOW - timedelta(minutes=1))
    assert [sighting.symbol for sighting in waiting] == ["TESTONE", "TESTTWO"]
    assert waiting[0].source is DetectionSource.TEST_INJECTION
    assert await ledger.pending_test_listings(NOW + timedelta(minutes=1)) == []
    await ledger.commit(entry("TESTONE"))
    await spread(ledger)
    assert [s.symbol for s in await ledger.pending_test_listings(NOW - timedelta(minutes=1))] == ["TESTTWO"]
    decided = await ledger.decided_listings(ACCOUNT, NOW)
    assert [(listing.symbol, listing.listed_at, listing.bought) for listing in decided] == [
        ("TESTONE", NOW.replace(second=0, microsecond=0), True)  # its order may still have bought something
    ]
    assert await ledger.decided_listings(ACCOUNT, NOW + timedelta(seconds=1)) == []


async def test_a_listing_whose_order_never_left_was_not_bought(ledger: EngineLedger) -> None:
    intent = entry("ALPHAUSDT")
    assert intent.order is not None
    await ledger.commit(intent)
    await ledger.record_unsent(intent.order, at=NOW, code="RESCHEDULED", reason="it was moved")
    assert [listing.bought for listing in await ledger.decided_listings(ACCOUNT, NOW)] == [False]


async def test_s1_later_sources_only_add_evidence(ledger: EngineLedger, sql: Connection) -> None:
    await ledger.commit(entry("ALPHAUSDT"))
    signal_id = listing_signal_id("ALPHAUSDT", NOW.replace(second=0, microsecond=0))
    for source in (DetectionSource.CALENDAR, DetectionSource.WEBSOCKET):
        await ledger.add_evidence(
            signal_id, Sighting(symbol="ALPHAUSDT", source=source, seen_at=NOW, received_ns=1, listing_time=None)
        )
    sources = await sql.fetchval(
        "SELECT array_agg(e ->> 'source') FROM listing_signals, jsonb_array_elements(evidence) AS e"
    )
    assert sources == ["calendar", "websocket"]


async def test_events_are_chained_and_survive_odd_details(ledger: EngineLedger, sql: Connection) -> None:
    await ledger.record_event(
        at=NOW,
        level="info",
        category="system",
        message="odd \x00",
        details={"path": ValueError("x"), "id": RUN, "text": "a\x00"},
        actor="test",
    )
    row = await sql.fetchrow("SELECT message, details ->> 'path' AS path FROM system_events")
    assert row is not None
    assert tuple(row) == ("odd \N{SYMBOL FOR NULL}", "x")
    assert (await verify(sql, SYSTEM_EVENTS)).rows == 1


async def test_an_older_health_report_never_replaces_a_newer(ledger: EngineLedger, sql: Connection) -> None:
    await ledger.record_health("feed", "running", NOW, {})
    await ledger.record_health("feed", "degraded", NOW + timedelta(seconds=1), {"reason": "429"})
    await ledger.record_health("feed", "running", NOW, {})
    rows = await sql.fetch("SELECT component_name, status FROM bot_health")
    assert [tuple(row) for row in rows] == [("feed", "degraded")]


async def test_accounts_and_settings_are_read(ledger: EngineLedger, sql: Connection) -> None:
    assert (await ledger.account(ACCOUNT)).label == "main"
    with pytest.raises(NotFoundError):
        await ledger.settings(ACCOUNT)
    await sql.execute(
        "INSERT INTO settings (account_id, max_trade_usdt, max_position_usdt, global_exposure_cap,"
        " asset_exposure_caps, daily_loss_limit, updated_by)"
        " VALUES ($1, 50, 200, 500, '{\"BTC\": \"10.5\"}', 100, 'x')",
        ACCOUNT,
    )
    settings = await ledger.settings(ACCOUNT)
    assert settings == AccountSettings(account_id=ACCOUNT, asset_exposure_caps={"BTC": Decimal("10.5")})
    with pytest.raises(NotFoundError):
        await ledger.account(AccountId(new_id()))


async def test_changes_are_heard_once_each(ledger: EngineLedger, sql: Connection) -> None:
    heard = ledger.changes()
    async with asyncio.timeout(10):
        assert await anext(heard) == "reconnected"
        await ledger.heartbeat([RUN], NOW)
        await ledger.set_run_status(RUN, RunStatus.RUNNING, at=NOW)
        assert await anext(heard) == "runs"
        await sql.execute(
            "UPDATE system_status SET kill_switch = true, kill_switch_mode = 'block',"
            " kill_switch_activated_at = now(), kill_switch_activated_by = 'x'"
        )
        assert await anext(heard) == "kill_switch"
        await sql.execute(
            "INSERT INTO listings (symbol, listed_at, source)"
            " SELECT 'T' || n, now(), 'test_injection' FROM generate_series(1, 20) AS n"
        )
        assert await anext(heard) == "listings"
        await sql.execute(
            "INSERT INTO settings (account_id, max_trade_usdt, max_position_usdt, updated_by) VALUES ($1, 1, 1, 'x')",
            ACCOUNT,
        )
        assert await anext(heard) == "settings"
    await heard.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_changes_come_back_after_the_connection_was_lost(ledger: EngineLedger, sql: Connection) -> None:
    heard = ledger.changes()
    async with asyncio.timeout(20):
        assert await anext(heard) == "reconnected"
        await sql.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'signalbox changes'"
        )
        assert await anext(heard) == "reconnected"
    await heard.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_a_database_that_is_away_is_unavailable() -> None:
    ledger = EngineLedger(fixed_url("postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(LedgerUnavailable):
        await ledger.open()
    await ledger.close()


async def test_reads_recover_by_themselves(ledger: EngineLedger, sql: Connection) -> None:
    await ledger.account(ACCOUNT)
    await sql.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'signalbox engine'"
    )
    for _ in range(5):
        try:
            await ledger.account(ACCOUNT)
        except LedgerUnavailable:
            continue
        break
    assert (await ledger.run(RUN)).configuration.id == CONFIGURATION


async def test_an_account_owned_twice_is_given_back_at_once(ledger: EngineLedger, world_url: str) -> None:
    fence = await ledger.own(ACCOUNT, "first")
    assert await ledger.own(ACCOUNT, "first") == fence + 1
    await ledger.disown(ACCOUNT)
    await ledger.disown(ACCOUNT)
    async with another_engine(world_url) as second:
        assert await second.own(ACCOUNT, "second") == fence + 2


async def test_what_the_engine_says_of_itself_is_the_system_status(ledger: EngineLedger, sql: Connection) -> None:
    await ledger.commit(entry("ALPHAUSDT"))
    await spread(ledger)
    details = {"started_at": "2026-11-21T08:00:00Z", "mexc_connected": True, "runs": 1}
    await ledger.record_health("engine", "running", NOW, details)
    row = await sql.fetchrow("SELECT started_at, mexc_connected, last_mexc_check, last_event_time FROM system_status")
    assert row is not None
    assert tuple(row) == (NOW.replace(hour=8, minute=0, second=0, microsecond=0), True, NOW, NOW)
    await ledger.record_health("feed", "running", NOW + timedelta(seconds=1), {"mexc_connected": False})
    assert await sql.fetchval("SELECT mexc_connected FROM system_status")


async def test_an_injected_listing_does_not_hide_a_real_one(ledger: EngineLedger) -> None:
    intent = entry("ALPHAUSDT")
    assert intent.signal is not None
    injected = structs.replace(intent.signal, detection_source=DetectionSource.TEST_INJECTION)
    await ledger.commit(structs.replace(intent, signal=injected))
    await spread(ledger)
    assert await ledger.decided_listings(ACCOUNT, NOW - timedelta(minutes=1)) == []
