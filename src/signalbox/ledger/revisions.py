"""Corrections of closed orders by the venue's later evidence. Each one is the order's next revision: the order's row,
its fills, its position and its reservation change together, and the trade log gets a further entry."""

from signalbox.domain.errors import InvariantError
from signalbox.domain.orders import OrderStatus
from signalbox.domain.reconciliation import Revision
from signalbox.ledger.connecting import Connection
from signalbox.ledger.database import Database
from signalbox.ledger.outcomes import TradeLogEntry, add_fills, add_trade_log
from signalbox.ledger.positions import save_position

_LOCK = "SELECT status, revision FROM trade_orders WHERE id = $1 FOR UPDATE"

_REVISE = """
UPDATE trade_orders SET
    revision = $2, revised_at = $3, status = $4, submitted_at = coalesce(submitted_at, sent_at, created_at),
    completed_at = greatest(completed_at, submitted_at, sent_at, created_at),
    error_code = $5, error_reason = $6,
    response = coalesce(response, '{}'::jsonb) || coalesce($7::jsonb, '{}'::jsonb),
    exchange_order_id = coalesce($8, exchange_order_id),
    executed_quantity = $9, executed_quote = $10, executed_price = $11, fees = $12,
    realised_pnl = CASE WHEN $13::numeric IS NULL THEN realised_pnl ELSE coalesce(realised_pnl, 0) + $13 END,
    position_id = coalesce(position_id, $14)
WHERE id = $1
RETURNING response
"""

_REPLACE_FILLS = """
UPDATE fills SET replaced_at = $3 WHERE order_id = $1 AND exchange_trade_id = ANY ($2::text[]) AND replaced_at IS NULL
"""

_SPEND_MORE = """
UPDATE reservations SET
    state = 'settled', settled_amount = coalesce(settled_amount, 0) + $2, settled_at = coalesce(settled_at, $3),
    revision = revision + 1
WHERE decision_id = $1 AND state <> 'held'
"""


class Revisions:
    """Writes revisions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revise(self, revision: Revision) -> None:
        """Write a revision, unless the order has it already. Raises InvariantError for an order that is not closed, or
        of which an earlier revision is missing."""
        order = revision.order
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_LOCK, order.id)
            if row is None:
                raise InvariantError(f"order {order.id} is revised but is not in the ledger")
            if row["revision"] >= revision.number:
                return
            if row["revision"] + 1 != revision.number:
                raise InvariantError(f"order {order.id} is at revision {row['revision']}, not before {revision.number}")
            await connection.execute(_REPLACE_FILLS, order.id, list(revision.replaced), revision.at)
            await add_fills(connection, order, revision.fills)
            booked = None
            if revision.position is not None:
                booked = await save_position(connection, revision.position, revised=True)
            if revision.more_spent is not None:
                await connection.execute(_SPEND_MORE, order.decision_id, revision.more_spent, revision.at)
            await _write(connection, revision, booked)


async def _write(connection: Connection, revision: Revision, booked: object) -> None:
    """The order's row, then its trade log entry. The entry comes last: it locks the head of the stream."""
    result, filled = revision.result, revision.result.status is OrderStatus.FILLED
    response = await connection.fetchval(
        _REVISE,
        revision.order.id,
        revision.number,
        revision.at,
        result.status,
        result.error_code,
        result.error_reason,
        revision.evidence.response or None,
        revision.evidence.exchange_order_id,
        result.executed_quantity if filled else None,
        result.executed_quote if filled else None,
        result.executed_price,
        result.fees if filled else None,
        booked,
        revision.position.id if revision.position else None,
    )
    await add_trade_log(
        connection,
        TradeLogEntry(
            order_id=revision.order.id,
            revision=revision.number,
            response=response,
            at=revision.at,
            result=result if filled else None,
            fills=revision.fills,
            position=revision.position,
        ),
    )
