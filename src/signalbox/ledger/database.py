"""Everything off the hot path goes through a small pool of connections, one transaction at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from signalbox.domain.errors import ConfigError, ConflictError, InvariantError
from signalbox.ledger.connecting import (
    CONNECTION_ERRORS,
    STATEMENT_TIMEOUT_S,
    Connection,
    UrlSource,
    connect,
    unavailable,
)

CONNECTIONS_MAX = 4
ACQUIRE_TIMEOUT_S = 10.0

_PASSING = (
    asyncpg.TransactionRollbackError,  # deadlocks: the transaction was taken back and may be repeated
    asyncpg.ReadOnlySQLTransactionError,  # a standby that has not been promoted yet
)

_SCHEMA_ERRORS = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode = msgspec.json.Decoder().decode

_log = logging.getLogger(__name__)


def json_text(value: Any) -> str:
    """JSON as every part of the ledger writes it: decimals as strings, and a sign for NUL, which JSONB cannot hold."""
    return _encode(value).decode().replace("\\u0000", "\\u2400")


class Database:
    """A pool whose errors are ours: LedgerUnavailable, ConflictError (a unique key), ConfigError (the schema of another
    version), InvariantError (anything else that the server refuses)."""

    def __init__(self, urls: UrlSource, purpose: str) -> None:
        self._urls = urls
        self._purpose = purpose
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Connect once, to know that it works. Raises LedgerUnavailable."""
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                min_size=0, max_size=CONNECTIONS_MAX, connect=self._connect, init=_use_json, reset=_keep_session
            )
        try:
            await self._pool
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            raise unavailable(error) from error
        async with self.transaction() as connection:
            await connection.fetchval("SELECT 1")

    async def close(self) -> None:
        """Close all connections; those in use are cut after a while."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(STATEMENT_TIMEOUT_S):
                await pool.close()
        except CONNECTION_ERRORS as error:
            _log.warning("connections to the ledger were cut: %s", error)
            pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        if self._pool is None:
            raise InvariantError("The ledger is used before it is open.")
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as held, held.transaction():
                yield held  # type: ignore[misc]  # a pool's proxy behaves like its connection
        except CONNECTION_ERRORS as error:
            raise unavailable(error) from error
        except asyncpg.UniqueViolationError as error:
            raise ConflictError(f"{error.table_name}: {error.detail or error}") from error
        except _PASSING as error:
            raise unavailable(error) from error
        except _SCHEMA_ERRORS as error:
            raise ConfigError(
                f"The database's schema does not fit this version of Signalbox ({error});"
                " bring it up to date with 'signalbox db upgrade'."
            ) from error
        except asyncpg.PostgresError as error:
            raise InvariantError(f"The ledger refused a statement: {error}") from error

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of one statement."""
        async with self.transaction() as connection:
            return await connection.fetch(statement, *arguments)

    async def fetchrow(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of one statement."""
        async with self.transaction() as connection:
            return await connection.fetchrow(statement, *arguments)

    async def execute(self, statement: str, *arguments: Any) -> int:
        """Run one statement; returns how many rows it touched."""
        async with self.transaction() as connection:
            status = await connection.execute(statement, *arguments)
        return int(status.rpartition(" ")[2])

    async def _connect(self, *_: Any, **__: Any) -> Connection:
        return await connect(self._urls, self._purpose)


async def _use_json(connection: Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json_text, decoder=_decode, format="text")


async def _keep_session(connection: Connection) -> None:
    """Nothing that we do outlives its transaction, so a returned connection needs no reset (and no round trip)."""
