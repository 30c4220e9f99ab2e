"""What reconciliation reads of the books, and what it leaves behind."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from signalbox.domain.ids import AccountId, OrderId, PositionId
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Fill, OrderStatus, Side
from signalbox.domain.positions import ExitPlan
from signalbox.domain.reconciliation import (
    ClosedOrder,
    Flows,
    MarketFlow,
    PositionHistory,
    Reconciliation,
    ReservationEnd,
    ReservationState,
    WalletLine,
)
from signalbox.domain.venue_records import Balance, VenueOrder
from signalbox.ledger.database import Database
from signalbox.ledger.positions import POSITIONS
from signalbox.ledger.rows import Row, document, order_from, position_from

KEPT_WITHOUT_DIFFERENCES = timedelta(days=1)

_CLOSED = """
SELECT o.*, r.state AS reservation_state, r.created_at AS reserved_at,
    CASE WHEN o.purpose = 'entry' THEN d.inputs #> '{configuration,parameters,exit_plan}' END AS exit_plan
FROM trade_orders o
JOIN strategy_decisions d ON d.id = o.decision_id
LEFT JOIN reservations r ON r.decision_id = o.decision_id
WHERE o.account_id = $1 AND o.mode = 'live' AND o.completed_at IS NOT NULL
    AND (o.completed_at >= $2 OR o.revised_at >= $2)
    AND (o.status <> 'rejected' OR o.submitted_at IS NOT NULL)
