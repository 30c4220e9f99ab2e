"""M20-M39: orders, fills, balances and refusals of the simulated MEXC."""

from decimal import Decimal
from typing import Any

import pytest
from tests.contract.simulator_mexc.conftest import LISTED, StartVenue, Venue

from signalbox.simulators.mexc.options import AccountOptions, ListingOptions, SimulatorOptions, Switches

BUY_25 = "symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=25"
ACK_KEYS = {"symbol", "orderId", "orderListId", "price", "origQty", "type", "side", "transactTime"}


async def query_order(venue: Venue, order_id: str, symbol: str = "ABCUSDT") -> Any:
    """The order as GET /order shows it."""
    answer = await venue.client.signed("GET", "/api/v3/order", f"symbol={symbol}&orderId={order_id}")
    assert answer.status == 200, answer
    return answer.body


async def test_m20_answer_only_acknowledges(venue: Venue) -> None:
    """M20: exact key set and types; no status, no fills, no client id."""
    answer = await venue.client.order(f"{BUY_25}&newClientOrderId=sb-0001")
    assert answer.status == 200
    assert set(answer.body) == ACK_KEYS
    assert answer.body["orderId"].startswith("C02__")
    assert answer.body["orderListId"] == -1
    assert answer.body["transactTime"] == venue.clock.utc_ms()
    assert (answer.body["price"], answer.body["origQty"]) == ("0.525", "47.61")


async def test_m21_market_buy_spends_less_than_asked(venue: Venue) -> None:
    """M21: sized at reference x 1.05, cut to the lot, filled at the book's price, fee in quote asset."""
    ack = (await venue.client.order(f"{BUY_25}&newClientOrderId=sb-0001")).body
    order = await query_order(venue, ack["orderId"])
    assert order["status"] == "FILLED"
    assert (order["executedQty"], order["origQuoteOrderQty"], order["clientOrderId"]) == ("47.61", "25", "sb-0001")
    assert (order["timeInForce"], order["stopPrice"], order["icebergQty"]) == (None, None, None)
    spent = Decimal(order["cummulativeQuoteQty"])
    assert Decimal("23.5") < spent < Decimal(25)
    venue.advance(20)
    trades = (await venue.client.signed("GET", "/api/v3/myTrades", "symbol=ABCUSDT")).body
    assert sum(Decimal(trade["quoteQty"]) for trade in trades) == spent
    fee = sum(Decimal(trade["commission"]) for trade in trades)
    assert fee == spent * Decimal("0.0005")
    assert {trade["commissionAsset"] for trade in trades} == {"USDT"}
    balances = await venue.client.balances()
    assert Decimal(balances["USDT"][0]) == 10_000 - spent - fee
    assert balances["USDT"][1] == "0"
    assert balances["ABC"] == ("47.61", "0")


async def test_m22_trades_appear_after_the_order_is_filled(venue: Venue) -> None:
    """M22: FILLED at once, myTrades a moment later."""
    await venue.client.control("settings", {"trades_visible_after_ms": 300})
    ack = (await venue.client.order(BUY_25)).body
    assert (await query_order(venue, ack["orderId"]))["status"] == "FILLED"
    assert (await venue.client.signed("GET", "/api/v3/myTrades", "symbol=ABCUSDT")).body == []
    venue.advance(300)
    assert len((await venue.client.signed("GET", "/api/v3/myTrades", "symbol=ABCUSDT")).body) == 1


async def test_m23_market_order_larger_than_the_band_is_partially_cancelled(start_venue: StartVenue) -> None:
    """M23: what the band does not reach is cancelled; PARTIALLY_CANCELED with fills."""
    listing = ListingOptions(symbol="ABCUSDT", path="flat", market_band=Decimal("0.004"))
    venue = await start_venue(SimulatorOptions(listings=(listing,)))
    ack = (await venue.client.order("symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=5000")).body
    order = await query_order(venue, ack["orderId"])
    assert order["status"] == "PARTIALLY_CANCELED"
    assert Decimal(0) < Decimal(order["executedQty"]) < Decimal(order["origQty"])
    assert (await venue.client.balances())["USDT"][1] == "0"


async def test_m24_market_cancelled_in_the_first_seconds(start_venue: StartVenue) -> None:
    """M24: accepted, then cancelled at once, until `market_cancel_ms` after the opening; IOC works meanwhile."""
    switches = Switches(market_cancel_ms=60_000)
    venue = await start_venue(SimulatorOptions(listings=(LISTED,), switches=switches))
    ack = await venue.client.order(BUY_25)
    assert ack.status == 200
    order = await query_order(venue, ack.body["orderId"])
    assert (order["status"], order["executedQty"]) == ("CANCELED", "0")
    assert (await venue.client.balances())["USDT"] == ("10000", "0")
    ioc = await venue.client.order("symbol=ABCUSDT&side=BUY&type=IMMEDIATE_OR_CANCEL&quantity=10&price=0.51")
    assert (await query_order(venue, ioc.body["orderId"]))["status"] == "FILLED"
    venue.advance(60_000)
    later = await venue.client.order(BUY_25)
    assert (await query_order(venue, later.body["orderId"]))["status"] == "FILLED"


