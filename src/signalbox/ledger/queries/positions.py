"""Positions as the ledger has them."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.ids import PositionId, SignalId
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Mode
from signalbox.domain.positions import ExitPlan, ExitRule
from signalbox.ledger.positions import POSITIONS
from signalbox.ledger.sessions import ReadSession


class PositionRow(Struct, frozen=True, kw_only=True):
    """A position. Quantity in base, cost and results in quote. `sold_when`: what would sell it, in words; filled in by
    whoever knows the time."""

    id: PositionId
    account: str
    symbol: str
    mode: Mode
    status: str
    quantity: Decimal
    average_entry_price: Decimal | None
    cost: Decimal
    realised_pnl: Decimal
    fees: Decimal
    opened_at: datetime
    closed_at: datetime | None
    exit_plan: ExitPlan
    signal_id: SignalId | None
    bought: Decimal = ZERO
    highest_bid: Decimal | None = None
    fired_stop: ExitRule | None = None
    sold_when: list[str] = []


_SELECT = f"""
    SELECT p.id, a.label AS account, p.symbol, p.mode, p.status, p.quantity, p.average_entry_price, p.cost,
           p.realised_pnl, p.fees, p.opened_at, p.closed_at, p.exit_plan, p.signal_id, p.bought,
           p.highest_bid, p.fired_stop
    FROM ({POSITIONS}) AS p JOIN accounts AS a ON a.id = p.account_id
"""  # noqa: S608 - POSITIONS is a constant


async def list_positions(
    session: ReadSession, *, account: str | None = None, open_only: bool = False, limit: int = 50
) -> list[PositionRow]:
    """Positions, the open ones first, then newest first."""
    return await session.rows(
        PositionRow,
        _SELECT
        + """
        WHERE ($1::text IS NULL OR a.label = $1) AND (NOT $2 OR p.status = 'open')
        ORDER BY (p.status = 'open') DESC, p.opened_at DESC, p.id DESC LIMIT $3
        """,
        account,
        open_only,
        limit,
    )


async def position_row(session: ReadSession, position_id: PositionId) -> PositionRow | None:
    """One position, None when there is no such."""
    return await session.row(PositionRow, _SELECT + "WHERE p.id = $1", position_id)
