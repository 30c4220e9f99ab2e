"""Start is recovery: what was in flight when an engine ended is settled by the venue's evidence before anything new."""

from decimal import Decimal

from signalbox.domain.ids import DecisionId
from signalbox.domain.money import ZERO
from signalbox.domain.orders import EvidenceState, Order, OrderStatus, Purpose
from signalbox.domain.ports import CapacityHistory, Clock, EventSink, Ledger, OpenOrder
from signalbox.engine.desk import Desk
from signalbox.engine.persist import persist
from signalbox.engine.settlement import Settlement

NEVER_SENT = "NEVER_SENT"


class Recovery:
    """Settles the open orders and reservations that an earlier engine left behind on one account."""

    def __init__(self, desk: Desk, ledger: Ledger, settlement: Settlement, *, clock: Clock, journal: EventSink) -> None:
        self._desk = desk
        self._ledger = ledger
        self._settlement = settlement
        self._clock = clock
        self._journal = journal

    async def run(self, histories: list[CapacityHistory]) -> None:
        """Settle every open order, exits first, then end the reservations that nothing holds any more."""
        orders = sorted(
            await self._ledger.open_orders(self._desk.rules.account.id),
            key=lambda open_order: (open_order.order.purpose is not Purpose.EXIT, open_order.order.created_at),
        )
        spent: dict[DecisionId, Decimal] = {}
        last: dict[DecisionId, Order] = {}
        for open_order in orders:
            order = open_order.order
            if open_order.exit_plan is not None:
                self._desk.exit_plans[order.decision_id] = open_order.exit_plan
            spent[order.decision_id] = spent.get(order.decision_id, ZERO) + await self._settle(open_order)
            last[order.decision_id] = order
        for decision_id, order in last.items():
            if order.purpose is Purpose.ENTRY:
                self._desk.settle(order, spent[decision_id])
        for history in histories:
            for reservation in history.held:
                await self._end_reservation(reservation.decision_id, spent)

    async def _settle(self, open_order: OpenOrder) -> Decimal:
        order = open_order.order
        evidence = await self._settlement.evidence(order, order.created_at)
        if evidence.state is EvidenceState.NOT_FOUND and open_order.status is OrderStatus.PENDING:
            reason = "the engine ended before the order was sent; the venue does not know it"
            now = self._clock.now()
            await persist(
                lambda: self._ledger.record_unsent(order, at=now, code=NEVER_SENT, reason=reason),
                self._journal,
                f"the stop of order {order.id}",
            )
            self._tell(order, "was never sent")
            return ZERO
        settled = await self._settlement.finish(order, order.created_at)
        self._tell(order, f"ended as {settled.result.status}")
        return settled.spent

    async def _end_reservation(self, decision_id: DecisionId, spent: dict[DecisionId, Decimal]) -> None:
        """Also ends reservations whose orders were settled already: their spend is what their position cost."""
        amount = spent.get(decision_id, ZERO)
        if not amount:
            amount = sum(
                (p.cost + p.fees for p in self._desk.positions.values() if str(p.id) == str(decision_id)), ZERO
            )
        now = self._clock.now()
        await persist(
            lambda: self._ledger.settle_reservation(decision_id, spent=amount, at=now),
            self._journal,
            f"the reservation of decision {decision_id}",
        )

    def _tell(self, order: Order, what: str) -> None:
        self._journal.event(
            "warning",
            "trading",
            f"recovery: {order.side} order for {order.symbol} {what}",
            order_id=str(order.id),
            client_order_id=order.client_order_id,
        )
