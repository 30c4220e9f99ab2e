"""What one source of a feed says about itself: running, or degraded with a reason, and how much was malformed."""

from signalbox.domain.ports import Clock, EventSink

_REPEAT_NS = 30_000_000_000


class SourceHealth:
    """Reports changes at once and repeats the present state at most every half minute."""

    def __init__(self, component: str, events: EventSink, clock: Clock) -> None:
        self.component = component
        self.malformed_count = 0
        self.reason: str | None = None
        self._events = events
        self._clock = clock
        self._told: tuple[str, str | None] | None = None
        self._told_ns = 0

    def good(self) -> None:
        """The source works."""
        self.reason = None
        self._tell("running", None)

    def bad(self, reason: str) -> None:
        """The source does not work now; the others go on."""
        self.reason = reason
        self._tell("degraded", reason)

    def malformed(self, what: str) -> None:
        """Something could not be understood. Counted always, told the first ten times and then every hundredth."""
        self.malformed_count += 1
        if self.malformed_count <= 10 or self.malformed_count % 100 == 0:
            self._events.event(
                "warning",
                "api",
                f"{self.component}: {what}",
                component=self.component,
                count=self.malformed_count,
            )

    def _tell(self, status: str, reason: str | None) -> None:
        now_ns = self._clock.monotonic_ns()
        state = (status, reason)
        if state == self._told and now_ns - self._told_ns < _REPEAT_NS:
            return
        self._told, self._told_ns = state, now_ns
        details = {} if reason is None else {"reason": reason}
        self._events.health(self.component, status, malformed=self.malformed_count, **details)
