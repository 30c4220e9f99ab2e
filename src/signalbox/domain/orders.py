"""Orders, what a venue answers to them, and fills."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct

from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import AccountId, ClientOrderId, DecisionId, OrderId, PositionId, RunId, SignalId

MAX_RECV_WINDOW_MS = 1000
"""A request that reaches the venue later than this must not be executed any more."""


class Side(StrEnum):
    """Direction of an order or a fill."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How the price is chosen."""

    MARKET = "market"
    LIMIT = "limit"
    TRIGGER = "trigger"


class TimeInForce(StrEnum):
    """How long an order lives."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Mode(StrEnum):
    """`simulation`: filled against live prices, nothing is sent. `live`: sent to the venue."""

    SIMULATION = "simulation"
    LIVE = "live"


class Purpose(StrEnum):
    """An entry takes risk, an exit only reduces it."""

    ENTRY = "entry"
    EXIT = "exit"


class OrderStatus(StrEnum):
    """Life of an order. A send whose outcome is unclear stays `submitted` (with `unknown_since` set)."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    FILLED = "filled"
    REJECTED = "rejected"
    FAILED = "failed"


ORDER_TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PENDING: frozenset({OrderStatus.SUBMITTED, OrderStatus.FAILED}),
    OrderStatus.SUBMITTED: frozenset({OrderStatus.FILLED, OrderStatus.REJECTED}),
    OrderStatus.FILLED: frozenset(),
    OrderStatus.REJECTED: frozenset(),
    OrderStatus.FAILED: frozenset(),
}


def check_order_transition(old: OrderStatus, new: OrderStatus) -> None:
    """Raise InvariantError when an order may not go from `old` to `new`."""
    if new not in ORDER_TRANSITIONS[old]:
        raise InvariantError(f"an order cannot go from {old} to {new}")


class Order(Struct, frozen=True, kw_only=True):
    """An instruction to trade. Exactly one of `quote_amount` (spend) and `quantity` (base) is set."""

    id: OrderId
    client_order_id: ClientOrderId
    account_id: AccountId
    decision_id: DecisionId
    symbol: str
    side: Side
    purpose: Purpose
    order_type: OrderType
    mode: Mode
    created_at: datetime
    run_id: RunId | None = None
    signal_id: SignalId | None = None
    position_id: PositionId | None = None
    time_in_force: TimeInForce | None = None
    quote_amount: Decimal | None = None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    reduce_only: bool = False
    recv_window_ms: int = 1000
    attempt: int = 1

    def __post_init__(self) -> None:
        """Refuse an order that no venue could understand."""
        if (self.quote_amount is None) == (self.quantity is None):
            raise InvariantError(f"order {self.id}: exactly one of quote_amount and quantity must be set")
        size = self.quote_amount if self.quote_amount is not None else self.quantity
        if size is None or not size.is_finite() or size <= 0:
            raise InvariantError(f"order {self.id}: the size must be above zero, got {size}")
        price = self.limit_price
        if self.order_type is OrderType.LIMIT and price is None:
            raise InvariantError(f"order {self.id}: a limit order needs a limit_price")
        if price is not None and (not price.is_finite() or price <= 0):
            raise InvariantError(f"order {self.id}: limit_price must be above zero, got {price}")
        if not 1 <= self.recv_window_ms <= MAX_RECV_WINDOW_MS:
            raise InvariantError(f"order {self.id}: recv_window_ms must be 1 to 1000, got {self.recv_window_ms}")


class Fill(Struct, frozen=True, kw_only=True):
    """One execution. `quote_quantity` = price × quantity as the venue states it; `fee` in `fee_asset`."""

    exchange_trade_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    fee: Decimal
    fee_asset: str
    filled_at: datetime
    is_maker: bool = False


class RefusalKind(StrEnum):
    """What a definite refusal allows us to do next.

    `not_listed`: the venue does not know the pair, or not for API trading; just after an opening that may only mean
    "not yet", later it is for good. `no_opposite`: nobody is on the other side of the book.
    """

    NOT_OPEN_YET = "not_open_yet"
    NOT_LISTED = "not_listed"
    NO_OPPOSITE = "no_opposite"
    PRICE = "price"
    ORDER_TYPE = "order_type"
    CLOCK = "clock"
    THROTTLED = "throttled"
    CREDENTIALS = "credentials"
    BALANCE = "balance"
    TERMINAL = "terminal"


class Accepted(Struct, frozen=True, kw_only=True):
    """The venue took the order. Says nothing about fills.

    Every outcome carries `request`: what was sent and where to, as the audit shows it; never a key or a signature.
    """

    exchange_order_id: str
    response: dict[str, Any]
    request: dict[str, Any] = {}


class Rejected(Struct, frozen=True, kw_only=True):
    """The venue surely did not take the order. `price_cap` is the highest price it named, `least_notional` the smallest
    order (in quote), if it named one.

    `sent` False: the venue was not even asked, nothing left this machine.
    """

    code: str
    message: str
    kind: RefusalKind
    response: dict[str, Any]
    price_cap: Decimal | None = None
    least_notional: Decimal | None = None
    retry_after_s: float | None = None
    sent: bool = True
    request: dict[str, Any] = {}


class Unknown(Struct, frozen=True, kw_only=True):
    """Nobody can tell yet whether the venue has the order: time-out, cut socket, 5xx after sending."""

    reason: str
    request: dict[str, Any] = {}


SubmitOutcome = Accepted | Rejected | Unknown


class EvidenceState(StrEnum):
    """What the venue says about one of our orders."""

    OPEN = "open"
    FILLED = "filled"
    PARTIALLY_CANCELLED = "partially_cancelled"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"


class OrderEvidence(Struct, frozen=True, kw_only=True):
    """The venue's own record of an order, found by our client order id. Quantities in base, quote in quote."""

    state: EvidenceState
    exchange_order_id: str | None = None
    executed_quantity: Decimal = Decimal(0)
    executed_quote: Decimal = Decimal(0)
    response: dict[str, Any] = {}

    @property
    def is_final(self) -> bool:
        """True when the venue will not change this order any more."""
        return self.state in _FINAL


_FINAL = frozenset({EvidenceState.FILLED, EvidenceState.PARTIALLY_CANCELLED, EvidenceState.CANCELLED})


class StageTimes(Struct, kw_only=True):
    """When an order passed each stage of its way, UTC. Filled in while it travels; any may be missing.

    `due_at`: when a scheduled order was to reach the venue, by our clock.
    """

    exchange_event_at: datetime | None = None
    received_at: datetime | None = None
    decided_at: datetime | None = None
    durable_at: datetime | None = None
    due_at: datetime | None = None
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None


class OrderResult(Struct, frozen=True, kw_only=True):
    """How an order ended: its fills folded into totals. Written with the trade log entry, once."""

    status: OrderStatus
    completed_at: datetime
    executed_quantity: Decimal = Decimal(0)
    executed_quote: Decimal = Decimal(0)
    fees: dict[str, Decimal] = {}
    error_code: str | None = None
    error_reason: str | None = None

    @property
    def executed_price(self) -> Decimal | None:
        """Average price in quote per base, None without any fill."""
        return self.executed_quote / self.executed_quantity if self.executed_quantity else None
