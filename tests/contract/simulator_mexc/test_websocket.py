"""M50-M69: the websocket of the simulated MEXC."""

import asyncio
import contextlib
from typing import Any

import aiohttp
from tests.contract.simulator_mexc.conftest import LISTED, StartVenue, Venue
from tests.contract.simulator_mexc.raw_client import read_fields

from signalbox.simulators.mexc.options import SimulatorOptions, Switches

MINI = "spot@public.miniTickers.v3.api.pb@UTC+8"
DEALS = "spot@public.aggre.deals.v3.api.pb@10ms@ABCUSDT"
BOOK = "spot@public.aggre.bookTicker.v3.api.pb@100ms@ABCUSDT"
ORDERS, OWN_DEALS, ACCOUNT = (f"spot@private.{name}.v3.api.pb" for name in ("orders", "deals", "account"))
BUY_25 = "symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=25&newClientOrderId=ws-1"


def refused(channel: str) -> str:
    """The text of a refused subscription."""
    return f"Not Subscribed successfully! [{channel}].  Reason\uff1a Blocked! "


async def listen_key(venue: Venue) -> str:
    """A new listen key."""
    return str((await venue.client.signed("POST", "/api/v3/userDataStream")).body["listenKey"])


def mini_tickers(push: dict[int, list[Any]]) -> dict[str, dict[int, list[Any]]]:
    """The lines of a miniTickers push by symbol."""
    lines = [read_fields(line) for line in read_fields(push[310][0])[1]]
    return {line[1][0].decode(): line for line in lines}


async def test_m50_subscription_is_acknowledged_in_json(venue: Venue) -> None:
    """M50: id echoed, code 0, the channel as msg; an empty msg for a repeated one."""
    async with venue.client.socket() as socket:
        assert await socket.subscribe(MINI, identifier=7) == {"id": 7, "code": 0, "msg": MINI}
        assert await socket.subscribe(MINI, identifier=8) == {"id": 8, "code": 0, "msg": ""}
        await socket.send({"method": "UNSUBSCRIPTION", "params": [MINI]})
        assert await socket.text() == {"id": 0, "code": 0, "msg": MINI}


async def test_m51_refused_subscription_has_code_zero(venue: Venue) -> None:
    """M51: wrong channel, missing zone, level 50, unknown symbol, private without key."""
    bad = [
        "spot@public.nothing.v3.api.pb@ABCUSDT",
        "spot@public.miniTickers.v3.api.pb",
        "spot@public.limit.depth.v3.api.pb@ABCUSDT@50",
        "spot@public.aggre.deals.v3.api.pb@100ms@NOPEUSDT",
        ORDERS,
    ]
    async with venue.client.socket() as socket:
        for channel in bad:
            assert await socket.subscribe(channel) == {"id": 1, "code": 0, "msg": refused(channel)}


async def test_m52_several_channels_in_one_message(venue: Venue) -> None:
    """M52: one joined acknowledgement, or one for each, by switch."""
    async with venue.client.socket() as socket:
        assert (await socket.subscribe(MINI, DEALS))["msg"] == f"{MINI},{DEALS}"
        await venue.client.control("settings", {"multi_ack": "each"})
        depth = "spot@public.aggre.depth.v3.api.pb@100ms@ABCUSDT"
        assert (await socket.subscribe(depth, BOOK))["msg"] == depth
        assert (await socket.text())["msg"] == BOOK


async def test_m53_ping(venue: Venue) -> None:
    """M53: JSON ping in upper case, bare ping in lower case, protocol ping by switch."""
    async with venue.client.socket() as socket:
        for ping in ({"method": "PING"}, {"method": "ping"}, "ping"):
            await socket.send(ping)
            assert await socket.text() == {"id": 0, "code": 0, "msg": "PONG"}
        await socket.socket.ping(b"x")
        assert (await socket.message()).type is aiohttp.WSMsgType.PONG
        await venue.client.control("settings", {"protocol_ping_answered": False})
        await socket.socket.ping(b"x")
        await socket.send("ping")
        assert (await socket.message()).type is aiohttp.WSMsgType.TEXT


async def test_m54_new_listing_is_pushed_at_once_on_request(venue: Venue) -> None:
    """M54: push_now writes the frame within the control request, and its time is noted before the write."""
    async with venue.client.socket() as socket:
        await socket.subscribe(MINI)
        assert "NEWUSDT" not in mini_tickers(await socket.push())
        listed = await venue.client.control("listings", {"symbol": "NEWUSDT", "price": "0.5", "push_now": True})
        assert listed["pushed_to"] == 1
        push = await socket.push()
        assert push[1] == [MINI.encode()]
        assert push[6] == [venue.clock.utc_ms()]
        assert mini_tickers(push)["NEWUSDT"][2] == [b"0.5"]
        frames = (await venue.client.control("events?symbol=NEWUSDT", method="GET"))["first_frames"]
        assert [(frame["symbol"], frame["channel"]) for frame in frames] == [("NEWUSDT", MINI)]
        assert frames[0]["monotonic_ns"] == venue.clock.monotonic_ns()


