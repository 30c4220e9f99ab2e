"""What happened, for people: log lines now, system_events and component health as soon as the ledger takes them."""

import asyncio
from collections import deque
from typing import Any

import structlog
from msgspec import Struct

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import LedgerUnavailable
from signalbox.domain.ports import Clock, Ledger

_CAPACITY = 10_000


class _Entry(Struct, frozen=True):
    write: str
    values: dict[str, Any]


class EventJournal:
    """An EventSink that never blocks its callers. Events wait in memory (up to 10,000) while the ledger is away."""

    def __init__(self, ledger: Ledger, clock: Clock, actor: str) -> None:
        self._ledger = ledger
        self._clock = clock
        self._actor = actor
        self._log = structlog.get_logger("signalbox.engine")
        self._waiting: deque[_Entry] = deque()
        self._dropped = 0
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._health: dict[str, tuple[str, dict[str, Any]]] = {}

    def event(self, level: str, category: str, message: str, **details: Any) -> None:
        """Log at once and queue for system_events. `level`: info, warning or error."""
        getattr(self._log, level)(message, category=category, **details)
        now = self._clock.now()
        self._put(
            "event",
            {
                "at": now,
                "level": level,
                "category": category,
                "message": message,
                "details": details,
                "actor": self._actor,
            },
        )

    def health(self, component: str, status: str, **details: Any) -> None:
        """Tell a component's state: running, stopped, degraded or error. Only changes are logged."""
        before = self._health.get(component)
        if before is None or before[0] != status:
            self._log.info("component health", component=component, status=status, **details)
        self._health[component] = (status, details)
        self._put("health", {"component": component, "status": status, "at": self._clock.now(), "details": details})

    async def run(self) -> None:
        """Write what waits, oldest first, until cancelled. A ledger that is away is waited for."""
        delays = backoff()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                entry = self._waiting[0]
                try:
                    await self._write(entry)
                except LedgerUnavailable as error:
                    self._log.warning("the ledger does not take events", reason=str(error), waiting=len(self._waiting))
                    await asyncio.sleep(next(delays))
                    continue
                delays = backoff()
                if self._waiting and self._waiting[0] is entry:
                    self._waiting.popleft()
            self._drained.set()

    async def drain(self, timeout_s: float) -> None:
        """Wait until everything is written, at most `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._drained.wait()
        except TimeoutError:
            self._log.warning("events were not written in time", waiting=len(self._waiting))

    def _put(self, write: str, values: dict[str, Any]) -> None:
        if len(self._waiting) >= _CAPACITY:
            self._waiting.popleft()
            self._dropped += 1
            self._log.error("too many events wait for the ledger; the oldest was dropped", dropped=self._dropped)
        self._waiting.append(_Entry(write, values))
        self._drained.clear()
        self._wake.set()

    async def _write(self, entry: _Entry) -> None:
        if entry.write == "event":
            await self._ledger.record_event(**entry.values)
        else:
            await self._ledger.record_health(**entry.values)
