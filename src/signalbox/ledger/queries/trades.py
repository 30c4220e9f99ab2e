"""Trades: orders with what became of them, and everything that explains one."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from signalbox.domain.decisions import Verdict
from signalbox.domain.ids import DecisionId, OrderId, PositionId, RunId, SignalId
from signalbox.domain.orders import Mode, OrderStatus, OrderType, Purpose, Side, TimeInForce
from signalbox.domain.positions import ExitRule
from signalbox.domain.risk.checks import RiskCheck
from signalbox.ledger.queries.listings import Since
from signalbox.ledger.sessions import ReadSession


class TradeRow(Struct, frozen=True, kw_only=True):
    """An order as a list shows it. Amounts in quote, quantities in base, latency in milliseconds."""

    id: OrderId
    account: str
    symbol: str
    side: Side
    purpose: Purpose
    order_type: OrderType
    time_in_force: TimeInForce | None
    mode: Mode
    fill_model: str | None
    status: OrderStatus
    attempt: int
    quote_amount: Decimal | None
    quantity: Decimal | None
    limit_price: Decimal | None
    executed_price: Decimal | None
    executed_quantity: Decimal | None
    executed_quote: Decimal | None
    fees: dict[str, Decimal] | None
    realised_pnl: Decimal | None
    latency_ms: Decimal | None
    error_code: str | None
    error_reason: str | None
    unknown_since: datetime | None
    created_at: datetime
    submitted_at: datetime | None
    completed_at: datetime | None
    client_order_id: str
    exchange_order_id: str | None
    decision_id: DecisionId
    signal_id: SignalId | None
    run_id: RunId | None
    position_id: PositionId | None
    stated_price: str | None = None
    """The price in the venue's own answer: of a market order the bound that the venue put on it."""


class StageRow(Struct, frozen=True, kw_only=True):
    """When an order passed each stage of its way, UTC."""

    exchange_event_at: datetime | None
    received_at: datetime | None
    decided_at: datetime | None
    durable_at: datetime | None
    due_at: datetime | None = None
    sent_at: datetime | None
    acknowledged_at: datetime | None


class DecisionRow(Struct, frozen=True, kw_only=True):
    """A decision with every check that led there."""

    id: DecisionId
    timestamp: datetime
    decision: Verdict
    reason: str
    skip_code: str | None
    risk_checks: list[RiskCheck]
    settings_snapshot: dict[str, Any]
    exit_rule: ExitRule | None
    operator: str | None
    code_version: str
    configuration: str | None
    configuration_version: int | None


class FillRow(Struct, frozen=True, kw_only=True):
    """One execution."""

    exchange_trade_id: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    filled_at: datetime


class TradeLogRow(Struct, frozen=True, kw_only=True):
    """The order's entry in the hash-chained log. `hash` in hexadecimal."""

    sequence: int
    revision: int
    logged_at: datetime
    hash: str


class TradeFilter(Struct, frozen=True, kw_only=True):
    """Which trades a list shows."""

    window: Since = Since()
    account: str | None = None
    status: OrderStatus | None = None
    mode: Mode | None = None
    purpose: Purpose | None = None


_SELECT = """
    SELECT o.id, a.label AS account, o.symbol, o.side, o.purpose, o.order_type, o.time_in_force, o.mode, o.fill_model,
           o.status, o.attempt, o.quote_amount, o.quantity, o.limit_price, o.executed_price, o.executed_quantity,
           o.executed_quote, o.fees, o.realised_pnl, o.latency_ms, o.error_code, o.error_reason, o.unknown_since,
           o.created_at, o.submitted_at, o.completed_at, o.client_order_id, o.exchange_order_id, o.decision_id,
           o.signal_id, o.run_id, o.position_id, o.response ->> 'price' AS stated_price
    FROM trade_orders AS o JOIN accounts AS a ON a.id = o.account_id
"""


