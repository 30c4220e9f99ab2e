"""Events for the audit stream, and the health of components."""

from datetime import datetime
from typing import Any

from msgspec import to_builtins

from signalbox.domain.ports import ENGINE
from signalbox.ledger.connecting import Connection
from signalbox.ledger.database import Database

_ADD_EVENT = """
INSERT INTO system_events (id, "timestamp", level, category, message, details, actor)
VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6)
"""

_ADD_HEALTH = """
INSERT INTO bot_health (component_name, status, last_event_at, updated_at, details) VALUES ($1, $2, $3, $3, $4)
ON CONFLICT (component_name) DO UPDATE SET
    status = excluded.status, last_event_at = excluded.last_event_at, updated_at = excluded.updated_at,
    details = excluded.details
WHERE bot_health.updated_at <= excluded.updated_at
"""

_SYSTEM_STATUS = """
UPDATE system_status SET
    started_at = coalesce($3::text::timestamptz, started_at), mexc_connected = coalesce($2, mexc_connected),
    last_mexc_check = $1, updated_at = greatest(updated_at, $1),
    last_event_time = coalesce((SELECT created_at FROM listings ORDER BY created_at DESC LIMIT 1), last_event_time)
"""


class Records:
    """Writes of system_events and bot_health."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_event(
        self, *, at: datetime, level: str, category: str, message: str, details: dict[str, Any], actor: str
    ) -> None:
        """Append to system_events. `level`: info, warning, error; `category`: api, trading, system, config."""
        async with self._database.transaction() as connection:
            await add_event(
                connection, at=at, level=level, category=category, message=message, details=details, actor=actor
            )

    async def record_health(self, component: str, status: str, at: datetime, details: dict[str, Any]) -> None:
        """The state of one component: running, stopped, degraded or error. An older report never replaces a newer.

        What the engine says of itself also goes into system_status.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_ADD_HEALTH, component, status, at, details)
            if component == ENGINE:
                connected, started_at = details.get("mexc_connected"), details.get("started_at")
                await connection.execute(_SYSTEM_STATUS, at, connected, started_at)


async def add_event(
    connection: Connection,
    *,
    at: datetime,
    level: str,
    category: str,
    message: str,
    details: dict[str, Any],
    actor: str,
) -> None:
    """Append an event inside a transaction. Do it last: it locks the head of the stream until the end."""
    await connection.execute(
        _ADD_EVENT,
        at,
        level,
        category,
        message.replace("\x00", "\N{SYMBOL FOR NULL}"),
        to_builtins(details, enc_hook=str),
        actor,
    )
