"""M100-M129: what nobody knows for sure about the real exchange is a switch, and every setting works."""

from decimal import Decimal
from typing import Any

import pytest
from tests.contract.simulator_mexc.conftest import LISTED, StartVenue, Venue
from tests.contract.simulator_mexc.raw_client import read_fields, sign

from signalbox.simulators.mexc.options import (
    AccountOptions,
    ListingOptions,
    RateLimitOptions,
    SimulatorOptions,
    Switches,
)

BUY_25 = "symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=25"
ORDER = "/api/v3/order"
INFO = "/api/v3/exchangeInfo"
CALENDAR = "/api/operation/new_coin_calendar"
MINI = "spot@public.miniTickers.v3.api.pb@UTC+8"
DEALS = "spot@public.aggre.deals.v3.api.pb@10ms@ABCUSDT"
BOOK = "spot@public.aggre.bookTicker.v3.api.pb@100ms@ABCUSDT"


async def switch(venue: Venue, **changes: Any) -> None:
    """Change switches at run time."""
    await venue.client.control("settings", changes)


async def find(venue: Venue, query: str) -> Any:
    """GET /order."""
    return await venue.client.signed("GET", ORDER, f"symbol=ABCUSDT&{query}")


@pytest.mark.parametrize("code", [10007, -1121])
async def test_m100_order_for_an_unknown_symbol(venue: Venue, code: int) -> None:
    """M100: "not support api" or "invalid symbol"."""
    await switch(venue, unknown_symbol_order_code=code)
    assert (await venue.client.order(BUY_25.replace("ABC", "NOPE"))).code == code


@pytest.mark.parametrize("code", [10007, 30020, 70011])
async def test_m101_pair_to_which_the_key_is_not_bound(start_venue: StartVenue, code: int) -> None:
    """M101: three codes are documented for it."""
    account = AccountOptions(symbols=("BTCUSDT",))
    options = SimulatorOptions(accounts=(account,), listings=(LISTED,), switches=Switches(unbound_pair_code=code))  # type: ignore[arg-type]  # parametrised
    venue = await start_venue(options)
    assert (await venue.client.order(BUY_25)).code == code


@pytest.mark.parametrize("code", [30051, 30019, 30041, 30018, 26])
async def test_m102_code_of_market_orders_that_are_off(venue: Venue, code: int) -> None:
    """M102: any of the documented codes; other types are taken."""
    await switch(venue, market_orders_off=True, market_off_code=code)
    assert (await venue.client.order(BUY_25)).code == code
    ioc = "symbol=ABCUSDT&side=BUY&type=IMMEDIATE_OR_CANCEL&quantity=10&price=0.55"
    assert (await venue.client.order(ioc)).status == 200
    await switch(venue, market_orders_off=False)
    assert (await venue.client.order(BUY_25)).status == 200


@pytest.mark.parametrize(
    ("changes", "price"),
    [
        ({"market_reference": "last"}, "0.525"),
        ({"market_reference": "opposite"}, "0.52605"),
        ({"market_band": "0.1"}, "0.55"),
        ({"market_band_is_percent_price": True}, "0.6"),
        ({"opening_cap_percent": 104}, "0.52"),
    ],
)
async def test_m103_protective_price_of_a_market_order(venue: Venue, changes: dict[str, Any], price: str) -> None:
    """M103: reference (last 0.5, best ask 0.501), band, and its relation to PERCENT_PRICE_BY_SIDE."""
    await switch(venue, **changes)
    assert (await venue.client.order(BUY_25)).body["price"] == price


async def test_m104_cap_for_all_listings(venue: Venue) -> None:
    """M104: within the first minute a buy above the cap is refused, later it is taken."""
    await switch(venue, opening_cap_percent=110)
    buy = "symbol=ABCUSDT&side=BUY&type=IMMEDIATE_OR_CANCEL&quantity=10&price=0.56"
    refused = await venue.client.order(buy)
    assert (refused.code, refused.body["msg"]) == (30010, "Order price cannot exceed 0.55USDT")
    assert (await venue.client.order(buy.replace("0.56", "0.55"))).status == 200
    venue.advance(60_000)
    assert (await venue.client.order(buy)).status == 200


