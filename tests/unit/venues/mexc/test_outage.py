"""An outage is several failures over a while, and ends with the first answer."""

from tests.venue_examples import ManualClock, RecordedEvents

from signalbox.venues.mexc.outage import OutageWatch

KEY = ("venue_outage", "api.example")


def watched() -> tuple[OutageWatch, ManualClock, RecordedEvents]:
    clock, events = ManualClock(), RecordedEvents()
    return OutageWatch("api.example", clock, events), clock, events


def test_a_few_failures_at_once_are_no_outage() -> None:
    watch, clock, events = watched()
    for _ in range(20):
        watch.failed("reset")
        clock.advance(0.4)
    assert events.raised == []


def test_one_failure_and_one_much_later_are_no_outage() -> None:
    watch, clock, events = watched()
    watch.failed("reset")
    clock.advance(60)
    watch.failed("reset")
    assert events.raised == []


def test_failures_over_ten_seconds_are_told_once_a_minute_and_resolved_by_the_first_answer() -> None:
    watch, clock, events = watched()
    for _ in range(66):
        watch.failed("no answer within 5 s")
        clock.advance(1)
    assert events.alerts[KEY] == ("critical", "api.example has not answered for 10 s: no answer within 5 s")
    assert events.raised == [KEY]
    assert events.status("venue.mexc") == "degraded"
    clock.advance(10)
    watch.failed("HTTP 503")
    assert events.raised == [KEY, KEY]
    watch.answered()
    assert events.alerts == {}
    assert events.status("venue.mexc") == "running"


def test_an_alert_of_an_earlier_process_ends_with_the_first_answer() -> None:
    watch, _, events = watched()
    events.alerts[KEY] = ("critical", "from before")
    watch.answered()
    assert events.alerts == {}


def test_an_answer_in_between_starts_the_count_anew() -> None:
    watch, clock, events = watched()
    for _ in range(5):
        for _ in range(9):
            watch.failed("reset")
            clock.advance(1)
        watch.answered()
    assert events.raised == []
