"""The venue's request weights, spent on our side before the venue has to refuse.

MEXC spot docs, "LIMITS": 300 weight per 10 s for one address, shared by all endpoints limited by address; a client that
goes on after a 429 is banned (418) for minutes to days.
"""

from collections import deque

from signalbox.domain.ports import Clock

_NS = 1_000_000_000


class WeightBudget:
    """A sliding window of spent weight.

    `reserve` is kept for reads that matter now (order look-ups, prices for an exit): polls do not touch it.
    """

    def __init__(self, clock: Clock, *, limit: int, window_s: float = 10.0, reserve: int = 80) -> None:
        self.limit = limit
        self._clock = clock
        self._window_ns = int(window_s * _NS)
        self._reserve = reserve
        self._spent: deque[tuple[int, int]] = deque()
        self._total = 0
        self._peak = 0

    def wait_s(self, weight: int, *, poll: bool, leave: int | None = None) -> float:
        """Seconds until this weight may be spent; 0 when it may be spent now. `leave` is what must stay free after it,
        instead of the reserve."""
        now_ns = self._clock.monotonic_ns()
        self._forget(now_ns)
        reserve = self._reserve if poll else 0
        allowed = self.limit - (reserve if leave is None else leave)
        excess = self._total + weight - allowed
        for spent_ns, spent in self._spent:
            if excess <= 0:
                break
            excess -= spent
            if excess <= 0:
                return (spent_ns + self._window_ns - now_ns) / _NS
        return 0.0 if excess <= 0 else self._window_ns / _NS

    def spend(self, weight: int) -> None:
        """Count a request that goes out now."""
        self._spent.append((self._clock.monotonic_ns(), weight))
        self._total += weight
        self._peak = max(self._peak, self._total)

    def used(self) -> int:
        """The weight spent within the window that ends now."""
        self._forget(self._clock.monotonic_ns())
        return self._total

    def take_peak(self) -> int:
        """The most that any window held since this was asked before."""
        peak, self._peak = self._peak, self.used()
        return peak

    def _forget(self, now_ns: int) -> None:
        while self._spent and self._spent[0][0] + self._window_ns <= now_ns:
            self._total -= self._spent.popleft()[1]
