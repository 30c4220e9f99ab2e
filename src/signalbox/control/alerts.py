"""Alerts: list them, look at one, tell that it was seen."""

from signalbox.control.context import Control
from signalbox.domain.alerts import ENDED_BY_ACKNOWLEDGEMENT, category_of
from signalbox.domain.errors import ConflictError, NotFoundError
from signalbox.ledger.queries import alerts
from signalbox.ledger.queries.alerts import AlertRow
from signalbox.ledger.sessions import ReadSession


async def list_alerts(control: Control, *, also_resolved: bool = False, limit: int = 50) -> list[AlertRow]:
    """Open alerts, the worst first; with `also_resolved` those that are over as well."""
    async with control.sessions.read() as session:
        return await alerts.list_alerts(session, also_resolved=also_resolved, limit=limit)


async def show_alert(control: Control, number: int) -> AlertRow:
    """One alert. Raises NotFoundError."""
    async with control.sessions.read() as session:
        return await _found(session, number)


async def acknowledge(control: Control, number: int) -> AlertRow:
    """Note who has seen an alert. One that tells of something past is over with that; the others stay open as long as
    their cause. Doing it again changes nothing. Raises NotFoundError, and ConflictError for one that is over."""
    async with control.sessions.write() as session:
        alert = await _found(session, number)
        if alert.resolved_at is not None:
            raise ConflictError(f"Alert {number} is over since {alert.resolved_at.isoformat()}: {alert.resolution}.")
        ends = alert.kind in ENDED_BY_ACKNOWLEDGEMENT
        if alert.acknowledged_at is not None and not ends:
            return alert
        resolution = f"acknowledged by {control.actor}" if ends else None
        await alerts.acknowledge(session, number, by=control.actor, at=control.clock.now(), resolution=resolution)
        await control.record(
            session,
            category_of(alert.kind),
            f"alert {number} ({alert.kind} {alert.subject}) acknowledged",
            alert=alert.kind,
            subject=alert.subject,
            alert_id=number,
        )
        return await _found(session, number)


async def _found(session: ReadSession, number: int) -> AlertRow:
    alert = await alerts.alert_by_id(session, number)
    if alert is None:
        raise NotFoundError(f"There is no alert {number}: 'signalbox alerts list --all' shows all.")
    return alert
