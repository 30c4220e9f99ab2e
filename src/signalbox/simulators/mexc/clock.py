"""The simulator's clock: passed in everywhere, so that a test can own the time."""

from typing import Protocol


class Clock(Protocol):
    """Where the simulator takes its time from."""

    def utc_ms(self) -> int:
        """Wall clock in whole milliseconds since 1970, UTC."""
        ...

    def monotonic_ns(self) -> int:
        """A clock that never jumps, in nanoseconds, shared by all processes of the machine."""
        ...


class ManualClock:
    """A clock that stands still until it is moved. Wall clock and monotonic clock move together."""

    def __init__(self, utc_ms: int = 1_767_225_600_000) -> None:
        self._utc_ms = utc_ms
        self._monotonic_ns = 1_000_000_000

    def utc_ms(self) -> int:
        """Wall clock in milliseconds."""
        return self._utc_ms

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment."""
        return self._monotonic_ns

    def advance(self, milliseconds: int) -> None:
        """Move both clocks forward."""
        if milliseconds < 0:
            raise ValueError(f"a clock cannot go back by {-milliseconds} ms; change clock_offset_ms for skew")
        self._utc_ms += milliseconds
        self._monotonic_ns += milliseconds * 1_000_000


class SkewedClock:
    """The exchange's own clock: the machine's, wrong by an offset and running too fast or too slow.

    `drift_ppm` counts from the moment at which it was set; what it gathered until then stays when it changes, so the
    exchange's time jumps only when the offset is set.
    """

    def __init__(self, clock: Clock, *, offset_ms: int, drift_ppm: int) -> None:
        self._clock = clock
        self._offset_ms = offset_ms
        self._drift_ppm = drift_ppm
        self._gathered_ms = 0
        self._since_ns = clock.monotonic_ns()

    def utc_ms(self) -> int:
        """The exchange's time in whole milliseconds since 1970, UTC."""
        return self._clock.utc_ms() + self._offset_ms + self._gathered_ms + self._drifted_ms()

    def set(self, *, offset_ms: int, drift_ppm: int) -> None:
        """Take over changed settings; a new offset forgets what drift had gathered."""
        self._gathered_ms = 0 if offset_ms != self._offset_ms else self._gathered_ms + self._drifted_ms()
        self._offset_ms, self._drift_ppm = offset_ms, drift_ppm
        self._since_ns = self._clock.monotonic_ns()

    def _drifted_ms(self) -> int:
        elapsed_ns = self._clock.monotonic_ns() - self._since_ns
        return elapsed_ns * self._drift_ppm // 1_000_000_000_000
