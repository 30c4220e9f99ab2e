"""Accounts, their settings, configurations, and the switches that apply to everybody."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import to_builtins

from signalbox.domain.configuration import Account, AccountSettings, BotConfiguration
from signalbox.domain.errors import ConflictError, InvariantError, NotFoundError
from signalbox.domain.ids import AccountId, ConfigurationId
from signalbox.ledger.database import Database
from signalbox.ledger.records import add_event
from signalbox.ledger.rows import account_from, configuration_from, settings_from

_ADD_SETTINGS = """
INSERT INTO settings (
    account_id, version, mode, max_trade_usdt, max_position_usdt, global_exposure_cap, asset_exposure_caps,
    daily_loss_limit, auto_trade, created_at, updated_at, updated_by
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
"""

_CHANGE_SETTINGS = """
UPDATE settings SET
    version = version + 1, mode = $3, max_trade_usdt = $4, max_position_usdt = $5, global_exposure_cap = $6,
    asset_exposure_caps = $7, daily_loss_limit = $8, auto_trade = $9, updated_at = $10, updated_by = $11
WHERE account_id = $1 AND version = $2
RETURNING *
"""

_ADD_CONFIGURATION = """
INSERT INTO bot_configurations (
    id, name, version, strategy, mode, symbols, quote_amount, max_trades_per_hour, max_daily_spend, recv_window,
    safety_enabled, parameters, created_at, updated_at, created_by
)
SELECT
    $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13
FROM bot_configurations WHERE name = $2
RETURNING *
"""


class Accounts:
    """Reads and changes of what operators set up. Every change lands in system_events with its author."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def account(self, account_id: AccountId) -> Account:
        """One account. Raises NotFoundError."""
        row = await self._database.fetchrow("SELECT * FROM accounts WHERE id = $1", account_id)
        if row is None:
            raise NotFoundError(f"There is no account {account_id}.")
        return account_from(row)

    async def accounts(self) -> Sequence[Account]:
        """All accounts, by venue and label."""
        return [account_from(row) for row in await self._database.fetch("SELECT * FROM accounts ORDER BY venue, label")]

    async def add_account(self, account: Account, *, at: datetime, by: str) -> Account:
        """The account of this venue and label: the existing one, or a new one with safe settings."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "INSERT INTO accounts (id, venue, label, environment, created_at) VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT (venue, label) DO NOTHING",
                account.id,
                account.venue,
                account.label,
                account.environment,
                at,
            )
            row = await connection.fetchrow(
                "SELECT * FROM accounts WHERE venue = $1 AND label = $2", account.venue, account.label
            )
            if row is None:
                raise InvariantError(f"account {account.label} is neither new nor there")
            if row["id"] == account.id and not await connection.fetchval(
                "SELECT EXISTS (SELECT FROM settings WHERE account_id = $1)", account.id
            ):
                await connection.execute(_ADD_SETTINGS, *_values(AccountSettings(account_id=account.id)), at, by)
                await add_event(
                    connection,
                    at=at,
                    level="info",
                    category="config",
                    message=f"account {account.label} on {account.venue} was added",
                    details=to_builtins(account),
                    actor=by,
                )
        return account_from(row)

    async def record_validation(self, account_id: AccountId, *, at: datetime, error: str | None) -> None:
        """The outcome of a credentials check: success clears the last error."""
        await self._database.execute(
            "UPDATE accounts SET validated_at = CASE WHEN $3::text IS NULL THEN $2 ELSE validated_at END,"
            " last_error = $3 WHERE id = $1",
            account_id,
            at,
            error,
        )

    async def settings(self, account_id: AccountId) -> AccountSettings:
        """The guardrails of an account. Raises NotFoundError."""
        row = await self._database.fetchrow("SELECT * FROM settings WHERE account_id = $1", account_id)
        if row is None:
            raise NotFoundError(f"There are no settings of account {account_id}.")
        return settings_from(row)

    async def change_settings(self, settings: AccountSettings, *, at: datetime, by: str) -> AccountSettings:
        """Replace the settings that had `settings.version`; returns them with the next version.

        Raises ConflictError when somebody else changed them meanwhile.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_CHANGE_SETTINGS, *_values(settings), at, by)
            if row is None:
                raise ConflictError(
                    f"The settings are not at version {settings.version} any more: somebody else changed them."
                    " Look at them again, then change them."
                )
            changed = settings_from(row)
            await add_event(
                connection,
                at=at,
                level="info",
                category="config",
                message=f"settings changed to version {changed.version}",
                details=to_builtins(changed),
                actor=by,
            )
        return changed

    async def settings_history(self, account_id: AccountId) -> Sequence[tuple[AccountSettings, datetime, str]]:
        """Every version of the settings, newest first, with its time and author."""
        rows = await self._database.fetch(
            "SELECT * FROM settings_history WHERE account_id = $1 ORDER BY version DESC", account_id
        )
        return [(settings_from(row), row["updated_at"], row["updated_by"]) for row in rows]

    async def add_configuration(self, configuration: BotConfiguration, *, by: str) -> BotConfiguration:
        """Store a configuration as the next version of its name; returns it with that version."""
        c = configuration
        async with self._database.transaction() as connection:
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('configuration ' || $1, 0))", c.name
            )
            row = await connection.fetchrow(
                _ADD_CONFIGURATION,
                c.id,
                c.name,
                c.strategy,
                c.mode,
                list(c.symbols),
                c.quote_amount,
                c.max_trades_per_hour,
                c.max_daily_spend,
                c.recv_window,
                c.safety_enabled,
                c.parameters,
                c.created_at,
                c.created_by,
            )
            if row is None:
                raise InvariantError(f"configuration {c.name} was not stored")
            added = configuration_from(row)
            await add_event(
                connection,
                at=c.created_at,
                level="info",
                category="config",
                message=f"configuration {c.name} version {added.version} was created",
                details=to_builtins(added),
                actor=by,
            )
        return added

    async def configuration(self, configuration_id: ConfigurationId) -> BotConfiguration:
        """One configuration. Raises NotFoundError."""
        row = await self._database.fetchrow("SELECT * FROM bot_configurations WHERE id = $1", configuration_id)
        if row is None:
            raise NotFoundError(f"There is no configuration {configuration_id}.")
        return configuration_from(row)

    async def configurations(self, name: str | None = None) -> Sequence[BotConfiguration]:
        """All versions (of one name, if given), newest first."""
        rows = await self._database.fetch(
            "SELECT * FROM bot_configurations WHERE $1::text IS NULL OR name = $1"
            " ORDER BY created_at DESC, version DESC",
            name,
        )
        return [configuration_from(row) for row in rows]


def _values(settings: AccountSettings) -> tuple[object, ...]:
    s = settings
    return (
        s.account_id,
        s.version,
        s.mode,
        s.max_trade_usdt,
        s.max_position_usdt,
        s.global_exposure_cap,
        s.asset_exposure_caps,
        s.daily_loss_limit,
        s.auto_trade,
    )
