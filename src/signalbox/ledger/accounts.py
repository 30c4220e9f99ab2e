"""What the engine reads of an account's set-up, and the switch that applies to everybody."""

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

    async def system_state(self) -> SystemState:
        """The kill switch as it stands now. Its mode matters only while it is on."""
        row = await self._database.fetchrow("SELECT kill_switch, kill_switch_mode FROM system_status")
        if row is None:
            raise InvariantError("system_status has lost its only row")
        return SystemState(kill_switch=row["kill_switch"], kill_switch_mode=row["kill_switch_mode"] or "block")