@pytest.mark.parametrize(("says_filled", "status"), [(False, "PARTIALLY_CANCELED"), (True, "FILLED")])
async def test_m105_underfilled_market_order(start_venue: StartVenue, status: str, *, says_filled: bool) -> None:
    """M105: less than ordered was bought; whether it is called FILLED nevertheless is a switch."""
    switches = Switches(market_underfill_says_filled=says_filled)
    thin = ListingOptions(symbol="ABCUSDT", path="flat", depth_notional=Decimal(10))
    venue = await start_venue(SimulatorOptions(listings=(thin,), switches=switches))
    ack = await venue.client.order(BUY_25.replace("=25", "=5000"))
    order = (await find(venue, f"orderId={ack.body['orderId']}")).body
    assert order["status"] == status
    assert Decimal(0) < Decimal(order["executedQty"]) < Decimal(order["origQty"])


async def test_m106_empty_book(start_venue: StartVenue) -> None:
    """M106: a taking order without anything to take is refused with 30025, or taken and cancelled."""
    thin = ListingOptions(symbol="ABCUSDT", path="flat", depth_notional=Decimal(10))
    venue = await start_venue(SimulatorOptions(listings=(thin,)))
    await venue.client.order(BUY_25.replace("=25", "=5000"))
    assert (await venue.client.order(BUY_25)).code == 30025
    await switch(venue, empty_book="cancel")
    ack = await venue.client.order(BUY_25)
    assert (await find(venue, f"orderId={ack.body['orderId']}")).body["status"] == "CANCELED"


async def test_m107_what_the_acknowledgement_tells(venue: Venue) -> None:
    """M107: neither client id nor, with the switch, a quantity; or both."""
    plain = (await venue.client.order(f"{BUY_25}&newClientOrderId=a1")).body
    assert ("clientOrderId" in plain, plain["origQty"]) == (False, "47.61")
    await switch(venue, ack_echoes_client_id=True, ack_quantity_zero=True)
    echoed = (await venue.client.order(f"{BUY_25}&newClientOrderId=a2")).body
    assert (echoed["clientOrderId"], echoed["origQty"]) == ("a2", "0")


async def test_m108_length_and_characters_of_a_client_id(venue: Venue) -> None:
    """M108: 32 letters, digits, - and _; longer and stranger ones by switch."""
    long, strange = "x" * 33, "a.b%3A%E7%B4%A2"
    for name in (long, strange):
        assert (await venue.client.order(f"{BUY_25}&newClientOrderId={name}")).code == 700008
    await switch(venue, client_id_max_length=64, client_id_characters="any")
    for name in (long, strange):
        assert (await venue.client.order(f"{BUY_25}&newClientOrderId={name}")).status == 200
    assert (await find(venue, f"origClientOrderId={strange}")).body["clientOrderId"] == "a.b:索"


async def test_m109_look_up_by_client_id_may_lag(venue: Venue) -> None:
    """M109: at once by default; with the switch the order's own id finds it first, or neither does."""
    await switch(venue, client_id_visible_after_ms=200)
    by_id = f"orderId={(await venue.client.order(f'{BUY_25}&newClientOrderId=lag')).body['orderId']}"
    assert ((await find(venue, by_id)).status, (await find(venue, "origClientOrderId=lag")).code) == (200, -2013)
    venue.advance(200)
    assert (await find(venue, "origClientOrderId=lag")).status == 200
    await switch(venue, client_id_visible_after_ms=0, order_visible_after_ms=200)
    by_id = f"orderId={(await venue.client.order(f'{BUY_25}&newClientOrderId=lag2')).body['orderId']}"
    assert ((await find(venue, by_id)).code, (await find(venue, "origClientOrderId=lag2")).code) == (-2013, -2013)
    venue.advance(200)
    assert (await find(venue, by_id)).status == 200


async def test_m110_how_many_trades_an_answer_holds(start_venue: StartVenue) -> None:
    """M110: without `limit` 100 or 10, with it at most 100 or 1000."""
    limits = RateLimitOptions(enforced=False)
    venue = await start_venue(SimulatorOptions(listings=(LISTED,), rate_limits=limits))
    for _ in range(120):
        await venue.client.order(BUY_25.replace("=25", "=2"))
    venue.advance(20)

    async def count(query: str = "") -> int:
        return len((await venue.client.signed("GET", "/api/v3/myTrades", f"symbol=ABCUSDT{query}")).body)

    assert (await count(), await count("&limit=1000")) == (100, 100)
    await switch(venue, my_trades_default=10, my_trades_limit=1000)
    assert (await count(), await count("&limit=1000")) == (10, 120)


