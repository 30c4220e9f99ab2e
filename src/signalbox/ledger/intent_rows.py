"""Intents as the arguments of the hot-path statements.

One row type per table; the order of its fields is the order of the arguments. Enum members are strings already. What
the order path waits for is the journal's document (`intent_documents`); everything else is made after the send.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from signalbox.domain.decisions import Intent, explained
from signalbox.domain.orders import Mode, Order, OrderStatus, StageTimes
from signalbox.domain.risk.capacity import Reservation
from signalbox.domain.signals import LISTING_SOURCES, ListingSignal
from signalbox.ledger.intent_documents import intent_document

BLOCKED_CODE = "SAFETY_CONSTRAINT"


class AskRow(Struct):
    """What the gate asks: under which number the caller acts, the purpose of the order that waits to be sent (None
    when nothing does), and the source of the listing."""

    fence: int
    gate: str | None
    source: str | None


class JournalRow(Struct):
    """A row of intent_journal."""

    decision_id: UUID
    account_id: UUID
    listing_signal_id: UUID | None
    document: str


class DecisionRow(Struct):
    """A row of strategy_decisions. Documents are JSON text."""

    id: UUID
    account_id: UUID
    run_id: UUID | None
    configuration_id: UUID | None
    strategy: str
    timestamp: datetime
    decision: str
    reason: str
    skip_code: str | None
    risk_checks: str
    settings_snapshot: str
    inputs: str
    code_version: str
    listing_signal_id: UUID | None
    exit_rule: str | None
    operator: str | None
    position_id: UUID | None


class SignalRow(Struct):
    """A row of listing_signals. Its decision comes with it, so it is processed."""

    id: UUID
    symbol: str
    listed_at: datetime
    detection_source: str
    detected_at: datetime
    listing_time: datetime | None
    confidence: str
    freshness_deadline: datetime
    exchange_event_at: datetime | None
    price: Decimal | None
    processed: bool


class OrderRow(Struct):
    """A row of trade_orders as it is before anything was sent."""

    id: UUID
    client_order_id: str
    account_id: UUID
    run_id: UUID | None
    decision_id: UUID
    signal_id: UUID | None
    position_id: UUID | None
    symbol: str
    side: str
    purpose: str
    order_type: str
    time_in_force: str | None
    quote_amount: Decimal | None
    quantity: Decimal | None
    limit_price: Decimal | None
    reduce_only: bool
    recv_window: int
    mode: str
    attempt: int
    created_at: datetime
    exchange_event_at: datetime | None
    received_at: datetime | None
    decided_at: datetime | None
    due_at: datetime | None
    status: str
    error_code: str | None
    error_reason: str | None
    completed_at: datetime | None


class ReservationRow(Struct):
    """A row of reservations."""

    decision_id: UUID
    account_id: UUID
    symbol: str
    mode: str
    amount: Decimal
    created_at: datetime


_NO_SIGNAL = (None,) * len(SignalRow.__struct_fields__)
_NO_ORDER = (None,) * len(OrderRow.__struct_fields__)
_NO_RESERVATION = (None,) * len(ReservationRow.__struct_fields__)

_encode = msgspec.json.Encoder(decimal_format="string").encode


def journal_arguments(intent: Intent) -> tuple[Any, ...]:
    """The arguments of the journal statement."""
    decision = intent.decision
    purpose = intent.order.purpose if intent.order is not None else None
    listing = decision.cause.listing_signal_id
    return (intent.fence, purpose, decision.id, decision.account_id, listing, intent_document(intent))


def spread_arguments(intent: Intent) -> tuple[Any, ...]:
    """The arguments of the spread statement."""
    return (_source(intent), *_row_values(intent))


def intent_arguments(intent: Intent) -> tuple[Any, ...]:
    """The arguments of the intent statement."""
    purpose = intent.order.purpose if intent.order is not None else None
    return (intent.fence, purpose, _source(intent), *_row_values(intent))


def _source(intent: Intent) -> str | None:
    return LISTING_SOURCES[intent.signal.detection_source] if intent.signal is not None else None


def _row_values(intent: Intent) -> tuple[Any, ...]:
    reservation, signal = intent.reservation, intent.signal
    return (
        *astuple(_decision_row(intent)),
        *(astuple(_signal_row(signal)) if signal is not None else _NO_SIGNAL),
        *_order_values(intent, intent.order, intent.blocked),
        *(astuple(_reservation_row(intent, reservation)) if reservation is not None else _NO_RESERVATION),
    )


def follow_up_arguments(follow_up: tuple[Order, int]) -> tuple[Any, ...]:
    """The arguments of the follow-up statement: an order, and the fence number of its engine."""
    order, fence = follow_up
    return (fence, order.purpose, *astuple(_order_row(order, StageTimes())))


def _decision_row(intent: Intent) -> DecisionRow:
    decision, cause = explained(intent.decision), intent.decision.cause
    return DecisionRow(
        id=decision.id,
        account_id=decision.account_id,
        run_id=decision.run_id,
        configuration_id=decision.configuration_id,
        strategy=decision.strategy,
        timestamp=decision.decided_at,
        decision=decision.verdict,
        reason=decision.reason,
        skip_code=decision.skip_code,
        risk_checks=_encode(decision.checks).decode(),
        settings_snapshot=_encode(decision.settings_snapshot).decode(),
        inputs=_encode(decision.inputs).decode(),
        code_version=decision.code_version,
        listing_signal_id=cause.listing_signal_id,
        exit_rule=cause.exit_rule,
        operator=cause.operator,
        position_id=cause.position_id,
    )


def _signal_row(signal: ListingSignal) -> SignalRow:
    return SignalRow(
        id=signal.id,
        symbol=signal.symbol,
        listed_at=signal.listed_at,
        detection_source=signal.detection_source,
        detected_at=signal.detected_at,
        listing_time=signal.listing_time,
        confidence=signal.confidence,
        freshness_deadline=signal.freshness_deadline,
        exchange_event_at=signal.exchange_event_at,
        price=signal.price,
        processed=True,
    )


def _order_values(intent: Intent, order: Order | None, blocked: Order | None) -> tuple[Any, ...]:
    if order is not None:
        return astuple(_order_row(order, intent.stages))
    if blocked is None:
        return _NO_ORDER
    row = _order_row(blocked, intent.stages)
    row.status = OrderStatus.REJECTED
    row.error_code = intent.decision.skip_code or BLOCKED_CODE
    row.error_reason = intent.blocked_limit
    row.completed_at = blocked.created_at
    return astuple(row)


def _order_row(order: Order, stages: StageTimes) -> OrderRow:
    return OrderRow(
        id=order.id,
        client_order_id=order.client_order_id,
        account_id=order.account_id,
        run_id=order.run_id,
        decision_id=order.decision_id,
        signal_id=order.signal_id,
        position_id=order.position_id,
        symbol=order.symbol,
        side=order.side,
        purpose=order.purpose,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        quote_amount=order.quote_amount,
        quantity=order.quantity,
        limit_price=order.limit_price,
        reduce_only=order.reduce_only,
        recv_window=order.recv_window_ms,
        mode=order.mode,
        attempt=order.attempt,
        created_at=order.created_at,
        exchange_event_at=stages.exchange_event_at,
        received_at=stages.received_at,
        decided_at=stages.decided_at,
        due_at=stages.due_at,
        status=OrderStatus.PENDING,
        error_code=None,
        error_reason=None,
        completed_at=None,
    )


def _reservation_row(intent: Intent, reservation: Reservation) -> ReservationRow:
    return ReservationRow(
        decision_id=reservation.decision_id,
        account_id=reservation.account_id,
        symbol=reservation.symbol,
        mode=intent.order.mode if intent.order is not None else Mode.SIMULATION,
        amount=reservation.amount,
        created_at=reservation.created_at,
    )