async def test_m55_mini_tickers_come_at_their_cadence(start_venue: StartVenue) -> None:
    """M55: the cadence is a setting; a pair before its first trade is not in it unless switched on."""
    switches = Switches(mini_tickers_every_ms=20)
    venue = await start_venue(SimulatorOptions(switches=switches))
    async with venue.client.socket() as socket:
        await socket.subscribe(MINI)
        for _ in range(3):
            assert "BTCUSDT" in mini_tickers(await socket.push())


async def test_m56_deals_and_book_of_a_pair(venue: Venue) -> None:
    """M56: our own fill is a public deal; the book ticker carries strings with trailing zeros."""
    async with venue.client.socket() as socket:
        await socket.subscribe(DEALS)
        await venue.client.order(BUY_25)
        push = await socket.push()
        assert push[3] == [b"ABCUSDT"]
        deal = read_fields(read_fields(push[314][0])[1][0])
        assert (deal[1], deal[2], deal[3]) == ([b"0.501"], [b"47.61"], [1])
        assert read_fields(push[314][0])[2] == [b"spot@public.aggre.deals.v3.api.pb@10ms"]
        await socket.subscribe(BOOK)
        book = read_fields((await socket.push())[315][0])
        assert book[1] == [b"0.49900"]
        assert 5 in book, "the version field of June 2026"


async def test_m57_depth_pushes_have_no_gap(venue: Venue) -> None:
    """M57: from the REST snapshot on, each push continues the one before."""
    channel = "spot@public.aggre.depth.v3.api.pb@10ms@ABCUSDT"
    async with venue.client.socket() as socket:
        await socket.subscribe(channel)
        version = (await venue.client.get("/api/v3/depth", "symbol=ABCUSDT")).body["lastUpdateId"]
        for _ in range(3):
            venue.advance(250)
            body = read_fields((await socket.push())[313][0])
            assert int(body[4][0]) == version + 1
            version = int(body[5][0])


async def test_m58_limit_depth_kline_batch_and_mini_ticker(venue: Venue) -> None:
    """M58: the remaining public channels speak their own body."""
    channels = {
        303: "spot@public.limit.depth.v3.api.pb@ABCUSDT@5",
        308: "spot@public.kline.v3.api.pb@ABCUSDT@Min1",
        309: "spot@public.miniTicker.v3.api.pb@ABCUSDT@UTC+8",
        311: "spot@public.bookTicker.batch.v3.api.pb@ABCUSDT",
    }
    for number, channel in channels.items():
        async with venue.client.socket() as socket:
            assert (await socket.subscribe(channel))["msg"] == channel
            push = await socket.push()
            assert (push[1], list(push)[-1]) == ([channel.encode()], number)


async def test_m59_private_streams(venue: Venue) -> None:
    """M59: NEW and FILLED order pushes, the deal, and balances with what moved."""
    async with venue.client.socket(f"?listenKey={await listen_key(venue)}") as socket:
        for channel in (ORDERS, OWN_DEALS, ACCOUNT):
            assert (await socket.subscribe(channel))["msg"] == channel
        await venue.client.order(BUY_25)
        orders: list[dict[int, list[Any]]] = []
        deals: list[dict[int, list[Any]]] = []
        reasons: list[str] = []
        while len(orders) < 2:
            push = await socket.push()
            if 304 in push:
                orders.append(read_fields(push[304][0]))
            elif 306 in push:
                deals.append(read_fields(push[306][0]))
            else:
                reasons.append(read_fields(push[307][0])[7][0].decode())
        assert [order[15] for order in orders] == [[1], [2]]
        assert (orders[1][2], orders[1][7], orders[1][8]) == ([b"ws-1"], [5], [1])
        assert (orders[1][11], orders[1][13]) == ([b"0"], [b"47.61"])
        assert (deals[0][2], deals[0][8], deals[0][11]) == ([b"47.61"], [b"ws-1"], [b"USDT"])
        assert reasons == ["ENTRUST_PLACE", "ENTRUST", "ENTRUST", "ENTRUST_UNFROZEN"]


