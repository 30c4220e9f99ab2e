"""Opening connections to the ledger, and what their failures mean."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg

from signalbox.domain.errors import LedgerUnavailable

CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 10.0

IDLE_IN_TRANSACTION_S = 5.0
"""A process that stands still within a transaction loses its connection after this: it may hold rows that the kill
switch, or a new owner of an account, has to change. Less than they wait."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
UrlSource = Callable[[], Awaitable[str]]
"""Gives the database's URL each time a connection is opened; may start a private server first."""

CONNECTION_ERRORS = (
    OSError,  # TimeoutError is one
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,  # terminated, shut down, starting up
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""After one of these nobody knows whether the statement was committed."""


def fixed_url(url: str) -> UrlSource:
    """A source for a server that somebody else runs."""

    async def source() -> str:
        return url

    return source


async def connect(urls: UrlSource, purpose: str) -> Connection:
    """Open a connection on which every commit is durable.

    Statements stay prepared for ever and are planned once. Raises LedgerUnavailable, never waits for ever.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S * 2):
            return await asyncpg.connect(
                await urls(),
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                max_cached_statement_lifetime=0,
                server_settings=server_settings(purpose),
            )
    except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
        raise unavailable(error) from error


def server_settings(purpose: str) -> dict[str, str]:
    """What every connection of ours asks the server for; `purpose` shows in pg_stat_activity."""
    return {
        "application_name": f"signalbox {purpose}",
        "timezone": "UTC",
        "synchronous_commit": "on",
        "plan_cache_mode": "force_generic_plan",
        "jit": "off",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S * 1000:.0f}",
    }


def unavailable(error: BaseException) -> LedgerUnavailable:
    """The error that callers see."""
    return LedgerUnavailable(f"The ledger cannot be reached: {str(error) or type(error).__name__}")
