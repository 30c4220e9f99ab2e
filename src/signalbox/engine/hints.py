"""Which orders somebody waits for, and hints that one of them changed. A hint only ends a pause earlier: what happened
is asked of the venue."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from signalbox.domain.ids import ClientOrderId, OrderId
from signalbox.domain.orders import Order
from signalbox.domain.ports import Clock

GAP_S = 0.02
"""Questions about one order are at least this far apart, however many hints come: they cost weight."""

AFTERGLOW_NS = 10_000_000_000
"""Hints about an order that was settled this recently are late ones."""

_MOST_REMEMBERED = 1_000


class Hints:
    """The orders of one account that are being followed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: dict[ClientOrderId, asyncio.Event] = {}
        self._orders: dict[OrderId, int] = {}
        self._ended: OrderedDict[str, int] = OrderedDict()

    @contextmanager
    def following(self, order: Order) -> Iterator[asyncio.Event]:
        """Wait for an order's end inside the block. The event is set by hints; whoever waits clears it."""
        self._orders[order.id] = self._orders.get(order.id, 0) + 1
        event = self._events.setdefault(order.client_order_id, asyncio.Event())
        try:
            yield event
        finally:
            self._orders[order.id] -= 1
            if not self._orders[order.id]:
                del self._orders[order.id], self._events[order.client_order_id]
                self._remember(order.client_order_id)

    def follows(self, order_id: OrderId) -> bool:
        """True while somebody waits for this order's end."""
        return order_id in self._orders

    def tell(self, client_order_id: str) -> bool:
        """An order changed. False when nobody waits for it, nor did a moment ago."""
        event = self._events.get(ClientOrderId(client_order_id))
        if event is not None:
            event.set()
            return True
        ended_ns = self._ended.get(client_order_id)
        return ended_ns is not None and self._clock.monotonic_ns() - ended_ns < AFTERGLOW_NS

    def _remember(self, client_order_id: str) -> None:
        self._ended[client_order_id] = self._clock.monotonic_ns()
        while len(self._ended) > _MOST_REMEMBERED:
            self._ended.popitem(last=False)


async def pause(hinted: asyncio.Event, longest_s: float) -> None:
    """Wait as long as told, or until a hint comes."""
    await asyncio.sleep(min(GAP_S, longest_s))
    if longest_s > GAP_S:
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s - GAP_S):
                await hinted.wait()
