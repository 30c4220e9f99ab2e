"""How long to wait before asking again."""

from collections.abc import Iterator


def backoff(first_s: float = 1.0, longest_s: float = 30.0) -> Iterator[float]:
    """Seconds to wait before each further try: first, doubled each time, never above the longest."""
    delay = first_s
    while True:
        yield delay
        delay = min(delay * 2, longest_s)
