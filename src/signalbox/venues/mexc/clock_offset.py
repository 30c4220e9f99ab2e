"""The venue's time, from ours (MEXC spot docs, "Check Server Time").

A signed request is accepted while `timestamp < server + 1000 ms` and `server - timestamp <= recvWindow`. With a
recvWindow of at most a second, a wrong clock means that every order is refused.

Everything is reckoned on the monotonic clock: once the venue's time is known, a step of this machine's wall clock (NTP,
an operator) moves neither a timestamp nor the instant at which an order is sent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from signalbox.domain.market import ClockReading
from signalbox.domain.ports import Clock
from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc.clock_bound import OffsetBound, sample_of

SAMPLES = 5
"""Taken when the time is needed and not known: enough for a good bound, and for a step to be confirmed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_US = 1_000
_MS = 1_000_000
_STALE_NS = 60_000_000_000


class ClockOffset:
    """The venue's clock as it is known now. One of these is shared by everybody who talks to the same address."""

    def __init__(self, clock: Clock, ask: Callable[[], Awaitable[tuple[int, HttpResponse]]]) -> None:
        self._clock = clock
        self._ask = ask
        self._lock = asyncio.Lock()
        self._bound = OffsetBound()
        self._measured_ns: int | None = None
        self._ahead_ns: int | None = None

    @property
    def is_fresh(self) -> bool:
        """True when it was measured within the last minute."""
        measured = self._measured_ns
        return measured is not None and self._clock.monotonic_ns() - measured < _STALE_NS

    @property
    def in_doubt(self) -> bool:
        """True while the last answer contradicts the ones before: the next one settles it."""
        return self._bound.in_doubt

    @property
    def steps(self) -> int:
        """How often the venue's clock was seen to jump."""
        return self._bound.steps

    def server_ms(self) -> int:
        """The venue's time now, in milliseconds UTC; this machine's while nobody has measured it."""
        if self._ahead_ns is None:
            return (self._clock.now() - _EPOCH) // timedelta(milliseconds=1)
        return (self._clock.monotonic_ns() + self._ahead_ns) // _MS

    def venue_now(self) -> datetime:
        """The venue's time now, UTC."""
        if self._ahead_ns is None:
            return self._clock.now()
        return _instant(self._clock.monotonic_ns() + self._ahead_ns)

    def monotonic_ns_at(self, venue_instant: datetime) -> int:
        """When the venue's clock will show this, on our monotonic clock. A later measurement may move it by the
        error of the former one: ask again right before it matters."""
        ahead_ns = self._ahead_ns
        if ahead_ns is None:
            now_ns = self._clock.monotonic_ns()
            ahead_ns = _nanoseconds(self._clock.at(now_ns)) - now_ns
        return _nanoseconds(venue_instant) - ahead_ns

    def reading(self) -> ClockReading | None:
        """The venue's clock minus this machine's wall clock, with its bound now; None before the first measurement."""
        if self._measured_ns is None:
            return None
        now_ns = self._clock.monotonic_ns()
        estimate = self._bound.estimate(now_ns)
        if estimate is None:
            return None
        ahead_ns, error_ns = estimate
        ours_ns = _nanoseconds(self._clock.at(now_ns))
        return ClockReading(
            offset=timedelta(microseconds=round((now_ns + ahead_ns - ours_ns) / _US)),
            error=timedelta(microseconds=-(-error_ns // _US)),
            measured_at=self._clock.at(self._measured_ns),
            samples=self._bound.count,
        )

    async def measure(self, samples: int = SAMPLES) -> None:
        """Compare clocks so many times, and once more when the last answer contradicts the others.
        Raises VenueUnavailable; what was learned until then stays."""
        async with self._lock:
            for _ in range(samples):
                await self._sample()
            if self._bound.in_doubt:
                await self._sample()

    async def _sample(self) -> None:
        server_ms, response = await self._ask()
        begun_ns = response.sent_ns if response.begun_ns is None else response.begun_ns
        self._bound.add(sample_of(server_ms, sent_ns=begun_ns, received_ns=response.received_ns))
        self._measured_ns = response.received_ns
        estimate = self._bound.estimate(response.received_ns)
        if estimate is not None:
            self._ahead_ns = estimate[0]


def _instant(ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ns // _US)


def _nanoseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND * _US
