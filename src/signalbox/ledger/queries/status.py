"""The kill switch, the connections and the components' health."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from signalbox.ledger.sessions import ReadSession, WriteSession


class StatusRow(Struct, frozen=True, kw_only=True):
    """The one row of system_status."""

    kill_switch: bool
    kill_switch_mode: str | None
    kill_switch_activated_at: datetime | None
    kill_switch_activated_by: str | None
    kill_switch_deactivated_at: datetime | None
    kill_switch_deactivated_by: str | None
    kill_switch_reason: str | None
    mexc_connected: bool
    last_mexc_check: datetime | None
    last_event_time: datetime | None
    last_order_time: datetime | None
    started_at: datetime | None


class HealthRow(Struct, frozen=True, kw_only=True):
    """What a component last said of itself."""

    component_name: str
    status: str
    last_event_at: datetime | None
    updated_at: datetime
    details: dict[str, Any]


async def status_row(session: ReadSession) -> StatusRow:
    """The present state. Raises NotFoundError when the database was not set up."""
    found = await session.row(
        StatusRow,
        """
        SELECT kill_switch, kill_switch_mode, kill_switch_activated_at, kill_switch_activated_by,
               kill_switch_deactivated_at, kill_switch_deactivated_by, kill_switch_reason, mexc_connected,
               last_mexc_check, last_event_time, last_order_time, started_at
        FROM system_status
        """,
    )
    assert found is not None  # noqa: S101 - the migration makes the row and a trigger keeps it
    return found


async def throw_kill_switch(session: WriteSession, *, mode: str, reason: str, by: str, at: datetime) -> None:
    """Switch on, or change how it is on. `mode`: block, cancel, flatten or freeze.

    A trigger copies it into the row that every intent locks. Intents that are being committed hold that row, so this
    waits for them, and after its commit no intent follows that did not see the switch.
    """
    await session.execute(
        """
        UPDATE system_status SET
            kill_switch = true, kill_switch_mode = $1, kill_switch_reason = $2, kill_switch_activated_by = $3,
            kill_switch_activated_at = CASE WHEN kill_switch THEN kill_switch_activated_at ELSE $4 END,
            updated_at = $4
        """,
        mode,
        reason,
        by,
        at,
    )


async def lift_kill_switch(session: WriteSession, *, reason: str, by: str, at: datetime) -> None:
    """Switch off."""
    await session.execute(
        """
        UPDATE system_status SET
            kill_switch = false, kill_switch_reason = $1, kill_switch_deactivated_by = $2,
            kill_switch_deactivated_at = $3, updated_at = $3
        """,
        reason,
        by,
        at,
    )


async def health_rows(session: ReadSession) -> list[HealthRow]:
    """Every component by name."""
    return await session.rows(
        HealthRow,
        "SELECT component_name, status, last_event_at, updated_at, details FROM bot_health ORDER BY component_name",
    )
