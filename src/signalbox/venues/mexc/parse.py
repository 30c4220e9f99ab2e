"""MEXC payloads become domain values. Pure. What cannot be understood is a MalformedAnswer with an excerpt."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.market import BookLevel, OrderBook
from signalbox.domain.money import ONE, ZERO, step_of
from signalbox.domain.orders import EvidenceState, Fill, OrderEvidence, Side
from signalbox.venues.mexc import wire
from signalbox.venues.mexc.errors import UNDECODABLE, MalformedAnswer, excerpt

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DECIMALS = 18
_STATUS_LAG = timedelta(hours=1)
_CLOSED_TO_TRADING = "4"
_FINISHED_STATES = {"FILLED": EvidenceState.FILLED, "PARTIALLY_CANCELED": EvidenceState.PARTIALLY_CANCELLED}

_time = msgspec.json.Decoder(wire.ServerTime)
_default_symbols = msgspec.json.Decoder(wire.DefaultSymbols)
_exchange_info = msgspec.json.Decoder(wire.ExchangeInfo)
_symbol_info = msgspec.json.Decoder(wire.SymbolInfo)
_ticker_prices = msgspec.json.Decoder(list[wire.TickerPrice])
_ticker_price = msgspec.json.Decoder(wire.TickerPrice)
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_depth = msgspec.json.Decoder(wire.Depth)
_order_ack = msgspec.json.Decoder(wire.OrderAck)
_order_info = msgspec.json.Decoder(wire.OrderInfo)
_trades = msgspec.json.Decoder(list[wire.TradeInfo])
_account = msgspec.json.Decoder(wire.AccountInfo)
_api_key = msgspec.json.Decoder(wire.ApiKeyInfo)
_self_symbols = msgspec.json.Decoder(wire.SelfSymbols)
_calendar = msgspec.json.Decoder(wire.Calendar)
_calendar_entry = msgspec.json.Decoder(wire.CalendarEntry)


class CalendarListing(Struct, frozen=True, kw_only=True):
    """One coin of the listing calendar. Its quote asset is not told."""

    coin_id: str
    base: str
    opens_at: datetime


def decode(decoder: msgspec.json.Decoder[T], body: bytes, what: str) -> T:
    """Decode or raise MalformedAnswer naming what was read, why it failed, and how the payload begins."""
    try:
        return decoder.decode(body)
    except UNDECODABLE as error:
        raise MalformedAnswer(f"{what} is malformed ({error}): {excerpt(body)}") from None


def each(raws: Sequence[msgspec.Raw], parse: Callable[[msgspec.Raw], T]) -> tuple[list[T], list[str]]:
    """Parse entry by entry: the good ones, and a bounded description of each bad one."""
    good: list[T] = []
    bad: list[str] = []
    for raw in raws:
        try:
            good.append(parse(raw))
        except (*UNDECODABLE, ArithmeticError, ValueError) as error:
            bad.append(f"{error}: {excerpt(bytes(raw))}")
    return good, bad


def instant(milliseconds: int) -> datetime:
    """A venue's time. Raises OverflowError when it is no time at all."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def server_time(body: bytes) -> int:
    """Milliseconds UTC."""
    return decode(_time, body, "the server time").server_time


def default_symbols(body: bytes) -> list[str]:
    """The pairs that are open to API trading."""
    return decode(_default_symbols, body, "the list of default symbols").data


def exchange_info(body: bytes) -> list[msgspec.Raw]:
    """The markets of an exchangeInfo, each as it stands on the wire."""
    return decode(_exchange_info, body, "the exchange information").symbols


def symbol_info(raw: msgspec.Raw) -> wire.SymbolInfo:
    """One market of an exchangeInfo. Raises one of UNDECODABLE."""
    return _symbol_info.decode(raw)


def instruments(body: bytes, now: datetime) -> tuple[list[Instrument], list[str]]:
    """All markets of an exchangeInfo, and descriptions of those that could not be understood."""
    return each(exchange_info(body), lambda raw: instrument(symbol_info(raw), now))


