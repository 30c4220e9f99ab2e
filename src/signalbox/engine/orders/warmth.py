"""Keeping hot what an order needs. Code and data that nobody has touched for some milliseconds cost five times as much,
and an event loop that sleeps has to be woken first: together more than the order itself.

So for the seconds around an opening the loop does not sleep, and the way of an order is walked again and again with an
intent of a listing that does not exist: decided, encoded, signed, thrown away; and, less often, written to the ledger
and taken back.
"""

import asyncio
import math

from msgspec import Struct

from signalbox.domain.configuration import BotConfiguration
from signalbox.domain.decisions import Intent
from signalbox.domain.errors import LedgerUnavailable
from signalbox.domain.orders import Mode
from signalbox.domain.ports import Clock, Ledger, OrderVenue
from signalbox.engine.desk import Desk

WALK_EVERY_NS = 2_000_000
"""Pause between two walks. A walk takes about a twentieth of that: it is what an order may have to wait for."""

WALK_PAUSE_NS = 500_000
"""No walk begins so shortly before an order is due."""

COMMIT_EVERY_NS = 20_000_000
"""Pause between two intents that are written to the ledger and taken back."""

COMMIT_PAUSE_NS = 5_000_000
"""None of them begins so shortly before an order is due: while one is under way, a real intent would have to wait."""


class WarmPaths(Struct, frozen=True, kw_only=True):
    """The ways that an account's order goes."""

    desk: Desk
    ledger: Ledger
    orders: dict[Mode, OrderVenue]


class Warmth:
    """Keeps the ways of one account's orders hot. Nothing that it does is seen by anybody else."""

    def __init__(self, paths: WarmPaths, configuration: BotConfiguration, clock: Clock) -> None:
        self._paths = paths
        self._configuration = configuration
        self._clock = clock
        self._rehearsal: asyncio.Task[None] | None = None

    async def keep(self, until_ns: int, *, due_ns: int | None = None) -> None:
        """Stay hot until that instant; an order is expected at `due_ns` (both monotonic). Takes a whole core.

        Cancelling it waits for a rehearsal under way, a matter of a millisecond: one that is cut off would cost the
        ledger's connection.
        """
        walk_ns = commit_ns = self._clock.monotonic_ns()
        try:
            while (now_ns := self._clock.monotonic_ns()) < until_ns:
                left_ns = math.inf if due_ns is None else due_ns - now_ns
                if now_ns >= walk_ns and not 0 <= left_ns <= WALK_PAUSE_NS:
                    intent = self.walk()
                    walk_ns = self._clock.monotonic_ns() + WALK_EVERY_NS
                    if now_ns >= commit_ns and left_ns > COMMIT_PAUSE_NS and self._rehearsal is None:
                        self._rehearsal = asyncio.create_task(self._rehearse(intent), name="warmth rehearsal")
                        commit_ns = now_ns + COMMIT_EVERY_NS
                await asyncio.sleep(0)
        finally:
            if self._rehearsal is not None:
                await asyncio.wait({self._rehearsal})

    def walk(self) -> Intent:
        """Decide on a listing that does not exist, encode the intent and sign its order."""
        paths = self._paths
        intent = paths.desk.rehearsal(self._configuration)
        paths.ledger.practise(intent)
        venue = None if intent.order is None else paths.orders.get(intent.order.mode)
        if venue is not None and intent.order is not None:
            venue.prepare(intent.order)
        return intent

    async def _rehearse(self, intent: Intent) -> None:
        try:
            await self._paths.ledger.rehearse(intent)
        except LedgerUnavailable:
            pass  # whoever commits says so
        finally:
            self._rehearsal = None
