"""What was written stays written."""

import asyncpg
import pytest
from tests.integration.ledger.conftest import Connection
from tests.integration.ledger.states import move_order

APPEND_ONLY = {
    "bot_configurations": "name = 'other'",
    "settings_history": "updated_by = 'other'",
    "listings": "symbol = 'other'",
    "bot_trade_events": "price = 3",
    "strategy_decisions": "reason = 'other'",
    "fills": "price = 3",
    "system_events": "message = 'other'",
    "trade_logs": "fill_price = 3",
    "venue_symbols": "first_seen_at = now()",
}
KEPT = ("bot_runs", "settings", "account_ownership", "listing_signals", "positions", "trade_orders", "reservations",
        "system_status", "chain_heads", "listing_records", "listing_sightings", "alerts")  # fmt: skip


DECIDED = (
    "UPDATE trade_orders SET quote_amount = 21",
    "UPDATE trade_orders SET client_order_id = 'other'",
    "UPDATE trade_orders SET mode = 'live'",
    "UPDATE bot_runs SET operator_id = 'other'",
    "UPDATE bot_runs SET configuration_snapshot = '{\"a\": 1}'",
    "UPDATE listing_signals SET symbol = 'other'",
    "UPDATE listing_signals SET processed = NOT processed WHERE processed",
    "UPDATE reservations SET amount = 1",
    "UPDATE positions SET symbol = 'other'",
    "UPDATE settings SET max_trade_usdt = 2, max_position_usdt = 2",
    "UPDATE account_ownership SET fence = fence",
    "UPDATE account_ownership SET fence = fence - 1, kill_switch = 'block'",
    "UPDATE chain_heads SET sequence = 5",
    "UPDATE listing_records SET symbol = 'other'",
)


async def _refused(sql: Connection, statement: str) -> None:
    with pytest.raises(asyncpg.RestrictViolationError, match=f"{statement.split(maxsplit=1)[0]} refused on"):
        await sql.execute(statement)


async def _log_entry(sql: Connection) -> None:
    await move_order(sql, "failed")
    await sql.execute(
        "INSERT INTO trade_logs (id, order_id, exchange_response, logged_at)"
        " SELECT gen_random_uuid(), id, '{}', now() FROM trade_orders"
    )


async def test_append_only_tables_refuse_every_change(beside: Connection) -> None:
    await _log_entry(beside)
    for table, change in APPEND_ONLY.items():
        assert await beside.fetchval(f"SELECT count(*) FROM {table}") >= 1  # noqa: S608 - our name
        await _refused(beside, f"UPDATE {table} SET {change}")  # noqa: S608 - our text
        await _refused(beside, f"DELETE FROM {table}")  # noqa: S608 - our name
        await _refused(beside, f"TRUNCATE {table} CASCADE")


async def test_other_tables_keep_their_rows(beside: Connection) -> None:
    for table in KEPT:
        await _refused(beside, f"DELETE FROM {table}")  # noqa: S608 - our name
        await _refused(beside, f"TRUNCATE {table} CASCADE")


async def test_what_was_decided_stays(beside: Connection) -> None:
    for statement in DECIDED:
        await _refused(beside, statement)


async def test_an_ended_reservation_stays_ended(beside: Connection) -> None:
    await beside.execute("UPDATE reservations SET state = 'released', settled_at = now()")
    with pytest.raises(asyncpg.RestrictViolationError):
        await beside.execute("UPDATE reservations SET state = 'settled', settled_amount = 1")


async def test_a_closed_position_stays_closed(beside: Connection) -> None:
    await beside.execute("UPDATE positions SET status = 'closed', closed_at = now()")
    with pytest.raises(asyncpg.CheckViolationError, match="cannot go from closed to open"):
        await beside.execute("UPDATE positions SET status = 'open', closed_at = NULL")


async def test_a_listing_that_was_missed_may_turn_out_bought_but_never_the_other_way(beside: Connection) -> None:
    await beside.execute("UPDATE listing_records SET outcome = 'missed', reason_code = 'STALE', reason = 'late'")
    with pytest.raises(asyncpg.RestrictViolationError, match="its outcome is final"):
        await beside.execute("UPDATE listing_records SET outcome = 'pending', reason_code = NULL, reason = NULL")
    await beside.execute(
        "UPDATE listing_records SET outcome = 'traded', reason_code = NULL, reason = NULL,"
        " decision_id = (SELECT id FROM strategy_decisions LIMIT 1)"
    )
    with pytest.raises(asyncpg.RestrictViolationError, match="its outcome is final"):
        await beside.execute("UPDATE listing_records SET outcome = 'missed', reason_code = 'STALE', reason = 'late'")


async def test_an_announcement_that_was_taken_back_may_come_again(beside: Connection) -> None:
    await beside.execute("UPDATE listing_records SET outcome = 'missed', reason_code = 'CANCELLED', reason = 'gone'")
    await beside.execute("UPDATE listing_records SET outcome = 'pending', reason_code = NULL, reason = NULL")


async def test_the_first_book_stays_the_first(beside: Connection) -> None:
    book = "UPDATE listing_records SET book_read_at = now(), best_ask = {}, book_quantity = 1, book_spent = 1"
    await beside.execute(book.format("1"))
    with pytest.raises(asyncpg.RestrictViolationError, match="the first book stays the first"):
        await beside.execute(book.format("2"))


async def test_a_log_entry_follows_its_order(beside: Connection) -> None:
    early = (
        "INSERT INTO trade_logs (id, order_id, exchange_response, logged_at)"
        " SELECT gen_random_uuid(), id, '{}', created_at - interval '1 s' FROM trade_orders"
    )
    with pytest.raises(asyncpg.CheckViolationError, match="not completed"):
        await beside.execute(early)
    await move_order(beside, "failed")
    with pytest.raises(asyncpg.CheckViolationError, match="completed after"):
        await beside.execute(early)
    await beside.execute(early.replace("- interval '1 s'", ""))
    with pytest.raises(asyncpg.UniqueViolationError):
        await beside.execute(early.replace("- interval '1 s'", ""))


async def test_settings_keep_their_history(beside: Connection) -> None:
    await beside.execute("UPDATE settings SET version = 2, max_trade_usdt = 0.5, updated_by = 'second'")
    rows = await beside.fetch("SELECT version, max_trade_usdt::text, updated_by FROM settings_history ORDER BY version")
    assert [tuple(row) for row in rows] == [(1, "50", "x"), (2, "0.5", "second")]


@pytest.mark.parametrize("change", ["kill_switch = true", "kill_switch_mode = 'pause'", "id = 2"])
async def test_the_status_row_says_who(beside: Connection, change: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await beside.execute(f"UPDATE system_status SET {change}")  # noqa: S608 - our text


async def test_an_alert_that_is_over_is_history(beside: Connection) -> None:
    await beside.execute("UPDATE alerts SET count = count + 1")
    await beside.execute("UPDATE alerts SET resolved_at = now(), resolution = 'it answers again'")
    await _refused(beside, "UPDATE alerts SET message = 'other'")
    await _refused(beside, "UPDATE alerts SET resolved_at = NULL, resolution = NULL")
