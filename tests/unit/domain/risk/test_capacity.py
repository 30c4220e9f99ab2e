"""The book of what the limits count."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from tests.unit.domain.examples import NOW, reservation

from signalbox.domain.errors import InvariantError
from signalbox.domain.risk.capacity import HOUR, Capacity

TODAY = NOW.date()
LATE = datetime(2026, 3, 14, 23, 59, 59, 999_999, tzinfo=UTC)
NEXT_DAY = LATE + timedelta(microseconds=1)


def test_g1_a_reservation_counts_at_once_everywhere() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1, "10"))
    usage = capacity.usage(NOW)
    assert usage.orders_last_hour == 1
    assert usage.spent_today == usage.exposure == Decimal(10)
    assert usage.exposure_by_symbol == {"NEWUSDT": Decimal(10)}
    assert usage.symbols == ("NEWUSDT",)


def test_settling_keeps_what_was_spent_and_frees_the_rest() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1, "10"))
    capacity.settle(reservation(1).decision_id, spent=Decimal("7.5"))
    usage = capacity.usage(NOW)
    assert (usage.spent_today, usage.exposure, usage.orders_last_hour) == (Decimal("7.5"), Decimal(0), 1)


def test_a_repeated_or_late_outcome_changes_nothing() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1, "10"))
    capacity.settle(reservation(1).decision_id, spent=Decimal(7))
    before = capacity.usage(NOW)
    capacity.settle(reservation(1).decision_id, spent=Decimal(7))
    capacity.release(reservation(1).decision_id)
    capacity.settle(reservation(2).decision_id, spent=Decimal(7))
    assert capacity.usage(NOW) == before


def test_a_spend_above_the_reservation_is_counted_in_full() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1, "10"))
    capacity.settle(reservation(1).decision_id, spent=Decimal(12))
    assert capacity.usage(NOW).spent_today == Decimal(12)


def test_releasing_counts_neither_as_spend_nor_as_trade() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1))
    capacity.release(reservation(1).decision_id)
    capacity.release(reservation(1).decision_id)
    assert capacity.usage(NOW) == Capacity().usage(NOW)


def test_of_two_entries_of_one_instant_a_release_takes_one() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1))
    capacity.reserve(reservation(2, symbol="OTHERUSDT"))
    capacity.release(reservation(1).decision_id)
    usage = capacity.usage(NOW)
    assert (usage.orders_last_hour, usage.symbols) == (1, ("OTHERUSDT",))


def test_an_entry_can_be_released_after_it_left_the_hour() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1))
    later = NOW + 2 * HOUR
    assert capacity.usage(later).orders_last_hour == 0
    capacity.release(reservation(1).decision_id)
    assert capacity.usage(later).exposure == 0


def test_a_decision_holds_at_most_one_reservation() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1))
    with pytest.raises(InvariantError, match="holds a reservation already"):
        capacity.reserve(reservation(1))


@pytest.mark.parametrize("amount", ["-0.01", "NaN", "-Infinity"])
def test_nothing_can_add_capacity_by_a_negative_amount(amount: str) -> None:
    capacity = Capacity()
    with pytest.raises(InvariantError, match="cannot reserve"):
        capacity.reserve(reservation(1, amount))
    capacity.reserve(reservation(2))
    with pytest.raises(InvariantError, match="cannot have spent"):
        capacity.settle(reservation(2).decision_id, spent=Decimal(amount))
    assert capacity.usage(NOW).exposure == Decimal(10)


def test_an_entry_counts_for_sixty_minutes_and_not_an_instant_longer() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1))
    assert capacity.usage(NOW + HOUR - timedelta(microseconds=1)).orders_last_hour == 1
    assert capacity.usage(NOW + HOUR).orders_last_hour == 0


def test_the_spend_of_a_day_ends_at_midnight_utc() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1, "10", at=LATE))
    capacity.settle(reservation(1).decision_id, spent=Decimal(10))
    assert capacity.usage(LATE).spent_today == Decimal(10)
    assert capacity.usage(NEXT_DAY).spent_today == 0


def test_what_is_held_over_midnight_counts_today_until_it_settles_on_its_own_day() -> None:
    capacity = Capacity()
    capacity.reserve(reservation(1, "10", at=LATE))
    assert capacity.usage(NEXT_DAY).spent_today == Decimal(10)
    capacity.settle(reservation(1).decision_id, spent=Decimal(9))
    assert capacity.usage(NEXT_DAY).spent_today == 0
    assert capacity.usage(LATE).spent_today == Decimal(9)


def test_a_position_counts_as_exposure_until_it_is_closed() -> None:
    capacity = Capacity()
    capacity.set_position("NEWUSDT", Decimal(20))
    capacity.reserve(reservation(1, "10"))
    usage = capacity.usage(NOW)
    assert usage.exposure_by_symbol == {"NEWUSDT": Decimal(30)}
    assert usage.spent_today == Decimal(10)
    capacity.set_position("NEWUSDT", Decimal(5))
    assert capacity.usage(NOW).exposure == Decimal(15)
    capacity.set_position("NEWUSDT", Decimal(0))
    assert capacity.usage(NOW).exposure == Decimal(10)


def test_results_are_booked_by_day() -> None:
    capacity = Capacity()
    capacity.book(TODAY, Decimal(-30))
    capacity.book(TODAY, Decimal(10))
    capacity.book(TODAY + timedelta(days=1), Decimal(5))
    assert capacity.usage(NOW).realised_today == Decimal(-20)
    assert capacity.usage(NOW + timedelta(days=1)).realised_today == Decimal(5)


@pytest.mark.parametrize("reserve_first", [False, True])
def test_restoring_counts_earlier_entries_and_held_reservations_once(reserve_first: bool) -> None:
    capacity = Capacity()
    if reserve_first:
        capacity.reserve(reservation(1, "10"))
    history: dict[date, Decimal] = {TODAY: Decimal(40)}
    capacity.restore(entries=[NOW - timedelta(minutes=1), NOW - 2 * HOUR], spent=history, realised={TODAY: Decimal(-3)})
    if not reserve_first:
        capacity.reserve(reservation(1, "10"))
    history[TODAY] = Decimal(0)
    usage = capacity.usage(NOW)
    assert usage.orders_last_hour == 2
    assert usage.spent_today == Decimal(50)
    assert usage.realised_today == Decimal(-3)


def test_a_usage_is_a_picture_that_later_changes_do_not_touch() -> None:
    capacity = Capacity()
    capacity.set_position("NEWUSDT", Decimal(20))
    before = capacity.usage(NOW)
    capacity.set_position("OTHERUSDT", Decimal(5))
    assert before.exposure_by_symbol == {"NEWUSDT": Decimal(20)}