async def test_m25_limit_rests_and_the_moving_market_fills_it(venue: Venue) -> None:
    """M25: NEW with locked funds and a null updateTime, then FILLED at its own price as maker."""
    ack = (await venue.client.order("symbol=ABCUSDT&side=BUY&type=LIMIT&quantity=100&price=0.45")).body
    order = await query_order(venue, ack["orderId"])
    assert (order["status"], order["updateTime"]) == ("NEW", None)
    assert (await venue.client.balances())["USDT"] == ("9955", "45")
    opened = (await venue.client.signed("GET", "/api/v3/openOrders", "symbol=ABCUSDT")).body
    assert [entry["orderId"] for entry in opened] == [ack["orderId"]]
    await venue.client.control("prices", {"symbol": "ABCUSDT", "price": "0.44"})
    order = await query_order(venue, ack["orderId"])
    assert (order["status"], order["cummulativeQuoteQty"]) == ("FILLED", "45")
    assert (await venue.client.balances())["USDT"] == ("9955", "0")
    venue.advance(20)
    trades = (await venue.client.signed("GET", "/api/v3/myTrades", "symbol=ABCUSDT")).body
    assert {(trade["price"], trade["isMaker"], trade["commission"]) for trade in trades} == {("0.45", True, "0")}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("type=IMMEDIATE_OR_CANCEL&quantity=10&price=0.48", "CANCELED"),
        ("type=FILL_OR_KILL&quantity=15000&price=0.505", "CANCELED"),
        ("type=FILL_OR_KILL&quantity=10&price=0.51", "FILLED"),
        ("type=LIMIT_MAKER&quantity=10&price=0.51", "CANCELED"),
        ("type=LIMIT_MAKER&quantity=10&price=0.45", "NEW"),
        ("type=LIMIT&quantity=10&price=0.51", "FILLED"),
        ("type=LIMIT&quantity=6000&price=0.502", "PARTIALLY_FILLED"),
    ],
)
async def test_m26_order_types(venue: Venue, query: str, status: str) -> None:
    """M26: the type carries the time in force."""
    ack = await venue.client.order(f"symbol=ABCUSDT&side=BUY&{query}")
    assert ack.status == 200, ack
    assert (await query_order(venue, ack.body["orderId"]))["status"] == status


async def test_m27_cancel(venue: Venue) -> None:
    """M27: by either id; a second time and an unknown id give -2011, an unknown query -2013."""
    client = venue.client
    await client.order("symbol=ABCUSDT&side=BUY&type=LIMIT&quantity=100&price=0.45&newClientOrderId=c-1")
    by_client_id = "symbol=ABCUSDT&origClientOrderId=c-1"
    cancelled = await client.signed("DELETE", "/api/v3/order", by_client_id)
    assert (cancelled.status, cancelled.body["status"]) == (200, "CANCELED")
    assert (await client.balances())["USDT"] == ("10000", "0")
    again = await client.signed("DELETE", "/api/v3/order", by_client_id)
    assert (again.status, again.code) == (400, -2011)
    unknown = await client.signed("GET", "/api/v3/order", "symbol=ABCUSDT&orderId=C02__1")
    assert (unknown.status, unknown.body) == (400, {"code": -2013, "msg": "Order does not exist."})
    for price in ("0.44", "0.45"):
        await client.order(f"symbol=ABCUSDT&side=BUY&type=LIMIT&quantity=100&price={price}")
    everything = await client.signed("DELETE", "/api/v3/openOrders", "symbol=ABCUSDT")
    assert [entry["status"] for entry in everything.body] == ["CANCELED", "CANCELED"]
    statuses = [entry["status"] for entry in (await client.signed("GET", "/api/v3/allOrders", "symbol=ABCUSDT")).body]
    assert statuses == ["CANCELED"] * 3


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("side=BUY&type=MARKET&quoteOrderQty=10001", 10101),
        ("side=SELL&type=MARKET&quantity=5", 30004),
        ("side=BUY&type=MARKET&quoteOrderQty=0.9", 30002),
        ("side=BUY&type=LIMIT&quantity=1&price=0.5", 30002),
        ("side=BUY&type=LIMIT&quantity=10.001&price=0.5", 10096),
        ("side=BUY&type=LIMIT&quantity=10&price=0.500001", 10096),
        ("side=BUY&type=LIMIT&quantity=10&price=0.61", 30087),
        ("side=SELL&type=LIMIT&quantity=10&price=0.39", 30087),
        ("side=BUY&type=LIMIT&quantity=10000000&price=0.5", 30003),
        ("side=BUY&type=LIMIT&quantity=10", 700004),
        ("side=BUY&type=STOP&quantity=10&price=0.5", 33333),
        ("side=BUY&type=MARKET&quoteOrderQty=25&newClientOrderId=a%20b", 700008),
        ("side=BUY&type=MARKET&quoteOrderQty=-5", 700008),
    ],
)
async def test_m28_refusals(venue: Venue, query: str, code: int) -> None:
    """M28: HTTP 400 with the code; nothing is locked."""
    answer = await venue.client.order(f"symbol=ABCUSDT&{query}")
    assert (answer.status, answer.code) == (400, code)
    assert set(answer.body) == {"code", "msg"}
    assert (await venue.client.balances())["USDT"] == ("10000", "0")


