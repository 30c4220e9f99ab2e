"""P2: any changed, missing, inserted or moved row of a chained stream is found."""

import asyncio
import hashlib
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.ledger.conftest import Connection
from tests.integration.ledger.world import NOW

from signalbox.domain.errors import ConfigError
from signalbox.ledger.chain import (
    GENESIS,
    SYSTEM_EVENTS,
    TRADE_LOGS,
    ChainRow,
    Head,
    canonical,
    next_fault,
    row_hash,
    stream_named,
    verify,
)

INSERT_EVENT = (
    'INSERT INTO system_events (id, "timestamp", level, category, message, details, actor)'
    " VALUES ($1, $2, 'info', 'system', $3, $4, 'tester')"
)


async def add_events(connection: Connection, count: int, first: int = 0) -> None:
    """Events with odd texts: separators, other alphabets, numbers that must not be re-written."""
    for n in range(first, first + count):
        details = f'{{"n": {n}, "amount": "1.500", "number": 1.500, "text": "3:abc,-,"}}'
        await connection.execute(INSERT_EVENT, UUID(int=n + 1), NOW, f"event {n}, 新币 \\ '\"", details)


async def test_p2_an_untouched_stream_verifies(sql: Connection) -> None:
    empty = await verify(sql, SYSTEM_EVENTS)
    assert (empty.ok, empty.rows, empty.head) == (True, 0, Head(0, GENESIS))
    await add_events(sql, 25)
    seen: list[int] = []
    verdict = await verify(sql, SYSTEM_EVENTS, lambda _, rows: seen.append(rows))
    assert (verdict.ok, verdict.rows, verdict.head.sequence) == (True, 25, 25)
    assert (await verify(sql, TRADE_LOGS)).ok


async def test_p2_the_hash_is_the_documented_one(sql: Connection) -> None:
    await sql.execute(INSERT_EVENT, UUID(int=5), NOW, "é", '{"a": 1.50}')
    row = await sql.fetchrow("SELECT * FROM system_events")
    assert row is not None
    text = (
        b"36:00000000-0000-0000-0000-000000000005,"
        b"27:2026-11-21T09:00:00.123456Z,4:info,6:system,2:\xc3\xa9,"
        b'11:{"a": 1.50},6:tester,'
    )
    assert (row["sequence"], row["previous_hash"]) == (1, bytes(32))
    assert row["hash"] == hashlib.sha256(bytes(32) + text).digest()


async def test_p2_concurrent_connections_make_one_chain(sql: Connection, database_url: str) -> None:
    async def write(worker: int) -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await add_events(connection, 30, first=worker * 1000)
        finally:
            await connection.close()

    await asyncio.gather(*(write(worker) for worker in range(6)))
    verdict = await verify(sql, SYSTEM_EVENTS)
    assert (verdict.ok, verdict.rows) == (True, 180)


async def test_p2_a_rolled_back_insert_leaves_no_gap(sql: Connection) -> None:
    await add_events(sql, 2)
    transaction = sql.transaction()
    await transaction.start()
    await add_events(sql, 3, first=10)
    await transaction.rollback()
    await add_events(sql, 1, first=20)
    verdict = await verify(sql, SYSTEM_EVENTS)
    assert (verdict.ok, verdict.rows) == (True, 3)


async def test_p2_many_rows_in_one_statement_are_chained(sql: Connection) -> None:
    await sql.execute(
        "INSERT INTO system_events (id, level, category, message, actor)"
        " SELECT gen_random_uuid(), 'info', 'system', 'row ' || n, 'tester' FROM generate_series(1, 50) AS n"
    )
    verdict = await verify(sql, SYSTEM_EVENTS)
    assert (verdict.ok, verdict.rows) == (True, 50)


async def test_p2_a_given_hash_is_not_believed(sql: Connection) -> None:
    await sql.execute(
        "INSERT INTO system_events (id, level, category, message, actor, sequence, previous_hash, hash)"
        " VALUES ($1, 'info', 'system', 'forged', 'tester', 77, '\\x00', '\\x00')",
        UUID(int=1),
    )
    assert (await verify(sql, SYSTEM_EVENTS)).ok


