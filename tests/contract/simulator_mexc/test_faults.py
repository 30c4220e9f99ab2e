"""M130-M149: faults that are bound to one request, push, order or calendar entry, from the start or at run time."""

import asyncio
from typing import Any

import aiohttp
import pytest
from tests.contract.simulator_mexc.conftest import StartVenue, Venue
from tests.contract.simulator_mexc.raw_client import RawSocket, read_fields

from signalbox.simulators.faults import Fault
from signalbox.simulators.mexc.options import ListingOptions, SimulatorOptions, Switches

BUY_25 = "symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=25"
SELL_ALL = "symbol=ABCUSDT&side=SELL&type=MARKET&quantity=47.61"
ORDER = "/api/v3/order"
TRADES = "/api/v3/myTrades"
CALENDAR = "/api/operation/new_coin_calendar"
MINI = "spot@public.miniTickers.v3.api.pb@UTC+8"
DEALS = "spot@public.aggre.deals.v3.api.pb@10ms@ABCUSDT"
BOOK = "spot@public.aggre.bookTicker.v3.api.pb@10ms@ABCUSDT"
ORDERS, OWN_DEALS, ACCOUNT = (f"spot@private.{name}.v3.api.pb" for name in ("orders", "deals", "account"))
CANCELLED, FILLED = 4, 2


async def arm(venue: Venue, kind: str, **fields: Any) -> None:
    """Arm one fault."""
    await venue.client.control("faults", {"faults": [{"kind": kind, **fields}]})


async def struck(venue: Venue) -> dict[str, int]:
    """What struck how often."""
    found: dict[str, int] = (await venue.client.control("faults", method="GET"))["struck"]
    return found


async def find(venue: Venue, client_id: str) -> Any:
    """GET /order by our own id."""
    answer = await venue.client.signed("GET", ORDER, f"symbol=ABCUSDT&origClientOrderId={client_id}")
    return answer.body


async def trades(venue: Venue) -> list[Any]:
    """GET /myTrades."""
    found: list[Any] = (await venue.client.signed("GET", TRADES, "symbol=ABCUSDT")).body
    return found


async def watch_orders(socket: RawSocket) -> None:
    """Subscribe to the order pushes."""
    assert (await socket.subscribe(ORDERS))["msg"] == ORDERS


async def order_push(socket: RawSocket) -> tuple[int, bytes]:
    """Status and executed quantity of the next order push."""
    body = read_fields((await socket.push())[304][0])
    return body[15][0], body[13][0]


async def listen_query(venue: Venue) -> str:
    """The query of a private connection."""
    key = (await venue.client.signed("POST", "/api/v3/userDataStream")).body["listenKey"]
    return f"?listenKey={key}"


async def test_m130_cancelled_order_that_was_executed_after_all(venue: Venue) -> None:
    """M130: cancelled without a fill by every source, its money free; later filled by every source, its money gone."""
    client = venue.client
    await arm(venue, "late_execution", target="ABCUSDT", latency_ms=3_000)
    async with client.socket(await listen_query(venue)) as socket:
        await watch_orders(socket)
        assert (await client.order(f"{BUY_25}&newClientOrderId=late")).status == 200
        order = await find(venue, "late")
        assert (order["status"], order["executedQty"]) == ("CANCELED", "0")
        assert (await client.balances())["USDT"] == ("10000", "0")
        assert [(await order_push(socket))[0] for _ in range(2)] == [1, CANCELLED]
        venue.advance(2_999)
        assert (await find(venue, "late"))["status"] == "CANCELED"
        venue.advance(1)
        assert (await find(venue, "late"))["executedQty"] == "47.61"
        statuses = [await order_push(socket)]
        while statuses[-1][0] != FILLED:
            statuses.append(await order_push(socket))
        assert statuses[-1] == (FILLED, b"47.61")
    venue.advance(20)
    assert [trade["qty"] for trade in await trades(venue)] == ["47.61"]
    assert (await client.balances())["ABC"] == ("47.61", "0")
    assert (await client.balances())["USDT"][1] == "0"


