"""The venue's clock lies within the bound that is told, whatever the delays, the drift and the steps."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.venue_examples import NOON, ManualClock

from signalbox.domain.errors import VenueUnavailable
from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc.clock_bound import DRIFT_PPM, MOST_SAMPLES, OffsetBound, OffsetSample, sample_of
from signalbox.venues.mexc.clock_offset import SAMPLES, ClockOffset

SECOND = 1_000_000_000
NOON_NS = int(NOON.timestamp()) * SECOND


class Venue:
    """A clock that runs a little fast or slow beside ours; it shows whole milliseconds."""

    def __init__(self, ahead_ns: int, drift_ppm: float = 0.0) -> None:
        self._ahead_ns = ahead_ns
        self._drift_ppm = drift_ppm

    def ahead_ns(self, at_ns: int) -> int:
        """The venue's UTC minus our monotonic time."""
        return self._ahead_ns + int(at_ns * self._drift_ppm / 1_000_000)

    def shown_ms(self, at_ns: int) -> int:
        """What it answers to somebody whose question arrives now."""
        return (at_ns + self.ahead_ns(at_ns)) // 1_000_000

    def sample(self, sent_ns: int, there_ns: int, back_ns: int) -> OffsetSample:
        """One question and its answer."""
        shown = self.shown_ms(sent_ns + there_ns)
        return sample_of(shown, sent_ns=sent_ns, received_ns=sent_ns + there_ns + back_ns)


TRIPS = st.tuples(
    st.integers(1_000_000, 20 * SECOND),  # pause before it
    st.integers(0, SECOND),  # there
    st.integers(0, SECOND),  # back
)


@given(
    ahead_ns=st.integers(-(10**18), 10**18),
    drift_ppm=st.floats(-DRIFT_PPM * 0.99, DRIFT_PPM * 0.99),
    trips=st.lists(TRIPS, min_size=1, max_size=40),
    later_ns=st.integers(0, 60 * SECOND),
)
def test_the_true_offset_is_always_inside_the_bound(
    ahead_ns: int, drift_ppm: float, trips: list[tuple[int, int, int]], later_ns: int
) -> None:
    venue, bound, now_ns = Venue(ahead_ns, drift_ppm), OffsetBound(), 0
    for pause_ns, there_ns, back_ns in trips:
        now_ns += pause_ns
        bound.add(venue.sample(now_ns, there_ns, back_ns))
        now_ns += there_ns + back_ns
        for at_ns in (now_ns, now_ns + later_ns):
            estimate = bound.estimate(at_ns)
            assert estimate is not None
            middle, error = estimate
            assert abs(venue.ahead_ns(at_ns) - middle) <= error + 1
    assert bound.steps == 0
    assert not bound.in_doubt


@given(
    step_ns=st.integers(3 * SECOND, 3600 * SECOND),
    back=st.booleans(),
    trips=st.lists(TRIPS, min_size=4, max_size=12),
)
def test_a_step_is_inside_the_bound_at_once_and_settled_with_the_second_answer(
    step_ns: int, back: bool, trips: list[tuple[int, int, int]]
) -> None:
    before, after = Venue(0), Venue(-step_ns if back else step_ns)
    bound, now_ns = OffsetBound(), 0
    for number, (_, there_ns, back_ns) in enumerate(trips):
        now_ns += 100_000_000
        venue = before if number < 2 else after
        bound.add(venue.sample(now_ns, there_ns, back_ns))
        now_ns += there_ns + back_ns
        estimate = bound.estimate(now_ns)
        assert estimate is not None
        assert abs(venue.ahead_ns(now_ns) - estimate[0]) <= estimate[1] + 1
        assert bound.in_doubt == (number == 2)
    assert bound.steps == 1
    assert bound.count == len(trips) - 2


def test_one_stray_answer_is_kept_in_doubt_and_then_dropped() -> None:
    venue, stray, bound = Venue(0), Venue(-5 * SECOND), OffsetBound()
    bound.add(venue.sample(SECOND, 1_000, 1_000))
    bound.add(stray.sample(2 * SECOND, 1_000, 1_000))
    doubted = bound.estimate(3 * SECOND)
    assert doubted is not None
    assert abs(doubted[0]) < 2_000_000, "the estimate stays with what many answers say"
    assert doubted[1] > 4 * SECOND, "the bound holds the stray one as well"
    bound.add(venue.sample(3 * SECOND, 1_000, 1_000))
    settled = bound.estimate(3 * SECOND)
    assert settled is not None
    assert settled[1] < 2_000_000
    assert (bound.steps, bound.in_doubt) == (0, False)


