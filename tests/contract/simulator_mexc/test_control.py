"""M150-M159: the control endpoint refuses what makes no sense, and acts behind the client's back."""

from typing import Any

import pytest
from tests.contract.simulator_mexc.conftest import Venue
from tests.contract.simulator_mexc.raw_client import read_fields

BUY_25 = "symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=25"
ACCOUNT = "spot@private.account.v3.api.pb"
NEW = '"symbol":"NEWUSDT"'


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("POST", "faults", "{", 422, "truncated"),
        ("POST", "faults", "\xff", 422, "malformed"),
        ("POST", "faults", '{"faults":[{"kind":"lightning"}]}', 422, "lightning"),
        ("POST", "faults", '{"faults":[{"kind":"latency"}]}', 422, "needs latency_ms"),
        ("POST", "faults", '{"faults":[{"kind":"latency","latency_ms":"soon"}]}', 422, "$.faults[0].latency_ms"),
        ("POST", "settings", '{"market_ordrs_off":true}', 422, "market_ordrs_off"),
        ("POST", "settings", '{"market_orders_off":"yes"}', 422, "market_orders_off"),
        ("POST", "settings", '{"pre_open_code":12}', 422, "12"),
        ("POST", "settings", '{"market_band":"-0.1"}', 422, "market_band must be 0 or more"),
        ("POST", "settings", '{"market_band":"NaN"}', 422, "market_band must be a number"),
        ("POST", "settings", '{"trades_visible_after_ms":-5}', 422, "trades_visible_after_ms must be 0 or more"),
        ("POST", "settings", '{"clock_drift_ppm":600000}', 422, "clock_drift_ppm"),
        ("POST", "settings", "[]", 422, "object"),
        ("POST", "listings", '{"price":"1"}', 422, "symbol"),
        ("POST", "listings", f'{{{NEW},"price":"0"}}', 422, "price must be above 0"),
        ("POST", "listings", f'{{{NEW},"halts":[[5,5]]}}', 422, "halt must end after"),
        ("POST", "listings", '{"symbol":"NEWBTC"}', 409, "followed by the quote"),
        ("PATCH", "listings", '{"symbol":"NOPEUSDT","halted":true}', 404, "NOPEUSDT"),
        ("PATCH", "listings", '{"symbol":"ABCUSDT","open_in_ms":5}', 409, "opened already"),
        ("PATCH", "listings", '{"symbol":"ABCUSDT","open_in_ms":5,"open_at_ms":5}', 422, "not both"),
        ("PATCH", "listings", '{"symbol":"ABCUSDT","cancel":true,"open_at_ms":5}', 422, "moved or cancelled"),
        ("PATCH", "listings", '{"symbol":"ABCUSDT","opening_cap":"-1"}', 422, "opening_cap must be 0 or more"),
        ("POST", "prices", '{"symbol":"ABCUSDT","price":"-1"}', 409, "above zero"),
        ("POST", "prices", '{"symbol":"ABCUSDT","price":"NaN"}', 409, "above zero"),
        ("POST", "rate-limits", '{"ip_weight":-1}', 422, "ip_weight must be 0 or more"),
        ("POST", "accounts", '{"label":"nobody"}', 404, "there is trader"),
        ("POST", "accounts", '{"label":"trader","permissions":["ALL"]}', 409, "ALL"),
        ("POST", "balances", '{"label":"trader","asset":"USDT","change":"-10001"}', 409, "only 10000 USDT"),
        ("POST", "balances", '{"label":"trader","asset":"USDT","change":"0"}', 409, "other than 0"),
        ("POST", "orders", '{"label":"trader","symbol":"ABCUSDT","side":"SELL","quantity":"5"}', 409, "30004"),
        ("POST", "orders", '{"label":"trader","symbol":"ABCUSDT","side":"BUY"}', 409, "700004"),
        ("DELETE", "orders", '{"label":"trader","order_id":"C02__1"}', 404, "C02__1"),
        ("POST", "disconnect", '{"chanel":"x"}', 422, "chanel"),
    ],
)
async def test_m150_refusals(venue: Venue, method: str, path: str, body: str, status: int, told: str) -> None:
    """M150: HTTP 422 for a bad body, 404 for an unknown name, 409 for what is not possible; always with a sentence."""
    before = await venue.client.control("settings", method="GET")
    answer = await venue.client.raw(method, f"/control/{path}", body=body)
    assert (answer.status, told in answer.body["error"]) == (status, True), answer.body
    assert await venue.client.control("settings", method="GET") == before
    assert (await venue.client.control("faults", method="GET"))["armed"] == []