async def test_m111_drifting_clock(venue: Venue) -> None:
    """M111: 1000 ppm are a millisecond per second, either way; changing it does not make the time jump."""

    async def error_ms() -> int:
        told: int = (await venue.client.get("/api/v3/time")).body["serverTime"]
        return told - venue.clock.utc_ms()

    await switch(venue, clock_drift_ppm=1_000)
    venue.advance(10_000)
    assert await error_ms() == 10
    await switch(venue, clock_drift_ppm=-500)
    assert await error_ms() == 10
    venue.advance(20_000)
    assert await error_ms() == 0
    await switch(venue, clock_drift_ppm=0)
    venue.advance(60_000)
    assert await error_ms() == 0
    await switch(venue, clock_offset_ms=-700)
    assert await error_ms() == -700


@pytest.mark.parametrize("accepted", [True, False])
async def test_m112_upper_case_signature(venue: Venue, *, accepted: bool) -> None:
    """M112: taken or refused with 700002."""
    await switch(venue, accept_upper_case_signature=accepted)
    total = f"{BUY_25}&timestamp={venue.clock.utc_ms()}"
    signed = f"{total}&signature={sign(venue.client.secret, total).upper()}"
    answer = await venue.client.raw("POST", ORDER, signed, venue.client.headers())
    assert answer.code == (None if accepted else 700002)


async def test_m113_pool_of_weights(start_venue: StartVenue) -> None:
    """M113: one pool for an address, or one for each endpoint as the older docs had it."""
    limits = {"ip_weight": 50}
    venue = await start_venue(SimulatorOptions(rate_limits=RateLimitOptions(ip_weight=50)))
    spent = [(await venue.client.get(INFO)).status for _ in range(3)]
    assert (spent, (await venue.client.get("/api/v3/ping")).status) == ([200, 200, 429], 429)
    await venue.client.control("rate-limits", limits | {"ip_pool": "per_endpoint"})
    spent = [(await venue.client.get(INFO)).status for _ in range(3)]
    assert (spent, (await venue.client.get("/api/v3/ping")).status) == ([200, 200, 429], 200)


async def test_m114_account_reads_per_second(venue: Venue) -> None:
    """M114: uncounted, or two a second as documented."""

    async def statuses() -> list[int]:
        return [(await venue.client.signed("GET", "/api/v3/account")).status for _ in range(3)]

    assert await statuses() == [200, 200, 200]
    await venue.client.control("rate-limits", {"account_per_s": 2})
    assert await statuses() == [200, 200, 429]
    venue.advance(1_000)
    assert await statuses() == [200, 200, 429]


async def test_m115_calendar_keys(start_venue: StartVenue) -> None:
    """M115: with and without `code`, `zone` and the names that some readers fall back on."""
    venue = await start_venue(SimulatorOptions(listings=(ListingOptions(symbol="NEWUSDT", open_in_ms=10_000),)))
    usual = {"vcoinId", "vcoinName", "vcoinNameFull", "firstOpenTime"}
    body = (await venue.client.get(CALENDAR)).body
    assert (set(body), set(body["data"]["newCoins"][0])) == ({"data", "code", "msg", "timestamp"}, usual)
    await switch(venue, calendar_envelope=False, calendar_fallback_names=True, calendar_zone=True)
    body = (await venue.client.get(CALENDAR)).body
    assert set(body) == {"data"}
    assert set(body["data"]["newCoins"][0]) == usual | {"zone", "id", "symbol", "projectName", "first_open_time"}


@pytest.mark.parametrize("history_ms", [0, 86_400_000])
async def test_m116_how_far_the_calendar_looks_back(start_venue: StartVenue, history_ms: int) -> None:
    """M116: a coin leaves it `calendar_history_ms` after its opening."""
    venue = await start_venue(
        SimulatorOptions(
            listings=(ListingOptions(symbol="NEWUSDT", open_in_ms=1_000),),
            switches=Switches(calendar_history_ms=history_ms),
        )
    )
    venue.advance(1_000 + history_ms)
    assert len((await venue.client.get(CALENDAR)).body["data"]["newCoins"]) == 1
    venue.advance(1)
    assert (await venue.client.get(CALENDAR)).body["data"]["newCoins"] == []


