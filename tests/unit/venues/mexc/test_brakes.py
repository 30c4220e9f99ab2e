"""Silence is obeyed to the second, grows while it names no time, and is told once."""

import pytest
from msgspec import structs
from tests.venue_examples import ManualClock, RecordedEvents

from signalbox.venues.mexc.brakes import Brake, Throttle

TOO_MANY = Throttle(status=429, text="too many requests")


class Bench:
    """A brake, and a venue that answers at once."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.events = RecordedEvents()
        self.brake = Brake("api.example", self.clock, self.events)

    def press(self, throttle: Throttle = TOO_MANY, *, pause_s: float | None = None) -> float:
        """Silence is asked for in answer to a request that goes out now; how long it lasts."""
        sent_ns = self.clock.monotonic_ns()
        self.clock.advance(0.01)
        self.brake.press(structs.replace(throttle, pause_s=pause_s), sent_ns=sent_ns)
        return self.brake.wait_s()

    def good(self) -> None:
        """A good answer to a request that goes out now."""
        self.clock.advance(0.01)
        self.brake.release(sent_ns=self.clock.monotonic_ns())


def test_a_named_time_is_obeyed_to_the_second_and_ends() -> None:
    bench = Bench()
    assert bench.press(pause_s=7) == 7
    bench.clock.advance(6.999)
    assert bench.brake.wait_s() == pytest.approx(0.001)
    bench.clock.advance(0.001)
    assert bench.brake.wait_s() == 0


def test_without_a_time_the_silence_doubles_up_to_half_a_minute_until_a_good_answer() -> None:
    bench = Bench()
    pauses = []
    for _ in range(7):
        pauses.append(bench.press())
        bench.clock.advance(pauses[-1])
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    bench.good()
    assert bench.press() == 1


def test_a_ban_without_a_time_lasts_two_minutes_and_doubles() -> None:
    bench = Bench()
    pauses = []
    for _ in range(7):
        pauses.append(bench.press(Throttle(status=418, text="banned")))
        bench.clock.advance(pauses[-1])
    assert pauses == [120, 240, 480, 960, 1920, 3600, 3600]


def test_requests_that_were_on_their_way_together_are_one_incident() -> None:
    bench = Bench()
    for _ in range(4):
        bench.brake.press(TOO_MANY, sent_ns=0)
    assert bench.brake.wait_s() == 1
    bench.brake.press(Throttle(status=429, text="too many requests", pause_s=5), sent_ns=0)
    assert bench.brake.wait_s() == 5
    assert bench.events.raised == [("venue_throttled", "api.example")]


def test_an_answer_from_before_the_silence_does_not_end_it() -> None:
    bench = Bench()
    bench.press(pause_s=5)
    bench.brake.release(sent_ns=0)
    assert bench.brake.wait_s() == 5
    assert ("venue_throttled", "api.example") in bench.events.alerts


def test_an_alert_of_an_earlier_process_ends_with_the_first_good_answer() -> None:
    bench = Bench()
    bench.events.alerts["venue_throttled", "api.example"] = ("warning", "from before")
    bench.good()
    assert bench.events.alerts == {}
    bench.events.alerts["venue_throttled", "api.example"] = ("warning", "whoever raised this ends it")
    bench.good()
    assert bench.events.alerts != {}, "good answers cost nothing from then on"


def test_it_is_told_and_over_with_the_first_good_answer() -> None:
    bench = Bench()
    bench.press(Throttle(status=451, text="not served here"))
    severity, message = bench.events.alerts["venue_throttled", "api.example"]
    assert (severity, message) == ("critical", "api.example: not served here; no request for 60 s")
    bench.clock.advance(60)
    assert bench.events.alerts != {}, "nobody knows yet whether the venue is content"
    bench.good()
    assert bench.events.alerts == {}
