# ruff: noqa: ARG002 - a fake takes all that its port takes
"""The reconciliation part of the ledger in memory, as a part of the fake ledger."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import AccountId, PositionId
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Mode, OrderStatus, Purpose, Side
from signalbox.domain.reconciliation import (
    REVISION_EDGES,
    ClosedOrder,
    Flows,
    MarketFlow,
    PositionHistory,
    Reconciliation,
    ReservationEnd,
    ReservationState,
    Revision,
    WalletLine,
)
from signalbox.domain.venue_records import VenueOrder


class ReconciliationRows(Struct, kw_only=True):
    """What survives a crash."""

    external: dict[tuple[AccountId, str], VenueOrder] = {}
    wallets: dict[tuple[AccountId, str], WalletLine] = {}
    done: list[Reconciliation] = []
    revisions: list[Revision] = []


class FakeReconciliationRecords:
    """The ReconciliationLedger port; a mixin of FakeLedger."""

    db: Any

    async def _enter(self, method: str) -> Any:
        raise NotImplementedError

    async def _leave(self, fault: Any) -> None:
        raise NotImplementedError

    @property
    def _books(self) -> ReconciliationRows:
        rows: ReconciliationRows = self.db.books
        return rows

    async def closed_orders(self, account_id: AccountId, since: datetime) -> Sequence[ClosedOrder]:
        await self._enter("closed_orders")
        return [
            self._closed(row)
            for row in self.db.orders.values()
            if row.order.account_id == account_id
            and row.order.mode is Mode.LIVE
            and row.completed_at is not None
            and row.completed_at >= since
        ]

    def _closed(self, row: Any) -> ClosedOrder:
        held = self.db.reservations.get(row.order.decision_id)
        entry = row.order.purpose is Purpose.ENTRY
        return ClosedOrder(
            order=row.order,
            status=row.status,
            revision=row.revision,
            completed_at=row.completed_at,
            exchange_order_id=row.exchange_order_id,
            executed_quantity=row.result.executed_quantity if row.result else ZERO,
            executed_quote=row.result.executed_quote if row.result else ZERO,
            error_code=row.code,
            fills=row.fills,
            reservation=ReservationEnd(state=ReservationState(held.state), created_at=held.reservation.created_at)
            if held and entry
            else None,
            exit_plan=self.db.decisions[row.order.decision_id].decision.inputs.configuration.parameters.exit_plan
            if entry
            else None,
        )

    async def own_client_order_ids(self, account_id: AccountId, asked: Sequence[str]) -> frozenset[str]:
        await self._enter("own_client_order_ids")
        return frozenset(row.order.client_order_id for row in self.db.orders.values()) & frozenset(asked)

    async def position_history(self, position_id: PositionId) -> PositionHistory | None:
        await self._enter("position_history")
        position = self.db.positions.get(position_id)
        if position is None:
            return None
        fills = [
            (row.order.id, fill)
            for row in self.db.orders.values()
            if row.position_id == position_id
            for fill in row.fills
        ]
        return PositionHistory(position=position, fills=tuple(fills))

    async def revise(self, revision: Revision) -> None:
        fault = await self._enter("revise")
        row = self.db.orders[revision.order.id]
        if row.revision < revision.number:
            if row.revision + 1 != revision.number or revision.result.status not in REVISION_EDGES[row.status]:
                raise InvariantError(f"order {revision.order.id} cannot be revised from {row.status}")
            row.revision, row.status, row.fills = revision.number, revision.result.status, revision.fills
            row.code, row.reason, row.result = (
                revision.result.error_code,
                revision.result.error_reason,
                revision.result if revision.fills else None,
            )
            row.exchange_order_id = revision.evidence.exchange_order_id or row.exchange_order_id
            if revision.position is not None:
                row.position_id = row.position_id or revision.position.id
                before = self.db.positions.get(revision.position.id)
                self.db.positions[revision.position.id] = revision.position
                booked = revision.position.realised_pnl - (before.realised_pnl if before else ZERO)
                _, _, earlier = self.db.realised.get(row.order.id, (None, None, ZERO))
                self.db.realised[row.order.id] = (row.completed_at, row.order.mode, earlier + booked)
            held = self.db.reservations.get(row.order.decision_id)
            if revision.more_spent is not None and held is not None and held.state != "held":
                held.state, held.spent = "settled", held.spent + revision.more_spent
            self.db.trade_log.append(row.order.id)
            self._books.revisions.append(revision)
        await self._leave(fault)

    async def record_external_orders(
        self, account_id: AccountId, orders: Sequence[VenueOrder], at: datetime
    ) -> Sequence[VenueOrder]:
        fault = await self._enter("record_external_orders")
        new = [order for order in orders if (account_id, order.exchange_order_id) not in self._books.external]
        for order in orders:
            self._books.external[account_id, order.exchange_order_id] = order
        await self._leave(fault)
        return new

    async def live_flows(self, account_id: AccountId) -> Flows:
        await self._enter("live_flows")
        quantities: dict[tuple[str, Side], Decimal] = defaultdict(Decimal)
        quotes: dict[tuple[str, Side], Decimal] = defaultdict(Decimal)
        fees: dict[str, Decimal] = defaultdict(Decimal)
        busy = set()
        for row in self.db.orders.values():
            if row.order.mode is not Mode.LIVE:
                continue
            if row.status in {OrderStatus.PENDING, OrderStatus.SUBMITTED}:
                busy.add(row.order.symbol)
            for fill in row.fills:
                quantities[fill.symbol, fill.side] += fill.quantity
                quotes[fill.symbol, fill.side] += fill.quote_quantity
                fees[fill.fee_asset] += fill.fee
        markets = tuple(
            MarketFlow(symbol=symbol, side=side, quantity=quantity, quote=quotes[symbol, side])
            for (symbol, side), quantity in quantities.items()
        )
        held: dict[str, Decimal] = defaultdict(Decimal)
        for position in self.db.positions.values():
            if position.mode is Mode.LIVE and position.closed_at is None:
                held[position.symbol] += position.quantity
        return Flows(markets=markets, fees=dict(fees), held=dict(held), busy=frozenset(busy))

    async def wallet(self, account_id: AccountId) -> Sequence[WalletLine]:
        await self._enter("wallet")
        return [line for (owner, _), line in self._books.wallets.items() if owner == account_id]

    async def record_reconciliation(self, done: Reconciliation, wallet: Sequence[WalletLine]) -> None:
        fault = await self._enter("record_reconciliation")
        if not any(other.started_at == done.started_at for other in self._books.done):
            self._books.done.append(done)
        for line in wallet:
            self._books.wallets[done.account_id, line.balance.asset] = line
        await self._leave(fault)
