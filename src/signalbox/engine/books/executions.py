"""The executions of an order, collected until they add up to what the venue says was executed."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.explained_fills import explained_rest, is_explained
from signalbox.domain.instruments import Instrument
from signalbox.domain.orders import Fill, Mode, Order, OrderEvidence
from signalbox.domain.ports import Clock, EventSink, OrderVenue
from signalbox.domain.positions import UniqueFills
from signalbox.engine.asking import asked
from signalbox.engine.books.hints import Hints, pause

FILLS_WINDOW = timedelta(seconds=30)
"""An order can be final before its trades are listed. What is not listed after this long is booked from the order's own
totals, as one fill that says so; the real ones replace it if they come after all."""


class Executions:
    """Reads executions of one account."""

    def __init__(
        self,
        venues: Mapping[Mode, OrderVenue],
        hints: Hints,
        *,
        clock: Clock,
        journal: EventSink,
        window: timedelta = FILLS_WINDOW,
    ) -> None:
        self._window = window
        self._venues = venues
        self._hints = hints
        self._clock = clock
        self._journal = journal

    async def listed(self, order: Order, exchange_order_id: str) -> Sequence[Fill]:
        """What the venue lists now. Raises VenueUnavailable or VenueRefused."""
        fills = self._venues[order.mode].fills(order, exchange_order_id)
        return await asked(fills, what=f"the fills of order {order.id}")

    async def complete(
        self,
        order: Order,
        evidence: OrderEvidence,
        instrument: Instrument,
        *,
        known: Sequence[Fill] = (),
        revision: int = 1,
    ) -> list[Fill]:
        """All of them, oldest first, however long that takes. `known` are on our books already."""
        unique, delays = UniqueFills(), backoff(first_s=0.02, longest_s=2.0)
        unique.add(fill for fill in known if not is_explained(fill))
        started = self._clock.now()
        with self._hints.following(order) as hinted:
            while True:
                hinted.clear()
                asked_in_vain = not await self._add_listed(unique, order, evidence)
                if unique.totals()[0] >= evidence.executed_quantity:
                    self._journal.health("fills_query", "running")
                    return unique.in_order()
                if self._clock.now() - started > self._window and not asked_in_vain:
                    rest = self._rest(unique, order, evidence, instrument, revision)
                    if rest is not None:
                        return [*unique.in_order(), rest]
                await pause(hinted, next(delays))

    async def _add_listed(self, unique: UniqueFills, order: Order, evidence: OrderEvidence) -> bool:
        try:
            unique.add(await self.listed(order, evidence.exchange_order_id or ""))
        except (VenueUnavailable, VenueRefused) as error:
            self._journal.health("fills_query", "degraded", order_id=str(order.id), reason=str(error))
            return False
        return True

    def _rest(
        self, unique: UniqueFills, order: Order, evidence: OrderEvidence, instrument: Instrument, revision: int
    ) -> Fill | None:
        seen = unique.in_order()
        rest = explained_rest(order, evidence, seen, instrument=instrument, revision=revision, now=self._clock.now())
        if rest is None:
            self._journal.health(
                "fills_query",
                "degraded",
                order_id=str(order.id),
                seen=str(unique.totals()[0]),
                of=str(evidence.executed_quantity),
            )
            return None
        self._journal.event(
            "warning",
            "trading",
            f"{order.symbol}: the exchange lists {len(seen)} executions of an order and counts more; the rest is booked"
            " from the order's own totals",
            order_id=str(order.id),
            quantity=str(rest.quantity),
            quote=str(rest.quote_quantity),
            assumed_fee=f"{rest.fee} {rest.fee_asset}",
            trade_id=rest.exchange_trade_id,
        )
        self._journal.health("fills_query", "running")
        return rest
