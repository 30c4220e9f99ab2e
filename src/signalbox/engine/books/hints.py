"""Which orders somebody waits for, and hints that one of them changed. A hint only ends a pause earlier: what happened
is asked of the venue."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal

from signalbox.domain.ids import ClientOrderId, OrderId
from signalbox.domain.orders import Order
from signalbox.domain.venue_records import OrderUpdate

GAP_S = 0.02
"""Questions about one order are at least this far apart, however many hints come: they cost weight."""

_MOST_REMEMBERED = 1_000


class Hints:
    """The orders of one account that are being followed, and how the last thousand ended."""

    def __init__(self) -> None:
        self._events: dict[ClientOrderId, asyncio.Event] = {}
        self._orders: dict[OrderId, int] = {}
        self._ended: OrderedDict[str, Decimal] = OrderedDict()

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

    def follows(self, order_id: OrderId) -> bool:
        """True while somebody waits for this order's end."""
        return order_id in self._orders

    def ended(self, order: Order, executed: Decimal) -> None:
        """The venue said how an order ended: updates that tell no more than that are late ones."""
        self._ended[order.client_order_id] = executed
        while len(self._ended) > _MOST_REMEMBERED:
            self._ended.popitem(last=False)

    def has_ended(self, order: Order) -> bool:
        """Whether this process has booked the end of this order."""
        return order.client_order_id in self._ended

    def tell(self, update: OrderUpdate) -> bool:
        """An order changed. False when nobody waits for it and this is news: somebody else has to look."""
        if update.client_order_id is None:
            return False
        event = self._events.get(ClientOrderId(update.client_order_id))
        if event is not None:
            event.set()
            return True
        known = self._ended.get(update.client_order_id)
        return known is not None and (update.executed_quantity is None or update.executed_quantity <= known)


async def pause(hinted: asyncio.Event, longest_s: float) -> None:
    """Wait as long as told, or until a hint comes."""
    await asyncio.sleep(min(GAP_S, longest_s))
    if longest_s > GAP_S:
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s - GAP_S):
                await hinted.wait()
