"""Bring a database to a revision of the schema, all or nothing.

Alembic puts the versions in order and writes their SQL; one asyncpg connection runs it in one transaction, under an
advisory lock, so that processes that start together migrate once. These functions block: call them before the event
loop starts, or by `asyncio.to_thread`.
"""

import asyncio
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError

from signalbox.domain.errors import ConfigError, LedgerUnavailable

CONNECT_TIMEOUT_S = 10.0
QUEUE_TIMEOUT_S = 60
"""How long to wait for another process that is migrating."""
LOCK_TIMEOUT_S = 5
"""How long a version may wait for a table that others use."""
STATEMENT_TIMEOUT_S = 600
OLDEST_SERVER = 150000

_MIGRATION_LOCK = 0x5347_4E4C_424F_5831  # "SGNLBOX1"
_RETRY = "Nothing was changed; solve the cause and start again."


class MigrationError(ConfigError):
    """The schema could not be brought to the wanted revision. Nothing was changed."""


def upgrade(database_url: str, revision: str = "head") -> None:
    """Upgrade to `revision`. Does nothing when the database is there already.

    Raises MigrationError with the version and statement that failed and what to do; LedgerUnavailable when the
    database cannot be reached.
    """
    asyncio.run(_move(database_url, revision, down=False))


def downgrade(database_url: str, revision: str) -> None:
    """Go back to `revision` ("base" drops every table, with its rows). Errors as in `upgrade`."""
    asyncio.run(_move(database_url, revision, down=True))


def current(database_url: str) -> str | None:
    """The revision that the database is at, None when it has no schema yet. Raises LedgerUnavailable."""
    return asyncio.run(_current(database_url))


def head() -> str:
    """The newest revision that this code knows."""
    newest = _scripts().get_current_head()
    if newest is None:
        raise MigrationError("This installation has no migrations: install Signalbox again.")
    return newest


class _Statements:
    """Takes what Alembic writes, one statement per write."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> None:
        if text.strip():
            self.written.append(text.strip())

    def flush(self) -> None:
        """Nothing is buffered."""


def _config(output: Any = None) -> Config:
    # Alembic writes to any object with write() and flush(), though it asks for a TextIO.
    config = Config(output_buffer=output)
    config.set_main_option("script_location", "signalbox.ledger:migrations")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _plan(start: str | None, revision: str, *, down: bool) -> list[str]:
    """The SQL statements that lead from `start` to `revision`."""
    statements = _Statements()
    config = _config(statements)
    try:
        if down:
            command.downgrade(config, f"{start}:{revision}", sql=True)
        else:
            command.upgrade(config, f"{start}:{revision}" if start else revision, sql=True)
    except (CommandError, ResolutionError) as error:
        raise MigrationError(f"There is no way from revision {start or 'base'} to {revision!r}: {error}") from error
    return statements.written


async def _connect(database_url: str) -> "asyncpg.Connection[asyncpg.Record]":
    try:
        return await asyncpg.connect(
            database_url,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={"application_name": "signalbox migrate", "client_min_messages": "warning"},
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise LedgerUnavailable(f"Cannot connect to the database: {str(error) or type(error).__name__}") from error


async def _current(database_url: str) -> str | None:
    connection = await _connect(database_url)
    try:
        return await _stored_revision(connection)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


async def _stored_revision(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def _move(database_url: str, revision: str, *, down: bool) -> None:
    connection = await _connect(database_url)
    try:
        async with connection.transaction():
            await _wait_for_turn(connection)
            await _check_server(connection)
            start = await _stored_revision(connection)
            _check_known(start)
            await _run(connection, start, revision, down=down)
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        raise LedgerUnavailable(f"The connection was lost while migrating: {error}. {_RETRY}") from error
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


async def _wait_for_turn(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute(f"SET LOCAL lock_timeout = '{QUEUE_TIMEOUT_S}s'")
    try:
        await connection.execute(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    except asyncpg.LockNotAvailableError:
        raise MigrationError(
            f"Another process has been migrating this database for more than {QUEUE_TIMEOUT_S} s."
            " Wait for it or stop it, then start again."
        ) from None
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
    await connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT_S}s'")


async def _check_server(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    version = await connection.fetchval("SELECT current_setting('server_version_num')::int")
    if version < OLDEST_SERVER:
        raise MigrationError(f"PostgreSQL {version // 10000} is too old: Signalbox needs 15 or newer.")
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise MigrationError(f"The database's encoding is {encoding}; create it with ENCODING 'UTF8' instead.")


def _check_known(start: str | None) -> None:
    if start is None:
        return
    known = {script.revision for script in _scripts().walk_revisions()}
    if start not in known:
        raise MigrationError(
            f"The database is at revision {start!r}, which this version of Signalbox does not know: it ends at"
            f" {head()}. Install the newer version that made it, or restore a backup."
        )


async def _run(
    connection: "asyncpg.Connection[asyncpg.Record]", start: str | None, revision: str, *, down: bool
) -> None:
    if down and start is None:
        return
    if start is None:
        await connection.execute("DROP TABLE IF EXISTS alembic_version")  # left empty by a downgrade to base
    step = ""
    for statement in _plan(start, revision, down=down):
        if statement.startswith("-- Running"):
            step = statement.removeprefix("-- Running ")
            continue
        try:
            await connection.execute(statement)
        except asyncpg.PostgresConnectionError:
            raise
        except asyncpg.PostgresError as error:
            raise MigrationError(_failure(step, statement, error)) from error


def _failure(step: str, statement: str, error: asyncpg.PostgresError) -> str:
    first_line = next(line.strip() for line in statement.splitlines() if line.strip())
    advice = _RETRY
    if isinstance(error, asyncpg.LockNotAvailableError):
        advice = "Somebody is using the table: stop the engine and the api, then start again. Nothing was changed."
    elif isinstance(error, asyncpg.InsufficientPrivilegeError):
        advice = "The database user may not do this: grant it CREATE on the schema. Nothing was changed."
    return f"Migration failed at {step or 'start'}: {error} (in: {first_line}). {advice}"
