"""Placing and cancelling orders."""

from signalbox.simulators.faults import Fault
from signalbox.simulators.market import Match, Resting
from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.order_rules import OrderRequest, Terms, check_tradable, terms_of
from signalbox.simulators.mexc.orders import Order, OrderType, Status
from signalbox.simulators.mexc.pairs import Pair

MAX_OPEN_ORDERS = 500


def validate(exchange: Exchange, account: Account, request: OrderRequest, now_ms: int) -> tuple[Pair, Terms]:
    """All checks of an order except the balance; `Refusal` when one fails."""
    switches = exchange.switches
    named = exchange.pairs.get(request.symbol)
    if named is not None:
        exchange.catch_up(named, now_ms)
    pair = check_tradable(named, account, request, now_ms, switches)
    if request.client_id is not None and switches.duplicate_client_id == "refuse":
        known = exchange.orders.find(account, order_id=None, client_id=request.client_id)
        if known is not None:
            raise Refusal(switches.duplicate_client_id_code, text="Duplicate newClientOrderId")
    terms = terms_of(pair, request, now_ms, switches)
    if len(exchange.orders.open_orders(account)) >= MAX_OPEN_ORDERS:
        raise Refusal(errors.TOO_MANY_OPEN_ORDERS)
    return pair, terms


def place(exchange: Exchange, account: Account, request: OrderRequest, *, now_ms: int, arrived_ns: int) -> Order:
    """Take an order and execute what can be executed at once; the order as it stands then.

    Raises `Refusal` when the order is not taken; then nothing has changed.
    """
    pair, terms = validate(exchange, account, request, now_ms)
    exchange.clearing.check_funds(account, pair, request.side, terms)
    asset, amount = exchange.clearing.needed(pair, request.side, terms)
    order = Order(
        order_id=exchange.orders.next_order_id(),
        client_id=request.client_id,
        account=account,
        symbol=pair.symbol,
        side=request.side,
        order_type=request.order_type,
        price=terms.price,
        quantity=terms.quantity,
        quote_quantity=request.quote_quantity,
        created_ms=now_ms,
        arrived_ns=arrived_ns,
        locked_asset=asset,
        locked=amount,
    )
    exchange.orders.add(order)
    exchange.clearing.lock(order, exchange.publisher)
    after_all = exchange.faults.take("late_execution", pair.symbol, about=order.about)
    if after_all is not None:
        _execute_after_all(exchange, pair, order, after_all)
        return order
    exchange.publisher.order_changed(order)
    late = exchange.faults.take("fill_late", pair.symbol, about=order.about)
    if late is None:
        _execute(exchange, pair, order, now_ms)
    else:
        due_ms = now_ms + exchange.faults.wait_ms(late)
        exchange.do_at(due_ms, lambda at_ms: _execute_late(exchange, pair, order, at_ms))
    return order


def _execute_late(exchange: Exchange, pair: Pair, order: Order, now_ms: int) -> None:
    if order.status.is_open:
        exchange.catch_up(pair, now_ms)
        _execute(exchange, pair, order, now_ms)


def _execute_after_all(exchange: Exchange, pair: Pair, order: Order, fault: Fault) -> None:
    """The venue tells an order as cancelled, or does not know it, and corrects itself later."""
    due_ms = order.created_ms + exchange.faults.wait_ms(fault)
    if fault.reported == "cancelled":
        exchange.publisher.order_changed(order)
        cancel(exchange, order, order.created_ms)
    else:
        order.visible_from_ms = due_ms

    def correct(now_ms: int) -> None:
        if order.status is Status.CANCELED and exchange.clearing.lock_again(order, pair, exchange.publisher):
            order.status = Status.NEW
            exchange.orders.reopen(order)
        _execute_late(exchange, pair, order, now_ms)

    exchange.do_at(due_ms, correct)


def _execute(exchange: Exchange, pair: Pair, order: Order, now_ms: int) -> None:
    matches = _take(exchange, pair, order, now_ms)
    for match in matches:
        exchange.settle(pair, order, match, now_ms)
    if matches:
        exchange.publisher.book_changed(pair)
    if order.status is Status.FILLED:
        exchange.clearing.finish(order, Status.FILLED, now_ms, exchange.publisher)
        exchange.publisher.order_changed(order)
    elif _may_rest(pair, order):
        _rest(exchange, pair, order)
    else:
        cancel(exchange, order, now_ms)


def _take(exchange: Exchange, pair: Pair, order: Order, now_ms: int) -> list[Match[Order]]:
    quantity = order.quantity
    if order.order_type is OrderType.LIMIT_MAKER:
        return []
    if order.order_type is OrderType.MARKET:
        since_open = now_ms - pair.timetable.opens_at_ms
        if since_open < exchange.switches.market_cancel_ms:
            return []
    if order.order_type is OrderType.FILL_OR_KILL and pair.book.available(order.side, order.price) < quantity:
        return []
    fault = exchange.faults.take("partial_fill", pair.symbol, about=order.about)
    if fault is not None:
        found = pair.book.available(order.side, order.price)
        quantity = min(quantity, found) * fault.percent_filled / 100
        quantity -= quantity % pair.rules.lot
    return pair.book.take(order.side, quantity, order.price)


def _may_rest(pair: Pair, order: Order) -> bool:
    if order.order_type is OrderType.LIMIT_MAKER:
        return not pair.book.would_cross(order.side, order.price)
    return order.order_type is OrderType.LIMIT


def _rest(exchange: Exchange, pair: Pair, order: Order) -> None:
    exchange.clearing.keep_locked_for_rest(pair, order, exchange.publisher)
    order.resting = Resting(order.side, order.price, order.remaining, order)
    pair.book.rest(order.resting)
    if order.executed > 0:
        exchange.publisher.order_changed(order)
    exchange.publisher.book_changed(pair)
    exchange.wake()


def cancel(exchange: Exchange, order: Order, now_ms: int) -> None:
    """Cancel an open order; what was executed stays executed."""
    pair = exchange.pairs[order.symbol]
    if order.resting is not None:
        pair.book.remove(order.resting)
        exchange.publisher.book_changed(pair)
    status = Status.PARTIALLY_CANCELED if order.executed > 0 else Status.CANCELED
    if (
        status is Status.PARTIALLY_CANCELED
        and order.order_type is OrderType.MARKET
        and exchange.switches.market_underfill_says_filled
    ):
        status = Status.FILLED
    exchange.clearing.finish(order, status, now_ms, exchange.publisher)
    exchange.publisher.order_changed(order)
