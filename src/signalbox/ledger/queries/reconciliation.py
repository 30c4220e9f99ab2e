"""Comparisons with the exchange, orders that are not ours, and the wallet, as the ledger has them."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.orders import Side
from signalbox.domain.reconciliation import Difference
from signalbox.ledger.sessions import ReadSession


class ReconciliationRow(Struct, frozen=True, kw_only=True):
    """One comparison. `agreed`: nothing was left that differs."""

    account: str
    started_at: datetime
    finished_at: datetime
    orders_checked: int
    differences: list[Difference]
    agreed: bool


class ExternalOrderRow(Struct, frozen=True, kw_only=True):
    """An order of an account that we did not send. `order_type` and `status` are the exchange's own words."""

    account: str
    exchange_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    order_type: str
    price: Decimal | None
    quantity: Decimal
    executed_quantity: Decimal
    executed_quote: Decimal
    status: str
    placed_at: datetime
    first_seen_at: datetime
    updated_at: datetime


class BalanceRow(Struct, frozen=True, kw_only=True):
    """One asset of a wallet beside the books. `booked` is what our open live positions hold of it,
    `external_movement` the last change that no fill of ours explains."""

    account: str
    asset: str
    free: Decimal
    locked: Decimal
    booked: Decimal
    external_movement: Decimal | None
    checked_at: datetime

    @property
    def is_short(self) -> bool:
        """True when the wallet holds less than our positions say."""
        return self.free + self.locked < self.booked


async def list_reconciliations(
    session: ReadSession, *, account: str | None = None, differing: bool = False, limit: int = 50
) -> list[ReconciliationRow]:
    """Comparisons, newest first; `differing` leaves out those without any difference."""
    return await session.rows(
        ReconciliationRow,
        """
        SELECT a.label AS account, r.started_at, r.finished_at, r.orders_checked, r.differences, r.agreed
        FROM reconciliations AS r JOIN accounts AS a ON a.id = r.account_id
        WHERE ($1::text IS NULL OR a.label = $1) AND (NOT $2 OR r.differences <> '[]'::jsonb)
        ORDER BY r.finished_at DESC, r.id DESC LIMIT $3
        """,
        account,
        differing,
        limit,
    )


async def list_external_orders(
    session: ReadSession, *, account: str | None = None, limit: int = 50
) -> list[ExternalOrderRow]:
    """Orders that we did not send, the last seen first."""
    return await session.rows(
        ExternalOrderRow,
        """
        SELECT a.label AS account, e.exchange_order_id, e.client_order_id, e.symbol, e.side, e.order_type, e.price,
               e.quantity, e.executed_quantity, e.executed_quote, e.status, e.placed_at, e.first_seen_at, e.updated_at
        FROM external_orders AS e JOIN accounts AS a ON a.id = e.account_id
        WHERE $1::text IS NULL OR a.label = $1
        ORDER BY e.first_seen_at DESC, e.exchange_order_id DESC LIMIT $2
        """,
        account,
        limit,
    )


async def list_balances(session: ReadSession, *, account: str | None = None) -> list[BalanceRow]:
    """The wallets as they were last compared, by account and asset."""
    return await session.rows(
        BalanceRow,
        """
        SELECT a.label AS account, b.asset, b.free, b.locked, b.booked, b.external_movement, b.checked_at
        FROM account_balances AS b JOIN accounts AS a ON a.id = b.account_id
        WHERE ($1::text IS NULL OR a.label = $1) AND (b.free + b.locked > 0 OR b.booked > 0)
        ORDER BY a.label, b.asset
        """,
        account,
    )
