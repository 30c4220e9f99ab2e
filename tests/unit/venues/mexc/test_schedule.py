"""Announced listings are followed when they move or disappear, and each opening is due once."""

from datetime import timedelta

from tests.venue_examples import NOON

from signalbox.venues.mexc.knowledge import CALENDAR, EXCHANGE_INFO
from signalbox.venues.mexc.schedule import Announcement, Schedule, ScheduleChange

LATER = NOON + timedelta(hours=1)


def announced(symbol: str, minutes: int = 0, origin: str = CALENDAR) -> Announcement:
    return Announcement(symbol=symbol, opens_at=NOON + timedelta(minutes=minutes), origin=origin)


def test_new_moved_and_cancelled() -> None:
    schedule = Schedule()
    assert schedule.update(CALENDAR, [announced("A", 10), announced("B", 20)]) == [
        ScheduleChange(symbol="A", old=None, new=NOON + timedelta(minutes=10)),
        ScheduleChange(symbol="B", old=None, new=NOON + timedelta(minutes=20)),
    ]
    assert schedule.update(CALENDAR, [announced("A", 30)]) == [
        ScheduleChange(symbol="A", old=NOON + timedelta(minutes=10), new=NOON + timedelta(minutes=30)),
        ScheduleChange(symbol="B", old=NOON + timedelta(minutes=20), new=None),
    ]
    assert schedule.update(CALENDAR, [announced("A", 30)]) == []
    assert [a.symbol for a in schedule.upcoming()] == ["A"]


def test_where_the_origins_disagree_both_times_count() -> None:
    schedule = Schedule()
    schedule.update(EXCHANGE_INFO, [announced("A", 15, EXCHANGE_INFO)])
    schedule.update(CALENDAR, [announced("A", 10)])
    assert [a.opens_at for a in schedule.upcoming()] == [NOON + timedelta(minutes=m) for m in (10, 15)]
    assert schedule.opening_of("A", NOON) == NOON + timedelta(minutes=10)
    assert schedule.opening_of("A", NOON + timedelta(minutes=12)) == NOON + timedelta(minutes=10)
    assert schedule.opening_of("A", NOON + timedelta(minutes=16)) == NOON + timedelta(minutes=15)
    schedule.take_due(NOON + timedelta(minutes=10))
    schedule.opened("A", NOON + timedelta(minutes=10, seconds=2))
    assert schedule.upcoming() == [], "it trades: the later time is void"


def test_the_same_opening_from_two_origins_is_one() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, [announced("A", 10)])
    schedule.update(EXCHANGE_INFO, [announced("A", 10, EXCHANGE_INFO)])
    assert len(schedule.upcoming()) == 1
    assert len(schedule.take_due(LATER)) == 1


def test_due_once_per_opening_time() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, [announced("A"), announced("B", 5)])
    assert [a.symbol for a in schedule.take_due(NOON)] == ["A"]
    assert schedule.take_due(NOON) == []
    assert [a.symbol for a in schedule.upcoming()] == ["B"]
    assert schedule.opening_of("A", NOON) == NOON, "other sources still learn the listing time"
    schedule.update(CALENDAR, [announced("A", 60), announced("B", 5)])
    assert [a.symbol for a in schedule.take_due(LATER)] == ["B", "A"], "postponed at the last moment: due again"


def test_an_entry_that_leaves_after_it_was_due_is_no_cancellation() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, [announced("A")])
    schedule.take_due(NOON)
    assert schedule.update(CALENDAR, []) == []


def test_what_trades_is_not_announced_any_more_until_it_is_announced_anew() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, [announced("A", 10)])
    schedule.opened("A", NOON)
    assert schedule.upcoming() == []
    assert schedule.update(CALENDAR, [announced("A", 10)]) == []
    assert schedule.opening_of("A", NOON) is None
    schedule.reopen("A")
    assert [change.symbol for change in schedule.update(CALENDAR, [announced("A", 20)])] == ["A"]


def test_a_trade_just_before_the_announced_time_does_not_take_the_announcement_away() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, [announced("A", 10)])
    opening = NOON + timedelta(minutes=10)
    schedule.opened("A", opening - timedelta(milliseconds=500))
    assert schedule.opening_of("A", opening - timedelta(milliseconds=500)) == opening
    assert [a.symbol for a in schedule.take_due(opening)] == ["A"]
