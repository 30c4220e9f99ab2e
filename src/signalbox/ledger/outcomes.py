"""What became of orders: submissions, results, and the trade log entry that each completed order gets."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import msgspec

from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import AccountId, DecisionId, OrderId
from signalbox.domain.money import ZERO
from signalbox.domain.orders import (
    Accepted,
    Fill,
    Order,
    OrderEvidence,
    OrderResult,
    OrderStatus,
    Rejected,
    StageTimes,
    SubmitOutcome,
    Unknown,
)
from signalbox.domain.positions import Position
from signalbox.ledger.connecting import Connection
from signalbox.ledger.database import Database
from signalbox.ledger.positions import save_position

_LOG_ENTRIES = UUID("2b0a4f1c-90d2-5b0f-8a41-0c1f0c7a7d55")
_FINAL = frozenset({OrderStatus.FILLED, OrderStatus.REJECTED, OrderStatus.FAILED})

_SUBMIT = """
UPDATE trade_orders SET
    status = 'submitted', submitted_at = $2, exchange_order_id = $3, response = $4, unknown_since = $5,
    error_reason = $6, latency_ms = $7,
    exchange_event_at = coalesce($8, exchange_event_at), received_at = coalesce($9, received_at),
    decided_at = coalesce($10, decided_at), durable_at = $11, sent_at = $12, acknowledged_at = $13, request = $14,
    due_at = coalesce($15, due_at)
WHERE id = $1
"""

_COMPLETE = """
UPDATE trade_orders SET
    status = $2, completed_at = greatest($3, submitted_at), unknown_since = NULL, error_code = $4,
    error_reason = $5, response = coalesce(response, '{}'::jsonb) || coalesce($6::jsonb, '{}'::jsonb),
    exchange_order_id = coalesce($7, exchange_order_id),
    executed_quantity = $8, executed_quote = $9, executed_price = $10, fees = $11, fill_model = $12,
    realised_pnl = $13, position_id = coalesce($14, position_id)
WHERE id = $1
RETURNING completed_at, response
"""

_FAIL = """
UPDATE trade_orders SET
    status = 'failed', completed_at = greatest($2, created_at), error_code = $3, error_reason = $4
WHERE id = $1 AND status = 'pending'
RETURNING completed_at
"""

_UNLOGGED = """
SELECT completed_at FROM trade_orders o
WHERE id = $1 AND completed_at IS NOT NULL AND NOT EXISTS (SELECT FROM trade_logs l WHERE l.order_id = o.id)
FOR UPDATE
"""

_OWED = """
SELECT id, completed_at FROM trade_orders o
WHERE account_id = $1 AND completed_at > now() - interval '2 days' AND submitted_at IS NULL
    AND NOT EXISTS (SELECT FROM trade_logs l WHERE l.order_id = o.id)
