"""Announced listings are followed when they move or disappear, with their history, and each opening is due once."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.venue_examples import NOON

from signalbox.domain.listings import ListingState, Move, UpcomingListing
from signalbox.venues.mexc.knowledge import CALENDAR, EXCHANGE_INFO
from signalbox.venues.mexc.schedule import OVERDUE, OVERDUE_LIMIT, Schedule, ScheduleChange


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def named(**minutes: float) -> dict[str, datetime]:
    return {symbol: at(when) for symbol, when in minutes.items()}


def only(schedule: Schedule, now: datetime = NOON) -> UpcomingListing:
    [listing] = schedule.coming(now)
    return listing


def symbols(schedule: Schedule, now: datetime = NOON) -> list[str]:
    return [listing.symbol for listing in schedule.coming(now)]


def test_new_moved_and_cancelled() -> None:
    schedule = Schedule()
    assert schedule.update(CALENDAR, named(A=10, B=20), NOON) == [
        ScheduleChange(symbol="A", old=None, new=at(10)),
        ScheduleChange(symbol="B", old=None, new=at(20)),
    ]
    assert schedule.update(CALENDAR, named(A=30), at(1)) == [
        ScheduleChange(symbol="A", old=at(10), new=at(30)),
        ScheduleChange(symbol="B", old=at(20), new=None),
    ]
    assert schedule.update(CALENDAR, named(A=30), at(2)) == []
    listing = only(schedule)
    assert (listing.symbol, listing.opens_at, listing.first_announced_at) == ("A", at(30), NOON)
    assert listing.moves == (Move(at=at(1), old=at(10), new=at(30), origin=CALENDAR),)
    [cancelled] = schedule.ended()
    assert (cancelled.symbol, cancelled.state) == ("B", ListingState.CANCELLED)
    assert cancelled.moves == (Move(at=at(1), old=at(20), new=None, origin=CALENDAR),)


def test_every_move_is_kept_and_a_listing_that_comes_back_is_another_one() -> None:
    schedule = Schedule()
    for now, minutes in enumerate((10, 30, 20)):
        schedule.update(CALENDAR, named(A=minutes), at(now))
    assert [move.new for move in only(schedule).moves] == [at(30), at(20)]
    schedule.update(CALENDAR, {}, at(3))
    schedule.update(CALENDAR, named(A=50), at(4))
    again = only(schedule)
    assert (again.first_announced_at, again.moves) == (at(4), ())
    assert [listing.state for listing in schedule.ended()] == [ListingState.CANCELLED]


def test_where_the_origins_disagree_both_times_count() -> None:
    schedule = Schedule()
    schedule.update(EXCHANGE_INFO, named(A=15), NOON)
    schedule.update(CALENDAR, named(A=10), NOON)
    listing = only(schedule)
    assert (listing.opens_at, listing.origins, listing.disputed) == (at(10), (CALENDAR,), {EXCHANGE_INFO: at(15)})
    assert schedule.opening_of("A", NOON) == at(10)
    assert schedule.opening_of("A", at(12)) == at(10)
    assert schedule.opening_of("A", at(16)) == at(15)
    assert schedule.take_due(at(12)) == [(at(10), "A")]
    later = only(schedule, at(12))
    assert (later.opens_at, later.origins) == (at(15), (EXCHANGE_INFO,)), "it did not trade: the other time is next"
    assert later.moves[-1] == Move(at=at(12), old=at(10), new=at(15), origin=EXCHANGE_INFO)
    schedule.opened("A", at(12))
    assert schedule.coming(at(12)) == [], "it trades: the later time is void"
    assert schedule.take_due(at(20)) == []


def test_the_same_opening_from_two_origins_is_one() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=10), NOON)
    schedule.update(EXCHANGE_INFO, named(A=10), NOON)
    assert only(schedule).origins == (CALENDAR, EXCHANGE_INFO)
    assert schedule.take_due(at(60)) == [(at(10), "A")]


def test_due_once_per_opening_time() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=0, B=5), NOON)
    assert schedule.take_due(NOON) == [(NOON, "A")]
    assert schedule.take_due(NOON) == []
    assert symbols(schedule) == ["A", "B"], "what was told of stays until it trades"
    assert schedule.opening_of("A", NOON) == NOON, "other sources still learn the listing time"
    schedule.update(CALENDAR, named(A=60, B=5), at(1))
    assert schedule.take_due(at(60)) == [(at(5), "B"), (at(60), "A")], "postponed at the last moment: due again"


def test_told_ahead_of_time_and_then_moved_there_and_back() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=10), NOON)
    assert schedule.take_due(at(11)) == [(at(10), "A")]
    schedule.update(CALENDAR, named(A=30), at(9))
    assert schedule.take_due(at(11)) == []
    schedule.update(CALENDAR, named(A=10), at(9.5))
    assert schedule.take_due(at(11)) == [(at(10), "A")], "who dropped it when it moved hears of it again"


def test_told_ahead_of_time_and_then_cancelled() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=10), NOON)
    schedule.take_due(at(11))
    assert schedule.update(CALENDAR, {}, at(9.9)) == [ScheduleChange(symbol="A", old=at(10), new=None)]
    assert schedule.coming(at(9.9)) == []
    assert schedule.ended()[0].state is ListingState.CANCELLED


def test_one_origin_that_drops_it_does_not_cancel_what_the_other_names() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=10), NOON)
    schedule.update(EXCHANGE_INFO, named(A=10), NOON)
    schedule.take_due(at(11))
    schedule.update(CALENDAR, {}, at(1))
    assert (only(schedule).opens_at, only(schedule).origins) == (at(10), (EXCHANGE_INFO,))
    assert schedule.take_due(at(11)) == [], "the same opening is not told twice"


def test_an_entry_that_leaves_after_it_was_due_is_no_cancellation() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=0), NOON)
    schedule.take_due(NOON)
    assert schedule.update(CALENDAR, {}, NOON) == []
    assert symbols(schedule) == ["A"]
    schedule.opened("A", at(1))
    assert [listing.state for listing in schedule.ended()] == [ListingState.OPENED]


def test_a_listing_that_never_trades_is_given_up() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=0), NOON)
    assert symbols(schedule, NOON + OVERDUE_LIMIT - timedelta(seconds=1)) == ["A"]
    assert schedule.coming(NOON + OVERDUE_LIMIT) == []
    [given_up] = schedule.ended()
    assert given_up.state is ListingState.CANCELLED
    assert given_up.moves[-1].origin == OVERDUE


def test_what_trades_is_not_announced_any_more_until_it_is_announced_anew() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=10), NOON)
    assert schedule.opened("A", NOON)
    assert not schedule.opened("A", NOON)
    assert schedule.coming(NOON) == []
    assert schedule.update(CALENDAR, named(A=10), NOON) == []
    assert schedule.opening_of("A", NOON) is None
    schedule.reopen("A")
    assert [change.symbol for change in schedule.update(CALENDAR, named(A=20), NOON)] == ["A"]
    assert symbols(schedule) == ["A"]


def test_a_second_origin_that_names_the_opening_late_does_not_announce_it_again() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=0), NOON)
    schedule.opened("A", NOON)
    schedule.update(EXCHANGE_INFO, named(A=0), at(0.2))
    assert schedule.coming(at(0.2)) == []


def test_a_trade_just_before_the_announced_time_does_not_take_the_announcement_away() -> None:
    schedule = Schedule()
    schedule.update(CALENDAR, named(A=10), NOON)
    early = at(10) - timedelta(milliseconds=500)
    schedule.opened("A", early)
    assert schedule.opening_of("A", early) == at(10)
    assert schedule.take_due(at(10)) == [(at(10), "A")]


def test_the_version_tells_whether_something_changed() -> None:
    schedule = Schedule()
    versions = [schedule.version]
    for origin, announced in ((CALENDAR, {}), (CALENDAR, named(A=1)), (CALENDAR, named(A=2)), (EXCHANGE_INFO, {})):
        schedule.update(origin, announced, NOON)
        versions.append(schedule.version)
    assert versions == sorted(set(versions)), "each of these is news"
    schedule.update(CALENDAR, named(A=2), NOON)
    schedule.take_due(at(5))
    assert schedule.version == versions[-1]
    assert schedule.heard == {CALENDAR, EXCHANGE_INFO}


LISTS = st.dictionaries(st.sampled_from(["A", "B", "C"]), st.integers(1, 12), max_size=3)


@given(st.lists(st.tuples(st.sampled_from([CALENDAR, EXCHANGE_INFO]), LISTS, st.floats(0, 1)), max_size=12))
def test_every_opening_that_still_stands_when_its_time_comes_was_told(
    updates: list[tuple[str, dict[str, int], float]],
) -> None:
    """Whatever moves whenever: nothing that opens is missed, and nothing is told twice while it stands."""
    schedule, now, standing = Schedule(), 0.0, dict[str, dict[str, int]]()
    told: set[tuple[datetime, str]] = set()
    for origin, minutes, pause in updates:
        now += pause
        before = {(at(m), s) for lists in standing.values() for s, m in lists.items()}
        standing[origin] = minutes
        schedule.update(origin, {symbol: at(m) for symbol, m in minutes.items()}, at(now))
        stands = {(at(m), s) for lists in standing.values() for s, m in lists.items()}
        told -= {(when, symbol) for when, symbol in before - stands if when > at(now)}
        due = schedule.take_due(at(now + 1))
        assert not told & set(due)
        told |= set(due)
        assert {(when, symbol) for when, symbol in stands if when <= at(now + 1)} <= told
        moments = [listing.opens_at for listing in schedule.coming(at(now))]
        assert moments == sorted(moments)
