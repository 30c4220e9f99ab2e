"""The private database is made on first use; a server of somebody else is never migrated unasked."""

from pathlib import Path

import pytest
from msgspec import structs
from tests.postgresql import temporary_directory

from signalbox.app.database import open_database
from signalbox.app.settings import Settings, load_settings
from signalbox.domain.errors import LedgerUnavailable
from signalbox.ledger import migrate


def settings(directory: Path, url: str | None = None) -> Settings:
    return structs.replace(load_settings({"SIGNALBOX_DATA_DIR": str(directory)}), database_url=url)


def test_a_private_database_has_the_newest_schema_at_once() -> None:
    with temporary_directory() as directory, open_database(settings(directory)) as database:
        assert migrate.current(database.url) == migrate.head()
        assert not database.is_demo


def test_an_empty_database_of_a_server_stays_empty_until_asked(empty_database_url: str, tmp_path: Path) -> None:
    with open_database(settings(tmp_path, empty_database_url)) as database:
        assert migrate.current(database.url) is None
    with open_database(settings(tmp_path, empty_database_url), upgrade=True) as database:
        assert migrate.current(database.url) == migrate.head()


def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    away = settings(tmp_path, "postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(LedgerUnavailable), open_database(away, upgrade=True):
        pass
