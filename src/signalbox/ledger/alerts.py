"""Alerts as the engine raises and resolves them. Each change is an event of the same transaction."""

from datetime import datetime

from signalbox.domain.alerts import EVENT_LEVELS, Alert, category_of
from signalbox.ledger.alert_statements import OPEN, REPEAT, RESOLVE
from signalbox.ledger.database import Database
from signalbox.ledger.records import add_event

_NUL = "\N{SYMBOL FOR NULL}"


class Alerts:
    """Writes of alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def raise_alert(self, alert: Alert, *, actor: str) -> None:
        """Open an alert, or count up the open one of the same kind and subject. The same raise counts once."""
        subject, message = alert.subject.replace("\x00", _NUL), alert.message.replace("\x00", _NUL)
        values = (alert.kind, subject, str(alert.severity), message, alert.details, alert.count, alert.at)
        async with self._database.transaction() as connection:
            number = None
            for statement in (REPEAT, OPEN, REPEAT):  # the last one when another session opened it meanwhile
                number = number or await connection.fetchval(statement, *values)
            if number is None:
                return
            await add_event(
                connection,
                at=alert.at,
                level=EVENT_LEVELS[alert.severity],
                category=category_of(alert.kind),
                message=message,
                details={**alert.details, "alert": alert.kind, "subject": subject, "alert_id": number},
                actor=actor,
            )

    async def resolve_alert(self, kind: str, subject: str, *, reason: str, at: datetime, actor: str) -> None:
        """End the open alert of this kind and subject, if there is one."""
        subject = subject.replace("\x00", _NUL)
        async with self._database.transaction() as connection:
            ended = await connection.fetchrow(RESOLVE, kind, subject, reason, at)
            if ended is None:
                return
            await add_event(
                connection,
                at=at,
                level="info",
                category=category_of(kind),
                message=f"{kind} {subject} is over: {reason}",
                details={"alert": kind, "subject": subject, "alert_id": ended["id"]},
                actor=actor,
            )