@pytest.mark.parametrize("told", [True, False])
async def test_m117_mini_tickers_before_the_first_trade(start_venue: StartVenue, *, told: bool) -> None:
    """M117: an announced pair is in the push with price 0, or absent."""
    venue = await start_venue(
        SimulatorOptions(
            listings=(ListingOptions(symbol="NEWUSDT", open_in_ms=60_000),),
            switches=Switches(mini_tickers_before_trade=told),
        )
    )
    async with venue.client.socket() as socket:
        await socket.subscribe(MINI)
        lines = [read_fields(line) for line in read_fields((await socket.push())[310][0])[1]]
    prices = {line[1][0].decode(): line[2] for line in lines}
    assert prices.get("NEWUSDT") == ([b"0"] if told else None)


@pytest.mark.parametrize("present", [True, False])
async def test_m118_fields_of_june_2026(start_venue: StartVenue, *, present: bool) -> None:
    """M118: trade ids of deals and versions of book tickers are newer than many decoders."""
    options = SimulatorOptions(listings=(LISTED,), switches=Switches(june_2026_fields=present))
    venue = await start_venue(options)
    async with venue.client.socket() as socket:
        await socket.subscribe(BOOK)
        assert (5 in read_fields((await socket.push())[315][0])) is present
    async with venue.client.socket() as socket:
        await socket.subscribe(DEALS)
        await venue.client.order(BUY_25)
        deal = read_fields(read_fields((await socket.push())[314][0])[1][0])
        assert (deal.get(5, [b""]) != [b""]) is present


async def test_m119_wording_of_errors(venue: Venue) -> None:
    """M119: English, Chinese, or changed without notice; the code stays."""
    poor = BUY_25.replace("=25", "=10001")
    assert (await venue.client.order(poor)).body == {"msg": "Insufficient balance", "code": 10101}
    await switch(venue, chinese_texts=True)
    assert (await venue.client.order(poor)).body == {"msg": "资金不足", "code": 10101}
    await switch(venue, chinese_texts=False, altered_texts=True, opening_cap_percent=110)
    assert (await venue.client.order(poor)).code == 10101
    capped = await venue.client.order("symbol=ABCUSDT&side=BUY&type=LIMIT&quantity=10&price=0.56")
    assert capped.body["msg"] == "Rejected (30010): Order price cannot exceed 0.55USDT [ref 1f9a]"


@pytest.mark.parametrize("published", [True, False])
async def test_m120_opening_time_in_exchange_info(start_venue: StartVenue, *, published: bool) -> None:
    """M120: a minority of pairs has no firstOpenTime; the calendar knows it nevertheless."""
    listing = ListingOptions(symbol="NEWUSDT", open_in_ms=60_000, publish_first_open_time=published)
    venue = await start_venue(SimulatorOptions(listings=(listing,)))
    entry = (await venue.client.get(INFO, "symbol=NEWUSDT")).body["symbols"][0]
    assert ("firstOpenTime" in entry) is published
    assert [coin["vcoinName"] for coin in (await venue.client.get(CALENDAR)).body["data"]["newCoins"]] == ["NEW"]


async def test_m121_symbol_lists_of_the_website(start_venue: StartVenue) -> None:
    """M121: by quote asset, with the opening as ISO text or in milliseconds, pairs that are not open yet included."""
    venue = await start_venue(SimulatorOptions(listings=(ListingOptions(symbol="NEWUSDT", open_in_ms=60_000),)))
    one = (await venue.client.get("/api/platform/spot/market/symbols", "symbol=NEW_USDT")).body["data"]
    assert one == {"USDT": [{"currency": "NEW", "openTime": "2026-01-01T00:01:00Z", "status": 2, "c": "0.5"}]}
    lists = (await venue.client.get("/api/platform/spot/market-v2/web/symbolsV2")).body["data"]["symbols"]
    assert {"USDT", "BTC", "USDC"} == set(lists)
    (new,) = [entry for entry in lists["USDT"] if entry["vn"] == "NEW"]
    assert (new["sts"], new["ot"], new["ps"], new["qs"]) == (2, venue.clock.utc_ms() + 60_000, 5, 2)
    venue.advance(60_000)
    lists = (await venue.client.get("/api/platform/spot/market-v2/web/symbolsV2")).body["data"]["symbols"]
    assert {entry["vn"]: entry["sts"] for entry in lists["USDT"]}["NEW"] == 1
