"""Fixtures for all tests."""

from collections.abc import Iterator

import pytest
from tests.postgresql import DatabaseServer, database_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[DatabaseServer]:
    """A PostgreSQL server for this session."""
    with database_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgresql: DatabaseServer) -> Iterator[str]:
    """The name of a database with the newest schema."""
    with postgresql.template() as name:
        yield name


@pytest.fixture
def database_url(postgresql: DatabaseServer, migrated_template: str) -> Iterator[str]:
    """A fresh database with the newest schema, for one test."""
    with postgresql.database(template=migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgresql: DatabaseServer) -> Iterator[str]:
    """A fresh database without any table, for one test."""
    with postgresql.database() as url:
        yield url
