"""What the server refuses becomes an error of our own: one of another kind would end the engine."""

import pytest

from signalbox.domain.errors import ConfigError, ConflictError, InvariantError, LedgerUnavailable, SignalboxError
from signalbox.ledger.connecting import fixed_url
from signalbox.ledger.database import Database


@pytest.mark.parametrize(
    ("condition", "ours"),
    [
        ("deadlock_detected", LedgerUnavailable),
        ("read_only_sql_transaction", LedgerUnavailable),
        ("admin_shutdown", LedgerUnavailable),
        ("too_many_connections", LedgerUnavailable),
        ("unique_violation", ConflictError),
        ("check_violation", InvariantError),
        ("undefined_table", ConfigError),
        ("insufficient_privilege", InvariantError),
        ("raise_exception", InvariantError),
    ],
)
async def test_every_refusal_of_the_server_is_one_of_our_errors(
    condition: str, ours: type[SignalboxError], database_url: str
) -> None:
    database = Database(fixed_url(database_url), "test")
    await database.open()
    try:
        with pytest.raises(ours, match="told by a test"):
            await database.execute(
                f"DO $$ BEGIN RAISE EXCEPTION 'told by a test' USING ERRCODE = '{condition}'; END $$"
            )
        assert await database.fetchrow("SELECT 1") is not None
    finally:
        await database.close()
