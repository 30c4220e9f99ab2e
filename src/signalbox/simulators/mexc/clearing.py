"""Moves money: locks it for orders, settles fills with their fees, and releases what is left.

A buy locks quantity x price plus the highest possible fee in quote asset; a sell locks the base quantity. So a fill
can always be paid and no balance can go below zero. Fees are taken in quote asset on both sides, or in MX when the
account chose that and holds enough of it.
"""

from collections.abc import Callable
from decimal import Decimal

from signalbox.simulators.market import Side
from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.events import Publisher
from signalbox.simulators.mexc.order_rules import Terms
from signalbox.simulators.mexc.orders import Order, OrderStore, OwnTrade, Status
from signalbox.simulators.mexc.pairs import Pair

ZERO = Decimal(0)
FEE_ASSET = "MX"


class Clearing:
    """Settles orders of all accounts. `mx_price` gives the price of MX in a quote asset, or None."""

    def __init__(self, orders: OrderStore, mx_price: Callable[[str], Decimal | None]) -> None:
        self._orders = orders
        self._mx_price = mx_price

    def needed(self, pair: Pair, side: Side, terms: Terms) -> tuple[str, Decimal]:
        """Asset and amount that must be free to place an order."""
        rules = pair.rules
        if side is Side.SELL:
            return rules.base, terms.quantity
        return rules.quote, terms.price * terms.quantity * (1 + max(rules.taker_rate, rules.maker_rate))

    def check_funds(self, account: Account, pair: Pair, side: Side, terms: Terms) -> None:
        """`Refusal` 10101 for a buy, 30004 or 30005 for a sell, when the free balance is too small."""
        asset, amount = self.needed(pair, side, terms)
        free = account.balance(asset).free
        if free >= amount:
            return
        if side is Side.BUY:
            raise Refusal(errors.BALANCE_INSUFFICIENT)
        raise Refusal(errors.OVERSOLD if free > 0 else errors.POSITION_INSUFFICIENT)

    def lock_again(self, order: Order, pair: Pair, publisher: Publisher) -> bool:
        """Freeze anew what a closed order may cost; False when the account cannot pay it any more."""
        asset, amount = self.needed(pair, order.side, Terms(order.price, order.remaining))
        if order.account.balance(asset).free < amount:
            return False
        order.locked_asset, order.locked = asset, amount
        self.lock(order, publisher)
        return True

    def lock(self, order: Order, publisher: Publisher) -> None:
        """Freeze what the order may cost."""
        order.account.lock(order.locked_asset, order.locked)
        publisher.balance_changed(order.account, order.locked_asset, -order.locked, order.locked, "ENTRUST_PLACE")

    def fill(
        self, pair: Pair, order: Order, price: Decimal, quantity: Decimal, *, is_maker: bool, is_self: bool, at_ms: int
    ) -> OwnTrade:
        """Book one execution; returns the own trade, not yet published."""
        rules, account = pair.rules, order.account
        cost = price * quantity
        rate = rules.maker_rate if is_maker else rules.taker_rate
        fee_asset, fee = self._fee(account, rules.quote, cost * rate)
        in_quote = fee_asset == rules.quote
        if order.side is Side.BUY:
            spent = cost + fee if in_quote else cost
            account.pay_locked(rules.quote, spent)
            order.locked -= spent
            account.receive(rules.base, quantity)
        else:
            account.pay_locked(rules.base, quantity)
            order.locked -= quantity
            account.receive(rules.quote, cost - fee if in_quote else cost)
        if not in_quote:
            account.pay_free(fee_asset, fee)
        order.executed += quantity
        order.last_filled = quantity
        order.executed_quote += cost
        order.updated_ms = at_ms
        order.maker_last = is_maker
        order.status = Status.FILLED if order.remaining == 0 else Status.PARTIALLY_FILLED
        return OwnTrade(
            trade_id=self._orders.next_trade_id(),
            order=order,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_asset=fee_asset,
            is_maker=is_maker,
            is_self_trade=is_self,
            at_ms=at_ms,
        )

    def publish_fill(self, trade: OwnTrade, pair: Pair, publisher: Publisher) -> None:
        """Tell the account about the trade and the balances that it moved."""
        order, rules, cost = trade.order, pair.rules, trade.quote_quantity
        fee_in_quote = trade.fee if trade.fee_asset == rules.quote else ZERO
        publisher.own_trade(trade)
        if order.side is Side.BUY:
            publisher.balance_changed(order.account, rules.quote, ZERO, -cost - fee_in_quote, "ENTRUST")
            publisher.balance_changed(order.account, rules.base, trade.quantity, ZERO, "ENTRUST")
        else:
            publisher.balance_changed(order.account, rules.base, ZERO, -trade.quantity, "ENTRUST")
            publisher.balance_changed(order.account, rules.quote, cost - fee_in_quote, ZERO, "ENTRUST")
        if trade.fee_asset != rules.quote:
            publisher.balance_changed(order.account, trade.fee_asset, -trade.fee, ZERO, "TRADE_FEE")

    def keep_locked_for_rest(self, pair: Pair, order: Order, publisher: Publisher) -> None:
        """An order begins to rest: release what only a taker would have needed."""
        if order.side is Side.SELL:
            return
        needed = order.price * order.remaining * (1 + pair.rules.maker_rate)
        self._release(order, order.locked - needed, "ENTRUST_UNFROZEN", publisher)

    def finish(self, order: Order, status: Status, at_ms: int, publisher: Publisher) -> None:
        """Close an order and release what is still locked for it."""
        order.status = status
        order.updated_ms = at_ms
        order.resting = None
        self._orders.close(order)
        reason = "ENTRUST_UNFROZEN" if status is Status.FILLED else "ENTRUST_CANCEL"
        self._release(order, order.locked, reason, publisher)

    def _release(self, order: Order, amount: Decimal, reason: str, publisher: Publisher) -> None:
        if amount <= 0:
            return
        order.account.unlock(order.locked_asset, amount)
        order.locked -= amount
        publisher.balance_changed(order.account, order.locked_asset, amount, -amount, reason)

    def _fee(self, account: Account, quote: str, fee: Decimal) -> tuple[str, Decimal]:
        if not account.fee_in_mx or fee == 0:
            return quote, fee
        price = self._mx_price(quote)
        if price is None:
            return quote, fee
        in_mx = fee / price
        in_mx = in_mx.quantize(Decimal(1).scaleb(-8))
        return (FEE_ASSET, in_mx) if account.balance(FEE_ASSET).free >= in_mx else (quote, fee)
