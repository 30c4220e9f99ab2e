"""Pauses grow, stay bounded and never march in step."""

from signalbox.venues.backoff import Backoff


def test_pauses_double_up_to_the_longest_and_start_again_after_a_success() -> None:
    backoff = Backoff(lambda: 0.0)
    assert [backoff.next_s() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next_s() == 1


def test_jitter_shortens_by_at_most_a_quarter() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.next_s() for _ in range(3)] == [0.75, 1.5, 3.0]
