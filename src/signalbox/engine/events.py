"""What happened, for people: log lines now, system_events and component health as soon as the ledger takes them."""

import asyncio
from collections import deque
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from signalbox.domain.alerts import EVENT_LEVELS, Alert, Severity
from signalbox.domain.backoff import backoff
from signalbox.domain.errors import LedgerUnavailable, SignalboxError
from signalbox.domain.ports import Clock, Ledger

_CAPACITY = 10_000
_ALERTS = 1_000
_SEVERITIES = frozenset(Severity)


class _Event(Struct, frozen=True):
    values: dict[str, Any]


class _Health(Struct, frozen=True):
    component: str
    values: dict[str, Any]


class _Alert(Struct, frozen=True):
    """A raise, or with `reason` the end, of an alert."""

    alert: Alert
    reason: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.alert.kind, self.alert.subject


class EventJournal:
    """An EventSink that never blocks its callers. Events wait in memory (up to 10,000) while the ledger is away; of a
    component's health only the newest state waits, and an alert that is raised again while it waits counts up."""

    def __init__(self, ledger: Ledger, clock: Clock, actor: str) -> None:
        self._ledger = ledger
        self._clock = clock
        self._actor = actor
        self._log = structlog.get_logger("signalbox.engine")
        self._events: deque[_Event] = deque()
        self._alerts: deque[_Alert] = deque()
        self._over: set[tuple[str, str]] = set()
        self._states: dict[str, _Health] = {}
        self._dropped = 0
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._health: dict[str, str] = {}

    def event(self, level: str, category: str, message: str, **details: Any) -> None:
        """Log at once and queue for system_events. `level`: info, warning or error."""
        getattr(self._log, level)(message, category=category, **details)
        if len(self._events) >= _CAPACITY:
            self._events.popleft()
            self._dropped += 1
            self._log.error("too many events wait for the ledger; the oldest was dropped", dropped=self._dropped)
        values = {"at": self._clock.now(), "level": level, "category": category, "message": message}
        self._events.append(_Event({**values, "details": _plain(details), "actor": self._actor}))
        self._written_later()

    def health(self, component: str, status: str, **details: Any) -> None:
        """Tell a component's state: running, stopped, degraded or error. Only changes are logged."""
        if self._health.get(component) != status:
            self._log.info("component health", component=component, status=status, **details)
        self._health[component] = status
        values = {"status": status, "at": self._clock.now(), "details": _plain(details)}
        self._states[component] = _Health(component, values)
        self._written_later()

    def alert(self, kind: str, subject: str, message: str, *, severity: str = "warning", **details: Any) -> None:
        """Log at once and queue. `severity`: info, warning or critical."""
        known = Severity(severity) if severity in _SEVERITIES else Severity.WARNING  # nothing here may raise
        getattr(self._log, EVENT_LEVELS[known])(message, alert=kind, subject=subject, **details)
        alert = Alert(
            kind=kind,
            subject=subject,
            severity=known,
            message=message,
            at=self._clock.now(),
            details=_plain(details),
        )
        self._over.discard((kind, subject))
        self._queue_alert(_Alert(alert))

    def resolve(self, kind: str, subject: str, reason: str) -> None:
        """Queue the end of an alert. Told again without a new alert in between, it costs nothing."""
        key = (kind, subject)
        if key in self._over:
            return
        if len(self._over) >= _CAPACITY:
            self._over.clear()
        self._over.add(key)
        alert = Alert(kind=kind, subject=subject, severity=Severity.INFO, message=reason, at=self._clock.now())
        self._queue_alert(_Alert(alert, reason))

    def is_running(self, component: str) -> bool:
        """Whether a component was last heard of as running."""
        return self._health.get(component) == "running"

    async def run(self) -> None:
        """Write what waits, alerts before events before health, oldest first, until cancelled. A ledger that is away is
        waited for; an entry that the ledger refuses is dropped, so that it holds up nobody."""
        delays = backoff()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (entry := self._next()) is not None:
                try:
                    await self._write(entry)
                except LedgerUnavailable as error:
                    self._log.warning("the ledger does not take events", reason=str(error), waiting=len(self._events))
                    await asyncio.sleep(next(delays))
                    continue
                except SignalboxError as error:
                    self._log.error("the ledger refused an event", reason=str(error), entry=repr(entry)[:500])
                delays = backoff()
                self._forget(entry)
            self._drained.set()

    async def drain(self, timeout_s: float) -> None:
        """Wait until everything is written, at most `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._drained.wait()
        except TimeoutError:
            self._log.warning("events were not written in time", waiting=len(self._events))

    def _queue_alert(self, entry: _Alert) -> None:
        """A raise takes the place of the one that waits for the same cause. The first one of the queue is left alone:
        it may be on its way."""
        for index in range(len(self._alerts) - 1, 0, -1):
            waiting = self._alerts[index]
            if waiting.key == entry.key:
                if waiting.reason is None and entry.reason is None:
                    count = waiting.alert.count + entry.alert.count
                    self._alerts[index] = _Alert(msgspec.structs.replace(entry.alert, count=count))
                    return
                break
        if len(self._alerts) >= _ALERTS:
            self._dropped += 1
            self._over.discard(entry.key)  # an end that is lost may be told again
            self._log.error("too many alerts wait for the ledger; one was dropped", alert=entry.alert.kind)
            return
        self._alerts.append(entry)
        self._written_later()

    def _written_later(self) -> None:
        self._drained.clear()
        self._wake.set()

    def _next(self) -> _Alert | _Event | _Health | None:
        if self._alerts:
            return self._alerts[0]
        if self._events:
            return self._events[0]
        return next(iter(self._states.values()), None)

    async def _write(self, entry: _Alert | _Event | _Health) -> None:
        if isinstance(entry, _Alert):
            await self._write_alert(entry)
        elif isinstance(entry, _Event):
            await self._ledger.record_event(**entry.values)
        else:
            await self._ledger.record_health(entry.component, **entry.values)

    async def _write_alert(self, entry: _Alert) -> None:
        alert = entry.alert
        if entry.reason is None:
            await self._ledger.raise_alert(alert, actor=self._actor)
            return
        await self._ledger.resolve_alert(alert.kind, alert.subject, reason=entry.reason, at=alert.at, actor=self._actor)

    def _forget(self, entry: _Alert | _Event | _Health) -> None:
        """Unless it was dropped or replaced while it was being written."""
        if isinstance(entry, _Alert):
            self._alerts.popleft()
        elif isinstance(entry, _Event):
            if self._events and self._events[0] is entry:
                self._events.popleft()
        elif self._states.get(entry.component) is entry:
            del self._states[entry.component]


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    """Details as JSON can hold them: what it does not know becomes its text."""
    plain: dict[str, Any] = msgspec.to_builtins(details, enc_hook=str)
    return plain