TAMPERING = {
    "changed text": "UPDATE system_events SET message = 'nothing happened' WHERE sequence = 5",
    "changed number in a document": """UPDATE system_events SET details = jsonb_set(details, '{number}', '1.50')
        WHERE sequence = 5""",
    "changed time": """UPDATE system_events SET "timestamp" = "timestamp" + interval '1 microsecond'
        WHERE sequence = 5""",
    "changed actor": "UPDATE system_events SET actor = 'somebody' WHERE sequence = 1",
    "deleted": "DELETE FROM system_events WHERE sequence = 5",
    "deleted first": "DELETE FROM system_events WHERE sequence = 1",
    "deleted last": "DELETE FROM system_events WHERE sequence = 10",
    "deleted last, head set back": """WITH gone AS (DELETE FROM system_events WHERE sequence = 10)
        UPDATE chain_heads SET sequence = 9 WHERE stream = 'system_events'""",
    "all deleted": "DELETE FROM system_events",
    "inserted": """INSERT INTO system_events (id, level, category, message, actor, sequence, previous_hash, hash)
        SELECT gen_random_uuid(), 'info', 'system', 'added', 'tester', 11, hash, sha256('x') FROM system_events
        WHERE sequence = 10""",
    "moved": """UPDATE system_events SET sequence = CASE sequence WHEN 4 THEN 105 ELSE 104 END
        WHERE sequence IN (4, 5); UPDATE system_events SET sequence = sequence - 100 WHERE sequence > 100""",
    "contents moved": """UPDATE system_events a SET message = b.message FROM system_events b
        WHERE (a.sequence, b.sequence) IN ((4, 5), (5, 4))""",
    "head changed": "UPDATE chain_heads SET hash = sha256('x') WHERE stream = 'system_events'",
    "head deleted": "DELETE FROM chain_heads",
    "rehashed one row": """UPDATE system_events SET message = 'x', hash = sha256('x') WHERE sequence = 5""",
}


@pytest.mark.parametrize("how", TAMPERING)
async def test_p2_a_superuser_who_disables_triggers_is_found_out(sql: Connection, how: str) -> None:
    await add_events(sql, 10)
    await sql.execute("ALTER TABLE system_events DISABLE TRIGGER ALL; ALTER TABLE chain_heads DISABLE TRIGGER ALL")
    await sql.execute(TAMPERING[how])
    await sql.execute("ALTER TABLE system_events ENABLE TRIGGER ALL; ALTER TABLE chain_heads ENABLE TRIGGER ALL")
    verdict = await verify(sql, SYSTEM_EVENTS)
    assert not verdict.ok
    assert verdict.fault is not None
    assert verdict.fault.what


async def test_a_stream_of_another_name_is_refused() -> None:
    assert stream_named("trade_logs") is TRADE_LOGS
    with pytest.raises(ConfigError, match="no chained stream"):
        stream_named("fills")


FIELDS = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=6)


@given(FIELDS, FIELDS)
def test_canonical_bytes_tell_all_rows_apart(first: list[str | None], second: list[str | None]) -> None:
    assert (canonical(first) == canonical(second)) == (first == second)


@given(st.lists(FIELDS, min_size=2, max_size=8), st.data())
def test_p2_any_single_change_breaks_the_chain(rows: list[list[str | None]], data: st.DataObject) -> None:
    chain, previous = [], GENESIS
    for number, fields in enumerate(rows, start=1):
        here = row_hash(previous, fields)
        chain.append(ChainRow(number, previous, here, tuple(fields)))
        previous = here
    assert walk(chain) is None
    place = data.draw(st.integers(0, len(chain) - 2))
    change: Callable[[], list[ChainRow]] = data.draw(
        st.sampled_from(
            [
                lambda: chain[:place] + chain[place + 1 :],
                lambda: [*chain[:place], chain[place + 1], chain[place], *chain[place + 2 :]],
                lambda: [*chain[: place + 1], chain[place], *chain[place + 1 :]],
            ]
        )
    )
    assert walk(change()) is not None


def walk(rows: list[ChainRow]) -> object:
    """The first fault of a chain."""
    head = Head(0, GENESIS)
    for row in rows:
        fault = next_fault(head, row)
        if fault is not None:
            return fault
        head = Head(row.sequence, row.hash)
    return None


async def test_numbers_keep_their_scale_in_the_chain(sql: Connection) -> None:
    """NUMERIC text is hashed as stored, so 1.50 and 1.5 are different facts."""
    assert await sql.fetchval("SELECT $1::numeric::text", Decimal("1.50")) == "1.50"