async def list_trades(session: ReadSession, wanted: TradeFilter) -> list[TradeRow]:
    """Trades, newest first."""
    return await session.rows(
        TradeRow,
        _SELECT
        + """
        WHERE ($1::timestamptz IS NULL OR o.created_at >= $1) AND ($2::timestamptz IS NULL OR o.created_at < $2)
          AND ($3::text IS NULL OR o.symbol = $3) AND ($4::text IS NULL OR a.label = $4)
          AND ($5::text IS NULL OR o.status = $5) AND ($6::text IS NULL OR o.mode = $6)
          AND ($7::text IS NULL OR o.purpose = $7)
        ORDER BY o.created_at DESC, o.id DESC LIMIT $8
        """,
        wanted.window.since,
        wanted.window.until,
        wanted.window.symbol,
        wanted.account,
        wanted.status,
        wanted.mode,
        wanted.purpose,
        wanted.window.limit,
    )


async def trades_of_decision(session: ReadSession, decision_id: DecisionId) -> list[TradeRow]:
    """Every attempt of one decision, first one first."""
    return await session.rows(TradeRow, _SELECT + "WHERE o.decision_id = $1 ORDER BY o.attempt, o.id", decision_id)


async def trades_of_position(session: ReadSession, position_id: PositionId) -> list[TradeRow]:
    """Every order that changed one position, oldest first. A position has the id of the decision that opened it."""
    return await session.rows(
        TradeRow,
        _SELECT + "WHERE o.position_id = $1 OR o.decision_id = $1 ORDER BY o.created_at, o.id",
        position_id,
    )


async def find_trades(session: ReadSession, text: str) -> list[TradeRow]:
    """Trades whose id starts or ends with this text, or whose client or exchange order id is this text; at most two."""
    return await session.rows(
        TradeRow,
        _SELECT
        + """
        WHERE o.client_order_id = $1 OR o.exchange_order_id = $1
           OR starts_with(o.id::text, lower($1)) OR right(o.id::text, length($1)) = lower($1)
        ORDER BY o.created_at DESC LIMIT 2
        """,
        text,
    )


async def stages(session: ReadSession, order_id: OrderId) -> StageRow:
    """When the order passed each stage. Raises NotFoundError."""
    found = await session.row(
        StageRow,
        """
        SELECT exchange_event_at, received_at, decided_at, durable_at, due_at, sent_at, acknowledged_at
        FROM trade_orders WHERE id = $1
        """,
        order_id,
    )
    return found or StageRow(**dict.fromkeys(StageRow.__struct_fields__))


async def decision_row(session: ReadSession, decision_id: UUID) -> DecisionRow | None:
    """One decision, None when there is no such."""
    return await session.row(
        DecisionRow,
        """
        SELECT d.id, d.timestamp, d.decision, d.reason, d.skip_code, d.risk_checks, d.settings_snapshot, d.exit_rule,
               d.operator, d.code_version, c.name AS configuration, c.version AS configuration_version
        FROM strategy_decisions AS d LEFT JOIN bot_configurations AS c ON c.id = d.configuration_id
        WHERE d.id = $1
        """,
        decision_id,
    )


async def decision_of_signal(session: ReadSession, signal_id: SignalId, account: str) -> DecisionRow | None:
    """What an account decided on a signal, None when it did not."""
    found = await session.row(
        _Id,
        """
        SELECT d.id FROM strategy_decisions AS d JOIN accounts AS a ON a.id = d.account_id
        WHERE d.listing_signal_id = $1 AND a.label = $2
        """,
        signal_id,
        account,
    )
    return None if found is None else await decision_row(session, found.id)


class _Id(Struct, frozen=True):
    id: UUID


async def fills_of(session: ReadSession, order_id: OrderId) -> list[FillRow]:
    """The executions of an order, oldest first."""
    return await session.rows(
        FillRow,
        """
        SELECT exchange_trade_id, price, quantity, quote_quantity, fee, fee_asset, is_maker, filled_at
        FROM fills WHERE order_id = $1 AND replaced_at IS NULL ORDER BY filled_at, id
        """,
        order_id,
    )


async def logs_of(session: ReadSession, order_id: OrderId) -> list[TradeLogRow]:
    """The order's entries in the trade log."""
    return await session.rows(
        TradeLogRow,
        """
        SELECT sequence, revision, logged_at, encode(hash, 'hex') AS hash
        FROM trade_logs WHERE order_id = $1 ORDER BY revision
        """,
        order_id,
    )
