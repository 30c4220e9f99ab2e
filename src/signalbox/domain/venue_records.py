"""What a venue says about an account: its balances, its orders whoever sent them, and hints that something changed."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.money import ZERO, total
from signalbox.domain.orders import EvidenceState, OrderEvidence, Side


class Balance(Struct, frozen=True, kw_only=True):
    """What the account holds of one asset. `locked` is frozen for open orders. Assets without any are left out."""

    asset: str
    free: Decimal
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return total((self.free, self.locked))


class VenueOrder(Struct, frozen=True, kw_only=True):
    """An order as the venue lists it, ours or not. `kind` and `status` are the venue's own words; `price` is None where
    it says nothing (and for a market order it need not be the price of a fill)."""

    exchange_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    kind: str
    status: str
    evidence: OrderEvidence
    price: Decimal | None
    quantity: Decimal
    placed_at: datetime

    @property
    def is_open(self) -> bool:
        """True while it can still trade."""
        return self.evidence.state is EvidenceState.OPEN


class OrderUpdate(Struct, frozen=True, kw_only=True):
    """A hint that an order of the account changed: a reason to ask the venue, never evidence. `client_order_id` is
    None for an order that was sent without one, `executed_quantity` where the hint does not tell it."""

    symbol: str
    client_order_id: str | None
    exchange_order_id: str
    executed_quantity: Decimal | None = None


class BalanceUpdate(Struct, frozen=True, kw_only=True):
    """A hint that the wallet changed. `by_order`: because of an order, whose own updates come besides."""

    asset: str
    by_order: bool


class StreamOpened(Struct, frozen=True):
    """The stream (again) tells what changes from now on; what happened before it may have been missed."""


AccountUpdate = OrderUpdate | BalanceUpdate | StreamOpened