async def test_m29_minimum_is_named_in_the_text(venue: Venue) -> None:
    """M29: 30002 names amount and asset without a space."""
    answer = await venue.client.order("symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=0.9")
    assert answer.body["msg"] == "The minimum transaction volume cannot be less than:1USDT"


async def test_m30_selling_more_than_held(venue: Venue) -> None:
    """M30: 30005 when there is some, 30004 when there is none."""
    await venue.client.order(BUY_25)
    more = await venue.client.order("symbol=ABCUSDT&side=SELL&type=MARKET&quantity=47.62")
    assert more.body == {"code": 30005, "msg": "Oversold"}
    sold = await venue.client.order("symbol=ABCUSDT&side=SELL&type=MARKET&quantity=47.61")
    assert (sold.status, sold.body["price"]) == (200, "0.47595")
    assert "ABC" not in await venue.client.balances()


@pytest.mark.parametrize("code", [30001, 30016, 30000, 10007, -1121, 30025])
async def test_m31_not_open_yet(start_venue: StartVenue, code: int) -> None:
    """M31: the code before the opening is a switch; in the millisecond of the opening orders are taken."""
    listing = ListingOptions(symbol="NEWUSDT", open_in_ms=5_000)
    switches = Switches(pre_open_code=code)  # type: ignore[arg-type]  # parametrised over the allowed codes
    venue = await start_venue(SimulatorOptions(listings=(listing,), switches=switches))
    buy = "symbol=NEWUSDT&side=BUY&type=MARKET&quoteOrderQty=25"
    early = await venue.client.order(buy)
    assert (early.status, early.code) == (400, code)
    venue.clock.advance(4_999)
    assert (await venue.client.order(buy)).code == code
    venue.clock.advance(1)
    assert (await venue.client.order(buy)).status == 200


async def test_m32_never_open_to_the_api(start_venue: StartVenue) -> None:
    """M32: status "1" but isSpotTradingAllowed false; orders get 10007."""
    listing = ListingOptions(symbol="WEBUSDT", api_tradable=False)
    venue = await start_venue(SimulatorOptions(listings=(listing,)))
    answer = await venue.client.order("symbol=WEBUSDT&side=BUY&type=MARKET&quoteOrderQty=25")
    assert answer.body == {"code": 10007, "msg": "symbol not support api"}
    info = (await venue.client.get("/api/v3/exchangeInfo", "symbol=WEBUSDT")).body["symbols"][0]
    assert (info["status"], info["isSpotTradingAllowed"]) == ("1", False)


async def test_m33_market_orders_off(venue: Venue) -> None:
    """M33: 30051 for MARKET only."""
    await venue.client.control("settings", {"market_orders_off": True})
    assert (await venue.client.order(BUY_25)).body == {"code": 30051, "msg": "api market order is disabled"}
    ioc = await venue.client.order("symbol=ABCUSDT&side=BUY&type=IMMEDIATE_OR_CANCEL&quantity=10&price=0.51")
    assert ioc.status == 200


@pytest.mark.parametrize(
    ("wording", "text"),
    [
        ("cannot_exceed", "Order price cannot exceed 0.52USDT"),
        ("not_higher", "The order price can not be higher than 0.52 USDT"),
    ],
)
async def test_m34_opening_price_cap(start_venue: StartVenue, wording: str, text: str) -> None:
    """M34: 30010 carries the highest price; after the window the cap is gone."""
    listing = ListingOptions(symbol="ABCUSDT", path="flat", opening_cap=Decimal("0.52"), opening_cap_ms=10_000)
    switches = Switches(cap_text=wording)  # type: ignore[arg-type]  # parametrised
    venue = await start_venue(SimulatorOptions(listings=(listing,), switches=switches))
    dear = "symbol=ABCUSDT&side=BUY&type=LIMIT&quantity=10&price=0.55"
    assert (await venue.client.order(dear)).body == {"code": 30010, "msg": text}
    assert (await venue.client.order(dear.replace("0.55", "0.52"))).status == 200
    venue.advance(10_000)
    assert (await venue.client.order(dear)).status == 200


