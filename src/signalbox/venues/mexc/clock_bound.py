"""Between which bounds a venue's clock must lie, from everything that was seen of it lately. Pure.

Each answer with the venue's time is a proof: when it read its clock, our own was somewhere between our sending and our
receiving. Proofs of a minute are intersected, each widened by what two clocks may drift apart meanwhile, so the bound
becomes that of the quickest way there and the quickest way back, not that of one lucky round trip.
"""

from collections import deque

from msgspec import Struct

DRIFT_PPM = 50
"""How fast two clocks may run apart: crystal oscillators stay within 50 parts in a million (1 ms in 20 s)."""

WINDOW_NS = 60_000_000_000
MOST_SAMPLES = 240
_MILLION = 1_000_000


class OffsetSample(Struct, frozen=True, kw_only=True):
    """One proof, in nanoseconds: since `at_ns` the venue's UTC minus our monotonic time is between `low` and `high`."""

    at_ns: int
    low: int
    high: int

    def at(self, now_ns: int) -> "OffsetSample":
        """The same proof at another time, widened by the drift that is allowed."""
        drift = abs(now_ns - self.at_ns) * DRIFT_PPM // _MILLION + 1
        return OffsetSample(at_ns=now_ns, low=self.low - drift, high=self.high + drift)

    def agrees_with(self, other: "OffsetSample") -> bool:
        """Whether both can be true of one clock."""
        later = max(self.at_ns, other.at_ns)
        mine, theirs = self.at(later), other.at(later)
        return mine.low <= theirs.high and theirs.low <= mine.high


def sample_of(server_ms: int, *, sent_ns: int, received_ns: int) -> OffsetSample:
    """What one answer proves. The venue cuts its time to the millisecond: it was `server_ms` or up to 1 ms more.

    `sent_ns` is before the request left, `received_ns` after the answer came.
    """
    server_ns = server_ms * _MILLION
    return OffsetSample(at_ns=sent_ns, low=server_ns - received_ns, high=server_ns + _MILLION - sent_ns)


class OffsetBound:
    """The intersection of the last minute's samples.

    A sample that contradicts the others is kept in doubt: the bound widens to hold both. When the next one confirms
    it, the venue's clock (or ours) has made a step and everything older is forgotten; else it was a stray.
    """

    def __init__(self) -> None:
        self._samples: deque[OffsetSample] = deque(maxlen=MOST_SAMPLES)
        self._doubtful: OffsetSample | None = None
        self.steps = 0
        """How often everything older was forgotten."""

    @property
    def count(self) -> int:
        """How many samples the bound rests on."""
        return len(self._samples)

    @property
    def in_doubt(self) -> bool:
        """True while one sample contradicts the others."""
        return self._doubtful is not None

    def add(self, sample: OffsetSample) -> None:
        """Take a sample in, the newest so far."""
        while self._samples and sample.at_ns - self._samples[0].at_ns > WINDOW_NS:
            self._samples.popleft()
        known = self._intersection(sample.at_ns)
        if known is None or known.agrees_with(sample):
            self._doubtful = None
            self._samples.append(sample)
        elif self._doubtful is not None and self._doubtful.agrees_with(sample):
            self._samples.clear()
            self._samples.extend((self._doubtful, sample))
            self._doubtful = None
            self.steps += 1
        else:
            self._doubtful = sample

    def estimate(self, now_ns: int) -> tuple[int, int] | None:
        """The venue's UTC minus our monotonic time, and how wrong that can be, in nanoseconds; None without samples."""
        known = self._intersection(now_ns)
        if known is None:
            return None
        middle = (known.low + known.high) // 2
        low, high = known.low, known.high
        if self._doubtful is not None:
            odd = self._doubtful.at(now_ns)
            low, high = min(low, odd.low), max(high, odd.high)
        return middle, max(high - middle, middle - low)

    def _intersection(self, now_ns: int) -> OffsetSample | None:
        if not self._samples:
            return None
        widened = [sample.at(now_ns) for sample in self._samples]
        low, high = max(sample.low for sample in widened), min(sample.high for sample in widened)
        if low > high:  # widening from different times can only make room; kept for the rounding
            low, high = high, low
        return OffsetSample(at_ns=now_ns, low=low, high=high)
