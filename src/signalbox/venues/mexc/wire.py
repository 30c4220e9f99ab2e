"""MEXC's payloads as they stand on the wire. Unknown fields are ignored, the venue's own words stay in here.

Shapes: MEXC spot docs, the section named at each struct. Decimals are JSON strings almost everywhere; numbers are
taken too, exactly. Codes are numbers, in some answers strings. A field `base_asset` is `baseAsset` on the wire.
What comes by the thousand and cannot contain itself is left out of the garbage collection (`gc=False`).
"""

from decimal import Decimal

import msgspec
from msgspec import Struct

Code = int | str


class ErrorBody(Struct, frozen=True, rename="camel"):
    """A refusal, and the wrapper of some good answers ("Error Code"). `message` is the legacy spelling of `msg`."""

    code: Code | None = None
    msg: str | None = None
    message: str | None = None


class ServerTime(Struct, frozen=True, rename="camel"):
    """From "Check Server Time": milliseconds UTC."""

    server_time: int


class DefaultSymbols(Struct, frozen=True, rename="camel"):
    """From "API default symbol": the pairs that are open to API trading by default."""

    data: list[str]


class MarketFilter(Struct, frozen=True, rename="camel", gc=False):
    """One filter of a market. Only PERCENT_PRICE_BY_SIDE has been seen: how far a limit price may lie beyond the last
    price, as fractions."""

    ask_multiplier_down: Decimal | None = None


class SymbolInfo(Struct, frozen=True, rename="camel", gc=False):
    """One market of "Exchange Information". `status` 1 online, 2 paused or announced, 3 offline.

    `quoteAmountPrecision…` are minimum notionals, whatever the name says; `baseAssetPrecision` and
    `quoteAssetPrecision` are decimals of quantity and price: MEXC has neither a lot nor a price filter.
    """

    symbol: str
    status: Code
    base_asset: str
    quote_asset: str
    base_asset_precision: int
    quote_asset_precision: int | None = None
    quote_precision: int | None = None
    order_types: list[str] = []
    is_spot_trading_allowed: bool = True
    quote_amount_precision: Decimal = Decimal(0)
    quote_amount_precision_market: Decimal | None = None
    max_quote_amount_market: Decimal | None = None
    taker_commission: Decimal = Decimal(0)
    trade_side_type: Code | None = None
    first_open_time: int | None = None
    filters: list[MarketFilter] = []


class ExchangeInfo(Struct, frozen=True, rename="camel"):
    """From "Exchange Information". Markets stay raw here, so that one odd market does not hide the others."""

    symbols: list[msgspec.Raw]


class TickerPrice(Struct, frozen=True, rename="camel"):
    """One entry of "Symbol Price Ticker". Before the first trade the price may be empty or null."""

    symbol: str
    price: str | int | float | None = None


class Depth(Struct, frozen=True, rename="camel"):
    """From "Order Book": [price, quantity] pairs, best first."""

    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]


class OrderAck(Struct, frozen=True, rename="camel"):
    """The answer to "New Order": an acknowledgement, without status, fills or our client order id."""

    order_id: str | int
    symbol: str | None = None
    transact_time: int | None = None


class OrderInfo(Struct, frozen=True, rename="camel"):
    """From "Query Order". `cummulativeQuoteQty` is spelled like that."""

    order_id: str | int
    status: str
    executed_qty: Decimal | None = None
    cummulative_quote_qty: Decimal | None = None


class ListedOrder(OrderInfo, frozen=True, kw_only=True, rename="camel"):
    """One entry of "All Orders" and "Current Open Orders". Times are milliseconds, often cut to the second."""

    symbol: str
    side: str
    type: str
    orig_qty: Decimal
    time: int
    client_order_id: str | None = None
    price: Decimal | None = None


class TradeInfo(Struct, frozen=True, rename="camel"):
    """One execution of "Account Trade List". The commission is in the quote asset, or in MX when that is chosen."""

    id: str | int
    order_id: str | int
    symbol: str
    price: Decimal
    qty: Decimal
    quote_qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool


class AccountBalance(Struct, frozen=True, rename="camel"):
    """One asset of "Account Information"."""

    asset: str
    free: Decimal
    locked: Decimal = Decimal(0)


class AccountInfo(Struct, frozen=True, rename="camel"):
    """What we need of "Account Information"."""

    can_trade: bool


class AccountBalances(Struct, frozen=True, rename="camel"):
    """The other thing. Assets of which there is nothing are left out (observed)."""

    balances: list[AccountBalance]


class ListenKey(Struct, frozen=True, rename="camel"):
    """From "Create a ListenKey"."""

    listen_key: str


class ApiKeyInfo(Struct, frozen=True, rename="camel"):
    """From "Query API key": what the key may do. `permissions` is a comma-separated list."""

    permissions: str = ""
    status: str | None = None


class SelfSymbols(Struct, frozen=True, rename="camel"):
    """From "User API default symbol": the pairs that this key may trade."""

    data: list[str] | None = None


class CalendarEntry(Struct, frozen=True, rename="camel"):
    """One coin of the listing calendar of the venue's web site (observed; the endpoint is not documented)."""

    vcoin_id: str | int
    vcoin_name: str
    first_open_time: int
    vcoin_name_full: str | None = None


class CalendarData(Struct, frozen=True, rename="camel"):
    """The calendar's coins, each raw."""

    new_coins: list[msgspec.Raw]


class Calendar(Struct, frozen=True, rename="camel"):
    """The calendar's wrapper."""

    data: CalendarData


class StreamReply(Struct, frozen=True, rename="camel"):
    """A JSON text frame of the websocket. A refused subscription has code 0 as well: only `msg` tells."""

    code: Code | None = None
    msg: str | None = None
    id: int | None = None