def test_many_answers_bound_the_clock_tighter_than_half_a_round_trip() -> None:
    """Each is slow on one of its ways; together they prove what no single one does."""
    venue, bound = Venue(123_456_789), OffsetBound()
    for number in range(20):
        there, back = (80_000_000, 200_000) if number % 2 else (200_000, 80_000_000)
        bound.add(venue.sample(number * 250_123_457, there, back))
    estimate = bound.estimate(20 * 250_123_457)
    assert estimate is not None
    assert estimate[1] < 1_000_000, "half of every single round trip was 40 ms"


def test_the_window_and_the_memory_are_bounded() -> None:
    venue, bound = Venue(0), OffsetBound()
    for number in range(2 * MOST_SAMPLES):
        bound.add(venue.sample(number * 100_000_000, 1_000, 1_000))
    assert bound.count == MOST_SAMPLES
    bound.add(venue.sample(10_000 * SECOND, 1_000, 1_000))
    assert bound.count == 1


class FakeVenueClock:
    """Answers with given round trips; the venue is `ahead_ms` ahead of us."""

    def __init__(self, clock: ManualClock, ahead_ms: int, trips_s: list[float]) -> None:
        self._clock = clock
        self._venue = Venue(NOON_NS + ahead_ms * 1_000_000)
        self._trips_s = trips_s

    def jump(self, ahead_ms: int) -> None:
        """From now on it shows another time."""
        self._venue = Venue(NOON_NS + ahead_ms * 1_000_000)

    async def ask(self) -> tuple[int, HttpResponse]:
        if not self._trips_s:
            raise VenueUnavailable("no answer")
        trip = self._trips_s.pop(0)
        sent_ns = self._clock.monotonic_ns()
        self._clock.advance(trip / 2)
        shown_ms = self._venue.shown_ms(self._clock.monotonic_ns())
        self._clock.advance(trip / 2)
        received_ns = self._clock.monotonic_ns()
        return shown_ms, HttpResponse(status=200, headers={}, body=b"", sent_ns=sent_ns, received_ns=received_ns)


async def test_the_quickest_ways_count() -> None:
    clock = ManualClock()
    offset = ClockOffset(clock, FakeVenueClock(clock, 730, [0.3, 0.01, 0.2, 0.4, 0.1]).ask)
    assert offset.reading() is None
    fresh = [offset.is_fresh]
    await offset.measure()
    fresh.append(offset.is_fresh)
    reading = offset.reading()
    assert reading is not None
    assert abs(reading.offset - timedelta(milliseconds=730)) <= reading.error <= timedelta(milliseconds=5.6)
    assert reading.samples == SAMPLES
    assert abs(offset.server_ms() - (NOON_NS // 1_000_000 + 1010 + 730)) <= 1
    assert abs(offset.venue_now() - (NOON + timedelta(milliseconds=1740))) <= reading.error
    clock.advance(61)
    assert [*fresh, offset.is_fresh] == [False, True, False]
    later = offset.reading()
    assert later is not None
    assert later.error > reading.error, "an old measurement is worth less"


async def test_a_failed_measurement_keeps_what_was_known() -> None:
    clock = ManualClock()
    offset = ClockOffset(clock, FakeVenueClock(clock, 100, [0.01] * 7).ask)
    await offset.measure()
    with pytest.raises(VenueUnavailable):
        await offset.measure()
    reading = offset.reading()
    assert reading is not None
    assert abs(reading.offset - timedelta(milliseconds=100)) <= reading.error


async def test_a_measurement_settles_a_step_by_itself() -> None:
    clock = ManualClock()
    venue = FakeVenueClock(clock, 0, [0.01] * 8)
    offset = ClockOffset(clock, venue.ask)
    await offset.measure(2)
    venue.jump(40_000)
    await offset.measure(1)
    reading = offset.reading()
    assert reading is not None
    assert abs(reading.offset - timedelta(seconds=40)) <= reading.error < timedelta(milliseconds=10)
    assert offset.steps == 1


class SteppingClock(ManualClock):
    """This machine's wall clock may be set; the monotonic one goes on."""

    def step(self, by: timedelta) -> None:
        """As NTP or an operator would."""
        self._start += by


async def test_a_step_of_our_own_wall_clock_moves_no_instant() -> None:
    clock = SteppingClock()
    offset = ClockOffset(clock, FakeVenueClock(clock, 250, [0.001] * 5).ask)
    opening = NOON + timedelta(minutes=1)
    assert offset.monotonic_ns_at(opening) == 60 * SECOND, "until then our own clock has to do"
    await offset.measure()
    due_ns, shown, signed = offset.monotonic_ns_at(opening), offset.venue_now(), offset.server_ms()
    assert abs(due_ns - int(59.75 * SECOND)) < 2_000_000
    clock.step(timedelta(seconds=-30))
    assert (offset.monotonic_ns_at(opening), offset.venue_now(), offset.server_ms()) == (due_ns, shown, signed)
    reading = offset.reading()
    assert reading is not None
    assert abs(reading.offset - timedelta(seconds=30.25)) <= reading.error, "what is told is what our clock shows"
