"""Notices that the venue is away: told once, and over with its first answer."""

from signalbox.domain.ports import Clock, EventSink

FAILURES = 3
AFTER_S = 10.0
"""This many failures in a row over at least this many seconds are an outage: a single lost answer is none."""

REPEAT_S = 60.0
_NS = 1_000_000_000
COMPONENT = "venue.mexc"


class OutageWatch:
    """Counts failures of requests to one address. An answer below HTTP 500 is an answer, whatever it says."""

    def __init__(self, name: str, clock: Clock, events: EventSink | None = None) -> None:
        self._name = name
        self._clock = clock
        self._events = events
        self._failures = 0
        self._since_ns = 0
        self._told_ns: int | None = None
        self._may_be_open = True
        """An alert of an earlier process may still be open: the first answer ends it."""

    def failed(self, reason: str) -> None:
        """A request was not answered, or with a server error."""
        now_ns = self._clock.monotonic_ns()
        if self._failures == 0:
            self._since_ns = now_ns
        self._failures += 1
        away_s = (now_ns - self._since_ns) / _NS
        if self._events is None or self._failures < FAILURES or away_s < AFTER_S:
            return
        if self._told_ns is not None and now_ns - self._told_ns < REPEAT_S * _NS:
            return
        self._told_ns, self._may_be_open = now_ns, True
        text = f"{self._name} has not answered for {away_s:.0f} s: {reason}"
        self._events.alert("venue_outage", self._name, text, severity="critical", failures=self._failures)
        self._events.health(COMPONENT, "degraded", reason=text)

    def answered(self) -> None:
        """The venue is there."""
        failures, self._failures = self._failures, 0
        if not self._may_be_open or self._events is None:
            return
        self._told_ns, self._may_be_open = None, False
        away_s = (self._clock.monotonic_ns() - self._since_ns) / _NS
        reason = f"it answers again after {away_s:.0f} s" if failures else "it answers"
        self._events.resolve("venue_outage", self._name, reason)
        self._events.health(COMPONENT, "running")
