"""Positions as the ledger keeps them."""

from collections.abc import Sequence
from decimal import Decimal

from signalbox.domain.ids import AccountId, PositionId
from signalbox.domain.money import ZERO
from signalbox.domain.positions import Position
from signalbox.ledger.connecting import Connection
from signalbox.ledger.database import Database
from signalbox.ledger.rows import position_from

POSITIONS = """
SELECT p.*, (
    SELECT d.exit_rule FROM strategy_decisions AS d
    WHERE d.position_id = p.id AND d.exit_rule IN ('stop_loss', 'trailing_stop')
    ORDER BY d.timestamp DESC LIMIT 1
) AS fired_stop
FROM positions AS p
"""
"""Each position with the stop that fired: its decision is durable before the first order leaves."""

_SAVE = """
INSERT INTO positions (
    id, account_id, symbol, mode, status, quantity, average_entry_price, cost, realised_pnl, fees, opened_at,
    closed_at, exit_plan, signal_id, bought, highest_bid
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::timestamptz,
    CASE WHEN $5 = 'closed' THEN greatest($12::timestamptz, $11::timestamptz) END, $13, $14, $15, $16)
ON CONFLICT (id) DO UPDATE SET
    status = excluded.status, quantity = excluded.quantity, average_entry_price = excluded.average_entry_price,
    cost = excluded.cost, realised_pnl = excluded.realised_pnl, fees = excluded.fees,
    closed_at = excluded.closed_at, bought = excluded.bought,
    highest_bid = greatest(positions.highest_bid, excluded.highest_bid), updated_at = now(),
    revision = positions.revision + $17::int
"""

_RAISE_HIGHEST_BID = """
UPDATE positions SET highest_bid = $2, updated_at = now()
WHERE id = $1 AND status = 'open' AND (highest_bid IS NULL OR highest_bid < $2)
"""


class Positions:
    """Reads of what is held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_positions(self, account_id: AccountId) -> Sequence[Position]:
        """Positions that are not closed, oldest first."""
        rows = await self._database.fetch(
            POSITIONS + "WHERE p.account_id = $1 AND p.status = 'open' ORDER BY p.opened_at, p.id",
            account_id,
        )
        return [position_from(row) for row in rows]

    async def record_highest_bid(self, position_id: PositionId, bid: Decimal) -> None:
        """Raise the highest bid of an open position; a lower one changes nothing."""
        await self._database.execute(_RAISE_HIGHEST_BID, position_id, bid)


async def save_position(connection: Connection, position: Position, *, revised: bool = False) -> Decimal:
    """Insert or replace a position; returns what the change booked (quote, negative for a loss). Only a revision may
    open one again."""
    before = await connection.fetchval("SELECT realised_pnl FROM positions WHERE id = $1 FOR UPDATE", position.id)
    average = position.average_entry_price
    await connection.execute(
        _SAVE,
        position.id,
        position.account_id,
        position.symbol,
        position.mode,
        "open" if position.closed_at is None else "closed",
        position.quantity,
        average,
        position.cost,
        position.realised_pnl,
        position.fees,
        position.opened_at,
        position.closed_at,
        position.exit_plan,
        position.signal_id,
        position.bought,
        position.highest_bid,
        int(revised),
    )
    return position.realised_pnl - (before if before is not None else ZERO)
