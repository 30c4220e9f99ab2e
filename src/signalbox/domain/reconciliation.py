"""Comparing our books with the venue's: what is compared, what is found, what is written down."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from signalbox.domain.ids import AccountId, OrderId, PositionId
from signalbox.domain.money import ZERO, total
from signalbox.domain.orders import Fill, Order, OrderEvidence, OrderResult, OrderStatus, Side
from signalbox.domain.positions import ExitPlan, Position
from signalbox.domain.venue_records import Balance, VenueOrder

UNCERTAIN_END = frozenset({"NOT_FOUND_AT_VENUE"})
"""Codes of rejected orders that the venue itself did not refuse: we concluded it from what the venue did not show."""


REVISION_EDGES: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.FILLED: frozenset({OrderStatus.FILLED}),
    OrderStatus.REJECTED: frozenset({OrderStatus.REJECTED, OrderStatus.FILLED}),
    OrderStatus.FAILED: frozenset({OrderStatus.REJECTED, OrderStatus.FILLED}),
}
"""How a revision may change a closed order: nothing that was executed is ever taken back."""


class ReservationState(StrEnum):
    """What became of the capacity of an entry's decision."""

    HELD = "held"
    SETTLED = "settled"
    RELEASED = "released"


class ReservationEnd(Struct, frozen=True, kw_only=True):
    """The reservation of the decision behind an entry order."""

    state: ReservationState
    created_at: datetime


class ClosedOrder(Struct, frozen=True, kw_only=True):
    """A live order whose end is in the ledger. `fills` are those that count; `reservation` is an entry's."""

    order: Order
    status: OrderStatus
    revision: int
    completed_at: datetime
    exchange_order_id: str | None = None
    executed_quantity: Decimal = ZERO
    executed_quote: Decimal = ZERO
    error_code: str | None = None
    fills: tuple[Fill, ...] = ()
    reservation: ReservationEnd | None = None
    exit_plan: ExitPlan | None = None

    @property
    def is_being_entered(self) -> bool:
        """True while its decision goes on with further attempts: its spend is not counted yet."""
        return self.reservation is not None and self.reservation.state is ReservationState.HELD

    def quote_fees(self, quote_asset: str) -> Decimal:
        """Fees in the quote asset."""
        return total(fill.fee for fill in self.fills if fill.fee_asset == quote_asset)


class Revision(Struct, frozen=True, kw_only=True):
    """The next version of a closed order. `fills` are all that count from now on, `replaced` the trade ids of those
    that do not any more; `more_spent` is what its decision spent besides what was counted (None for an exit)."""

    order: Order
    number: int
    at: datetime
    evidence: OrderEvidence
    fills: tuple[Fill, ...]
    replaced: tuple[str, ...]
    result: OrderResult
    position: Position | None = None
    more_spent: Decimal | None = None


class PositionHistory(Struct, frozen=True, kw_only=True):
    """A position, open or closed, with the fills that made it what it is, by order."""

    position: Position
    fills: tuple[tuple[OrderId, Fill], ...]


class DifferenceKind(StrEnum):
    """How the books differed from the venue's."""

    LATE_FILL = "late_fill"
    LATE_ORDER = "late_order"
    EXECUTIONS_FOUND = "executions_found"
    LESS_EXECUTED = "less_executed"
    QUOTE_DIFFERS = "quote_differs"
    STILL_OPEN = "still_open"
    MISSING = "missing"
    HANGING = "hanging"
    EXTERNAL_ORDER = "external_order"
    EXTERNAL_MOVEMENT = "external_movement"
    POSITION_MISMATCH = "position_mismatch"


class Difference(Struct, frozen=True, kw_only=True):
    """One difference, about a symbol or an asset. `settled`: the books were corrected, or it is none of ours and only
    had to be written down; else it is still there."""

    kind: DifferenceKind
    subject: str
    message: str
    settled: bool
    details: dict[str, str] = {}


class WalletLine(Struct, frozen=True, kw_only=True):
    """One asset of the wallet beside the books: `booked` is what open live positions hold of it, `traded` the sum of
    what all live fills moved, `external_movement` the last change that no fill explains."""

    balance: Balance
    booked: Decimal
    traded: Decimal
    external_movement: Decimal | None = None


class Reconciliation(Struct, frozen=True, kw_only=True):
    """One comparison, as it is kept."""

    account_id: AccountId
    started_at: datetime
    finished_at: datetime
    orders_checked: int
    differences: tuple[Difference, ...]

    @property
    def agreed(self) -> bool:
        """True when nothing is left that differs."""
        return all(difference.settled for difference in self.differences)


class MarketFlow(Struct, frozen=True, kw_only=True):
    """What all live fills of one side of a market moved, fees left out."""

    symbol: str
    side: Side
    quantity: Decimal
    quote: Decimal


class Flows(Struct, frozen=True, kw_only=True):
    """What all live fills of an account moved, and the fees by asset; at one instant, with what open live positions
    hold by symbol. `busy`: symbols with a live order that is not settled, so that the wallet may be ahead of the books.
    """

    markets: tuple[MarketFlow, ...]
    fees: dict[str, Decimal]
    held: dict[str, Decimal]
    busy: frozenset[str]


class ReconciliationLedger(Protocol):
    """What reconciliation reads and writes. Each method is one transaction and raises LedgerUnavailable."""

    async def closed_orders(self, account_id: AccountId, since: datetime) -> Sequence[ClosedOrder]:
        """Live orders that were completed or revised since then, oldest first; those that a guardrail blocked at the
        decision are left out."""

    async def own_client_order_ids(self, account_id: AccountId, asked: Sequence[str]) -> frozenset[str]:
        """Which of these client order ids are ours. An order is in the ledger before it is sent, so one that a venue
        showed before this was asked is external when it is not among them."""

    async def position_history(self, position_id: PositionId) -> PositionHistory | None: ...

    async def revise(self, revision: Revision) -> None:
        """Correct a closed order: order, fills, position, reservation and a further trade log entry. Repeating it
        changes nothing."""

    async def record_external_orders(
        self, account_id: AccountId, orders: Sequence[VenueOrder], at: datetime
    ) -> Sequence[VenueOrder]:
        """Keep orders that are not ours as they are now; returns those that were not known before."""

    async def live_flows(self, account_id: AccountId) -> Flows: ...

    async def wallet(self, account_id: AccountId) -> Sequence[WalletLine]:
        """As it was last compared."""

    async def record_reconciliation(self, done: Reconciliation, wallet: Sequence[WalletLine]) -> None:
        """Keep a comparison and the wallet as it was found (empty: it was not looked at)."""
