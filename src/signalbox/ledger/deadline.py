"""How long something of the operating system (a process, a lock, a socket) may take.

This is about processes, not about business time, so it reads the machine's monotonic clock itself.
"""

import threading
import time

from signalbox.domain.errors import LedgerUnavailable

_PAUSE_S = 0.01


class EmbeddedPostgresError(LedgerUnavailable):
    """The private PostgreSQL could not be started, reached or prepared. Says what happened and what to do."""


class Deadline:
    """A moment `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._ends_at_s = time.monotonic() + seconds  # noqa: TID251 - operating system time, see above

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._ends_at_s - time.monotonic())  # noqa: TID251 - operating system time, see above

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return self.remaining_s == 0.0

    def pause(self) -> bool:
        """Give others a moment (10 ms at most) before a condition is looked at again; False when expired."""
        remaining_s = self.remaining_s
        if remaining_s == 0.0:
            return False
        threading.Event().wait(min(_PAUSE_S, remaining_s))
        return True
