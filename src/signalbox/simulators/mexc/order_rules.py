"""What POST /order refuses, and what it makes of a request before it is executed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TypeVar

from signalbox.simulators.market import Side
from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.decimals import decimals_of, plain, truncate
from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.instruments import Phase
from signalbox.simulators.mexc.options import Switches
from signalbox.simulators.mexc.orders import OrderType
from signalbox.simulators.mexc.pairs import Pair

EnumT = TypeVar("EnumT", bound=Enum)
_CLIENT_ID = {"word": re.compile(r"[A-Za-z0-9_\-]+"), "any": re.compile(r"[^\x00-\x1f]+")}
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """The parameters of an order, typed; nothing about the market is checked yet."""

    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal | None
    quote_quantity: Decimal | None
    price: Decimal | None
    client_id: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """Limit price and base quantity at which a request is executed."""

    price: Decimal
    quantity: Decimal


def parse_order(params: Mapping[str, str], switches: Switches) -> OrderRequest:
    """Read the parameters of POST /order; unknown ones (timeInForce, stpMode) are ignored.

    Raises `Refusal` 700004 for a missing parameter, 33333 for a wrong value and 700008 for a bad client order id.
    """
    request = OrderRequest(
        symbol=required(params, "symbol"),
        side=_choice(Side, required(params, "side"), "side"),
        order_type=_choice(OrderType, required(params, "type"), "type"),
        quantity=_positive(params, "quantity"),
        quote_quantity=_positive(params, "quoteOrderQty"),
        price=_positive(params, "price"),
        client_id=params.get("newClientOrderId") or None,
    )
    if request.client_id is not None and (
        len(request.client_id) > switches.client_id_max_length
        or not _CLIENT_ID[switches.client_id_characters].fullmatch(request.client_id)
    ):
        raise Refusal(errors.ILLEGAL_CHARACTERS, "newClientOrderId")
    if request.order_type is OrderType.MARKET:
        if request.quantity is None and request.quote_quantity is None:
            raise Refusal(errors.PARAMETER_MISSING, "quantity")
        if request.quantity is None and request.side is Side.SELL:
            raise Refusal(errors.PARAMETER_MISSING, "quantity")
    else:
        for name, value in (("quantity", request.quantity), ("price", request.price)):
            if value is None:
                raise Refusal(errors.PARAMETER_MISSING, name)
    return request


def required(params: Mapping[str, str], name: str) -> str:
    """A parameter that must be there; `Refusal` 700004 otherwise."""
    value = params.get(name)
    if not value:
        raise Refusal(errors.PARAMETER_MISSING, name)
    return value


def _choice(kind: type[EnumT], text: str, name: str) -> EnumT:
    try:
        return kind(text)
    except ValueError:
        raise Refusal(errors.PARAMETER_WRONG, f": {name}") from None


def _positive(params: Mapping[str, str], name: str) -> Decimal | None:
    text = params.get(name)
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise Refusal(errors.ILLEGAL_CHARACTERS, name)
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Refusal(errors.ILLEGAL_CHARACTERS, name) from None
    if value <= 0:
        raise Refusal(errors.AMOUNT_WRONG)
    return value


def check_tradable(pair: Pair | None, account: Account, request: OrderRequest, now_ms: int, switches: Switches) -> Pair:
    """The pair, when this account may send this order now; `Refusal` with the code that fits otherwise."""
    if pair is None:
        raise Refusal(switches.unknown_symbol_order_code)
    if not account.may_trade(pair.symbol):
        raise Refusal(switches.unbound_pair_code)
    phase = pair.phase(now_ms)
    if phase in (Phase.UNKNOWN, Phase.GONE):
        code = pair.rules.pre_open_code if phase is Phase.UNKNOWN else None
        raise Refusal(code or switches.unknown_symbol_order_code)
    if phase is Phase.PENDING:
        raise Refusal(pair.rules.pre_open_code or switches.pre_open_code)
    if phase is Phase.HALTED:
        raise Refusal(errors.TRADING_DISABLED)
    if not pair.timetable.is_api_tradable(now_ms):
        raise Refusal(errors.SYMBOL_NOT_TRADABLE_BY_API)
    if request.order_type is OrderType.MARKET and switches.market_orders_off:
        raise Refusal(switches.market_off_code)
    since_open = now_ms - pair.timetable.opens_at_ms
    if request.side is Side.SELL and since_open < pair.rules.buy_only_ms:
        raise Refusal(errors.DIRECTION_NOT_ALLOWED)
    return pair


def terms_of(pair: Pair, request: OrderRequest, now_ms: int, switches: Switches) -> Terms:
    """Price and quantity of the order, after all checks that need the market.

    A MARKET order becomes an immediate-or-cancel order at the protective price: reference x (1 +/- band), cut to the
    tick; a buy by quote amount is sized at that price and cut to the lot (fitted to recorded orders of 2024 and 2025).
    """
    if request.order_type is OrderType.MARKET:
        terms = _market_terms(pair, request, now_ms, switches)
    else:
        terms = _limit_terms(pair, request, now_ms, switches)
    if (
        request.order_type in (OrderType.MARKET, OrderType.IMMEDIATE_OR_CANCEL, OrderType.FILL_OR_KILL)
        and switches.empty_book == "refuse"
        and pair.book.best(request.side.opposite) is None
    ):
        raise Refusal(errors.NO_OPPOSITE_ORDER)
    return terms


def _market_terms(pair: Pair, request: OrderRequest, now_ms: int, switches: Switches) -> Terms:
    rules = pair.rules
    reference = pair.tape.last_price or pair.price
    if switches.market_reference == "opposite":
        best = pair.book.best(request.side.opposite)
        reference = best[0] if best is not None else reference
    band = _market_band(pair, switches)
    factor = 1 + band if request.side is Side.BUY else 1 - band
    price = max(truncate(reference * factor, rules.price_scale), rules.tick)
    cap = opening_cap(pair, now_ms, switches)
    if cap is not None and request.side is Side.BUY:
        price = min(price, cap)
    if request.quantity is None and request.quote_quantity is not None:
        _check_notional(pair, request.quote_quantity, rules.max_notional_market)
        quantity = truncate(request.quote_quantity / price, rules.quantity_scale)
        if quantity <= 0:
            raise Refusal(errors.BELOW_MINIMUM, f"{plain(rules.min_notional)}{rules.quote}")
        return Terms(price, quantity)
    quantity = request.quantity or Decimal(0)
    _check_decimals(quantity, rules.quantity_scale)
    _check_notional(pair, quantity * reference, rules.max_notional_market)
    return Terms(price, quantity)


def _market_band(pair: Pair, switches: Switches) -> Decimal:
    """The pair's own band, or its PERCENT_PRICE_BY_SIDE ratio, or the one for all pairs."""
    if pair.rules.market_band is not None:
        return pair.rules.market_band
    if switches.market_band_is_percent_price and pair.rules.percent_price is not None:
        return pair.rules.percent_price
    return switches.market_band


