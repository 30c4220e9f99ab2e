"""Time that runs faster than the machine's, for a process of its own: clocks and event loop together.

Every process that is started with the same `Pace` shows the same time. Waits take `speed` times less; computing does
not get faster, so a speed is good only while the machine is idle most of the time.
"""

import asyncio
import selectors
import time
from datetime import UTC, datetime, timedelta

from msgspec import Struct

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Pace(Struct, frozen=True):
    """Since `began_ns` (monotonic) and `began_utc_ns` time runs `speed` times as fast."""

    speed: float
    began_ns: int
    began_utc_ns: int

    @classmethod
    def from_now(cls, speed: float) -> "Pace":
        """Begin now."""
        return cls(speed, time.monotonic_ns(), time.time_ns())  # noqa: TID251 - a bench owns its time

    def passed_ns(self) -> int:
        """Fast nanoseconds since the beginning."""
        return round((time.monotonic_ns() - self.began_ns) * self.speed)  # noqa: TID251 - see above


class FastClock:
    """A clock for the engine and for the simulated exchange."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def monotonic_ns(self) -> int:
        """Fast, and never back."""
        return self._pace.began_ns + self._pace.passed_ns()

    def utc_ms(self) -> int:
        """Wall clock in milliseconds."""
        return (self._pace.began_utc_ns + self._pace.passed_ns()) // 1_000_000

    def now(self) -> datetime:
        """Wall clock."""
        return self.at(self.monotonic_ns())

    def at(self, monotonic_ns: int) -> datetime:
        """The wall clock at a monotonic instant."""
        utc_ns = self._pace.began_utc_ns + monotonic_ns - self._pace.began_ns
        return _EPOCH + timedelta(microseconds=utc_ns // 1000)


class _Hurried(selectors.DefaultSelector):
    """Waits `speed` times less than it is asked to."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for files, or until the time is over."""
        return super().select(None if timeout is None else timeout / self._speed)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is fast."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(_Hurried(pace.speed))
        self._clock = FastClock(pace)

    def time(self) -> float:
        """Fast seconds."""
        return self._clock.monotonic_ns() / 1e9
