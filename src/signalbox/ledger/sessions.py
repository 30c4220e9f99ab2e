"""Transactions for everything that is not on the order path: reads see one instant, writes are all or nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from signalbox.domain.errors import NotFoundError
from signalbox.ledger.connecting import Connection, UrlSource
from signalbox.ledger.database import Database

T = TypeVar("T")


class ReadSession:
    """One read-only transaction: every statement sees the same instant."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def rows(self, kind: type[T], sql: str, *arguments: object) -> list[T]:
        """All rows of a query as Structs; columns are named as the fields."""
        return [msgspec.convert(dict(record), kind) for record in await self._connection.fetch(sql, *arguments)]

    async def row(self, kind: type[T], sql: str, *arguments: object) -> T | None:
        """The first row as a Struct, None when there is none."""
        record = await self._connection.fetchrow(sql, *arguments)
        return None if record is None else msgspec.convert(dict(record), kind)

    async def value(self, kind: type[T], sql: str, *arguments: object) -> T:
        """The first column of the first row. Raises NotFoundError when there is no row."""
        record = await self._connection.fetchrow(sql, *arguments)
        if record is None:
            raise NotFoundError("the ledger has no such row")
        return msgspec.convert(record[0], kind)


class WriteSession(ReadSession):
    """One transaction that may write. Nothing of it is there before it is all there."""

    async def execute(self, sql: str, *arguments: object) -> None:
        """Run a statement whose result does not matter."""
        await self._connection.execute(sql, *arguments)


class Sessions:
    """Opens sessions on the ledger. Connects with the first one; used from one event loop."""

    def __init__(self, urls: UrlSource, purpose: str = "control") -> None:
        self._database = Database(urls, purpose)
        self._is_open = False

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A read-only session. Raises LedgerUnavailable."""
        async with self._transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield ReadSession(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A session that commits when its block ends well. Raises LedgerUnavailable, or ConflictError when a row with
        the same key was there before."""
        async with self._transaction() as connection:
            yield WriteSession(connection)

    async def close(self) -> None:
        """Close all connections."""
        self._is_open = False
        await self._database.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        if not self._is_open:
            await self._database.open()
            self._is_open = True
        async with self._database.transaction() as connection:
            yield connection
