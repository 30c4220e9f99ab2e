"""What MEXC spot can do, as data. Each limit names where it is documented."""

from msgspec import Struct

from signalbox.domain.orders import OrderType, TimeInForce


class Limit(Struct, frozen=True, kw_only=True):
    """A number the venue holds us to, and its source."""

    value: int
    unit: str
    source: str


ORDER_KINDS: dict[tuple[OrderType, TimeInForce | None], str] = {
    (OrderType.MARKET, None): "MARKET",
    (OrderType.MARKET, TimeInForce.IOC): "MARKET",
    (OrderType.LIMIT, None): "LIMIT",
    (OrderType.LIMIT, TimeInForce.GTC): "LIMIT",
    (OrderType.LIMIT, TimeInForce.IOC): "IMMEDIATE_OR_CANCEL",
    (OrderType.LIMIT, TimeInForce.FOK): "FILL_OR_KILL",
}
"""The `type` parameter for what we call order type and time in force: MEXC has no timeInForce parameter
(MEXC spot docs, "New Order" and "ENUM definitions")."""

WEIGHT_PER_10_S = Limit(value=300, unit="weight per 10 s and address", source="MEXC spot docs, LIMITS")
ACCOUNT_WEIGHT_PER_10_S = Limit(value=500, unit="weight per 10 s and account", source="MEXC spot docs, LIMITS")
ORDERS_PER_SECOND = Limit(value=12, unit="orders and cancels per s and account", source="MEXC spot docs, LIMITS")
RECV_WINDOW_MS = Limit(value=60_000, unit="ms at most", source="MEXC spot docs, Timing security")
FUTURE_TOLERANCE_MS = Limit(value=1_000, unit="ms ahead of the venue", source="MEXC spot docs, Timing security")
SUBSCRIPTIONS = Limit(value=30, unit="subscriptions per connection", source="MEXC spot docs, Websocket Market Streams")
CONNECTION_LIFE_H = Limit(value=24, unit="h per connection", source="MEXC spot docs, Websocket Market Streams")
TRADES_PER_LOOKUP = Limit(value=100, unit="executions per answer", source="MEXC spot docs, Account Trade List")
WIDE_TRADES_PER_LOOKUP = Limit(
    value=1000, unit="executions per answer at most", source="MEXC spot docs, Account Trade List (newer text)"
)
ORDERS_PER_LOOKUP = Limit(value=1000, unit="orders per answer at most", source="MEXC spot docs, All Orders")
OPEN_ORDERS = Limit(value=500, unit="open orders per account", source="MEXC spot docs, LIMITS")

WEIGHTS: dict[str, int] = {
    "/api/v3/time": 1,
    "/api/v3/defaultSymbols": 1,
    "/api/v3/exchangeInfo": 25,
    "/api/v3/depth": 3,
    "/api/v3/ticker/price": 10,
    "/api/v3/order": 2,
    "/api/v3/myTrades": 10,
    "/api/v3/account": 10,
    "/api/v3/selfSymbols": 1,
    "/api/v3/apiKeyInfo": 1,
    "/api/v3/openOrders": 3,
    "/api/v3/allOrders": 10,
    "/api/v3/userDataStream": 1,
}
"""Cost of each request that we make (MEXC spot docs, at each endpoint; the dearer figure where versions differ)."""

HAS_SANDBOX = False
HAS_REDUCE_ONLY = False
HAS_TRIGGER_ORDERS = False
