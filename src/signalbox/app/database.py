"""The database of this process: a server that the settings name, or the private one, started when needed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from signalbox.app.settings import Settings
from signalbox.domain.errors import LedgerUnavailable
from signalbox.ledger import databases, migrate
from signalbox.ledger.embedded import EmbeddedServer, open_embedded

MAINTENANCE_DATABASE = "postgres"
DEMO_DATABASE = "signalbox_demo"
"""The demo's own ledger: only a simulated exchange ever wrote into it."""


class OpenDatabase:
    """A database that is there while this object is used. `server` is None when somebody else runs PostgreSQL."""

    def __init__(self, url: str, server: EmbeddedServer | None = None) -> None:
        self.url = url
        self.server = server

    @property
    def is_demo(self) -> bool:
        """True for the ledger that a demo left behind."""
        return databases.database_name(self.url) == DEMO_DATABASE

    @property
    def notice(self) -> str | None:
        """One sentence for people when the data is not where they asked for it."""
        return self.server.notice if self.server else None

    async def current_url(self) -> str:
        """The URL for a new connection; brings the private server back first when it has died."""
        if self.server is None:
            return self.url
        await asyncio.to_thread(self.server.ensure)
        return self.server.url(databases.database_name(self.url))


@contextmanager
def open_database(settings: Settings, *, upgrade: bool = False) -> Iterator[OpenDatabase]:
    """Use the database of the settings; the private server runs at least as long as this context.

    A private database that does not exist yet is created with the newest schema; `upgrade` brings any database to it.
    Blocks: enter it before the event loop starts. Raises LedgerUnavailable or a ConfigError that says what to do.
    """
    if settings.database_url is not None:
        if upgrade:
            migrate.upgrade(settings.database_url)
        yield OpenDatabase(settings.database_url)
        return
    with open_embedded(postgresql_directory(settings)) as server:
        created = ensure_database(server.url(MAINTENANCE_DATABASE), settings.database_name)
        database = OpenDatabase(server.url(settings.database_name), server)
        if created or upgrade:
            migrate.upgrade(database.url)
        yield database


def postgresql_directory(settings: Settings) -> Path:
    """The directory below which the private server keeps its things (in `postgresql/`)."""
    return settings.data_dir


def ensure_database(server_url: str, name: str) -> bool:
    """Create database `name` unless it exists. True when it was created now. Raises LedgerUnavailable."""
    try:
        if databases.database_exists(server_url, name):
            return False
        databases.create_database(server_url, name)
    except asyncpg.DuplicateDatabaseError:  # somebody else was faster
        return False
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise LedgerUnavailable(f"Database {name!r} cannot be created: {str(error) or type(error).__name__}") from error
    return True
