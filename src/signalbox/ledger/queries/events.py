"""What happened, and who did it: the append-only, hash-chained system_events."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from signalbox.ledger.sessions import ReadSession, WriteSession


class EventRow(Struct, frozen=True, kw_only=True):
    """One event. `details` is what its kind adds."""

    sequence: int
    timestamp: datetime
    level: str
    category: str
    message: str
    details: dict[str, Any]
    actor: str


class NewEvent(Struct, frozen=True, kw_only=True):
    """An event to be written. `level`: info, warning, error. `category`: api, trading, system, config."""

    id: UUID
    at: datetime
    level: str
    category: str
    message: str
    actor: str
    details: dict[str, Any] = {}


async def insert_event(session: WriteSession, event: NewEvent) -> None:
    """Append an event in the same transaction as what it tells of."""
    await session.execute(
        """
        INSERT INTO system_events (id, timestamp, level, category, message, details, actor)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        event.id,
        event.at,
        event.level,
        event.category,
        event.message,
        event.details,
        event.actor,
    )


async def list_events(
    session: ReadSession,
    *,
    since: datetime | None = None,
    level: str | None = None,
    category: str | None = None,
    limit: int = 50,
) -> list[EventRow]:
    """Events, newest first."""
    return await session.rows(
        EventRow,
        """
        SELECT sequence, timestamp, level, category, message, details, actor FROM system_events
        WHERE ($1::timestamptz IS NULL OR timestamp >= $1) AND ($2::text IS NULL OR level = $2)
          AND ($3::text IS NULL OR category = $3)
        ORDER BY sequence DESC LIMIT $4
        """,
        since,
        level,
        category,
        limit,
    )
