"""Signed order endpoints (MEXC spot docs, "Spot Account/Trade"; key sets as recorded)."""

from typing import Any

import msgspec

from signalbox.simulators.market import Side
from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.calls import READ_ORDERS, WRITE_ORDERS, Call, Endpoint
from signalbox.simulators.mexc.decimals import plain
from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.matching import cancel, place, validate
from signalbox.simulators.mexc.order_rules import OrderRequest, parse_order, required
from signalbox.simulators.mexc.orders import Order, OrderType, OwnTrade

Json = dict[str, object]
DAY_MS = 86_400_000
MAX_BATCH = 20
MAX_SYMBOLS_PER_CANCEL = 5


def new_order(call: Call) -> Json:
    """Take an order. The answer only acknowledges: no status, no executed quantity, no fills."""
    request = parse_order(call.params, call.exchange.switches)
    return _acknowledge(call, _place(call, request), request)


def test_order(call: Call) -> Json:
    """Check an order and do nothing."""
    request = parse_order(call.params, call.exchange.switches)
    validate(call.exchange, call.account, request, call.now_ms)
    return {}


def batch_orders(call: Call) -> list[Json]:
    """Up to 20 orders of one pair; each answer is an acknowledgement or an error of its own."""
    try:
        items = msgspec.json.decode(required(call.params, "batchOrders"), type=list[dict[str, Any]])
    except msgspec.DecodeError:
        raise Refusal(errors.PARAMETER_WRONG, ": batchOrders") from None
    if not items or len(items) > MAX_BATCH:
        raise Refusal(errors.PARAMETER_WRONG, ": batchOrders")
    answers: list[Json] = []
    for item in items:
        params = {name: str(value) for name, value in item.items() if value is not None}
        client_id: Json = {"newClientOrderId": params["newClientOrderId"]} if "newClientOrderId" in params else {}
        try:
            request = parse_order(params, call.exchange.switches)
            answers.append(_acknowledge(call, _place(call, request), request) | client_id)
        except Refusal as refusal:
            answers.append({**client_id, "code": refusal.code, "msg": refusal.text})
    return answers


def _place(call: Call, request: OrderRequest) -> Order:
    return place(call.exchange, call.account, request, now_ms=call.now_ms, arrived_ns=call.arrived_ns)


def _acknowledge(call: Call, order: Order, request: OrderRequest) -> Json:
    switches = call.exchange.switches
    by_quote = request.order_type is OrderType.MARKET and request.quantity is None
    answer: Json = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "price": plain(order.price),
        "origQty": "0" if by_quote and switches.ack_quantity_zero else plain(order.quantity),
        "type": order.order_type.value,
        "side": order.side.value,
        "transactTime": order.created_ms,
    }
    if switches.ack_echoes_client_id and order.client_id is not None:
        answer["clientOrderId"] = order.client_id
    return answer


def cancel_order(call: Call) -> Json:
    """Cancel one open order."""
    order = _find(call, "orderId", "origClientOrderId")
    if order is None or not order.status.is_open or call.now_ms < order.visible_from_ms:
        raise Refusal(errors.CANCEL_UNKNOWN_ORDER)
    cancel(call.exchange, order, call.now_ms)
    return _cancelled(order)


def cancel_open_orders(call: Call) -> list[Json]:
    """Cancel all open orders of up to five pairs."""
    symbols = required(call.params, "symbol").split(",")
    if len(symbols) > MAX_SYMBOLS_PER_CANCEL:
        raise Refusal(errors.PARAMETER_WRONG, ": symbol")
    answers = []
    for symbol in symbols:
        for order in call.exchange.orders.open_orders(call.account, symbol):
            cancel(call.exchange, order, call.now_ms)
            answers.append(_cancelled(order))
    return answers


def cancel_everything(call: Call) -> Json:
    """Cancel all open orders of all pairs (2026); the answer does not say which."""
    for order in call.exchange.orders.open_orders(call.account):
        cancel(call.exchange, order, call.now_ms)
    return {"code": 200, "msg": "success", "timestamp": call.now_ms}


def _cancelled(order: Order) -> Json:
    return {
        "symbol": order.symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.order_id,
        "clientOrderId": order.client_id,
        "price": plain(order.price),
        "origQty": plain(order.quantity),
        "executedQty": plain(order.executed),
        "cummulativeQuoteQty": plain(order.executed_quote),
        "status": order.status.value,
        "timeInForce": None,
        "type": order.order_type.value,
        "side": order.side.value,
    }


def query_order(call: Call) -> Json:
    """One order by the venue's id or the client's."""
    order = _find(call, "orderId", "origClientOrderId")
    if order is None or not _is_visible(call, order):
        raise Refusal(errors.ORDER_DOES_NOT_EXIST)
    return describe_order(order)


def open_orders(call: Call) -> list[Json]:
    """Open orders of one pair, newest first."""
    _catch_up(call, required(call.params, "symbol"))
    found = call.exchange.orders.open_orders(call.account, call.params["symbol"])
    return [describe_order(order) for order in reversed(found) if _is_visible(call, order)]