async def test_m131_unknown_order_that_was_executed_after_all(venue: Venue) -> None:
    """M131: no query finds it, no cancel reaches it, its money is frozen; then it is filled."""
    client = venue.client
    await arm(venue, "late_execution", reported="unknown", latency_ms=6_000)
    assert (await client.order(f"{BUY_25}&newClientOrderId=late")).status == 200
    assert (await find(venue, "late"))["code"] == -2013
    cancel = await client.signed("DELETE", ORDER, "symbol=ABCUSDT&origClientOrderId=late")
    assert cancel.code == -2011
    for path in ("openOrders", "allOrders"):
        assert (await client.signed("GET", f"/api/v3/{path}", "symbol=ABCUSDT")).body == []
    assert (await client.balances())["USDT"][1] != "0"
    venue.advance(6_000)
    assert (await find(venue, "late"))["status"] == "FILLED"
    venue.advance(20)
    assert len(await trades(venue)) == 1


async def test_m132_money_spent_meanwhile(venue: Venue) -> None:
    """M132: what the account can no longer pay stays cancelled."""
    await arm(venue, "late_execution", latency_ms=1_000)
    await venue.client.order(f"{BUY_25}&newClientOrderId=late")
    await venue.client.control("balances", {"label": "trader", "asset": "USDT", "change": "-9990"})
    venue.advance(1_000)
    order = await find(venue, "late")
    assert (order["status"], order["executedQty"]) == ("CANCELED", "0")


async def test_m133_faults_narrowed_down_to_a_side(venue: Venue) -> None:
    """M133: by what a request carries, and by the order that it asks for."""
    client, sell = venue.client, {"symbol": "ABCUSDT", "side": "SELL"}
    await arm(venue, "error_after_accept", target=ORDER, method="POST", where=sell, label="answer")
    await arm(venue, "error_before_accept", target=ORDER, method="GET", where=sell, label="query", status=500)
    await arm(venue, "rate_limited", target=TRADES, where=sell, label="fills", retry_after=2)
    await arm(venue, "partial_fill", where=sell, label="fill", percent_filled=0)
    bought = await client.order(f"{BUY_25}&newClientOrderId=in")
    assert bought.status == 200
    assert (await find(venue, "in"))["status"] == "FILLED"
    venue.advance(20)
    assert len(await trades(venue)) == 1
    assert (await client.order(f"{SELL_ALL}&newClientOrderId=out")).status == 503
    assert await find(venue, "out") == "500 Server Error"
    sold = await find(venue, "out")
    assert sold["status"] == "CANCELED"
    by_order = f"symbol=ABCUSDT&orderId={sold['orderId']}"
    refused = await client.signed("GET", TRADES, by_order)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "2")
    assert (await client.signed("GET", TRADES, by_order)).body == []
    assert await struck(venue) == {"answer": 1, "query": 1, "fills": 1, "fill": 1}


async def test_m134_faults_from_the_start(start_venue: StartVenue) -> None:
    """M134: what the options arm strikes from the first request on, and is listed like the others."""
    faults = (
        Fault(kind="error_before_accept", target="/api/v3/time", status=502),
        Fault(kind="rate_limited", target="/api/v3/ping", times=None),
    )
    venue = await start_venue(SimulatorOptions(faults=faults))
    assert [(await venue.client.get("/api/v3/time")).status for _ in range(2)] == [502, 200]
    limited = await venue.client.get("/api/v3/ping")
    assert (limited.status, "Retry-After" in limited.headers) == (429, False)
    armed = (await venue.client.control("faults", method="GET"))["armed"]
    assert [fault["kind"] for fault in armed] == ["rate_limited"]
    await venue.client.control("faults", {"clear": True})
    assert (await venue.client.get("/api/v3/ping")).status == 200


async def test_m135_server_error_with_a_code(venue: Venue) -> None:
    """M135: "execution unknown" also comes as one of the venue's own codes; the order was taken."""
    await arm(venue, "error_after_accept", target=ORDER, method="POST", status=400, code=10203)
    answer = await venue.client.order(f"{BUY_25}&newClientOrderId=code")
    assert (answer.status, answer.code) == (400, 10203)
    assert (await find(venue, "code"))["status"] == "FILLED"


