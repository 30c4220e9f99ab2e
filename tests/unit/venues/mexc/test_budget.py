"""The weight budget spends what the venue allows and no more, within any ten seconds."""

from hypothesis import given
from hypothesis import strategies as st
from tests.venue_examples import ManualClock

from signalbox.venues.mexc.budget import WeightBudget


def test_polls_leave_the_reserve_to_others() -> None:
    clock = ManualClock()
    budget = WeightBudget(clock, limit=100, window_s=10, reserve=30)
    budget.spend(70)
    assert budget.wait_s(1, poll=True) == 10
    assert budget.wait_s(30, poll=False) == 0
    assert budget.wait_s(31, poll=False) == 10
    clock.advance(10)
    assert budget.wait_s(70, poll=True) == 0


def test_the_wait_is_until_enough_is_forgotten() -> None:
    clock = ManualClock()
    budget = WeightBudget(clock, limit=10, window_s=10, reserve=0)
    for _ in range(5):
        budget.spend(2)
        clock.advance(1)
    assert budget.wait_s(2, poll=False) == 5
    assert budget.wait_s(4, poll=False) == 6


def test_the_peak_is_the_most_since_it_was_asked_for() -> None:
    clock = ManualClock()
    budget = WeightBudget(clock, limit=100)
    budget.spend(40)
    clock.advance(5)
    budget.spend(30)
    clock.advance(6)
    assert (budget.used(), budget.take_peak(), budget.take_peak()) == (30, 70, 30)


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 3)), max_size=60))
def test_no_window_ever_holds_more_than_the_limit(requests: list[tuple[int, float]]) -> None:
    clock = ManualClock()
    budget = WeightBudget(clock, limit=100, window_s=10, reserve=0)
    spent: list[tuple[int, int]] = []
    for weight, pause in requests:
        clock.advance(pause)
        while (wait := budget.wait_s(weight, poll=False)) > 0:
            clock.advance(wait + 1e-9)
        budget.spend(weight)
        spent.append((clock.monotonic_ns(), weight))
    for end_ns, _ in spent:
        assert sum(w for at_ns, w in spent if end_ns - 10_000_000_000 < at_ns <= end_ns) <= 100
