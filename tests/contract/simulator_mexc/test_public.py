"""M01-M09 and M40-M49: public REST, listings and the calendar of the simulated MEXC."""

from decimal import Decimal
from typing import Any

import pytest
from tests.contract.simulator_mexc.conftest import StartVenue, Venue

from signalbox.simulators.mexc.options import ListingOptions, ScheduleOptions, SimulatorOptions, Switches

INFO = "/api/v3/exchangeInfo"
CALENDAR = "/api/operation/new_coin_calendar"


async def symbols(venue: Venue) -> dict[str, Any]:
    """exchangeInfo by symbol."""
    return {entry["symbol"]: entry for entry in (await venue.client.get(INFO)).body["symbols"]}


async def calendar(venue: Venue) -> dict[str, int]:
    """Opening time by coin name."""
    body = (await venue.client.get(CALENDAR, f"timestamp={venue.clock.utc_ms()}")).body
    return {coin["vcoinName"]: coin["firstOpenTime"] for coin in body["data"]["newCoins"]}


async def test_m01_ping_and_time(venue: Venue) -> None:
    """M01: an empty object and a number."""
    assert (await venue.client.get("/api/v3/ping")).body == {}
    assert (await venue.client.get("/api/v3/time")).body == {"serverTime": venue.clock.utc_ms()}
    await venue.client.control("settings", {"clock_offset_ms": -700})
    assert (await venue.client.get("/api/v3/time")).body == {"serverTime": venue.clock.utc_ms() - 700}


async def test_m02_exchange_info_has_the_recorded_fields_and_types(venue: Venue) -> None:
    """M02: strings, whole numbers and booleans where the live API has them."""
    body = (await venue.client.get(INFO, "symbol=ABCUSDT")).body
    assert set(body) == {"timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols"}
    entry = body["symbols"][0]
    kinds = {name: type(value) for name, value in entry.items()}
    assert kinds == {
        "symbol": str, "status": str, "baseAsset": str, "baseAssetPrecision": int, "quoteAsset": str,
        "quotePrecision": int, "quoteAssetPrecision": int, "baseCommissionPrecision": int,
        "quoteCommissionPrecision": int, "orderTypes": list, "isSpotTradingAllowed": bool,
        "isMarginTradingAllowed": bool, "quoteAmountPrecision": str, "baseSizePrecision": str, "permissions": list,
        "filters": list, "maxQuoteAmount": str, "makerCommission": str, "takerCommission": str,
        "quoteAmountPrecisionMarket": str, "maxQuoteAmountMarket": str, "fullName": str, "tradeSideType": int,
        "contractAddress": str, "conceptPlateIds": list, "st": bool, "bizType": int, "conceptPlates": list,
        "firstOpenTime": int,
    }  # fmt: skip
    assert entry["orderTypes"] == ["LIMIT", "MARKET", "LIMIT_MAKER"]
    assert (entry["quoteAmountPrecision"], entry["baseSizePrecision"], entry["takerCommission"]) == ("1", "0", "0.0005")


async def test_m03_unknown_symbols(venue: Venue) -> None:
    """M03: -1121 for one unknown symbol; a comma list leaves unknown ones out; odd names are there."""
    unknown = await venue.client.get(INFO, "symbol=NOPEUSDT")
    assert (unknown.status, unknown.body) == (400, {"code": -1121, "msg": "Invalid symbol."})
    some = (await venue.client.get(INFO, "symbols=ABCUSDT,NOPEUSDT,BTCUSDT")).body["symbols"]
    assert [entry["symbol"] for entry in some] == ["ABCUSDT", "BTCUSDT"]
    assert {"索拉拉USDT", "GOLD(PAXG)USDT", "4USDT", "67USDT"} <= set(await symbols(venue))


async def test_m04_tickers_ignore_the_symbols_parameter(venue: Venue) -> None:
    """M04: one object for `symbol`, the whole catalogue otherwise, `symbols` or not."""
    for path in ("price", "bookTicker", "24hr"):
        one = (await venue.client.get(f"/api/v3/ticker/{path}", "symbol=ABCUSDT")).body
        assert one["symbol"] == "ABCUSDT"
        everything = (await venue.client.get(f"/api/v3/ticker/{path}", "symbols=ABCUSDT,BTCUSDT")).body
        assert len(everything) > 20
    day = (await venue.client.get("/api/v3/ticker/24hr", "symbol=ABCUSDT")).body
    assert day["count"] is None
    assert day["lastPrice"] == "0.5"
    assert day["closeTime"] - day["openTime"] < 60_000


