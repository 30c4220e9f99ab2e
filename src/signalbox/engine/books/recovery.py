"""Start is recovery: what was in flight when an engine ended is settled by the venue's evidence before anything new."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal

from signalbox.domain.ids import DecisionId, PositionId
from signalbox.domain.money import ZERO, total
from signalbox.domain.orders import EvidenceState, Mode, Order, OrderStatus, Purpose
from signalbox.domain.ports import CapacityHistory, Clock, EventSink, Ledger, OpenOrder
from signalbox.engine.books.settlement import Settlement
from signalbox.engine.desk import Desk
from signalbox.engine.persist import persist

NEVER_SENT = "NEVER_SENT"


class Recovery:
    """Settles the open orders and reservations that an earlier engine left behind on one account.

    Each decision is settled on its own, so that one order whose outcome stays unclear holds up nothing but itself.
    `in_doubt`: positions whose exit order is not settled, so nothing may be sold yet. `may_open`: positions that an
    entry order which is not settled may still turn out to have opened. `on_settled` is called when either shrinks.
    """

    def __init__(
        self,
        desk: Desk,
        ledger: Ledger,
        settlement: Settlement,
        *,
        clock: Clock,
        journal: EventSink,
        on_settled: Callable[[], None],
    ) -> None:
        self.in_doubt: set[PositionId] = set()
        self.may_open: set[PositionId] = set()
        self._desk = desk
        self._ledger = ledger
        self._settlement = settlement
        self._clock = clock
        self._journal = journal
        self._on_settled = on_settled
        self._open: dict[DecisionId, list[OpenOrder]] = defaultdict(list)

    @property
    def modes(self) -> set[Mode]:
        """The modes of the orders that are open."""
        return {open_order.order.mode for orders in self._open.values() for open_order in orders}

    async def load(self) -> None:
        """Read what is open. Raises LedgerUnavailable."""
        for open_order in await self._ledger.open_orders(self._desk.rules.account.id):
            order = open_order.order
            self._open[order.decision_id].append(open_order)
            if order.purpose is Purpose.ENTRY:
                self.may_open.add(PositionId(order.decision_id))
            elif order.position_id is not None:
                self.in_doubt.add(order.position_id)

    async def run(self, histories: dict[Mode, CapacityHistory]) -> None:
        """Settle every open order, then end the reservations that nothing holds any more."""
        async with asyncio.TaskGroup() as tasks:
            for orders in self._open.values():
                tasks.create_task(self._settle_decision(orders))
        for mode, history in histories.items():
            for reservation in history.held:
                if reservation.decision_id not in self._open:  # its orders all ended, and none bought anything
                    await self._persist_end(reservation.decision_id, ZERO)
                    self._desk.end_reservation(mode, reservation.decision_id, ZERO)
        self._open.clear()

    async def settle_again(self, orders: Sequence[OpenOrder]) -> None:
        """Settle orders that were left without anybody who follows them, as at a start."""
        decisions: defaultdict[DecisionId, list[OpenOrder]] = defaultdict(list)
        for open_order in orders:
            decisions[open_order.order.decision_id].append(open_order)
        async with asyncio.TaskGroup() as tasks:
            for left in decisions.values():
                tasks.create_task(self._settle_decision(left))

    async def _settle_decision(self, orders: list[OpenOrder]) -> None:
        sent, spent = any(open_order.order.attempt > 1 for open_order in orders), ZERO  # the first was, then
        for open_order in sorted(orders, key=lambda open_order: open_order.order.attempt):
            if open_order.exit_plan is not None:
                self._desk.exit_plans[open_order.order.decision_id] = open_order.exit_plan
            was_sent, amount = await self._settle(open_order)
            sent, spent = sent or was_sent, total((spent, amount))
        order = orders[0].order
        if order.purpose is Purpose.ENTRY:
            await self._persist_end(order.decision_id, spent)
            if sent:
                self._desk.settle(order, spent)
            else:
                self._desk.release(order)
            self.may_open.discard(PositionId(order.decision_id))
        elif order.position_id is not None:
            self.in_doubt.discard(order.position_id)
        self._on_settled()

    async def _settle(self, open_order: OpenOrder) -> tuple[bool, Decimal]:
        """Whether the order was sent, and what it spent."""
        order = open_order.order
        # A simulated order lived in the process that simulated it: not finding it any more proves enough.
        accepted = open_order.exchange_order_id is not None and order.mode is Mode.LIVE
        evidence = await self._settlement.evidence(order, open_order.meant_for, accepted=accepted)
        if evidence.state is EvidenceState.NOT_FOUND and open_order.status is OrderStatus.PENDING:
            reason = "the engine ended before the order was sent; the venue does not know it"
            now = self._clock.now()
            await persist(
                lambda: self._ledger.record_unsent(order, at=now, code=NEVER_SENT, reason=reason),
                self._journal,
                f"the stop of order {order.id}",
            )
            self._tell(order, "was never sent")
            return False, ZERO
        settled = await self._settlement.finish(order, open_order.meant_for, accepted=accepted)
        self._tell(order, f"ended as {settled.result.status}")
        return True, settled.spent

    async def _persist_end(self, decision_id: DecisionId, spent: Decimal) -> None:
        now = self._clock.now()
        await persist(
            lambda: self._ledger.settle_reservation(decision_id, spent=spent, at=now),
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