async def test_m151_rules_of_a_pair_change(venue: Venue) -> None:
    """M151: a cap, a minimum or a band appears and goes again; exchangeInfo tells what it publishes."""
    client = venue.client

    async def change(**rules: Any) -> None:
        await client.control("listings", {"symbol": "ABCUSDT", **rules}, "PATCH")

    await change(opening_cap="0.45", min_notional="5", percent_price=None)
    entry = (await client.get("/api/v3/exchangeInfo", "symbol=ABCUSDT")).body["symbols"][0]
    assert (entry["quoteAmountPrecision"], entry["filters"]) == ("5", [])
    buy = "symbol=ABCUSDT&side=BUY&type=IMMEDIATE_OR_CANCEL&quantity=10&price=0.55"
    assert (await client.order(buy)).code == 30010
    assert (await client.order(BUY_25.replace("=25", "=4"))).code == 30002
    await change(opening_cap=None, min_notional="1")
    assert (await client.order(buy)).status == 200
    await change(buy_only_ms=60_000)
    assert (await client.order("symbol=ABCUSDT&side=SELL&type=MARKET&quantity=10")).code == 30001


async def test_m152_orders_that_the_client_did_not_send(venue: Venue) -> None:
    """M152: they are among the account's orders and trades, but not among the received requests."""
    client = venue.client
    order = {"label": "trader", "symbol": "ABCUSDT", "side": "BUY"}
    bought = await client.control("orders", order | {"quote_quantity": "25", "client_order_id": "web_1"})
    assert (bought["status"], bought["clientOrderId"]) == ("FILLED", "web_1")
    resting = await client.control("orders", order | {"type": "LIMIT", "quantity": "10", "price": "0.45"})
    assert resting["status"] == "NEW"
    venue.advance(20)
    trades = (await client.signed("GET", "/api/v3/myTrades", "symbol=ABCUSDT")).body
    assert [trade["clientOrderId"] for trade in trades] == ["web_1"]
    opened = (await client.signed("GET", "/api/v3/openOrders", "symbol=ABCUSDT")).body
    assert [entry["orderId"] for entry in opened] == [resting["orderId"]]
    cancelled = await client.control("orders", {"label": "trader", "order_id": resting["orderId"]}, "DELETE")
    assert cancelled["status"] == "CANCELED"
    again = await client.raw(
        "DELETE", "/control/orders", body=f'{{"label":"trader","order_id":"{resting["orderId"]}"}}'
    )
    assert (again.status, "CANCELED already" in again.body["error"]) == (409, True)
    assert (await client.control("orders", method="GET"))["requests"] == []


async def test_m153_money_that_comes_and_goes(venue: Venue) -> None:
    """M153: a deposit and a withdrawal change the free balance and are pushed under their own names."""
    client = venue.client
    key = (await client.signed("POST", "/api/v3/userDataStream")).body["listenKey"]
    async with client.socket(f"?listenKey={key}") as socket:
        await socket.subscribe(ACCOUNT)
        await client.control("balances", {"label": "trader", "asset": "ABC", "change": "12.5"})
        await client.control("balances", {"label": "trader", "asset": "USDT", "change": "-100"})
        pushes = [read_fields((await socket.push())[307][0]) for _ in range(2)]
    told = [(push[1][0], push[3][0], push[4][0], push[7][0]) for push in pushes]
    assert told == [(b"ABC", b"12.5", b"12.5", b"DEPOSIT"), (b"USDT", b"9900", b"-100", b"WITHDRAW")]
    balances = await client.balances()
    assert (balances["ABC"], balances["USDT"]) == (("12.5", "0"), ("9900", "0"))


async def test_m154_key_is_bound_and_unbound(venue: Venue) -> None:
    """M154: a list binds it, null unbinds it, leaving the field out changes nothing."""
    control = venue.client.control
    await control("accounts", {"label": "trader", "symbols": ["BTCUSDT"]})
    assert (await venue.client.order(BUY_25)).code == 10007
    await control("accounts", {"label": "trader", "fee_in_mx": True})
    assert (await venue.client.order(BUY_25)).code == 10007
    await control("accounts", {"label": "trader", "symbols": None})
    assert (await venue.client.order(BUY_25)).status == 200


async def test_m155_faults_are_disarmed_by_label(venue: Venue) -> None:
    """M155: one of several users of the board takes only its own away."""
    fault = {"kind": "rate_limited", "target": "/api/v3/ping", "times": None}
    await venue.client.control("faults", {"faults": [fault | {"label": name} for name in ("mine", "yours")]})
    left = await venue.client.control("faults", {"disarm": ["mine"]})
    assert [armed["label"] for armed in left["armed"]] == ["yours"]