def instrument(info: wire.SymbolInfo, now: datetime) -> Instrument:
    """One market with its rules. Raises ValueError or ArithmeticError when its numbers make no sense.

    Quantities and prices are bound by numbers of decimals; minimum notionals stand in fields named precision. Before
    the opening, `isSpotTradingAllowed` false only says that nobody trades yet (observed): it counts from then on.
    """
    price_decimals = info.quote_asset_precision if info.quote_asset_precision is not None else info.quote_precision
    if price_decimals is None:
        raise ValueError("no price precision")
    opens_at = instant(info.first_open_time) if info.first_open_time else None
    minimum = amount(info.quote_amount_precision)
    status = _status(str(info.status), opens_at, now)
    is_allowed = info.is_spot_trading_allowed or status is InstrumentStatus.ANNOUNCED
    market = info.quote_amount_precision_market
    maximum = info.max_quote_amount_market
    return Instrument(
        symbol=info.symbol,
        base=info.base_asset,
        quote=info.quote_asset,
        status=status,
        tick_size=_step(price_decimals),
        lot_size=_step(info.base_asset_precision),
        min_notional=minimum,
        min_notional_market=minimum if market is None else amount(market),
        max_notional_market=amount(maximum) if maximum else None,
        taker_rate=amount(info.taker_commission),
        api_tradable=is_allowed and str(info.trade_side_type) != _CLOSED_TO_TRADING,
        market_orders="MARKET" in info.order_types,
        opens_at=opens_at,
        api_flag=info.is_spot_trading_allowed,
        sell_band=_band(info.filters),
    )


def _band(filters: list[wire.MarketFilter]) -> Decimal | None:
    """How far below the last price a sale may be priced; a number that is no such fraction says nothing."""
    for market_filter in filters:
        band = market_filter.ask_multiplier_down
        if band is not None and band.is_finite() and ZERO < band < ONE:
            return band
    return None


def _status(status: str, opens_at: datetime | None, now: datetime) -> InstrumentStatus:
    """Status 2 means paused, and for a pair that has not opened yet: announced. The flip to 1 comes a little late."""
    match status:
        case "1" | "ENABLED":
            return InstrumentStatus.TRADING
        case "2":
            is_coming = opens_at is not None and opens_at > now - _STATUS_LAG
            return InstrumentStatus.ANNOUNCED if is_coming else InstrumentStatus.PAUSED
        case _:
            return InstrumentStatus.OFFLINE


@lru_cache(maxsize=64)
def _step(decimals: int) -> Decimal:
    if not 0 <= decimals <= _MOST_DECIMALS:
        raise ValueError(f"a precision of {decimals} decimals")
    return step_of(decimals)


def amount(value: Decimal) -> Decimal:
    """A number that can be an amount. Raises ValueError for one below zero, infinite or not a number."""
    if not value.is_finite() or value < 0:
        raise ValueError(f"not a usable amount: {value}")
    return value


def optional_price(value: str | float | None) -> Decimal | None:
    """A price that may be missing, empty or zero, as for a pair that has not traded: then None."""
    if value is None or value == "":
        return None
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        return None
    return price if price.is_finite() and price > 0 else None


def ticker_prices(body: bytes) -> tuple[list[wire.TickerPrice], list[str]]:
    """Symbol and last price of every pair, and descriptions of the entries that could not be understood."""
    try:
        return _ticker_prices.decode(body), []
    except UNDECODABLE:
        raws = decode(_raw_list, body, "the list of prices")
        return each(raws, _ticker_price.decode)


def order_book(body: bytes, symbol: str, received_at: datetime) -> OrderBook:
    """A snapshot of the book, best levels first whatever the order on the wire."""
    depth = decode(_depth, body, f"the order book of {symbol}")
    try:
        bids, asks = _levels(depth.bids), _levels(depth.asks)
    except ValueError as error:
        raise MalformedAnswer(f"the order book of {symbol} is malformed ({error}): {excerpt(body)}") from None
    bids.sort(key=lambda level: level.price, reverse=True)
    asks.sort(key=lambda level: level.price)
    return OrderBook(symbol=symbol, bids=tuple(bids), asks=tuple(asks), received_at=received_at)


