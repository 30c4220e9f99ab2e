"""The kill switch as the ledger holds it."""

from datetime import datetime
from enum import StrEnum

from signalbox.domain.errors import InvariantError
from signalbox.domain.ports import SystemState
from signalbox.ledger.database import Database
from signalbox.ledger.records import add_event


class KillSwitchMode(StrEnum):
    """How far it goes: no new entries; cancel open orders too; sell everything too; or nothing at all goes out."""

    BLOCK = "block"
    CANCEL = "cancel"
    FLATTEN = "flatten"
    FREEZE = "freeze"


class KillSwitch:
    """Read and throw the switch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def system_state(self) -> SystemState:
        """The switch as it stands now."""
        row = await self._database.fetchrow("SELECT kill_switch, kill_switch_mode FROM system_status")
        if row is None:
            raise InvariantError("system_status has lost its only row")
        return SystemState(kill_switch=row["kill_switch"], kill_switch_mode=row["kill_switch_mode"] or "block")

    async def activate(self, mode: KillSwitchMode, *, reason: str, at: datetime, by: str) -> None:
        """Throw the switch. When this returns, every intent that got past it is in the ledger, and none follows.

        The intents that are being committed hold their account's row; taking all of these rows waits for them.
        """
        async with self._database.transaction() as connection:
            await connection.execute("SELECT FROM account_ownership ORDER BY account_id FOR UPDATE")
            await connection.execute(
                "UPDATE system_status SET kill_switch = true, kill_switch_mode = $1, kill_switch_reason = $2,"
                " kill_switch_activated_at = $3, kill_switch_activated_by = $4, updated_at = $3",
                mode,
                reason,
                at,
                by,
            )
            await add_event(
                connection,
                at=at,
                level="warning",
                category="system",
                message=f"kill switch on ({mode}): {reason}",
                details={"mode": mode, "reason": reason},
                actor=by,
            )

    async def deactivate(self, *, reason: str, at: datetime, by: str) -> None:
        """Lift the switch: entries are possible again."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "UPDATE system_status SET kill_switch = false, kill_switch_reason = $1,"
                " kill_switch_deactivated_at = $2, kill_switch_deactivated_by = $3, updated_at = $2",
                reason,
                at,
                by,
            )
            await add_event(
                connection,
                at=at,
                level="warning",
                category="system",
                message=f"kill switch off: {reason}",
                details={"reason": reason},
                actor=by,
            )
