"""The append-only records."""

from datetime import datetime

from signalbox.control.context import Control
from signalbox.ledger.queries import events
from signalbox.ledger.queries.events import EventRow


async def list_events(
    control: Control,
    *,
    since: datetime | None = None,
    level: str | None = None,
    category: str | None = None,
    limit: int = 50,
) -> list[EventRow]:
    """What happened and who did it, newest first."""
    async with control.sessions.read() as session:
        return await events.list_events(session, since=since, level=level, category=category, limit=limit)
