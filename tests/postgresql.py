"""Databases for tests: a server for the session, and a fresh migrated database for each test.

The server is the one of SIGNALBOX_TEST_DATABASE_URL or SIGNALBOX_DATABASE_URL (a role that may create databases),
else a private one in a temporary directory without fsync, one for each pytest worker. On a given server every name
starts with `signalbox_test_` and is dropped again.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signalbox.ledger import databases, migrate
from signalbox.ledger.embedded import open_embedded

_VARIABLES = ("SIGNALBOX_TEST_DATABASE_URL", "SIGNALBOX_DATABASE_URL")


class DatabaseServer:
    """A server on which tests may create databases. `url` names an existing database of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = secrets.token_hex(4)
        self._count = 0

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """The URL of a new database, empty or a copy of the database `template`; dropped at the end."""
        self._count += 1
        name = f"signalbox_test_{self._session}_{self._count}"
        databases.create_database(self.url, name, template=template)
        try:
            yield databases.with_database(self.url, name)
        finally:
            databases.drop_database(self.url, name)

    @contextmanager
    def template(self) -> Iterator[str]:
        """The name of a database with the newest schema, to be copied by `database`."""
        with self.database() as url:
            migrate.upgrade(url)
            yield databases.database_name(url)


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """A short-lived directory that the account of a private server can enter when the tests run as root."""
    directory = Path(tempfile.mkdtemp(prefix="signalbox-test-"))
    if os.geteuid() == 0:
        directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def database_server() -> Iterator[DatabaseServer]:
    """The server for this test session (see the module)."""
    for variable in _VARIABLES:
        url = os.environ.get(variable)  # noqa: TID251 - which server to test on is the tests' own setting
        if url:
            yield DatabaseServer(url)
            return
    with temporary_directory() as directory, open_embedded(directory, fsync=False) as server:
        yield DatabaseServer(server.url("postgres"))