async def test_m05_depth_and_trades(venue: Venue) -> None:
    """M05: string pairs, best first; trade ids are null, newest trade first."""
    book = (await venue.client.get("/api/v3/depth", "symbol=ABCUSDT&limit=5")).body
    assert isinstance(book["lastUpdateId"], int)
    bids, asks = ([Decimal(price) for price, _ in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 5
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < Decimal("0.5") < asks[0]
    venue.advance(1_000)
    trades = (await venue.client.get("/api/v3/trades", "symbol=ABCUSDT&limit=3")).body
    assert len(trades) == 3
    assert [trade["id"] for trade in trades] == [None] * 3
    assert trades[0]["time"] > trades[2]["time"]
    assert all(trade["isBuyerMaker"] is (trade["tradeType"] == "ASK") for trade in trades)


async def test_m06_klines(venue: Venue) -> None:
    """M06: eight columns, closeTime = openTime + interval; `1h` is refused."""
    rows = (await venue.client.get("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=10")).body
    assert len(rows) == 10
    for row in rows:
        assert [type(value) for value in row] == [int, str, str, str, str, str, int, str]
        assert row[6] == row[0] + 60_000
        assert Decimal(row[3]) <= Decimal(row[4]) <= Decimal(row[2])
    refused = await venue.client.get("/api/v3/klines", "symbol=BTCUSDT&interval=1h")
    assert (refused.status, refused.body["msg"]) == (400, "Invalid interval.")


async def test_m07_other_public_endpoints(venue: Venue) -> None:
    """M07: defaultSymbols, aggTrades, avgPrice, symbol/offline, tradeFee with numbers."""
    default = (await venue.client.get("/api/v3/defaultSymbols")).body
    assert default["code"] == 0
    assert "ABCUSDT" in default["data"]
    assert "WEBONLYUSDT" not in default["data"]
    aggregated = (await venue.client.get("/api/v3/aggTrades", "symbol=ABCUSDT&limit=1")).body
    assert set(aggregated[0]) == {"a", "f", "l", "p", "q", "T", "m", "M"}
    long = await venue.client.get("/api/v3/aggTrades", "symbol=ABCUSDT&startTime=1&endTime=3600002")
    assert long.code == -1127
    assert (await venue.client.get("/api/v3/avgPrice", "symbol=ABCUSDT")).body == {"mins": 5, "price": "0.5"}
    await venue.client.control("listings", {"symbol": "ABCUSDT", "halted": True}, "PATCH")
    assert (await venue.client.get("/api/v3/symbol/offline")).body == {"data": [{"symbol": "ABCUSDT", "state": 2}]}
    fee = (await venue.client.signed("GET", "/api/v3/tradeFee", "symbol=BTCUSDT")).body
    assert fee["data"] == {"makerCommission": 0, "takerCommission": 0.0005}


async def test_m08_unknown_paths(venue: Venue) -> None:
    """M08: JSON errors with their own HTTP status."""
    assert (await venue.client.get("/api/v3/nothing")).status == 404
    assert (await venue.client.get("/api/v3/order/test")).status == 405


async def test_m40_announced_listing_walks_through_its_life(start_venue: StartVenue) -> None:
    """M40: calendar and status "2" before, status "1" a little after the opening, orders in between."""
    listing = ListingOptions(symbol="NEWUSDT", open_in_ms=60_000, announce_in_ms=10_000, status_late_ms=3_000)
    venue = await start_venue(SimulatorOptions(listings=(listing,)))
    opens_at = venue.clock.utc_ms() + 60_000
    assert "NEWUSDT" not in await symbols(venue)
    assert "NEW" not in await calendar(venue)
    venue.advance(10_000)
    entry = (await symbols(venue))["NEWUSDT"]
    assert (entry["status"], entry["isSpotTradingAllowed"], entry["firstOpenTime"]) == ("2", False, opens_at)
    assert (await calendar(venue))["NEW"] == opens_at
    prices = (await venue.client.get("/api/v3/ticker/price")).body
    assert "NEWUSDT" not in {entry["symbol"] for entry in prices}
    assert (await venue.client.get("/api/v3/depth", "symbol=NEWUSDT")).body["bids"] == []
    venue.advance(50_000)
    entry = (await symbols(venue))["NEWUSDT"]
    assert (entry["status"], entry["isSpotTradingAllowed"]) == ("2", True)
    prices = (await venue.client.get("/api/v3/ticker/price")).body
    assert "NEWUSDT" in {entry["symbol"] for entry in prices}
    venue.advance(3_000)
    assert (await symbols(venue))["NEWUSDT"]["status"] == "1"
    assert (await calendar(venue))["NEW"] == opens_at, "the calendar keeps what opened recently"


async def test_m41_surprise_and_hidden_listings(start_venue: StartVenue) -> None:
    """M41: a surprise is in no calendar; a hidden one is in the calendar but not in exchangeInfo before it opens."""
    listings = (
        ListingOptions(symbol="SURPRISEUSDT", open_in_ms=5_000, announced=False),
        ListingOptions(symbol="HIDDENUSDT", open_in_ms=5_000, visible_before_open=False),
    )
    venue = await start_venue(SimulatorOptions(listings=listings))
    assert set(await calendar(venue)) == {"HIDDEN"}
    assert not {"SURPRISEUSDT", "HIDDENUSDT"} & set(await symbols(venue))
    assert (await venue.client.order("symbol=HIDDENUSDT&side=BUY&type=MARKET&quoteOrderQty=5")).code == 10007
    venue.advance(5_000)
    assert {"SURPRISEUSDT", "HIDDENUSDT"} <= set(await symbols(venue))


async def test_m42_moved_and_cancelled_listings(start_venue: StartVenue) -> None:
    """M42: the calendar follows a move; a cancelled listing disappears and never opens."""
    listings = (
        ListingOptions(symbol="LATEUSDT", open_in_ms=10_000, moves=((4_000, 20_000),)),
        ListingOptions(symbol="NEVERUSDT", open_in_ms=10_000, moves=((4_000, None),)),
    )
    venue = await start_venue(SimulatorOptions(listings=listings))
    start = venue.clock.utc_ms()
    assert await calendar(venue) == {"LATE": start + 10_000, "NEVER": start + 10_000}
    venue.advance(4_000)
    assert await calendar(venue) == {"LATE": start + 20_000}
    venue.advance(6_000)
    buy = "side=BUY&type=MARKET&quoteOrderQty=5"
    assert (await venue.client.order(f"symbol=LATEUSDT&{buy}")).code == 30001
    assert (await venue.client.order(f"symbol=NEVERUSDT&{buy}")).code == 10007
    venue.advance(10_000)
    assert (await venue.client.order(f"symbol=LATEUSDT&{buy}")).status == 200
    assert "NEVERUSDT" not in await symbols(venue)


async def test_m43_moved_by_control_and_calendar_frozen(start_venue: StartVenue) -> None:
    """M43: a test can move or cancel a listing; a frozen calendar keeps telling the old time."""
    venue = await start_venue(SimulatorOptions(listings=(ListingOptions(symbol="NEWUSDT", open_in_ms=10_000),)))
    start = venue.clock.utc_ms()
    await calendar(venue)
    await venue.client.control("settings", {"calendar_frozen": True})
    await venue.client.control("listings", {"symbol": "NEWUSDT", "open_in_ms": 30_000}, "PATCH")
    assert await calendar(venue) == {"NEW": start + 10_000}
    await venue.client.control("settings", {"calendar_frozen": False})
    assert await calendar(venue) == {"NEW": start + 30_000}
    await venue.client.control("listings", {"symbol": "NEWUSDT", "cancel": True}, "PATCH")
    assert await calendar(venue) == {}
    relisted = await venue.client.control("listings", {"symbol": "NEWUSDT", "price": "2"})
    assert relisted["phase"] == "open"


async def test_m44_zero_tickers_and_early_books_are_switches(start_venue: StartVenue) -> None:
    """M44: before the first trade tickers may be absent or zero, the book empty or filled."""
    switches = Switches(tickers_before_trade="zero", book_before_open=True)
    listing = ListingOptions(symbol="NEWUSDT", open_in_ms=10_000)
    venue = await start_venue(SimulatorOptions(listings=(listing,), switches=switches))
    venue.advance(1)
    prices = {entry["symbol"]: entry["price"] for entry in (await venue.client.get("/api/v3/ticker/price")).body}
    assert prices["NEWUSDT"] == "0"
    assert (await venue.client.get("/api/v3/depth", "symbol=NEWUSDT")).body["asks"]


async def test_m45_a_symbol_that_trades_cannot_be_listed_again(venue: Venue) -> None:
    """M45: HTTP 409 with the reason; a misspelt field is 422 with its name."""
    again = await venue.client.raw("POST", "/control/listings", body='{"symbol":"ABCUSDT"}')
    assert (again.status, "listed already" in again.body["error"]) == (409, True)
    typo = await venue.client.raw("POST", "/control/listings", body='{"symbol":"NEWUSDT","prise":"1"}')
    assert (typo.status, "prise" in typo.body["error"]) == (422, True)


async def test_m46_seeded_schedule_is_reproducible(start_venue: StartVenue) -> None:
    """M46: the same seed gives the same listings and prices, another seed others."""

    async def life(seed: int) -> Any:
        venue = await start_venue(SimulatorOptions(seed=seed, schedule=ScheduleOptions(count=8)))
        planned = (await venue.client.control("listings", method="GET"))["listings"]
        venue.advance(120_000)
        return planned, (await venue.client.get("/api/v3/ticker/price")).body

    assert await life(7) == await life(7)
    assert await life(7) != await life(8)


async def test_m47_price_path_does_not_depend_on_who_looks(start_venue: StartVenue) -> None:
    """M47: a pair that is looked at every step has the same price as one that is looked at once."""

    async def price_after(looks: int) -> Any:
        venue = await start_venue(SimulatorOptions(listings=(ListingOptions(symbol="ABCUSDT"),)))
        for _ in range(looks - 1):
            venue.advance(40_000 // looks)
            await venue.client.get("/api/v3/ticker/price", "symbol=ABCUSDT")
        venue.advance(40_000 // looks)
        return (await venue.client.get("/api/v3/ticker/price", "symbol=ABCUSDT")).body["price"]

    assert await price_after(1) == await price_after(40)


@pytest.mark.parametrize("enabled", [True, False])
async def test_m48_control_can_be_switched_off(start_venue: StartVenue, *, enabled: bool) -> None:
    """M48: without control the paths do not exist."""
    venue = await start_venue(SimulatorOptions(control_enabled=enabled))
    assert (await venue.client.get("/control/settings")).status == (200 if enabled else 404)
