"""Looking at the database from outside."""

import asyncio

from tests.integration.ledger.conftest import Connection


async def counts(sql: Connection) -> dict[str, int]:
    """Rows of each table that an intent writes to."""
    tables = ("listings", "listing_signals", "strategy_decisions", "trade_orders", "reservations")
    return {table: await sql.fetchval(f"SELECT count(*) FROM {table}") for table in tables}  # noqa: S608 - our names


async def someone_waits_for_a_lock(sql: Connection) -> None:
    """Return when another session of this database waits for a lock."""
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    async with asyncio.timeout(10):
        while not await sql.fetchval(waiting):  # noqa: ASYNC110 - only the server knows who waits
            await asyncio.sleep(0.005)
