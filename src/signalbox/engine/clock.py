"""The real clock and the real source of ids. Nothing else reads the machine's time or randomness."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BYTES = 10
_IDS_AT_ONCE = 64
"""So many ids are made of one look at the machine's randomness."""


class SystemClock:
    """UTC wall time and monotonic time of this machine."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this module is the clock

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back; only differences mean something."""
        return time.monotonic_ns()  # noqa: TID251 - this module is the clock

    def at(self, monotonic_ns: int) -> datetime:
        """The UTC instant of a monotonic reading, by the present offset between the two clocks."""
        utc_ns = time.time_ns() - time.monotonic_ns() + monotonic_ns  # noqa: TID251 - this module is the clock
        return _EPOCH + timedelta(microseconds=utc_ns // 1000)


class TimeOrderedIds:
    """UUID version 7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then random bits."""

    def __init__(self) -> None:
        self._randomness = b""

    def new_id(self) -> UUID:
        """A fresh id; ids of different milliseconds sort by time."""
        milliseconds = time.time_ns() // 1_000_000  # noqa: TID251 - this module is the clock
        if len(self._randomness) < _RANDOM_BYTES:
            self._randomness = secrets.token_bytes(_RANDOM_BYTES * _IDS_AT_ONCE)
        drawn, self._randomness = self._randomness[:_RANDOM_BYTES], self._randomness[_RANDOM_BYTES:]
        value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(drawn)
        value = value & ~(0xF << 76) | 0x7 << 76
        return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
