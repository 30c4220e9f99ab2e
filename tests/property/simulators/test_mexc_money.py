"""Money in the simulated MEXC under any sequence of orders, cancels and price moves."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.simulators.market import Side
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.clock import ManualClock
from signalbox.simulators.mexc.decimals import decimals_of, plain, truncate
from signalbox.simulators.mexc.errors import Refusal, known_codes
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.matching import cancel, place
from signalbox.simulators.mexc.options import AccountOptions, ListingOptions, SimulatorOptions
from signalbox.simulators.mexc.order_rules import parse_order
from signalbox.simulators.mexc.orders import OrderType, Status

D = Decimal
START = {"USDT": D(1_000), "ABC": D(2_000), "MX": D(50)}
SYMBOL = "ABCUSDT"

prices = st.integers(40_000, 60_000).map(lambda number: str(D(number).scaleb(-5)))
quantities = st.integers(100, 150_000).map(lambda number: str(D(number).scaleb(-2)))
costs = st.integers(100, 120_000).map(lambda number: str(D(number).scaleb(-2)))
kinds = st.sampled_from([kind.value for kind in OrderType])
steps = st.one_of(
    st.tuples(st.just("order"), st.integers(0, 1), st.sampled_from(["BUY", "SELL"]), kinds, quantities, prices, costs),
    st.tuples(st.just("cancel"), st.integers(0, 1), st.integers(0, 5)),
    st.tuples(st.just("move"), prices),
    st.tuples(st.just("wait"), st.integers(1, 2_000)),
)


def build(*, fee_in_mx: bool) -> tuple[Exchange, ManualClock]:
    """An exchange with two accounts and one pair with fees on both sides."""
    clock = ManualClock()
    listing = ListingOptions(symbol=SYMBOL, taker_rate=D("0.0005"), maker_rate=D("0.0002"), path="walk")
    accounts = tuple(
        AccountOptions(label=label, balances=dict(START), fee_in_mx=fee_in_mx and label == "b") for label in "ab"
    )
    return Exchange(SimulatorOptions(listings=(listing,), accounts=accounts), clock), clock


def order_params(step: tuple[Any, ...]) -> dict[str, str]:
    """The parameters of an order step."""
    _, _, side, kind, quantity, price, cost = step
    params = {"symbol": SYMBOL, "side": side, "type": kind}
    if kind == "MARKET" and side == "BUY":
        return params | {"quoteOrderQty": cost}
    if kind == "MARKET":
        return params | {"quantity": quantity}
    return params | {"quantity": quantity, "price": price}


def run(exchange: Exchange, clock: ManualClock, step: tuple[Any, ...]) -> None:
    """Carry out one step; refusals are fine."""
    now = exchange.now_ms()
    if step[0] == "order":
        account = exchange.accounts.all[step[1]]
        try:
            place(exchange, account, parse_order(order_params(step), exchange.switches), now_ms=now, arrived_ns=0)
        except Refusal:
            return
    elif step[0] == "cancel":
        opened = exchange.orders.open_orders(exchange.accounts.all[step[1]])
        if opened:
            cancel(exchange, opened[step[2] % len(opened)], now)
    elif step[0] == "move":
        exchange.move_price(exchange.pairs[SYMBOL], D(step[1]), hold=False)
    else:
        clock.advance(step[1])
        exchange.advance(exchange.now_ms())


def check(exchange: Exchange) -> None:
    """The invariants of money."""
    for account in exchange.accounts.all:
        expected = dict(START)
        for trade in exchange.orders.trades(account):
            sign = 1 if trade.order.side is Side.BUY else -1
            expected["ABC"] += sign * trade.quantity
            expected["USDT"] -= sign * trade.quote_quantity
            expected[trade.fee_asset] -= trade.fee
        for asset, amount in expected.items():
            balance = account.balance(asset)
            assert balance.free >= 0
            assert balance.locked >= 0
            assert balance.free + balance.locked == amount, asset
        locked: dict[str, Decimal] = {}
        for order in exchange.orders.open_orders(account):
            assert order.locked >= 0
            locked[order.locked_asset] = locked.get(order.locked_asset, D(0)) + order.locked
        for asset in START:
            assert account.balance(asset).locked == locked.get(asset, D(0))


def check_orders(exchange: Exchange) -> None:
    """The invariants of orders."""
    for account in exchange.accounts.all:
        executed: dict[str, Decimal] = {}
        for trade in exchange.orders.trades(account):
            executed[trade.order.order_id] = executed.get(trade.order.order_id, D(0)) + trade.quantity
            better = (
                trade.order.price - trade.price if trade.order.side is Side.BUY else trade.price - trade.order.price
            )
            assert better >= 0, "a fill is never worse than the order's price"
        for order in exchange.orders.orders(account):
            assert order.executed == executed.get(order.order_id, D(0)) <= order.quantity
            assert (order.status is Status.FILLED) is (order.executed == order.quantity)
            if order.quote_quantity is not None:
                assert order.executed_quote <= order.quote_quantity
            if not order.status.is_open:
                assert order.locked == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=25), st.booleans())
def test_balances_are_conserved_and_never_negative(sequence: list[tuple[Any, ...]], fee_in_mx: bool) -> None:
    """free + locked equals the start plus fills minus fees, exactly, after every step."""
    exchange, clock = build(fee_in_mx=fee_in_mx)
    for step in sequence:
        run(exchange, clock, step)
        check(exchange)
    check_orders(exchange)


odd_texts = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "1e9", "NaN", "Infinity", "٣", "0.00000000000000000001", "9" * 20, "BUY", "MARKET"]
    ),
    st.text(max_size=8),
    costs,
    quantities,
)
odd_params = st.fixed_dictionaries(
    {"symbol": st.sampled_from([SYMBOL, "BTCUSDT", "PEPEUSDT", "NOPEUSDT"])},
    optional={
        "side": st.one_of(st.sampled_from(["BUY", "SELL"]), odd_texts),
        "type": st.one_of(kinds, odd_texts),
        "quantity": odd_texts,
        "quoteOrderQty": odd_texts,
        "price": odd_texts,
        "newClientOrderId": odd_texts,
    },
)


def refusal_code(exchange: Exchange, account: Account, params: dict[str, str]) -> int:
    """The code of the refusal, 0 when the order was taken."""
    try:
        request = parse_order(params, exchange.switches)
        place(exchange, account, request, now_ms=exchange.now_ms(), arrived_ns=0)
    except Refusal as refusal:
        return refusal.code
    return 0


@settings(max_examples=100, deadline=None)
@given(st.lists(odd_params, min_size=1, max_size=5))
def test_any_parameters_are_taken_or_refused(sequence: list[dict[str, str]]) -> None:
    """Whatever a client sends, the answer is an order or a code, and the money stays whole."""
    exchange, _ = build(fee_in_mx=False)
    account = exchange.accounts.all[0]
    for params in sequence:
        assert refusal_code(exchange, account, params) in known_codes() | {0}
    assert all(balance.free >= 0 and balance.locked >= 0 for balance in account.balances.values())


decimals = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False, places=12)


@given(decimals, st.integers(0, 12))
def test_truncation_never_rounds_up(value: Decimal, places: int) -> None:
    """Cut towards zero, by less than one step, to no more decimals than asked."""
    cut = truncate(value, places)
    assert 0 <= value - cut < D(1).scaleb(-places)
    assert decimals_of(cut) <= places


@given(decimals)
def test_plain_text_is_exact_and_has_no_exponent(value: Decimal) -> None:
    """What is written is what is meant."""
    text = plain(value)
    assert D(text) == value
    assert "E" not in text.upper()
    assert not (text.endswith("0") and "." in text)
