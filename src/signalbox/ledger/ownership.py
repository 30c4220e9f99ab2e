"""Exclusive ownership of accounts: an advisory lock held by a session of its own, and a number that only rises.

The lock keeps a second engine from starting on an account; the fence number keeps one that lost the lock without
knowing from writing (every intent carries the number it was made under).
"""

import asyncio
import logging

import asyncpg
from msgspec import Struct

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import ConflictError, LedgerUnavailable
from signalbox.domain.ids import AccountId
from signalbox.ledger.connecting import CONNECTION_ERRORS, Connection, UrlSource, connect, unavailable

PATIENCE_S = 5.0
"""How long to wait for the lock of an engine that was just killed: the server notices a dead session late."""

_RETRY_S = 0.1
_TRY = "SELECT pg_try_advisory_lock(hashtextextended('signalbox account ' || $1::uuid::text, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('signalbox account ' || $1::uuid::text, 0))"
_HOLDER = "SELECT holder FROM account_ownership WHERE account_id = $1"
_TAKE = """
INSERT INTO account_ownership (account_id, fence, holder) VALUES ($1, 1, $2)
ON CONFLICT (account_id) DO UPDATE
SET fence = account_ownership.fence + 1, holder = excluded.holder, acquired_at = now()
RETURNING fence
"""
_FENCE = "SELECT fence FROM account_ownership WHERE account_id = $1"

_log = logging.getLogger(__name__)


class _Held(Struct, frozen=True):
    """An account of ours: the number to act under, and the session that has its lock."""

    fence: int
    session: Connection


class Ownership:
    """The accounts that this process owns. One session holds all their locks and takes them again when it is lost."""

    def __init__(self, urls: UrlSource) -> None:
        self._urls = urls
        self._connection: Connection | None = None
        self._held: dict[AccountId, _Held] = {}
        self._turn = asyncio.Lock()
        self._restoring: asyncio.Task[None] | None = None

    async def own(self, account_id: AccountId, holder: str) -> int:
        """Take an account: returns the fence number to act under. Raises ConflictError when another process has it."""
        async with self._turn:
            connection = await self._session()
            try:
                if not await self._lock_once(connection, account_id):
                    other = await connection.fetchval(_HOLDER, account_id)
                    raise ConflictError(
                        f"Account {account_id} is run by another engine ({other}). Stop that one first."
                    )
                fence: int = await connection.fetchval(_TAKE, account_id, holder)
            except CONNECTION_ERRORS as error:
                raise unavailable(error) from error
            except asyncpg.ForeignKeyViolationError:
                await connection.execute(_UNLOCK, account_id)
                raise ConflictError(f"Account {account_id} does not exist.") from None
            self._held[account_id] = _Held(fence, connection)
            return fence

    async def disown(self, account_id: AccountId) -> None:
        """Give an account back. One that is not held is no error."""
        async with self._turn:
            held = self._held.pop(account_id, None)
            if held is None or held.session.is_closed():
                return
            try:
                await held.session.execute(_UNLOCK, account_id)
            except CONNECTION_ERRORS as error:
                _log.warning("the session that held account %s was lost already: %s", account_id, error)

    async def close(self) -> None:
        """Give back everything."""
        self._held.clear()
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.wait([self._restoring])
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.remove_termination_listener(self._lost)
            try:
                await connection.close(timeout=PATIENCE_S)
            except CONNECTION_ERRORS:
                connection.terminate()

    async def _session(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._urls, "ownership")
            self._connection.add_termination_listener(self._lost)
        return self._connection

    def _lost(self, connection: object) -> None:
        if connection is self._connection and self._held:
            _log.warning("the session that holds %d accounts is lost", len(self._held))
            self._restoring = asyncio.get_running_loop().create_task(self._restore(), name="ledger ownership")

    async def _restore(self) -> None:
        delays = backoff(first_s=_RETRY_S, longest_s=30.0)
        while self._held:
            try:
                async with self._turn:
                    await self._lock_again(await self._session())
            except (LedgerUnavailable, *CONNECTION_ERRORS) as error:
                _log.warning("accounts are not locked yet: %s", error)
                await asyncio.sleep(next(delays))
            else:
                return

    async def _lock_again(self, connection: Connection) -> None:
        for account_id, held in list(self._held.items()):
            free = await self._lock_once(connection, account_id)
            if free and await connection.fetchval(_FENCE, account_id) == held.fence:
                self._held[account_id] = _Held(held.fence, connection)
                continue
            _log.error("account %s has a new owner; its intents are refused from now on", account_id)
            del self._held[account_id]
            if free:
                await connection.execute(_UNLOCK, account_id)

    async def _lock_once(self, connection: Connection, account_id: AccountId) -> bool:
        """Take the lock unless this session has it already: a session's locks are counted."""
        held = self._held.get(account_id)
        if held is not None and held.session is connection:
            return True
        return await _lock(connection, account_id)


async def _lock(connection: Connection, account_id: AccountId) -> bool:
    for _ in range(round(PATIENCE_S / _RETRY_S)):
        if await connection.fetchval(_TRY, account_id):
            return True
        await asyncio.sleep(_RETRY_S)
    return False