async def new_coins(venue: Venue) -> dict[str, Any]:
    """The calendar's entries by coin."""
    body = (await venue.client.get(CALENDAR)).body
    return {coin["vcoinName"]: coin for coin in body["data"]["newCoins"]}


@pytest.fixture
async def announced(start_venue: StartVenue) -> Venue:
    """Two announced listings, NEW and OTHER."""
    listings = tuple(ListingOptions(symbol=f"{name}USDT", open_in_ms=60_000) for name in ("NEW", "OTHER"))
    return await start_venue(SimulatorOptions(listings=listings))


async def test_m136_entry_that_vanishes_and_returns(announced: Venue) -> None:
    """M136: for as many answers as told, while the listing goes on as planned."""
    await arm(announced, "calendar_entry_missing", target="NEWUSDT", times=2)
    seen = [sorted(await new_coins(announced)) for _ in range(3)]
    assert seen == [["OTHER"], ["OTHER"], ["NEW", "OTHER"]]


async def test_m137_entry_that_is_moved(announced: Venue) -> None:
    """M137: the calendar tells another time than the planned one, later or earlier; exchangeInfo does not."""
    planned = announced.clock.utc_ms() + 60_000
    for shift_ms in (30_000, -5_000):
        await arm(announced, "calendar_entry_moved", target="NEWUSDT", shift_ms=shift_ms)
        told = await new_coins(announced)
        assert (told["NEW"]["firstOpenTime"], told["OTHER"]["firstOpenTime"]) == (planned + shift_ms, planned)
    entry = (await announced.client.get("/api/v3/exchangeInfo", "symbol=NEWUSDT")).body["symbols"][0]
    assert entry["firstOpenTime"] == planned
    assert (await new_coins(announced))["NEW"]["firstOpenTime"] == planned


@pytest.mark.parametrize(
    ("form", "opens"),
    [
        ("strings", "1767225660000"),
        ("floats", 1767225660000.0),
        ("seconds", 1767225660),
        ("iso", "2026-01-01T00:01:00+00:00"),
        ("nulls", None),
        ("missing", "absent"),
    ],
)
async def test_m138_entry_with_other_field_types(announced: Venue, form: str, opens: object) -> None:
    """M138: one entry is odd, the others stay as they were."""
    await arm(announced, "calendar_entry_odd", target="NEWUSDT", odd_form=form)
    told = await new_coins(announced)
    assert told["NEW"].get("firstOpenTime", "absent") == opens
    assert type(told["NEW"].get("firstOpenTime", "absent")) is type(opens)
    assert told["OTHER"]["firstOpenTime"] == 1767225660000


async def test_m139_frozen_calendar_from_the_start(start_venue: StartVenue) -> None:
    """M139: an answer from a stale cache never changes again."""
    listing = ListingOptions(symbol="NEWUSDT", open_in_ms=60_000, moves=((1_000, 90_000),))
    venue = await start_venue(SimulatorOptions(listings=(listing,), switches=Switches(calendar_frozen=True)))
    first = await new_coins(venue)
    venue.advance(1_000)
    assert await new_coins(venue) == first


async def test_m140_websocket_upgrade_is_refused(venue: Venue) -> None:
    """M140: cut, or answered with a server error, as often as told."""
    await arm(venue, "refuse_connection", target="/ws", times=2)  # aiohttp tries a GET twice
    await arm(venue, "error_before_accept", target="/ws", status=502)
    with pytest.raises(aiohttp.ClientError):
        async with venue.client.socket():
            pass
    with pytest.raises(aiohttp.WSServerHandshakeError, match="502"):
        async with venue.client.socket():
            pass
    async with venue.client.socket() as socket:
        await socket.subscribe(MINI)


