"""Questions to a venue, none of which is waited for without an end."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from signalbox.domain.errors import VenueUnavailable

T = TypeVar("T")

ANSWER_LIMIT_S = 10.0
"""Longer than an adapter's own time limits: only an adapter that hangs is cut off here."""


async def asked(question: Awaitable[T], *, what: str, within_s: float = ANSWER_LIMIT_S) -> T:
    """The answer to a question that may be repeated. Raises VenueUnavailable when none came in time."""
    try:
        async with asyncio.timeout(within_s):
            return await question
    except TimeoutError:
        raise VenueUnavailable(f"no answer within {within_s:g} s to: {what}") from None