ORDER BY o.created_at, o.id
"""

_FILLS = """
SELECT * FROM fills WHERE order_id = ANY ($1::uuid[]) AND replaced_at IS NULL ORDER BY filled_at, exchange_trade_id
"""

_OWN_IDS = """
SELECT client_order_id FROM trade_orders WHERE client_order_id = ANY ($2::text[])
UNION
SELECT document::jsonb #>> '{order,client_order_id}' FROM intent_journal WHERE account_id = $1
"""

_POSITION_FILLS = """
SELECT f.* FROM fills f JOIN trade_orders o ON o.id = f.order_id
WHERE o.position_id = $1 AND f.replaced_at IS NULL ORDER BY f.filled_at, f.exchange_trade_id
"""

_ADD_EXTERNAL = """
INSERT INTO external_orders (
    account_id, exchange_order_id, client_order_id, symbol, side, order_type, price, quantity, executed_quantity,
    executed_quote, status, placed_at, first_seen_at, updated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
ON CONFLICT (account_id, exchange_order_id) DO UPDATE SET
    executed_quantity = excluded.executed_quantity, executed_quote = excluded.executed_quote,
    status = excluded.status, updated_at = greatest(excluded.updated_at, external_orders.first_seen_at)
WHERE (external_orders.executed_quantity, external_orders.executed_quote, external_orders.status)
    IS DISTINCT FROM (excluded.executed_quantity, excluded.executed_quote, excluded.status)
RETURNING xmax = 0 AS is_new
"""

_MARKET_FLOWS = """
SELECT f.symbol, f.side, sum(f.quantity) AS quantity, sum(f.quote_quantity) AS quote
FROM fills f JOIN trade_orders o ON o.id = f.order_id
WHERE f.account_id = $1 AND o.mode = 'live' AND f.replaced_at IS NULL
GROUP BY f.symbol, f.side ORDER BY f.symbol, f.side
"""

_FEES = """
SELECT f.fee_asset, sum(f.fee) AS fee FROM fills f JOIN trade_orders o ON o.id = f.order_id
WHERE f.account_id = $1 AND o.mode = 'live' AND f.replaced_at IS NULL GROUP BY f.fee_asset
"""

_HELD = """
SELECT symbol, sum(quantity) AS quantity FROM positions
WHERE account_id = $1 AND mode = 'live' AND status = 'open' GROUP BY symbol ORDER BY symbol
"""

_BUSY = """
SELECT symbol FROM trade_orders WHERE account_id = $1 AND mode = 'live' AND status IN ('pending', 'submitted')
UNION SELECT document::jsonb #>> '{order,symbol}' FROM intent_journal WHERE account_id = $1
"""

_SAVE_LINE = """
INSERT INTO account_balances (account_id, asset, free, locked, booked, traded, external_movement, checked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (account_id, asset) DO UPDATE SET
    free = excluded.free, locked = excluded.locked, booked = excluded.booked, traded = excluded.traded,
    external_movement = coalesce(excluded.external_movement, account_balances.external_movement),
    checked_at = excluded.checked_at
"""

_SAVE_RECONCILIATION = """
INSERT INTO reconciliations (account_id, started_at, finished_at, orders_checked, differences, agreed)
VALUES ($1, $2::timestamptz, greatest($3::timestamptz, $2::timestamptz), $4, $5, $6)
ON CONFLICT (account_id, started_at) DO NOTHING
"""

_FORGET = """
DELETE FROM reconciliations WHERE account_id = $1 AND finished_at < $2 AND differences = '[]'::jsonb
"""


class ReconciliationRecords:
    """The reconciliation part of the ledger port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def closed_orders(self, account_id: AccountId, since: datetime) -> Sequence[ClosedOrder]:
        """See `ReconciliationLedger.closed_orders`."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_CLOSED, account_id, since)
            fills: defaultdict[UUID, list[Fill]] = defaultdict(list)
            for row in await connection.fetch(_FILLS, [row["id"] for row in rows]):
                fills[row["order_id"]].append(_fill_from(row))
        return [_closed_from(row, fills[row["id"]]) for row in rows]

    async def own_client_order_ids(self, account_id: AccountId, asked: Sequence[str]) -> frozenset[str]:
        """See `ReconciliationLedger.own_client_order_ids`."""
        rows = await self._database.fetch(_OWN_IDS, account_id, list(asked))
        return frozenset(row["client_order_id"] for row in rows) & frozenset(asked)

    async def position_history(self, position_id: PositionId) -> PositionHistory | None:
        """A position with its counted fills, None when there is none."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(POSITIONS + "WHERE p.id = $1", position_id)
            if row is None:
                return None
            fills = await connection.fetch(_POSITION_FILLS, position_id)
        return PositionHistory(
            position=position_from(row), fills=tuple((OrderId(fill["order_id"]), _fill_from(fill)) for fill in fills)
        )

    async def record_external_orders(
        self, account_id: AccountId, orders: Sequence[VenueOrder], at: datetime
    ) -> Sequence[VenueOrder]:
        """See `ReconciliationLedger.record_external_orders`."""
        new = []
        async with self._database.transaction() as connection:
            for order in orders:
                is_new = await connection.fetchval(_ADD_EXTERNAL, *_external_values(account_id, order, at))
                if is_new:
                    new.append(order)
        return new

    async def live_flows(self, account_id: AccountId) -> Flows:
        """What all live fills of an account moved, in one snapshot."""
        async with self._database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            markets = await connection.fetch(_MARKET_FLOWS, account_id)
            fees = await connection.fetch(_FEES, account_id)
            held = await connection.fetch(_HELD, account_id)
            busy = await connection.fetch(_BUSY, account_id)
        return Flows(
            markets=tuple(
                MarketFlow(symbol=row["symbol"], side=Side(row["side"]), quantity=row["quantity"], quote=row["quote"])
                for row in markets
            ),
            fees={row["fee_asset"]: row["fee"] for row in fees},
            held={row["symbol"]: row["quantity"] for row in held},
            busy=frozenset(row["symbol"] for row in busy),
        )

    async def wallet(self, account_id: AccountId) -> Sequence[WalletLine]:
        """The wallet as it was last compared."""
        rows = await self._database.fetch(
            "SELECT * FROM account_balances WHERE account_id = $1 ORDER BY asset", account_id
        )
        return [
            WalletLine(
                balance=Balance(asset=row["asset"], free=row["free"], locked=row["locked"]),
                booked=row["booked"],
                traded=row["traded"],
                external_movement=row["external_movement"],
            )
            for row in rows
        ]

    async def record_reconciliation(self, done: Reconciliation, wallet: Sequence[WalletLine]) -> None:
        """See `ReconciliationLedger.record_reconciliation`."""
        async with self._database.transaction() as connection:
            await connection.execute(
                _SAVE_RECONCILIATION,
                done.account_id,
                done.started_at,
                done.finished_at,
                done.orders_checked,
                list(done.differences),
                done.agreed,
            )
            await connection.executemany(_SAVE_LINE, [_line_values(done, line) for line in wallet])
            await connection.execute(_FORGET, done.account_id, done.finished_at - KEPT_WITHOUT_DIFFERENCES)


def _closed_from(row: Row, fills: list[Fill]) -> ClosedOrder:
    reservation = None
    if row["purpose"] == "entry" and row["reservation_state"] is not None:
        reservation = ReservationEnd(state=ReservationState(row["reservation_state"]), created_at=row["reserved_at"])
    return ClosedOrder(
        order=order_from(row),
        status=OrderStatus(row["status"]),
        revision=row["revision"],
        completed_at=row["completed_at"],
        exchange_order_id=row["exchange_order_id"],
        executed_quantity=row["executed_quantity"] or ZERO,
        executed_quote=row["executed_quote"] or ZERO,
        error_code=row["error_code"],
        fills=tuple(fills),
        reservation=reservation,
        exit_plan=document(row["exit_plan"], ExitPlan) if row["exit_plan"] is not None else None,
    )


def _fill_from(row: Row) -> Fill:
    return Fill(
        exchange_trade_id=row["exchange_trade_id"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        price=row["price"],
        quantity=row["quantity"],
        quote_quantity=row["quote_quantity"],
        fee=row["fee"],
        fee_asset=row["fee_asset"],
        filled_at=row["filled_at"],
        is_maker=row["is_maker"],
    )


def _external_values(account_id: AccountId, order: VenueOrder, at: datetime) -> tuple[Any, ...]:
    return (
        account_id,
        order.exchange_order_id,
        order.client_order_id,
        order.symbol,
        order.side,
        order.kind,
        order.price,
        order.quantity,
        order.evidence.executed_quantity,
        order.evidence.executed_quote,
        order.status,
        order.placed_at,
        at,
    )


def _line_values(done: Reconciliation, line: WalletLine) -> tuple[Any, ...]:
    return (
        done.account_id,
        line.balance.asset,
        line.balance.free,
        line.balance.locked,
        line.booked,
        line.traded,
        line.external_movement,
        done.finished_at,
    )
