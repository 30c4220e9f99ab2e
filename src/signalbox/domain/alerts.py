"""What an operator has to look at: once per cause, counted when it repeats, open until it is over."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct


class Severity(StrEnum):
    """How much it matters. `critical`: money is at risk or trading stands still, somebody must act now."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


EVENT_LEVELS: Final = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "error"}
"""Under which level an alert stands in system_events."""

_CATEGORIES: Final = {
    "credentials": "config",
    "venue_throttled": "api",
    "venue_outage": "api",
    "clock": "api",
    "ledger_away": "system",
}

ENDED_BY_ACKNOWLEDGEMENT: Final = frozenset({"order_blocked", "external_order", "late_fill"})
"""Kinds that tell of something past: it is over as soon as somebody has seen it. The others last as long as their
cause."""


class Alert(Struct, frozen=True, kw_only=True):
    """One raise of an alert. Only one alert of a kind about a subject is open at a time: raising it again counts up.

    `kind` is a short word (`venue_outage`), `subject` says what it is about (an account's label, a position's id).
    `count`: how often it was raised since the last one that was stored.
    """

    kind: str
    subject: str
    severity: Severity
    message: str
    at: datetime
    details: dict[str, Any] = {}
    count: int = 1


def category_of(kind: str) -> str:
    """Under which category alerts of this kind stand in system_events: api, trading, system or config."""
    return _CATEGORIES.get(kind, "trading")
