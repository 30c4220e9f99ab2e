"""Orders and own trades as the venue keeps them, and where they are found again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from signalbox.simulators.market import Resting, Side
from signalbox.simulators.mexc.accounts import Account

ZERO = Decimal(0)


class OrderType(StrEnum):
    """The types that POST /order takes; the type carries the time in force."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    LIMIT_MAKER = "LIMIT_MAKER"
    IMMEDIATE_OR_CANCEL = "IMMEDIATE_OR_CANCEL"
    FILL_OR_KILL = "FILL_OR_KILL"


class Status(StrEnum):
    """There is no REJECTED and no EXPIRED on this venue."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    PARTIALLY_CANCELED = "PARTIALLY_CANCELED"

    @property
    def is_open(self) -> bool:
        """Whether the order can still trade."""
        return self in (Status.NEW, Status.PARTIALLY_FILLED)


@dataclass(slots=True, eq=False)
class Order:
    """One order. For MARKET, `price` is the protective price and `quantity` what was computed from it.

    `locked_asset` and `locked` say what is still frozen for it in the account. Nobody finds it before
    `visible_from_ms`.
    """

    order_id: str
    client_id: str | None
    account: Account
    symbol: str
    side: Side
    order_type: OrderType
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal | None
    created_ms: int
    arrived_ns: int
    locked_asset: str
    locked: Decimal
    status: Status = Status.NEW
    executed: Decimal = ZERO
    executed_quote: Decimal = ZERO
    updated_ms: int | None = None
    resting: "Resting[Order] | None" = None
    maker_last: bool = False
    last_filled: Decimal | None = None
    visible_from_ms: int = 0

    @property
    def about(self) -> dict[str, str]:
        """What faults may be narrowed down to."""
        return {"symbol": self.symbol, "side": self.side.value}

    @property
    def remaining(self) -> Decimal:
        """Base quantity not yet executed."""
        return self.quantity - self.executed


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """One execution of an account's order."""

    trade_id: str
    order: Order
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    is_self_trade: bool
    at_ms: int

    @property
    def quote_quantity(self) -> Decimal:
        """What changed hands, in quote asset."""
        return self.price * self.quantity


@dataclass(slots=True)
class _AccountOrders:
    by_id: dict[str, Order] = field(default_factory=dict)
    by_client_id: dict[str, Order] = field(default_factory=dict)
    open: dict[str, Order] = field(default_factory=dict)
    trades: list[OwnTrade] = field(default_factory=list)


class OrderStore:
    """All orders and own trades of all accounts, in the order of arrival."""

    def __init__(self) -> None:
        self._accounts: dict[str, _AccountOrders] = {}
        self._orders = 0
        self._trades = 0

    def next_order_id(self) -> str:
        """A new id in the venue's form, `C02__` and 18 digits."""
        self._orders += 1
        return f"C02__{900_000_000_000_000_000 + self._orders}"

    def next_trade_id(self) -> str:
        """A new id in the venue's form, digits, `X` and a digit."""
        self._trades += 1
        return f"{700_000_000_000_000_000 + self._trades}X1"

    def add(self, order: Order) -> None:
        """Keep a new order; with a repeated client id the latest order is the one found by it."""
        orders = self._of(order.account)
        orders.by_id[order.order_id] = order
        if order.client_id is not None:
            orders.by_client_id[order.client_id] = order
        orders.open[order.order_id] = order

    def close(self, order: Order) -> None:
        """The order is no longer open."""
        self._of(order.account).open.pop(order.order_id, None)

    def reopen(self, order: Order) -> None:
        """A closed order is open again."""
        self._of(order.account).open[order.order_id] = order

    def add_trade(self, trade: OwnTrade) -> None:
        """Keep an own trade."""
        self._of(trade.order.account).trades.append(trade)

    def find(self, account: Account, *, order_id: str | None, client_id: str | None) -> Order | None:
        """An order of this account by the venue's id or by the client's."""
        orders = self._of(account)
        if order_id:
            return orders.by_id.get(order_id)
        return orders.by_client_id.get(client_id) if client_id else None

    def anybodys(self, *, order_id: str | None, client_id: str | None) -> Order | None:
        """An order of whatever account."""
        for orders in self._accounts.values():
            found = orders.by_id.get(order_id or "") or orders.by_client_id.get(client_id or "")
            if found is not None:
                return found
        return None

    def open_orders(self, account: Account, symbol: str | None = None) -> list[Order]:
        """Open orders, oldest first."""
        return [order for order in self._of(account).open.values() if symbol in (None, order.symbol)]

    def orders(self, account: Account, symbol: str | None = None) -> list[Order]:
        """All orders, oldest first."""
        return [order for order in self._of(account).by_id.values() if symbol in (None, order.symbol)]

    def trades(self, account: Account, symbol: str | None = None) -> list[OwnTrade]:
        """All own trades, oldest first, visible or not."""
        return [trade for trade in self._of(account).trades if symbol in (None, trade.order.symbol)]

    def has_open(self, symbol: str) -> bool:
        """Whether anybody has an open order in this pair."""
        return any(order.symbol == symbol for orders in self._accounts.values() for order in orders.open.values())

    def symbols_with_open_orders(self) -> Iterator[str]:
        """Pairs in which somebody has an open order (with repetitions)."""
        for orders in self._accounts.values():
            for order in orders.open.values():
                yield order.symbol

    def _of(self, account: Account) -> _AccountOrders:
        found = self._accounts.get(account.uid)
        if found is None:
            found = self._accounts[account.uid] = _AccountOrders()
        return found