ORDER BY completed_at, id
"""

_ADD_FILL = """
INSERT INTO fills (
    account_id, order_id, symbol, side, exchange_trade_id, price, quantity, quote_quantity, fee, fee_asset,
    is_maker, filled_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (account_id, symbol, exchange_trade_id, side) DO NOTHING
"""

_ADD_LOG = """
INSERT INTO trade_logs (
    id, order_id, revision, exchange_response, fill_quantity, fill_price, fees, fills, logged_at, position_snapshot
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, greatest(now(), $9), $10)
"""

_END_RESERVATION = """
UPDATE reservations r SET
    state = ended.state, settled_at = $3, settled_amount = CASE WHEN ended.state = 'settled' THEN $2::numeric END
FROM (
    SELECT CASE WHEN EXISTS (
        SELECT FROM trade_orders WHERE decision_id = $1 AND submitted_at IS NOT NULL
    ) THEN 'settled' ELSE 'released' END AS state
) ended
WHERE r.decision_id = $1 AND r.state = 'held'
"""


class Outcomes:
    """Writes what happened to orders. Every method may be repeated: the second time changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_submission(
        self, order: Order, outcome: SubmitOutcome, stages: StageTimes, *, latency_ms: Decimal | None
    ) -> None:
        """The answer to a send. A refusal completes the order, with its trade log entry."""
        async with self._database.transaction() as connection:
            status = await _lock_status(connection, order.id)
            if status in _FINAL or (status is OrderStatus.SUBMITTED and isinstance(outcome, Unknown)):
                return
            if status is OrderStatus.PENDING or isinstance(outcome, Accepted):
                await _submit(connection, order, outcome, stages, latency_ms)
            if isinstance(outcome, Rejected):
                await _refuse(connection, order, outcome, stages)
            await connection.execute(
                "UPDATE system_status SET last_order_time = greatest(last_order_time, $1)", stages.sent_at
            )

    async def record_unsent(self, order: Order, *, at: datetime, code: str, reason: str) -> None:
        """pending → failed, with its trade log entry: the order surely never left. An order that was never written
        stays so."""
        async with self._database.transaction() as connection:
            completed_at = await connection.fetchval(_FAIL, order.id, at, code, reason)
            if completed_at is not None:
                await add_trade_log(connection, TradeLogEntry(order_id=order.id, at=completed_at))

    async def record_blocked(self, order: Order) -> None:
        """The trade log entry of an order that a guardrail stopped at the decision: it was stored as rejected."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_UNLOGGED, order.id)
            if row is not None:
                await add_trade_log(connection, TradeLogEntry(order_id=order.id, at=row["completed_at"]))

    async def record_unlogged(self, account_id: AccountId) -> None:
        """The trade log entries that an engine owed when it was killed, right after it had stored a blocked order."""
        rows = await self._database.fetch(_OWED, account_id)
        async with self._database.transaction() as connection:
            for row in rows:
                await add_trade_log(connection, TradeLogEntry(order_id=OrderId(row["id"]), at=row["completed_at"]))

    async def record_result(
        self,
        order: Order,
        *,
        evidence: OrderEvidence,
        fills: Sequence[Fill],
        result: OrderResult,
        position: Position | None,
        spent: Decimal | None,
        fill_model: str | None,
    ) -> None:
        """How an order ended: order, fills, position, reservation (when `spent` is given) and trade log entry."""
        async with self._database.transaction() as connection:
            status = await _lock_status(connection, order.id)
            if status in _FINAL:
                return
            if status is OrderStatus.PENDING:
                await connection.execute(
                    "UPDATE trade_orders SET status = 'submitted', submitted_at = created_at WHERE id = $1", order.id
                )
            await add_fills(connection, order, fills)
            booked = await save_position(connection, position) if position is not None else None
            completion = _Completion(
                status=result.status,
                at=result.completed_at,
                error_code=result.error_code,
                error_reason=result.error_reason,
                response=evidence.response or None,
                exchange_order_id=evidence.exchange_order_id,
                result=result,
                fills=fills,
                position=position,
                booked=booked,
                fill_model=fill_model,
            )
            await _complete(connection, order.id, completion)
            if spent is not None:
                await _end_reservation(connection, order.decision_id, spent, result.completed_at)

    async def settle_reservation(self, decision_id: DecisionId, *, spent: Decimal, at: datetime) -> None:
        """End a reservation. One whose orders were sent is settled with what they spent, zero included, and goes on to
        count as a trade of its hour; one of which nothing was sent is released."""
        async with self._database.transaction() as connection:
            await _end_reservation(connection, decision_id, spent, at)


class _Completion(msgspec.Struct, frozen=True, kw_only=True):
    """All that a completed order's row and its trade log entry need."""

    status: OrderStatus
    at: datetime
    error_code: str | None
    error_reason: str | None
    response: dict[str, Any] | None
    exchange_order_id: str | None = None
    result: OrderResult | None = None
    fills: Sequence[Fill] = ()
    position: Position | None = None
    booked: Decimal | None = None
    fill_model: str | None = None


class TradeLogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What the trade log keeps of one version of a completed order. `response` is the venue's, empty without any."""

    order_id: OrderId
    at: datetime
    revision: int = 1
    response: dict[str, Any] = {}
    result: OrderResult | None = None
    fills: Sequence[Fill] = ()
    position: Position | None = None


async def _lock_status(connection: Connection, order_id: OrderId) -> OrderStatus:
    status = await connection.fetchval("SELECT status FROM trade_orders WHERE id = $1 FOR UPDATE", order_id)
    if status is None:
        raise InvariantError(f"order {order_id} has an outcome but is not in the ledger")
    return OrderStatus(status)


async def _submit(
    connection: Connection, order: Order, outcome: SubmitOutcome, stages: StageTimes, latency_ms: Decimal | None
) -> None:
    sent_at = stages.sent_at or order.created_at
    unknown = isinstance(outcome, Unknown)
    await connection.execute(
        _SUBMIT,
        order.id,
        sent_at,
        outcome.exchange_order_id if isinstance(outcome, Accepted) else None,
        None if isinstance(outcome, Unknown) else outcome.response,
        (stages.acknowledged_at or sent_at) if unknown else None,
        outcome.reason if isinstance(outcome, Unknown) else None,
        latency_ms,
        stages.exchange_event_at,
        stages.received_at,
        stages.decided_at,
        stages.durable_at,
        stages.sent_at,
        stages.acknowledged_at,
        outcome.request,
        stages.due_at,
    )


async def _refuse(connection: Connection, order: Order, outcome: Rejected, stages: StageTimes) -> None:
    completion = _Completion(
        status=OrderStatus.REJECTED,
        at=stages.acknowledged_at or stages.sent_at or order.created_at,
        error_code=outcome.code,
        error_reason=outcome.message,
        response=outcome.response,
    )
    await _complete(connection, order.id, completion)


async def _complete(connection: Connection, order_id: OrderId, completion: _Completion) -> None:
    """Write the final state, then its trade log entry. The entry comes last: it locks the head of the stream."""
    c, result = completion, completion.result
    executed = result is not None and result.executed_quantity > ZERO
    completed = await connection.fetchrow(
        _COMPLETE,
        order_id,
        c.status,
        c.at,
        c.error_code,
        c.error_reason,
        c.response,
        c.exchange_order_id,
        result.executed_quantity if result else None,
        result.executed_quote if result else None,
        result.executed_price if result else None,
        result.fees if result else None,
        c.fill_model if executed else None,
        c.booked,
        c.position.id if c.position else None,
    )
    if completed is None:
        raise InvariantError(f"order {order_id} vanished while it was locked")
    await add_trade_log(
        connection,
        TradeLogEntry(
            order_id=order_id,
            response=completed["response"],
            at=completed["completed_at"],
            result=result,
            fills=c.fills,
            position=c.position,
        ),
    )


async def add_trade_log(connection: Connection, entry: TradeLogEntry) -> None:
    """Append to the trade log. Do it last: it locks the head of the stream until the transaction ends."""
    result = entry.result
    await connection.execute(
        _ADD_LOG,
        uuid5(_LOG_ENTRIES, f"{entry.order_id}:{entry.revision}"),
        entry.order_id,
        entry.revision,
        entry.response,
        result.executed_quantity if result else None,
        result.executed_price if result else None,
        result.fees if result else None,
        list(entry.fills),
        entry.at,
        entry.position,
    )


async def add_fills(connection: Connection, order: Order, fills: Sequence[Fill]) -> None:
    """Insert the fills of an order that are not there yet."""
    await connection.executemany(
        _ADD_FILL,
        [
            (
                order.account_id,
                order.id,
                fill.symbol,
                fill.side,
                fill.exchange_trade_id,
                fill.price,
                fill.quantity,
                fill.quote_quantity,
                fill.fee,
                fill.fee_asset,
                fill.is_maker,
                fill.filled_at,
            )
            for fill in fills
        ],
    )


async def _end_reservation(connection: Connection, decision_id: DecisionId, spent: Decimal, at: datetime) -> None:
    await connection.execute(_END_RESERVATION, decision_id, spent, at)
