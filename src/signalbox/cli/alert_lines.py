"""Open alerts in the head of a screen: red when somebody must act now, yellow when somebody should look."""

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from signalbox.cli.output import BAD, FAINT, WARN
from signalbox.domain.alerts import Severity
from signalbox.ledger.queries.alerts import AlertRow

HEAD_MAX = 4

_STYLES = {Severity.CRITICAL: BAD, Severity.WARNING: WARN, Severity.INFO: FAINT}


RED: Final = frozenset({"order_blocked"})
"""Kinds that are red whatever their severity: an order that a guardrail blocked must not be overlooked."""


def severity_cell(alert: AlertRow) -> Text:
    """The severity in its colour; that of an alert which is over is faint."""
    return Text(alert.severity.value, style=FAINT if alert.resolved_at is not None else _STYLES[alert.severity])


def head_lines(alerts: Sequence[AlertRow]) -> list[Text]:
    """A line for each open alert that nobody has acknowledged; the worst ones when there are many."""
    loud = [alert for alert in alerts if alert.acknowledged_at is None and alert.severity is not Severity.INFO]
    lines = [_line(alert) for alert in loud[:HEAD_MAX]]
    if len(loud) > HEAD_MAX:
        lines.append(Text(f" … and {len(loud) - HEAD_MAX} more: 'signalbox alerts list'", style=WARN))
    return lines


def quiet_lines(alerts: Sequence[AlertRow]) -> list[Text]:
    """A faint line for each open alert that somebody has acknowledged."""
    return [
        Text(f"alert {alert.id} (acknowledged by {alert.acknowledged_by}): {alert.message}", style=FAINT)
        for alert in alerts
        if alert.acknowledged_at is not None
    ]


def _line(alert: AlertRow) -> Text:
    often = f" ({alert.count} times)" if alert.count > 1 else ""
    return Text(
        f" {alert.severity.value.upper()} {alert.kind} {alert.subject}: {alert.message}{often} [alerts ack {alert.id}]",
        style=BAD if alert.kind in RED else _STYLES[alert.severity],
    )
