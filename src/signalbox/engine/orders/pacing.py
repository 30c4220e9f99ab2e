"""The account's pace of orders, shared by all listings that open at the same second: who asked first goes first.

The venue's adapter counts what went out. Here it is waited for, so that no attempt is recorded only to say that it had
to wait: a place is taken before an attempt is made durable, and the turn comes right before the wire.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from signalbox.domain.orders import Mode, Order, Purpose
from signalbox.domain.ports import Clock, OrderVenue


class Place:
    """Room for one order that is on its way to the wire. Given back once, whatever becomes of it."""

    def __init__(self, pacer: "Pacer", mode: Mode) -> None:
        self._pacer: Pacer | None = pacer
        self._mode = mode

    def give_back(self) -> None:
        """The order is on the wire, or does not go. Repeating it changes nothing."""
        if self._pacer is not None:
            self._pacer.on_their_way[self._mode] -= 1
            self._pacer = None


class Pacer:
    """Waits for the venue's limits on behalf of an account's entries."""

    def __init__(self, venues: Mapping[Mode, OrderVenue], clock: Clock) -> None:
        self.on_their_way = dict.fromkeys(Mode, 0)
        """How many places are taken."""
        self._venues = venues
        self._clock = clock
        self._places = {mode: asyncio.Lock() for mode in Mode}
        self._turns = {mode: asyncio.Lock() for mode in Mode}

    async def place(self, mode: Mode, until: datetime) -> Place | None:
        """Wait for room for one more entry besides those on their way. None when there is none until then."""
        wait_s = await self._first_come(self._places[mode], lambda: self._room_s(mode), until)
        if wait_s > 0:
            return None
        self.on_their_way[mode] += 1
        return Place(self, mode)

    async def turn(self, order: Order, until: datetime) -> float:
        """Wait until this entry may go to the wire. 0: it may, as long as nothing is waited for before it is sent;
        else the seconds that are missing although `until` has come."""
        return await self._first_come(
            self._turns[order.mode], lambda: self._venues[order.mode].order_wait_s(Purpose.ENTRY), until
        )

    def _room_s(self, mode: Mode) -> float:
        venue = self._venues.get(mode)
        return 0.0 if venue is None else venue.order_wait_s(Purpose.ENTRY, self.on_their_way[mode] + 1)

    async def _first_come(self, line: asyncio.Lock, wait_s: Callable[[], float], until: datetime) -> float:
        if not line.locked() and wait_s() <= 0:  # the usual case, without a timer
            return 0.0
        left = (until - self._clock.now()).total_seconds()
        try:
            async with asyncio.timeout(max(0.0, left)), line:
                while (seconds := wait_s()) > 0:
                    if self._clock.now() + timedelta(seconds=seconds) > until:
                        return seconds
                    await asyncio.sleep(seconds)
                return 0.0
        except TimeoutError:
            return max(wait_s(), 0.001)