async def test_m141_truncated_push(venue: Venue) -> None:
    """M141: it breaks off in the middle of a field."""
    async with venue.client.socket() as socket:
        await socket.subscribe(MINI)
        whole = await socket.message()
        await arm(venue, "push_truncated", target="spot@public.mini")
        await venue.client.control("push")
        cut = (await socket.message()).data
        assert cut == whole.data[: len(whole.data) // 2]
        assert len(read_fields(cut)[310][0]) < len(read_fields(whole.data)[310][0]), "less than its length says"


async def test_m142_private_push_is_narrowed_down(venue: Venue) -> None:
    """M142: by symbol, side and status, so that for instance only the end of a sale is not told."""
    where = {"symbol": "ABCUSDT", "side": "BUY", "status": "FILLED"}
    await arm(venue, "push_missing", target=ORDERS, where=where)
    async with venue.client.socket(await listen_query(venue)) as socket:
        await watch_orders(socket)
        await venue.client.order(BUY_25)
        await venue.client.order(SELL_ALL)
        told = [(await order_push(socket)) for _ in range(3)]
        assert [status for status, _ in told] == [1, 1, FILLED], "the sale's NEW follows the purchase's"
    assert await struck(venue) == {"push_missing": 1}


async def test_m143_disconnect_one_kind_of_connection(venue: Venue) -> None:
    """M143: those that subscribed to a channel are cut, the others stay."""
    async with venue.client.socket() as public, venue.client.socket(await listen_query(venue)) as private:
        await public.subscribe(MINI)
        await watch_orders(private)
        assert await venue.client.control("disconnect", {"channel": "spot@private."}) == {"disconnected": 1}
        assert (await private.message()).type is aiohttp.WSMsgType.CLOSED
        await public.send("ping")
        assert (await public.text())["msg"] == "PONG"
        assert await venue.client.control("disconnect") == {"disconnected": 1}


async def test_m144_halts_by_plan(start_venue: StartVenue) -> None:
    """M144: a listing halts and resumes as its script says; over the opening it opens late."""
    listings = (
        ListingOptions(symbol="ABCUSDT", path="flat", halts=((1_000, 2_000),)),
        ListingOptions(symbol="NEWUSDT", open_in_ms=1_500, halts=((1_000, 2_000),)),
    )
    venue = await start_venue(SimulatorOptions(listings=listings))
    buy_new = BUY_25.replace("ABC", "NEW")
    assert (await venue.client.order(BUY_25)).status == 200
    venue.advance(1_500)
    assert [(await venue.client.order(buy)).code for buy in (BUY_25, buy_new)] == [30016, 30016]
    venue.advance(500)
    assert [(await venue.client.order(buy)).status for buy in (BUY_25, buy_new)] == [200, 200]


async def test_m145_book_ticker_follows_every_price(start_venue: StartVenue) -> None:
    """M145: each price step and each move by control is pushed to who watches the pair."""
    venue = await start_venue(SimulatorOptions(listings=(ListingOptions(symbol="ABCUSDT"),)))

    async def bid(socket: RawSocket) -> bytes:
        price: bytes = read_fields((await socket.push())[315][0])[1][0]
        return price

    async with venue.client.socket() as socket:
        await socket.subscribe(BOOK)
        bids = [await bid(socket)]
        for _ in range(4):
            venue.advance(250)
            bids.append(await bid(socket))
        assert len(set(bids)) == 5, "each step has its price"
        await venue.client.control("prices", {"symbol": "ABCUSDT", "price": "0.9"})
        assert await bid(socket) == b"0.89820"


async def test_m146_slow_ways_there_and_back(venue: Venue) -> None:
    """M146: the request waits before it is handled, or its answer after; the exchange's clock shows which."""
    loop = asyncio.get_running_loop()
    for kind in ("latency", "answer_late"):
        await arm(venue, kind, target="/api/v3/time", latency_ms=40, jitter_ms=10)
        started = loop.time()
        asking = asyncio.create_task(venue.client.get("/api/v3/time"))
        async with asyncio.timeout(5):
            while True:
                if kind in await struck(venue):
                    break
        venue.clock.advance(1_000)
        told = (await asking).body["serverTime"]
        assert loop.time() - started >= 0.039
        assert venue.clock.utc_ms() - told == (0 if kind == "latency" else 1_000)
