"""Silence that the venue imposes: obeyed to the second, longer each time when it names no time."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from signalbox.domain.backoff import backoff
from signalbox.domain.ports import Clock, EventSink

_NS = 1_000_000_000
_GROWTH: Final = {418: (120.0, 3600.0), 451: (60.0, 600.0)}
"""First and longest pause in seconds after an answer that names none: a ban lasts at least two minutes and doubles
(MEXC spot docs, "LIMITS"), a region that is not served stays so for a while. Everything else: 1, 2, 4 … 30 s."""

_SEVERITY: Final = {418: "critical", 451: "critical"}


class Throttle(Struct, frozen=True, kw_only=True):
    """An answer that tells us to be silent. `pause_s` is the venue's wish, None when it names none.
    `whole_address`: it is about everything that comes from this machine."""

    status: int
    text: str
    pause_s: float | None = None
    whole_address: bool = False


class Brake:
    """Holds back one kind of request. `name` says which, for people; without `events` nobody is told."""

    def __init__(self, name: str, clock: Clock, events: EventSink | None = None) -> None:
        self.name = name
        self.reason: str | None = None
        """Why requests are, or were last, held back; None as long as the venue is content."""
        self._clock = clock
        self._events = events
        self._until_ns = 0
        self._pressed_ns = 0
        self._delays: dict[int, Iterator[float]] = {}
        self._may_be_open = True
        """An alert of an earlier process may still be open: the first good answer ends it."""

    def wait_s(self) -> float:
        """Seconds of silence that are left; 0 when requests may go."""
        if self.reason is None:
            return 0.0
        return max(0, self._until_ns - self._clock.monotonic_ns()) / _NS

    def press(self, throttle: Throttle, *, sent_ns: int) -> None:
        """The venue asked for silence in its answer to a request that was sent at `sent_ns` (monotonic)."""
        now_ns = self._clock.monotonic_ns()
        same_incident = self.reason is not None and sent_ns <= self._pressed_ns
        pause_s = throttle.pause_s or (0.0 if same_incident else self._longer(throttle.status))
        self._until_ns = max(self._until_ns, now_ns + round(pause_s * _NS))
        self.reason = throttle.text
        if same_incident:
            return
        self._pressed_ns, self._may_be_open = now_ns, True
        if self._events is not None:
            self._events.alert(
                "venue_throttled",
                self.name,
                f"{self.name}: {throttle.text}; no request for {self.wait_s():.0f} s",
                severity=_SEVERITY.get(throttle.status, "warning"),
                pause_s=round(self.wait_s(), 3),
                http_status=throttle.status,
            )

    def release(self, *, sent_ns: int) -> None:
        """The venue gave a good answer to a request that was sent at `sent_ns`."""
        if not self._may_be_open or sent_ns < self._pressed_ns or (self.reason and sent_ns == self._pressed_ns):
            return
        self.reason, self._may_be_open = None, False
        self._delays.clear()
        if self._events is not None:
            self._events.resolve("venue_throttled", self.name, "the venue answers again")

    def _longer(self, status: int) -> float:
        first_s, longest_s = _GROWTH.get(status, (1.0, 30.0))
        return next(self._delays.setdefault(status, backoff(first_s, longest_s)))
