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
