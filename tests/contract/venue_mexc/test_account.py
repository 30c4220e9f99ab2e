"""Numbered cases of what the account is asked: A0x."""

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.contract.venue_mexc.venue import ConnectedVenue

from signalbox.domain.errors import CredentialsRefused, VenueUnavailable
from signalbox.domain.orders import EvidenceState, Order, OrderType, Side, TimeInForce
from signalbox.simulators.mexc.orders import OwnTrade


async def resting(venue: ConnectedVenue) -> Order:
    """A limit buy far below the market."""
    order, _ = await venue.send(
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=Decimal(100),
        limit_price=Decimal("0.45"),
    )
    return order


async def test_a01_balances_are_free_and_locked(venue: ConnectedVenue) -> None:
    await resting(venue)
    balances = {balance.asset: balance for balance in await venue.orders.balances()}
    usdt = balances["USDT"]
    assert usdt.locked >= Decimal(45)
    assert usdt.total == usdt.free + usdt.locked == Decimal(10_000)
    assert "ABC" not in balances


async def test_a02_recent_orders_are_all_of_a_market_ours_or_not(venue: ConnectedVenue) -> None:
    since = venue.clock.now()
    bought, _ = await venue.send()
    open_one = await resting(venue)
    gone = await resting(venue)
    await venue.orders.cancel(gone)
    listed = {order.client_order_id: order for order in await venue.orders.recent_orders("ABCUSDT", since)}
    assert listed.keys() == {bought.client_order_id, open_one.client_order_id, gone.client_order_id}
    evidence = await venue.orders.find_order(bought)
    assert listed[bought.client_order_id].evidence.executed_quantity == evidence.executed_quantity > 0
    assert listed[bought.client_order_id].exchange_order_id == evidence.exchange_order_id
    assert listed[bought.client_order_id].kind == "MARKET"
    assert listed[open_one.client_order_id].is_open
    assert listed[gone.client_order_id].evidence.state is EvidenceState.CANCELLED
    assert {order.side for order in listed.values()} == {Side.BUY}
    assert await venue.orders.recent_orders("ABCUSDT", since + timedelta(hours=1)) != []  # what is open is always there


async def test_a03_an_order_older_than_the_window_is_left_out(venue: ConnectedVenue) -> None:
    await venue.send()
    venue.simulator.exchange.orders.orders(venue.simulator.exchange.accounts.all[0])[0].created_ms -= 3_600_000
    assert await venue.orders.recent_orders("ABCUSDT", venue.clock.now() - timedelta(minutes=30)) == []
    assert len(await venue.orders.recent_orders("ABCUSDT", venue.clock.now() - timedelta(hours=2))) == 1


@pytest.mark.parametrize(("limit", "seconds", "reachable"), [(100, 250, 250), (100, 1, 100), (1000, 1, 250)])
async def test_a04_more_executions_than_fit_into_an_answer_are_read_by_time(
    venue: ConnectedVenue, limit: int, seconds: int, reachable: int
) -> None:
    """250 executions, one each second, or all within one; a venue that takes a limit of 100, or of 1,000."""
    venue.switch(my_trades_limit=limit)
    order = await resting(venue)
    store = venue.simulator.exchange.orders
    taken = store.find(venue.simulator.exchange.accounts.all[0], order_id=None, client_id=order.client_order_id)
    assert taken is not None
    start = venue.simulator.exchange.now_ms() // 1000 * 1000 - 600_000
    for number in range(250):
        at_ms = start + number * 1000 * seconds // 250
        store.add_trade(_trade(store.next_trade_id(), taken, at_ms))
    fills = await venue.orders.fills(order, taken.order_id)
    assert len(fills) == len({fill.exchange_trade_id for fill in fills}) == reachable


def _trade(trade_id: str, order: object, at_ms: int) -> OwnTrade:
    return OwnTrade(
        trade_id=trade_id,
        order=order,  # type: ignore[arg-type]  # the simulator's order
        price=Decimal("0.45"),
        quantity=Decimal("0.4"),
        fee=Decimal("0.00009"),
        fee_asset="USDT",
        is_maker=True,
        is_self_trade=False,
        at_ms=at_ms,
    )


@pytest.mark.parametrize("path", ["/api/v3/account", "/api/v3/allOrders", "/api/v3/openOrders"])
@pytest.mark.parametrize("kind", ["malformed_answer", "truncated_answer", "error_before_accept"])
async def test_a05_half_an_answer_is_none(venue: ConnectedVenue, path: str, kind: str) -> None:
    await venue.send()
    venue.fault(kind, target=path, times=None)
    since = venue.clock.now() - timedelta(minutes=1)
    question = venue.orders.balances() if path.endswith("account") else venue.orders.recent_orders("ABCUSDT", since)
    with pytest.raises(VenueUnavailable):
        await question


async def test_a06_refused_credentials_are_told_as_such(venue: ConnectedVenue) -> None:
    stranger = venue.account(api_key="mx0nobody", secret="0" * 32)
    with pytest.raises(CredentialsRefused):
        await stranger.balances()
    with pytest.raises(CredentialsRefused):
        await stranger.recent_orders("ABCUSDT", venue.clock.now())