async def test_m60_listen_keys(start_venue: StartVenue) -> None:
    """M60: create, list, extend, delete; they end after 60 minutes; a bad key is told and closed."""
    venue = await start_venue(SimulatorOptions(listings=(LISTED,)))
    client, path = venue.client, "/api/v3/userDataStream"
    key = await listen_key(venue)
    assert (await client.signed("GET", path)).body == {"listenKey": [key], "total": 60, "available": 59}
    venue.clock.advance(3_000_000)
    assert (await client.signed("PUT", path, f"listenKey={key}")).body == {"listenKey": key}
    venue.clock.advance(3_000_000)
    assert (await client.signed("GET", path)).body["listenKey"] == [key]
    venue.clock.advance(600_000)
    assert (await client.signed("GET", path)).body["listenKey"] == []
    other = await listen_key(venue)
    assert (await client.signed("DELETE", path, f"listenKey={other}")).body == {"listenKey": other}
    async with client.socket(f"?listenKey={other}") as socket:
        assert (await socket.text())["msg"] == "Invalid listen key"
        assert (await socket.message()).type is aiohttp.WSMsgType.CLOSE


async def test_m61_thirty_subscriptions(venue: Venue) -> None:
    """M61: the thirty-first is refused."""
    names = list(venue.simulator.exchange.pairs)
    channels = [f"spot@public.aggre.deals.v3.api.pb@100ms@{name}" for name in names]
    channels += [f"spot@public.aggre.depth.v3.api.pb@100ms@{name}" for name in names]
    async with venue.client.socket() as socket:
        for channel in channels[:30]:
            assert (await socket.subscribe(channel))["msg"] == channel
        assert (await socket.subscribe(channels[30]))["msg"] == refused(channels[30])


async def test_m62_idle_connections_are_closed(start_venue: StartVenue) -> None:
    """M62: without subscription after one time, with a silent one after another."""
    options = SimulatorOptions(listings=(LISTED,), idle_close_ms=50, silent_close_ms=150)
    venue = await start_venue(options)
    loop = asyncio.get_running_loop()
    for channels, at_least_s in (((), 0.045), ((DEALS,), 0.145)):
        async with venue.client.socket() as socket:
            if channels:
                await socket.subscribe(*channels)
            started = loop.time()
            while (await socket.message()).type is not aiohttp.WSMsgType.CLOSE:
                pass
            assert loop.time() - started >= at_least_s


async def test_m63_push_faults(venue: Venue) -> None:
    """M63: pushes can be left out, doubled, garbled, and the connection cut instead."""
    async with venue.client.socket() as socket:
        await socket.subscribe(MINI)
        await socket.push()
        for kind in ("push_missing", "push_duplicated", "push_malformed", "disconnect"):
            await venue.client.control("faults", {"faults": [{"kind": kind, "target": "spot@public.mini"}]})
            reached = (await venue.client.control("push"))["pushed_to"]
            assert reached == 1
            if kind == "push_duplicated":
                assert await socket.push() == await socket.push()
            elif kind == "push_malformed":
                assert (await socket.message()).data.startswith(b"\xff\xff\xff")
        while (await socket.message()).type not in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            pass
    struck = (await venue.client.control("faults", method="GET"))["struck"]
    assert struck == {"push_missing": 1, "push_duplicated": 1, "push_malformed": 1, "disconnect": 1}


async def test_m64_opening_is_pushed_on_deals_without_a_request(start_venue: StartVenue) -> None:
    """M64: who watches the deals of an announced pair gets the first trade when it opens."""
    announced = LISTED.__class__(symbol="NEWUSDT", open_in_ms=5_000)
    venue = await start_venue(SimulatorOptions(listings=(announced,)))
    async with venue.client.socket() as socket:
        channel = "spot@public.aggre.deals.v3.api.pb@10ms@NEWUSDT"
        assert (await socket.subscribe(channel))["msg"] == channel
        venue.advance(5_000)
        assert (await socket.push())[3] == [b"NEWUSDT"]


async def test_m65_a_delayed_push_is_overtaken(venue: Venue) -> None:
    """M65: pushes may arrive in another order than they happened."""
    async with venue.client.socket(f"?listenKey={await listen_key(venue)}") as socket:
        await socket.subscribe(ORDERS)
        fault = {"kind": "push_delayed", "target": ORDERS, "latency_ms": 50}
        await venue.client.control("faults", {"faults": [fault]})
        await venue.client.order(BUY_25)
        statuses = [read_fields((await socket.push())[304][0])[15] for _ in range(2)]
        assert statuses == [[2], [1]], "FILLED before NEW"


async def test_m66_a_client_that_talks_too_much_is_cut(start_venue: StartVenue) -> None:
    """M66: more messages within a second than allowed end the connection."""
    venue = await start_venue(SimulatorOptions(max_client_messages_per_s=5))
    async with venue.client.socket() as socket:
        with contextlib.suppress(ConnectionError):  # the end may come while we still talk
            for _ in range(12):  # at most five per second, so two seconds cannot hold them
                await socket.send("ping")
        ended = (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        while (await socket.message()).type not in ended:
            pass