def all_orders(call: Call) -> list[Json]:
    """Orders of one pair, newest first; the last 24 hours when no range is given."""
    symbol = required(call.params, "symbol")
    _catch_up(call, symbol)
    start = call.whole("startTime") or call.now_ms - DAY_MS
    end = call.whole("endTime") or call.now_ms
    found = [
        order
        for order in call.exchange.orders.orders(call.account, symbol)
        if start <= order.created_ms <= end and _is_visible(call, order)
    ]
    return [describe_order(order) for order in reversed(found[-call.limit(500, 1_000) :])]


def my_trades(call: Call) -> list[Json]:
    """Own trades of one pair, newest first; a trade appears a moment after its order says FILLED."""
    symbol = required(call.params, "symbol")
    _catch_up(call, symbol)
    switches = call.exchange.switches
    start, end = call.whole("startTime") or 0, call.whole("endTime")
    order_id = call.params.get("orderId")
    shown = [
        trade
        for trade in call.exchange.orders.trades(call.account, symbol)
        if trade.at_ms + switches.trades_visible_after_ms <= call.now_ms
        and call.now_ms >= trade.order.visible_from_ms
        and (not order_id or trade.order.order_id == order_id)
        and _second(trade.at_ms) >= start
        and (end is None or _second(trade.at_ms) <= end)
    ]
    limit = call.limit(switches.my_trades_default, switches.my_trades_limit)
    return [_describe_trade(trade) for trade in reversed(shown[-limit:])]


def describe_order(order: Order) -> Json:
    """An order as queries show it. Times are cut to the second; `updateTime` is null while the order is open."""
    quote_quantity = order.quote_quantity if order.quote_quantity is not None else order.price * order.quantity
    closed = not order.status.is_open
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "price": plain(order.price),
        "origQty": plain(order.quantity),
        "executedQty": plain(order.executed),
        "cummulativeQuoteQty": plain(order.executed_quote),
        "status": order.status.value,
        "timeInForce": None,
        "type": order.order_type.value,
        "side": order.side.value,
        "stopPrice": None,
        "icebergQty": None,
        "time": _second(order.created_ms),
        "updateTime": _second(order.updated_ms) if closed and order.updated_ms is not None else None,
        "isWorking": True,
        "origQuoteOrderQty": plain(quote_quantity),
    }


def _describe_trade(trade: OwnTrade) -> Json:
    order = trade.order
    return {
        "symbol": order.symbol,
        "id": trade.trade_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "price": plain(trade.price),
        "qty": plain(trade.quantity),
        "quoteQty": plain(trade.quote_quantity),
        "commission": plain(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": _second(trade.at_ms),
        "isBuyer": order.side is Side.BUY,
        "isMaker": trade.is_maker,
        "isBestMatch": True,
        "isSelfTrade": trade.is_self_trade,
        "clientOrderId": order.client_id,
    }


def _find(call: Call, by_id: str, by_client_id: str) -> Order | None:
    symbol = required(call.params, "symbol")
    order_id, client_id = call.params.get(by_id), call.params.get(by_client_id)
    if not order_id and not client_id:
        raise Refusal(errors.PARAMETER_MISSING, by_id)
    _catch_up(call, symbol)
    order = call.exchange.orders.find(call.account, order_id=order_id, client_id=client_id)
    return order if order is not None and order.symbol == symbol else None


def _is_visible(call: Call, order: Order) -> bool:
    switches = call.exchange.switches
    wait_ms = switches.order_visible_after_ms
    if call.params.get("origClientOrderId") and not call.params.get("orderId"):
        wait_ms = max(wait_ms, switches.client_id_visible_after_ms)
    if call.now_ms < max(order.created_ms + wait_ms, order.visible_from_ms):
        return False
    return call.exchange.faults.take("query_blind", order.symbol, about=order.about) is None


def _catch_up(call: Call, symbol: str) -> None:
    call.exchange.find(symbol, call.now_ms)


def _second(at_ms: int) -> int:
    return at_ms - at_ms % 1000


ENDPOINTS = {
    ("POST", "/api/v3/order"): Endpoint(new_order, permission=WRITE_ORDERS, per_order=True),
    ("POST", "/api/v3/order/test"): Endpoint(test_order, permission=WRITE_ORDERS),
    ("POST", "/api/v3/batchOrders"): Endpoint(batch_orders, permission=WRITE_ORDERS, per_order=True),
    ("DELETE", "/api/v3/order"): Endpoint(cancel_order, permission=WRITE_ORDERS, per_order=True),
    ("DELETE", "/api/v3/openOrders"): Endpoint(cancel_open_orders, permission=WRITE_ORDERS, per_order=True),
    ("DELETE", "/api/v3/order/all"): Endpoint(cancel_everything, permission=WRITE_ORDERS, per_order=True),
    ("GET", "/api/v3/order"): Endpoint(query_order, weight=2, permission=READ_ORDERS),
    ("GET", "/api/v3/openOrders"): Endpoint(open_orders, weight=3, permission=READ_ORDERS),
    ("GET", "/api/v3/allOrders"): Endpoint(all_orders, weight=10, permission=READ_ORDERS),
    ("GET", "/api/v3/myTrades"): Endpoint(my_trades, weight=10, permission=READ_ORDERS),
}
