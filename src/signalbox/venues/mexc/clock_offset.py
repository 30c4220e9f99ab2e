"""How far the venue's clock is from ours (MEXC spot docs, "Check Server Time").

A signed request is accepted while `timestamp < server + 1000 ms` and `server - timestamp <= recvWindow`. With a
recvWindow of at most a second, a wrong clock means that every order is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from signalbox.domain.ports import Clock
from signalbox.venues.http import HttpResponse

SAMPLES = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_STALE_NS = 60_000_000_000


class ClockSample(Struct, frozen=True, kw_only=True):
    """One comparison: the venue's clock minus ours, and how wrong that can be (half the round trip)."""

    offset_us: int
    error_us: int


def sample_of(server_ms: int, *, sent_us: int, received_us: int) -> ClockSample:
    """Compare clocks: the venue read its own somewhere between our sending and our receiving.

    The venue cuts its time to the millisecond, which adds half a millisecond on either side of the middle.
    """
    middle_us = (sent_us + received_us) // 2
    half_trip_us = max(0, received_us - sent_us) // 2
    return ClockSample(offset_us=server_ms * 1000 + 500 - middle_us, error_us=half_trip_us + 500)


class ClockOffset:
    """The venue's time, from ours and the best of several samples."""

    def __init__(self, clock: Clock, ask: Callable[[], Awaitable[tuple[int, HttpResponse]]]) -> None:
        self._clock = clock
        self._ask = ask
        self._lock = asyncio.Lock()
        self._measured_ns: int | None = None
        self._offset = timedelta(0)
        self.best = ClockSample(offset_us=0, error_us=0)

    @property
    def is_fresh(self) -> bool:
        """True when it was measured within the last minute."""
        measured = self._measured_ns
        return measured is not None and self._clock.monotonic_ns() - measured < _STALE_NS

    def server_ms(self) -> int:
        """The venue's time now, in milliseconds UTC."""
        return (self.venue_now() - _EPOCH) // _MILLISECOND

    def venue_now(self) -> datetime:
        """The venue's time now, UTC."""
        return self._clock.now() + self._offset

    async def measure(self, samples: int = SAMPLES) -> None:
        """Take several samples and keep the one with the smallest bound. Raises VenueUnavailable."""
        async with self._lock:
            taken: list[ClockSample] = []
            for _ in range(samples):
                server_ms, response = await self._ask()
                sent, received = self._clock.at(response.sent_ns), self._clock.at(response.received_ns)
                microsecond = timedelta(microseconds=1)
                taken.append(
                    sample_of(
                        server_ms,
                        sent_us=(sent - _EPOCH) // microsecond,
                        received_us=(received - _EPOCH) // microsecond,
                    )
                )
            self.best = min(taken, key=lambda sample: sample.error_us)
            self._offset = timedelta(microseconds=self.best.offset_us)
            self._measured_ns = self._clock.monotonic_ns()
