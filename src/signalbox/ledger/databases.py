"""Create and drop whole databases on a server, from synchronous code, whether or not an event loop runs."""

import asyncio
import contextlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg

from signalbox.domain.errors import LedgerUnavailable

_TIMEOUT_S = 60.0


def with_database(url: str, name: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(name)}"))


def database_name(url: str) -> str:
    """The database that `url` names."""
    return unquote(urlsplit(url).path.removeprefix("/"))


def create_database(server_url: str, name: str, *, template: str | None = None) -> None:
    """Create database `name`, as a copy of `template` if given. `server_url` names any existing database.

    Raises LedgerUnavailable, or asyncpg.PostgresError as the server says it (the name exists, the template is in use).
    """
    copied = "" if template is None else f" TEMPLATE {_quoted(template)}"
    _execute(server_url, f"CREATE DATABASE {_quoted(name)}{copied}")


def ensure_database(server_url: str, name: str) -> None:
    """Create database `name` unless it exists, or somebody else creates it at the same moment."""
    if not database_exists(server_url, name):
        with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            create_database(server_url, name)


def drop_database(server_url: str, name: str) -> None:
    """Drop database `name` if it exists; connections to it are cut."""
    _execute(server_url, f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")


def database_exists(server_url: str, name: str) -> bool:
    """Whether the server has a database `name`."""
    return bool(_run(_fetch_value(server_url, "SELECT count(*) FROM pg_database WHERE datname = $1", name)))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _execute(server_url: str, statement: str) -> None:
    _run(_fetch_value(server_url, statement))


async def _fetch_value(server_url: str, statement: str, *arguments: str) -> object:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            connection = await asyncpg.connect(server_url)
            try:
                if arguments:
                    return await connection.fetchval(statement, *arguments)
                return await connection.execute(statement)
            finally:
                await connection.close()
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        place = urlsplit(server_url).hostname or "the private server"
        raise LedgerUnavailable(
            f"PostgreSQL on {place} cannot be reached: {str(error) or type(error).__name__}"
        ) from error


def _run(work: Coroutine[None, None, object]) -> object:
    """Run `work` in a loop of its own in a thread of its own, and wait for it."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="databases") as executor:
        return executor.submit(asyncio.run, work).result()
