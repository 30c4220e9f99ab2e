"""The schema: both ways, equal to the metadata, and a failing migration that changes nothing."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import DDLElement
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment, SetTableComment

from signalbox.domain.errors import ConfigError, LedgerUnavailable
from signalbox.ledger import migrate
from signalbox.ledger.tables import metadata

CATALOG = {
    "columns": """
        SELECT c.relname || '.' || a.attname AS name,
            concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
                pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)) AS definition
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
    """,
    "constraints": """
        SELECT conrelid::regclass || '.' || conname AS name, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    """,
    "indexes": "SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE schemaname = 'public'",
    "comments": """
        SELECT relname AS name, obj_description(oid, 'pg_class') AS definition
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    """,
    "functions": "SELECT oid::regprocedure::text AS name, prosrc AS definition FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace",
    "triggers": "SELECT tgrelid::regclass || '.' || tgname AS name, pg_get_triggerdef(oid) AS definition"
    " FROM pg_trigger WHERE NOT tgisinternal",
}


async def catalog(url: str, *kinds: str) -> dict[str, dict[str, str]]:
    """Every object of these kinds with its definition as the server writes it, Alembic's own table left out."""
    connection = await asyncpg.connect(url)
    try:
        return {
            kind: {
                row["name"]: row["definition"]
                for row in await connection.fetch(CATALOG[kind])
                if "alembic_version" not in row["name"]
            }
            for kind in kinds
        }
    finally:
        await connection.close()


async def create_all(url: str) -> None:
    """What the metadata says, without any migration."""
    connection = await asyncpg.connect(url)
    try:
        for table in metadata.sorted_tables:
            elements: list[DDLElement] = [CreateTable(table), *(CreateIndex(index) for index in table.indexes)]
            if table.comment:
                elements.append(SetTableComment(table))
            elements.extend(SetColumnComment(column) for column in table.columns if column.comment)
            for element in elements:
                compiled = element.compile(dialect=dialect())  # type: ignore[no-untyped-call]  # untyped there
                await connection.execute(str(compiled))
    finally:
        await connection.close()


@pytest.fixture
def second_database_url(empty_database_url: str) -> str:
    """A database beside `database_url`."""
    return empty_database_url


def test_migrations_build_what_the_metadata_says(database_url: str, second_database_url: str) -> None:
    """Stricter than Alembic's own comparison: CHECK constraints, partial indexes and comments are compared too."""
    asyncio.run(create_all(second_database_url))
    kinds = ("columns", "constraints", "indexes", "comments")
    migrated = asyncio.run(catalog(database_url, *kinds))
    declared = asyncio.run(catalog(second_database_url, *kinds))
    for kind in kinds:
        assert migrated[kind] == declared[kind]
    assert len(migrated["constraints"]) > 150


def test_up_down_up_gives_the_same_schema(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    first = asyncio.run(catalog(empty_database_url, *CATALOG))
    migrate.downgrade(empty_database_url, "base")
    assert migrate.current(empty_database_url) is None
    assert all(not objects for objects in asyncio.run(catalog(empty_database_url, *CATALOG)).values())
    migrate.upgrade(empty_database_url)
    assert asyncio.run(catalog(empty_database_url, *CATALOG)) == first


def test_every_step_goes_down_and_up_again(empty_database_url: str) -> None:
    revisions = [script.revision for script in migrate._scripts().walk_revisions()]
    migrate.upgrade(empty_database_url)
    for revision in [*revisions[1:], "base"]:
        migrate.downgrade(empty_database_url, revision)
    for revision in reversed(revisions):
        migrate.upgrade(empty_database_url, revision)
        assert migrate.current(empty_database_url) == revision
    assert migrate.current(empty_database_url) == migrate.head()


def test_an_upgrade_of_an_upgraded_database_changes_nothing(database_url: str) -> None:
    migrate.upgrade(database_url)
    assert migrate.current(database_url) == migrate.head()


def test_first_start_seeds_the_defaults(database_url: str) -> None:
    async def read() -> tuple[asyncpg.Record | None, list[asyncpg.Record]]:
        connection = await asyncpg.connect(database_url)
        try:
            status = await connection.fetchrow("SELECT * FROM system_status")
            return status, await connection.fetch("SELECT * FROM chain_heads ORDER BY stream")
        finally:
            await connection.close()

    status, heads = asyncio.run(read())
    assert status is not None
    assert (status["id"], status["kill_switch"], status["mexc_connected"]) == (1, False, False)
    assert [(head["stream"], head["sequence"], head["hash"]) for head in heads] == [
        ("system_events", 0, bytes(32)),
        ("trade_logs", 0, bytes(32)),
    ]


def test_processes_that_start_together_migrate_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        for outcome in [threads.submit(migrate.upgrade, empty_database_url) for _ in range(4)]:
            outcome.result(timeout=60)
    assert migrate.current(empty_database_url) == migrate.head()


def execute(url: str, *statements: str) -> None:
    """Run statements, one by one."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def test_a_failing_migration_says_what_failed_and_changes_nothing(empty_database_url: str) -> None:
    execute(empty_database_url, "CREATE TABLE trade_orders (id int)")
    with pytest.raises(ConfigError) as refusal:
        migrate.upgrade(empty_database_url)
    message = str(refusal.value)
    assert "0002 -> 0003" in message
    assert 'relation "trade_orders" already exists' in message
    assert "CREATE TABLE trade_orders" in message
    assert "Nothing was changed" in message
    assert migrate.current(empty_database_url) is None
    left = asyncio.run(catalog(empty_database_url, "columns"))["columns"]
    assert list(left) == ["trade_orders.id"]


def test_a_newer_database_is_refused(database_url: str) -> None:
    execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match=r"'9999', which this version of Signalbox does not know"):
        migrate.upgrade(database_url)


def test_an_unknown_target_is_refused(database_url: str) -> None:
    with pytest.raises(ConfigError, match="no way from revision"):
        migrate.upgrade(database_url, "nonsense")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(LedgerUnavailable, match="Cannot connect"):
        migrate.upgrade("postgresql://nobody@127.0.0.1:1/none")


def test_migrations_are_in_the_package() -> None:
    directory = Path(migrate._scripts().dir)
    assert directory.name == "migrations"
    assert {path.stem[:4] for path in (directory / "versions").glob("0*.py")} >= {"0001", "0005"}
