"""Pauses between attempts that fail in a row."""

from collections.abc import Callable

from signalbox.domain.backoff import backoff

Jitter = Callable[[], float]
"""A source of randomness: each call gives a number in [0, 1)."""


class Backoff:
    """1, 2, 4 … seconds up to `longest_s`, each shortened by up to a quarter so that clients do not march in step."""

    def __init__(self, jitter: Jitter, *, first_s: float = 1.0, longest_s: float = 30.0) -> None:
        self._jitter = jitter
        self._first_s = first_s
        self._longest_s = longest_s
        self.reset()

    def next_s(self) -> float:
        """The pause before the next attempt, in seconds."""
        return next(self._delays) * (1 - self._jitter() / 4)

    def reset(self) -> None:
        """An attempt succeeded: the next failure starts small again."""
        self._delays = backoff(self._first_s, self._longest_s)
