"""Fixtures of the ledger's tests."""

from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest
from tests.integration.ledger.rule_cases import BESIDE
from tests.integration.ledger.world import ACCOUNT, entry, open_world

from signalbox.ledger.connecting import fixed_url
from signalbox.ledger.engine_ledger import EngineLedger

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def world_url(database_url: str) -> str:
    """A database with one account, its owner, a configuration and a run."""
    await open_world(database_url)
    return database_url


@pytest.fixture
async def sql(database_url: str) -> AsyncIterator[Connection]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def ledger(world_url: str) -> AsyncIterator[EngineLedger]:
    """An open ledger in that world."""
    ledger = EngineLedger(fixed_url(world_url))
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()


async def spread(ledger: EngineLedger) -> None:
    """Have everything that was committed in its tables, as an engine that takes the account over would."""
    await ledger._journal.spread_account(ACCOUNT)


@pytest.fixture
async def beside(ledger: EngineLedger, sql: Connection) -> Connection:
    """The test's connection, with one row in every table."""
    await ledger.commit(entry("ALPHAUSDT"))
    await spread(ledger)
    for statement in BESIDE:
        await sql.execute(statement)
    return sql