async def test_m35_duplicate_client_order_id(venue: Venue) -> None:
    """M35: accepted by default (the newest is found by it), refused with the switch."""
    first = (await venue.client.order(f"{BUY_25}&newClientOrderId=twice")).body
    second = (await venue.client.order(f"{BUY_25}&newClientOrderId=twice")).body
    assert first["orderId"] != second["orderId"]
    found = await venue.client.signed("GET", "/api/v3/order", "symbol=ABCUSDT&origClientOrderId=twice")
    assert found.body["orderId"] == second["orderId"]
    await venue.client.control("settings", {"duplicate_client_id": "refuse", "duplicate_client_id_code": 33333})
    assert (await venue.client.order(f"{BUY_25}&newClientOrderId=twice")).code == 33333


async def test_m36_buy_only_phase(start_venue: StartVenue) -> None:
    """M36: sells are refused with 30001 and tradeSideType says 2 while only buying is allowed."""
    listing = ListingOptions(symbol="ABCUSDT", path="flat", buy_only_ms=5_000)
    venue = await start_venue(SimulatorOptions(listings=(listing,)))
    assert (await venue.client.order(BUY_25)).status == 200
    sell = "symbol=ABCUSDT&side=SELL&type=MARKET&quantity=10"
    assert (await venue.client.order(sell)).code == 30001
    assert (await venue.client.get("/api/v3/exchangeInfo", "symbol=ABCUSDT")).body["symbols"][0]["tradeSideType"] == 2
    venue.advance(5_000)
    assert (await venue.client.order(sell)).status == 200


async def test_m37_fee_in_mx(start_venue: StartVenue) -> None:
    """M37: with MX deduction the fee leaves the MX balance."""
    account = AccountOptions(fee_in_mx=True, balances={"USDT": Decimal(100), "MX": Decimal(10)})
    venue = await start_venue(SimulatorOptions(listings=(LISTED,), accounts=(account,)))
    ack = (await venue.client.order(BUY_25)).body
    spent = Decimal((await query_order(venue, ack["orderId"]))["cummulativeQuoteQty"])
    balances = await venue.client.balances()
    assert Decimal(balances["USDT"][0]) == 100 - spent
    assert Decimal(balances["MX"][0]) < 10
    venue.advance(20)
    trade = (await venue.client.signed("GET", "/api/v3/myTrades", "symbol=ABCUSDT")).body[0]
    assert trade["commissionAsset"] == "MX"


async def test_m38_batch_orders(venue: Venue) -> None:
    """M38: each item is acknowledged or refused on its own."""
    batch = (
        "%5B%7B%22symbol%22%3A%22ABCUSDT%22%2C%22side%22%3A%22BUY%22%2C%22type%22%3A%22LIMIT%22%2C%22quantity%22%3A%2210%22"
        "%2C%22price%22%3A%220.45%22%2C%22newClientOrderId%22%3A%22b-1%22%7D%2C%7B%22symbol%22%3A%22ABCUSDT%22%2C"
        "%22side%22%3A%22SELL%22%2C%22type%22%3A%22MARKET%22%2C%22quantity%22%3A%2210%22%2C%22newClientOrderId%22%3A%22b-2%22%7D%5D"
    )
    answer = await venue.client.signed("POST", "/api/v3/batchOrders", f"batchOrders={batch}")
    assert answer.status == 200
    assert set(answer.body[0]) == ACK_KEYS | {"newClientOrderId"}
    assert answer.body[1] == {"newClientOrderId": "b-2", "code": 30004, "msg": "Insufficient position"}


async def test_m39_every_order_has_its_arrival_time(venue: Venue) -> None:
    """M39: the control endpoint lists requests with symbol, client id and arrival, refused ones too."""
    await venue.client.order(f"{BUY_25}&newClientOrderId=seen-1")
    await venue.client.order("symbol=ABCUSDT&side=SELL&type=MARKET&quantity=99999&newClientOrderId=seen-2")
    requests = (await venue.client.control("orders", method="GET"))["requests"]
    assert [(entry["symbol"], entry["client_order_id"], entry["code"]) for entry in requests] == [
        ("ABCUSDT", "seen-1", 0),
        ("ABCUSDT", "seen-2", 30005),
    ]
    assert all(entry["arrived_ns"] == venue.clock.monotonic_ns() for entry in requests)