def _limit_terms(pair: Pair, request: OrderRequest, now_ms: int, switches: Switches) -> Terms:
    rules = pair.rules
    price, quantity = request.price or Decimal(0), request.quantity or Decimal(0)
    _check_decimals(quantity, rules.quantity_scale)
    _check_decimals(price, rules.price_scale)
    _check_notional(pair, price * quantity, rules.max_notional)
    if quantity < rules.min_quantity:
        raise Refusal(errors.BELOW_MINIMUM, f"{plain(rules.min_quantity)}{rules.base}")
    cap = opening_cap(pair, now_ms, switches)
    if cap is not None and request.side is Side.BUY and price > cap:
        raise cap_refusal(cap, rules.quote, switches)
    last = pair.tape.last_price or pair.price
    ratio = rules.percent_price
    if ratio is not None:
        too_high = request.side is Side.BUY and price > last * (1 + ratio)
        too_low = request.side is Side.SELL and price < last * (1 - ratio)
        if too_high or too_low:
            raise Refusal(errors.PRICE_OUT_OF_BAND)
    return Terms(price, quantity)


def opening_cap(pair: Pair, now_ms: int, switches: Switches) -> Decimal | None:
    """The highest price for buys just after the opening, or None."""
    rules = pair.rules
    if now_ms >= pair.timetable.opens_at_ms + rules.opening_cap_ms:
        return None
    if rules.opening_cap is not None or rules.open_price is None or switches.opening_cap_percent is None:
        return rules.opening_cap
    return truncate(rules.open_price * switches.opening_cap_percent / 100, rules.price_scale)


def cap_refusal(cap: Decimal, quote: str, switches: Switches) -> Refusal:
    """30010 in one of its wordings; the number stands before the quote asset in both."""
    if switches.cap_text == "not_higher":
        return Refusal(errors.NO_VALID_PRICE, text=f"The order price can not be higher than {plain(cap)} {quote}")
    return Refusal(errors.NO_VALID_PRICE, f"{plain(cap)}{quote}")


def _check_decimals(value: Decimal, places: int) -> None:
    if decimals_of(value) > places:
        raise Refusal(errors.TOO_MANY_DECIMALS)


def _check_notional(pair: Pair, notional: Decimal, maximum: Decimal) -> None:
    rules = pair.rules
    if notional < rules.min_notional:
        raise Refusal(errors.BELOW_MINIMUM, f"{plain(rules.min_notional)}{rules.quote}")
    if notional > maximum:
        raise Refusal(errors.ABOVE_MAXIMUM, f"{plain(maximum)}{rules.quote}")
