"""Writes that must not be lost: repeated until the ledger has them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import LedgerUnavailable
from signalbox.domain.ports import EventSink

T = TypeVar("T")

LONGEST_PAUSE_S = 2.0


async def persist(write: Callable[[], Awaitable[T]], journal: EventSink, what: str) -> T:
    """Call `write` until the ledger takes it, however long that takes: cancelling is the only other end.

    Only for writes that may be repeated without harm.
    """
    for delay in backoff(first_s=0.25, longest_s=LONGEST_PAUSE_S):
        try:
            return await write()
        except LedgerUnavailable as error:
            journal.health("ledger", "error", waiting_for=what, reason=str(error))
            await asyncio.sleep(delay)
    raise AssertionError  # backoff never ends
