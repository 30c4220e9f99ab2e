"""Bodies of the control requests. Unknown fields and values that make no sense are refused."""

from decimal import Decimal
from typing import Literal

import msgspec

from signalbox.simulators.faults import Fault
from signalbox.simulators.mexc.options import ListingOptions


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: frozen, typos refused."""


class NewListing(ListingOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /control/listings: a listing; `open_at_ms` (UTC) instead of `open_in_ms` when given.

    `push_now` sends the miniTickers frame within the request, before it is answered.
    """

    open_at_ms: int | None = None
    push_now: bool = False


class ChangeListing(Body, frozen=True):
    """PATCH /control/listings: reschedule, cancel, halt or resume, or change what one pair allows.

    Where None means something (no cap of its own, for instance), a field that is left out changes nothing.
    """

    symbol: str
    open_in_ms: int | None = None
    open_at_ms: int | None = None
    cancel: bool = False
    halted: bool | None = None
    api_tradable: bool | None = None
    opening_cap: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    opening_cap_ms: int | msgspec.UnsetType = msgspec.UNSET
    buy_only_ms: int | msgspec.UnsetType = msgspec.UNSET
    pre_open_code: int | msgspec.UnsetType | None = msgspec.UNSET
    market_band: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    percent_price: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    min_notional: Decimal | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Refuse a change that contradicts itself, and rules that no pair could have."""
        if self.open_in_ms is not None and self.open_at_ms is not None:
            raise ValueError("give open_in_ms or open_at_ms, not both")
        if self.cancel and (self.open_in_ms is not None or self.open_at_ms is not None):
            raise ValueError("a listing is either moved or cancelled")
        for name, value in self.rules.items():
            if name != "pre_open_code" and isinstance(value, int | Decimal) and not value >= 0:
                raise ValueError(f"{name} must be 0 or more, got {value}")

    @property
    def rules(self) -> dict[str, object]:
        """The rules of the pair that are named."""
        return {name: getattr(self, name) for name in _RULES if getattr(self, name) is not msgspec.UNSET}


_RULES = (
    "opening_cap",
    "opening_cap_ms",
    "buy_only_ms",
    "pre_open_code",
    "market_band",
    "percent_price",
    "min_notional",
)


class MovePrice(Body, frozen=True):
    """POST /control/prices: move the market; `hold` False lets it wander on from there."""

    symbol: str
    price: Decimal
    hold: bool = True


class ChangeFaults(Body, frozen=True):
    """POST /control/faults: clear all, or disarm those with these labels; then arm these."""

    clear: bool = False
    disarm: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


class Disconnect(Body, frozen=True):
    """POST /control/disconnect: cut the websockets, or those that subscribed to a channel that begins like this."""

    channel: str = ""


class ChangeAccount(Body, frozen=True):
    """POST /control/accounts: rotate an account's credentials, take permissions away, bind or unbind its key."""

    label: str
    api_key: str | None = None
    secret: str | None = None
    permissions: tuple[str, ...] | None = None
    symbols: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    fee_in_mx: bool | None = None


class ChangeBalance(Body, frozen=True):
    """POST /control/balances: money comes or goes without an order. `change` is signed."""

    label: str
    asset: str
    change: Decimal


class ForeignOrder(Body, frozen=True):
    """POST /control/orders: an order of this account that its client did not send (the website, another program)."""

    label: str
    symbol: str
    side: Literal["BUY", "SELL"]
    type: Literal["LIMIT", "MARKET", "LIMIT_MAKER", "IMMEDIATE_OR_CANCEL", "FILL_OR_KILL"] = "MARKET"
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    client_order_id: str | None = None

    @property
    def params(self) -> dict[str, str]:
        """The same as parameters of POST /order."""
        named = {
            "symbol": self.symbol,
            "side": self.side,
            "type": self.type,
            "quantity": self.quantity,
            "quoteOrderQty": self.quote_quantity,
            "price": self.price,
            "newClientOrderId": self.client_order_id,
        }
        return {name: _text(value) for name, value in named.items() if value is not None}


def _text(value: str | Decimal) -> str:
    return format(value, "f") if isinstance(value, Decimal) else value


class CancelOrder(Body, frozen=True):
    """DELETE /control/orders: cancel an order of an account behind its client's back."""

    label: str
    order_id: str
