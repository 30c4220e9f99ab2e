"""What the engine reads of an account's set-up, and the switch that applies to everybody."""

from collections.abc import Sequence
from datetime import datetime

from signalbox.domain.configuration import Account, AccountSettings
from signalbox.domain.errors import InvariantError, NotFoundError
from signalbox.domain.ids import AccountId
from signalbox.domain.ports import SystemState
from signalbox.ledger.database import Database
from signalbox.ledger.rows import account_from, settings_from


class Accounts:
    """Reads of accounts, settings and the kill switch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def account(self, account_id: AccountId) -> Account:
        """One account. Raises NotFoundError."""
        row = await self._database.fetchrow("SELECT * FROM accounts WHERE id = $1", account_id)
        if row is None:
            raise NotFoundError(f"There is no account {account_id}.")
        return account_from(row)

    async def settings(self, account_id: AccountId) -> AccountSettings:
        """The guardrails of an account. Raises NotFoundError."""
        row = await self._database.fetchrow("SELECT * FROM settings WHERE account_id = $1", account_id)
        if row is None:
            raise NotFoundError(f"There are no settings of account {account_id}.")
        return settings_from(row)

    async def record_validation(
        self, account_id: AccountId, *, at: datetime, valid: bool, error: str | None = None
    ) -> None:
        """How a check of an account's credentials ended. `valid` without an error clears the last one."""
        await self._database.execute(
            "UPDATE accounts SET checked_at = greatest($2, checked_at), last_error = $4,"
            " validated_at = CASE WHEN $3 THEN $2 ELSE validated_at END WHERE id = $1",
            account_id,
            at,
            valid,
            error,
        )

    async def validations_asked(self) -> Sequence[AccountId]:
        """Accounts whose credentials somebody wants checked, and that were not checked since."""
        rows = await self._database.fetch(
            "SELECT id FROM accounts WHERE validation_asked_at > coalesce(checked_at, '-infinity') ORDER BY label"
        )
        return [AccountId(row["id"]) for row in rows]

    async def system_state(self) -> SystemState:
        """The kill switch as it stands now. Its mode matters only while it is on."""
        row = await self._database.fetchrow("SELECT kill_switch, kill_switch_mode FROM system_status")
        if row is None:
            raise InvariantError("system_status has lost its only row")
        return SystemState(kill_switch=row["kill_switch"], kill_switch_mode=row["kill_switch_mode"] or "block")
