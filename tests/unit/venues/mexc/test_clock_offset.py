"""The venue's clock is known within half a round trip, whatever the delays on the way."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.venue_examples import NOON, ManualClock

from signalbox.domain.errors import VenueUnavailable
from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc.clock_offset import ClockOffset, sample_of

NOON_MS = int(NOON.timestamp() * 1000)


@given(
    offset_us=st.integers(-5_000_000, 5_000_000),
    there_us=st.integers(0, 500_000),
    back_us=st.integers(0, 500_000),
    start_us=st.integers(10**15, 2 * 10**15),
)
def test_the_error_bound_holds(offset_us: int, there_us: int, back_us: int, start_us: int) -> None:
    server_ms = (start_us + there_us + offset_us) // 1000
    sample = sample_of(server_ms, sent_us=start_us, received_us=start_us + there_us + back_us)
    assert abs(sample.offset_us - offset_us) <= sample.error_us + 1  # one for the halved odd microsecond


class FakeVenueClock:
    """Answers with given round trips; the venue is `ahead_ms` ahead of us."""

    def __init__(self, clock: ManualClock, ahead_ms: int, trips_s: list[float]) -> None:
        self._clock = clock
        self._ahead_ms = ahead_ms
        self._trips_s = trips_s

    async def ask(self) -> tuple[int, HttpResponse]:
        if not self._trips_s:
            raise VenueUnavailable("no answer")
        trip = self._trips_s.pop(0)
        sent_ns = self._clock.monotonic_ns()
        self._clock.advance(trip / 2)
        server_ms = int((self._clock.now() - NOON) / timedelta(milliseconds=1)) + NOON_MS + self._ahead_ms
        self._clock.advance(trip / 2)
        received_ns = self._clock.monotonic_ns()
        return server_ms, HttpResponse(status=200, headers={}, body=b"", sent_ns=sent_ns, received_ns=received_ns)


async def test_the_quickest_sample_wins() -> None:
    clock = ManualClock()
    offset = ClockOffset(clock, FakeVenueClock(clock, 730, [0.3, 0.01, 0.2, 0.4, 0.1]).ask)
    fresh = [offset.is_fresh]
    await offset.measure()
    fresh.append(offset.is_fresh)
    assert abs(offset.best.offset_us - 730_000) <= offset.best.error_us <= 5_500
    assert abs(offset.server_ms() - (NOON_MS + 1010 + 730)) <= 1
    clock.advance(61)
    assert [*fresh, offset.is_fresh] == [False, True, False]


async def test_a_failed_measurement_changes_nothing() -> None:
    clock = ManualClock()
    offset = ClockOffset(clock, FakeVenueClock(clock, 100, [0.01] * 7).ask)
    await offset.measure()
    before = offset.best
    with pytest.raises(VenueUnavailable):
        await offset.measure()
    assert offset.best == before
