"""The venue's clock as the feed measures it: kept in the ledger, and an alert when orders would be refused for it."""

import asyncio
from datetime import timedelta
from typing import Any, Final

from signalbox.domain.configuration import BotConfiguration, Venue
from signalbox.domain.errors import LedgerUnavailable, SignalboxError
from signalbox.domain.market import ClockReading
from signalbox.domain.ports import Clock, EventSink, Ledger, ListingFeed

ALERT: Final = "clock"
LOOK_S: Final = 2.0
AT_LEAST_EVERY: Final = timedelta(minutes=1)

UNMEASURED_LIMIT_S: Final = 15.0
"""A run whose venue has not told its time for so long."""

OWN_CLOCK_LIMIT: Final = timedelta(seconds=1)
"""Beyond this, a request that carried this machine's own time would be refused (MEXC spot docs, "Timing security")."""

SHARE_OF_WINDOW: Final = 0.5
"""How much of the receive window the error may take: the rest is left to the order's way."""


class VenueClock:
    """Follows one feed's measurement for one account's run."""

    def __init__(self, venue: Venue, feed: ListingFeed, ledger: Ledger, *, clock: Clock, journal: EventSink) -> None:
        self._venue = venue
        self._feed = feed
        self._ledger = ledger
        self._clock = clock
        self._journal = journal
        self._trouble: str | None = None
        self._recorded: ClockReading | None = None

    async def follow(self, configuration: BotConfiguration) -> None:
        """Keep the ledger and the alert current until cancelled."""
        try:
            await self._look(configuration.recv_window)
        finally:
            self._judge(None, None)  # nobody looks at it any more

    async def _look(self, recv_window_ms: int) -> None:
        began_ns = self._clock.monotonic_ns()
        while True:
            reading = self._feed.clock()
            unmeasured_s = (self._clock.monotonic_ns() - began_ns) / 1_000_000_000
            if reading is not None or unmeasured_s >= UNMEASURED_LIMIT_S:
                self._judge(trouble_with(reading, recv_window_ms), reading)
            if reading is not None and is_news(reading, self._recorded):
                await self._record(reading)
            await asyncio.sleep(LOOK_S)

    async def _record(self, reading: ClockReading) -> None:
        """A reading that the ledger does not take now is overtaken by the next one."""
        try:
            await self._ledger.record_clock(self._venue, reading)
        except LedgerUnavailable as error:
            self._journal.health("ledger", "error", waiting_for="a clock reading", reason=str(error))
            return
        except SignalboxError as error:
            self._journal.event("error", "system", "a clock reading was refused", reason=str(error))
        self._recorded = reading

    def _judge(self, trouble: str | None, reading: ClockReading | None) -> None:
        before, self._trouble = self._trouble, trouble
        if trouble is None:
            if before is not None:
                self._journal.resolve(ALERT, self._venue, "the clocks are well, or nobody needs them")
        elif before is None:
            self._journal.alert(ALERT, self._venue, f"{self._venue}: {trouble}", **_figures(reading))


def trouble_with(reading: ClockReading | None, recv_window_ms: int) -> str | None:
    """Why orders may be refused for their time, None when all is well."""
    if reading is None:
        return "the exchange's time is not known, so orders carry this machine's own"
    limit = timedelta(milliseconds=recv_window_ms * SHARE_OF_WINDOW)
    if reading.error > limit:
        return (
            f"the exchange's time is known to ± {_ms(reading.error)} ms only; with a receive window of"
            f" {recv_window_ms} ms orders may be refused. Look at the network's delays, or choose a larger window"
        )
    if abs(reading.offset) >= OWN_CLOCK_LIMIT:
        return (
            f"this machine's clock is {_ms(reading.offset)} ms from the exchange's. Orders carry the exchange's time as"
            " long as it can be measured; without that all would be refused. Synchronise this machine (NTP)"
        )
    return None


def is_news(reading: ClockReading, recorded: ClockReading | None) -> bool:
    """Worth a row: the first one, a change beyond the error, or a minute has passed."""
    if recorded is None:
        return True
    change = abs(reading.offset - recorded.offset)
    return change > reading.error + recorded.error or reading.measured_at - recorded.measured_at >= AT_LEAST_EVERY


def _figures(reading: ClockReading | None) -> dict[str, Any]:
    return {} if reading is None else {"offset_ms": _ms(reading.offset), "error_ms": _ms(reading.error)}


def _ms(duration: timedelta) -> float:
    return round(duration / timedelta(milliseconds=1), 1)
