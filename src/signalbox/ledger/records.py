"""Events for the audit stream, and the health of components."""

from datetime import datetime
from typing import Any

from msgspec import to_builtins

from signalbox.ledger.connecting import Connection
from signalbox.ledger.database import Database

_ADD_EVENT = """
INSERT INTO system_events (id, "timestamp", level, category, message, details, actor)
VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6)
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
        """The state of one component: running, stopped, degraded or error. An older report never replaces a newer."""
        await self._database.execute(
            "INSERT INTO bot_health (component_name, status, last_event_at, updated_at, details)"
            " VALUES ($1, $2, $3, $3, $4)"
            " ON CONFLICT (component_name) DO UPDATE SET status = excluded.status,"
            " last_event_at = excluded.last_event_at, updated_at = excluded.updated_at, details = excluded.details"
            " WHERE bot_health.updated_at <= excluded.updated_at",
            component,
            status,
            at,
            details,
        )


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
