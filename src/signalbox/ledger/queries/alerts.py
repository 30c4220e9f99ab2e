"""Alerts as commands read them, acknowledge them, and raise their own."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from signalbox.domain.alerts import Alert, Severity
from signalbox.ledger.alert_statements import OPEN, REPEAT, RESOLVE
from signalbox.ledger.sessions import ReadSession, WriteSession

_COLUMNS = """
    id, kind, subject, severity, message, details, first_at, last_at, count, acknowledged_at, acknowledged_by,
    resolved_at, resolution
"""


class AlertRow(Struct, frozen=True, kw_only=True):
    """One alert: open until `resolved_at`; `count` is how often it was raised meanwhile."""

    id: int
    kind: str
    subject: str
    severity: Severity
    message: str
    details: dict[str, Any]
    first_at: datetime
    last_at: datetime
    count: int
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolution: str | None


class _Number(Struct):
    id: int


async def list_alerts(session: ReadSession, *, also_resolved: bool = False, limit: int = 50) -> list[AlertRow]:
    """Open alerts, the worst and latest first; with `also_resolved` the history as well, after them."""
    return await session.rows(
        AlertRow,
        f"""
        SELECT {_COLUMNS} FROM alerts WHERE $1 OR resolved_at IS NULL
        ORDER BY resolved_at IS NOT NULL,
                 CASE WHEN resolved_at IS NULL
                      THEN array_position('{{critical,warning,info}}'::text[], severity) END,
                 last_at DESC, id DESC
        LIMIT $2
        """,  # noqa: S608 - constant columns
        also_resolved,
        limit,
    )


async def alert_by_id(session: ReadSession, number: int) -> AlertRow | None:
    """One alert, None when there is none of this number."""
    return await session.row(AlertRow, f"SELECT {_COLUMNS} FROM alerts WHERE id = $1", number)  # noqa: S608 - constant


async def acknowledge(session: WriteSession, number: int, *, by: str, at: datetime, resolution: str | None) -> None:
    """Note that somebody has seen an open alert; with a `resolution` that also ends it."""
    await session.execute(
        """
        UPDATE alerts SET
            acknowledged_at = coalesce(acknowledged_at, $3), acknowledged_by = coalesce(acknowledged_by, $2),
            resolved_at = CASE WHEN $4::text IS NOT NULL THEN greatest($3, last_at) END, resolution = $4
        WHERE id = $1 AND resolved_at IS NULL
        """,
        number,
        by,
        at,
        resolution,
    )


async def raise_alert(session: WriteSession, alert: Alert) -> None:
    """Open or count up an alert in the transaction of its cause, which writes the event."""
    values = (
        alert.kind,
        alert.subject,
        str(alert.severity),
        alert.message,
        alert.details,
        alert.count,
        alert.at,
    )
    if await session.row(_Number, REPEAT, *values) is None:
        await session.execute(OPEN, *values)


async def resolve_alert(session: WriteSession, kind: str, subject: str, *, reason: str, at: datetime) -> None:
    """End the open alert of this kind and subject, if there is one."""
    await session.execute(RESOLVE, kind, subject, reason, at)
