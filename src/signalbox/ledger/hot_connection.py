"""The one connection of the hot path: kept open, reopened in the background, never waited for."""

import asyncio
import logging
import re
from collections.abc import Callable
from datetime import datetime

import asyncpg
from msgspec import Struct

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import LedgerUnavailable
from signalbox.ledger.connecting import CONNECTION_ERRORS, Connection, UrlSource, connect, unavailable
from signalbox.ledger.intent_statements import FOLLOW_UP, INTENT, JOURNAL

GIVE_UP_TIMEOUT_MS = 5000
CERTAIN_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


class _Backend(Struct, frozen=True):
    """The server process behind a connection; the start time tells it from a later one with the same pid."""

    pid: int
    started_at: datetime


class HotConnection:
    """A dedicated connection that survives the loss of the server.

    While it is lost, `connection` raises LedgerUnavailable at once. It is published again only after the server
    process behind the lost one is gone, so that nothing sent over the old one can still be committed then.
    `on_change` is told `is_open` whenever that changes.
    """

    def __init__(self, urls: UrlSource, on_change: Callable[[bool], None] | None = None) -> None:
        self._urls = urls
        self._on_change = on_change or (lambda _: None)
        self._connection: Connection | None = None
        self._backend: _Backend | None = None
        self._open = asyncio.Event()
        self._reconnecting: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Connect for the first time. Raises LedgerUnavailable."""
        await self._establish()

    @property
    def is_open(self) -> bool:
        """Whether intents can be committed now."""
        return self._connection is not None

    @property
    def connection(self) -> Connection:
        """The open connection. Raises LedgerUnavailable when there is none now."""
        if self._connection is None:
            raise LedgerUnavailable("The ledger's connection is lost; it is being restored.")
        return self._connection

    async def certain(self) -> Connection:
        """Wait, for a bounded time, for a connection that shows the outcome of everything sent before it."""
        try:
            async with asyncio.timeout(CERTAIN_TIMEOUT_S):
                await self._open.wait()
        except TimeoutError:
            raise LedgerUnavailable(f"The ledger has not come back within {CERTAIN_TIMEOUT_S:.0f} s.") from None
        return self.connection

    def lost(self, connection: Connection, error: BaseException | None = None) -> None:
        """Give up a broken connection and start restoring it. Repeating it changes nothing."""
        if connection is not self._connection or self._closed:
            return
        _log.warning("the connection to the ledger is lost: %s", error or "closed by the server")
        self._connection = None
        self._open.clear()
        connection.remove_termination_listener(self._terminated)
        connection.terminate()
        self._on_change(self.is_open)
        self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect(), name="ledger reconnect")

    async def close(self) -> None:
        """Close for good."""
        self._closed = True
        self._open.clear()
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.wait([self._reconnecting])
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.remove_termination_listener(self._terminated)
            try:
                await connection.close(timeout=CERTAIN_TIMEOUT_S)
            except CONNECTION_ERRORS:
                connection.terminate()

    def _terminated(self, connection: object) -> None:
        if connection is self._connection and self._connection is not None:
            self.lost(self._connection)

    async def _reconnect(self) -> None:
        delays = backoff(first_s=1.0, longest_s=30.0)
        while True:
            try:
                await self._establish()
            except LedgerUnavailable as error:
                delay_s = next(delays)
                _log.warning("no ledger yet (%s); next attempt in %.0f s", error, delay_s)
                await asyncio.sleep(delay_s)
            else:
                return

    async def _establish(self) -> None:
        connection = await connect(self._urls, "intents")
        try:
            await self._outlive(connection)
            await _prepare(connection)
            backend = await _backend_of(connection)
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            connection.terminate()
            raise unavailable(error) from error
        except BaseException:
            connection.terminate()
            raise
        self._backend = backend
        self._connection = connection
        connection.add_termination_listener(self._terminated)
        self._open.set()
        self._on_change(self.is_open)

    async def _outlive(self, connection: Connection) -> None:
        """Make the server end the process behind the lost connection, and wait until it is gone."""
        if self._backend is None:
            return
        gone = await connection.fetchval(
            "SELECT bool_and(pg_terminate_backend(pid, $3)) FROM pg_stat_activity"
            " WHERE pid = $1 AND backend_start = $2",
            self._backend.pid,
            self._backend.started_at,
            GIVE_UP_TIMEOUT_MS,
        )
        if gone is False:
            raise LedgerUnavailable(f"Server process {self._backend.pid} of the lost connection does not end.")
        self._backend = None


async def _prepare(connection: Connection) -> None:
    """Parse and plan the statements now rather than with the first intent."""
    for statement in (JOURNAL, INTENT, FOLLOW_UP):
        arguments = (None,) * _arguments_of(statement)
        await connection.fetch(statement, *arguments)


def _arguments_of(statement: str) -> int:
    return max(int(number) for number in re.findall(r"\$(\d+)", statement))


async def _backend_of(connection: Connection) -> _Backend:
    row = await connection.fetchrow("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    if row is None:
        raise LedgerUnavailable("The server does not show our own connection.")
    return _Backend(row["pid"], row["backend_start"])
