"""Compares clocks all the time: every few seconds, and more often shortly before something opens."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.market import ClockReading
from signalbox.domain.ports import Clock, EventSink
from signalbox.venues.backoff import Backoff, Jitter
from signalbox.venues.mexc.clock_offset import SAMPLES, ClockOffset
from signalbox.venues.mexc.polling import pause_after

COMPONENT: Final = "feed.clock"
STEADY_S: Final = 4.0
DENSE_S: Final = 0.4
"""Each comparison weighs 1 of the 300 that the venue allows in ten seconds."""

DENSE_BEFORE: Final = timedelta(seconds=8)
OUR_STEP: Final = timedelta(milliseconds=50)
"""This machine's wall clock against its monotonic one: what changes by more at once was set by somebody."""

_TOLD_EVERY_NS: Final = 5_000_000_000


class ClockWatch:
    """Keeps one ClockOffset fresh and says what it knows. `on_measured` is called after each comparison."""

    def __init__(
        self,
        offset: ClockOffset,
        *,
        clock: Clock,
        events: EventSink,
        jitter: Jitter,
        next_opening: Callable[[], datetime | None],
        on_measured: Callable[[], None],
    ) -> None:
        self._offset = offset
        self._clock = clock
        self._events = events
        self._jitter = jitter
        self._next_opening = next_opening
        self._on_measured = on_measured
        self._ours: datetime | None = None
        self._steps = 0
        self._told_ns: int | None = None

    async def run(self) -> None:
        """Compare until cancelled."""
        backoff = Backoff(self._jitter)
        while True:
            try:
                await self._offset.measure(1 if self._offset.is_fresh else SAMPLES)
            except (VenueUnavailable, VenueRefused) as error:
                self._told_ns = None
                self._events.health(COMPONENT, "degraded", reason=str(error), **_figures(self._offset.reading()))
                await asyncio.sleep(max(STEADY_S, pause_after(error, backoff)))
                continue
            backoff.reset()
            self._look_for_steps()
            self._tell()
            self._on_measured()
            await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        opens_at = self._next_opening()
        if opens_at is None:
            return STEADY_S
        until_dense = (opens_at - DENSE_BEFORE - self._offset.venue_now()).total_seconds()
        return max(DENSE_S, min(STEADY_S, until_dense))

    def _tell(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._told_ns is None or now_ns - self._told_ns >= _TOLD_EVERY_NS:
            self._told_ns = now_ns
            self._events.health(COMPONENT, "running", **_figures(self._offset.reading()))

    def _look_for_steps(self) -> None:
        """A clock that was set explains orders and times that look odd later."""
        if self._offset.steps != self._steps:
            self._steps = self._offset.steps
            self._warn("the exchange's clock made a step; it was measured anew")
        ours = self._clock.at(0)  # moves only when the wall clock is set
        before, self._ours = self._ours, ours
        if before is not None and abs(ours - before) > OUR_STEP:
            step_ms = round((ours - before) / timedelta(milliseconds=1))
            self._warn(
                f"this machine's clock was set by {step_ms:+d} ms; orders are timed by the exchange's clock and are not"
                " moved by it"
            )

    def _warn(self, message: str) -> None:
        self._told_ns = None
        self._events.event("warning", "system", message, **_figures(self._offset.reading()))


def _figures(reading: ClockReading | None) -> dict[str, float | int]:
    """What is known, in milliseconds to the microsecond; nothing before the first comparison."""
    if reading is None:
        return {}
    millisecond = timedelta(milliseconds=1)
    return {
        "offset_ms": round(reading.offset / millisecond, 3),
        "error_ms": round(reading.error / millisecond, 3),
        "samples": reading.samples,
    }