def _levels(pairs: list[tuple[Decimal, Decimal]]) -> list[BookLevel]:
    levels = [BookLevel(price=amount(price), quantity=amount(quantity)) for price, quantity in pairs]
    return [level for level in levels if level.price and level.quantity]


def calendar(body: bytes) -> tuple[list[CalendarListing], list[str]]:
    """The entries of the listing calendar, past ones included, and descriptions of the bad ones."""
    found = decode(_calendar, body, "the listing calendar")
    return each(found.data.new_coins, _calendar_listing)


def _calendar_listing(raw: msgspec.Raw) -> CalendarListing:
    entry = _calendar_entry.decode(raw)
    base = entry.vcoin_name.strip()
    if (
        not base
        or len(base) > 40
        or any(c.isspace() or not c.isprintable() for c in base)
        or entry.first_open_time <= 0
    ):
        raise ValueError("no usable coin name or opening time")
    return CalendarListing(coin_id=str(entry.vcoin_id), base=base, opens_at=instant(entry.first_open_time))


def order_id(body: bytes) -> str:
    """The venue's id out of an order's acknowledgement. Nothing else in it can be trusted (price and quantity of a
    MARKET order are the venue's protective ones)."""
    found = str(decode(_order_ack, body, "the acknowledgement of an order").order_id)
    if not found:
        raise MalformedAnswer(f"the acknowledgement of an order has no order id: {excerpt(body)}")
    return found


def order_evidence(body: bytes) -> OrderEvidence:
    """The venue's record of one order."""
    info = decode(_order_info, body, "the record of an order")
    try:
        return evidence_of(info, msgspec.json.decode(body))
    except ValueError as error:
        raise MalformedAnswer(f"the record of an order is malformed ({error}): {excerpt(body)}") from None


def evidence_of(info: wire.OrderInfo, response: dict[str, Any]) -> OrderEvidence:
    """What a record of an order proves; `response` is kept with it. Raises ValueError when its words or numbers make
    no sense."""
    quantity, quote = amount(info.executed_qty or ZERO), amount(info.cummulative_quote_qty or ZERO)
    match info.status:
        case "NEW" | "PARTIALLY_FILLED":
            state = EvidenceState.OPEN
        case "CANCELED":
            state = EvidenceState.PARTIALLY_CANCELLED if quantity else EvidenceState.CANCELLED
        case "FILLED" | "PARTIALLY_CANCELED":
            state = _FINISHED_STATES[info.status]
        case _:
            raise ValueError(f"an order has the unknown status {info.status[:40]!r}")
    return OrderEvidence(
        state=state,
        exchange_order_id=str(info.order_id),
        executed_quantity=quantity,
        executed_quote=quote,
        response=response,
    )


def fills(body: bytes, exchange_order_id: str) -> list[Fill]:
    """The executions of one order, oldest first."""
    trades = decode(_trades, body, "the list of executions")
    try:
        found = [_fill(trade) for trade in trades if str(trade.order_id) == exchange_order_id]
    except (ValueError, OverflowError) as error:
        raise MalformedAnswer(f"the list of executions is malformed ({error}): {excerpt(body)}") from None
    found.reverse()
    found.sort(key=lambda fill: fill.filled_at)
    return found


def _fill(trade: wire.TradeInfo) -> Fill:
    if not trade.commission.is_finite():
        raise ValueError(f"not a usable commission: {trade.commission}")
    return Fill(
        exchange_trade_id=str(trade.id),
        symbol=trade.symbol,
        side=Side.BUY if trade.is_buyer else Side.SELL,
        price=amount(trade.price),
        quantity=amount(trade.qty),
        quote_quantity=amount(trade.quote_qty),
        fee=trade.commission,
        fee_asset=trade.commission_asset,
        filled_at=instant(trade.time),
        is_maker=trade.is_maker,
    )


def may_trade(body: bytes) -> bool:
    """Whether the account may trade at all."""
    return decode(_account, body, "the account").can_trade


def api_key(body: bytes) -> wire.ApiKeyInfo:
    """What the key may do."""
    return decode(_api_key, body, "the description of the API key")


def own_symbols(body: bytes) -> list[str]:
    """The pairs that the key may trade."""
    return decode(_self_symbols, body, "the list of the key's symbols").data or []
